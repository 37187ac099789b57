"""The hub's application in a process of its own, with two more routes beside it: what a lookup is compared with.

`python -m bench.lookup_server SETTINGS --fd N` serves on a listening socket that the bench hands over, and ends when
the bench does. Both routes take the lookup's own body and token and stand in the same application behind the same
middleware, so that only what they do differs.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import uvicorn
from fastapi import FastAPI, Header, Request, Response
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from bench.one_by_one import look_up
from hub.access import lookup
from hub.access.askers import KeyCache
from hub.access.deciding import Decider
from hub.access.log import Asker, Disclosure
from hub.api.app import LookupRequest, answer
from hub.context import Context, build
from hub.identity import parse
from hub.settings import Settings
from hub.web import app as web

CONSTANT, ONE_BY_ONE = "/bench/constant", "/bench/one-by-one"
THREADS = 40
"""As many as the thread pool of a synchronous route has: each gets a connection, so none waits for one."""


def application(ctx: Context) -> FastAPI:
    """The hub's own application, with the two routes."""
    app = web.build(ctx)
    _add_constant(app, ctx)
    _add_one_by_one(app, ctx)
    return app


def _asker(app: FastAPI, authorization: str | None) -> Asker:
    asker: Asker = app.state.tokens.check((authorization or "").partition(" ")[2])
    return asker


def _send(body: str) -> Response:
    return Response(body, media_type="application/json", headers={"Cache-Control": "no-store"})


def _add_constant(app: FastAPI, ctx: Context) -> None:
    now = ctx.clock.now()
    found = lookup.Coordinator("Mette Holm 1", "12340001", "k1@tovby.example", now, None)
    names = ("buf_case", "cpr_custody", "sof_case", "suf_cura")
    shown = lookup.Answer(found, tuple(lookup.Source(name, "ok", now) for name in names))
    made = answer(Disclosure(shown, UUID(int=0)), ctx.settings.municipality.phone).model_dump_json()

    @app.post(CONSTANT)
    async def constant(
        body: LookupRequest, request: Request, authorization: Annotated[str | None, Header()] = None
    ) -> Response:
        _asker(request.app, authorization)
        return _send(made)


def _add_one_by_one(app: FastAPI, ctx: Context) -> None:
    cache = KeyCache(ctx.database, ctx.keys, ctx.clock)
    decider = Decider(ctx.keys, ctx.settings)
    # Without the check of a connection before each use, which the hub's own pool makes: one round trip less.
    engine = create_engine(ctx.database.app_url, pool_size=THREADS)

    @app.post(ONE_BY_ONE)
    def one_by_one(
        body: LookupRequest, request: Request, authorization: Annotated[str | None, Header()] = None
    ) -> Response:
        asker = _asker(request.app, authorization)
        token = ctx.keys.lookup_token(parse(body.cpr).digits)
        question = lookup.Request(asker, token, body.purpose, body.reason, body.case)
        with Session(engine) as session, session.begin():
            shown = look_up(session, decider, cache, question, ctx.clock.now())
        return _send(answer(shown, ctx.settings.municipality.phone).model_dump_json())


def _end_with_bench() -> None:
    """Standard input is a pipe that only the bench holds."""
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.lookup_server")
    parser.add_argument("settings", type=Path, help="the settings as JSON")
    parser.add_argument("--fd", type=int, required=True)
    given = parser.parse_args()
    threading.Thread(target=_end_with_bench, daemon=True).start()
    ctx = build(Settings.model_validate_json(given.settings.read_bytes()), with_token=True)
    try:
        options: dict[str, Any] = {"access_log": False, "log_level": "warning", "server_header": False}
        uvicorn.Server(uvicorn.Config(application(ctx), **options)).run(sockets=[socket.socket(fileno=given.fd)])
    finally:
        ctx.close()


if __name__ == "__main__":
    main()
