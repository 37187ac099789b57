"""Resources that stand alone, one to a line or a file, as in a Bulk Data export: put together by their references.

Of each only what a course is made of is held, so memory follows the number of citizens and plans and not of bytes.
Source: HL7 FHIR Bulk Data Access (NDJSON, one kind of resource to a file; deletions as DELETE entries), FHIR R4.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

import hub
from tovholder_suf_cura import fhir, parts, report
from tovholder_suf_cura.fhir import Resource
from tovholder_suf_cura.parts import Part
from tovholder_suf_cura.report import Report

_PARENTAL = {
    "PRN", "MTH", "FTH", "NPRN", "NMTH", "NFTH", "GESTM", "BIRTHPRNT", "GUARD", "STPPRN", "STPMTH", "STPFTH", "ADOPTP",
    "ADOPTM", "ADOPTF", "PRNFOST", "MTHFOST", "FTHFOST",
}  # fmt: skip
"""Of v3-RoleCode: a RelatedPerson who is a parent or guardian of the patient."""
NOBODY = (None, None)
_STAFF_MEMBERS = ("resourceType", "id", "identifier", "active", "name", "telecom", "practitioner")


@dataclass(frozen=True, slots=True)
class Bad:
    """A report or resource that could not be read. `time` and `numbers` (CPR numbers in it) as far as they could.
    `missing`: something of a citizen may be missing for it, and it is not known of whom."""

    record: hub.Unreadable
    time: datetime | None = None
    numbers: frozenset[str] = frozenset()
    missing: bool = True


@dataclass(frozen=True, slots=True)
class Loose:
    """A resource that stands alone. `time` counts where it does not say when it was last changed."""

    entry: Resource
    place: str
    file: str
    time: datetime | None


@dataclass(frozen=True, slots=True)
class _Patient:
    time: datetime
    citizen: Report | Bad | None
    """None for a parent."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A part whose citizen and adviser may stand elsewhere."""

    time: datetime
    part: Part
    about: tuple[str | None, str | None]
    responsible: tuple[Resource, ...]
    file: str

    @property
    def is_void(self) -> bool:
        return self.part.status == parts.VOID


