"""The letters' texts for whoever edits them: draft, compare, approve, publish, take back (hub.letters.versions).

Each is one person's act: the token's own, and the one who approves is another than who drafted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from fastapi import APIRouter, Request, Response, Security
from fastapi.concurrency import run_in_threadpool
from fastapi.encoders import jsonable_encoder
from fastapi.responses import JSONResponse
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from hub.access.log import Asker
from hub.api.answers import BEARER, Bounded, Problem, asked, problem
from hub.context import Context
from hub.errors import NotAllowed, SettingsError, TryAgain
from hub.letters import versions

router = APIRouter(prefix="/api/v1/templates", route_class=Bounded, dependencies=[Security(BEARER)])


class Draft(BaseModel):
    """`name` is the file that the text takes the place of, such as overdue.da.md."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(max_length=60)
    text: str = Field(min_length=1, max_length=48 * 1024)


class Step(BaseModel):
    """`since`: from when it is published, or taken back; now where none is given."""

    model_config = ConfigDict(extra="forbid")
    step: Literal["approve", "publish", "roll_back"]
    since: AwareDatetime | None = None


class VersionAnswer(BaseModel):
    id: UUID
    name: str
    sha256: str
    drafted_at: datetime
    drafted_by: str | None
    approved_at: datetime | None
    approved_by: str | None
    since: datetime | None
    published_by: str | None
    current: bool


class TextAnswer(BaseModel):
    """`diff` is against what letters are written with now."""

    name: str
    text: str
    diff: str


class Done(BaseModel):
    """`version` is the version it is about; None where what was shipped holds again."""

    version: UUID | None


FIELDS = Draft.model_fields.keys() | Step.model_fields.keys()
"""Whose names an answer may repeat."""
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    400: {"model": Problem, "description": "The body cannot be read."},
    401: {"model": Problem, "description": "No good bearer token."},
    403: {"model": Problem, "description": "Not by you, or not before somebody else has approved it."},
    404: {"model": Problem, "description": "There is no such version."},
    411: {"model": Problem, "description": "The body's length is not said (Content-Length)."},
    413: {"model": Problem, "description": "The body is larger than any letter."},
    422: {"model": Problem, "description": "The text cannot be read, or breaks rules that a letter must keep."},
    503: {"model": Problem, "description": "The access log cannot be written: try again."},
}


@router.get("", response_model=list[VersionAnswer], responses=_PROBLEMS)
async def all_versions(request: Request) -> Response:
    """All that was drafted, newest first."""
    return await _answered(request, lambda ctx, asker: [asdict(one) for one in versions.versions(ctx, asker)])


@router.post("", response_model=Done, responses=_PROBLEMS)
async def draft(body: Draft, request: Request) -> Response:
    """Keep a text, to be approved by somebody else."""
    return await _answered(request, lambda ctx, asker: {"version": versions.draft(ctx, asker, body.name, body.text)})


@router.get("/{version}", response_model=TextAnswer, responses=_PROBLEMS)
async def one_version(version: UUID, request: Request) -> Response:
    """A version's text, and what it changes."""

    def read(ctx: Context, asker: Asker) -> dict[str, str]:
        name, text = versions.text_of(ctx, asker, version)
        return {"name": name, "text": text, "diff": versions.diff(ctx, asker, version)}

    return await _answered(request, read)


@router.post("/{version}/steps", response_model=Done, responses=_PROBLEMS)
async def step(version: UUID, body: Step, request: Request) -> Response:
    """Approve a version, publish it, or take back what is published of its name."""

    def take(ctx: Context, asker: Asker) -> dict[str, UUID | None]:
        if body.step == "approve":
            versions.approve(ctx, asker, version)
        elif body.step == "publish":
            versions.publish(ctx, asker, version, body.since)
        else:
            name, _ = versions.text_of(ctx, asker, version)
            return {"version": versions.roll_back(ctx, asker, name, body.since)}
        return {"version": version}

    return await _answered(request, take)


async def _answered(request: Request, act: Callable[[Context, Asker], Any]) -> Response:
    """Who asks, what they ask, or why not."""
    asker = await asked(request)
    if isinstance(asker, Response):
        return asker
    try:
        made = await run_in_threadpool(act, request.app.state.ctx, asker)
    except versions.NoSuchVersion as error:
        return problem(404, str(error))
    except (versions.NotPlain, SettingsError) as error:
        return problem(422, str(error))
    except NotAllowed as error:
        return problem(403, str(error))
    except TryAgain as error:
        return problem(503, str(error), {"Retry-After": "1"})
    return JSONResponse(jsonable_encoder(made), headers={"Cache-Control": "no-store"})
