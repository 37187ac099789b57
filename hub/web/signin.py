"""Who is signed in. In the demo one chooses a person; outside it nobody can sign in here yet, and the pages say so."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse, Response

from hub.access.log import Asker
from hub.clock import today
from hub.store import tables
from hub.store.viewer import Viewer
from hub.web.pages import context, message, page
from hub.web.security import form
from hub.web.words import LANGUAGES

router = APIRouter(include_in_schema=False)
"""Only in the demo."""
LOGIN = "/demo/login"


@dataclass(frozen=True, slots=True)
class Personas:
    """Whom the demo lets one be: staff by id, guardians' labels by row id."""

    staff: dict[str, Asker] = field(default_factory=dict)
    guardians: dict[UUID, str] = field(default_factory=dict)


def personas(folder: Path) -> Personas:
    """From the file the demo writes; nobody before it is there."""
    try:
        stored = json.loads((folder / "personas.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Personas()
    staff = {
        each["id"]: Asker(each["id"], each["name"], each["role"], each.get("administration"), each.get("unit"))
        for each in stored["staff"]
    }
    return Personas(staff, {UUID(each["guardian_id"]): each["label"] for each in stored["guardians"]})


def _known(request: Request) -> Personas:
    demo = context(request).settings.demo
    return personas(demo.folder) if demo is not None else Personas()


def staff(request: Request) -> Asker | None:
    """The member of staff who is signed in."""
    return _known(request).staff.get(request.session.get("staff", ""))


def guardian(request: Request) -> UUID | None:
    """The guardian who is signed in (row id)."""
    chosen = request.session.get("guardian")
    return next((found for found in _known(request).guardians if str(found) == chosen), None)


def sign_in_first(request: Request) -> Response:
    """The answer to somebody who is not signed in."""
    if context(request).settings.demo is not None:
        return RedirectResponse(LOGIN, 303)
    return message(
        request,
        401,
        ("Du er ikke logget ind", "You are not signed in"),
        (
            "Kommunens log ind er ikke sat op på denne side endnu. Ring til kommunen, hvis du har brug for hjælp nu.",
            "The municipality's sign-in has not been set up here yet. Call the municipality if you need help now.",
        ),
    )


@router.get(LOGIN)
def choose(request: Request) -> Response:
    return page(request, "login.html", known=_known(request))


@router.post(LOGIN)
async def chosen(request: Request) -> Response:
    fields = await form(request)
    known = _known(request)
    who = fields.get("who", "")
    kind, _, chosen_id = who.partition(":")
    if kind == "staff" and chosen_id in known.staff:
        _begin(request, kind, chosen_id)
        return RedirectResponse("/personale", 303)
    if kind == "guardian" and chosen_id in {str(each) for each in known.guardians}:
        _begin(request, kind, chosen_id)
        await run_in_threadpool(_speak_as, request, UUID(chosen_id))
        return RedirectResponse("/familie", 303)
    return page(request, "login.html", status=422, known=known, missing=True)


def _begin(request: Request, kind: str, chosen_id: str) -> None:
    """A fresh session: nothing of an earlier one goes on but the language."""
    language = request.session.get("sprog")
    request.session.clear()
    if language:
        request.session["sprog"] = language
    request.session[kind] = chosen_id


@router.post("/log-ud")
async def leave(request: Request) -> Response:
    await form(request)
    request.session.clear()
    return RedirectResponse("/", 303)


def _speak_as(request: Request, guardian_id: UUID) -> None:
    """The guardian's own language, unless another has been chosen on the page."""
    if "sprog" not in request.session:
        ctx = context(request)
        with ctx.database.begin_as(Viewer(day=today(ctx.clock), guardian=guardian_id)) as session:
            row = session.get(tables.Guardian, guardian_id)
            if row is not None and row.language in LANGUAGES:
                request.session["sprog"] = row.language
