"""Where a system of the town takes webhooks: it checks the signature as any receiver would, and writes down the id.

`POST /advis`; what has come is in `NAME-advis.txt` of the town's folder, a line each time, also when it came twice.
"""

from __future__ import annotations

import base64
import hmac
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

PATH = "/advis"
SECRET = "whsec_" + base64.b64encode(b"Tovby Kommunes hemmelighed nr. 1").decode()
"""The town's; nothing in it is real."""


def received(folder: Path, name: str) -> list[str]:
    """The ids that have come, in order."""
    path = folder / f"{name}-advis.txt"
    return path.read_text(encoding="ascii").split() if path.exists() else []


class Receiving:
    """An ASGI application that takes webhooks too."""

    def __init__(self, app: ASGIApp, name: str, folder: Path) -> None:
        self._app, self._path = app, folder / f"{name}-advis.txt"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (scope["method"], scope["path"]) == ("POST", PATH):
            answer = await self._take(Request(scope, receive))
            await answer(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _take(self, request: Request) -> Response:
        key, stamp = request.headers.get("webhook-id", ""), request.headers.get("webhook-timestamp", "")
        signed = f"{key}.{stamp}.".encode() + await request.body()
        digest = hmac.digest(base64.b64decode(SECRET.removeprefix("whsec_")), signed, "sha256")
        wanted = "v1," + base64.b64encode(digest).decode("ascii")
        given = request.headers.get("webhook-signature", "").split()
        if not any(hmac.compare_digest(wanted, one) for one in given):
            return Response(status_code=401)
        with self._path.open("a", encoding="ascii") as file:
            file.write(f"{key}\n")
        return Response(status_code=204)
