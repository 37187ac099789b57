"""What a report says, by handmade examples: whose it is, where the course stands, who works on it."""

from __future__ import annotations

from contextlib import suppress
from datetime import date, datetime
from typing import Any

import pytest
from tovholder_suf_cura import fhir, report
from tovholder_suf_cura.course import Course

import hub

CPR = "urn:oid:1.2.208.176.1.2"
CHILD, MOTHER = "0101159994", "0404859990"
OUTER = {"resourceType": "Bundle", "id": "r", "timestamp": "2026-03-10T12:00:00+01:00"}


def patient(name: str = "child", cpr: str = CHILD, **more: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": name, "identifier": [{"system": CPR, "value": cpr}]} | more


def plan(status: str = "active", subject: str = "Patient/child", **more: Any) -> dict[str, Any]:
    return {"resourceType": "CarePlan", "id": "plan", "status": status, "subject": {"reference": subject}} | more


def contact(status: str, start: str | None, **more: Any) -> dict[str, Any]:
    period = {} if start is None else {"period": {"start": start}}
    common = {"resourceType": "Encounter", "id": f"contact {start}", "status": status}
    return common | {"subject": {"reference": "Patient/child"}} | period | more


def read(*resources: dict[str, Any], **outer: Any) -> report.Report:
    found = report.read(OUTER | outer, [{"resource": resource} for resource in resources])
    assert found is not None, "the report is about parents alone"
    return found


def case(*resources: dict[str, Any], **outer: Any) -> hub.CaseRecord | hub.Gone | None:
    found = read(*resources, **outer)
    course = Course(found)
    course.take(found)
    return course.case()


def told(*resources: dict[str, Any]) -> hub.CaseRecord:
    found = case(*resources)
    assert isinstance(found, hub.CaseRecord)
    return found


LINKED = {"link": [{"type": "seealso", "other": {"reference": "RelatedPerson/rp"}}]}
RELATED = {"resourceType": "RelatedPerson", "id": "rp", "patient": {"reference": "Patient/child"}}


@pytest.mark.parametrize(
    "resources",
    [
        [patient(), patient("mother", MOTHER, **LINKED), RELATED],
        [patient("mother", MOTHER, **LINKED), patient()],  # linked to a RelatedPerson that is not in the report
        [patient(), patient("mother", MOTHER), plan()],  # not linked, and not the one the plan is for
        [
            patient(),
            patient("mother", MOTHER, **LINKED),
            plan("active", "Patient/mother"),
        ],  # hers, and no plan of the child's
    ],
)
def test_parent_is_never_the_citizen(resources: list[dict[str, Any]]) -> None:
    assert read(*resources).cpr == CHILD


CHILDRENS_GUIDE = {
    "meta": {"profile": ["http://fhir.kl.dk/children/StructureDefinition/klgateway-children-delivery-report"]}
}
OF_MOTHER = {"identifier": [{"system": CPR, "value": MOTHER}]}


@pytest.mark.parametrize(
    ("resources", "outer"),
    [
        ([patient("mother", MOTHER, **LINKED), RELATED], {}),  # the child is not in it
        ([patient("mother", MOTHER), RELATED | OF_MOTHER], {}),  # the RelatedPerson has her number
        ([patient("mother", MOTHER), contact("planned", "2026-04-01", subject={"reference": "Patient/mother"})],
         CHILDRENS_GUIDE),  # before the birth: grown up, in the children's guide
        ([patient("mother", "x", birthDate="1985-04-04")], CHILDRENS_GUIDE),
    ],
)  # fmt: skip
def test_report_about_parents_alone_is_about_nobody(resources: list[dict[str, Any]], outer: dict[str, Any]) -> None:
    assert report.read(OUTER | outer, [{"resource": resource} for resource in resources]) is None


@pytest.mark.parametrize(("number", "adult"), [("1003089994", True), ("1103089994", False), ("10030", False)])
def test_childrens_guide_is_about_those_under_18(number: str, adult: bool) -> None:
    """The report is of 10 March 2026."""
    entries = [{"resource": patient(cpr=number)}]
    assert (report.read(OUTER | CHILDRENS_GUIDE, entries) is None) is adult


def test_mother_and_child_are_told_apart_by_age_in_the_childrens_guide() -> None:
    assert read(patient("mother", MOTHER), patient(), **CHILDRENS_GUIDE).cpr == CHILD
    with pytest.raises(hub.BadRecord, match="exactly one citizen"):
        read(patient("mother", MOTHER), patient())


def test_parents_plan_is_not_the_childs_course() -> None:
    assert case(patient(), patient("mother", MOTHER, **LINKED), plan("active", "Patient/mother")) is None


@pytest.mark.parametrize(
    "resources",
    [
        [],
        [plan()],
        [patient(), patient("twin", "0101159995")],
        [patient("mother", MOTHER), plan("active", "Patient/child")],  # the child itself is missing
        [patient(), patient("twin", "0101159995"), plan(), plan("active", "Patient/twin", id="other")],
    ],
)
def test_report_about_none_or_several_is_refused(resources: list[dict[str, Any]]) -> None:
    with pytest.raises(hub.BadRecord, match="exactly one citizen"):
        read(*resources)


X_ECPR = {"system": "urn:oid:1.2.208.176.1.6.1.1", "value": "0101157AA4"}
D_ECPR = {"system": "urn:oid:1.2.208.176.1.6.1.3.5", "value": "0101156AA4"}


@pytest.mark.parametrize(
    ("identifiers", "reason"),
    [
        ([X_ECPR], r"no CPR number \(X-eCPR\)"),
        ([D_ECPR], r"no CPR number \(D-eCPR\)"),
        ([], "no CPR number$"),
        ([{"system": CPR}], "no CPR number$"),
        ([{"system": CPR, "value": 101159994}], "no CPR number$"),
        ([{"system": CPR, "value": CHILD}, {"system": CPR, "value": MOTHER}], "several CPR numbers"),
    ],
)
def test_citizen_without_one_cpr_number_is_refused(identifiers: list[dict[str, Any]], reason: str) -> None:
    with pytest.raises(hub.BadRecord, match=reason) as raised:
        read(patient(identifier=identifiers))
    assert "0101" not in str(raised.value)


@pytest.mark.parametrize(
    "identifiers",
    [
        [X_ECPR, {"system": CPR, "value": CHILD}],
        [{"system": CPR, "value": CHILD}, {"system": CPR, "value": CHILD}],
        [{"system": CPR, "value": CHILD, "use": "official"}, {"system": CPR, "value": MOTHER, "use": "old"}],
        [{"system": CPR, "value": "010115-9994"}],
    ],
)
def test_the_cpr_number_in_use_counts(identifiers: list[dict[str, Any]]) -> None:
    assert read(patient(identifier=identifiers)).cpr == CHILD


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("draft", hub.State.OPEN),
        ("active", hub.State.OPEN),
        ("on-hold", hub.State.OPEN),
        ("unknown", hub.State.OPEN),
        ("completed", hub.State.CLOSED),
        ("revoked", hub.State.CLOSED),
    ],
)
def test_a_plans_status_is_the_courses_state(status: str, state: hub.State) -> None:
    assert told(patient(), plan(status)).state is state


