"""The samples of KL's Gateway guide (FSIII), each with its presence and case worked out by hand, and what must not come
of the children's and the rehabilitation guides' samples."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from tovholder_suf_cura import SufAdapter, SufSettings

import hub

PETER, JENS, TEST = "0101570001", "0101410001", "0101010101"
PETER_NEW, PETER_OLD = "17911a9f-69ff-4041-8dd0-6fc96864d04b", "4a45e179-ace1-4ace-9991-8276c0ba490a"
JENS_NEW, JENS_OLD = "0533e773-c9e6-4cf5-b42d-f3ee07a9c624", "eec9e8e9-221d-4eae-a54d-cdd403661def"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def course(
    citizen: str,
    cpr: str,
    changed: str,
    opened: str | None = None,
    follow_up: str | None = None,
    closed: str | None = None,
) -> hub.CaseRecord:
    return hub.CaseRecord(
        source_id=citizen,
        cpr=cpr,
        kind="care",
        state=hub.State.OPEN if closed is None else hub.State.CLOSED,
        opened=None if opened is None else date.fromisoformat(opened),
        closed=None if closed is None else date.fromisoformat(closed),
        follow_up=None if follow_up is None else date.fromisoformat(follow_up),
        changed=at(changed),
    )


# Each report alone: the earliest plan's start, the planned contact's day. No sample names a member of staff.
ALONE = {
    # a planned follow-up on 6 April, no plan in the report (it is unchanged)
    "1652f2a9-510a-4cd3-8fc4-8b69d0ffedae": course(PETER_OLD, PETER, "2021-02-18T09:11:29", None, "2021-04-06"),
    # five active plans granted two days after the report was made
    "3304e5f8-4b3f-4c19-8c68-e36c573f3f98": course(JENS_OLD, JENS, "2021-02-10T11:14:09", "2021-02-12", "2021-02-15"),
    "3c4919f9-aec9-485f-808a-3f9ff6c95786": course(PETER_NEW, PETER, "2021-02-14T15:23:12", "2021-02-10", "2021-02-15"),
    # completed interventions beside the active plan are no plans
    "4768772b-67f3-4468-9a2f-ee9a0254a323": course(PETER_NEW, PETER, "2021-02-10T13:34:56", "2021-02-10", "2021-02-12"),
    # the plan is completed and nothing is planned
    "616ce3ef-b7e8-46e1-aefc-ff5bde81b153": course(
        PETER_NEW, PETER, "2021-02-17T11:51:44", "2021-02-10", None, "2021-02-17"
    ),
    # two plans completed, four active
    "643c3e42-ab90-4354-9b98-f01b4740d3d9": course(JENS_OLD, JENS, "2021-02-24T08:46:36", "2021-02-12", "2021-03-10"),
    # one contact finished, one planned
    "89071c96-e053-40d5-8873-105b7bad40f9": course(JENS_NEW, JENS, "2021-02-25T02:00:36", "2021-02-12", "2021-03-10"),
    "TestIncrementalDelivery": course("TestPerson", TEST, "2020-08-14T00:00:00", "2020-08-14", "2020-08-14"),
    "TestPersonReport": course("TestPerson", TEST, "2020-08-14T00:00:00", "2020-08-14", "2020-08-14"),
    "abc81b1f-b3ba-41f0-9f4b-2fc4df5aaabb": course(PETER_OLD, PETER, "2021-02-12T12:46:48", None, "2021-02-14"),
    "b1c5348b-fe9f-4afc-96ff-8c42b6c6c7ff": course(JENS_OLD, JENS, "2021-02-15T08:39:34", None, "2021-02-24"),
    "cc93afc5-7849-4895-84eb-00bb5c129c0b": course(
        PETER_OLD, PETER, "2021-02-17T11:51:44", "2021-02-10", None, "2021-02-17"
    ),
}


def adapter(folder: Path) -> SufAdapter:
    return SufAdapter(SufSettings(folder=folder, kinds={"care": {"name": "Pleje"}}))


def told(folder: Path) -> tuple[list[hub.Record], list[hub.Record]]:
    """Presences and cases of a folder."""
    presences = [record for page in adapter(folder).presence(None) for record in page.records]
    cases = [r for page in adapter(folder).read(None, {PETER, JENS, TEST}) for r in page.records]
    return presences, cases


def test_every_sample_is_here(standards: Path) -> None:
    assert {path.stem for path in (standards / "fhir/kl-gateway").glob("Bundle-*.json")} == {
        f"Bundle-{n}" for n in ALONE
    }


@pytest.mark.parametrize("name", ALONE)
def test_sample_alone(name: str, standards: Path, tmp_path: Path) -> None:
    shutil.copyfile(standards / f"fhir/kl-gateway/Bundle-{name}.json", tmp_path / "1.json")
    expected = ALONE[name]
    presences, cases = told(tmp_path)
    assert cases == [expected]
    if expected.state is hub.State.OPEN:
        assert presences == [hub.Presence(expected.source_id, expected.cpr, hub.State.OPEN, expected.changed)]
    else:
        assert presences == [hub.Gone(expected.source_id, expected.changed)]


def test_samples_together_are_five_courses(standards: Path, tmp_path: Path) -> None:
    """A report holds only what has changed: what Peter's last report says nothing of is known from those before."""
    for path in (standards / "fhir/kl-gateway").glob("Bundle-*.json"):
        shutil.copyfile(path, tmp_path / path.name)
    _, cases = told(tmp_path)
    assert cases == [
        ALONE["TestPersonReport"],
        ALONE["616ce3ef-b7e8-46e1-aefc-ff5bde81b153"],
        course(PETER_OLD, PETER, "2021-02-18T09:11:29", "2021-02-10", "2021-04-06"),
        ALONE["643c3e42-ab90-4354-9b98-f01b4740d3d9"],
        ALONE["89071c96-e053-40d5-8873-105b7bad40f9"],
    ]


