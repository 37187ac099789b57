"""What the pages remember of a browser: of somebody signed in, in the database (hub.signin.sessions); of anybody else,
in a sealed cookie, so that a visit leaves no row.

Both are `request.session`, a dict. It is kept when it has changed.
"""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response
from sqlalchemy.exc import SQLAlchemyError
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hub.clock import Clock
from hub.signin.sessions import Sessions
from hub.vault import CannotOpen, Keys, seal_json, unseal_json

NAME = "tovholder"
VISIT = timedelta(hours=8)
"""How long a visit without sign-in is remembered."""
_LONGEST = 3800
"""Characters of a cookie's value: browsers drop one of more than 4096 bytes, name and all."""
_ABOUT = "visit"
_NOBODY_ASKS = ("/api/", "/health", "/hub-")
"""Addresses that are the same for everybody, or ask for a token of their own."""


class Session(dict[str, Any]):
    """What is kept for one browser. `begin` and `end` take effect with the answer."""

    def __init__(self, content: dict[str, Any] | None = None, secret: str | None = None) -> None:
        super().__init__(content or {})
        self.secret = secret
        """Of the sign-in it was read from; None for a visit."""
        self.before = json.dumps(self)
        self.begins = self.ends = False

    def begin(self, content: dict[str, Any]) -> None:
        """Somebody has signed in: a new session, of which nothing was known before. Only the language goes on."""
        kept = {"sprog": self["sprog"]} if "sprog" in self else {}
        self.clear()
        self.update(kept | content)
        self.begins, self.ends = True, False

    def end(self) -> None:
        """Signed out: the row goes, wherever the cookie is. The language stays."""
        kept = {"sprog": self["sprog"]} if "sprog" in self else {}
        self.clear()
        self.update(kept)
        self.begins, self.ends = False, True


def of(request: Request) -> Session:
    """The session of a request."""
    found = request.session
    assert isinstance(found, Session)  # noqa: S101 - put there by Remembering
    return found


class Remembering:
    """Reads `request.session` before a page, and keeps it with the answer."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        sessions: Sessions,
        keys: Keys,
        clock: Clock,
        secure: bool,
        away: Callable[[Request], Response],
    ) -> None:
        """`secure`: cookies for https alone, bound to this host. `away` answers when the database is not there."""
        self._app, self._sessions, self._clock, self._secure, self._away = app, sessions, clock, secure, away
        prefix = "__Host-" if secure else ""
        self._name, self._visit = f"{prefix}{NAME}", f"{prefix}{NAME}-visit"
        self._key = hmac.digest(keys.reference, b"tovholder visit", "sha256")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(_NOBODY_ASKS):
            scope["session"] = Session()
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        cookies = request.cookies
        scope["session"] = self._opened(cookies.get(self._visit))
        try:
            await self._signed_in(scope, cookies.get(self._name))
        except SQLAlchemyError:
            await self._away(request)(scope, receive, send)
            return
        session: Session = scope["session"]

        async def keeping(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for cookie in await self._keep(session, had_cookie=self._name in cookies):
                    headers.append("set-cookie", cookie)
            await send(message)

        await self._app(scope, receive, keeping)

    async def _signed_in(self, scope: Scope, secret: str | None) -> None:
        if secret:
            content = await run_in_threadpool(self._sessions.load, secret)
            if content is not None:
                scope["session"] = Session(content, secret)

    async def _keep(self, session: Session, *, had_cookie: bool) -> list[str]:
        """Keep what has changed; gives the cookies to set."""
        if session.begins:
            if session.secret is not None:
                await run_in_threadpool(self._sessions.end, session.secret)
            secret = await run_in_threadpool(self._sessions.begin, dict(session))
            return [self._cookie(self._name, secret), self._cookie(self._visit, "", gone=True)]
        if session.ends:
            if session.secret is not None:
                await run_in_threadpool(self._sessions.end, session.secret)
            return [self._cookie(self._name, "", gone=True), self._cookie(self._visit, self._sealed(session))]
        gone = [self._cookie(self._name, "", gone=True)] if had_cookie and session.secret is None else []
        if json.dumps(session) == session.before:
            return gone
        if session.secret is not None:
            await run_in_threadpool(self._sessions.save, session.secret, dict(session))
            return gone
        return [*gone, self._cookie(self._visit, self._sealed(session))]

    def _sealed(self, session: Session) -> str:
        kept = {"at": self._clock.now().isoformat(), "is": dict(session)}
        value = base64.urlsafe_b64encode(seal_json(self._key, kept, _ABOUT)).decode()
        if len(value) > _LONGEST:
            raise ValueError("a visit holds more than a cookie can")
        return value

    def _opened(self, value: str | None) -> Session:
        if value is None:
            return Session()
        try:
            kept = unseal_json(self._key, base64.urlsafe_b64decode(value), _ABOUT)
        except (CannotOpen, ValueError):
            return Session()
        old = abs(self._clock.now() - datetime.fromisoformat(kept["at"])) > VISIT
        return Session() if old else Session(kept["is"])

    def _cookie(self, name: str, value: str, *, gone: bool = False) -> str:
        secure = "; Secure" if self._secure else ""
        return f"{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{'; Max-Age=0' if gone else ''}"
