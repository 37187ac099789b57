"""The family page: a guardian's own children, coordinator, cases and letters, and the answer to an offer; and the page
of a young person from 15.

Reading it is an entry in the access log (hub.access.own); the page shows what a Disclosure hands over.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from uuid import UUID

import structlog
from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse, Response
from markupsafe import Markup

from hub import family, rights
from hub.access import own
from hub.access.log import Disclosure
from hub.clock import today
from hub.errors import NotAllowed, TryAgain
from hub.web import signin
from hub.web.family_choices import chosen
from hub.web.family_letters import OneLetter, read_letter
from hub.web.family_page import FamilyPage, read_page
from hub.web.pages import context, message, page, speak, text_version
from hub.web.security import form

log = structlog.get_logger()
router = APIRouter(include_in_schema=False)
_OFFER_TEXT = text_version("offer.html")
"""Which text of the offer a family answered, kept with the answer."""
MINE = "/familie/mig"


@router.get("/familie")
def overview(request: Request) -> Response:
    guardian_id = signin.guardian(request)
    if guardian_id is None:
        return RedirectResponse(MINE, 303) if signin.young(request) else signin.sign_in_first(request)
    ctx, t = context(request), speak(request)
    try:
        disclosure = own.read(ctx.database, ctx.keys, ctx.clock, guardian_id, partial(read_page, ctx, t, guardian_id))
    except TryAgain as error:
        return _nothing_shown(request, error)
    return _overview(request, disclosure)


def _overview(request: Request, disclosure: Disclosure[FamilyPage]) -> Response:
    said = request.session.pop("said", None)
    return page(
        request,
        "family.html",
        family=disclosure.value,
        said=said,
        chosen=chosen(request),
        young=signin.young(request) is not None,
        text_at_most=rights.TEXT_AT_MOST,
        first_day=today(context(request).clock),
    )


@router.get(MINE)
def mine(request: Request, young_id: signin.Young) -> Response:
    """A young person's own page."""
    ctx, t = context(request), speak(request)
    try:
        disclosure = own.read_young(ctx.database, ctx.keys, ctx.clock, young_id, partial(read_page, ctx, t, None))
    except TryAgain as error:
        return _nothing_shown(request, error)
    except NotAllowed:
        return message(
            request,
            403,
            ("Vi kan ikke vise dig en side", "We have no page to show you"),
            (
                "Ring til kommunen, hvis du mener, at her skulle være noget om dig.",
                "Call the municipality if you think that there should be something about you here.",
            ),
        )
    return _mine(request, disclosure)


def _mine(request: Request, disclosure: Disclosure[FamilyPage]) -> Response:
    return page(
        request,
        "young.html",
        family=disclosure.value,
        said=request.session.pop("said", None),
        chosen=chosen(request),
        text_at_most=rights.TEXT_AT_MOST,
        first_day=today(context(request).clock),
        may_accept=context(request).settings.access.young_accepts,
    )


@router.post("/familie/svar")
async def answer(request: Request, guardian_id: signin.Guardian) -> Response:
    """A guardian's answer for an own child."""
    fields = await form(request)
    try:
        child_id = UUID(fields.get("child", ""))
    except ValueError:
        return _not_open(request, "/familie")
    return await _answer(request, fields, child_id, guardian_id, "/familie")


@router.post(f"{MINE}/svar")
async def answer_young(request: Request, young_id: signin.Young) -> Response:
    """A young person's answer for themselves."""
    return await _answer(request, await form(request), young_id, None, MINE)


async def _answer(
    request: Request, fields: Mapping[str, str], child_id: UUID, guardian_id: UUID | None, back: str
) -> Response:
    act = {"ja": family.accept, "nej": family.decline}.get(fields.get("answer", ""))
    if act is None:
        return _not_open(request, back)
    language = speak(request).language
    by = family.Answerer(guardian_id, how="page", text_version=f"page:{language}:{_OFFER_TEXT}", language=language)
    try:
        await run_in_threadpool(act, context(request), child_id, by)
    except NotAllowed:
        return _not_open(request, back)
    request.session["said"] = fields["answer"]
    return RedirectResponse(back, 303)


