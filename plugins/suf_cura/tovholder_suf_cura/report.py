"""One delivery report: a bundle about one citizen, read down to what the hub may know.

Kept: who the citizen is, whether plans and contacts are open, their dates, and who is responsible. Conditions, goals,
observations, questionnaires, codes, texts and addresses are never looked at.
Source: KL's Gateway guide (klgateway-care-delivery-report, -citizen, -planned-intervention, -general-encounter).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

import hub
from tovholder_suf_cura import fhir
from tovholder_suf_cura.fhir import Resource

CPR = "urn:oid:1.2.208.176.1.2"
X_ECPR = "urn:oid:1.2.208.176.1.6.1.1"
D_ECPR = "urn:oid:1.2.208.176.1.6.1.3"
"""Beginning of the systems of the regions' own numbers."""
STAFF_UUID = "https://www.kombit.dk/organisation"
VOID = "entered-in-error"
USED = {"Patient", "RelatedPerson", "CarePlan", "Encounter", "Practitioner", "PractitionerRole"}
"""The kinds of resource that are looked at; all others stop here."""


@dataclass(frozen=True, slots=True)
class Part:
    """A plan (an intervention that is granted) or a contact, as one report tells of it."""

    id: str
    plan: bool
    status: str
    begins: tuple[date, date] | None
    """The first and last day it may begin on."""
    ends: date | None
    adviser: hub.StaffRecord | None


@dataclass(frozen=True, slots=True)
class Report:
    citizen: str
    """Patient.id, the same in every report of the citizen's course."""
    cpr: str
    time: datetime
    active: bool
    """False: the citizen has been reported by mistake."""
    died: bool
    parts: tuple[Part, ...]


def read(bundle: Resource, entries: Iterable[Resource], time: datetime | None = None) -> Report:
    """A report from its bundle (without entries) and its entries; `time` counts where it has none of its own.

    Raises BadRecord, without personal data, when it is not about exactly one citizen with a CPR number, or what is used
    of it cannot be read."""
    resources = [(entry, fhir.child(entry, "resource")) for entry in entries]
    named = {name: resource for entry, resource in resources for name in fhir.names(entry, resource)}
    patient = _citizen([resource for _, resource in resources], named)
    at = time_of(bundle) or time
    if at is None:
        raise hub.BadRecord("the report has neither meta.lastUpdated nor a timestamp")
    parts = [
        _part(entry, resource, named)
        for entry, resource in resources
        if resource.get("resourceType") in ("CarePlan", "Encounter")
        and fhir.find(named, fhir.text(fhir.child(resource, "subject"), "reference")) is patient
    ]
    died = patient.get("deceasedBoolean") is True or fhir.text(patient, "deceasedDateTime") is not None
    return Report(
        _id(*next((entry, one) for entry, one in resources if one is patient)),
        _cpr(patient),
        at,
        patient.get("active") is not False,
        died,
        tuple(parts),
    )


def time_of(bundle: Resource) -> datetime | None:
    """When the bundle was last changed: by `meta.lastUpdated`, which a search goes by, else by `timestamp`."""
    return fhir.instant(fhir.text(fhir.child(bundle, "meta"), "lastUpdated") or fhir.text(bundle, "timestamp"))


def skeleton(bundle: Resource, entries: Iterable[Resource]) -> bytes:
    """What of a report that cannot be read is kept for a person to find it by: ids, kinds of resource, identifiers and
    status. Health content stops here too."""
    kept = []
    for entry in entries:
        resource = fhir.child(entry, "resource")
        names = ["resourceType", "id", "status", *(["identifier"] if resource.get("resourceType") == "Patient" else [])]
        if resource.get("resourceType") in USED:
            kept.append({"resource": {name: resource[name] for name in names if name in resource}})
    outer = {name: bundle[name] for name in ("resourceType", "id", "timestamp") if name in bundle}
    return json.dumps(outer | {"entry": kept}, ensure_ascii=False).encode()[: hub.RAW_LIMIT]


def numbers(entries: Iterable[Resource]) -> set[str]:
    """Every CPR number of a patient in a report that may not be readable."""
    patients = (fhir.child(entry, "resource") for entry in entries)
    return {value for patient in patients for value in _values(patient, CPR)}


def _citizen(resources: list[Resource], named: dict[str, Resource]) -> Resource:
    """The one patient the report is about. A parent stands in a child's report as a Patient too: linked to a
    RelatedPerson, or known by not being the one the plans are for."""
    patients = [resource for resource in resources if resource.get("resourceType") == "Patient"]
    parents = [patient for patient in patients if _is_parent(patient, named)]
    left = [patient for patient in patients if patient not in parents]
    plans = [resource for resource in resources if resource.get("resourceType") == "CarePlan"]
    pointers = {fhir.text(fhir.child(plan, "subject"), "reference") for plan in plans} - {None}
    subjects = [subject for pointer in pointers if (subject := fhir.find(named, pointer)) not in parents]
    if subjects:
        left = [patient for patient in left if patient in subjects]
    if len(left) != 1:
        raise hub.BadRecord(f"a report is about exactly one citizen; this has {len(left)} of {len(patients)} patients")
    return left[0]


