"""A real HTTP server on 127.0.0.1 in front of the other side of a plugin: keeps every request, and makes trouble when
told, as real systems do at times.

The other side itself is an ASGI application: a few lines of Starlette with recorded answers, or a whole simulation.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import unquote_plus

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hub.testing.addresses import Address, watching
from hub.testing.trouble import ASKED, ASKED_TO_WAIT, ROUNDS, Answer, Trouble, give, instead

__all__ = ["ASKED_TO_WAIT", "Address", "Front", "Request", "Trouble", "running", "watching"]

_START_SECONDS = 10.0
_LONGEST_SILENCE = 30.0


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked. `path` and `query` are without percent signs, header names in lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


class Front:
    """The server. `url` is its address, without a slash at the end; `requests` what it was asked since `serve`."""

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[Request] = []
        self._behind: ASGIApp | None = None
        self._changes: list[Callable[[bytes], bytes]] = []
        self._trouble: Trouble | None = None
        self._from = 0
        self._first: Answer | None = None

    def serve(self, behind: ASGIApp | None) -> None:
        """Put another application behind the front; requests, changes and trouble begin anew. None answers 404."""
        self.well()
        self._behind, self.requests, self._changes = behind, [], []

    def trouble(self, kind: Trouble, *, after: int = 0) -> None:
        """Answer like this from now on, when `after` more requests have been answered well."""
        self._trouble, self._from, self._first = kind, len(self.requests) + after, None

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
        if kind is Trouble.EXPIRED and number > self._from:
            kind = None
        if kind in (Trouble.SILENT, Trouble.LOST):
            if kind is Trouble.LOST:
                await self._ask(scope, request.body)
            await self._silence()
            return
        if kind is Trouble.CIRCLE:
            answer = await self._again(scope, request.body, number - self._from)
        elif kind is None or kind in ASKED:
            answer = await self._ask(scope, request.body)
        else:
            answer = instead(kind)
        end = time.monotonic() + _LONGEST_SILENCE
        await give(send, answer, kind, lambda: self._trouble is kind and time.monotonic() < end)

    async def _again(self, scope: Scope, body: bytes, round_: int) -> Answer:
        """The first answer since the trouble began."""
        if self._first is None:
            self._first = await self._ask(scope, body)
        return instead(Trouble.DOWN) if round_ >= ROUNDS else self._first

    async def _ask(self, scope: Scope, body: bytes) -> Answer:
        """What the application behind says to a request."""
        answer = Answer()
        if self._behind is None:
            return Answer(404)
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