@pytest.mark.parametrize(
    "resources",
    [
        [patient(active=False), plan()],
        [patient(), plan("entered-in-error")],
        [patient(), plan("entered-in-error"), contact("entered-in-error", "2026-04-01")],
        [patient(), contact("finished", "2026-03-01")],
    ],
)
def test_a_mistake_and_a_mere_visit_are_gone(resources: list[dict[str, Any]]) -> None:
    assert case(*resources) == hub.Gone("child", datetime.fromisoformat("2026-03-10T11:00:00+00:00"))


def test_nothing_said_is_nothing_told() -> None:
    assert case(patient()) is None


@pytest.mark.parametrize("died", [{"deceasedBoolean": True}, {"deceasedDateTime": "2026-03-01"}])
def test_course_of_somebody_who_has_died_is_closed(died: dict[str, Any]) -> None:
    found = told(patient(**died), plan("active", period={"start": "2025-01-01", "end": "2027-01-01"}))
    assert (found.state, found.closed, found.follow_up) == (hub.State.CLOSED, date(2026, 3, 10), None)


@pytest.mark.parametrize(
    ("contacts", "follow_up"),
    [
        ([contact("planned", "2026-04-02"), contact("planned", "2026-03-20")], date(2026, 3, 20)),
        ([contact("planned", "2026-03-10")], date(2026, 3, 10)),  # the report's own day
        ([contact("planned", "2026-03-09")], None),  # past
        ([contact("finished", "2026-04-02"), contact("cancelled", "2026-04-03")], None),
        ([contact("planned", "2026-04")], None),  # a month is no appointment
        ([contact("planned", None)], None),
        ([contact("planned", "2026-03-20T23:30:00Z")], date(2026, 3, 21)),  # Danish time
    ],
)
def test_follow_up_is_the_next_planned_contact(contacts: list[dict[str, Any]], follow_up: date | None) -> None:
    assert told(patient(), plan(), *contacts).follow_up == follow_up


