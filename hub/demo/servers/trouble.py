"""Trouble on demand: makes a server of the town be down, slow, wrong or cut short, as real sources are at times.

`trouble.json` in the town's folder says who has which: `{"sof": "down", "buf": {"slow": 0.5}}`. It is read anew when it
has changed; without it nobody has any.

- `down`: 503 to everything.
- `slow`: the right answer after 3 seconds, or after as many as `{"slow": seconds}` says.
- `wrong`: 200 with a web page instead of data, as from a proxy that wants somebody to sign in.
- `cut`: the answer stops in the middle of its first piece, and says so in no way.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path

from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

FILE = "trouble.json"
READY = "/_ready"
"""Answers 204 whatever the trouble: the server runs, and the town is loaded."""
SLOW_SECONDS = 3.0

Kind = str | Mapping[str, float]
_WORDS = ("down", "slow", "wrong", "cut")
_PAGE = "<!DOCTYPE html><html lang=da><title>Log på</title><p>Din session er udløbet. Log på igen.</html>"


def make_trouble(folder: Path, trouble: Mapping[str, Kind]) -> None:
    """Says who has trouble from now on; `{}` ends all of it. Raises ValueError for a word that means nothing."""
    for kind in trouble.values():
        _read(kind)
    beside = folder / f"{FILE}.new"
    beside.write_text(json.dumps(dict(trouble)), encoding="utf-8")
    beside.replace(folder / FILE)


def _read(kind: object) -> tuple[str, float]:
    """A word of trouble and how many seconds it takes."""
    match kind:
        case str() if kind in _WORDS:
            return kind, SLOW_SECONDS
        case {"slow": int() | float() as seconds} if seconds >= 0:
            return "slow", float(seconds)
    raise ValueError(f'in {FILE}, trouble is one of {", ".join(_WORDS)}, or {{"slow": seconds}}')


class Troubled:
    """An ASGI application with the trouble that the file has for `name`."""

    def __init__(self, app: ASGIApp, name: str, folder: Path) -> None:
        self._app = app
        self._name = name
        self._path = folder / FILE
        self._seen: tuple[int, int] | None = None
        self._trouble: tuple[str, float] | None = None

    def _now(self) -> tuple[str, float] | None:
        try:
            stat = self._path.stat()
        except FileNotFoundError:
            return None
        # The inode too: a file renamed into place within one tick of the clock has the same time as the old one.
        if self._seen != (stat.st_mtime_ns, stat.st_ino):
            kind = json.loads(self._path.read_bytes()).get(self._name)
            self._trouble = None if kind is None else _read(kind)
            self._seen = (stat.st_mtime_ns, stat.st_ino)
        return self._trouble

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["path"] == READY:
            await Response(status_code=204)(scope, receive, send)
            return
        word, seconds = self._now() or ("", 0.0)
        if word == "down":
            await PlainTextResponse("Service Unavailable", 503)(scope, receive, send)
        elif word == "wrong":
            await HTMLResponse(_PAGE)(scope, receive, send)
        else:
            if word == "slow":
                await asyncio.sleep(seconds)
            await self._app(scope, receive, _Cut(send) if word == "cut" else send)


class _Cut:
    """A `send` that lets half of the body's first piece through and swallows the rest."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._done = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            # Without its length the short answer looks whole to HTTP, and only its reader can tell.
            kept = [(name, value) for name, value in message["headers"] if name.lower() != b"content-length"]
            await self._send({**message, "headers": kept})
        elif not self._done and (message.get("body") or not message.get("more_body")):
            body = message.get("body", b"")
            self._done = True
            await self._send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": False})
