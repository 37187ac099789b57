"""Staff write down a family's answer that came by phone, on paper or in a meeting, and what it closes for or consents
to: from a lookup or a task, in three clicks. What the page says to whoever may not is always the same."""

from __future__ import annotations

from typing import cast
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse, Response

from hub import registration
from hub.access.log import Asker, Disclosure
from hub.errors import NotAllowed, TryAgain
from hub.web import signin
from hub.web.pages import context, message, page, speak, text_version
from hub.web.security import form
from hub.web.tasks import LIST, nothing_shown
from hub.web.words import ANSWERS, CHOICES, HOW, Text

router = APIRouter(include_in_schema=False)
YOUNG = "young"
"""Who has answered, where it is nobody's guardian."""
_TEXT = text_version("register_told.html")
"""Which text is read to a family before it chooses, kept with what it chose."""


@router.post("/personale/registrer")
async def begin(request: Request, asker: signin.Staff) -> Response:
    fields = await form(request)
    origin = _origin(fields)
    return await _show(request, asker, origin, {}, {}) if origin is not None else _not_here(request)


@router.post("/personale/registrer/gem")
async def keep(request: Request, asker: signin.Staff) -> Response:
    fields = await form(request)
    origin = _origin(fields)
    if origin is None:
        return _not_here(request)
    problems = _problems(fields)
    if problems:
        return await _show(request, asker, origin, fields, problems)
    try:
        await run_in_threadpool(_write_down, request, asker, origin, fields)
    except NotAllowed:
        return _not_here(request)
    request.session["said"] = "registreret"
    return RedirectResponse(LIST, 303)


def _write_down(request: Request, asker: Asker, origin: registration.Origin, fields: dict[str, str]) -> None:
    """Raises NotAllowed."""
    ctx, how, evidence = context(request), cast(registration.How, fields["how"]), fields["evidence"]
    guardian_id = None if fields["guardian"] == YOUNG else UUID(fields["guardian"])
    said, _, administration = fields["said"].partition(":")
    if said in registration.CHOICES:
        told = registration.Told(guardian_id, how, _TEXT, speak(request).language)
        registration.choose(ctx, asker, origin, said, administration, told, evidence)
    else:
        registration.register(ctx, asker, origin, guardian_id, cast(registration.Said, said), how, evidence)


def _origin(fields: dict[str, str]) -> registration.Origin | None:
    kind = "lookup" if "lookup" in fields else "task"
    try:
        return registration.Origin("lookup" if kind == "lookup" else "task", UUID(fields.get(kind, "")))
    except ValueError:
        return None


def _problems(fields: dict[str, str]) -> dict[str, Text]:
    """What must be put right, by field."""
    problems: dict[str, Text] = {}
    who, said = fields.get("guardian", ""), fields.get("said", "")
    try:
        if who != YOUNG:
            UUID(who)
    except ValueError:
        problems["guardian"] = ("Vælg, hvem der har svaret.", "Choose who has answered.")
    if said not in registration.ACTS and said.partition(":")[0] not in registration.CHOICES:
        problems["said"] = ("Vælg, hvad der er svaret.", "Choose what the answer is.")
    if fields.get("how") not in registration.HOW:
        problems["how"] = ("Vælg, hvordan svaret kom.", "Choose how the answer came.")
    if not 1 <= len(fields.get("evidence", "").strip()) <= registration.EVIDENCE_AT_MOST:
        problems["evidence"] = (
            "Skriv, hvor vi kan finde svaret igen, for eksempel et journalnummer.",
            "Write where the answer can be found again, such as a journal number.",
        )
    return problems


async def _show(
    request: Request, asker: Asker, origin: registration.Origin, fields: dict[str, str], problems: dict[str, Text]
) -> Response:
    try:
        disclosure = await run_in_threadpool(registration.open_form, context(request), asker, origin)
    except TryAgain as error:
        return nothing_shown(request, error)
    return _form(request, disclosure, origin, fields, problems)


def _form(
    request: Request,
    disclosure: Disclosure[registration.Form | None],
    origin: registration.Origin,
    fields: dict[str, str],
    problems: dict[str, Text],
) -> Response:
    if disclosure.value is None:
        return _not_here(request)
    return page(
        request,
        "register.html",
        status=422 if problems else 200,
        here="/personale",
        origin=origin,
        guardians=disclosure.value.guardians,
        young=YOUNG if disclosure.value.young else None,
        answers=_answers(request, disclosure.value),
        ways={code: HOW[code] for code in registration.HOW},
        fields=fields,
        problems=problems,
        evidence_at_most=registration.EVIDENCE_AT_MOST,
    )


def _answers(request: Request, offered: registration.Form) -> dict[str, str]:
    """What can be said, by the code that the form sends, in plain words."""
    ctx, t = context(request), speak(request)
    found: dict[str, str] = {code: t.of(ANSWERS[code]) for code in offered.answers}
    for chosen, code in offered.choices:
        found[f"{chosen}:{code}"] = f"{t.of(CHOICES[chosen])} {ctx.settings.administration_name(code, t.language)}"
    return found


def _not_here(request: Request) -> Response:
    return message(
        request,
        409,
        ("Der er ikke et svar at registrere", "There is no answer to register"),
        (
            "Det svarer vi både, når der ikke er et tilbud, når tilbuddet er besvaret, når nummeret ikke er kendt her, "
            "når din forvaltning ikke har en sag om barnet, og når familien har lukket for forvaltningen.",
            "We say the same when there is no offer, when it has been answered, when the number is not known here, "
            "when your administration has no case about the child, and when the family has closed to it.",
        ),
        back="/personale",
    )
