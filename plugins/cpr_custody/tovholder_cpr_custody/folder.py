"""A folder of the service's answers: `*.xml`, any number of PersonLookupResponse in a file.

A file that cannot be read is told of and stops no other; but the read is then not the whole truth, so that nobody's
custody ends by what was in it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from lxml import etree

import hub
from tovholder_cpr_custody import person, wire

_LIKE_A_NUMBER = re.compile(r"\d{6}-?\d{4}")
_MOST_STEPS = 8
"""How often the folder is gone through: children, their guardians, and new numbers of either."""

Follow = Callable[[wire.Answer], Collection[str]]


@dataclass(slots=True)
class Found:
    answers: dict[str, wire.Answer]
    """By number; None for one that the folder has no answer about."""
    nobodys: list[hub.Unreadable]
    """What cannot be said to be about anyone."""
    whole: bool = True
    """Whether every file could be read to its end."""


def persons(folder: Path, numbers: Collection[str], follow: Follow) -> Found:
    """The answers about these numbers and about those that `follow` names for each answer; nobody else's are held. Of
    several answers about one person the last counts, by file name and then by place.

    Raises GaveUp when the folder is not there."""
    wanted = set(numbers)
    found = _once(folder, wanted)
    for _step in range(_MOST_STEPS):
        wanted = {number for answer in found.answers.values() for number in follow(answer)} - found.answers.keys()
        if not wanted:
            break
        more = _once(folder, wanted)
        found.answers |= more.answers
        found.whole &= more.whole
    if found.nobodys:
        for number in [number for number, answer in found.answers.items() if answer is None]:
            found.answers[number] = hub.Unreadable("", "there is no readable answer about this number in the folder")
    return found


def _once(folder: Path, wanted: set[str]) -> Found:
    found: dict[str, wire.Answer] = dict.fromkeys(wanted)
    bad: list[hub.Unreadable] = []
    whole = True
    for place, path in enumerate(hub.files(folder, "*.xml"), start=1):
        name = str(path.relative_to(folder))
        # An answer is often named by whom it is about.
        where = f"file {place}" if _LIKE_A_NUMBER.search(name) else name
        count = 0
        try:
            for count, element in enumerate(_elements(path), start=1):
                position = f"{where}, answer {count}"
                number = _number(element)
                if number is None:
                    reason = "the answer has no persondata/personnummer"
                    bad.append(hub.Unreadable(position, reason, hub.raw(element)))
                elif number in wanted:
                    found[number] = wire.read(element, position)
        except (hub.TovholderError, OSError) as error:
            why = str(error) if isinstance(error, hub.TovholderError) else type(error).__name__
            bad.append(hub.Unreadable(where, f"the file cannot be read to its end, after {count} answers: {why}"))
            whole = False
            continue
        if not count:
            bad.append(hub.Unreadable(where, "the file holds no PersonLookupResponse: only CPR's answers belong here"))
            whole = False
    return Found(found, bad, whole)


def _elements(path: Path) -> Iterator[etree._Element]:
    with path.open("rb") as stream:
        yield from hub.xml_elements(stream, person.RESPONSE)


def _number(element: etree._Element) -> str | None:
    found = element.find(f"{{{person.NS}}}persondata/{{{person.NS}}}personnummer")
    return None if found is None else (found.text or "").strip() or None
