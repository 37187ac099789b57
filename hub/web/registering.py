"""Staff write down a family's answer that came by phone, on paper or in a meeting, and what it closes for or consents
to: from a lookup or a task, in three clicks. What the page says to whoever may not is always the same."""

from __future__ import annotations

from datetime import date, timedelta
from typing import cast
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse, Response

from hub import registration
from hub.access.log import Asker, Disclosure
from hub.clock import today
from hub.errors import NotAllowed, TryAgain
from hub.identity import parse
from hub.mandates import NAME_AT_MOST, Mandate
from hub.web import signin
from hub.web.pages import context, message, page, speak, text_version
from hub.web.security import form
from hub.web.tasks import LIST, nothing_shown
from hub.web.words import ANSWERS, CHOICES, HOW, Text, day_problem, number_problem

router = APIRouter(include_in_schema=False)
YOUNG, MANDATE = "young", "mandate:"
"""Who has answered, where it is nobody's guardian: the young person, or a representative by this mandate."""
OBJECTION = "objection"
SPOKEN: dict[str, Text] = {"da": ("Dansk", "Danish"), "en": ("Engelsk", "English")}
"""In which of the page's languages the family was told."""
_MANDATE_FIELDS = frozenset({"principal", "name", "cpr", "covers", "until", "past_18", "paper"})
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
    fields = {"language": speak(request).language} | fields
    problems = _problems(fields, today(context(request).clock))
    if problems:
        return await _show(request, asker, origin, fields, problems)
    try:
        await run_in_threadpool(_write_down, request, asker, origin, fields)
    except NotAllowed:
        return _not_here(request)
    request.session["said"] = "registreret"
    return RedirectResponse(LIST, 303)


@router.post("/personale/registrer/fuldmagt")
async def keep_mandate(request: Request, asker: signin.Staff) -> Response:
    """A mandate is written down."""
    fields = await form(request)
    origin = _origin(fields)
    if origin is None:
        return _not_here(request)
    given = _read_mandate(request, fields)
    if isinstance(given, dict):
        return await _show(request, asker, origin, fields, given)
    try:
        await run_in_threadpool(registration.mandate, context(request), asker, origin, given)
    except NotAllowed:
        return _not_here(request)
    request.session["said"] = "fuldmagt"
    return RedirectResponse(LIST, 303)


@router.post("/personale/registrer/fuldmagt/slut")
async def end_mandate(request: Request, asker: signin.Staff) -> Response:
    """A mandate is taken back."""
    fields = await form(request)
    origin = _origin(fields)
    try:
        mandate_id = UUID(fields.get("mandate", ""))
    except ValueError:
        return _not_here(request)
    if origin is None:
        return _not_here(request)
    try:
        await run_in_threadpool(registration.take_back_mandate, context(request), asker, origin, mandate_id)
    except NotAllowed:
        return _not_here(request)
    request.session["said"] = "fuldmagt-slut"
    return RedirectResponse(LIST, 303)


def _read_mandate(request: Request, fields: dict[str, str]) -> Mandate | dict[str, Text]:
    """The mandate as it stands in the form, or what must be put right, by field."""
    day = today(context(request).clock)
    problems: dict[str, Text] = {}
    whose, number, name, until = fields.get("principal", ""), None, fields.get("name", "").strip(), None
    try:
        principal_id, by_mandate = _who(whose)
        if by_mandate is not None:
            raise ValueError
    except ValueError:
        problems["principal"] = ("Vælg, hvem der har givet fuldmagten.", "Choose who has given the mandate.")
    if not 1 <= len(name) <= NAME_AT_MOST:
        problems["name"] = ("Skriv repræsentantens navn.", "Write the representative’s name.")
    wrong = number_problem(fields.get("cpr", ""))
    if wrong is None:
        number = parse(fields["cpr"])
        if not number.matchable or not number.is_adult(day):
            wrong = ("En repræsentant skal være fyldt 18 år.", "A representative must be 18 or older.")
    elif not fields.get("cpr", "").strip():
        wrong = ("Skriv repræsentantens CPR-nummer.", "Write the representative’s CPR number.")
    if wrong is not None:
        problems["cpr"] = wrong
    if fields.get("covers") not in ("also", "instead"):
        problems["covers"] = ("Vælg, hvem der skal have brevene.", "Choose who is to have the letters.")
    if problem := day_problem(fields.get("until", ""), day):
        problems["until"] = problem
    elif fields.get("until"):
        until = date.fromisoformat(fields["until"]) + timedelta(days=1)
    if fields.get("past_18") and whose != YOUNG:
        problems["past_18"] = (
            "Kun den unges egen fuldmagt kan gælde, efter at den unge er fyldt 18 år.",
            "Only the young person’s own mandate can last after they turn 18.",
        )
    if not 1 <= len(fields.get("paper", "").strip()) <= registration.EVIDENCE_AT_MOST:
        problems["paper"] = ("Skriv, hvor fuldmagten ligger.", "Write where the mandate is kept.")
    if problems or number is None:
        return problems
    covers, past_18 = fields["covers"] == "instead", bool(fields.get("past_18"))
    return Mandate(principal_id, number, name, covers, past_18, until, fields["paper"])