@pytest.mark.parametrize(
    ("period", "created", "opened"),
    [
        ({"start": "2025"}, None, date(2025, 1, 1)),
        ({"start": "2025-06"}, None, date(2025, 6, 1)),
        ({"start": "2025-06-07"}, "2025-01-01", date(2025, 6, 7)),
        ({}, "2025-06-07T08:00:00+02:00", date(2025, 6, 7)),
        ({}, None, None),
    ],
)
def test_opened_is_the_first_day_it_may_have_been(period: Any, created: str | None, opened: date | None) -> None:
    more = {} if created is None else {"created": created}
    assert told(patient(), plan(period=period, **more)).opened == opened


def test_opened_is_the_earliest_plans_and_closed_the_last_ones() -> None:
    plans = [
        plan("completed", id=str(n), period={"start": f"2025-0{n}-01", "end": end})
        for n, end in ((1, "2025-09"), (2, "2025-07-07"))
    ]
    found = told(patient(), *plans)
    assert (found.opened, found.closed) == (date(2025, 1, 1), date(2025, 9, 30))


@pytest.mark.parametrize(
    "resource",
    [
        plan(period={"start": "2025-13-01"}),
        plan(period={"start": "soon"}),
        plan(period={"end": "2025-02-30"}),
        plan(period={"start": "2025-01-01Tnoon"}),
        contact("planned", "10/3"),
        {key: value for key, value in plan().items() if key != "status"},
        {key: value for key, value in plan().items() if key != "id"},
    ],
)
def test_a_plan_that_cannot_be_read_makes_the_report_unreadable(resource: dict[str, Any]) -> None:
    with pytest.raises(hub.BadRecord):
        read(patient(), resource)


def test_time_is_last_updated_before_the_timestamp() -> None:
    later = {"meta": {"lastUpdated": "2026-03-11T08:00:00.123Z"}}
    assert read(patient(), **later).time > read(patient()).time
    for wrong in ("2026-03-11", "2026-03-11T08:00:00", ""):
        with pytest.raises(hub.BadRecord):
            read(patient(), timestamp=wrong)


NURSE = {
    "resourceType": "Practitioner",
    "id": "n1",
    "identifier": [{"system": "https://www.kombit.dk/organisation", "value": "7a3f0e55-7d0d-4b9e-8a64-0c1d6a6f2b10"}],
    "name": [{"given": ["Nora", "Lund"], "family": "Holm"}],
    "telecom": [{"system": "phone", "value": "12345678"}, {"system": "email", "value": "nora@example.dk"}],
    "address": [{"text": "Nattevej 1"}],
}
NORA = hub.StaffRecord("7a3f0e55-7d0d-4b9e-8a64-0c1d6a6f2b10", "Nora Lund Holm", "nora@example.dk", "12345678")
TO_NURSE = {"reference": "Practitioner/n1"}
ROLE = {"resourceType": "PractitionerRole", "id": "role", "practitioner": TO_NURSE}


