"""One delivery report: a bundle about one citizen, read down to what the hub may know.

Kept: who the citizen is, whether plans, contacts and requests are open, their dates, and who is responsible.
Conditions, goals, observations, questionnaires, codes, texts and addresses are never looked at, and nothing of a parent
is kept.
Source: KL's Gateway guides for care, rehabilitation and children (delivery-report, citizen), dk-core's Patient.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple

import hub
from tovholder_suf_cura import fhir, parts
from tovholder_suf_cura.fhir import Resource
from tovholder_suf_cura.parts import Part
from tovholder_suf_cura.pieces import Twice

X_ECPR = "urn:oid:1.2.208.176.1.6.1.1"
D_ECPR = "urn:oid:1.2.208.176.1.6.1.3"
"""Beginning of the systems of the regions' own numbers."""
USED = {"Patient", "RelatedPerson", *parts.PARTS, *parts.STAFF}
"""The kinds of resource that are looked at; all others stop here."""
_OF_CHILDREN = "/children/"
"""In the profiles of KL's guide for health visitors and school health: there the citizen is a child."""
_OF_OTHERS = "/ffbreporting/"
"""In the profiles of KL's guide for social services (FFB): no health and care."""
ADULT = 18


@dataclass(frozen=True, slots=True)
class Report:
    citizen: str
    """Patient.id, the same in every report of the citizen's course; for a patient without an id the number."""
    cpr: str
    time: datetime
    active: bool
    """False: the citizen has been reported by mistake, or has another number now."""
    died: bool
    parts: tuple[Part, ...]
    replaced: tuple[tuple[str, str], ...] = ()
    """Patient ids that others have taken the place of: (old, new)."""


class Foreign(hub.BadRecord):
    """This is a report of another source; move it there."""


class Who(NamedTuple):
    """The patients of a report: those it may be about, and those others have taken the place of."""

    citizens: list[Resource]
    replaced: list[Resource]
    parents: list[Resource]


def read(bundle: Resource, entries: Iterable[Resource], time: datetime | None = None) -> Report | None:
    """A report from its bundle (without entries) and its entries; `time` counts where it has none of its own. None when
    it is about parents alone.

    Raises BadRecord, without personal data, when it is not about exactly one citizen with a CPR number, or what is used
    of it cannot be read."""
    if _profiled(bundle, _OF_OTHERS):
        raise Foreign("a report of social services (FFB): it belongs to the source of the social cases")
    if isinstance(bundle, Twice):
        raise hub.BadRecord("a member stands twice in the report")
    resources = [(entry, fhir.child(entry, "resource")) for entry in entries]
    named = {name: resource for entry, resource in resources for name in fhir.names(entry, resource)}
    patients = [resource for _, resource in resources if resource.get("resourceType") == "Patient"]
    if fhir.twice(patients):
        raise hub.BadRecord("a member stands twice in a Patient")
    at = time_of(bundle) or time
    found = who(bundle, [resource for _, resource in resources], named, at)
    if not found.citizens and found.parents:
        return None
    if len(found.citizens) != 1:
        count = f"{len(found.citizens)} of {len(patients)} patients"
        raise hub.BadRecord(f"a report is about exactly one citizen; this has {count}")
    if at is None:
        raise hub.BadRecord("the report has neither meta.lastUpdated nor a timestamp")
    (patient,) = found.citizens
    number = cpr(patient)
    mine = [patient, *found.replaced]
    entry = next(entry for entry, one in resources if one is patient)
    return Report(
        citizen(entry, patient),
        number,
        at,
        is_active(patient),
        died(patient),
        tuple(
            parts.part(entry, resource, parts.adviser(resource, named))
            for entry, resource in resources
            if resource.get("resourceType") in parts.PARTS and _is_about(resource, mine, number, named)
        ),
        tuple(replacements(entry, patient)),
    )


def time_of(bundle: Resource) -> datetime | None:
    """When the bundle was last changed: by `meta.lastUpdated`, which a search goes by, else by `timestamp`."""
    return fhir.instant(fhir.text(fhir.child(bundle, "meta"), "lastUpdated") or fhir.text(bundle, "timestamp"))


def who(bundle: Resource, resources: list[Resource], named: Mapping[str, Resource], at: datetime | None) -> Who:
    """Whom a report is about. A parent stands in a child's report as a Patient too: linked to a RelatedPerson, with the
    same number as one, grown up where the guide is that of children, or known by not being the one the plans are
    for."""
    patients = [resource for resource in resources if resource.get("resourceType") == "Patient"]
    numbers = related_numbers(resources)
    child_only = _profiled(bundle, _OF_CHILDREN)
    parents = [
        patient
        for patient in patients
        if is_parent(patient, named) or numbers & values(patient) or (child_only and _is_adult(patient, at))
    ]
    left = [patient for patient in patients if not _among(patient, parents)]
    # Only where the newer one is here too: else the older is all there is to tell of.
    replaced = [patient for patient in left if any(_replaces(other, patient, named) for other in left)]
    if len(replaced) < len(left):
        left = [patient for patient in left if not _among(patient, replaced)]
    else:
        replaced = []
    found = [
        fhir.find(named, pointer) if pointer is not None else next((p for p in patients if number in values(p)), None)
        for one in resources
        if one.get("resourceType") in (parts.PLAN, parts.REQUEST)
        for pointer, number in [parts.subject(one)]
        if pointer or number
    ]
    subjects = [one for one in found if one is None or not _among(one, [*parents, *replaced])]
    if subjects:
        left = [patient for patient in left if _among(patient, subjects)]
    return Who(left, replaced, parents)


