"""A real HTTP server on 127.0.0.1 in front of the other side of a plugin: keeps every request, and makes trouble when
told, as real systems do at times.

The other side itself is an ASGI application: a few lines of Starlette with recorded answers, or a whole simulation.
"""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import unquote_plus

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_START_SECONDS = 10.0
_LONGEST_SILENCE = 30.0
ASKED_TO_WAIT = 7
"""What `Trouble.BUSY` asks a client to wait (seconds)."""
ELSEWHERE = "/elsewhere"
"""Where `Trouble.ELSEWHERE` leads."""


class Trouble(StrEnum):
    """What can be wrong with a system that is asked."""

    SILENT = "silent"
    """It takes the request, and nothing comes of it: no answer."""
    LOST = "lost"
    """It does what it was asked, and the answer never comes."""
    DOWN = "down"
    """503 to everything."""
    BUSY = "busy"
    """429, with Retry-After."""
    LOCKED = "locked"
    """403: our access is wrong."""
    WRONG = "wrong"
    """200 with a web page instead of data, as from a proxy that wants somebody to sign in."""
    CUT = "cut"
    """Half of the answer, which looks whole to HTTP."""
    BROKEN = "broken"
    """The connection ends in the middle of the answer."""
    ELSEWHERE = "elsewhere"
    """307 to another address."""


_PAGE = b"<!DOCTYPE html><html lang=da><title>Log ind</title><p>Din session er afsluttet.</html>"


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked. `path` and `query` are without percent signs, header names in lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(slots=True)
class _Answer:
    status: int = 200
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""


class Front:
    """The server. `url` is its address, without a slash at the end; `requests` what it was asked since `serve`."""

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[Request] = []
        self._behind: ASGIApp | None = None
        self._changes: list[Callable[[bytes], bytes]] = []
        self._trouble: Trouble | None = None
        self._from = 0

    def serve(self, behind: ASGIApp | None) -> None:
        """Put another application behind the front; requests, changes and trouble begin anew. None answers 404."""
        self.well()
        self._behind, self.requests, self._changes = behind, [], []

    def trouble(self, kind: Trouble, *, after: int = 0) -> None:
        """Answer like this from now on, when `after` more requests have been answered well."""
        self._trouble, self._from = kind, len(self.requests) + after

    def well(self) -> None:
        """No trouble any more; who still waits for an answer gets none."""
        self._trouble = None

    def change(self, how: Callable[[bytes], bytes]) -> None:
        """Give every answer's body to `how` from now on, and send what comes back."""
        self._changes.append(how)

    def rewrite(self, old: bytes, new: bytes) -> None:
        """Put `new` in place of `old` in every answer from now on. Choose an `old` that is in one record only."""
        self.change(lambda body: body.replace(old, new))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(
            scope["method"],
            scope["path"],
            unquote_plus(scope["query_string"].decode("latin-1")),
            {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]},
            await _body(receive),
        )
        number = len(self.requests)
        self.requests.append(request)
        kind = self._trouble if number >= self._from else None
        if kind in (None, Trouble.LOST, Trouble.CUT, Trouble.BROKEN):
            answer = await self._ask(scope, request.body)
        else:
            answer = _instead(kind)
        if kind in (Trouble.SILENT, Trouble.LOST):
            await self._silence()
            return
        await _give(send, answer, kind)

    async def _ask(self, scope: Scope, body: bytes) -> _Answer:
        """What the application behind says to a request."""
        answer = _Answer()
        if self._behind is None:
            return _Answer(404)
        given = False

        async def receive() -> Message:
            nonlocal given
            if given:
                await asyncio.sleep(_LONGEST_SILENCE)
                return {"type": "http.disconnect"}
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer.status = message["status"]
                answer.headers = [
                    (name, value) for name, value in message.get("headers", []) if name.lower() != b"content-length"
                ]
            elif message["type"] == "http.response.body":
                answer.body += message.get("body", b"")

        await self._behind(scope, receive, send)
        for how in self._changes:
            answer.body = how(answer.body)
        return answer

    async def _silence(self) -> None:
        end = time.monotonic() + _LONGEST_SILENCE
        while self._trouble is not None and time.monotonic() < end:
            await asyncio.sleep(0.02)


async def _body(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


def _instead(kind: Trouble | None) -> _Answer:
    """The answer of a server that has this trouble."""
    match kind:
        case Trouble.DOWN:
            return _Answer(503, body=b"Service Unavailable")
        case Trouble.BUSY:
            return _Answer(429, [(b"retry-after", str(ASKED_TO_WAIT).encode())])
        case Trouble.LOCKED:
            return _Answer(403)
        case Trouble.ELSEWHERE:
            return _Answer(307, [(b"location", ELSEWHERE.encode())])
        case _:
            return _Answer(200, [(b"content-type", b"text/html; charset=utf-8")], _PAGE)


async def _give(send: Send, answer: _Answer, kind: Trouble | None) -> None:
    body = answer.body[: len(answer.body) // 2] if kind in (Trouble.CUT, Trouble.BROKEN) else answer.body
    # Of a broken answer the length is that of the whole, so that HTTP sees that it is not.
    length = len(body) + 1_000 if kind is Trouble.BROKEN else len(body)
    headers = [*answer.headers, (b"content-length", str(length).encode())]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@contextmanager
def running() -> Iterator[Front]:
    """A front that listens on a free port, in a thread of its own."""
    front = Front()
    # With the protocol named, asyncio turns Nagle's algorithm off; without, each answer waits 40 ms for an ACK.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        front.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        config = uvicorn.Config(
            front, lifespan="off", ws="none", log_config=None, log_level="critical", access_log=False
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        end = time.monotonic() + _START_SECONDS
        while not server.started:
            if time.monotonic() > end or not thread.is_alive():
                raise RuntimeError("the server in front of the source did not start")
            time.sleep(0.005)
        try:
            yield front
        finally:
            front.well()
            server.should_exit = server.force_exit = True
            thread.join(_START_SECONDS)


Address = tuple[str, int | None]
_watchers: list[set[Address]] = []
_hooked = threading.Lock()
_hooks: list[bool] = []


def _note(event: str, args: tuple[Any, ...]) -> None:
    if not _watchers:
        return
    if event == "socket.connect" and isinstance(args[1], tuple):
        address: Address = (str(args[1][0]), int(args[1][1]))
    elif event == "socket.getaddrinfo":
        # A name that leads nowhere never gets as far as a connection.
        address = (str(args[0]), int(args[1]) if str(args[1]).isdecimal() else None)
    else:
        return
    for found in _watchers:
        found.add(address)


@contextmanager
def watching() -> Iterator[set[Address]]:
    """The addresses (host and port) that this process connects to, or looks up, while the block runs."""
    with _hooked:
        if not _hooks:  # Python cannot take an audit hook away again, so there is one for all
            sys.addaudithook(_note)
            _hooks.append(True)
    found: set[Address] = set()
    _watchers.append(found)
    try:
        yield found
    finally:
        # By identity: two sets with the same addresses are equal.
        _watchers[:] = [other for other in _watchers if other is not found]
