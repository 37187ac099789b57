"""Who is signed in, and how they come to be: at the municipality's own provider or MitID's, by OpenID Connect; in the
demo by choosing a person.

Of a guardian only the row's id is kept, never the number that led to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import date
from typing import Annotated, Any, TypeVar
from uuid import UUID

import structlog
from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse, Response

from hub.access.log import Asker
from hub.clock import today
from hub.context import Context
from hub.errors import NotAllowed, TryAgain
from hub.settings import Role
from hub.signin import family
from hub.signin.oidc import Attempt, BrokenOff, OpenId
from hub.signin.person import Person, person
from hub.web import demo_signin, sessions
from hub.web.pages import context, message, page, speak_as
from hub.web.security import form, own_path
from hub.web.words import Text

log = structlog.get_logger()
router = APIRouter(include_in_schema=False)

STAFF, FAMILY = "personale", "familie"
"""The two doors: where each leads, and what it is called in addresses."""
_ATTEMPTS = 3
"""Sign-ins one browser may have begun and not finished: a few tabs."""
NOT_FOUND = 404
T = TypeVar("T")


def providers(ctx: Context) -> dict[str, OpenId]:
    """The providers of the settings, by door. Raises SettingsError when a key cannot be read."""
    known = {STAFF: ctx.settings.signin.staff, FAMILY: ctx.settings.signin.family}
    base = (ctx.settings.signin.url or "").rstrip("/")
    return {
        door: OpenId(each, f"{base}/log-ind/{door}/svar", ctx.clock) for door, each in known.items() if each is not None
    }


def staff(request: Request, role: Role | None = None) -> Asker | None:
    """The member of staff who is signed in, in this role, or in the first they have."""
    if context(request).settings.demo is not None:
        found = demo_signin.staff(request)
        return found if found is None or role in (None, found.role) else None
    stored = _of(request, STAFF)
    return Person.from_json(stored).asker(role) if stored else None


def guardian(request: Request) -> UUID | None:
    """The guardian who is signed in (row id)."""
    if context(request).settings.demo is not None:
        return demo_signin.guardian(request)
    found = _of(request, FAMILY).get("guardian")
    return UUID(found) if found else None


def young(request: Request) -> UUID | None:
    """The young person from 15 who is signed in (row id of the child), until the day they turn 18."""
    if context(request).settings.demo is not None:
        return demo_signin.young(request)
    stored = _of(request, FAMILY)
    if not stored.get("young") or today(context(request).clock) >= date.fromisoformat(stored["adult_on"]):
        return None
    return UUID(stored["young"])


def reviewer(request: Request) -> Asker | None:
    """The member of staff who is signed in, as a leader or else as the auditor; None where they are neither."""
    return staff(request, "leader") or staff(request, "auditor")


class SignInFirst(Exception):
    """Nobody is signed in who may see the page (`sign_in_first` is the answer)."""


async def _staff(request: Request) -> Asker:
    return _or_sign_in(staff(request))


async def _guardian(request: Request) -> UUID:
    return _or_sign_in(guardian(request))


async def _young(request: Request) -> UUID:
    return _or_sign_in(young(request))


def _or_sign_in(found: T | None) -> T:
    if found is None:
        raise SignInFirst
    return found


Staff = Annotated[Asker, Depends(_staff)]
Guardian = Annotated[UUID, Depends(_guardian)]
Young = Annotated[UUID, Depends(_young)]
"""What a page takes that is for them alone: it is not come to before they have signed in."""


def _of(request: Request, door: str) -> Mapping[str, Any]:
    """What is kept of who came in by a door, as long as it is the same provider's."""
    provider: OpenId | None = request.app.state.providers.get(door)
    stored = request.session.get(door)
    if provider is None or stored is None or stored["issuer"] != provider.settings.issuer:
        return {}
    kept: Mapping[str, Any] = stored
    return kept


def sign_in_first(request: Request, _error: SignInFirst | None = None) -> Response:
    """The answer to somebody who is not signed in."""
    if context(request).settings.demo is not None:
        return RedirectResponse(demo_signin.LOGIN, 303)
    door = FAMILY if request.url.path.startswith(f"/{FAMILY}") else STAFF
    if door not in request.app.state.providers:
        return message(
            request,
            401,
            ("Du er ikke logget ind", "You are not signed in"),
            (
                "Kommunens log ind er ikke sat op på denne side endnu. Ring til kommunen, hvis du har brug for hjælp "
                "nu.",
                "The municipality's sign-in has not been set up here yet. Call the municipality if you need help now.",
            ),
        )
    next_ = own_path(request.url.path) if request.method == "GET" else None
    return RedirectResponse(f"/log-ind/{door}?next={next_ or '/' + door}", 303)


@router.get("/log-ind/{door}")
async def begin(request: Request, door: str) -> Response:
    """On to the provider."""
    provider = _provider(request, door)
    try:
        address, attempt = await run_in_threadpool(
            provider.begin, own_path(request.query_params.get("next")) or f"/{door}"
        )
    except (TryAgain, NotAllowed) as error:
        return _failed(request, door, error)
    begun = request.session.get("attempts", [])
    request.session["attempts"] = [*begun, asdict(attempt) | {"door": door}][-_ATTEMPTS:]
    return RedirectResponse(address, 303)