@pytest.mark.parametrize(
    "resources",
    [
        [plan(author=TO_NURSE), NURSE],
        [plan(contributor=[{"reference": "CareTeam/x"}, TO_NURSE]), NURSE],
        [plan(activity=[{"detail": {"performer": [TO_NURSE]}}]), NURSE],
        [plan(), contact("planned", "2026-04-01", participant=[{"individual": TO_NURSE}]), NURSE],
        [plan(author={"reference": "PractitionerRole/role"}), ROLE, NURSE],
        [plan(author={"reference": "#n1"}, contained=[NURSE])],
        [plan(author={"reference": "https://other.example.dk/fhir/Practitioner/n1/_history/3"}), NURSE],
        [plan("completed", author=TO_NURSE), NURSE],
    ],
)
def test_adviser_is_who_is_named_as_responsible(resources: list[dict[str, Any]]) -> None:
    assert told(patient(), *resources).adviser == NORA


@pytest.mark.parametrize(
    "resources",
    [
        [plan()],
        [plan(author=TO_NURSE)],  # not in the report, and no name beside the reference
        [plan(author={"reference": "Organization/o", "display": "Hjemmeplejen"})],
        [plan(author={"reference": "Patient/child"})],
        [plan(author=TO_NURSE), NURSE | {"name": []}],
        [plan(), contact("finished", "2026-01-01", participant=[{"individual": TO_NURSE}]), NURSE],  # a past visit
    ],
)
def test_nobody_is_adviser_by_guess(resources: list[dict[str, Any]]) -> None:
    assert told(patient(), *resources).adviser is None


def test_a_name_beside_the_reference_will_do() -> None:
    found = told(patient(), plan(author=TO_NURSE | {"display": "Nora Holm"})).adviser
    assert found == hub.StaffRecord("Practitioner/n1", "Nora Holm")


def test_equal_ids_of_different_kinds_are_different_things() -> None:
    same = NURSE | {"id": "child"}
    found = told(patient(), plan(author={"reference": "Practitioner/child"}), same)
    assert (found.source_id, found.adviser) == ("child", NORA)


def test_references_by_address_and_by_uuid() -> None:
    urn = "urn:uuid:2f0a8c3e-0000-4000-8000-000000000001"
    entries = [
        {"fullUrl": urn, "resource": patient()},
        {"fullUrl": "https://x.example.dk/CarePlan/plan", "resource": plan("active", urn)},
        {"fullUrl": "https://x.example.dk/Practitioner/n1", "resource": NURSE},
    ]
    assert [part.status for part in report.read(OUTER, entries).parts] == ["active"]


@pytest.mark.parametrize("value", [None, 7, "text", [], [[]], [None], {}, {"reference": 3}, [{"system": []}]])
@pytest.mark.parametrize(
    "name", ["meta", "identifier", "link", "period", "author", "activity", "participant", "active"]
)
def test_values_of_any_type_are_taken_as_absent(name: str, value: Any) -> None:
    """Never another error than BadRecord: a report is unreadable alone."""
    for resources in (
        [patient() | {name: value}, plan(), contact("planned", "2026-04-01")],
        [patient(), plan() | {name: value}, contact("planned", "2026-04-01") | {name: value}],
    ):
        try:
            found = case(*resources)
        except hub.BadRecord:
            assert name == "identifier"
        else:
            assert isinstance(found, hub.CaseRecord)
    assert fhir.days(None, "") is None


