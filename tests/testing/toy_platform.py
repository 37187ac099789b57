"""A platform made up for testing the kit: takes letters in JSON and tells what became of them."""

from __future__ import annotations

from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

KNOWN = "0404759986"
"""Fictitious, and the only one who can be brought letters."""


class ToyPlatform:
    """`POST /letters` (201; 409 when it has the key; 422 refused), `GET /statuses?after=N` (two at a time) and
    `GET /health`."""

    def __init__(self) -> None:
        self.letters: list[str] = []
        self.statuses: list[dict[str, Any]] = []
        self.app = Starlette(
            routes=[
                Route("/letters", self.take, methods=["POST"]),
                Route("/statuses", self.tell),
                Route("/health", lambda _: JSONResponse({"ok": True})),
            ]
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)

    async def take(self, request: Request) -> Response:
        letter = await request.json()
        if letter["key"] in self.letters:
            return JSONResponse({"id": f"sending of {letter['key']}"}, 409)
        if letter["cpr"] != KNOWN or not letter["title"]:
            return JSONResponse({"error": "not for us"}, 422)
        self.letters.append(letter["key"])
        return JSONResponse({"id": f"sending of {letter['key']}"}, 201)

    async def tell(self, request: Request) -> Response:
        after = int(request.query_params["after"])
        return JSONResponse({"statuses": self.statuses[after : after + 2], "next": min(after + 2, len(self.statuses))})

    def pass_time(self) -> None:
        told = {status["key"] for status in self.statuses}
        for key in self.letters:
            if key not in told:
                number = len(self.statuses)
                for status in ("received", "delivered"):
                    time = f"2026-03-02T09:{number:02}:00+00:00"
                    self.statuses.append({"key": key, "status": status, "time": time, "name": "Tanja Tante Prøve"})
