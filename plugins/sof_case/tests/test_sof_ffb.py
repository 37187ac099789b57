"""FFB reports: plans, measures and requests, and what becomes of them over several reports."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from tovholder_sof_case import SofAdapter, SofSettings

import hub
from hub.contract import State

CHILD, OTHER = "0104149996", "0205139991"
GIVEN = {"kinds": {"32.18.04": {"name": "merudgifter"}}, "codes": {"relief": "32.18.04"}}
NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
KNOWN_AS = "http://fhir.kl.dk/ffbreporting/StructureDefinition/kl-reporting-ffb-municipalityCaseNumber"


def patient(cpr: str = CHILD, id_: str = "p1", **more: Any) -> dict[str, Any]:
    identifier = [
        {"system": "urn:oid:1.2.208.176.1.6.1.1", "value": "x"},
        {"system": "urn:oid:1.2.208.176.1.2", "value": cpr},
    ]
    return {"resourceType": "Patient", "id": id_, "identifier": identifier, **more}


def number(value: str = "Sag1") -> dict[str, Any]:
    return {"url": KNOWN_AS, "extension": [{"url": "municipalitySpecific", "valueIdentifier": {"value": value}}]}


def plan(id_: str = "plan1", subject: str = "Patient/p1", **more: Any) -> dict[str, Any]:
    base = {"status": "active", "intent": "order", "period": {"start": "2026-02-01"}, "extension": [number()]}
    return {"resourceType": "CarePlan", "id": id_, "subject": {"reference": subject}, **base, **more}


def measure(code: str = "relief", of: str = "CarePlan/plan1", **more: Any) -> dict[str, Any]:
    activity = [{"detail": {"code": {"coding": [{"system": "urn:oid:1.2.208.176.2.22", "code": code}]}}}]
    base = {"status": "active", "subject": {"reference": "Patient/p1"}, "activity": activity}
    return {"resourceType": "CarePlan", "id": f"m-{code}", "basedOn": [{"reference": of}], **base, **more}


def request(id_: str = "r1", **more: Any) -> dict[str, Any]:
    base = {"status": "active", "intent": "proposal", "extension": [number()], "subject": {"reference": "Patient/p1"}}
    return {"resourceType": "ServiceRequest", "id": id_, "code": {"coding": [{"code": "relief"}]}, **base, **more}


def bundle(*resources: Any, timestamp: str = "2026-02-10T08:00:00Z", absolute: bool = False) -> dict[str, Any]:
    base = "https://kommune.example/fhir/" if absolute else ""
    entries = [{"fullUrl": f"{base}{r['resourceType']}/{r.get('id')}", "resource": r} for r in resources]
    return {"resourceType": "Bundle", "type": "collection", "timestamp": timestamp, "entry": entries}


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., list[hub.Record]]:
    def read(*bundles: Any, now: datetime = NOW, presence: bool = False, **more: Any) -> list[hub.Record]:
        for n, each in enumerate(bundles):
            (tmp_path / f"{n}.json").write_text(json.dumps(each), encoding="utf-8")
        adapter = SofAdapter(SofSettings.model_validate({"folder": tmp_path, **GIVEN, **more}), lambda: now)
        pages = adapter.presence(None) if presence else adapter.read(None, {CHILD, OTHER})
        return [record for page in pages for record in page.records]

    return read


CHANGED = datetime(2026, 2, 10, 8, 0, tzinfo=UTC)
CASE = hub.CaseRecord("plan1", CHILD, "32.18.04", State.OPEN, opened=date(2026, 2, 1), changed=CHANGED)
NO_REQUEST = hub.Gone("Sag1/request")


def test_plan_with_a_listed_measure_is_a_case(read: Any) -> None:
    assert read(bundle(patient(), plan(), measure())) == [CASE, NO_REQUEST]


@pytest.mark.parametrize("subject", ["Patient/p1", "https://kommune.example/fhir/Patient/p1", "Patient/p1/_history/3"])
@pytest.mark.parametrize("absolute", [True, False])
def test_references_of_both_kinds(read: Any, subject: str, absolute: bool) -> None:
    of = "https://kommune.example/fhir/CarePlan/plan1" if absolute else "CarePlan/plan1"
    assert read(bundle(patient(), plan(subject=subject), measure(of=of), absolute=absolute))[0] == CASE


def test_bundles_in_a_bundle(read: Any) -> None:
    """One report of each citizen, all in one; those of the same citizen in the order of their times."""
    done = plan(status="completed", period={"start": "2026-02-01", "end": "2026-02-28"})
    newer = bundle(patient(), done, measure(), timestamp="2026-03-01T08:00:00Z")
    other = bundle(patient(OTHER), plan("plan2"), measure(of="CarePlan/plan2"))
    outer = bundle()
    outer["entry"] = [{"resource": each} for each in (newer, other, bundle(patient(), plan(), measure()))]
    found = read(outer)
    known = {r.source_id: (r.cpr, r.state) for r in found if isinstance(r, hub.CaseRecord)}
    assert known == {"plan1": (CHILD, State.CLOSED), "plan2": (OTHER, State.OPEN)}


def test_files_are_read_in_the_order_they_were_made(read: Any) -> None:
    later = bundle(patient(), plan(status="completed"), measure(), timestamp="2026-03-01T08:00:00+01:00")
    found = read(later, bundle(patient(), plan(), measure()), page_size=1)
    assert [r.state for r in found if isinstance(r, hub.CaseRecord)] == [State.OPEN, State.CLOSED]


@pytest.mark.parametrize(
    ("fields", "state", "closed"),
    [
        ({"status": "draft"}, "applied", None),
        ({"status": "active", "intent": "proposal"}, "applied", None),
        ({"status": "active", "intent": "plan"}, "open", None),
        ({"status": "on-hold"}, "open", None),
        ({"status": "active", "period": {"start": "2026-02-01", "end": "2026-03-02"}}, "open", None),
        ({"status": "active", "period": {"start": "2026-02-01", "end": "2026-03-01"}}, "closed", date(2026, 3, 1)),
        ({"status": "active", "period": {"start": "2026-03-03"}}, "decided", None),
        ({"status": "completed", "period": {"start": "2026-02-01", "end": "2026-02-27"}}, "closed", date(2026, 2, 27)),
        ({"status": "revoked"}, "closed", None),
    ],
)
def test_status_and_period(read: Any, fields: Any, state: str, closed: date | None) -> None:
    case = read(bundle(patient(), plan(**fields), measure()))[0]
    assert (case.state.value, case.closed) == (state, closed)


@pytest.mark.parametrize(
    ("start", "opened"),
    [("2026", None), ("2026-02", None), ("2026-02-01", date(2026, 2, 1)), ("2026-01-31T23:30:00Z", date(2026, 2, 1))],
)
def test_partial_dates(read: Any, start: str, opened: date | None) -> None:
    assert read(bundle(patient(), plan(period={"start": start}), measure()))[0].opened == opened


def test_request_becomes_a_plan(read: Any) -> None:
    """By its case number, whether the later report repeats the request or not."""
    asked = bundle(patient(), request(authoredOn="2026-01-20"))
    (case,) = read(asked)
    assert case == hub.CaseRecord("Sag1/request", CHILD, "32.18.04", State.APPLIED, date(2026, 1, 20), changed=CHANGED)
    for resources in ((patient(), plan(), measure()), (patient(), request(), plan(), measure())):
        later = bundle(*resources, timestamp="2026-02-11T08:00:00Z")
        assert NO_REQUEST in read(asked, later)


def test_request_without_a_case_number_is_known_by_its_id(read: Any) -> None:
    (case,) = read(bundle(patient(), request(extension=[])))
    assert (case.source_id, case.state) == ("r1", State.APPLIED)


@pytest.mark.parametrize("how", ["plan", "request", "patient"])
def test_recorded_by_mistake_is_gone(read: Any, how: str) -> None:
    wrong = {"status": "entered-in-error"}
    citizen = patient(active=False) if how == "patient" else patient()
    if how == "request":
        assert read(bundle(citizen, request(**wrong))) == [NO_REQUEST]
    else:
        case = plan(**(wrong if how == "plan" else {}))
        assert read(bundle(citizen, case, measure())) == [hub.Gone("plan1"), NO_REQUEST]


def test_very_restricted_is_gone(read: Any) -> None:
    secret = plan(meta={"security": [{"system": "x", "code": "V"}]})
    assert read(bundle(patient(), secret, measure()))[0] == hub.Gone("plan1")


def test_measure_by_mistake_gives_no_kind(read: Any) -> None:
    assert read(bundle(patient(), plan(), measure(status="entered-in-error"))) == [NO_REQUEST]


def test_unlisted_measures_leave_only_a_count(read: Any) -> None:
    assert read(bundle(patient(), plan(), measure("family treatment"))) == [NO_REQUEST]
    assert read(bundle(patient(), plan(), measure("family treatment"), measure()))[0] == CASE


def test_follow_up_is_the_planned_meeting(read: Any) -> None:
    url = "http://fhir.kl.dk/ffbreporting/StructureDefinition/kl-reporting-ffb-follow-up-date-extension"
    seen = {"url": url, "valueReference": {"reference": "Encounter/e1"}}
    meeting = {"resourceType": "Encounter", "id": "e1", "status": "planned", "period": {"start": "2026-05-01"}}
    case = plan(extension=[number(), {"url": "http://unknown"}, seen])
    assert read(bundle(patient(), case, measure(), meeting))[0].follow_up == date(2026, 5, 1)
    assert read(bundle(patient(), case, measure(), meeting | {"status": "finished"}))[0].follow_up is None


@pytest.mark.parametrize(
    ("resources", "reason", "source_id"),
    [
        ([plan(), measure()], "subject", "plan1"),
        ([patient(), plan(status="?"), measure()], "status", "plan1"),
        ([patient(), plan(period={"start": "2026-02-30"}), measure()], "date", "plan1"),
        ([patient("12"), plan(), measure()], "ten", "plan1"),
        ([patient(), measure(of="CarePlan/elsewhere")], "does not stand in the same bundle", "elsewhere"),
    ],
)
def test_bad_case_is_told(read: Any, resources: Any, reason: str, source_id: str) -> None:
    bad = read(bundle(*resources), presence=True)[0]
    assert isinstance(bad, hub.Unreadable)
    assert reason in bad.reason
    assert bad.source_id == source_id
    assert CHILD not in repr(bad)


@pytest.mark.parametrize(
    "citizen", [{"resourceType": "Patient", "id": "p1"}, patient() | {"identifier": [{"value": CHILD}]}]
)
def test_citizen_without_a_number_says_nothing(read: Any, citizen: Any) -> None:
    assert read(bundle(citizen, plan(), measure()), presence=True) == []


def test_other_citizens_in_the_bundle_stay_there(read: Any) -> None:
    """A parent's own resources create nothing about the child, and nothing about the parent either."""
    mother = patient(OTHER, "p2")
    related = {"resourceType": "RelatedPerson", "id": "x", "patient": {"reference": "Patient/p1"}}
    found = read(bundle(patient(), mother, related, plan(), measure()))
    assert OTHER not in repr(found)
