"""The town's Brugerdatabase: STIL wsieksport v7 at `POST /bpi/wsieksport/7`, SOAP 1.2.

Two operations, both reads: `hentDataAftalerFuldMyndighed` (which institutions) and `eksporterXmlFuldMyndighed` (one
institution with all its pupils, contact persons and employees, filtered as the request asks). Any other operation,
method or path is refused.

How the town becomes a school's export:

- A pupil of a special school is in a Hovedgruppe of those who began on the same day, whose FromDate is that day, and
  in a Team with the others who have the same adviser. The adviser is an employee of that Team, with the occupation
  Kontaktperson and the Worker's uuid as LocalPersonId.
- The format has no word for applied, decided or follow-up: who has a place, or has asked for one, is in the export;
  whose case is closed or gone is not.
- An ordinary pupil is in a class by level.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from dataclasses import dataclass
from datetime import date, datetime
from xml.sax.saxutils import escape, quoteattr

from lxml import etree
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from hub.clock import Clock, today
from hub.contract import State
from hub.demo.model import Institution, Person, Town, TownCase, Version, Worker
from hub.identity import CprKind, parse

_WSI = "https://brugerdatabasen.stil.dk/bpi/wsieksport/7"
_BPI = "https://brugerdatabasen.stil.dk/bpi/common/3"
_SOAP = "http://www.w3.org/2003/05/soap-envelope"
_SOURCE = "Byens elevsystem"


def app(town: Town, clock: Clock) -> ASGIApp:
    """The service as an ASGI application. It answers for the town as it is at the clock's now, and keeps each
    institution's last export, until something in it changes."""
    service = _Service(town, clock)
    return Starlette(routes=[Route("/bpi/wsieksport/7", service.answer, methods=["POST"])])


@dataclass(frozen=True, slots=True)
class _Asked:
    """The filters of an export request; what is not mentioned is included."""

    pupils: bool = True
    employees: bool = True
    contacts: bool = True
    numbers: bool = True


class _Service:
    def __init__(self, town: Town, clock: Clock) -> None:
        self._clock = clock
        self._schools = {number: _School(town, found) for number, found in sorted(town.institutions.items())}
        self._kept: dict[str, tuple[tuple[object, ...], str]] = {}

    async def answer(self, request: Request) -> Response:
        operation = _operation(await request.body())
        if operation is None:
            return _fault("the request is no SOAP 1.2 envelope with one operation")
        name = etree.QName(operation)
        if name == etree.QName(_WSI, "hentDataAftalerFuldMyndighed"):
            numbers = "".join(f"<b:regnr>{escape(number)}</b:regnr>" for number in self._schools)
            return _envelope(
                f'<w:hentDataAftalerFuldMyndighedResponse xmlns:w="{_WSI}" xmlns:b="{_BPI}">{numbers}'
                "</w:hentDataAftalerFuldMyndighedResponse>"
            )
        if name == etree.QName(_WSI, "eksporterXmlFuldMyndighed"):
            number = operation.findtext(f"{{{_WSI}}}instnr", "").strip()
            if number not in self._schools:
                return _fault("no data agreement for this institution")
            return _envelope(
                f'<w:eksporterXmlFuldMyndighedResponse xmlns:w="{_WSI}"><w:xml>'
                f"{self._export(number, _asked(operation))}</w:xml></w:eksporterXmlFuldMyndighedResponse>"
            )
        return _fault("this operation does not exist")

    def _export(self, number: str, asked: _Asked) -> str:
        now = self._clock.now()
        day = today(self._clock)
        school = self._schools[number]
        # Custody turns at midnight; without contact persons only cases and the school year matter.
        state = (asked, school.changes_until(now), _school_year(day), day if asked.contacts else None)
        kept = self._kept.get(number)
        if kept is None or kept[0] != state:
            kept = self._kept[number] = (state, school.render(now, day, asked))
        return (
            f'<fm:UNILoginExportFullMyndighed xmlns:fm="{_WSI}/fullmyndighed" xmlns:c="{_WSI}/common" xmlns:b="{_BPI}" '
            f'exportDateTime="{now.isoformat()}" accessLevel="full">{kept[1]}</fm:UNILoginExportFullMyndighed>'
        )


