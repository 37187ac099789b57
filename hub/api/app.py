"""The API for other systems: who is this child's coordinator?

The number comes in the body, never in the address. No coordinator, not allowed and not known are one and the same
answer. When the log cannot be written, the answer is 503 and nothing is shown.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, FastAPI, Header, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from hub.access import lookup, pace
from hub.access.log import Disclosure
from hub.access.policy import PURPOSES
from hub.api.tokens import Tokens
from hub.context import Context
from hub.errors import BadRecord, NotAllowed, TryAgain
from hub.identity import parse

router = APIRouter(prefix="/api/v1")


class LookupRequest(BaseModel):
    """`cpr` is the child's number; `purpose` one of the list; `reason` is needed where there is no case."""

    model_config = ConfigDict(extra="forbid")
    cpr: str = Field(min_length=10, max_length=12)
    purpose: str = Field(max_length=40, examples=sorted(PURPOSES))
    reason: str | None = Field(default=None, max_length=1000)
    case: str | None = Field(default=None, max_length=100)


class CoordinatorAnswer(BaseModel):
    name: str
    phone: str | None
    email: str | None
    since: datetime
    substitute: str | None


class SourceAnswer(BaseModel):
    name: str
    state: Literal["ok", "no answer", "never"]
    as_of: datetime | None


class LookupAnswer(BaseModel):
    """`help` is always there. `sources` says how fresh the hub's knowledge is, the same for every child. `entry` is
    the lookup's entry in the access log."""

    coordinator: CoordinatorAnswer | None
    help: str
    sources: list[SourceAnswer]
    entry: UUID


def help_line(phone: str) -> str:
    """The line every answer carries, whatever it says."""
    return f"Er du i tvivl, så ring til {phone}." if phone else "Er du i tvivl, så spørg din leder."


def answer(disclosure: Disclosure[lookup.Answer], phone: str) -> LookupAnswer:
    """The answer's body. It takes a Disclosure: there is none before the entry is durable."""
    shown = disclosure.value
    found = shown.coordinator
    return LookupAnswer(
        coordinator=CoordinatorAnswer(
            name=found.name, phone=found.phone, email=found.email, since=found.since, substitute=found.substitute
        )
        if found
        else None,
        help=help_line(phone),
        sources=[
            SourceAnswer.model_validate({"name": s.name, "state": s.state, "as_of": s.as_of}) for s in shown.sources
        ],
        entry=disclosure.entry,
    )


@router.post("/lookups")
async def look_up(
    body: LookupRequest, request: Request, authorization: Annotated[str | None, Header()] = None
) -> Response:
    """Look up a child's coordinator."""
    state = request.app.state
    try:
        asker = await state.tokens.asked(authorization)
    except NotAllowed:
        return _error(401, "Send en gyldig bearer-token.", {"WWW-Authenticate": "Bearer"})
    try:
        number = parse(body.cpr)
    except BadRecord as error:
        return _error(422, f"cpr: {error}")
    if body.purpose not in PURPOSES:
        return _error(422, f"purpose: use one of {', '.join(sorted(PURPOSES))}")
    question = lookup.Request(asker, state.ctx.keys.lookup_token(number.digits), body.purpose, body.reason, body.case)
    try:
        await state.pace.take(asker, [question.token], body.reason)
        disclosure = await state.lookups.ask(question)
    except pace.ReasonNeeded as error:
        return _error(422, f"reason: {error}")
    except pace.TooMany as error:
        return _error(429, str(error), {"Retry-After": str(error.after_seconds)})
    except TryAgain as error:
        return _error(503, str(error), {"Retry-After": "1"})
    made = answer(disclosure, state.ctx.settings.municipality.phone)
    return Response(made.model_dump_json(), media_type="application/json", headers={"Cache-Control": "no-store"})


def _error(status: int, detail: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"detail": detail}, status, {"Cache-Control": "no-store", **(headers or {})})


def attach(app: FastAPI, ctx: Context) -> None:
    """Put the API on an application whose `state.lookups` is the running LookupQueue."""
    app.state.ctx = ctx
    app.state.tokens = Tokens(ctx.settings.api, ctx.clock, ctx.settings.municipality.cvr)
    app.state.pace = pace.Pace(ctx.database, ctx.keys, ctx.clock, ctx.settings.access.children_an_hour)
    app.include_router(router)

    @app.exception_handler(RequestValidationError)
    async def say_what_is_wrong(_request: Request, error: RequestValidationError) -> Response:
        # FastAPI's own answer repeats the input, and a number may stand in it: also as the name of a field.
        problems = [f"{_place(problem['loc'])}: {problem['msg']}" for problem in error.errors()]
        return _error(422, "; ".join(problems))


def _place(where: tuple[str | int, ...]) -> str:
    known = [str(part) for part in where[1:] if part in LookupRequest.model_fields]
    return ".".join(known) or str(where[0])
