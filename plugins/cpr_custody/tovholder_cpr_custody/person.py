"""What the hub needs of a PersonLookupResponse: name, protection, Digital Post, custody. Addresses are not read.

Source: KOMBIT's contract for SF1520, PersonBaseDataExtendedServiceTypes (version 4).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from zoneinfo import ZoneInfo

from lxml import etree

import hub

NS = "http://serviceplatformen.dk/xml/wsdl/soap11/CPR/PersonBaseDataExtended/4/"
RESPONSE = f"{{{NS}}}PersonLookupResponse"

MOTHER, FATHER = 3, 4
HOLDERS = (MOTHER, FATHER, 5, 6)
"""foraeldremyndighedtype: mother, father, another holder, a second other holder."""
ANNULLED, DOUBLE, CHANGED, DEAD = 30, 50, 60, 90
"""Values of `status` that say something about a number or its person. 20 (a number for tax), 70 (disappeared) and 80
(emigrated) take nobody's custody away."""

_NOBODY = "0000000000"
_NEVER = date(1, 1, 1)
"""How systems on .NET write a date that is not there."""
_DANISH = ZoneInfo("Europe/Copenhagen")
_WHEN = re.compile(r"(\d{4}-\d\d-\d\d)(T\d\d:\d\d:\d\d(?:\.\d+)?)?(Z|[+-]\d\d:\d\d)?", re.ASCII)
_INTEGER = re.compile(r"\+?0*(\d{1,4})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Custody:
    """Custody of the person asked about. `holder` is None when the register names nobody with a number."""

    holder: str | None
    since: date | None
    until: date | None


@dataclass(frozen=True, slots=True)
class Person:
    number: str
    current: str
    """The number that holds now: another one when the person has been given a new number."""
    name: str | None
    protected: bool
    digital_post: bool | None
    dead: bool
    died: date | None
    custody: tuple[Custody, ...]


def parse(response: etree._Element) -> Person:
    """A PersonLookupResponse as a Person.

    Raises BadRecord, without personal data, when it has no number, its number holds no more and CPR names no other,
    or a date or a code cannot be read."""
    if next(response.iter(etree.Entity), None) is not None:
        raise hub.BadRecord("the answer holds entities, which CPR does not send: it is not CPR's, or was changed")
    data = response.find(_path("persondata"))
    number = _number(data, "personnummer")
    if data is None or number is None:
        raise hub.BadRecord("the answer has no persondata/personnummer")
    status = data.find(_path("status"))
    code = _integer(status, "status")
    current = _number(data, "gaeldendePersonnummer") or number
    if code in (ANNULLED, DOUBLE, CHANGED) and current == number:
        raise hub.BadRecord(f"the number is no longer valid (status {code}), and CPR names no other: look in CPR")
    return Person(
        number=number,
        current=current,
        name=_name(data.find(_path("navn"))),
        protected=_protected(data.find(_path("adressebeskyttelse"))),
        digital_post=_flag(data, "tilmeldtDigitalpost"),
        dead=code == DEAD,
        died=_date(status, "statusdato/dato") if code == DEAD else None,
        custody=_custody(response.find(_path("relationer"))),
    )


def _custody(relations: etree._Element | None) -> tuple[Custody, ...]:
    """Who has custody. `mor` and `far` alone say who the parents are, and nothing about custody."""
    if relations is None:
        return ()
    found = []
    for element in relations.findall(_path("foraeldremyndighed")):
        code = _integer(element, "foraeldremyndighedtype")
        if code not in HOLDERS:
            raise hub.BadRecord("foraeldremyndighedtype is none of 3, 4, 5, 6")
        holder = _number(element, "relationPersonnummer")
        if holder is None and code == MOTHER:
            holder = _number(relations, "mor/personnummer")
        if holder is None and code == FATHER:
            holder = _number(relations, "far/personnummer")
        since = _date(element, "foraeldremyndighedStartdato/dato") or _date(element, "relationStartdato")
        found.append(Custody(holder, since, _date(element, "foraeldremyndighedSletdato")))
    return tuple(found)


def _name(element: etree._Element | None) -> str | None:
    """The full name in reading order: personadresseringsnavn may be shortened, so the parts go first."""
    parts = [_text(element, part) for part in ("fornavn", "mellemnavn", "efternavn")]
    return " ".join(part for part in parts if part) or _text(element, "personadresseringsnavn")


def _protected(element: etree._Element | None) -> bool:
    """Whether there is name and address protection; where the answer contradicts itself or does not say, there is."""
    said = _flag(element, "beskyttet")
    began, ended = _date(element, "startdato"), _date(element, "slutdato")
    if said is None:
        return began is not None
    return said or (began is not None and ended is None)


def _flag(parent: etree._Element | None, what: str) -> bool | None:
    """An xsd:boolean; absent is not known, which is not false."""
    text = _text(parent, what)
    if text is None:
        return None
    if text not in ("true", "false", "1", "0"):
        raise hub.BadRecord(f"{what} is neither true nor false")
    return text in ("true", "1")


def _integer(parent: etree._Element | None, what: str) -> int | None:
    text = _text(parent, what)
    if text is None:
        return None
    found = _INTEGER.fullmatch(text)
    if found is None:
        raise hub.BadRecord(f"{what} is no code")
    return int(found[1])


def _number(parent: etree._Element | None, path: str) -> str | None:
    """A number as it stands; all zeros is CPR's way to name nobody. What is no number at all is not asked for."""
    text = _text(parent, path)
    if text is None or text == _NOBODY:
        return None
    if len(text) != 10 or not text.isascii() or not text.isalnum():
        raise hub.BadRecord(f"{path} is no CPR number")
    return text


def _date(parent: etree._Element | None, path: str) -> date | None:
    """An xsd:date as it stands, or the Danish day of an xsd:dateTime. 0001-01-01 is no date."""
    text = _text(parent, path)
    if text is None:
        return None
    found = _WHEN.fullmatch(text)
    try:
        if found is None:
            raise ValueError
        day = date.fromisoformat(found[1])
        if day != _NEVER and found[2] is not None:
            moment = datetime.fromisoformat(text)
            day = moment.astimezone(_DANISH).date() if moment.tzinfo is not None else moment.date()
    except (ValueError, OverflowError):
        raise hub.BadRecord(f"{path} is no date") from None
    return None if day == _NEVER else day


def _text(parent: etree._Element | None, path: str) -> str | None:
    element = None if parent is None else parent.find(_path(path))
    if element is None:
        return None
    if len(element):
        raise hub.BadRecord(f"{path} holds something else than text")
    return (element.text or "").strip() or None


@cache
def _path(path: str) -> str:
    return "/".join(f"{{{NS}}}{step}" for step in path.split("/"))