def test_single_resources_are_no_reports(standards: Path, tmp_path: Path) -> None:
    shutil.copyfile(standards / "fhir/kl-gateway/Patient-TestPersonError.json", tmp_path / "1.json")
    presences, _ = told(tmp_path)
    assert presences == [hub.Unreadable("1.json", "the document is no Bundle")]


def test_no_parent_comes_of_a_childs_report(standards: Path, tmp_path: Path) -> None:
    """The children's guide: parents stand in reports as Patients, and before the birth alone; finished visits are no
    course, a completed plan has ended, an active one is open."""
    samples = list((standards / "fhir/kl-children").glob("Bundle-*.json"))
    assert len(samples) == 9
    for path in samples:
        shutil.copyfile(path, tmp_path / path.name)
    presences, _ = told(tmp_path)
    two, *rest = sorted(presences, key=lambda record: not isinstance(record, hub.Unreadable))
    assert isinstance(two, hub.Unreadable)
    assert (two.position, two.reason) == (
        "report b9479825-6be1-4fa1-a2ae-74fe67014caa",
        "a report is about exactly one citizen; this has 2 of 2 patients",
    )
    assert rest == [
        hub.Gone("Rikke", at("2020-07-08T23:45:00")),
        hub.Gone("e60106e2-413e-46c5-8a3f-62d8e77ce794", at("2020-07-14T23:25:12")),
        hub.Presence("4ced31e7-f852-4bad-a320-fe2a02640434", "0505159995", hub.State.OPEN, at("2021-10-09T23:25:12")),
    ]


def test_rehabilitation_is_read_as_a_course(standards: Path, tmp_path: Path) -> None:
    shutil.copyfile(standards / "fhir/kl-gateway-rehab/Bundle-RuddiIndberetningsrapport.json", tmp_path / "1.json")
    presences, _ = told(tmp_path)
    (ruddi,) = presences
    assert isinstance(ruddi, hub.Presence)
    assert (ruddi.cpr, ruddi.state) == ("1502779995", hub.State.OPEN)


def test_no_word_of_a_sample_about_health_passes(standards: Path, tmp_path: Path) -> None:
    """Every display and code in the samples against everything the adapter says."""
    words = set()
    for path in (standards / "fhir").glob("kl-*/Bundle-*.json"):
        shutil.copyfile(path, tmp_path / f"{path.parent.name}-{path.name}")
        words |= _words(json.loads(path.read_text(encoding="utf-8")))
    assert len(words) > 50
    presences, cases = told(tmp_path)
    said = repr((presences, cases))
    assert not {word for word in words if word in said}
    raw = b"".join(record.raw for record in presences if isinstance(record, hub.Unreadable)).decode()
    assert raw
    assert not {word for word in words if word in raw}


def _words(value: object) -> set[str]:
    if isinstance(value, dict):
        own = {
            v for k, v in value.items() if k in ("display", "valueString", "text") and isinstance(v, str) and len(v) > 4
        }
        return own | {word for one in value.values() for word in _words(one)}
    if isinstance(value, list):
        return {word for one in value for word in _words(one)}
    return set()
