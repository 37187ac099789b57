"""What every route of the API has in common: who may call, how large a body may be, how a problem is said."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from pydantic import BaseModel

from hub.access.log import Asker
from hub.errors import NotAllowed

BODY_AT_MOST = 64 * 1024
"""Bytes in a body. A hundred numbers and a reason are a fifth of it."""
LENGTH_MISSING, TOO_LARGE = 411, 413
BEARER = HTTPBearer(auto_error=False, bearerFormat="JWT", description="A token of the municipality's own issuer.")
"""Says in the description of the API how to sign in; what a token is worth is asked of Tokens."""


class Bounded(APIRoute):
    """Before anything of a body is read it is known to be small: nobody fills the memory, least of all unnamed. And a
    parameter of the address that the route does not have is refused: whoever misspells one would else get all."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        names = sorted(parameter.alias for parameter in self.dependant.query_params)
        which = f"this takes only {', '.join(names)}" if names else "this takes none"

        async def bounded(request: Request) -> Response:
            # Not which: whatever stands there may be a number.
            if request.scope["query_string"] and not request.query_params.keys() <= set(names):
                return problem(422, f"query: there is a parameter that is not known here; {which}")
            if request.method == "GET":
                return await handle(request)
            length = request.headers.get("content-length", "")
            if not (length.isascii() and length.isdecimal()):
                return problem(LENGTH_MISSING, "Send Content-Length.")
            if int(length) > BODY_AT_MOST:
                return problem(TOO_LARGE, f"En forespørgsel er højst på {BODY_AT_MOST} bytes.")
            return await handle(request)

        return bounded


class Problem(BaseModel):
    """Why there is no answer."""

    detail: str


def problem(status: int, detail: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"detail": detail}, status, {"Cache-Control": "no-store", **(headers or {})})


def said(model: BaseModel) -> Response:
    """An answer that nobody keeps."""
    return Response(model.model_dump_json(), media_type="application/json", headers={"Cache-Control": "no-store"})


async def asked(request: Request) -> Asker | Response:
    """Who asks, or why they get no answer."""
    try:
        asker: Asker = await request.app.state.tokens.asked(request.headers.get("authorization"))
    except NotAllowed:
        return problem(401, "Send en gyldig bearer-token.", {"WWW-Authenticate": "Bearer"})
    return asker
