"""How a guardian, or a young person, wants to be written to: their own choice, on a page of its own, and nobody
else's to see.

The page is read as whoever looks (hub.access.own), so the database itself has no other's choice for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse, Response
from sqlalchemy.orm import Session

from hub.access import own
from hub.access.log import Disclosure
from hub.access.own import OwnChild, Shown
from hub.clock import Clock
from hub.context import Context
from hub.contract import Points
from hub.errors import TryAgain
from hub.letters import preferences
from hub.letters.preferences import LANGUAGES, NONE, Preferences
from hub.letters.templates import FALL_BACK, languages
from hub.store import tables
from hub.store.database import Database
from hub.store.people import find_key
from hub.vault import Keys
from hub.web import signin
from hub.web.family_letters import own_reader
from hub.web.pages import context, page
from hub.web.security import form
from hub.web.tasks import nothing_shown
from hub.web.words import Text

router = APIRouter(include_in_schema=False)
PAGE, MINE = "/familie/breve/valg", "/familie/mig/breve/valg"
Chosen = tuple[Preferences, str]
"""And the language of the letters."""


@router.get(PAGE)
def show(request: Request, guardian_id: signin.Guardian) -> Response:
    """A guardian's choice."""
    return _show(request, guardian_id, own.read, partial(_read, context(request), guardian_id))


@router.get(MINE)
def show_young(request: Request, young_id: signin.Young) -> Response:
    """A young person's own."""
    return _show(request, young_id, own.read_young, partial(_read, context(request), None))


def _show(
    request: Request,
    who: UUID,
    read: Callable[[Database, Keys, Clock, UUID, own.Reader[Chosen]], Disclosure[Chosen]],
    reader: own.Reader[Chosen],
) -> Response:
    ctx = context(request)
    try:
        disclosure = read(ctx.database, ctx.keys, ctx.clock, who, reader)
    except TryAgain as error:
        return nothing_shown(request, error)
    return _page(request, *disclosure.value, saved=request.session.pop("said", None) == "skrevet")


def _read(
    ctx: Context, guardian_id: UUID | None, session: Session, children: Mapping[UUID, OwnChild]
) -> tuple[Chosen, Shown]:
    """`guardian_id` is None for a young person: theirs is kept with the row that they are written to."""
    person = guardian_id or own_reader(ctx, session, children)
    guardian = session.get(tables.Guardian, person) if person is not None else None
    if guardian is None:
        return (NONE, FALL_BACK), {}
    row = session.get(tables.Preference, person)
    key = find_key(session, ctx.keys, guardian.key_id)
    return (preferences.read(key, row) if row is not None and key is not None else NONE, guardian.language), {}


def _page(
    request: Request,
    chosen: Preferences,
    language: str,
    problems: Mapping[str, Text] | None = None,
    *,
    saved: bool = False,
) -> Response:
    ctx = context(request)
    mails = ctx.settings.mailer is not None
    texts = isinstance(ctx.plugins.channels.get(ctx.settings.letters.in_order[0]), Points)
    return page(
        request,
        "preferences.html",
        status=422 if problems else 200,
        chosen=chosen,
        language=language,
        letters=languages(ctx.settings.letters.folder),
        languages=LANGUAGES,
        problems=problems or {},
        saved=saved,
        own=request.url.path == MINE,
        mails=mails,
        texts=texts,
        email_at_most=preferences.EMAIL_AT_MOST,
    )


@router.post(PAGE)
async def choose(request: Request, guardian_id: signin.Guardian) -> Response:
    """A guardian chooses."""
    return await _choose(request, guardian_id, preferences.choose)


@router.post(MINE)
async def choose_young(request: Request, young_id: signin.Young) -> Response:
    """A young person chooses for their own letters."""
    return await _choose(request, young_id, preferences.choose_young)


async def _choose(
    request: Request, who: UUID, choose: Callable[[Context, UUID, Preferences, str | None], None]
) -> Response:
    fields = await form(request)
    email = fields.get("email", "").strip() if fields.get("by_email") == "ja" else ""
    chosen = Preferences(
        large_print=fields.get("large_print") == "ja",
        interpreter=fields.get("interpreter") or None,
        email=email or None,
        sms=fields.get("sms") == "ja",
    )
    language = fields.get("language", FALL_BACK)
    problems: dict[str, Text] = {}
    if language not in await run_in_threadpool(languages, context(request).settings.letters.folder):
        problems["language"] = ("Vælg et sprog fra listen.", "Choose a language from the list.")
    if fields.get("by_email") == "ja" and not preferences.is_email(email):
        problems["email"] = (
            "Skriv din mailadresse, for eksempel navn@eksempel.dk.",
            "Write your e-mail address, for example name@example.com.",
        )
    if chosen.interpreter is not None and chosen.interpreter not in LANGUAGES:
        problems["interpreter"] = ("Vælg et sprog fra listen.", "Choose a language from the list.")
    if problems:
        return _page(request, chosen, language, problems)
    await run_in_threadpool(choose, context(request), who, chosen, language)
    request.session["said"] = "skrevet"
    return RedirectResponse(request.url.path, 303)
