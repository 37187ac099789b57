"""`POST /api/v1/lookups/batch`: each number is a lookup of its own, answered in its place as if it had been alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

import psycopg
import pytest
from fastapi.testclient import TestClient

from hub import consents
from hub.access import lookup
from hub.access.log import Asker
from hub.context import Context
from hub.store import tables

URL, ALONE = "/api/v1/lookups/batch", "/api/v1/lookups"
IDA, NOBODY = "0311164234", "0909094999"
BO = Asker("s-2", "Bo Falk", "staff", "BUF")
Bearer = Callable[..., dict[str, str]]


def entries(ctx: Context) -> list[str]:
    with psycopg.connect(ctx.database.conninfo) as connection:
        rows = connection.execute("SELECT id FROM log_entry WHERE kind = 'lookup' ORDER BY seq").fetchall()
    return [str(row[0]) for row in rows]


def ask(client: TestClient, headers: dict[str, str], *cprs: Any, **more: Any) -> Any:
    return client.post(URL, json={"cprs": list(cprs), "purpose": "case"} | more, headers=headers)


def test_each_is_answered_in_its_place_as_if_alone(client: TestClient, ctx: Context, ida: UUID, bearer: Bearer) -> None:
    alone = client.post(ALONE, json={"cpr": IDA, "purpose": "case"}, headers=bearer()).json()
    answer = ask(client, bearer(), NOBODY, IDA, "031116-4234", NOBODY)
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    found = answer.json()["answers"]
    assert [one["coordinator"] is not None for one in found] == [False, True, True, False]
    assert [one["entry"] for one in found] == entries(ctx)[1:]  # one entry each, also of the same child
    assert found[1] | {"entry": ""} == alone | {"entry": ""}


def test_a_number_that_can_be_nobodys_is_an_error_in_its_place_and_not_repeated(
    client: TestClient, ctx: Context, ida: UUID, bearer: Bearer
) -> None:
    wrong = ["3113164234", "031116423", "0000000000", "Ida Bæk", "", "0311164234; 0405144005"]
    answer = ask(client, bearer(), *wrong, IDA)
    found = answer.json()["answers"]
    assert [list(one) for one in found[:-1]] == [["error"]] * len(wrong)
    assert found[-1]["coordinator"]["name"] == "Mette Holm Østergård"
    for number in (*wrong[:2], "Ida Bæk", IDA, "0405144005"):
        assert number not in answer.text
    assert len(entries(ctx)) == 1
    assert list(ask(client, bearer(), "x").json()["answers"][0]) == ["error"]
    assert len(entries(ctx)) == 1


@pytest.mark.parametrize(
    "body",
    [
        {"cprs": [], "purpose": "case"},
        {"cprs": [IDA] * 101, "purpose": "case"},
        {"cprs": IDA, "purpose": "case"},
        {"cprs": [int("9" + IDA[1:])], "purpose": "case"},
        {"cprs": [[IDA]], "purpose": "case"},
        {"cprs": {IDA: IDA}, "purpose": "case"},
        {"cprs": [IDA * 11], "purpose": "case"},
        {"cprs": [IDA], "purpose": "curiosity"},
        {"cprs": [IDA], "purpose": "case", IDA: 1},
        {"cprs": [IDA], "purpose": "case", "reason": IDA * 101},
        {"cprs": [IDA]},
        [IDA],
    ],
)
def test_what_is_no_batch_is_refused_whole_and_not_repeated(
    client: TestClient, ctx: Context, ida: UUID, bearer: Bearer, body: Any
) -> None:
    answer = client.post(URL, content=json.dumps(body), headers=bearer() | {"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert list(answer.json()) == ["detail"]
    assert IDA[1:] not in answer.text
    assert entries(ctx) == []


def test_a_hundred_are_served_and_share_few_commits(
    client: TestClient, ctx: Context, ida: UUID, bearer: Bearer
) -> None:
    numbers = [f"{day:02}{month:02}164{100 + day}" for month in (1, 2, 3, 4) for day in range(1, 26)]
    answer = ask(client, bearer(), *numbers, reason="Vi gennemgår holdets børn")
    assert len(answer.json()["answers"]) == len(entries(ctx)) == 100
    with psycopg.connect(ctx.database.conninfo) as connection:
        [[transactions]] = connection.execute("SELECT count(DISTINCT xmin::text) FROM log_entry WHERE kind = 'lookup'")
    assert transactions == 1


def test_without_a_token_or_room_or_a_log_there_is_nothing(
    client: TestClient, ctx: Context, ida: UUID, bearer: Bearer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ask(client, {}, IDA).status_code == 401
    monkeypatch.setattr(lookup, "WAITING_AT_MOST", 1)
    refused = ask(client, bearer(), IDA, NOBODY)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert entries(ctx) == []
    monkeypatch.undo()
    with ctx.database.owner_engine() as engine, engine.begin() as connection:
        connection.exec_driver_sql("REVOKE INSERT ON log_entry FROM tovholder_lookup")
    refused = ask(client, bearer(), IDA, NOBODY)
    assert refused.status_code == 503
    assert "Mette" not in refused.text


def test_refused_unknown_none_and_closed_are_one_answer(
    client: TestClient, ctx: Context, ida: UUID, bearer: Bearer
) -> None:
    """Byte for byte but for the entry, alone and in a batch, in body, status and headers."""
    seen = set()

    def note(asker: Asker, cpr: str, **more: Any) -> None:
        alone = client.post(ALONE, json={"cpr": cpr, "purpose": "case"} | more, headers=bearer(asker))
        batch = ask(client, bearer(asker), cpr, **more)
        for answer, entry in ((alone, alone.json()["entry"]), (batch, batch.json()["answers"][0]["entry"])):
            text = answer.text.replace(entry, "")
            headers = tuple(sorted((n, v) for n, v in answer.headers.items() if n != "date"))
            seen.add((answer is batch, answer.status_code, text, headers))

    reason = "Skolen kan ikke få fat i dem"
    note(BO, IDA)  # refused
    note(BO, NOBODY, reason=reason)  # unknown
    note(Asker("a-1", "Eva Lund", "auditor"), IDA)  # no role for it
    note(BO, "0703921VJ4", reason=reason)  # a number that could be somebody's
    with ctx.database.begin() as session:
        [custody] = session.query(tables.Custody)
        guardian = custody.guardian_id
    speaker = consents.Speaker("guardian", "page", "block/1", "da", guardian)
    consents.close(ctx, ida, "SOF", speaker)
    note(Asker("s-1", "Sanne Toft", "staff", "SOF"), IDA)  # closed, with a case
    consents.open_again(ctx, ida, "SOF", speaker)
    with ctx.database.begin() as session:
        session.query(tables.Assignment).update({"until": ctx.clock.now()})
    note(Asker("s-1", "Sanne Toft", "staff", "SOF"), IDA)  # no coordinator
    assert len(seen) == 2  # one alone, one in a batch
    assert {status for _batch, status, _text, _headers in seen} == {200}
