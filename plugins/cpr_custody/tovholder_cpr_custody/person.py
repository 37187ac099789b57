"""What the hub needs of a PersonLookupResponse: name, protection, Digital Post, custody. Addresses are not read.

Source: KOMBIT's contract for SF1520, PersonBaseDataExtendedServiceTypes (version 4).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from lxml import etree

import hub

NS = "http://serviceplatformen.dk/xml/wsdl/soap11/CPR/PersonBaseDataExtended/4/"
RESPONSE = f"{{{NS}}}PersonLookupResponse"

MOTHER, FATHER = 3, 4
HOLDERS = (MOTHER, FATHER, 5, 6)
"""foraeldremyndighedtype: mother, father, another holder, a second other holder."""
DEAD = "90"


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
    died: date | None
    dead: bool
    custody: tuple[Custody, ...]


def parse(response: etree._Element) -> Person:
    """A PersonLookupResponse as a Person.

    Raises BadRecord, without personal data, when it has no number or a date or a code cannot be read."""
    data = response.find(_path("persondata"))
    number = _text(data, "personnummer")
    if data is None or number is None:
        raise hub.BadRecord("the answer has no persondata/personnummer")
    status = data.find(_path("status"))
    dead = _text(status, "status") == DEAD
    return Person(
        number=number,
        current=_text(data, "gaeldendePersonnummer") or number,
        name=_name(data.find(_path("navn"))),
        protected=_protected(data.find(_path("adressebeskyttelse"))),
        digital_post=_flag(_text(data, "tilmeldtDigitalpost"), "tilmeldtDigitalpost"),
        died=_date(status, "statusdato/dato") if dead else None,
        dead=dead,
        custody=_custody(response.find(_path("relationer"))),
    )


def _custody(relations: etree._Element | None) -> tuple[Custody, ...]:
    """Who has custody. `mor` and `far` alone say who the parents are, and nothing about custody."""
    if relations is None:
        return ()
    found = []
    for element in relations.findall(_path("foraeldremyndighed")):
        code = _text(element, "foraeldremyndighedtype")
        if code not in {str(known) for known in HOLDERS}:
            raise hub.BadRecord("foraeldremyndighedtype is none of 3, 4, 5, 6")
        holder = _text(element, "relationPersonnummer")
        if holder is None and code == str(MOTHER):
            holder = _text(relations, "mor/personnummer")
        if holder is None and code == str(FATHER):
            holder = _text(relations, "far/personnummer")
        since = _date(element, "foraeldremyndighedStartdato/dato") or _date(element, "relationStartdato")
        found.append(Custody(holder, since, _date(element, "foraeldremyndighedSletdato")))
    return tuple(found)


def _name(element: etree._Element | None) -> str | None:
    """The full name in reading order: personadresseringsnavn may be shortened, so the parts go first."""
    parts = [_text(element, part) for part in ("fornavn", "mellemnavn", "efternavn")]
    return " ".join(part for part in parts if part) or _text(element, "personadresseringsnavn")


def _protected(element: etree._Element | None) -> bool:
    """`beskyttet` where it stands; without it a protection that has ever begun counts, to be on the safe side."""
    said = _flag(_text(element, "beskyttet"), "beskyttet")
    return _text(element, "startdato") is not None if said is None else said


def _flag(text: str | None, what: str) -> bool | None:
    """An xsd:boolean; absent is not known, which is not false."""
    if text is None:
        return None
    if text not in ("true", "false", "1", "0"):
        raise hub.BadRecord(f"{what} is neither true nor false")
    return text in ("true", "1")


def _date(parent: etree._Element | None, path: str) -> date | None:
    """An xsd:date or the day of an xsd:dateTime, which CPR gives in Danish time. A time zone after it is dropped."""
    text = _text(parent, path)
    if text is None:
        return None
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        raise hub.BadRecord(f"{path} is no date") from None


def _text(parent: etree._Element | None, path: str) -> str | None:
    element = None if parent is None else parent.find(_path(path))
    text = "" if element is None or element.text is None else element.text.strip()
    return text or None


def _path(path: str) -> str:
    return "/".join(f"{{{NS}}}{step}" for step in path.split("/"))
