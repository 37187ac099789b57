"""The town's case systems: what they have read is what the hub has told, and they take a webhook only from it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from hub import State
from hub.api.tokens import make_key
from hub.cases.sync import sync
from hub.demo import numbers
from hub.demo.case_systems import CaseSystems
from hub.demo.servers import advis
from hub.notices.webhook import signature
from hub.settings import Api, Demo
from hub.store import tables
from tests.notices.conftest import BO, KARLA, MOTHER, SANNE
from tests.notices.test_journal import write


@pytest.fixture
def systems(world: Any, tmp_path: Path) -> CaseSystems:
    folder = tmp_path / "town"
    folder.mkdir()
    key = make_key()
    (folder / "signing.json").write_text(json.dumps(key.as_dict(private=True)))
    (folder / "jwks.json").write_text(json.dumps({"keys": [key.as_dict(private=False)]}))
    settings = {"demo": Demo(folder=folder), "api": Api(jwks=folder / "jwks.json")}
    world.ctx = replace(world.ctx, settings=world.ctx.settings.model_copy(update=settings))
    return CaseSystems(world.ctx)


def test_they_take_all_and_journalise_all_once(world: Any, systems: CaseSystems) -> None:
    world.accepted(KARLA, guardians=(MOTHER,))
    world.case(world.sof, "A-1", KARLA, State.OPEN, adviser=SANNE)
    world.case(world.buf, "B-1", KARLA, State.OPEN, adviser=BO)
    sync(world.ctx)
    write(world)
    for _day in range(2):
        systems.read_on()
    assert {name: len(ids) for name, ids in systems.notices.items()} == {"SOF": 1, "BUF": 1, "SUF": 0}
    assert {name: len(ids) for name, ids in systems.documents.items()} == {"SOF": 1, "BUF": 1}
    with world.session() as session:
        story = numbers.story(session)
    assert (story["notices"], story["journalised"]) == (2, 2)
    assert len(world.rows(tables.LogEntry, tables.LogEntry.kind == "notice")) == 2 + 4, "a look each time"


@pytest.mark.parametrize(("secret", "status", "kept"), [(advis.SECRET, 204, ["n-1"]), ("whsec_" + "A" * 44, 401, [])])
def test_a_webhook_is_taken_from_the_hub_alone(tmp_path: Path, secret: str, status: int, kept: list[str]) -> None:
    app = advis.Receiving(PlainTextResponse("the system itself"), "suf", tmp_path)
    client = TestClient(app)
    headers = {
        "webhook-id": "n-1",
        "webhook-timestamp": "1",
        "webhook-signature": signature([secret], "n-1", 1, b"{}"),
    }
    assert client.post(advis.PATH, content=b"{}", headers=headers).status_code == status
    assert client.get("/Bundle").text == "the system itself"
    assert advis.received(tmp_path, "suf") == kept
