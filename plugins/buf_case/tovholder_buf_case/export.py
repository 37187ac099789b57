"""One institution's export, read in a stream: its pupils of a listed kind, and who is their contact.

An export is a whole school. Of it are kept the listed pupils (number, enrolment) and the employees who may be a
contact; everything else is counted or passed over. Contact persons (parents), addresses and private phone numbers are
cut off each person before anything of it is looked at, so that they cannot reach a record, a quarantine or a digest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from datetime import date

from lxml import etree

import hub
from tovholder_buf_case.settings import BufSettings, kind_of
from tovholder_buf_case.wire import BPI, COMMON, VARIANTS, Stream, written_at

_NUMBER, _NAME, _GROUP = (f"{{{COMMON}}}{name}" for name in ("InstitutionNumber", "InstitutionName", "Group"))
_GROUP_ID = f"{{{BPI}}}GroupId"
_PERSONS = tuple(f"{{{variant}}}InstitutionPerson" for variant in VARIANTS)
_CUT = (
    *(f"{{{variant}}}ContactPerson" for variant in VARIANTS),
    *(f"{{{COMMON}}}{name}" for name in ("Address", "HomePhoneNumber", "MobilePhoneNumber", "PhotoId")),
)
_NUMBER_TYPES = {"CPR_VERIFIED", "CPR_UNVERIFIED", "CPR_REPLACEMENT_ID"}


@dataclass(frozen=True, slots=True)
class Group:
    name: str
    opened: date | None
    current: bool
    """Whether the export's day lies within the group's dates."""
    flaw: str = ""
    """What is wrong with its dates, if anything."""


@dataclass(frozen=True, slots=True)
class Pupil:
    """A pupil of a listed kind. `groups` are the ids of their groups, the main group first; `enrolled_by` is the group
    that tells since when."""

    source_id: str
    cpr: str
    kind: str
    groups: tuple[str, ...]
    enrolled_by: Group | None
    position: str


@dataclass(frozen=True, slots=True)
class Contact:
    """An employee with a listed occupation. `rank` is the occupation's place on the list."""

    rank: int
    user_id: str
    groups: frozenset[str]
    record: hub.StaffRecord


@dataclass(slots=True)
class Export:
    number: str = ""
    name: str = ""
    pupils: list[Pupil | hub.Unreadable] = field(default_factory=list)
    contacts: list[Contact] = field(default_factory=list)
    ignored: int = 0
    digest: str = ""
    """Changes when anything changes that may change a record; says nothing by itself."""

    def adviser(self, pupil: Pupil) -> hub.StaffRecord | None:
        """The pupil's contact at the school: an employee of a listed occupation who belongs to the pupil's main group,
        else to another of their groups (in the order the export gives them), else to no group at all and so to the
        whole school. Among equals the occupation that stands first on the list, then the lowest user id, so that the
        answer stays the same from one export to the next."""
        near = []
        for contact in self.contacts:
            shared = [place for place, group in enumerate(pupil.groups) if group in contact.groups]
            if shared:
                near.append((shared[0], contact.rank, contact.user_id, contact.record))
            elif not contact.groups:
                near.append((len(pupil.groups), contact.rank, contact.user_id, contact.record))
        return min(near, key=lambda found: found[:3])[3] if near else None


def read_export(stream: Stream, expected: str, settings: BufSettings, children: Set[str] | None) -> Export:
    """Read the export of institution `expected` to its end.

    `children`: None for all pupils; else only those with these numbers, and no Unreadable, since nobody can tell whose
    it is. Raises TryAgain (cut short, not well-formed), GaveUp (another institution, or no export)."""
    reader = _Reader(settings, children)
    try:
        for element in hub.xml_elements(stream, _NUMBER, _NAME, _GROUP, *_PERSONS):
            reader.take(element)
    except hub.TryAgain as error:
        raise hub.TryAgain(f"institution {expected}: {error}", after_seconds=error.after_seconds) from error
    if reader.export.number != expected:
        raise hub.GaveUp(
            f"institution {expected}: the answer holds no export of this institution in a variant with numbers "
            "(FullMyndighed, Full, Medium): look at its data agreement"
        )
    return reader.finish()


