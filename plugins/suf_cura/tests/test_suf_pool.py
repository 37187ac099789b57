"""Single resources, one to a line or a file, put together by their references as in a Bulk Data export."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from tovholder_suf_cura import SufAdapter, SufSettings

import hub

CPR = "urn:oid:1.2.208.176.1.2"
CHILD, MOTHER, OTHER = "0101159994", "0404859990", "0202159995"
Resource = dict[str, Any]
AT = {"meta": {"lastUpdated": "2026-03-10T12:00:00Z"}}


def patient(name: str = "child", cpr: str | None = CHILD, **more: Any) -> Resource:
    own = [] if cpr is None else [{"system": CPR, "value": cpr}]
    return {"resourceType": "Patient", "id": name, "identifier": own} | AT | more


def plan(about: str = "Patient/child", status: str = "active", **more: Any) -> Resource:
    own = {"resourceType": "CarePlan", "id": "plan", "status": status, "subject": {"reference": about}}
    return own | {"period": {"start": "2026-01-15"}} | AT | more


def contact(about: str = "Patient/child", **more: Any) -> Resource:
    own = {"resourceType": "Encounter", "id": "e", "status": "planned", "subject": {"reference": about}}
    return own | {"period": {"start": "2026-04-01"}} | AT | more


def later(day: int) -> Resource:
    return {"meta": {"lastUpdated": f"2026-03-{day}T12:00:00Z"}}


NURSE = {
    "resourceType": "Practitioner",
    "id": "n",
    "name": [{"text": "Nora Holm"}],
    "address": [{"text": "Nattevej 1"}],
}
ROLE = {"resourceType": "PractitionerRole", "id": "r", "practitioner": {"reference": "Practitioner/n"},
        "telecom": [{"system": "phone", "value": "12345678"}]}  # fmt: skip


@pytest.fixture
def put(tmp_path: Path) -> Any:
    """Writes resources into the folder, one file of lines for each list, and gives presences, cases, complete."""

    def write(*files: list[Resource], asked: set[str] | None = None) -> tuple[list[hub.Record], list[hub.Record], bool]:
        for old in tmp_path.iterdir():
            old.unlink()
        for number, resources in enumerate(files):
            text = "".join(json.dumps(one) + "\n" for one in resources)
            (tmp_path / f"{number}.ndjson").write_text(text, encoding="utf-8")
        adapter = SufAdapter(SufSettings(folder=tmp_path, kinds={"care": {"name": "Pleje"}}))
        presences, cases = list(adapter.presence(None)), list(adapter.read(None, asked or {CHILD, MOTHER, OTHER}))
        assert presences[-1].complete is cases[-1].complete
        return (
            [record for page in presences for record in page.records],
            [record for page in cases for record in page.records],
            presences[-1].complete,
        )

    return write


def test_resources_are_put_together_in_any_order(put: Any) -> None:
    author = plan(author={"reference": "PractitionerRole/r"})
    kinds = [[patient()], [author], [contact()], [NURSE], [ROLE], [{"resourceType": "Condition", "id": "c"}]]
    for files in (kinds, kinds[::-1], [[one for some in kinds for one in some]]):
        presences, cases, complete = put(*files)
        (found,) = cases
        assert complete
        assert (found.source_id, found.cpr, found.opened, found.follow_up) == (
            "child", CHILD, date(2026, 1, 15), date(2026, 4, 1),
        )  # fmt: skip
        assert found.adviser == hub.StaffRecord("n", "Nora Holm", None, "12345678")
        assert presences == [hub.Presence("child", CHILD, hub.State.OPEN, found.changed)]


@pytest.mark.parametrize(
    "about",
    [
        "Patient/child",
        "Patient/child/_history/4",
        "https://cura.example.dk/fhir/Patient/child",
        "urn:uuid:child",
    ],
)
def test_references_of_every_form(about: str, put: Any) -> None:
    assert [record.source_id for record in put([patient()], [plan(about)])[0]] == ["child"]


def test_subject_by_number_alone(put: Any) -> None:
    for subject in ({"identifier": {"system": CPR, "value": CHILD}}, {"reference": "#p"}):
        own = plan() | {"subject": subject, "contained": [patient("p")]}
        assert [record.source_id for record in put([patient()], [own])[0]] == ["child"]


def test_newest_version_counts_in_any_order(put: Any) -> None:
    versions = [plan(), plan(status="completed", period={"start": "2026-01-15", "end": "2026-03-11"}, **later(11))]
    for files in ([patient()], versions), (versions[::-1], [patient()]):
        presences, (found,), _ = put(*files)
        assert (found.state, found.closed) == (hub.State.CLOSED, date(2026, 3, 11))
        assert presences == [hub.Gone("child", found.changed)]


def test_resources_and_reports_of_a_citizen_are_one_course(put: Any) -> None:
    own = {"resourceType": "Bundle", "type": "collection", "timestamp": "2026-03-09T12:00:00Z"}
    report = own | {"entry": [{"resource": patient()}, {"resource": plan()}]}
    presences, (found,), _ = put([report], [contact(**later(12))])
    assert (found.opened, found.follow_up) == (date(2026, 1, 15), date(2026, 4, 1))
    assert len(presences) == 1


@pytest.mark.parametrize(
    "resources",
    [
        [patient("mother", MOTHER, link=[{"type": "seealso", "other": {"reference": "RelatedPerson/rp"}}])],
        [patient("mother", MOTHER),
         {"resourceType": "RelatedPerson", "id": "rp", "patient": {"reference": "Patient/child"},
          "identifier": [{"system": CPR, "value": MOTHER}], "relationship": [{"coding": [{"code": "MTH"}]}]}],
    ],
)  # fmt: skip
def test_nothing_comes_of_a_parent(resources: list[Resource], put: Any) -> None:
    """Neither a presence, nor a case, nor a word in quarantine, whatever there is about her."""
    hers = [contact("Patient/mother"), plan("Patient/mother", id="hers"),
            {"resourceType": "QuestionnaireResponse", "id": "q",
             "subject": {"reference": "Patient/mother"}}]  # fmt: skip
    presences, cases, complete = put([patient(), plan()], resources, hers)
    assert [record.source_id for record in presences] == [record.source_id for record in cases] == ["child"]
    assert "mother" not in repr((presences, cases))
    assert complete


def test_child_who_is_related_to_a_citizen_is_no_parent(put: Any) -> None:
    related = {"resourceType": "RelatedPerson", "id": "rp", "patient": {"reference": "Patient/mother"},
               "identifier": [{"system": CPR, "value": CHILD}],
               "relationship": [{"coding": [{"code": "CHILD"}]}]}  # fmt: skip
    assert [record.source_id for record in put([patient(), plan(), related])[0]] == ["child"]


def test_patient_without_a_course_is_nobody(put: Any) -> None:
    assert put([patient(), patient("other", None)]) == ([], [], True)


def test_plan_of_a_patient_who_is_not_here_is_told_once_for_each_file(put: Any) -> None:
    presences, cases, complete = put([plan(), contact()], [plan(id="second")], [patient("other", OTHER)])
    assert [(type(one), one.position) for one in presences] == [
        (hub.Unreadable, "0.ndjson"),
        (hub.Unreadable, "1.ndjson"),
    ]
    assert cases == presences
    assert not complete


def test_patient_without_a_number_is_told_when_there_is_a_course(put: Any) -> None:
    presences, _, complete = put([patient(cpr=None), plan(), contact()])
    (found,) = presences
    assert (found.source_id, found.reason, found.position) == ("child", "no CPR number", "0.ndjson, line 1")
    assert complete


def test_bad_plan_is_told_and_the_others_are_read(put: Any) -> None:
    presences, _, complete = put([patient(), plan(period={"start": "soon"}), contact()])
    assert {type(one) for one in presences} == {hub.Unreadable, hub.Presence}
    assert not complete


@pytest.mark.parametrize(
    "gone",
    [
        patient(active=False, **later(11)),
        patient(link=[{"type": "replaced-by", "other": {"reference": "Patient/x"}}], **later(11)),
    ],
)
def test_patient_who_is_no_more_is_gone(gone: Resource, put: Any) -> None:
    presences, cases, _ = put([patient(), gone], [plan()])
    assert [(type(one), one.source_id) for one in presences + cases] == [(hub.Gone, "child")] * 2


def test_plan_by_mistake_is_gone(put: Any) -> None:
    presences, cases, _ = put([patient()], [plan(), plan(status="entered-in-error", **later(11))])
    assert [type(one) for one in presences + cases] == [hub.Gone] * 2


def deletion(*addresses: str) -> Resource:
    """As the Bulk Data guide tells of what was deleted."""
    entries = [{"request": {"method": "DELETE", "url": address}} for address in addresses]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries} | later(11)


def test_deleted_plan_and_deleted_patient_are_gone(put: Any) -> None:
    for files in (
        ([patient()], [plan()], [deletion("CarePlan/plan")]),
        ([deletion("CarePlan/plan")], [plan()], [patient()]),
    ):
        assert [type(one) for one in put(*files)[0]] == [hub.Gone]
    presences, cases, complete = put([patient()], [plan()], [deletion("Patient/child")])
    assert [(type(one), one.source_id) for one in presences + cases] == [(hub.Gone, "child")] * 2
    assert complete
    assert put([deletion("CarePlan/never-seen", "Observation/x", "")])[0] == []


@pytest.mark.parametrize("by", ["replaces", "replaced-by", "both"])
def test_new_number_takes_over_the_course_of_the_old(by: str, put: Any) -> None:
    new = [{"type": "replaces", "other": {"reference": "Patient/old"}}] if by != "replaced-by" else []
    old = [{"type": "replaced-by", "other": {"reference": "Patient/child"}}] if by != "replaces" else []
    people = [patient("old", OTHER, link=old), patient(link=new, **later(11))]
    presences, cases, _ = put(people, [plan("Patient/old")])
    assert {(type(one), one.source_id) for one in presences} == {(hub.Presence, "child"), (hub.Gone, "old")}
    (case,) = [one for one in cases if isinstance(one, hub.CaseRecord)]
    assert (case.cpr, case.opened) == (CHILD, date(2026, 1, 15))


def test_numbers_replaced_twice_and_in_a_circle(put: Any) -> None:
    def to(name: str) -> Resource:
        return {"link": [{"type": "replaces", "other": {"reference": f"Patient/{name}"}}]}

    chain = [patient("a", OTHER), patient("b", MOTHER, **to("a")), patient("child", **to("b"))]
    presences = put(chain, [plan("Patient/a")])[0]
    assert {(type(one), one.source_id) for one in presences} == {
        (hub.Presence, "child"), (hub.Gone, "a"), (hub.Gone, "b"),
    }  # fmt: skip
    circle = [patient("a", OTHER, **to("child")), patient(**to("a")), plan()]
    assert [one.source_id for one in put(circle)[0]] == ["child"]


def test_a_bundle_of_single_resources_is_read_like_lines(put: Any) -> None:
    for kind in ("searchset", "batch", "transaction", "history"):
        entries = [
            {"resource": one} for one in (patient(), plan(), patient("other", OTHER), plan("Patient/other", id="o"))
        ]
        found = put([{"type": kind, "entry": entries, "resourceType": "Bundle"}])[0]
        assert sorted(one.source_id for one in found) == ["child", "other"]


def test_resource_without_a_time_has_that_of_its_file(put: Any) -> None:
    presences, _, _ = put([{key: value for key, value in one.items() if key != "meta"} for one in (patient(), plan())])
    assert presences[0].changed is not None


def test_social_services_resources_are_another_sources(put: Any) -> None:
    foreign = {"meta": {"profile": ["http://fhir.kl.dk/ffbreporting/StructureDefinition/kl-reporting-ffb-carePlan"]}}
    assert put([patient()], [plan() | foreign]) == ([], [], True)
