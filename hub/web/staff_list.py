"""The staff page for a worklist: the coordinators of up to 100 children, from a pasted list.

Each number is a lookup of its own, by the same rules and with its own entry. The answer says which row it is by its
place and the birthday; the number itself is not repeated. A number that can be nobody's is explained in its place.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from functools import partial

from fastapi import APIRouter, Request
from fastapi.responses import Response

from hub.access import lookup
from hub.access.log import Disclosure
from hub.api.app import AT_ONCE
from hub.identity import parse
from hub.web import signin, words
from hub.web.pages import context, page
from hub.web.security import form
from hub.web.staff import form_page, look_up, problems_of, source_lines

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
def ask(request: Request, _asker: signin.Staff) -> Response:
    return _form(request, {}, {})


@router.post("/personale/liste")
async def answer(request: Request, asker: signin.Staff) -> Response:
    fields = await form(request)
    numbers = cells(fields.get("cprs", ""))
    problems = _list_problems(numbers) | problems_of(fields)
    if problems:
        return _form(request, fields, problems, status=422)
    wrong = [words.number_problem(number) for number in numbers]
    good = [parse(number) for number, problem in zip(numbers, wrong, strict=True) if problem is None]
    keys, reason = context(request).keys, fields.get("reason", "").strip() or None
    asked = [lookup.Request(asker, keys.lookup_token(one.digits), fields["purpose"], reason) for one in good]
    disclosures = await look_up(request, asked, partial(_form, request, fields))
    if isinstance(disclosures, Response):
        return disclosures
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
