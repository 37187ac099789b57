"""Your choices on the family page: take the yes back, close for an administration and open it again, consent to health
data and take it back. Shown is what whoever reads gave and closed themselves: never what anybody else has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse, Response
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from hub import consents, family
from hub.access.own import OwnChild
from hub.clock import today
from hub.context import Context
from hub.errors import NotAllowed
from hub.identity import YOUNG, parse
from hub.store import tables
from hub.vault import CannotOpen
from hub.web import signin
from hub.web.pages import context, message, speak, text_version
from hub.web.security import form
from hub.web.words import Text, Words, day_problem

router = APIRouter(include_in_schema=False)
_TEXT = text_version("choices.html")
"""Which text of the choices a family had before them, kept with what they chose."""
ACTS: dict[str, Callable[[Context, UUID, str, consents.Speaker], None]] = {
    "luk": consents.close,
    "aabn": consents.open_again,
    "samtykke": consents.give,
    "intet-samtykke": consents.take_back,
}
"""What is said of one administration."""
_HEALTH = ("samtykke", "intet-samtykke")


@dataclass(frozen=True, slots=True)
class Office:
    """An administration by its code, and what it is called. `objected`: it is closed by an objection that a person has
    upheld."""

    code: str
    name: str
    objected: bool = False
    through: date | None = None
    """The last day of a consent that ends by itself."""


@dataclass(frozen=True, slots=True)
class PageChoices:
    """What may be chosen for a child, and what holds: of `closed`, `open_`, `given` and `not_given` only whoever reads.
    `may_give`: whether they can consent to health data (from 15 the young person does, and no guardian)."""

    child: UUID
    accepted: bool
    closed: tuple[Office, ...]
    open_: tuple[Office, ...]
    given: tuple[Office, ...]
    not_given: tuple[Office, ...]
    may_give: bool


def read_choices(
    ctx: Context,
    t: Words,
    session: Session,
    guardian_id: UUID | None,
    children: Mapping[UUID, OwnChild],
    accepted: set[UUID],
) -> dict[UUID, PageChoices]:
    """By child. `guardian_id` is None for a young person, who reads of themselves. Consent is asked of those who have
    said yes."""

    def mine(table: type[tables.Said]) -> tuple[ColumnElement[bool], ...]:
        return table.child_id.in_(children), table.guardian_id.is_not_distinct_from(guardian_id)

    closed = {
        (row.child_id, row.administration): row.objected
        for row in session.execute(
            select(
                tables.Block.child_id,
                tables.Block.administration,
                func.bool_and(tables.Block.kind == "objection").label("objected"),
            )
            .where(*mine(tables.Block), tables.Block.holds())
            .group_by(tables.Block.child_id, tables.Block.administration)
        )
    }
    held = (*mine(tables.Consent), tables.Consent.holds(ctx.clock.now()))
    given = {
        (row.child_id, row.administration): consents.last_day(row.until) if row.until is not None else None
        for row in session.execute(select(tables.Consent).where(*held)).scalars()
    }
    offices = [
        Office(code, ctx.settings.administration_name(code, t.language)) for code in ctx.settings.administrations
    ]
    found = {}
    for child in children.values():
        age = parse(child.fields["cpr"]).age(today(ctx.clock))
        asked = [each for each in offices if each.code in ctx.settings.access.health and child.id in accepted]
        found[child.id] = PageChoices(
            child.id,
            child.id in accepted,
            tuple(
                replace(each, objected=closed[child.id, each.code])
                for each in offices
                if (child.id, each.code) in closed
            ),
            tuple(each for each in offices if (child.id, each.code) not in closed),
            tuple(
                replace(each, through=given[child.id, each.code]) for each in asked if (child.id, each.code) in given
            ),
            tuple(each for each in asked if (child.id, each.code) not in given),
            guardian_id is None or age < YOUNG,
        )
    return found


@router.post("/familie/valg")
async def choose(request: Request, guardian_id: signin.Guardian) -> Response:
    """A guardian's choice for an own child."""
    fields = await form(request)
    try:
        child_id = UUID(fields.get("child", ""))
    except ValueError:
        return _not_taken(request, "/familie")
    return await _choose(request, fields, child_id, guardian_id)


@router.post("/familie/mig/valg")
async def choose_young(request: Request, young_id: signin.Young) -> Response:
    """A young person's choice for themselves."""
    return await _choose(request, await form(request), young_id, None)


async def _choose(request: Request, fields: Mapping[str, str], child_id: UUID, guardian_id: UUID | None) -> Response:
    ctx, language = context(request), speak(request).language
    back = "/familie" if guardian_id is not None else "/familie/mig"
    choice, office = fields.get("choice", ""), fields.get("administration", "")
    version = f"page:{language}:{_TEXT}"
    try:
        if choice == "tilbage":
            answerer = family.Answerer(guardian_id, "page", version, language=language)
            await run_in_threadpool(family.withdraw, ctx, child_id, answerer)
        elif choice in ACTS and office in ctx.settings.administrations:
            if choice in _HEALTH and office not in ctx.settings.access.health:
                raise NotAllowed(f"access.health of the settings does not name {office}")
            capacity: consents.Capacity = "guardian" if guardian_id is not None else "young"
            speaker = consents.Speaker(capacity, "page", version, language, guardian_id)
            if choice == "samtykke":
                until = _until(fields.get("until", ""), today(ctx.clock))
                await run_in_threadpool(consents.give, ctx, child_id, office, speaker, until)
            else:
                await run_in_threadpool(ACTS[choice], ctx, child_id, office, speaker)
        else:
            return _not_taken(request, back)
    except _BadDay as error:
        return message(
            request, 422, ("Dit valg er ikke gemt", "Your choice has not been saved"), error.problem, back=back
        )
    except (NotAllowed, CannotOpen):
        return _not_taken(request, back)
    request.session["chosen"] = {"choice": choice, "administration": office}
    return RedirectResponse(back, 303)


class _BadDay(Exception):
    """The last day of a consent cannot be that."""

    def __init__(self, problem: Text) -> None:
        super().__init__(problem[1])
        self.problem = problem


def _until(day: str, first: date) -> datetime | None:
    """When the consent ends; None where no day was chosen. Raises _BadDay."""
    problem = day_problem(day, first)
    if problem is not None:
        raise _BadDay(problem)
    return consents.through(date.fromisoformat(day)) if day else None


def chosen(request: Request) -> dict[str, str] | None:
    """What has just been chosen, for the page to say once: the choice, and the administration by its name."""
    said = request.session.pop("chosen", None)
    if said is None:
        return None
    code, ctx = said["administration"], context(request)
    name = ctx.settings.administration_name(code, speak(request).language) if code else ""
    return {"choice": said["choice"], "name": name}


def _not_taken(request: Request, back: str) -> Response:
    return message(
        request,
        409,
        ("Dit valg er ikke gemt", "Your choice has not been saved"),
        (
            "Vi kunne ikke tage imod det her. Måske gælder det allerede, eller siden er gammel. Gå tilbage, og se, "
            "hvad der gælder nu. Er du i tvivl, så ring til kommunen.",
            "We could not take this. It may hold already, or the page is old. Go back and see what holds now. If you "
            "are in doubt, call the municipality.",
        ),
        back=back,
    )