def _among(resource: Resource, others: Iterable[Resource | None]) -> bool:
    return any(resource is other for other in others)


def _profiled(resource: Resource, word: str) -> bool:
    profiles = fhir.child(resource, "meta").get("profile")
    return isinstance(profiles, list) and any(isinstance(one, str) and word in one for one in profiles)


def is_foreign(resource: Resource) -> bool:
    return _profiled(resource, _OF_OTHERS)


def is_parent(patient: Resource, named: Mapping[str, Resource]) -> bool:
    """Whether a patient is linked to a RelatedPerson: the children's guide's way to say that this is the parent."""
    for link in fhir.children(patient, "link"):
        pointer = fhir.reference(link, "other")
        if (
            "RelatedPerson/" in (pointer or "")
            or fhir.text(fhir.find(named, pointer), "resourceType") == "RelatedPerson"
        ):
            return True
    return False


def related_numbers(resources: Iterable[Resource]) -> set[str]:
    """The CPR numbers of RelatedPersons."""
    return {
        number
        for resource in resources
        if resource.get("resourceType") == "RelatedPerson"
        for identifier in fhir.children(resource, "identifier")
        if (number := parts.number_of(identifier)) is not None
    }


def _is_adult(patient: Resource, at: datetime | None) -> bool:
    """By `birthDate`, else by the number (digit 7 with the year tells the century)."""
    days = at.astimezone(fhir.DENMARK).date() if at is not None else None
    try:
        born = fhir.days(fhir.text(patient, "birthDate"), "Patient.birthDate")
        first = born[1] if born is not None else _born(next(iter(values(patient)), ""))
    except (hub.BadRecord, ValueError):
        return False
    return days is not None and (days.year - first.year, days.month, days.day) >= (ADULT, first.month, first.day)


def _born(number: str) -> date:
    day, month, year, seventh = (int(number[i:j]) for i, j in ((0, 2), (2, 4), (4, 6), (6, 7)))
    if seventh <= 3 or (seventh in (4, 9) and year > 36):
        return date(1900 + year, month, day)
    return date((2000 if seventh in (4, 9) or year <= 57 else 1800) + year, month, day)


def replacements(entry: Resource, patient: Resource) -> Iterable[tuple[str, str]]:
    """The ids of patients of whom one has taken the other's place, as a patient's links say: (old, new)."""
    own = citizen(entry, patient)
    for link in fhir.children(patient, "link"):
        pointer = fhir.reference(link, "other")
        other = None if pointer is None else fhir.key(pointer).removeprefix("Patient/")
        if other is not None and other != own and link.get("type") in ("replaces", "replaced-by"):
            yield (other, own) if link["type"] == "replaces" else (own, other)


def _replaces(new: Resource, old: Resource, named: Mapping[str, Resource]) -> bool:
    def points(one: Resource, kind: str, other: Resource) -> bool:
        return one is not other and any(
            link.get("type") == kind and fhir.find(named, fhir.reference(link, "other")) is other
            for link in fhir.children(one, "link")
        )

    return points(new, "replaces", old) or points(old, "replaced-by", new)


def is_active(patient: Resource) -> bool:
    """Not when reported by mistake, nor when another has taken the patient's place."""
    gone = any(link.get("type") == "replaced-by" for link in fhir.children(patient, "link"))
    return patient.get("active") is not False and not gone


def died(patient: Resource) -> bool:
    return patient.get("deceasedBoolean") is True or fhir.text(patient, "deceasedDateTime") is not None


def _is_about(resource: Resource, mine: list[Resource], number: str, named: Mapping[str, Resource]) -> bool:
    pointer, said = parts.subject(resource)
    found = fhir.find(named, pointer)
    return _among(found, mine) if found is not None else said == number


def citizen(entry: Resource, patient: Resource) -> str:
    """Patient.id. An address of a message alone (`urn:uuid:…`) is another one in the next message: then the number.

    Raises BadRecord when there is none of them."""
    address = fhir.text(entry, "fullUrl") or ""
    if fhir.text(patient, "id") is None and not address.startswith("http"):
        return NUMBERED + cpr(patient)
    return parts.identity(entry, patient)


NUMBERED = "cpr "
"""Begins an id that is made of the number, so that no digest is made of it."""


def values(patient: Resource) -> set[str]:
    """The CPR numbers of a patient that are in use."""
    if patient.get("resourceType") != "Patient":
        return set()
    return {
        number
        for identifier in fhir.children(patient, "identifier")
        if (number := parts.number_of(identifier)) is not None
    }


def cpr(patient: Resource) -> str:
    """Raises BadRecord when the patient has none, or several."""
    found = values(patient)
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


def skeleton(bundle: Resource, resources: Iterable[Resource], citizens: list[Resource]) -> bytes:
    """What of a report that cannot be read is kept for a person to find it by: ids, kinds of resource and status, and
    the citizen's number where it is about one. Health content, names and addresses stop here too, and so does all of a
    parent."""
    kept = []
    for resource in resources:
        kind = resource.get("resourceType")
        mine = len(citizens) == 1 and _among(resource, citizens)
        if kind in parts.PARTS or mine:
            names = ["resourceType", "id", "status"] + ["identifier"] * mine
            kept.append({"resource": {name: resource[name] for name in names if name in resource}})
    outer = {name: bundle[name] for name in ("resourceType", "id", "timestamp") if name in bundle}
    return json.dumps(outer | {"entry": kept}).encode()[: hub.RAW_LIMIT]
