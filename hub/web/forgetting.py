"""Whole cases that may be forgotten, before two people: how many, since when, and the two yeses. No child is named."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse, Response

from hub.access.log import Asker
from hub.clock import DENMARK
from hub.errors import NotAllowed
from hub.retention import whole
from hub.web import signin
from hub.web.pages import context, message, page, speak
from hub.web.security import form

router = APIRouter(include_in_schema=False)
PAGE = "/personale/sletning"


@router.get(PAGE)
def shown(request: Request, _asker: signin.Staff) -> Response:
    asker = signin.reviewer(request)
    return _not_yours(request) if asker is None else _page(request, asker)


@router.post(PAGE)
async def agree(request: Request, _asker: signin.Staff) -> Response:
    fields = await form(request)
    asker = signin.reviewer(request)
    if asker is None:
        return _not_yours(request)
    try:
        if fields.get("act") == "fortryd":
            await run_in_threadpool(whole.take_back, context(request), asker)
            said = "fortrudt"
        elif fields.get("act") == "slet" and fields.get("sure"):
            done = await run_in_threadpool(whole.agree, context(request), asker, fields.get("which", ""))
            said = "slettet" if done == "done" else "først"
        else:
            return await run_in_threadpool(_page, request, asker, unsure=True)
    except NotAllowed:
        return await run_in_threadpool(_page, request, asker, changed=True)
    request.session["said"] = said
    return RedirectResponse(PAGE, 303)


def _page(request: Request, asker: Asker, *, unsure: bool = False, changed: bool = False) -> Response:
    ctx, t = context(request), speak(request)
    due = whole.due(ctx, asker)
    problem = unsure or changed
    return page(
        request,
        "forgetting.html",
        status=422 if problem else 200,
        here=PAGE,
        due=due,
        ended=t.day(due.ended.astimezone(DENMARK).date()) if due.ended else None,
        agreed=t.at(due.agreed) if due.agreed else None,
        years=ctx.settings.retention.case_years,
        archive=ctx.settings.retention.archive.strip(),
        unsure=unsure,
        changed=changed,
        said=None if problem else request.session.pop("said", None),
    )


def _not_yours(request: Request) -> Response:
    return message(
        request,
        403,
        ("Det er ikke dit at slette", "This is not yours to delete"),
        (
            "Hele sager slettes af en leder og logkontrollanten, eller af to ledere. Der skal altid være to.",
            "Whole cases are deleted by a leader and the auditor, or by two leaders. It always takes two.",
        ),
        back="/personale",
    )