@router.get("/log-ind/{door}/svar")
async def answer(request: Request, door: str) -> Response:
    """Back from the provider."""
    provider = _provider(request, door)
    said = request.query_params
    attempts = request.session.get("attempts", [])
    mine = next((each for each in attempts if each["door"] == door and each["state"] == said.get("state")), None)
    if mine is None:
        return _failed(request, door, NotAllowed("no such attempt in this browser"))
    request.session["attempts"] = [each for each in attempts if each is not mine]
    attempt = Attempt(**{key: value for key, value in mine.items() if key != "door"})
    try:
        claims = await run_in_threadpool(provider.finish, attempt, dict(said))
        kept = await run_in_threadpool(_who, context(request), door, claims)
    except (TryAgain, NotAllowed) as error:
        return _failed(request, door, error)
    if kept is None:
        return _unknown(request, door)
    sessions.of(request).begin({door: kept | {"issuer": provider.settings.issuer}})
    if kept.get("guardian"):
        await run_in_threadpool(speak_as, request, UUID(kept["guardian"]))
    log.info("signed in", door=door)
    return RedirectResponse(attempt.next, 303)


def _who(ctx: Context, door: str, claims: Mapping[str, Any]) -> dict[str, Any] | None:
    """What is kept of somebody; None when they have no role, or are nobody the hub knows. Raises NotAllowed."""
    if door == STAFF:
        assert ctx.settings.signin.staff is not None  # noqa: S101 - its provider answered
        found = person(claims, ctx.settings.signin.staff, ctx.settings.municipality.cvr)
        return found.as_json() if found.roles else None
    assert ctx.settings.signin.family is not None  # noqa: S101 - its provider answered
    number = family.number(claims, ctx.settings.signin.family.cpr)
    with ctx.database.session() as session:
        known = family.find(session, ctx.keys, ctx.clock, number)
    if known.guardian_id is None and known.young_id is None:
        return None
    return {
        "guardian": str(known.guardian_id) if known.guardian_id else None,
        "young": str(known.young_id) if known.young_id else None,
        "adult_on": known.adult_on.isoformat(),
    }


def _provider(request: Request, door: str) -> OpenId:
    found: OpenId | None = request.app.state.providers.get(door)
    if found is None:
        raise HTTPException(NOT_FOUND)
    return found


@router.post("/log-ud")
async def leave(request: Request) -> Response:
    """End the sign-in here, then at the provider: by a page of ours, since a form may lead nowhere else."""
    await form(request)
    door = next((door for door in request.app.state.providers if _of(request, door)), None)
    sessions.of(request).end()
    return RedirectResponse(f"/logget-ud/{door}" if door else "/", 303)


@router.get("/logget-ud/{door}")
async def left(request: Request, door: str) -> Response:
    """Signed out here; and on to the provider to sign out there, where it can."""
    provider = _provider(request, door)
    address = None
    try:
        base = context(request).settings.signin.url or ""
        address = await run_in_threadpool(provider.logout_address, base.rstrip("/") + "/")
    except (TryAgain, NotAllowed) as error:
        log.warning("signed out here only", door=door, why=str(error))
    headers = {"Refresh": f"0; url={address}"} if address else None
    return page(request, "left.html", headers=headers, here="/", address=address, door=door)


def _failed(request: Request, door: str, error: TryAgain | NotAllowed) -> Response:
    """It did not work. What a person is told does not say why; the program's log does, without saying who."""
    if isinstance(error, BrokenOff):
        return _said(request, door, 403, _BROKEN_OFF)
    cause = type(error.__cause__).__name__ if error.__cause__ else None
    log.warning("sign-in failed", door=door, why=str(error), error=cause)
    if isinstance(error, TryAgain):
        return _said(request, door, 503, _AWAY, headers={"Retry-After": "30"})
    return _said(request, door, 403, _DID_NOT_WORK)


def _unknown(request: Request, door: str) -> Response:
    log.warning("sign-in: nobody known here, or no role", door=door)
    return _said(request, door, 403, _NO_ROLE if door == STAFF else _NOBODY)


def _said(
    request: Request, door: str, status: int, said: tuple[Text, Text], headers: dict[str, str] | None = None
) -> Response:
    title, text = said
    return message(request, status, title, text, headers=headers, again=f"/log-ind/{door}?next=/{door}")


_BROKEN_OFF: tuple[Text, Text] = (
    ("Du blev ikke logget ind", "You were not signed in"),
    ("Log ind blev afbrudt. Du kan prøve igen.", "The sign-in was broken off. You can try again."),
)
_DID_NOT_WORK: tuple[Text, Text] = (
    ("Du blev ikke logget ind", "You were not signed in"),
    (
        "Noget gik galt, da du loggede ind, eller det tog for lang tid. Prøv igen fra begyndelsen.",
        "Something went wrong while you signed in, or it took too long. Try again from the beginning.",
    ),
)
_AWAY: tuple[Text, Text] = (
    ("Man kan ikke logge ind lige nu", "Nobody can sign in right now"),
    (
        "Den tjeneste, vi logger ind med, svarer ikke. Prøv igen om lidt.",
        "The service we sign in with does not answer. Try again in a little while.",
    ),
)
_NO_ROLE: tuple[Text, Text] = (
    ("Du har ikke adgang til Tovholder", "You have no access to Tovholder"),
    (
        "Du er logget ind hos kommunen, men har ingen rolle i Tovholder. Spørg din leder, hvis du skal bruge det.",
        "You are signed in with the municipality, but have no role in Tovholder. Ask your manager if you need it.",
    ),
)
_NOBODY: tuple[Text, Text] = (
    ("Her er ikke noget til dig", "There is nothing for you here"),
    (
        "Vi har ikke noget at vise dig. Ring til kommunen, hvis du mener, at der skulle være noget.",
        "We have nothing to show you. Call the municipality if you think there should be something.",
    ),
)
