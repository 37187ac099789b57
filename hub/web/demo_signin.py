"""Signing in to the demo: one chooses a person."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse, Response

from hub.access.log import Asker
from hub.web import pages, sessions
from hub.web.security import form

router = APIRouter(include_in_schema=False)
"""Only in the demo."""
LOGIN = "/demo/login"


@dataclass(frozen=True, slots=True)
class Personas:
    """Whom the demo lets one be: staff by id, labels of guardians and of young persons by row id."""

    staff: dict[str, Asker] = field(default_factory=dict)
    guardians: dict[UUID, str] = field(default_factory=dict)
    young: dict[UUID, str] = field(default_factory=dict)


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
    guardians = {UUID(each["guardian_id"]): each["label"] for each in stored["guardians"]}
    return Personas(staff, guardians, {UUID(each["child_id"]): each["label"] for each in stored.get("young", ())})


def _known(request: Request) -> Personas:
    demo = pages.context(request).settings.demo
    return personas(demo.folder) if demo is not None else Personas()


def staff(request: Request) -> Asker | None:
    """The member of staff who was chosen."""
    return _known(request).staff.get(request.session.get("staff", ""))


def guardian(request: Request) -> UUID | None:
    """The guardian who was chosen (row id)."""
    chosen = request.session.get("guardian")
    return next((found for found in _known(request).guardians if str(found) == chosen), None)


def young(request: Request) -> UUID | None:
    """The young person who was chosen (row id of the child)."""
    chosen = request.session.get("young")
    return next((found for found in _known(request).young if str(found) == chosen), None)


@router.get(LOGIN)
def choose(request: Request) -> Response:
    return pages.page(request, "login.html", known=_known(request))


@router.post(LOGIN)
async def chosen(request: Request) -> Response:
    fields = await form(request)
    known = _known(request)
    kind, _, chosen_id = fields.get("who", "").partition(":")
    if kind == "staff" and chosen_id in known.staff:
        sessions.of(request).begin({"staff": chosen_id})
        return RedirectResponse("/personale", 303)
    if kind == "guardian" and chosen_id in {str(each) for each in known.guardians}:
        sessions.of(request).begin({"guardian": chosen_id})
        await run_in_threadpool(pages.speak_as, request, UUID(chosen_id))
        return RedirectResponse("/familie", 303)
    if kind == "young" and chosen_id in {str(each) for each in known.young}:
        sessions.of(request).begin({"young": chosen_id})
        return RedirectResponse("/familie/mig", 303)
    return pages.page(request, "login.html", status=422, known=known, missing=True)
