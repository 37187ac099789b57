"""The town's people as CPR tells of them on a day: what has changed by then, and the numbers that hold."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from xml.sax.saxutils import escape

from hub.clock import Clock, today
from hub.demo.model import Custody, Person, Town
from hub.errors import BadRecord
from hub.identity import parse

NS = "http://serviceplatformen.dk/xml/wsdl/soap11/CPR/PersonBaseDataExtended/4/"
ACTIVE, CHANGED, DEAD = 1, 60, 90
_ADULT = 18
_TYPES = {"mor": 3, "far": 4, "anden": 5}
_MOST_OTHERS = 6

_RESPONSE = (
    f'<PersonLookupResponse xmlns="{NS}"><persondata>'
    "<personnummer>{cpr}</personnummer>{current}"
    "<navn><personadresseringsnavn>{name}</personadresseringsnavn><fornavn>{first}</fornavn>"
    "<efternavn>{last}</efternavn></navn>"
    "{born}<koen>{sex}</koen><antalBoernUnder18>{children}</antalBoernUnder18>"
    "<status><status>{status}</status>{status_date}</status>"
    "<adressebeskyttelse>{protection}</adressebeskyttelse>"
    "<tilmeldtNemsms>false</tilmeldtNemsms><tilmeldtDigitalpost>{post}</tilmeldtDigitalpost></persondata>"
    "<adresse><aktuelAdresse><postnummer>{postcode}</postnummer><postdistrikt>{city}</postdistrikt>"
    "<standardadresse>{street}</standardadresse></aktuelAdresse></adresse>"
    "<relationer>{relations}</relationer></PersonLookupResponse>"
)


@dataclass(frozen=True, slots=True)
class _Now:
    """A person on a day."""

    number: str
    last: str
    protected: bool
    protected_since: date | None
    protected_until: date | None
    digital_post: bool
    status: int
    status_since: date | None


class Register:
    def __init__(self, town: Town, clock: Clock) -> None:
        self._town, self._clock = town, clock
        self._children: dict[str, list[str]] = defaultdict(list)
        for child, parents in town.parents.items():
            for parent in parents:
                self._children[parent].append(child)
        self._renumbered = {
            change.number: (first, change.since)
            for first, changes in town.changes.items()
            for change in changes
            if change.number is not None
        }
        """By a number somebody gets in the course of time: the one they had at the start, and from when."""

    def response(self, cpr: str) -> str | None:
        """PersonLookupResponse for a number, None when nobody has it (yet)."""
        day = today(self._clock)
        first, since = self._renumbered.get(cpr, (cpr, date.min))
        person = self._town.people.get(first)
        if person is None or since > day:
            return None
        now = self._now(person, day)
        if now.number != cpr:
            # The register keeps a number that holds no more, and says which one does.
            return self._told(person, now, cpr, day, status=CHANGED, relations="")
        return self._told(person, now, cpr, day, status=now.status, relations=self._relations(first, day))

    def _told(self, person: Person, now: _Now, cpr: str, day: date, *, status: int, relations: str) -> str:
        born = _born(cpr)
        text = {key: escape(getattr(person, key)) for key in ("first", "postcode", "city", "street")}
        return _RESPONSE.format(
            **text,
            cpr=cpr,
            current="" if now.number == cpr else f"<gaeldendePersonnummer>{now.number}</gaeldendePersonnummer>",
            name=escape(f"{person.first} {now.last}"),
            last=escape(now.last),
            born=""
            if born is None
            else f"<foedselsdato><dato>{born}</dato></foedselsdato><alder>{_age(born, day)}</alder>",
            sex="M" if cpr[-1] in "13579" else "K",
            children=sum(1 for child in self._children[person.cpr] if _is_child(child, day)),
            status=status,
            status_date=_moment(now.status_since) if status == now.status else "",
            protection=_protection(now),
            post=_xml(self._has_digital_post(now, born, day)),
            relations=relations,
        )

    def _now(self, person: Person, day: date) -> _Now:
        """What CPR says of a person on a day."""
        number, last, status, status_since = person.cpr, person.last, ACTIVE, None
        protected, since, until, post = person.protected, None, None, person.digital_post
        for change in self._town.changes.get(person.cpr, ()):
            if change.since > day:
                break
            number, last = change.number or number, change.last or last
            post = post if change.digital_post is None else change.digital_post
            if change.status is not None:
                status, status_since = change.status, change.since
            if change.protected is not None:
                protected = change.protected
                since, until = (change.since, None) if protected else (since, change.since)
        return _Now(number, last, protected, since, until, post, status, status_since)

    @staticmethod
    def _has_digital_post(now: _Now, born: date | None, day: date) -> bool:
        """Digital Post begins at 15 (lov om Digital Post § 3), and ends with life."""
        return now.digital_post and now.status != DEAD and (born is None or _age(born, day) >= 15)

    def _number(self, first: str, day: date) -> str:
        """The number that somebody of the town has on a day."""
        person = self._town.people.get(first) if first in self._town.changes else None
        return first if person is None else self._now(person, day).number

    def _relations(self, cpr: str, day: date) -> str:
        parts = [
            f"<barn><personnummer>{self._number(child, day)}</personnummer></barn>" for child in self._children[cpr]
        ]
        for tag, parent in zip(("mor", "far"), self._town.parents.get(cpr, ()), strict=False):
            parts.append(f"<{tag}><personnummer>{self._number(parent, day)}</personnummer></{tag}>")
        parts += self._custodies(self._town.custody.get(cpr, ()), day)
        return "".join(parts)

    def _custodies(self, custody: Iterable[Custody], day: date) -> list[str]:
        parts, others = [], 0
        for one in custody:
            told = one.told is not None and one.told <= day
            if one.since > day and not told:
                continue
            code = _TYPES[one.relation]
            if one.relation == "anden":
                code = min(code + others, _MOST_OTHERS)
                others += 1
            ended = one.until is not None and (one.until <= day or told)
            parts.append(
                f"<foraeldremyndighed><foraeldremyndighedtype>{code}</foraeldremyndighedtype>"
                f"<foraeldremyndighedStartdato><dato>{one.since}</dato></foraeldremyndighedStartdato>"
                + (f"<foraeldremyndighedSletdato>{one.until}</foraeldremyndighedSletdato>" if ended else "")
                + f"<relationPersonnummer>{self._number(one.guardian, day)}</relationPersonnummer>"
                "</foraeldremyndighed>"
            )
        return parts


def _protection(now: _Now) -> str:
    since = f"<startdato>{now.protected_since}</startdato>" if now.protected_since else ""
    until = f"<slutdato>{now.protected_until}</slutdato>" if now.protected_until else ""
    return f"{since}{until}<beskyttet>{_xml(now.protected)}</beskyttet>"


def _moment(day: date | None) -> str:
    return "" if day is None else f"<statusdato><dato>{day}T00:00:00.000+01:00</dato></statusdato>"


def _born(cpr: str) -> date | None:
    try:
        return parse(cpr).born
    except BadRecord:
        return None


def _age(born: date, day: date) -> int:
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))


def _is_child(cpr: str, day: date) -> bool:
    born = _born(cpr)
    return born is not None and _age(born, day) < _ADULT


def _xml(value: bool) -> str:
    return "true" if value else "false"