def test_later_reports_take_the_place_of_earlier_ones_in_any_order() -> None:
    first = read(patient(), plan(period={"start": "2025-01-01"}), contact("planned", "2026-04-01"))
    second = read(
        patient(),
        plan("completed", period={"start": "2025-01-01", "end": "2026-03-11"}),
        timestamp="2026-03-11T09:00:00Z",
    )
    third = read(
        patient(), contact("planned", "2026-04-01") | {"status": "cancelled"}, timestamp="2026-03-12T09:00:00Z"
    )
    for order in ([first, second, third], [third, first, second], [second, third, first]):
        course = Course(order[0])
        for one in order:
            course.take(one)
        found = course.case()
        assert isinstance(found, hub.CaseRecord)
        assert (found.state, found.closed, found.changed) == (hub.State.CLOSED, date(2026, 3, 11), third.time)


def test_what_is_kept_of_an_unreadable_report_holds_no_health_content() -> None:
    secret = "Opdigtet diagnose"
    child = patient() | {"name": [{"text": "Anna Prøve"}], "address": [{"text": "Vejen 1"}]}
    mother = patient("mother", MOTHER, **LINKED)
    resources = [
        child,
        mother,
        plan(description=secret, activity=[{"detail": {"code": {"text": secret}}}]),
        {"resourceType": "Condition", "id": "c", "code": {"text": secret}},
    ]
    kept = report.skeleton(OUTER | {"text": secret}, resources, [child]).decode()
    assert CHILD in kept
    for word in (secret, "Condition", "Anna", "Vejen", MOTHER, "mother"):
        assert word not in kept
    assert CHILD not in report.skeleton(OUTER, resources, [child, mother]).decode()  # about whom nobody knows


def request(status: str = "active", **more: Any) -> dict[str, Any]:
    common = {"resourceType": "ServiceRequest", "id": "asked", "status": status, "authoredOn": "2026-02-01"}
    return common | {"subject": {"reference": "Patient/child"}} | more


@pytest.mark.parametrize(
    ("resources", "state", "opened"),
    [
        ([request()], hub.State.APPLIED, date(2026, 2, 1)),
        ([request("draft")], hub.State.APPLIED, date(2026, 2, 1)),
        ([request(), plan()], hub.State.OPEN, None),  # granted
        ([request(), contact("planned", "2026-04-01")], hub.State.OPEN, date(2026, 2, 1)),
        ([request(), plan("completed")], hub.State.CLOSED, None),  # nobody closes the referral
        ([request("revoked")], hub.State.CLOSED, date(2026, 2, 1)),
    ],
)
def test_referral_alone_is_applied_for(resources: list[dict[str, Any]], state: hub.State, opened: date | None) -> None:
    """The rehabilitation guide's ServiceRequest: applied for until there is a plan."""
    found = told(patient(), *resources)
    assert (found.state, found.opened) == (state, opened)


def test_referral_by_mistake_is_gone() -> None:
    assert isinstance(case(patient(), request("entered-in-error")), hub.Gone)


def replaced(old: str = "old", new: str = "child") -> list[dict[str, Any]]:
    """A child with another number now, as dk-core says it: both patients, each linked to the other."""
    by = [{"type": "replaced-by", "other": {"reference": f"Patient/{new}"}}]
    of = [{"type": "replaces", "other": {"reference": f"Patient/{old}"}}]
    return [patient(old, "0101159995", link=by), patient(new, CHILD, link=of)]


def test_new_number_is_the_child_and_the_old_is_gone() -> None:
    for resources in (replaced(), replaced()[::-1]):
        found = read(*resources, plan("active", "Patient/old"), plan("draft", id="other"))
        assert (found.citizen, found.cpr, found.active) == ("child", CHILD, True)
        assert [part.id for part in found.parts] == ["plan", "other"]
        assert found.replaced == (("old", "child"),)


def test_one_link_of_the_two_is_enough() -> None:
    old, new = replaced()
    for resources in ([old, new | {"link": []}], [old | {"link": []}, new]):
        assert read(*resources).cpr == CHILD