class _Reader:
    """Takes an export's elements in document order: number, name, groups, persons."""

    def __init__(self, settings: BufSettings, children: Set[str] | None) -> None:
        self.export = Export()
        self._settings = settings
        self._children = children
        self._occupations = {name.casefold(): place for place, name in enumerate(settings.contact_occupations)}
        self._groups: dict[str, Group] = {}
        self._seen: dict[str, str] = {}
        self._persons = 0
        self._day: date | None = None
        # The settings decide what comes out too: with another list the same export is to be read anew.
        rules = repr(("1", list(settings.kinds), settings.contact_occupations))
        self._hash = hashlib.sha256(rules.encode())
        for cpr in sorted(children or ()):
            self._hash.update(cpr.encode())

    def take(self, element: etree._Element) -> None:
        if element.tag == _NUMBER:
            self._begin(element)
        elif element.tag == _NAME:
            self.export.name = _text(element)
            self._hash.update(self.export.name.encode())
        elif element.tag == _GROUP:
            self._group(element)
        else:
            self._person(element)

    def finish(self) -> Export:
        self.export.digest = self._hash.hexdigest()
        return self.export

    def _begin(self, number: etree._Element) -> None:
        institution = number.getparent()
        if institution is None or etree.QName(institution).namespace not in VARIANTS:
            return
        self.export.number = _text(number)
        self._hash.update(self.export.number.encode())
        try:
            self._day = written_at(number).date()
        except ValueError as error:
            raise hub.GaveUp(f"institution {self.export.number}: exportDateTime is missing or no time") from error

    def _group(self, element: etree._Element) -> None:
        flaw, dates = "", []
        for name in ("FromDate", "ToDate"):
            text = element.findtext(f"{{{COMMON}}}{name}", "").strip()
            try:
                dates.append(date.fromisoformat(text[:10]) if text else None)
            except ValueError:
                dates.append(None)
                flaw = f"{name} of the pupil's group is no date: correct it in the school's system"
        opened, closed = dates
        current = not self._day or ((opened or self._day) <= self._day <= (closed or self._day))
        number = _text(element.find(f"{{{COMMON}}}GroupId"))
        name = _text(element.find(f"{{{COMMON}}}GroupName")) or number
        self._groups[number] = Group(name, opened, current, flaw)
        self._hash.update(etree.tostring(element, with_tail=False) + (b"1" if current else b"0"))

    def _person(self, element: etree._Element) -> None:
        self._persons += 1
        etree.strip_elements(element, *_CUT)
        self._hash.update(etree.tostring(element, with_tail=False))
        variant = etree.QName(element).namespace
        person = element.find(f"{{{variant}}}Person")
        student = element.find(f"{{{variant}}}Student")
        employee = element.find(f"{{{COMMON}}}Employee")
        if student is not None:
            self._student(element, person, student)
        elif employee is not None and person is not None:
            self._employee(element, person, employee)

    def _student(self, element: etree._Element, person: etree._Element | None, student: etree._Element) -> None:
        cpr = _cpr(person)
        if self._children is not None and cpr not in self._children:
            return
        main = _text(student.find(f"{{{COMMON}}}MainGroupId"))
        groups = tuple(dict.fromkeys(group for group in (main, *_group_ids(student)) if group))
        known = [self._groups[group] for group in groups if group in self._groups]
        current = [group for group in known if group.current]
        kind = kind_of(self._settings.kinds, self.export.number, (group.name for group in current))
        if kind is None:
            self.export.ignored += 1
            return
        position = f"institution {self.export.number}, InstitutionPerson {self._persons}"
        user_id = _text(None if person is None else person.find(f"{{{COMMON}}}UserId"))
        # A user id begins with letters of the name, which has no place in an id.
        source_id = f"{self.export.number}:{hashlib.sha256(user_id.encode()).hexdigest()[:16]}"
        reason = _unreadable(person, user_id, cpr) or self._clash(source_id, cpr)
        if reason:
            self.export.pupils.append(hub.Unreadable(position, reason, hub.raw(element)))
        elif source_id not in self._seen:
            self._seen[source_id] = cpr
            by = self._enrolled_by(kind, known, current)
            self.export.pupils.append(Pupil(source_id, cpr, kind, groups, by, position))

    def _enrolled_by(self, kind: str, known: Sequence[Group], current: Sequence[Group]) -> Group | None:
        """The group whose first day is the case's: in a special school the main group, else the special class."""
        if kind == self.export.number:
            return known[0] if known else None
        return next((group for group in current if kind_of([kind], "", [group.name])), None)

    def _clash(self, source_id: str, cpr: str) -> str:
        if self._seen.get(source_id, cpr) == cpr:
            return ""
        return "another pupil of the institution has the same UserId and another number: correct it in the source"

    def _employee(self, element: etree._Element, person: etree._Element, employee: etree._Element) -> None:
        titles = [_text(employee.find(f"{{{COMMON}}}Occupation"))]
        titles += [_text(role) for role in employee.iterfind(f"{{{COMMON}}}Role")]
        ranks = [self._occupations[title.casefold()] for title in titles if title.casefold() in self._occupations]
        user_id = _text(person.find(f"{{{COMMON}}}UserId"))
        name = _staff_name(person)
        if not ranks or not user_id or not name:
            return
        local = _text(element.find(f"{{{BPI}}}LocalPersonId"))
        phone = person.find(f"{{{COMMON}}}WorkPhoneNumber")
        record = hub.StaffRecord(
            # Some schools' systems use the CPR number as their own id of a person.
            source_id=local if local and not _like_a_number(local) else user_id,
            name=name,
            email=_text(person.find(f"{{{COMMON}}}EmailAddress")) or None,
            phone=_text(phone) or None if phone is not None and not _yes(phone.get("protected")) else None,
            unit=self.export.name or self.export.number,
        )
        self.export.contacts.append(Contact(min(ranks), user_id, frozenset(_group_ids(employee)), record))