def _not_open(request: Request, back: str) -> Response:
    return message(
        request,
        409,
        ("Dit svar er ikke gemt", "Your answer has not been saved"),
        (
            "Tilbuddet er ikke åbent længere. Ring til kommunen, hvis du stadig vil have en koordinator.",
            "The offer is no longer open. Call the municipality if you still want a coordinator.",
        ),
        back=back,
    )


@router.get("/familie/breve/{letter_id:uuid}")
def letter(request: Request, letter_id: UUID, guardian_id: signin.Guardian) -> Response:
    """A guardian's letter."""
    return _read(request, letter_id, guardian_id, None, pdf=False)


@router.get("/familie/breve/{letter_id:uuid}/brev.pdf")
def letter_pdf(request: Request, letter_id: UUID, guardian_id: signin.Guardian) -> Response:
    """Its very bytes."""
    return _read(request, letter_id, guardian_id, None, pdf=True)


@router.get(f"{MINE}/breve/{{letter_id:uuid}}")
def letter_young(request: Request, letter_id: UUID, young_id: signin.Young) -> Response:
    """A young person's own letter."""
    return _read(request, letter_id, None, young_id, pdf=False)


@router.get(f"{MINE}/breve/{{letter_id:uuid}}/brev.pdf")
def letter_young_pdf(request: Request, letter_id: UUID, young_id: signin.Young) -> Response:
    """Its very bytes."""
    return _read(request, letter_id, None, young_id, pdf=True)


def _read(request: Request, letter_id: UUID, guardian_id: UUID | None, young_id: UUID | None, *, pdf: bool) -> Response:
    back = "/familie" if guardian_id is not None else MINE
    try:
        disclosure = _letter(request, letter_id, guardian_id, young_id)
    except TryAgain as error:
        return _nothing_shown(request, error)
    except NotAllowed:
        return _no_letter(request, back)
    return _pdf(request, disclosure, back) if pdf else _shown(request, disclosure, back)


def _letter(
    request: Request, letter_id: UUID, guardian_id: UUID | None, young_id: UUID | None
) -> Disclosure[OneLetter | None]:
    ctx, reader = context(request), partial(read_letter, context(request), guardian_id, letter_id)
    if guardian_id is not None:
        return own.read(ctx.database, ctx.keys, ctx.clock, guardian_id, reader)
    assert young_id is not None  # noqa: S101 - one of the two reads
    return own.read_young(ctx.database, ctx.keys, ctx.clock, young_id, reader)


def _shown(request: Request, disclosure: Disclosure[OneLetter | None], back: str) -> Response:
    found = disclosure.value
    if found is None:
        return _no_letter(request, back)
    # The fragment was made by hub.letters.tree, which escapes every value, and has been sealed since.
    return page(request, "letter.html", letter=found, back=back, body=Markup(found.fragment))  # noqa: S704 - see above


def _pdf(request: Request, disclosure: Disclosure[OneLetter | None], back: str) -> Response:
    found = disclosure.value
    if found is None:
        return _no_letter(request, back)
    headers = {
        "Content-Disposition": f'inline; filename="{found.file_name}"',
        # A page's rules would keep some browsers' own PDF viewer from showing it.
        "Content-Security-Policy": "frame-ancestors 'none'",
    }
    return Response(found.pdf, media_type="application/pdf", headers=headers)


def _no_letter(request: Request, back: str) -> Response:
    return message(
        request,
        404,
        ("Brevet er her ikke", "The letter is not here"),
        ("Vi har ikke et brev til dig på denne adresse.", "We have no letter for you at this address."),
        back=back,
    )


def _nothing_shown(request: Request, error: TryAgain) -> Response:
    log.warning("family page: the access log is not available", cause=type(error.__cause__ or error).__name__)
    return message(
        request,
        503,
        ("Vi kan ikke vise siden lige nu", "We cannot show the page right now"),
        (
            "Hver gang nogen ser oplysninger om et barn, skriver vi det i en log. Det kan vi ikke lige nu, og derfor "
            "viser vi ingenting. Prøv igen om et øjeblik.",
            "Each time somebody sees information about a child, we write it in a log. We cannot do that right now, so "
            "we show nothing. Try again in a moment.",
        ),
        headers={"Retry-After": "5"},
        back="/familie",
    )
