"""The tasks of staff: what is theirs to do and by when. Opening one is a look; what a family asked is answered here."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any
from uuid import UUID

import structlog
from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse, Response

from hub import reviews, rights
from hub.access import viewers
from hub.access.log import Asker, Disclosure
from hub.cases.holders import NO_GUARDIAN
from hub.clock import today
from hub.coordination import tasklist
from hub.errors import NotAllowed, TryAgain
from hub.web import signin
from hub.web.pages import context, message, page
from hub.web.security import form
from hub.web.task_words import TASKS, TASKS_ELSE
from hub.web.words import Text

log = structlog.get_logger()
router = APIRouter(include_in_schema=False)
LIST = "/personale/opgaver"


def _words(kind: str) -> tuple[Text, Text]:
    return TASKS.get(kind, TASKS_ELSE)


@router.get(LIST)
def listed(request: Request, asker: signin.Staff) -> Response:
    ctx = context(request)
    with viewers.begin_as(ctx.database, ctx.keys, ctx.clock, asker) as session:
        waiting, count = tasklist.waiting(ctx, session, asker)
    reviewer, late = signin.reviewer(request), 0
    if reviewer is not None:
        with viewers.begin_as(ctx.database, ctx.keys, ctx.clock, reviewer) as session:
            late = reviews.late(ctx, session, reviewer).total()
    return page(
        request,
        "tasks.html",
        tasks=waiting,
        more=count - len(waiting),
        words=_words,
        name=ctx.settings.administration_name,
        day=today(ctx.clock),
        reviews=reviewer is not None,
        reviews_late=late,
        said=request.session.pop("said", None),
    )


@router.get(LIST + "/{task_id:uuid}")
def one(request: Request, task_id: UUID, asker: signin.Staff) -> Response:
    try:
        disclosure = tasklist.look(context(request), asker, task_id)
    except TryAgain as error:
        return nothing_shown(request, error)
    return _one(request, disclosure)


def _one(
    request: Request,
    disclosure: Disclosure[tasklist.Opened | None],
    problem: Text | None = None,
    text: str = "",
    closes: Collection[str] = (),
) -> Response:
    opened, ctx = disclosure.value, context(request)
    if opened is None:
        return _gone(request)
    return page(
        request,
        "task.html",
        status=200 if problem is None else 422,
        here=LIST,
        opened=opened,
        words=_words(opened.task.kind),
        finishable=not opened.asked and opened.task.kind != NO_GUARDIAN,
        entry=disclosure.entry,
        problem=problem,
        text=text,
        text_at_most=rights.TEXT_AT_MOST,
        offices=tuple(ctx.settings.administrations)
        if opened.task.kind == rights.OBJECTION and opened.has_child
        else (),
        name=ctx.settings.administration_name,
        closes=closes,
        day=today(ctx.clock),
    )


@router.post(LIST + "/{task_id:uuid}/svar")
async def answer(request: Request, task_id: UUID, asker: signin.Staff) -> Response:
    fields = await form(request)
    text = fields.get("text", "").strip()
    closes = [code for code in context(request).settings.administrations if f"luk-{code}" in fields]

    async def again(problem: Text) -> Response:
        try:
            disclosure = await run_in_threadpool(tasklist.look, context(request), asker, task_id)
        except TryAgain as error:
            return nothing_shown(request, error)
        return _one(request, disclosure, problem, text, closes)

    if not 1 <= len(text) <= rights.TEXT_AT_MOST:
        return await again(
            (
                f"Skriv svaret til familien, højst {rights.TEXT_AT_MOST} tegn.",
                f"Write the answer to the family, at most {rights.TEXT_AT_MOST} characters.",
            )
        )
    try:
        return await _act(request, "svaret", rights.answer, task_id, asker, text, closes)
    except rights.NoSay:
        closes = []
        return await again(
            (
                "Den, der gjorde indsigelse, taler ikke længere for barnet, så du kan ikke lukke. Svar uden at lukke.",
                "Whoever objected no longer speaks for the child, so you cannot close. Answer without closing.",
            )
        )


@router.post(LIST + "/{task_id:uuid}/faerdig")
async def done(request: Request, task_id: UUID, asker: signin.Staff) -> Response:
    await form(request)
    return await _act(request, "færdig", rights.finish, task_id, asker)


async def _act(
    request: Request, said: str, act: Callable[..., None], task_id: UUID, asker: Asker, *more: Any
) -> Response:
    try:
        await run_in_threadpool(act, context(request), task_id, asker, *more)
    except rights.NoSay:
        raise
    except NotAllowed:
        return _gone(request)
    request.session["said"] = said
    return RedirectResponse(LIST, 303)


def _gone(request: Request) -> Response:
    return message(
        request,
        404,
        ("Opgaven er her ikke", "The task is not here"),
        (
            "Den er løst, eller den er ikke din. Se listen over dine opgaver.",
            "It is done, or it is not yours. See the list of your tasks.",
        ),
        back=LIST,
    )


def nothing_shown(request: Request, error: TryAgain) -> Response:
    """The answer where the access log cannot be written."""
    log.warning("staff page: the access log is not available", cause=type(error.__cause__ or error).__name__)
    return message(
        request,
        503,
        ("Vi kan ikke vise det lige nu", "We cannot show this right now"),
        (
            "Det kunne ikke skrives i loggen, og derfor viser vi ingenting. Prøv igen om et øjeblik.",
            "It could not be written in the log, so we show nothing. Try again in a moment.",
        ),
        headers={"Retry-After": "5"},
        back=LIST,
    )