def _write_down(request: Request, asker: Asker, origin: registration.Origin, fields: dict[str, str]) -> None:
    """Raises NotAllowed."""
    ctx, how, evidence = context(request), cast(registration.How, fields["how"]), fields["evidence"]
    guardian_id, mandate_id = _who(fields["guardian"])
    language = fields["language"]
    said, _, administration = fields["said"].partition(":")
    if said in registration.CHOICES:
        until = date.fromisoformat(fields["consent_until"]) if fields.get("consent_until") else None
        told = registration.Told(guardian_id, how, _TEXT, language, mandate_id, until)
        registration.choose(ctx, asker, origin, said, administration, told, evidence)
    elif said == OBJECTION:
        registration.object_(ctx, asker, origin, guardian_id, how, evidence, mandate_id=mandate_id)
    else:
        answer = cast(registration.Said, said)
        registration.register(
            ctx, asker, origin, guardian_id, answer, how, evidence, language=language, mandate_id=mandate_id
        )


def _who(code: str) -> tuple[UUID | None, UUID | None]:
    """Of whoever has answered the guardian's row, and the mandate's; neither for the young person. Raises
    ValueError."""
    if code.startswith(MANDATE):
        return None, UUID(code.removeprefix(MANDATE))
    return (None if code == YOUNG else UUID(code)), None


def _origin(fields: dict[str, str]) -> registration.Origin | None:
    kind = "lookup" if "lookup" in fields else "task"
    try:
        return registration.Origin("lookup" if kind == "lookup" else "task", UUID(fields.get(kind, "")))
    except ValueError:
        return None


def _problems(fields: dict[str, str], day: date) -> dict[str, Text]:
    """What must be put right, by field."""
    problems: dict[str, Text] = {}
    who, said = fields.get("guardian", ""), fields.get("said", "")
    try:
        _who(who)
    except ValueError:
        problems["guardian"] = ("Vælg, hvem der har svaret.", "Choose who has answered.")
    if said not in registration.ACTS and said != OBJECTION and said.partition(":")[0] not in registration.CHOICES:
        problems["said"] = ("Vælg, hvad der er svaret.", "Choose what the answer is.")
    if fields.get("how") not in registration.HOW:
        problems["how"] = ("Vælg, hvordan svaret kom.", "Choose how the answer came.")
    if fields["language"] not in SPOKEN:
        problems["language"] = ("Vælg, hvilket sprog det blev sagt på.", "Choose in which language it was said.")
    until = fields.get("consent_until", "")
    if until and not said.startswith("consent:"):
        problems["consent_until"] = ("Kun et samtykke har en sidste dag.", "Only a consent has a last day.")
    elif problem := day_problem(until, day):
        problems["consent_until"] = problem
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
    found = disclosure.value
    if found is None:
        return _not_here(request)
    t = speak(request)
    unnamed = t("Forælder uden kendt navn", "Parent whose name is not known")
    own = t("Den unge selv", "The young person themselves")
    principals = {str(row): name or unnamed for row, name in found.guardians} | ({YOUNG: own} if found.young else {})
    by = {each.id: principals.get(str(each.principal_id or YOUNG), own) for each in found.mandates}
    speakers = {f"{MANDATE}{each.id}": f"{each.name} ({t('fuldmagt fra', 'mandate from')} {by[each.id]})"
                for each in found.mandates}  # fmt: skip
    return page(
        request,
        "register.html",
        status=422 if problems else 200,
        here="/personale",
        origin=origin,
        adult=found.adult,
        people=principals | speakers,
        principals=principals,
        mandates=found.mandates,
        mandate_by=by,
        lasts={each.id: each.until - timedelta(days=1) for each in found.mandates if each.until is not None},
        mandate_problems=problems.keys() & _MANDATE_FIELDS,
        name_at_most=NAME_AT_MOST,
        answers=_answers(request, found),
        ways={code: HOW[code] for code in registration.HOW},
        fields={"language": t.language} | fields,
        languages={code: t.of(name) for code, name in SPOKEN.items()},
        first_day=today(context(request).clock),
        problems=problems,
        evidence_at_most=registration.EVIDENCE_AT_MOST,
    )


def _answers(request: Request, offered: registration.Form) -> dict[str, str]:
    """What can be said, by the code that the form sends, in plain words."""
    ctx, t = context(request), speak(request)
    found: dict[str, str] = {code: t.of(ANSWERS[code]) for code in (*offered.answers, OBJECTION)}
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
