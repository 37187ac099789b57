"""Looks with a written reason, before the leader of whoever looked, and the auditor: the list, and the verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse, Response

from hub import reviews
from hub.access.log import Asker, Disclosure
from hub.errors import NotAllowed, TryAgain
from hub.web import signin
from hub.web.pages import context, message, page, speak
from hub.web.security import form
from hub.web.tasks import nothing_shown
from hub.web.words import Text

router = APIRouter(include_in_schema=False)
LIST = "/personale/gennemgang"
NOTE_AT_MOST = 1000
"""Characters."""
VERDICTS: dict[str, reviews.Verdict] = {"i-orden": "right", "ikke-i-orden": "wrong"}


@dataclass(frozen=True, slots=True)
class Slip:
    """A verdict that could not be taken: of which task, what was written, and what is wrong, by field."""

    task: UUID
    fields: Mapping[str, str]
    problems: Mapping[Literal["verdict", "note"], Text]


@router.get(LIST)
def listed(request: Request, _asker: signin.Staff) -> Response:
    return _list(request, None)


@router.post(LIST + "/{task_id:uuid}")
async def settle(request: Request, task_id: UUID, _asker: signin.Staff) -> Response:
    fields = await form(request)
    asker = signin.reviewer(request)
    if asker is None:
        return _not_yours(request)
    problems = _problems(fields)
    if problems:
        return await run_in_threadpool(_list, request, Slip(task_id, fields, problems))
    verdict = VERDICTS[fields["verdict"]]
    try:
        told = await run_in_threadpool(
            reviews.settle, context(request), asker, task_id, verdict, fields.get("note", "")
        )
    except NotAllowed:
        return _not_yours(request)
    request.session["said"] = "gennemgået" if told else "gemt"
    return RedirectResponse(LIST, 303)


def _problems(fields: Mapping[str, str]) -> dict[Literal["verdict", "note"], Text]:
    """What must be put right. That something was not in order is said with words; else they may be left out."""
    problems: dict[Literal["verdict", "note"], Text] = {}
    note = fields.get("note", "").strip()
    if fields.get("verdict") not in VERDICTS:
        problems["verdict"] = ("Vælg, om opslaget var i orden.", "Choose whether the lookup was in order.")
    if len(note) > NOTE_AT_MOST or (fields.get("verdict") == "ikke-i-orden" and not note):
        problems["note"] = (
            f"Skriv, hvad der ikke var i orden, højst {NOTE_AT_MOST} tegn.",
            f"Write what was not in order, at most {NOTE_AT_MOST} characters.",
        )
    return problems


def _list(request: Request, slip: Slip | None) -> Response:
    """The list is a look of its own."""
    asker = signin.reviewer(request)
    if asker is None:
        return _not_yours(request)
    try:
        disclosure = reviews.waiting(context(request), asker)
    except TryAgain as error:
        return nothing_shown(request, error)
    return _page(request, asker, disclosure, slip)


def _page(request: Request, asker: Asker, disclosure: Disclosure[list[reviews.Review]], slip: Slip | None) -> Response:
    ctx = context(request)
    if slip is not None and slip.task not in {one.task for one in disclosure.value}:
        return _not_yours(request)
    return page(
        request,
        "reviews.html",
        status=200 if slip is None else 422,
        here=LIST,
        reviews=disclosure.value,
        late=sum(one.late for one in disclosure.value),
        audits=reviews.AUDITOR in asker.roles,
        entry=disclosure.entry,
        purposes=speak(request).purposes,
        name=ctx.settings.administration_name,
        slip=slip,
        note_at_most=NOTE_AT_MOST,
        said=request.session.pop("said", None) if slip is None else None,
    )


def _not_yours(request: Request) -> Response:
    return message(
        request,
        403,
        ("Opslaget er ikke dit at gennemgå", "The lookup is not yours to review"),
        (
            "Opslag med en begrundelse gennemgås af lederen for den, der slog op, og af logkontrollanten. Har en leder "
            "slået op, er det logkontrollanten alene. Man gennemgår aldrig sine egne.",
            "Lookups with a reason are reviewed by the leader of whoever looked, and by the auditor. Those of a leader "
            "by the auditor alone. Nobody reviews their own.",
        ),
        back="/personale",
    )