class _School:
    """One institution of the town, and its export at any time."""

    def __init__(self, town: Town, institution: Institution) -> None:
        self._town = town
        self._institution = institution
        self._cases = [case for case in town.cases.get("BUF", ()) if case.kind == institution.number]
        self._ordinary = town.ordinary_pupils.get(institution.number, ())
        self._changes = sorted({version.changed for case in self._cases for version in case.versions})

    def changes_until(self, now: datetime) -> int:
        return bisect_right(self._changes, now)

    def render(self, now: datetime, day: date, asked: _Asked) -> str:
        """Everything below the export's root, in the schema's order."""
        pupils: dict[str, tuple[str, ...]] = {}
        groups: dict[str, str] = {}
        teams: dict[str, Worker] = {}
        for case, version in self._open(now):
            started = f"H{case.opened:%Y%m%d}"
            groups[started] = _group(started, f"Basisgruppe {case.opened:%d%m%y}", "Hovedgruppe", case.opened)
            mine: tuple[str, ...] = (started,)
            if version.adviser is not None:
                team = f"T{version.adviser[:13]}"
                if team not in teams:
                    teams[team] = self._town.workers[version.adviser]
                    groups[team] = _group(team, f"Team {len(teams)}", "Team", None)
                mine = (started, team)
            pupils.setdefault(case.child, mine)
        for child in self._ordinary:
            level = _level(parse(child).born, day)
            groups[f"K{level}"] = _group(f"K{level}", _class_name(level), "Hovedgruppe", date(_school_year(day), 8, 1))
            pupils.setdefault(child, (f"K{level}",))
        year = _school_year(day)
        parts = [
            f'<c:ImportSource sourceDateTime="{day.isoformat()}T00:00:00Z" source={quoteattr(_SOURCE)} '
            f'schoolYear="{year}-{year + 1}"/><fm:Institution>'
            f"<c:InstitutionNumber>{escape(self._institution.number)}</c:InstitutionNumber>"
            f"<c:InstitutionName>{escape(self._institution.name)}</c:InstitutionName>",
            *(groups[number] for number in sorted(groups)),
        ]
        if asked.pupils:
            parts += [self._pupil(child, mine, day, asked) for child, mine in pupils.items()]
        if asked.employees:
            parts += [_employee(worker, team) for team, worker in sorted(teams.items())]
        return "".join(parts) + "</fm:Institution>"

    def _open(self, now: datetime) -> list[tuple[TownCase, Version]]:
        found = [(case, case.at(now)) for case in self._cases]
        return [(case, at) for case, at in found if at is not None and not at.gone and at.state is not State.CLOSED]

    def _pupil(self, child: str, groups: tuple[str, ...], day: date, asked: _Asked) -> str:
        level = _level(parse(child).born, day)
        contacts = "".join(self._contacts(child, day, asked)) if asked.contacts else ""
        more = "".join(f"<b:GroupId>{group}</b:GroupId>" for group in groups[1:])
        return (
            f"<fm:InstitutionPerson source={quoteattr(_SOURCE)}>{_person(self._town.people[child], asked)}<fm:Student>"
            f"<c:Role>{'Barn' if level == 'DT' else 'Elev'}</c:Role><c:Level>{level}</c:Level>"
            f"<c:MainGroupId>{groups[0]}</c:MainGroupId>{more}{contacts}</fm:Student></fm:InstitutionPerson>"
        )

    def _contacts(self, child: str, day: date, asked: _Asked) -> list[str]:
        """Parents, with custody or without, and who else has custody today."""
        custody = {
            held.guardian: held.relation
            for held in self._town.custody.get(child, ())
            if held.since <= day and (held.until is None or day < held.until)
        }
        parents = self._town.parents.get(child, ())
        others = [guardian for guardian in custody if guardian not in parents]
        parts = []
        for cpr in (*parents, *others):
            # The last digit of a number is even for women.
            mother = int(cpr[9]) % 2 == 0
            relation = "Andet" if cpr in others else "Mor" if mother else "Far"
            parts.append(
                f'<fm:ContactPerson relation="{relation}" childCustody="{_bool(cpr in custody)}" accessLevel="1">'
                f"{_person(self._town.people[cpr], asked)}</fm:ContactPerson>"
            )
        return parts


def _operation(body: bytes) -> etree._Element | None:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        envelope = etree.fromstring(body, parser)
    except etree.XMLSyntaxError:
        return None
    found = envelope.find(f"{{{_SOAP}}}Body") if envelope.tag == f"{{{_SOAP}}}Envelope" else None
    return found[0] if found is not None and len(found) == 1 else None


def _asked(operation: etree._Element) -> _Asked:
    def wanted(name: str) -> bool:
        text = operation.findtext(f"{{{_WSI}}}filtre//{{{_WSI}}}inkluder{name}", "true")
        return text.strip() in ("true", "1")

    return _Asked(wanted("Elever"), wanted("Medarbejdere"), wanted("Kontaktpersoner"), wanted("Cpr"))