class Pool:
    def __init__(self) -> None:
        self._patients: dict[str, _Patient] = {}
        self._parts: dict[tuple[str, str], _Waiting] = {}
        self._staff: dict[str, Resource] = {}
        self._parents: set[str] = set()
        self._names: dict[str, str] = {}

    def take(self, loose: Loose) -> Bad | None:
        """Keep what is needed of a resource; what cannot be read comes back."""
        resource = fhir.child(loose.entry, "resource")
        kind = fhir.text(resource, "resourceType")
        if kind not in report.USED or report.is_foreign(resource):
            return None
        try:
            if kind in parts.STAFF:
                kept = {name: resource[name] for name in _STAFF_MEMBERS if name in resource}
                self._staff.update(dict.fromkeys(fhir.names(loose.entry, resource), kept))
            elif kind == "RelatedPerson":
                if any(fhir.text(coding, "code") in _PARENTAL for coding in _codings(resource)):
                    self._parents |= report.related_numbers([resource])
            else:
                at = report.time_of(resource) or loose.time
                if at is None:
                    raise hub.BadRecord(f"a {kind} has no meta.lastUpdated")
                if kind == "Patient":
                    self._take_patient(loose, resource, at)
                else:
                    self._take_part(loose, resource, at)
        except hub.BadRecord as error:
            return Bad(hub.Unreadable(loose.place, str(error), report.skeleton({}, [resource], [])))
        return None

    def _take_patient(self, loose: Loose, resource: Resource, at: datetime) -> None:
        own = report.citizen(loose.entry, resource)
        self._names.update(dict.fromkeys(fhir.names(loose.entry, resource), own))
        known = self._patients.get(own)
        if known is None or known.time <= at:
            self._patients[own] = _Patient(at, _citizen(loose, resource, own, at))

    def _take_part(self, loose: Loose, resource: Resource, at: datetime) -> None:
        contained = [(f"#{fhir.text(one, 'id')}", one) for one in fhir.children(resource, "contained")]
        inside = parts.adviser(resource, {}) if contained else None
        found = parts.part(loose.entry, resource, inside)
        known = self._parts.get((found.kind, found.id))
        if known is None or known.time <= at:
            responsible = () if inside is not None else tuple(parts.pointers(resource))
            about = parts.subject(resource)
            if about == NOBODY and known is not None:
                about = known.about  # a deletion does not say whose it was
            self._parts[found.kind, found.id] = _Waiting(at, found, about, responsible, loose.file)
        elif known.about == NOBODY:
            self._parts[found.kind, found.id] = replace(known, about=parts.subject(resource))

    def reports(self, known: Mapping[str, Report]) -> Iterator[Report | Bad]:
        """What all that was taken says together. `known`: citizens of whom there are whole reports, by their ids."""
        about: dict[str, Report] = {
            own: one.citizen for own, one in self._patients.items() if isinstance(one.citizen, Report)
        }
        about |= {own: one for own, one in known.items() if own not in about or about[own].time < one.time}
        numbers = {one.cpr: one for one in about.values() if one.cpr}
        used = {own for own, one in about.items() if not one.active}
        used |= {own for one in about.values() for pair in one.replaced for own in pair if own in about}
        strangers: set[str] = set()
        told: set[str] = set()
        while self._parts:
            _, waiting = self._parts.popitem()  # no longer held than it is needed
            pointer, number = waiting.about
            own = None if pointer is None else self._own(pointer)
            found = about.get(own) if own is not None else numbers.get(number or "")
            patient = self._patients.get(own or "")
            if found is not None and found.cpr not in self._parents:
                used.add(found.citizen)
                yield self._report(found, waiting)
            elif patient is not None and isinstance(patient.citizen, Bad) and own not in told:
                told.add(own or "")
                yield patient.citizen
            elif found is None and patient is None and number not in self._parents and not waiting.is_void:
                strangers.add(waiting.file)
        yield from (about[own] for own in sorted(used) if about[own].cpr not in self._parents)
        for file in sorted(strangers):
            reason = "a plan, contact or request names a patient that is not here: deliver the Patient with it"
            yield Bad(hub.Unreadable(file, reason))

    def _own(self, pointer: str) -> str:
        """The id of the patient a reference points to."""
        name = fhir.key(pointer)
        return self._names.get(name) or name.removeprefix("Patient/").removeprefix("urn:uuid:")

    def _report(self, citizen: Report, waiting: _Waiting) -> Report:
        part = waiting.part
        if waiting.responsible:
            part = replace(part, adviser=parts.first_of(waiting.responsible, self._staff))
        return replace(citizen, time=waiting.time, parts=(part,))


def _codings(resource: Resource) -> Iterator[Resource]:
    for concept in fhir.children(resource, "relationship"):
        yield from fhir.children(concept, "coding")


def _citizen(loose: Loose, resource: Resource, own: str, at: datetime) -> Report | Bad | None:
    if report.is_parent(resource, {}):
        return None
    try:
        if fhir.twice(resource):
            raise hub.BadRecord("a member stands twice in a Patient")
        active = report.is_active(resource)
        # Of one that is gone the number does not matter, and a deletion does not say it.
        number = report.cpr(resource) if active or report.values(resource) else ""
        replaced = tuple(report.replacements(loose.entry, resource))
        return Report(own, number, at, active, report.died(resource), (), replaced)
    except hub.BadRecord as error:
        raw = report.skeleton({}, [resource], [resource])
        numbers = frozenset(report.values(resource))
        return Bad(hub.Unreadable(loose.place, str(error), raw, own), at, numbers, missing=False)
