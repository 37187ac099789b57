"""`POST /api/v1/lookups`: exactly this answer, no number anywhere, and 503 rather than an answer without an entry."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import httpx2
import psycopg
import pytest
import uvicorn
from fastapi import FastAPI
from fastapi.testclient import TestClient

from hub.access import lookup
from hub.access.log import Asker
from hub.api.answers import BODY_AT_MOST
from hub.api.tokens import issue
from hub.cases import sources
from hub.context import Context

URL = "/api/v1/lookups"
IDA, NOBODY = "0311164234", "0909094999"
BO = Asker("s-2", "Bo Falk", "staff", "BUF")
Bearer = Callable[..., dict[str, str]]


def entries(ctx: Context) -> int:
    with psycopg.connect(ctx.database.conninfo) as connection:
        [[count]] = connection.execute("SELECT count(*) FROM log_entry WHERE kind = 'lookup'").fetchall()
    return int(count)


def test_the_answer_is_exactly_this(client: TestClient, ctx: Context, ida: UUID, bearer: Bearer) -> None:
    with ctx.database.begin() as session:
        sources.end(session, "sof_case", sources.CASES, ctx.clock.now())
        sources.failed(session, "suf_cura", sources.CASES, ctx.clock.now(), "time-out")
    answer = client.post(URL, json={"cpr": IDA, "purpose": "case"}, headers=bearer())
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert UUID(body.pop("entry"))
    assert body == {
        "coordinator": {
            "name": "Mette Holm Østergård",
            "phone": "12340001",
            "email": "mette@kommune.example",
            "since": "2026-11-02T07:00:00Z",
            "substitute": None,
        },
        "help": "Er du i tvivl, så ring til 70 10 20 30.",
        "sources": [
            {"name": "sof_case", "state": "ok", "as_of": "2026-11-02T07:00:00Z"},
            {"name": "suf_cura", "state": "never", "as_of": None},
        ],
    }


def test_a_number_may_be_written_with_a_dash(client: TestClient, ida: UUID, bearer: Bearer) -> None:
    body = {"cpr": "031116-4234", "purpose": "contact", "reason": None, "case": "S-17"}
    assert client.post(URL, json=body, headers=bearer()).json()["coordinator"]["name"] == "Mette Holm Østergård"


def test_refused_unknown_and_none_are_one_answer_and_all_are_logged(
    client: TestClient, ctx: Context, ida: UUID, bearer: Bearer
) -> None:
    bodies = []
    for cpr, asker in ((IDA, BO), (NOBODY, BO), (IDA, Asker("a-1", "Eva Lund", "auditor")), ("0703921VJ4", BO)):
        answer = client.post(URL, json={"cpr": cpr, "purpose": "case"}, headers=bearer(asker))
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
        bodies.append(answer)
    assert len({each.json().pop("entry") for each in bodies}) == 4
    assert {each.text.replace(each.json()["entry"], "") for each in bodies} == {
        '{"coordinator":null,"help":"Er du i tvivl, så ring til 70 10 20 30.","sources":[],"entry":""}'
    }
    assert len({len(each.content) for each in bodies}) == 1
    assert {tuple(sorted(each.headers)) for each in bodies} == {("cache-control", "content-length", "content-type")}
    assert entries(ctx) == 4


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer ", "Bearer x.y.z", "Basic c2FubmU6eA==", "x.y.z", "Bearer  two", "bearer æ"],
)
def test_without_a_good_token_there_is_401_and_no_entry(
    client: TestClient, ctx: Context, ida: UUID, header: str | None
) -> None:
    headers = {} if header is None else {"Authorization": header.encode()}
    answer = client.post(URL, json={"cpr": IDA, "purpose": "case"}, headers=headers)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json() == {"detail": "Send en gyldig bearer-token."}
    assert entries(ctx) == 0


def test_a_token_for_another_hub_is_401(client: TestClient, ctx: Context, ida: UUID, signing: Any) -> None:
    elsewhere = ctx.settings.api.model_copy(update={"audience": "other"})
    token = issue(signing, elsewhere, ctx.clock, BO)
    answer = client.post(URL, json={"cpr": IDA, "purpose": "case"}, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 401


BAD = [
    {},
    {"cpr": IDA},
    {"purpose": "case"},
    {"cpr": None, "purpose": "case"},
    {"cpr": int("9" + IDA[1:]), "purpose": "case"},
    {"cpr": [IDA], "purpose": "case"},
    {"cpr": {IDA: IDA}, "purpose": "case"},
    {"cpr": IDA + "999", "purpose": "case"},
    {"cpr": IDA[:9], "purpose": "case"},
    {"cpr": "31" + IDA[2:], "purpose": "case"},  # 31 November
    {"cpr": "0000000000", "purpose": "case"},
    {"cpr": "0311164\ud8004", "purpose": "case"},
    {"cpr": "0311164\u00004", "purpose": "case"},
    {"cpr": IDA, "purpose": IDA},
    {"cpr": IDA, "purpose": "curiosity"},
    {"cpr": IDA, "purpose": ""},
    {"cpr": IDA, "purpose": "x" * 41},
    {"cpr": IDA, "purpose": "case", IDA: IDA},  # the number as the name of a field
    {"cpr": IDA, "purpose": "case", "CPR": IDA},
    {"cpr": IDA, "purpose": "case", "reason": IDA * 101},
    {"cpr": IDA, "purpose": "case", "reason": [IDA]},
    {"cpr": IDA, "purpose": "case", "case": {"cpr": IDA}},
    {"cpr": IDA, "purpose": "case", "case": IDA * 11},
    [IDA],
    IDA,
    None,
]


def test_422_does_not_repeat_the_number(client: TestClient, ctx: Context, ida: UUID, bearer: Bearer) -> None:
    for body in BAD:
        answer = client.post(URL, content=json.dumps(body), headers=bearer() | {"Content-Type": "application/json"})
        assert answer.status_code == 422, body
        assert answer.headers["cache-control"] == "no-store"
        assert list(answer.json()) == ["detail"]
        for part in (IDA, IDA[1:], IDA[:9], IDA[4:]):
            assert part not in answer.text + str(answer.headers), body
    assert entries(ctx) == 0


NO_JSON = [
    (f'{{"cpr": "{IDA}", "purpose": "case"', "application/json"),
    (f'{{"cpr": "{IDA}", "purpose": "case",}}', "application/json"),
    (f"cpr={IDA}&purpose=case", "application/x-www-form-urlencoded"),
    (f'{{"cpr": "{IDA}", "purpose": "case"}}', "text/plain"),
    (IDA, "application/json"),
    (f"{IDA} x", "application/json"),
    ("", "application/json"),
    (b"\xff" + IDA.encode(), "application/json"),
    (b'{"cpr": "\xff' + IDA.encode() + b'"}', "application/json"),
]


def test_what_is_no_json_is_refused_and_not_repeated(
    client: TestClient, ctx: Context, ida: UUID, bearer: Bearer
) -> None:
    for body, content_type in NO_JSON:
        answer = client.post(URL, content=body, headers=bearer() | {"Content-Type": content_type})
        assert answer.status_code in (400, 422), body
        assert IDA not in answer.text + str(answer.headers), body
    assert entries(ctx) == 0


def test_an_unknown_purpose_says_which_there_are(client: TestClient, bearer: Bearer) -> None:
    answer = client.post(URL, json={"cpr": IDA, "purpose": "curiosity"}, headers=bearer())
    assert answer.json() == {"detail": "purpose: use one of case, contact, coordination"}


def test_what_is_wrong_with_a_field_is_said_by_its_name(client: TestClient, bearer: Bearer) -> None:
    said = client.post(URL, json={"cpr": "1", "reason": 7, IDA: 1}, headers=bearer()).json()["detail"].split("; ")
    assert [each.split(": ")[0] for each in said] == ["cpr", "purpose", "reason", "body"]


@pytest.mark.parametrize(
    ("method", "address"),
    [
        ("GET", f"{URL}/{IDA}"),
        ("GET", f"{URL}?cpr={IDA}&purpose=case"),
        ("POST", f"{URL}?cpr={IDA}&purpose=case"),
        ("POST", f"{URL}/{IDA}"),
        ("PUT", URL),
        ("DELETE", URL),
    ],
)
def test_a_number_in_the_address_is_not_accepted(
    client: TestClient, ctx: Context, ida: UUID, bearer: Bearer, method: str, address: str
) -> None:
    answer = client.request(method, address, headers=bearer())
    assert answer.status_code in (404, 405, 422)
    assert IDA not in answer.text
    assert entries(ctx) == 0


@pytest.mark.parametrize("url", [URL, f"{URL}/batch"])
def test_a_body_larger_than_any_question_is_not_read_whoever_sends_it(client: TestClient, url: str) -> None:
    assert client.post(url, content=b"{" * (BODY_AT_MOST + 1)).status_code == 413
    assert client.post(url, content=b"{" * BODY_AT_MOST).status_code == 422, "this one is read"
    assert client.post(url, content=iter([b"{}"])).status_code == 411, "in pieces, of which nobody knows how many"


def test_a_log_that_cannot_be_written_is_503_and_comes_back_by_itself(
    client: TestClient, ctx: Context, ida: UUID, bearer: Bearer
) -> None:
    def as_owner(statement: str) -> None:
        with ctx.database.owner_engine() as engine, engine.begin() as connection:
            connection.exec_driver_sql(statement)

    body = {"cpr": IDA, "purpose": "case"}
    as_owner("REVOKE INSERT ON log_entry FROM tovholder_lookup")
    refused = client.post(URL, json=body, headers=bearer())
    assert (refused.status_code, refused.headers["retry-after"], refused.headers["cache-control"]) == (
        503,
        "1",
        "no-store",
    )
    assert list(refused.json()) == ["detail"]
    assert "Mette" not in refused.text
    as_owner("GRANT INSERT ON log_entry TO tovholder_lookup")
    assert client.post(URL, json=body, headers=bearer()).json()["coordinator"]
    assert entries(ctx) == 1


def test_a_full_queue_is_503_with_retry_after(
    app: FastAPI, client: TestClient, ctx: Context, ida: UUID, bearer: Bearer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With room for none. That room for thousands can run out is shown in tests/access."""
    body = {"cpr": IDA, "purpose": "case"}
    monkeypatch.setattr(lookup, "WAITING_AT_MOST", 0)
    refused = client.post(URL, json=body, headers=bearer())
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert refused.json() == {"detail": "Too many lookups wait already; try again in a moment."}
    assert entries(ctx) == 0
    monkeypatch.undo()
    assert client.post(URL, json=body, headers=bearer()).status_code == 200


