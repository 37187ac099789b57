"""The API for other systems: who is this child's coordinator?

The number comes in the body, never in the address. No coordinator, not allowed and not known are one and the same
answer. When the log cannot be written, the answer is 503 and nothing is shown.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, FastAPI, Request, Response, Security
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field

from hub.access import lookup, pace
from hub.access.log import Asker, Disclosure
from hub.access.policy import PURPOSES
from hub.api import answers, feeds, templates
from hub.api.answers import BEARER, Bounded, Problem, problem
from hub.api.tokens import Tokens
from hub.context import Context
from hub.errors import BadRecord, TryAgain
from hub.identity import Cpr, parse

AT_ONCE = 100
"""Children in one batch."""
router = APIRouter(prefix="/api/v1", route_class=Bounded, dependencies=[Security(BEARER)])


class LookupRequest(BaseModel):
    """`cpr` is the child's number; `purpose` one of the list; `reason` is needed where there is no case."""

    model_config = ConfigDict(extra="forbid")
    cpr: str = Field(min_length=10, max_length=12)
    purpose: str = Field(max_length=40, json_schema_extra={"enum": [*sorted(PURPOSES)]})
    reason: str | None = Field(default=None, max_length=1000)
    case: str | None = Field(default=None, max_length=100)


class BatchRequest(BaseModel):
    """A worklist: up to 100 children, asked for one purpose."""

    model_config = ConfigDict(extra="forbid")
    cprs: list[Annotated[str, Field(max_length=100)]] = Field(min_length=1, max_length=AT_ONCE)
    purpose: str = Field(max_length=40, json_schema_extra={"enum": [*sorted(PURPOSES)]})
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


class NoNumber(BaseModel):
    """In the place of a number that can be nobody's: what is wrong with it. It is not a lookup, and has no entry."""

    error: str


class BatchAnswer(BaseModel):
    """For each number, in the order asked, what a lookup of it alone would have given."""

    answers: list[LookupAnswer | NoNumber]


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


_PROBLEMS: dict[int | str, dict[str, Any]] = {
    400: {"model": Problem, "description": "The body cannot be read."},
    401: {"model": Problem, "description": "No good bearer token."},
    411: {"model": Problem, "description": "The body's length is not said (Content-Length)."},
    413: {"model": Problem, "description": "The body is larger than any question."},
    422: {"model": Problem, "description": "Something is wrong with the body; it is not repeated."},
    429: {
        "model": Problem,
        "description": "So many children in an hour that no more can be looked up yet.",
    },
    503: {"model": Problem, "description": "The access log cannot be written, or too many wait: try again."},
}


@router.post("/lookups", response_model=LookupAnswer, responses=_PROBLEMS)
async def look_up(body: LookupRequest, request: Request) -> Response:
    """Look up a child's coordinator."""
    asked = await _asked(request, body)
    if isinstance(asked, Response):
        return asked
    try:
        number = parse(body.cpr)
    except BadRecord as error:
        return problem(422, f"cpr: {error}")
    return await _answers(request, [_question(request, asked, body, number)], lambda made: made[0])


@router.post("/lookups/batch", response_model=BatchAnswer, responses=_PROBLEMS)
async def look_up_all(body: BatchRequest, request: Request) -> Response:
    """Look up the coordinators of up to 100 children: each is a lookup of its own, with its own entry."""
    asked = await _asked(request, body)
    if isinstance(asked, Response):
        return asked
    questions: dict[int, lookup.Request] = {}
    problems: dict[int, NoNumber] = {}
    for place, cpr in enumerate(body.cprs):
        try:
            questions[place] = _question(request, asked, body, parse(cpr))
        except BadRecord as error:
            problems[place] = NoNumber(error=f"cpr: {error}")

    def in_order(made: list[LookupAnswer]) -> BatchAnswer:
        found: dict[int, LookupAnswer | NoNumber] = dict(zip(questions, made, strict=True))
        return BatchAnswer(answers=[(found | problems)[place] for place in range(len(body.cprs))])

    return await _answers(request, list(questions.values()), in_order)


async def _asked(request: Request, body: LookupRequest | BatchRequest) -> Asker | Response:
    """Who asks, or why they get no answer."""
    asker = await answers.asked(request)
    if isinstance(asker, Response):
        return asker
    if body.purpose not in PURPOSES:
        return problem(422, f"purpose: use one of {', '.join(sorted(PURPOSES))}")
    return asker


def _question(request: Request, asker: Asker, body: LookupRequest | BatchRequest, number: Cpr) -> lookup.Request:
    token = request.app.state.ctx.keys.lookup_token(number.digits)
    return lookup.Request(asker, token, body.purpose, body.reason, body.case)


async def _answers(
    request: Request, questions: list[lookup.Request], say: Callable[[list[LookupAnswer]], BaseModel]
) -> Response:
    """What is said of the answers, all of which are there; 503 when one is not."""
    state = request.app.state
    try:
        disclosures = await state.lookups.ask_all(questions)
    except pace.ReasonNeeded as error:
        return problem(422, f"reason: {error}")
    except pace.TooMany as error:
        return problem(429, str(error), {"Retry-After": str(error.after_seconds)})
    except TryAgain as error:
        return problem(503, str(error), {"Retry-After": "1"})
    phone = state.ctx.settings.municipality.phone
    made = say([answer(disclosure, phone) for disclosure in disclosures])
    return answers.said(made)


def attach(app: FastAPI, ctx: Context) -> None:
    """Put the API on an application whose `state.lookups` is the running LookupQueue."""
    app.state.ctx = ctx
    app.state.tokens = Tokens(ctx.settings.api, ctx.clock, ctx.settings.municipality.cvr)
    app.include_router(router)
    app.include_router(templates.router)
    app.include_router(feeds.router)

    @app.exception_handler(RequestValidationError)
    async def say_what_is_wrong(_request: Request, error: RequestValidationError) -> Response:
        # FastAPI's own answer repeats the input, and a number may stand in it: also as the name of a field.
        problems = [f"{_place(one['loc'])}: {one['msg']}" for one in error.errors()]
        return problem(422, "; ".join(problems))


def _place(where: tuple[str | int, ...]) -> str:
    fields = LookupRequest.model_fields.keys() | BatchRequest.model_fields.keys() | feeds.Receipt.model_fields.keys()
    fields |= {"after", "part", "receipts"} | templates.FIELDS
    known = [str(part) for part in where[1:] if part in fields]
    return ".".join(known) or str(where[0])