def _unreadable(person: etree._Element | None, user_id: str, cpr: str) -> str:
    """Why the hub cannot use this pupil, or nothing. A pupil whom nobody can match is not one to pass over."""
    if person is None:
        return "the pupil has no Person, and so no CPR number: correct it in the school's system"
    if not user_id:
        return "the pupil has no UserId, so that the enrolment cannot be known again: correct it in the school's system"
    kind = _text(person.find(f"{{{COMMON}}}CivilRegistrationNumberType"))
    if not cpr:
        return "the pupil has no CPR number and cannot be matched: look at cprFilter and the school's system"
    if kind and kind not in _NUMBER_TYPES:
        return "the source does not know what type of number the pupil has: correct it in the school's system"
    return ""


def _cpr(person: etree._Element | None) -> str:
    number = _text(None if person is None else person.find(f"{{{COMMON}}}CivilRegistrationNumber"))
    return number.replace("-", "").replace(" ", "")


def _like_a_number(text: str) -> bool:
    digits = text.replace("-", "").replace(" ", "")
    return len(digits) == 10 and digits.isdigit()


def _staff_name(person: etree._Element) -> str:
    """The name an employee goes by: the alias where there is one (FullMyndighed only). Somebody whose name is
    protected is named by alias or not at all."""
    variant = etree.QName(person).namespace
    first, last = (
        _text(person.find(f"{{{variant}}}AliasFirstName")),
        _text(person.find(f"{{{variant}}}AliasFamilyName")),
    )
    if not _yes(person.get("protected")):
        first = first or _text(person.find(f"{{{COMMON}}}FirstName"))
        last = last or _text(person.find(f"{{{COMMON}}}FamilyName"))
    return f"{first} {last}".strip()


def _group_ids(element: etree._Element) -> list[str]:
    return [_text(group) for group in element.iterfind(_GROUP_ID)]


def _text(element: etree._Element | None) -> str:
    return "" if element is None else " ".join((element.text or "").split())


def _yes(text: str | None) -> bool:
    return (text or "").strip() in ("true", "1")
