"""Karla has a coordinator, and cases whose advisers are to be told; a receiver of webhooks over real HTTP."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from hub import StaffRecord, State
from hub.access.log import Asker
from hub.api.tokens import issue, make_key
from hub.cases.sync import sync
from hub.settings import Api, Notices
from hub.web.app import build

KARLA, EMIL = "0311164234", "1405134321"
MOTHER = "0101804001"
SANNE = StaffRecord("sanne", "Sanne Toft", "sanne@kommune.example", "12340009")
BO = StaffRecord("bo", "Bo Falk", "bo@kommune.example", None)
OLD, NEW = ("whsec_" + base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2))


@dataclass
class Received:
    headers: dict[str, str]
    body: bytes
    path: str


@dataclass
class Receiver:
    """Takes what comes by POST. `answers` are the codes it gives next, then 204; `act` happens once it has received."""

    url: str = ""
    got: list[Received] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    more: dict[str, str] = field(default_factory=dict)
    act: Callable[[], None] | None = None


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            found.got.append(Received({k.lower(): v for k, v in self.headers.items()}, body, self.path))
            if found.act is not None:
                found.act()
            self.send_response(found.answers.pop(0) if found.answers else 204)
            for name, value in found.more.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    found.url = f"http://127.0.0.1:{server.server_port}/advis"
    yield found
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def with_notices(world: Any) -> Callable[..., None]:
    """Sets `[notices]` of the settings."""

    def with_notices(**values: Any) -> None:
        notices = Notices.model_validate(values)
        world.ctx = replace(world.ctx, settings=world.ctx.settings.model_copy(update={"notices": notices}))

    return with_notices


@pytest.fixture
def hooked(with_notices: Callable[..., None], receiver: Receiver) -> Receiver:
    """SOF's system takes webhooks."""
    with_notices(webhooks={"sof": {"administration": "SOF", "url": receiver.url, "secrets": [NEW, OLD]}})
    return receiver


@pytest.fixture
def karla(world: Any) -> Any:
    """Karla, with a case in SOF and one in BUF; read once."""
    (child,) = world.accepted(KARLA, guardians=(MOTHER,))
    world.case(world.sof, "A-1", KARLA, State.OPEN, adviser=SANNE)
    world.case(world.buf, "B-1", KARLA, State.OPEN, adviser=BO)
    sync(world.ctx)
    return child


@dataclass
class Calls:
    """The API, as an administration's own system calls it."""

    client: Any
    bearer: Callable[..., dict[str, str]]

    def get(self, path: str, administration: str = "SOF", role: str = "source", **query: str) -> Any:
        return self.client.get(f"/api/v1/{path}", params=query, headers=self.bearer(administration, role))

    def acknowledge(self, part: str, document: str = "D-1", administration: str = "SOF") -> Any:
        headers = self.bearer(administration, "source")
        return self.client.post(f"/api/v1/journal/{part}/receipt", json={"document": document}, headers=headers)


@pytest.fixture
def calls(world: Any, tmp_path: Path) -> Iterator[Callable[[], Calls]]:
    """Opens the application as it is by then."""
    signing, opened = make_key(), ExitStack()
    (tmp_path / "jwks.json").write_text(json.dumps({"keys": [signing.as_dict(private=False)]}))
    api = Api(jwks=tmp_path / "jwks.json")

    def bearer(administration: str, role: str) -> dict[str, str]:
        asker = Asker(f"{administration}-system", f"{administration}s fagsystem", role, administration)
        return {"Authorization": f"Bearer {issue(signing, api, world.clock, asker)}"}

    def calls() -> Calls:
        world.ctx = replace(world.ctx, settings=world.ctx.settings.model_copy(update={"api": api}))
        return Calls(opened.enter_context(TestClient(build(world.ctx))), bearer)

    yield calls
    opened.close()
