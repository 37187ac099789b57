"""The staff page: who is this child's coordinator?

The number comes in the body of a form and goes nowhere else. Refused, unknown and no coordinator are one and the same
answer. What is shown of a coordinator comes out of a Disclosure: there is none before the entry is durable.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from functools import partial
from typing import Any

import structlog
from fastapi import APIRouter, Request
from fastapi.responses import Response

from hub.access import lookup, pace
from hub.access.log import Disclosure
from hub.access.policy import PURPOSES
from hub.clock import DENMARK
from hub.errors import TryAgain
from hub.identity import parse
from hub.web import signin, words
from hub.web.pages import context, message, page, speak
from hub.web.security import form

log = structlog.get_logger()
router = APIRouter(include_in_schema=False)
REASON_AT_MOST = 1000
"""Characters in a written reason."""


@router.get("/personale")
def ask(request: Request, _asker: signin.Staff) -> Response:
    return _form(request, {}, {})


@router.post("/personale")
async def answer(request: Request, asker: signin.Staff) -> Response:
    fields = await form(request)
    number_problem = words.number_problem(fields.get("cpr", ""))
    problems = ({"cpr": number_problem} if number_problem is not None else {}) | problems_of(fields)
    if problems:
        return _form(request, fields, problems, status=422)
    number = parse(fields["cpr"])
    question = lookup.Request(
        asker,
        context(request).keys.lookup_token(number.digits),
        fields["purpose"],
        fields.get("reason", "").strip() or None,
    )
    found = await look_up(request, [question], partial(_form, request, fields))
    return found if isinstance(found, Response) else _answer(request, found[0], number.born)


async def look_up(
    request: Request, questions: list[lookup.Request], form_again: Callable[..., Response]
) -> list[Disclosure[lookup.Answer]] | Response:
    """The answers to one person's questions, all for one reason; or the page that says why there are none."""
    try:
        found: list[Disclosure[lookup.Answer]] = await request.app.state.lookups.ask_all(questions)
    except pace.ReasonNeeded:
        return form_again({"reason": words.MANY}, status=422)
    except pace.TooMany as error:
        headers = {"Retry-After": str(error.after_seconds)}
        return message(request, 429, *words.TOO_MANY, headers=headers, back=request.url.path)
    except TryAgain as error:
        log.warning("staff page: the access log is not available", cause=type(error.__cause__ or error).__name__)
        return form_again({}, status=503, unavailable=True)
    return found


def _answer(request: Request, disclosure: Disclosure[lookup.Answer], born: date) -> Response:
    found = disclosure.value.coordinator
    t = speak(request)
    return page(
        request,
        "answer.html",
        coordinator=found,
        since=t.day(found.since.astimezone(DENMARK).date()) if found else None,
        born=born,
        sources=source_lines(request, disclosure.value.sources),
        entry=disclosure.entry,
    )


def source_lines(request: Request, sources: tuple[lookup.Source, ...]) -> list[tuple[str, str, bool]]:
    """Each source by its administration's name, what it said last in plain words, and whether it answers."""
    ctx, t = context(request), speak(request)
    known = {source.name: source for source in sources}
    lines = []
    for name, adapter in ctx.plugins.adapters.items():
        source = known.get(name, lookup.Source(name, "never", None))
        if adapter.administration is None:
            title = t("Oplysninger om forældremyndighed", "Information about custody")
        else:
            title = words.capital(ctx.settings.administration_name(adapter.administration, t.language))
        lines.append((title, t.fresh(source.state, source.as_of), source.state == "ok"))
    return lines


def problems_of(fields: dict[str, str]) -> dict[str, words.Text]:
    """What must be put right in purpose and reason, by field. A number that can be nobody's is not a lookup, so it is
    not logged either."""
    problems: dict[str, words.Text] = {}
    if fields.get("purpose") not in PURPOSES:
        problems["purpose"] = ("Vælg, hvad du skal bruge svaret til.", "Choose what you need the answer for.")
    if len(fields.get("reason", "")) > REASON_AT_MOST:
        problems["reason"] = (
            f"Begrundelsen er for lang. Den må højst være på {REASON_AT_MOST} tegn.",
            f"The reason is too long. It may have at most {REASON_AT_MOST} characters.",
        )
    return problems


def _form(
    request: Request,
    fields: dict[str, str],
    problems: dict[str, words.Text],
    *,
    status: int = 200,
    unavailable: bool = False,
) -> Response:
    return form_page(request, "lookup.html", fields, problems, status=status, unavailable=unavailable)


def form_page(
    request: Request,
    template: str,
    fields: dict[str, str],
    problems: dict[str, words.Text],
    *,
    status: int,
    unavailable: bool,
    **values: Any,
) -> Response:
    """A form that asks for a purpose and perhaps a reason, with what was written and what must be put right."""
    return page(
        request,
        template,
        status=status,
        headers={"Retry-After": "5"} if unavailable else None,
        fields=fields,
        problems=problems,
        unavailable=unavailable,
        purposes=speak(request).purposes,
        reason_at_most=REASON_AT_MOST,
        **values,
    )
