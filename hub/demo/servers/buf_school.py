"""One school of the town, written as an export of wsieksport v7, in each of its four variants.

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
from enum import Enum
from xml.sax.saxutils import escape, quoteattr

from hub.contract import State
from hub.demo.model import Institution, Person, Town, TownCase, Version, Worker
from hub.identity import CprKind, parse

WSI = "https://brugerdatabasen.stil.dk/bpi/wsieksport/7"
BPI = "https://brugerdatabasen.stil.dk/bpi/common/3"
_SOURCE = "Byens elevsystem"


class Variant(Enum):
    """How its operations name a variant; and what its namespace, root and `accessLevel` are called."""

    FULD_MYNDIGHED = ("FuldMyndighed", "fullmyndighed", "UNILoginExportFullMyndighed", "full")
    FULD = ("Fuld", "full", "UNILoginExportFull", "full")
    MELLEM = ("Mellem", "medium", "UNILoginExportMedium", "medium")
    LILLE = ("Lille", "small", "UNILoginExportSmall", "small")

    def __init__(self, operation: str, namespace: str, root: str, level: str) -> None:
        self.operation, self.namespace, self.root, self.level = operation, f"{WSI}/{namespace}", root, level

    @property
    def full(self) -> bool:
        """Whether it tells of addresses, phones and contact persons."""
        return self.level == "full"

    @property
    def numbers(self) -> bool:
        return self is not Variant.LILLE


@dataclass(frozen=True, slots=True)
class Asked:
    """The variant and the filters of an export request; what is not mentioned is included."""

    variant: Variant = Variant.FULD_MYNDIGHED
    pupils: bool = True
    employees: bool = True
    contacts: bool = True
    numbers: bool = True


def export(body: str, now: datetime, variant: Variant) -> str:
    """An export's root element around what `School.render` gives."""
    return (
        f'<v:{variant.root} xmlns:v="{variant.namespace}" xmlns:c="{WSI}/common" xmlns:b="{BPI}" '
        f'exportDateTime="{now.isoformat()}" accessLevel="{variant.level}">{body}</v:{variant.root}>'
    )


class School:
    """One institution of the town, and its export at any time."""

    def __init__(self, town: Town, institution: Institution) -> None:
        self._town = town
        self._institution = institution
        self._cases = [case for case in town.cases.get("BUF", ()) if case.kind == institution.number]
        self._ordinary = town.ordinary_pupils.get(institution.number, ())
        self._changes = sorted({version.changed for case in self._cases for version in case.versions})

    def changes_until(self, now: datetime) -> int:
        return bisect_right(self._changes, now)

    def render(self, now: datetime, day: date, asked: Asked) -> str:
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
            groups[f"K{level}"] = _group(f"K{level}", _class_name(level), "Hovedgruppe", date(school_year(day), 8, 1))
            pupils.setdefault(child, (f"K{level}",))
        year = school_year(day)
        parts = [
            f'<c:ImportSource sourceDateTime="{day.isoformat()}T00:00:00Z" source={quoteattr(_SOURCE)} '
            f'schoolYear="{year}-{year + 1}"/><v:Institution>'
            f"<c:InstitutionNumber>{escape(self._institution.number)}</c:InstitutionNumber>"
            f"<c:InstitutionName>{escape(self._institution.name)}</c:InstitutionName>",
            *(groups[number] for number in sorted(groups)),
        ]
        if asked.pupils:
            parts += [self._pupil(child, mine, day, asked) for child, mine in pupils.items()]
        if asked.employees:
            parts += [_employee(worker, team, asked.variant) for team, worker in sorted(teams.items())]
        return "".join(parts) + "</v:Institution>"

    def _open(self, now: datetime) -> list[tuple[TownCase, Version]]:
        found = [(case, case.at(now)) for case in self._cases]
        return [(case, at) for case, at in found if at is not None and not at.gone and at.state is not State.CLOSED]

    def _pupil(self, child: str, groups: tuple[str, ...], day: date, asked: Asked) -> str:
        level = _level(parse(child).born, day)
        contacts = "".join(self._contacts(child, day, asked)) if asked.contacts and asked.variant.full else ""
        more = "".join(f"<b:GroupId>{group}</b:GroupId>" for group in groups[1:])
        return (
            f"<v:InstitutionPerson source={quoteattr(_SOURCE)}>{_person(self._town.people[child], asked)}<v:Student>"
            f"<c:Role>{'Barn' if level == 'DT' else 'Elev'}</c:Role><c:Level>{level}</c:Level>"
            f"<c:MainGroupId>{groups[0]}</c:MainGroupId>{more}{contacts}</v:Student></v:InstitutionPerson>"
        )

    def _contacts(self, child: str, day: date, asked: Asked) -> list[str]:
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
                f'<v:ContactPerson relation="{relation}" childCustody="{_bool(cpr in custody)}" accessLevel="1">'
                f"{_person(self._town.people[cpr], asked)}</v:ContactPerson>"
            )
        return parts


