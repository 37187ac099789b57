"""How a guardian wants to be written to: their own choice, on a page of its own, and nobody else's to see.

The page is read as the guardian (hub.access.own), so the database itself has no other's choice for it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse, Response
from sqlalchemy.orm import Session

from hub.access import own
from hub.access.own import OwnChild, Shown
from hub.context import Context
from hub.contract import Points
from hub.errors import TryAgain
from hub.letters import preferences
from hub.letters.preferences import LANGUAGES, NONE, Preferences
from hub.store import tables
from hub.store.people import find_key
from hub.web import signin
from hub.web.pages import context, page
from hub.web.security import form
from hub.web.tasks import nothing_shown
from hub.web.words import Text

router = APIRouter(include_in_schema=False)
PAGE = "/familie/breve/valg"


@router.get(PAGE)
def show(request: Request, guardian_id: signin.Guardian) -> Response:
    ctx = context(request)
    try:
        disclosure = own.read(ctx.database, ctx.keys, ctx.clock, guardian_id, partial(_read, ctx, guardian_id))
    except TryAgain as error:
        return nothing_shown(request, error)
    return _page(request, disclosure.value, saved=request.session.pop("said", None) == "skrevet")


def _read(
    ctx: Context, guardian_id: UUID, session: Session, children: Mapping[UUID, OwnChild]
) -> tuple[Preferences, Shown]:
    row = session.get(tables.Preference, guardian_id)
    guardian = session.get_one(tables.Guardian, guardian_id)
    key = find_key(session, ctx.keys, guardian.key_id) if row is not None else None
    return (preferences.read(key, row) if row is not None and key is not None else NONE), {}


def _page(
    request: Request, chosen: Preferences, problems: Mapping[str, Text] | None = None, *, saved: bool = False
) -> Response:
    ctx = context(request)
    mails = ctx.settings.mailer is not None
    texts = isinstance(ctx.plugins.channels.get(ctx.settings.letters.in_order[0]), Points)
    return page(
        request,
        "preferences.html",
        status=422 if problems else 200,
        chosen=chosen,
        languages=LANGUAGES,
        problems=problems or {},
        saved=saved,
        mails=mails,
        texts=texts,
        email_at_most=preferences.EMAIL_AT_MOST,
    )


@router.post(PAGE)
async def choose(request: Request, guardian_id: signin.Guardian) -> Response:
    fields = await form(request)
    email = fields.get("email", "").strip() if fields.get("by_email") == "ja" else ""
    chosen = Preferences(
        large_print=fields.get("large_print") == "ja",
        interpreter=fields.get("interpreter") or None,
        email=email or None,
        sms=fields.get("sms") == "ja",
    )
    problems: dict[str, Text] = {}
    if fields.get("by_email") == "ja" and not preferences.is_email(email):
        problems["email"] = (
            "Skriv din mailadresse, for eksempel navn@eksempel.dk.",
            "Write your e-mail address, for example name@example.com.",
        )
    if chosen.interpreter is not None and chosen.interpreter not in LANGUAGES:
        problems["interpreter"] = ("Vælg et sprog fra listen.", "Choose a language from the list.")
    if problems:
        return _page(request, chosen, problems)
    await run_in_threadpool(preferences.choose, context(request), guardian_id, chosen)
    request.session["said"] = "skrevet"
    return RedirectResponse(PAGE, 303)