@pytest.fixture
def served(app: FastAPI) -> Iterator[str]:
    """The application behind real HTTP, as `tovholder serve` runs it."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, access_log=False, log_level="warning", server_header=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    thread.join(20)
    listening.close()


def test_over_real_http_many_at_once_get_their_own_answers(
    served: str, ctx: Context, ida: UUID, bearer: Bearer, capfd: pytest.CaptureFixture[str]
) -> None:
    """Also while some go away before they are answered."""

    async def ask(client: httpx2.AsyncClient, cpr: str, patience: float) -> bool | None:
        try:
            answer = await client.post(
                URL, json={"cpr": cpr, "purpose": "case"}, headers=bearer(), timeout=httpx2.Timeout(20, read=patience)
            )
        except httpx2.ReadTimeout:
            return None
        assert answer.status_code == 200
        return answer.json()["coordinator"] is not None

    async def run() -> list[bool | None]:
        async with httpx2.AsyncClient(base_url=served) as client:
            asked = [(IDA if n % 2 else NOBODY, 0.000_001 if n % 5 == 0 else 20) for n in range(60)]
            return await asyncio.gather(*(ask(client, *each) for each in asked))

    outcomes = asyncio.run(run())
    assert [each for n, each in enumerate(outcomes) if n % 5] == [bool(n % 2) for n in range(60) if n % 5]
    said = capfd.readouterr()
    assert IDA not in said.out + said.err
    assert NOBODY not in said.out + said.err


def test_the_description_of_the_api_says_that_the_number_goes_in_the_body(client: TestClient) -> None:
    described = client.get("/openapi.json").json()
    assert [path for path in described["paths"] if path.startswith(URL)] == [URL, f"{URL}/batch"]
    assert list(described["paths"][URL]) == ["post"]
    assert "parameters" not in described["paths"][URL]["post"]
    assert described["paths"][URL]["post"]["security"] == [{"HTTPBearer": []}]