def _group(number: str, name: str, kind: str, since: date | None) -> str:
    dates = f"<c:FromDate>{since.isoformat()}</c:FromDate>" if since is not None else ""
    return (
        f"<c:Group><c:GroupId>{number}</c:GroupId><c:GroupName>{escape(name)}</c:GroupName>"
        f"<c:GroupType>{kind}</c:GroupType>{dates}</c:Group>"
    )


def _person(person: Person, asked: Asked) -> str:
    cpr = parse(person.cpr)
    digest = hashlib.sha256(person.cpr.encode()).hexdigest()
    flag = _bool(person.protected)
    parts = [
        f"<c:FirstName>{escape(person.first)}</c:FirstName><c:FamilyName>{escape(person.last)}</c:FamilyName>"
        f"<c:UserId>{_user_id(person.first, digest)}</c:UserId>"
    ]
    if asked.variant.numbers:
        kind = "CPR_REPLACEMENT_ID" if cpr.kind is not CprKind.CPR else "CPR_VERIFIED"
        number = f"<c:CivilRegistrationNumber>{person.cpr}</c:CivilRegistrationNumber>" if asked.numbers else ""
        parts.append(
            f"{number}<c:CivilRegistrationNumberType>{kind}</c:CivilRegistrationNumberType>"
            f"<c:BirthDate>{cpr.born.isoformat()}</c:BirthDate>"
            f"<c:Gender>{'MK'[int(person.cpr[9]) % 2 == 0]}</c:Gender>"
        )
    if asked.variant.full:
        parts.append(
            f"<c:Address><c:StreetAddress>{escape(person.street)}</c:StreetAddress>"
            f"<c:PostalCode>{escape(person.postcode)}</c:PostalCode>"
            f"<c:PostalDistrict>{escape(person.city)}</c:PostalDistrict><c:CountryCode>DK</c:CountryCode></c:Address>"
            f'<c:MobilePhoneNumber protected="{flag}">2{int(digest[:6], 16) % 10**7:07d}</c:MobilePhoneNumber>'
        )
    return _wrapped("".join(parts), asked.variant, flag)


def _employee(worker: Worker, team: str, variant: Variant) -> str:
    first, _, last = worker.name.rpartition(" ")
    digest = hashlib.sha256(worker.uuid.encode()).hexdigest()
    person = (
        f"<c:FirstName>{escape(first)}</c:FirstName><c:FamilyName>{escape(last)}</c:FamilyName>"
        f"<c:UserId>{_user_id(first, digest)}</c:UserId>"
    )
    if variant.numbers:
        person += f"<c:EmailAddress>{escape(worker.email)}</c:EmailAddress>"
    if variant.full:
        person += f'<c:WorkPhoneNumber protected="false">{escape(worker.phone)}</c:WorkPhoneNumber>'
    local = f"<b:LocalPersonId>{escape(worker.uuid)}</b:LocalPersonId>" if variant.numbers else ""
    return (
        f"<v:InstitutionPerson source={quoteattr(_SOURCE)}>{local}{_wrapped(person, variant, 'false')}"
        "<c:Employee><c:Role>Pædagog</c:Role><c:Occupation>Kontaktperson</c:Occupation>"
        f"<b:GroupId>{team}</b:GroupId></c:Employee></v:InstitutionPerson>"
    )


def _wrapped(person: str, variant: Variant, protected: str) -> str:
    flag = f' protected="{protected}"' if variant.full else ""
    return f"<v:Person{flag}>{person}</v:Person>"


def _user_id(first: str, digest: str) -> str:
    """A UNI-Login user id: letters of the name, then what tells people of one name apart."""
    letters = "".join(letter for letter in first.casefold() if "a" <= letter <= "z")[:4]
    return f"{letters}{digest[:10]}"


def school_year(day: date) -> int:
    """The year in which the school year of this day began, on 1 August."""
    return day.year if day.month >= 8 else day.year - 1


def _level(born: date, day: date) -> str:
    """Klassetrin (`trin`): a child starts in 0. klasse in the year it turns six; younger ones are in day care."""
    level = school_year(day) - born.year - 6
    return "DT" if level < 0 else str(level) if level <= 10 else "Andet"


def _class_name(level: str) -> str:
    return f"{level}. klasse" if level.isdigit() else level


def _bool(value: bool) -> str:
    return "true" if value else "false"
