"""The page Advis: what an adviser has been told of the coordinators on their own cases, and how they want to be told.

Seeing the list is a look at each child it is about, with its entries, durable before the page is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast, get_args

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse, Response

from hub.access.log import Asker
from hub.errors import NotAllowed, TryAgain
from hub.notices import choices, feed
from hub.notices.kinds import KINDS, WORDS, Kind
from hub.notices.mail import mailer
from hub.web import signin
from hub.web.pages import context, message, page
from hub.web.security import form
from hub.web.tasks import nothing_shown
from hub.web.words import Text

router = APIRouter(include_in_schema=False)
PAGE = "/personale/advis"
WAYS: dict[choices.Way, Text] = {
    "mail": ("Send mig en mail", "Send me a mail"),
    "page": ("Vis det kun her på siden", "Show it on this page alone"),
    "off": ("Fortæl mig det ikke", "Do not tell me"),
}


@router.get(PAGE)
def listed(request: Request, asker: signin.Staff) -> Response:
    return _page(request, asker)


@router.post(PAGE)
async def choose(request: Request, asker: signin.Staff) -> Response:
    fields = await form(request)
    ways = _ways(fields)
    if len(ways) < len(KINDS):
        problem = ("Vælg én måde for hver slags besked.", "Choose one way for each kind of notice.")
        return await run_in_threadpool(_page, request, asker, problem)
    try:
        await run_in_threadpool(choices.choose, context(request), asker, ways)
    except NotAllowed:
        return _not_yours(request)
    request.session["said"] = "valgt"
    return RedirectResponse(PAGE, 303)


def _ways(fields: Mapping[str, str]) -> dict[Kind, choices.Way]:
    known = set(get_args(choices.Way))
    return {kind: cast("choices.Way", fields[kind]) for kind in KINDS if fields.get(kind) in known}


def _page(request: Request, asker: Asker, problem: Text | None = None) -> Response:
    ctx = context(request)
    staff, now = choices.of(ctx, asker)
    wanted = [kind for kind, way in now.items() if way != "off"]
    try:
        disclosure = feed.mine(ctx, asker, staff, wanted) if staff else None
    except TryAgain as error:
        return nothing_shown(request, error)
    return page(
        request,
        "notices.html",
        status=200 if problem is None else 422,
        here=PAGE,
        facts=disclosure.value if disclosure is not None else (),
        entry=disclosure.entry if disclosure is not None else None,
        adviser=bool(staff),
        kinds=[(kind, WORDS[kind], now[kind]) for kind in KINDS],
        words=WORDS,
        ways=[each for each in WAYS.items() if each[0] != "mail" or mailer(ctx) is not None],
        problem=problem,
        said=request.session.pop("said", None) if problem is None else None,
    )


def _not_yours(request: Request) -> Response:
    return message(
        request,
        403,
        ("Du er ikke rådgiver på en sag her", "You are no adviser of a case here"),
        (
            "Kun den, der er rådgiver eller sagsbehandler på et barns sag, får besked om koordinatoren.",
            "Only the adviser of a child’s case is told of the coordinator.",
        ),
        back=PAGE,
    )
