"""One institution's export, read in a stream: its pupils of a listed kind, and who is their contact.

An export is a whole school. Of it are kept the listed pupils (number, enrolment) and the employees who may be a
contact; everything else is counted or passed over. Contact persons (parents, with custody or without), addresses,
private phones and photographs are not looked at, and reach no record, no quarantine and no digest. Custody is for CPR
to tell.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from datetime import date

from lxml import etree

import hub
from tovholder_buf_case.person import (
    cpr_of,
    group_ids_of,
    own,
    raw_of,
    source_id_of,
    staff_of,
    text_of,
    titles_of,
    unreadable,
    user_id_of,
)
from tovholder_buf_case.settings import BufSettings, kind_of
from tovholder_buf_case.unit import Budget
from tovholder_buf_case.wire import COMMON, SMALL, VARIANTS, Stream, written_at

_NUMBER, _NAME, _GROUP = (f"{{{COMMON}}}{name}" for name in ("InstitutionNumber", "InstitutionName", "Group"))
_EMPLOYEE = f"{{{COMMON}}}Employee"
_PERSONS = tuple(f"{{{variant}}}InstitutionPerson" for variant in VARIANTS)


_WHOLE_SCHOOL = ""
"""Where a contact without groups stands; no group has this id."""


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
    contacts: dict[str, Contact] = field(default_factory=dict)
    """The best of each group."""
    ignored: int = 0
    digest: str = ""
    whole: bool = True

    def presences(self) -> list[hub.Record]:
        """Every enrolment is open: the format knows no other state, and who is only applied for is in no export."""
        return [
            hub.Presence(pupil.source_id, pupil.cpr, hub.State.OPEN) if isinstance(pupil, Pupil) else pupil
            for pupil in self.pupils
        ]

    def cases(self) -> list[hub.Record]:
        """`opened` is the first day of the pupil's main group or special class, which may be the school year's."""
        return [self._case(pupil) if isinstance(pupil, Pupil) else pupil for pupil in self.pupils]

    def _case(self, pupil: Pupil) -> hub.Record:
        group = pupil.enrolled_by
        if group is not None and group.flaw:
            return hub.Unreadable(pupil.position, group.flaw, source_id=pupil.source_id)
        return hub.CaseRecord(
            source_id=pupil.source_id,
            cpr=pupil.cpr,
            kind=pupil.kind,
            state=hub.State.OPEN,
            opened=None if group is None else group.opened,
            adviser=self.adviser(pupil),
        )

    def add(self, contact: Contact) -> None:
        """Keep a contact where it is the best of a group, or of the whole school."""
        for group in contact.groups or (_WHOLE_SCHOOL,):
            best = self.contacts.get(group)
            if best is None or (contact.rank, contact.user_id) < (best.rank, best.user_id):
                self.contacts[group] = contact

    def adviser(self, pupil: Pupil) -> hub.StaffRecord | None:
        """The pupil's contact at the school: an employee of a listed occupation who belongs to the pupil's main group,
        else to another of their groups (in the order the export gives them), else to no group at all and so to the
        whole school. Among equals the occupation that stands first on the list, then the lowest user id, so that the
        answer stays the same from one export to the next."""
        for group in (*pupil.groups, _WHOLE_SCHOOL):
            if group in self.contacts:
                return self.contacts[group].record
        return None


def read_export(stream: Stream, expected: str, settings: BufSettings, children: Set[str] | None) -> Export:
    """Read the export of institution `expected` to its end.

    `children`: None for all pupils; else those with these numbers, and those whose number cannot be read, so that the
    hub knows that they are there still. Raises TryAgain (cut short, not well-formed), BadRecord (another institution,
    or no export with numbers)."""
    reader = _Reader(settings, children)
    for element in hub.xml_elements(stream, _NUMBER, _NAME, _GROUP, *_PERSONS):
        reader.take(element)
    return reader.finish(expected)


class _Reader:
    """Takes an export's elements in document order: number, name, groups, persons."""

    def __init__(self, settings: BufSettings, children: Set[str] | None) -> None:
        self.export = Export()
        self._settings = settings
        self._children = children
        self._occupations = {name.casefold(): place for place, name in enumerate(settings.contact_occupations)}
        self._groups: dict[str, Group] = {}
        self._seen: dict[str, str] = {}
        self._given: set[str] = set()
        self._persons = 0
        self._budget = Budget()
        self._small = False
        self._day: date | None = None
        # The settings decide what comes out too: with another list the same export is to be read anew.
        rules = repr(("3", list(settings.kinds), settings.contact_occupations))
        self._hash = hashlib.sha256(rules.encode())
        for cpr in sorted(children or ()):
            self._hash.update(cpr.encode())

    def take(self, element: etree._Element) -> None:
        if element.tag == _NUMBER:
            self._begin(element)
        elif element.tag == _NAME:
            self.export.name = text_of(element)
            self._matters(self.export.name)
        elif element.tag == _GROUP:
            self._group(element)
        else:
            self._person(element)

    def finish(self, expected: str) -> Export:
        if self._small:
            raise hub.BadRecord(
                "it is of the variant Lille, which has no CPR numbers: export Mellem, Fuld or FuldMyndighed instead"
            )
        if self.export.number != expected:
            raise hub.BadRecord(
                "there is no export of this institution in a variant with numbers (FuldMyndighed, Fuld, Mellem): "
                "look at its data agreement"
            )
        self.export.digest = self._hash.hexdigest()
        return self.export

    def _begin(self, number: etree._Element) -> None:
        institution = number.getparent()
        variant = None if institution is None else hub.xml_name(institution)[0] or None
        self._small = self._small or variant == SMALL
        if variant not in VARIANTS:
            return
        if self.export.number:
            raise hub.BadRecord("there is more than one institution in one export: export each by itself")
        self.export.number = text_of(number)
        self._matters(self.export.number)
        try:
            self._day = written_at(number).date()
        except ValueError as error:
            raise hub.BadRecord("exportDateTime is missing or no time: export it again") from error

    def _group(self, element: etree._Element) -> None:
        self._budget.record()
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
        number = text_of(element.find(f"{{{COMMON}}}GroupId"))
        name = text_of(element.find(f"{{{COMMON}}}GroupName")) or number
        self._groups[number] = Group(name, opened, current, flaw)

    def _person(self, element: etree._Element) -> None:
        if not self.export.number:
            raise hub.BadRecord("persons come before the institution's number, so that nobody knows whose they are")
        self._persons += 1
        person, student, employee = own(element, "Person"), own(element, "Student"), element.find(_EMPLOYEE)
        if student is not None:
            self._student(element, person, student)
        elif employee is not None and person is not None:
            self._employee(element, person, employee)

    def _student(self, element: etree._Element, person: etree._Element | None, student: etree._Element) -> None:
        groups = group_ids_of(student)
        known = [self._groups[group] for group in groups if group in self._groups]
        current = [group for group in known if group.current]
        kind = kind_of(self._settings.kinds, self.export.number, (group.name for group in current))
        if kind is None:
            self.export.ignored += 1
            return
        position = f"institution {self.export.number}, InstitutionPerson {self._persons}"
        cpr, source_id = cpr_of(person), source_id_of(self.export.number, person, student)
        reason = unreadable(person, source_id, cpr)
        if not reason and source_id is not None and self._seen.setdefault(source_id, cpr) != cpr:
            # The id is another's, so it says nothing of this one.
            reason = "another pupil of the institution has the same UserId and another number: correct it in the source"
            source_id = None
        if reason or source_id is None:
            self._budget.record()
            told = hub.Unreadable(position, reason, self._budget.raw(raw_of(element)), source_id)
            self.export.pupils.append(told)
            self._matters(told)
        elif (self._children is None or cpr in self._children) and source_id not in self._given:
            self._budget.record()
            self._given.add(source_id)
            by = self._enrolled_by(kind, known, current)
            self.export.pupils.append(Pupil(source_id, cpr, kind, groups, by, position))
            self._matters(source_id, cpr, kind, groups, by)

    def _enrolled_by(self, kind: str, known: Sequence[Group], current: Sequence[Group]) -> Group | None:
        """The group whose first day is the case's: in a special school the main group, else the special class."""
        if kind == self.export.number:
            return known[0] if known else None
        return next((group for group in current if kind_of([kind], "", [group.name])), None)

    def _employee(self, element: etree._Element, person: etree._Element, employee: etree._Element) -> None:
        titles = [title.casefold() for title in titles_of(employee)]
        ranks = [self._occupations[title] for title in titles if title in self._occupations]
        record = staff_of(element, person, self.export.name or self.export.number) if ranks else None
        if record is not None:
            self._budget.record()
            groups = group_ids_of(employee)
            self.export.add(Contact(min(ranks), user_id_of(person), frozenset(groups), record))
            self._matters(min(ranks), user_id_of(person), groups, record)

    def _matters(self, *values: object) -> None:
        """What may change a record goes into the digest, and nothing else: an export differs in something each day."""
        self._hash.update(repr(values).encode("utf-8", "surrogatepass"))