def test_patient_that_another_replaced_is_gone() -> None:
    assert isinstance(case(replaced()[0], plan("active", "Patient/old")), hub.Gone)


@pytest.mark.parametrize(
    "subject",
    [
        {"identifier": {"system": CPR, "value": CHILD}},
        {"reference": "#c"},
        {"reference": "https://x.example.dk/fhir/Patient/child/_history/2"},
        {"reference": "urn:uuid:child"},
        {"reference": "URN:UUID:CHILD"},
    ],
)
def test_subject_may_be_named_in_any_way(subject: dict[str, Any]) -> None:
    contained = [patient("c")]
    assert [part.id for part in read(patient(), plan(contained=contained) | {"subject": subject}).parts] == ["plan"]
    other = {"identifier": {"system": CPR, "value": "0101159995"}}
    assert read(patient(), contact("planned", "2026-04-01", subject=other)).parts == ()


def test_patient_without_an_id_is_known_by_the_number() -> None:
    """An address of one message is another in the next; plans known by such hold only as long."""

    def message(uuid: str, status: str, day: int) -> report.Report:
        child = {key: value for key, value in patient().items() if key != "id"}
        urn = f"urn:uuid:00000000-0000-4000-8000-{uuid:0>12}"
        own = {key: value for key, value in plan(status, urn).items() if key != "id"}
        entries = [{"fullUrl": urn, "resource": child}, {"fullUrl": urn.replace("0000-", "0001-"), "resource": own}]
        found = report.read(OUTER | {"timestamp": f"2026-03-{day}T12:00:00Z"}, entries)
        assert found is not None
        return found

    first, second = message("1", "active", 10), message("2", "completed", 11)
    assert first.citizen == second.citizen
    for order in ([first, second], [second, first]):
        course = Course(order[0])
        for one in order:
            course.take(one)
        found = course.case()
        assert isinstance(found, hub.CaseRecord)
        assert found.state is hub.State.CLOSED


def test_staff_who_have_left_are_not_named() -> None:
    assert told(patient(), plan(author=TO_NURSE), NURSE | {"active": False}).adviser is None


def test_staff_named_by_identifier_alone() -> None:
    own = {"identifier": {"system": "https://www.kombit.dk/organisation", "value": NORA.source_id}}
    found = told(patient(), plan(author=own | {"type": "Practitioner", "display": "Nora Holm"})).adviser
    assert found == hub.StaffRecord(NORA.source_id, "Nora Holm")


@pytest.mark.parametrize("name", ["Nora\x00Holm", "Nora \ud800", "\x1b[31mNora"])
def test_what_is_no_text_is_no_name(name: str) -> None:
    """A database refuses NUL, an encoder half a surrogate."""
    assert told(patient(), plan(author=TO_NURSE), NURSE | {"name": [{"text": name}]}).adviser is None


@pytest.mark.parametrize(
    "start", ["9999-12", "9999", "0000-01-01", "2026-03-20T23:30:00+99:00", "9999-12-31T23:59:59-14:00"]
)
def test_days_at_the_end_of_time_are_dates_or_no_dates(start: str) -> None:
    with suppress(hub.BadRecord):
        assert told(patient(), plan(period={"start": start})).opened is not None


def test_report_of_social_services_is_another_sources() -> None:
    profile = {
        "meta": {"profile": ["http://fhir.kl.dk/ffbreporting/StructureDefinition/kl-reporting-ffb-deliveryReport"]}
    }
    with pytest.raises(report.Foreign):
        read(patient(), plan(), **profile)


def test_unknown_members_and_extensions_are_passed_over() -> None:
    strange = {"extension": [{"url": "https://x.example.dk/new", "valueString": "x"}], "_status": {"extension": []},
               "modifierExtension": [{"url": "u"}], "somethingNew": {"a": [1]}}  # fmt: skip
    assert case(patient(**strange), plan(**strange), **strange) == case(patient(), plan())
