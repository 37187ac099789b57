"""The parts of a course: plans, contacts and requests, when they are, and who is responsible.

Of each only status, dates and the member of staff are kept; what it is about is health, and is not looked at.
Source: KL's Gateway guide (planned-intervention, general-encounter), its rehabilitation guide (140-servicerequest) and
HL7 FHIR R4 (CarePlan, Encounter, ServiceRequest, Practitioner, PractitionerRole).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from sys import intern

import hub
from tovholder_suf_cura import fhir
from tovholder_suf_cura.fhir import Resource

CPR = "urn:oid:1.2.208.176.1.2"
STAFF_UUID = "https://www.kombit.dk/organisation"
PLAN, CONTACT, REQUEST = "CarePlan", "Encounter", "ServiceRequest"
"""An intervention that is granted, a visit or meeting, and what somebody has applied for or been referred to."""
PARTS = (PLAN, CONTACT, REQUEST)
STAFF = ("Practitioner", "PractitionerRole")
VOID = "entered-in-error"


@dataclass(frozen=True, slots=True)
class Part:
    """A plan, a contact or a request, as one report tells of it."""

    id: str
    kind: str
    status: str
    begins: tuple[date, date] | None
    """The first and last day it may begin on."""
    ends: date | None
    adviser: hub.StaffRecord | None


def identity(entry: Resource, resource: Resource) -> str:
    """The resource's own id, or its address.

    Raises BadRecord when it has neither."""
    found = fhir.text(resource, "id") or fhir.text(entry, "fullUrl")
    if found is None:
        raise hub.BadRecord(f"a {resource.get('resourceType')} has no id")
    return found


def part(entry: Resource, resource: Resource, adviser: hub.StaffRecord | None) -> Part:
    """Raises BadRecord when it has no status or id, a date is none, or a name stands twice in it."""
    kind = intern(str(resource["resourceType"]))
    if fhir.twice(resource):
        raise hub.BadRecord(f"a member stands twice in a {kind}")
    status = fhir.text(resource, "status")
    if status is None:
        raise hub.BadRecord(f"a {kind} has no status")
    period = fhir.child(resource, "period")
    begins = fhir.days(fhir.text(period, "start"), f"{kind}.period.start")
    for name in ("created",) if kind == PLAN else ("authoredOn",) if kind == REQUEST else ():
        begins = begins or fhir.days(fhir.text(resource, name), f"{kind}.{name}")
    ends = fhir.days(fhir.text(period, "end"), f"{kind}.period.end")
    return Part(identity(entry, resource), kind, intern(status), begins, None if ends is None else ends[1], adviser)


def number_of(identified: Resource) -> str | None:
    """The CPR number of an identifier that is one in use."""
    if fhir.text(identified, "system") != CPR or identified.get("use") == "old":
        return None
    value = fhir.text(identified, "value")
    return None if value is None else value.replace("-", "")


def subject(resource: Resource) -> tuple[str | None, str | None]:
    """Whom a part is about: where the reference points, and the CPR number where it says one itself (a reference by
    identifier, or to a patient that is contained)."""
    said = fhir.child(resource, "subject")
    pointer = fhir.text(said, "reference")
    number = number_of(fhir.child(said, "identifier"))
    if pointer is not None and pointer.startswith("#"):
        inside = [one for one in fhir.children(resource, "contained") if f"#{fhir.text(one, 'id')}" == pointer]
        numbers = [found for one in inside for i in fhir.children(one, "identifier") if (found := number_of(i))]
        return None, number or next(iter(numbers), None)
    return pointer, number


def pointers(resource: Resource) -> Iterator[Resource]:
    """References to who is responsible: of a plan its author, a contributor or a performer, of a request the
    performer, of a contact a participant."""
    yield from fhir.children(resource, "author")
    yield from fhir.children(resource, "contributor")
    for activity in fhir.children(resource, "activity"):
        yield from fhir.children(fhir.child(activity, "detail"), "performer")
    yield from fhir.children(resource, "performer")
    for participant in fhir.children(resource, "participant"):
        yield fhir.child(participant, "individual")


def adviser(resource: Resource, named: Mapping[str, Resource]) -> hub.StaffRecord | None:
    """The first of those responsible who is a person with a name."""
    inside = {f"#{key}": one for one in fhir.children(resource, "contained") if (key := fhir.text(one, "id"))}
    return first_of(pointers(resource), {**named, **inside} if inside else named)


def first_of(responsible: Iterable[Resource], named: Mapping[str, Resource]) -> hub.StaffRecord | None:
    found = (found for pointer in responsible if (found := _staff(pointer, named)) is not None)
    return next((_same(one) for one in found), None)


@lru_cache(maxsize=1_000)
def _same(person: hub.StaffRecord) -> hub.StaffRecord:
    """One record in memory for all parts that a member of staff is responsible for."""
    return person


def _staff(pointer: Resource, named: Mapping[str, Resource]) -> hub.StaffRecord | None:
    at = fhir.text(pointer, "reference")
    person = fhir.find(named, at)
    telecom = fhir.children(person, "telecom")
    if fhir.text(person, "resourceType") == "PractitionerRole":
        person = fhir.find(named, fhir.reference(person, "practitioner"))
        telecom += fhir.children(person, "telecom")
    if person is None:
        # Not in the report: a name beside the reference will do, if it is a person's.
        name = fhir.text(pointer, "display")
        personal = fhir.text(pointer, "type") == "Practitioner" or "Practitioner/" in (at or "")
        own = _uuid([fhir.child(pointer, "identifier")])
        return hub.StaffRecord(own or at or f"name:{name}", name) if name and personal else None
    name = _name(person)
    if person.get("resourceType") != "Practitioner" or name is None or person.get("active") is False:
        return None
    own = _uuid(fhir.children(person, "identifier"))
    return hub.StaffRecord(
        own or fhir.text(person, "id") or f"name:{name}", name, _contact(telecom, "email"), _contact(telecom, "phone")
    )


def _uuid(identifiers: list[Resource]) -> str | None:
    return next(
        (value for one in identifiers if one.get("system") == STAFF_UUID and (value := fhir.text(one, "value"))), None
    )


def _name(person: Resource) -> str | None:
    for name in fhir.children(person, "name"):
        given = name.get("given")
        parts = [fhir.text({"part": one}, "part") for one in (given if isinstance(given, list) else [given])]
        whole = fhir.text(name, "text") or " ".join(filter(None, [*parts, fhir.text(name, "family")]))
        if whole:
            return whole
    return None


def _contact(telecom: list[Resource], system: str) -> str | None:
    return next((fhir.text(one, "value") for one in telecom if one.get("system") == system), None)
