"""The staff page for a worklist: the coordinators of up to 100 children, from a pasted list.

Each number is a lookup of its own, by the same rules and with its own entry. The answer says which row it is by its
place and the birthday; the number itself is not repeated. A number that can be nobody's is explained in its place.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

import structlog
from fastapi import APIRouter, Request
from fastapi.responses import Response

from hub.access import lookup, pace
from hub.access.log import Disclosure
from hub.api.app import AT_ONCE
from hub.errors import TryAgain
from hub.identity import parse
from hub.web import signin, words
from hub.web.pages import context, message, page
from hub.web.security import form
from hub.web.staff import form_page, problems_of, source_lines

log = structlog.get_logger()
router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Row:
    """One place of the list: a birthday and what may be shown, or what is wrong with the number."""

    born: date | None = None
    coordinator: lookup.Coordinator | None = None
    problem: words.Text | None = None


def cells(pasted: str) -> list[str]:
    """The numbers in a pasted list: separated by lines, commas, semicolons or a spreadsheet's tabs; by spaces too,
    where each part can be a number by itself."""
    found: list[str] = []
    for cell in re.split(r"[\r\n\t,;]+", pasted):
        parts = cell.split()
        apart = len(parts) > 1 and all(words.number_problem(part) is None for part in parts)
        found += parts if apart else [cell.strip()] if parts else []
    return found


@router.get("/personale/liste")
def ask(request: Request) -> Response:
    if signin.staff(request) is None:
        return signin.sign_in_first(request)
    return _form(request, {}, {})


@router.post("/personale/liste")
async def answer(request: Request) -> Response:
    asker = signin.staff(request)
    if asker is None:
        return signin.sign_in_first(request)
    fields = await form(request)
    numbers = cells(fields.get("cprs", ""))
    problems = _list_problems(numbers) | problems_of(fields)
    if problems:
        return _form(request, fields, problems, status=422)
    wrong = [words.number_problem(number) for number in numbers]
    good = [parse(number) for number, problem in zip(numbers, wrong, strict=True) if problem is None]
    keys, reason = context(request).keys, fields.get("reason", "").strip() or None
    asked = [lookup.Request(asker, keys.lookup_token(one.digits), fields["purpose"], reason) for one in good]
    try:
        await request.app.state.pace.take(asker, [each.token for each in asked], reason)
        disclosures = await request.app.state.lookups.ask_all(asked)
    except pace.ReasonNeeded:
        return _form(request, fields, {"reason": words.MANY}, status=422)
    except pace.TooMany as error:
        headers = {"Retry-After": str(error.after_seconds)}
        return message(request, 429, *words.TOO_MANY, headers=headers, back="/personale/liste")
    except TryAgain as error:
        log.warning("staff page: the access log is not available", cause=type(error.__cause__ or error).__name__)
        return _form(request, fields, {}, status=503, unavailable=True)
    answers = iter(zip([one.born for one in good], disclosures, strict=True))
    rows = [_row(*next(answers)) if problem is None else Row(problem=problem) for problem in wrong]
    sources = source_lines(request, disclosures[0].value.sources) if disclosures else []
    return page(request, "answer_list.html", rows=rows, sources=sources)


def _row(born: date, disclosure: Disclosure[lookup.Answer]) -> Row:
    return Row(born, disclosure.value.coordinator)


def _list_problems(numbers: list[str]) -> dict[str, words.Text]:
    if not numbers:
        return {"cprs": ("Skriv mindst ét CPR-nummer.", "Write at least one CPR number.")}
    if len(numbers) > AT_ONCE:
        return {
            "cprs": (
                f"Du kan højst slå {AT_ONCE} børn op på én gang. Din liste har {len(numbers)}.",
                f"You can look up at most {AT_ONCE} children at once. Your list has {len(numbers)}.",
            )
        }
    return {}


def _form(
    request: Request,
    fields: dict[str, str],
    problems: dict[str, words.Text],
    *,
    status: int = 200,
    unavailable: bool = False,
) -> Response:
    return form_page(
        request, "lookup_list.html", fields, problems, status=status, unavailable=unavailable, at_most=AT_ONCE
    )