def _is_parent(patient: Resource, named: dict[str, Resource]) -> bool:
    for link in fhir.children(patient, "link"):
        pointer = fhir.text(fhir.child(link, "other"), "reference")
        other = fhir.find(named, pointer)
        if "RelatedPerson/" in (pointer or "") or fhir.text(other, "resourceType") == "RelatedPerson":
            return True
    return False


def _id(entry: Resource, resource: Resource) -> str:
    found = fhir.text(resource, "id") or fhir.text(entry, "fullUrl")
    if found is None:
        raise hub.BadRecord(f"a {resource.get('resourceType')} has no id")
    return found


def _values(patient: Resource, system: str) -> set[str]:
    if patient.get("resourceType") != "Patient":
        return set()
    return {
        value.replace("-", "")
        for identifier in fhir.children(patient, "identifier")
        if identifier.get("system") == system and identifier.get("use") != "old"
        for value in [fhir.text(identifier, "value")]
        if value
    }


def _cpr(patient: Resource) -> str:
    found = _values(patient, CPR)
    if len(found) == 1:
        return found.pop()
    if found:
        raise hub.BadRecord("the citizen has several CPR numbers in use")
    systems = [fhir.text(identifier, "system") or "" for identifier in fhir.children(patient, "identifier")]
    if X_ECPR in systems:
        raise hub.BadRecord("no CPR number (X-eCPR)")
    if any(system.startswith(D_ECPR) for system in systems):
        raise hub.BadRecord("no CPR number (D-eCPR)")
    raise hub.BadRecord("no CPR number")


def _part(entry: Resource, resource: Resource, named: dict[str, Resource]) -> Part:
    kind = str(resource["resourceType"])
    status = fhir.text(resource, "status")
    if status is None:
        raise hub.BadRecord(f"a {kind} has no status")
    plan = kind == "CarePlan"
    period = fhir.child(resource, "period")
    begins = fhir.days(fhir.text(period, "start"), f"{kind}.period.start")
    if begins is None and plan:
        begins = fhir.days(fhir.text(resource, "created"), "CarePlan.created")
    ends = fhir.days(fhir.text(period, "end"), f"{kind}.period.end")
    return Part(
        _id(entry, resource),
        plan,
        status,
        begins,
        None if ends is None else ends[1],
        _adviser(resource, named),
    )


def _adviser(resource: Resource, named: dict[str, Resource]) -> hub.StaffRecord | None:
    """Who is named as responsible: of a plan its author, a contributor or a performer, of a contact a participant."""
    pointers = [
        *fhir.children(resource, "author"),
        *fhir.children(resource, "contributor"),
        *(p for a in fhir.children(resource, "activity") for p in fhir.children(fhir.child(a, "detail"), "performer")),
        *(fhir.child(participant, "individual") for participant in fhir.children(resource, "participant")),
    ]
    inside = {f"#{key}": one for one in fhir.children(resource, "contained") if (key := fhir.text(one, "id"))}
    for pointer in pointers:
        found = _staff(pointer, {**named, **inside} if inside else named)
        if found is not None:
            return found
    return None


def _staff(pointer: Resource, named: dict[str, Resource]) -> hub.StaffRecord | None:
    at = fhir.text(pointer, "reference")
    person = fhir.find(named, at)
    telecom = fhir.children(person, "telecom")
    if fhir.text(person, "resourceType") == "PractitionerRole":
        person = fhir.find(named, fhir.text(fhir.child(person, "practitioner"), "reference"))
        telecom += fhir.children(person, "telecom")
    if person is None:
        # Not in the report: a name beside the reference will do, if it is a person's.
        name = fhir.text(pointer, "display")
        personal = fhir.text(pointer, "type") == "Practitioner" or "Practitioner/" in (at or "")
        return hub.StaffRecord(at or f"name:{name}", name) if name and personal else None
    name = _name(person)
    if person.get("resourceType") != "Practitioner" or name is None:
        return None
    uuids = [fhir.text(i, "value") for i in fhir.children(person, "identifier") if i.get("system") == STAFF_UUID]
    return hub.StaffRecord(
        next(filter(None, uuids), None) or fhir.text(person, "id") or f"name:{name}",
        name,
        _contact(telecom, "email"),
        _contact(telecom, "phone"),
    )


def _name(person: Resource) -> str | None:
    for name in fhir.children(person, "name"):
        given = name.get("given")
        parts = [*(given if isinstance(given, list) else []), name.get("family")]
        whole = fhir.text(name, "text") or " ".join(part for part in parts if isinstance(part, str) and part)
        if whole:
            return whole
    return None


def _contact(telecom: list[Resource], system: str) -> str | None:
    return next((fhir.text(one, "value") for one in telecom if one.get("system") == system), None)
