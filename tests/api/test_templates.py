"""The letters' texts by API: one person's token each, and what is refused says why."""

from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

import pytest
from fastapi.testclient import TestClient

from hub.access.log import Asker
from hub.letters.words import product_folder

URL = "/api/v1/templates"
KIRSTEN, JENS = Asker("o-1", "Kirsten Skriver", "operator"), Asker("o-2", "Jens Læser", "operator")
NAME = "receipt.da.md"
TEXT = (product_folder() / NAME).read_text(encoding="utf-8").replace("# Du har fået en koordinator", "# Tusind tak")
Bearer = Callable[..., dict[str, str]]


def test_draft_approve_publish_and_take_back(client: TestClient, bearer: Bearer) -> None:
    made = client.post(URL, json={"name": NAME, "text": TEXT}, headers=bearer(KIRSTEN))
    assert made.status_code == 200, made.text
    version = made.json()["version"]
    read = client.get(f"{URL}/{version}", headers=bearer(JENS)).json()
    assert read["name"] == NAME
    assert read["text"] == TEXT
    assert "+# Tusind tak" in read["diff"]

    def step(asker: Asker, what: str) -> int:
        return client.post(f"{URL}/{version}/steps", json={"step": what}, headers=bearer(asker)).status_code

    assert step(KIRSTEN, "publish") == 403
    assert step(KIRSTEN, "approve") == 403
    assert step(JENS, "approve") == 200
    assert step(KIRSTEN, "publish") == 200
    (listed,) = client.get(URL, headers=bearer(JENS)).json()
    assert listed["id"] == version
    assert listed["current"] is True
    assert step(JENS, "roll_back") == 200
    assert client.get(URL, headers=bearer(JENS)).json()[0]["current"] is False
    assert step(JENS, "roll_back") == 403


@pytest.mark.parametrize("role", ["staff", "leader", "auditor"])
def test_only_operators_are_answered(role: str, client: TestClient, bearer: Bearer) -> None:
    other = bearer(Asker("x", "X", role))
    assert client.get(URL, headers=other).status_code == 403
    assert client.post(URL, json={"name": NAME, "text": TEXT}, headers=other).status_code == 403
    assert client.get(URL).status_code == 401
    assert client.post(URL, json={"name": NAME, "text": TEXT}).status_code == 401


def test_what_is_wrong_is_said(client: TestClient, bearer: Bearer) -> None:
    wrong = client.post(URL, json={"name": "x.md", "text": TEXT}, headers=bearer(KIRSTEN))
    assert (wrong.status_code, wrong.headers["cache-control"]) == (422, "no-store")
    assert "is called like" in wrong.json()["detail"]
    assert client.get(f"{URL}/{uuid4()}", headers=bearer(KIRSTEN)).status_code == 404
    assert client.post(f"{URL}/{uuid4()}/steps", json={"step": "burn"}, headers=bearer(KIRSTEN)).status_code == 422
    plain = TEXT.replace("Vi skriver til dig", "Såfremt der sker noget, skriver vi til dig")
    made = client.post(URL, json={"name": NAME, "text": plain}, headers=bearer(KIRSTEN)).json()["version"]
    refused = client.post(f"{URL}/{made}/steps", json={"step": "approve"}, headers=bearer(JENS))
    assert refused.status_code == 422
    assert "officialese" in refused.json()["detail"]
