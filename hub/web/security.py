"""What guards the pages: headers on every answer, and forms that come from our own pages only."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlsplit

from fastapi import HTTPException, Request
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

CONTENT_SECURITY = "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": CONTENT_SECURITY,
    # With no-referrer a browser sends `Origin: null` with our own forms, and the check of where a form comes from would
    # have nothing to go by. To other sites this says as little.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    # Over plain http a browser passes over it, so the demo on this machine goes on as it is.
    "Strict-Transport-Security": "max-age=31536000",
}
FORM_AT_MOST = 16 * 1024
"""Bytes in the body of a form."""
_LONGEST_PATH = 200
TOO_LARGE, NOT_A_FORM, FOREIGN = 413, 415, 403


class Headers:
    """Adds the headers to every answer that has not set its own."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, with_headers if scope["type"] == "http" else send)


def csrf_token(request: Request) -> str:
    """The session's token, that every form carries; made the first time."""
    if "csrf" not in request.session:
        request.session["csrf"] = secrets.token_urlsafe(32)
    return str(request.session["csrf"])


async def form(request: Request) -> dict[str, str]:
    """The fields of a form from one of our own pages: it carries the session's token, and the browser says that it
    comes from here. Raises HTTPException: 413 too large, 415 not a form, 403 not from here."""
    length = request.headers.get("content-length", "")
    if not length.isdigit() or int(length) > FORM_AT_MOST:
        raise HTTPException(TOO_LARGE)
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
        raise HTTPException(NOT_A_FORM)
    origin = urlsplit(request.headers.get("origin", "")).netloc
    if not origin or origin != request.headers.get("host"):
        raise HTTPException(FOREIGN)
    try:
        fields = dict(parse_qsl((await request.body()).decode(), keep_blank_values=True, max_num_fields=20))
    except ValueError as error:
        raise HTTPException(NOT_A_FORM) from error
    known = request.session.get("csrf")
    if not known or not secrets.compare_digest(known.encode(), fields.pop("csrf", "").encode()):
        raise HTTPException(FOREIGN)
    return fields


def own_path(path: str | None) -> str | None:
    """A path of these pages, to go on to after sign-in; None for anything that may lead elsewhere."""
    if not path or len(path) > _LONGEST_PATH or not (path.isascii() and path.isprintable() and path.startswith("/")):
        return None
    parts = urlsplit(path)
    # A browser takes a backslash for a slash, and two slashes for another host.
    if "\\" in path or path.startswith("//") or parts.scheme or parts.netloc or parts.query or parts.fragment:
        return None
    return path
