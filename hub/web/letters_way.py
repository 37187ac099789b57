"""What a coordinator sees of their families' letters: where each is; and what they can say of one in doubt."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse, Response

from hub.access.log import Asker
from hub.errors import NotAllowed, TryAgain
from hub.letters import settle, way
from hub.web import letter_words, signin
from hub.web.pages import context, message, page
from hub.web.security import form
from hub.web.tasks import nothing_shown

router = APIRouter(include_in_schema=False)
LIST = "/personale/breve"


@router.get(LIST)
def listed(request: Request, asker: signin.Staff) -> Response:
    letters = way.listed(context(request), asker)
    return page(request, "letters_way.html", letters=letters, words=letter_words, needs=way.NEEDS_SOMEBODY)


@router.get(LIST + "/{letter_id:uuid}")
def one(request: Request, letter_id: UUID, asker: signin.Staff) -> Response:
    try:
        disclosure = way.look(context(request), asker, letter_id)
    except TryAgain as error:
        return nothing_shown(request, error)
    if disclosure.value is None:
        return _not_theirs(request)
    return page(
        request,
        "letter_way.html",
        here=LIST,
        way=disclosure.value,
        entry=disclosure.entry,
        words=letter_words,
        said=request.session.pop("said", None),
    )


@router.post(LIST + "/{letter_id:uuid}")
async def say(request: Request, letter_id: UUID, asker: signin.Staff) -> Response:
    fields = await form(request)
    try:
        await run_in_threadpool(_say, request, asker, letter_id, fields.get("said", ""))
    except NotAllowed:
        return _not_theirs(request)
    request.session["said"] = "skrevet"
    return RedirectResponse(f"{LIST}/{letter_id}", 303)


def _say(request: Request, asker: Asker, letter_id: UUID, said: str) -> None:
    ctx = context(request)
    guardian = way.theirs(ctx, asker, letter_id)
    if said == "kom":
        settle.arrived(ctx, letter_id, asker)
    elif said == "kom-ikke":
        settle.not_arrived(ctx, letter_id, asker)
    elif said == "adresse":
        settle.paper_again(ctx, guardian, asker)
    else:
        raise NotAllowed("there is nothing of that name to say of a letter")


def _not_theirs(request: Request) -> Response:
    return message(
        request,
        404,
        ("Brevet er her ikke", "The letter is not here"),
        (
            "Det er ikke til en af dine familier, eller der er ikke noget at svare på længere.",
            "It is not to one of your families, or there is nothing left to answer.",
        ),
        back=LIST,
    )