def _envelope(content: str, status: int = 200) -> Response:
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>'
        f'<soap:Envelope xmlns:soap="{_SOAP}"><soap:Body>{content}</soap:Body></soap:Envelope>'
    )
    return Response(text, status, media_type="application/soap+xml")


def _fault(reason: str) -> Response:
    return _envelope(
        "<soap:Fault><soap:Code><soap:Value>soap:Sender</soap:Value></soap:Code>"
        f'<soap:Reason><soap:Text xml:lang="en">{escape(reason)}</soap:Text></soap:Reason></soap:Fault>',
        status=400,
    )


def _group(number: str, name: str, kind: str, since: date | None) -> str:
    dates = f"<c:FromDate>{since.isoformat()}</c:FromDate>" if since is not None else ""
    return (
        f"<c:Group><c:GroupId>{number}</c:GroupId><c:GroupName>{escape(name)}</c:GroupName>"
        f"<c:GroupType>{kind}</c:GroupType>{dates}</c:Group>"
    )


def _person(person: Person, asked: _Asked) -> str:
    cpr = parse(person.cpr)
    kind = "CPR_REPLACEMENT_ID" if cpr.kind is not CprKind.CPR else "CPR_VERIFIED"
    number = f"<c:CivilRegistrationNumber>{person.cpr}</c:CivilRegistrationNumber>" if asked.numbers else ""
    digest = hashlib.sha256(person.cpr.encode()).hexdigest()
    flag = _bool(person.protected)
    return (
        f'<fm:Person protected="{flag}"><c:FirstName>{escape(person.first)}</c:FirstName>'
        f"<c:FamilyName>{escape(person.last)}</c:FamilyName><c:UserId>{_user_id(person.first, digest)}</c:UserId>"
        f"{number}<c:CivilRegistrationNumberType>{kind}</c:CivilRegistrationNumberType>"
        f"<c:BirthDate>{cpr.born.isoformat()}</c:BirthDate>"
        f"<c:Gender>{'MK'[int(person.cpr[9]) % 2 == 0]}</c:Gender>"
        f"<c:Address><c:StreetAddress>{escape(person.street)}</c:StreetAddress>"
        f"<c:PostalCode>{escape(person.postcode)}</c:PostalCode>"
        f"<c:PostalDistrict>{escape(person.city)}</c:PostalDistrict><c:CountryCode>DK</c:CountryCode></c:Address>"
        f'<c:MobilePhoneNumber protected="{flag}">2{int(digest[:6], 16) % 10**7:07d}</c:MobilePhoneNumber></fm:Person>'
    )


def _employee(worker: Worker, team: str) -> str:
    first, _, last = worker.name.rpartition(" ")
    digest = hashlib.sha256(worker.uuid.encode()).hexdigest()
    return (
        f"<fm:InstitutionPerson source={quoteattr(_SOURCE)}><b:LocalPersonId>{escape(worker.uuid)}</b:LocalPersonId>"
        f'<fm:Person protected="false"><c:FirstName>{escape(first)}</c:FirstName>'
        f"<c:FamilyName>{escape(last)}</c:FamilyName><c:UserId>{_user_id(first, digest)}</c:UserId>"
        f"<c:EmailAddress>{escape(worker.email)}</c:EmailAddress>"
        f'<c:WorkPhoneNumber protected="false">{escape(worker.phone)}</c:WorkPhoneNumber></fm:Person>'
        "<c:Employee><c:Role>Pædagog</c:Role><c:Occupation>Kontaktperson</c:Occupation>"
        f"<b:GroupId>{team}</b:GroupId></c:Employee></fm:InstitutionPerson>"
    )


def _user_id(first: str, digest: str) -> str:
    """A UNI-Login user id: letters of the name, then what tells people of one name apart."""
    letters = "".join(letter for letter in first.casefold() if "a" <= letter <= "z")[:4]
    return f"{letters}{digest[:10]}"


def _school_year(day: date) -> int:
    """The year in which the school year of this day began, on 1 August."""
    return day.year if day.month >= 8 else day.year - 1


def _level(born: date, day: date) -> str:
    """Klassetrin (`trin`): a child starts in 0. klasse in the year it turns six; younger ones are in day care."""
    level = _school_year(day) - born.year - 6
    return "DT" if level < 0 else str(level) if level <= 10 else "Andet"


def _class_name(level: str) -> str:
    return f"{level}. klasse" if level.isdigit() else level


def _bool(value: bool) -> str:
    return "true" if value else "false"
