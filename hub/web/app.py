"""The application: pages and API in one, server-side rendered, with nothing from anywhere else and no JavaScript."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from fastapi import FastAPI, Request
from fastapi.exception_handlers import http_exception_handler
from fastapi.responses import JSONResponse, Response
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException

from hub.access.askers import KeyCache
from hub.access.lookup import LookupQueue
from hub.api.app import attach
from hub.clock import SystemClock
from hub.context import Context
from hub.signin.sessions import Sessions
from hub.store import schema
from hub.web import (
    demo_signin,
    family,
    family_choices,
    family_rights,
    forgetting,
    letters_way,
    notices,
    preferring,
    registering,
    reviewing,
    signin,
    staff,
    staff_list,
    tasks,
)
from hub.web.pages import STYLE, STYLE_PATH, message, page
from hub.web.security import HEADERS, Headers
from hub.web.sessions import Remembering
from hub.web.words import Text

log = structlog.get_logger()


def build(ctx: Context) -> FastAPI:
    """The application on a context that holds the token key. Closing the context is the caller's."""
    cache = KeyCache(ctx.database, ctx.keys, ctx.clock)
    queue = LookupQueue(ctx, cache, ensure=ctx.database.ensure)

    @asynccontextmanager
    async def writing(_app: FastAPI) -> AsyncIterator[None]:
        writer = asyncio.create_task(queue.run())
        try:
            yield
        finally:
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)

    # FastAPI's own documentation pages fetch their scripts from elsewhere, so they are off.
    app = FastAPI(
        title="Tovholder", lifespan=writing, docs_url=None, redoc_url=None, openapi_url="/api/v1/openapi.json"
    )
    app.state.ctx = ctx
    app.state.lookups = queue
    app.state.providers = signin.providers(ctx)
    demo = ctx.settings.demo
    # Whoever looks at the demo does not live in its time, which jumps by days.
    clock = SystemClock() if demo else ctx.clock
    app.add_middleware(
        Remembering,
        sessions=Sessions(ctx.database, clock, ctx.settings.signin),
        keys=ctx.keys,
        clock=clock,
        secure=demo is None,
        away=away,
    )
    app.add_middleware(Headers)
    app.add_api_route("/", front, include_in_schema=False)
    app.add_api_route("/health", health, include_in_schema=False)
    app.add_api_route(STYLE_PATH, style, include_in_schema=False)
    app.include_router(staff.router)
    app.include_router(staff_list.router)
    app.include_router(family.router)
    app.include_router(family_choices.router)
    app.include_router(family_rights.router)
    app.include_router(preferring.router)
    app.include_router(tasks.router)
    app.include_router(letters_way.router)
    app.include_router(notices.router)
    app.include_router(registering.router)
    app.include_router(reviewing.router)
    app.include_router(forgetting.router)
    app.include_router(signin.router)
    if demo is not None:
        app.include_router(demo_signin.router)
    app.add_exception_handler(HTTPException, refused)  # type: ignore[arg-type]  # starlette types it by Exception
    app.add_exception_handler(signin.SignInFirst, signin.sign_in_first)  # type: ignore[arg-type]  # as above
    app.add_exception_handler(Exception, broken)
    attach(app, ctx)
    return app


def front(request: Request) -> Response:
    """What this is, and the ways in."""
    return page(request, "front.html")


def style() -> Response:
    return Response(STYLE, media_type="text/css", headers={"Cache-Control": "public, max-age=31536000, immutable"})


def health(request: Request) -> Response:
    """For operators: does the database answer, and with which schema? Nothing about people."""
    ctx: Context = request.app.state.ctx
    try:
        with ctx.database.engine.connect() as connection:
            found, ok = schema.current(connection), schema.fits(connection)
    except SQLAlchemyError as error:
        log.warning("health: the database does not answer", error=type(error).__name__)
        return JSONResponse({"ok": False, "schema": None}, 503)
    return JSONResponse({"ok": ok, "schema": found}, 200 if ok else 503)


_SAID: dict[int, tuple[Text, Text]] = {
    403: (
        ("Vi kunne ikke tage imod det, du sendte", "We could not take what you sent"),
        (
            "Siden var blevet for gammel, eller den kom et andet sted fra. Gå tilbage, og prøv igen.",
            "The page was too old, or came from somewhere else. Go back and try again.",
        ),
    ),
    404: (
        ("Siden er her ikke", "The page is not here"),
        ("Måske er adressen skrevet forkert.", "The address may be misspelt."),
    ),
}
_ELSE: tuple[Text, Text] = (
    ("Det kunne vi ikke forstå", "We could not understand that"),
    ("Gå tilbage, og prøv igen.", "Go back and try again."),
)


async def refused(request: Request, error: HTTPException) -> Response:
    """Pages answer with a page, the API with JSON."""
    if request.url.path.startswith("/api/"):
        return await http_exception_handler(request, error)
    title, text = _SAID.get(error.status_code, _ELSE)
    return message(request, error.status_code, title, text, headers=dict(error.headers or {}))


def away(request: Request) -> Response:
    """Who is signed in stands in the database, and that does not answer."""
    log.warning("pages: the database does not answer")
    return message(
        request,
        503,
        ("Vi kan ikke vise siden lige nu", "We cannot show the page right now"),
        ("Prøv igen om et øjeblik.", "Try again in a moment."),
        headers={"Retry-After": "5"},
    )


def broken(request: Request, _error: Exception) -> Response:
    """Something of ours went wrong: say so, and nothing of what it was."""
    if request.url.path.startswith("/api/"):
        return JSONResponse({"detail": "Det gik galt hos os."}, 500, dict(HEADERS))
    return message(
        request,
        500,
        ("Det gik galt hos os", "Something went wrong on our side"),
        ("Prøv igen om et øjeblik.", "Try again in a moment."),
        headers=dict(HEADERS),
    )
