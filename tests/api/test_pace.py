"""The API when somebody looks up very many children."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from fastapi.testclient import TestClient

from hub.context import Context
from hub.settings import Access

URL = "/api/v1/lookups"


@pytest.fixture
def ctx(ctx: Context) -> Context:
    return replace(ctx, settings=ctx.settings.model_copy(update={"access": Access(children_an_hour=2)}))


def test_more_asks_for_a_reason_then_for_patience(
    client: TestClient, ida: UUID, bearer: Callable[..., dict[str, str]]
) -> None:
    def look_up(n: int, **more: Any) -> Any:
        return client.post(URL, json={"cpr": f"03111642{n:02}", "purpose": "case"} | more, headers=bearer())

    assert [look_up(n).status_code for n in (34, 35)] == [200, 200]
    asked = look_up(36)
    assert asked.status_code == 422
    assert asked.json()["detail"].startswith("reason: ")
    assert [look_up(n, reason="Gennemgang af egne sager").status_code for n in (36, 37)] == [200, 200]
    refused = look_up(38, reason="Gennemgang af egne sager")
    assert refused.status_code == 429
    assert refused.headers["retry-after"] == "3601"
    assert refused.headers["cache-control"] == "no-store"
    assert set(refused.json()) == {"detail"}
    assert look_up(34).status_code == 200, "a child that was looked up already is no other child"
