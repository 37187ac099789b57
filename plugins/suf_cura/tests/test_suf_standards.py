"""Every FHIR sample there is, each alone, with what must come of it worked out by hand; and some folders whole.

Who has a presence or a case: the reports of KL's Gateway (FSIII), rehabilitation and children's guides. A resource that
stands alone makes nothing: a patient without a plan, request or contact has no course; a plan without its patient is of
nobody; all other kinds stop in the adapter. Reports of social services (FFB) are another source's.
"""

from __future__ import annotations

import json
import shutil
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from tovholder_suf_cura import SufAdapter, SufSettings

import hub

PETER, JENS, TEST, RUDDI = "0101570001", "0101410001", "0101010101", "1502779995"
RIKKE, LARS, KIRSTEN, KNUT = "0505209996", "0505159995", "2911829996", "1502829995"
PETER_NEW, PETER_OLD = "17911a9f-69ff-4041-8dd0-6fc96864d04b", "4a45e179-ace1-4ace-9991-8276c0ba490a"
JENS_NEW, JENS_OLD = "0533e773-c9e6-4cf5-b42d-f3ee07a9c624", "eec9e8e9-221d-4eae-a54d-cdd403661def"
RIKKE_ID, LARS_ID = "e60106e2-413e-46c5-8a3f-62d8e77ce794", "4ced31e7-f852-4bad-a320-fe2a02640434"
RUDDI_ID = "95ce3be6-dba6-48ab-b5d1-8a25929414dc"
OPEN, CLOSED = hub.State.OPEN, hub.State.CLOSED


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
        state=OPEN if closed is None else CLOSED,
        opened=None if opened is None else date.fromisoformat(opened),
        closed=None if closed is None else date.fromisoformat(closed),
        follow_up=None if follow_up is None else date.fromisoformat(follow_up),
        changed=at(changed),
    )


# Each report alone: the earliest plan's start, the planned contact's day. No sample names a member of staff.
REPORTS: dict[str, hub.CaseRecord | hub.Gone | None] = {
    # a planned follow-up on 6 April, no plan in the report (it is unchanged)
    "kl-gateway/1652f2a9-510a-4cd3-8fc4-8b69d0ffedae": course(
        PETER_OLD, PETER, "2021-02-18T09:11:29", None, "2021-04-06"
    ),
    # five active plans granted two days after the report was made
    "kl-gateway/3304e5f8-4b3f-4c19-8c68-e36c573f3f98": course(
        JENS_OLD, JENS, "2021-02-10T11:14:09", "2021-02-12", "2021-02-15"
    ),
    "kl-gateway/3c4919f9-aec9-485f-808a-3f9ff6c95786": course(
        PETER_NEW, PETER, "2021-02-14T15:23:12", "2021-02-10", "2021-02-15"
    ),
    # completed interventions beside the active plan are no plans
    "kl-gateway/4768772b-67f3-4468-9a2f-ee9a0254a323": course(
        PETER_NEW, PETER, "2021-02-10T13:34:56", "2021-02-10", "2021-02-12"
    ),
    # the plan is completed and nothing is planned
    "kl-gateway/616ce3ef-b7e8-46e1-aefc-ff5bde81b153": course(
        PETER_NEW, PETER, "2021-02-17T11:51:44", "2021-02-10", None, "2021-02-17"
    ),
    # two plans completed, four active
    "kl-gateway/643c3e42-ab90-4354-9b98-f01b4740d3d9": course(
        JENS_OLD, JENS, "2021-02-24T08:46:36", "2021-02-12", "2021-03-10"
    ),
    # one contact finished, one planned
    "kl-gateway/89071c96-e053-40d5-8873-105b7bad40f9": course(
        JENS_NEW, JENS, "2021-02-25T02:00:36", "2021-02-12", "2021-03-10"
    ),
    "kl-gateway/TestIncrementalDelivery": course("TestPerson", TEST, "2020-08-14T00:00:00", "2020-08-14", "2020-08-14"),
    "kl-gateway/TestPersonReport": course("TestPerson", TEST, "2020-08-14T00:00:00", "2020-08-14", "2020-08-14"),
    "kl-gateway/abc81b1f-b3ba-41f0-9f4b-2fc4df5aaabb": course(
        PETER_OLD, PETER, "2021-02-12T12:46:48", None, "2021-02-14"
    ),
    "kl-gateway/b1c5348b-fe9f-4afc-96ff-8c42b6c6c7ff": course(
        JENS_OLD, JENS, "2021-02-15T08:39:34", None, "2021-02-24"
    ),
    "kl-gateway/cc93afc5-7849-4895-84eb-00bb5c129c0b": course(
        PETER_OLD, PETER, "2021-02-17T11:51:44", "2021-02-10", None, "2021-02-17"
    ),
    # Ruddi's referral is active, and so are a plan of 28 May and the plans of 22 June; every contact has been
    "kl-gateway-rehab/4a391f69-a909-4a79-92bd-1b0f812dc52a": course(
        RUDDI_ID, RUDDI, "2022-06-21T19:25:12", "2022-05-28"
    ),
    "kl-gateway-rehab/9960b8dc-5ebf-4166-83d7-b042bcc6aca5": course(
        RUDDI_ID, RUDDI, "2022-06-21T19:25:12", "2022-06-22"
    ),
    # the examination is still said to be active, with an end in June 2022, and is the first plan
    "kl-gateway-rehab/RuddiIndberetningsrapport": course(
        "RuddiTestBerggren", RUDDI, "2020-08-14T00:00:00", "2022-05-23"
    ),
    "kl-gateway-rehab/TestIncrementalDelivery": course("RuddiTestBerggren", RUDDI, "2020-08-14T00:00:00", "2022-05-23"),
    # Lars has an active plan from 6 October
    "kl-children/4cda6c3c-856c-4fe3-ac90-9b6f968207c3": course(LARS_ID, LARS, "2021-10-09T23:25:12", "2021-10-06"),
    "kl-children/5f1d5816-a906-4314-a6f4-69b400682ec6": course(LARS_ID, LARS, "2021-10-06T23:25:12", "2021-10-06"),
    # Rikke was visited, and nothing is planned: no course. Her mother's answers (EPDS) and her parents' observations
    # are in two of these.
    "kl-children/84cf4f74-0cc7-47fe-8301-3bc8eb0ddd8f": hub.Gone(RIKKE_ID, at("2020-06-02T23:25:12")),
    "kl-children/RikkeDeliveryReport2months": hub.Gone("Rikke", at("2020-07-08T23:45:00")),
    "kl-children/TestIncrementalDelivery": hub.Gone("Rikke", at("2020-07-08T23:45:00")),
    "kl-children/a27ab0ea-4018-4516-900c-f1249a28dc37": hub.Gone(RIKKE_ID, at("2020-05-17T23:25:12")),
    "kl-children/c5b55e0e-3bc4-468a-8600-1b23617dbb58": hub.Gone(RIKKE_ID, at("2020-05-07T23:25:12")),
    # a plan of 7 July that ended on the 23rd
    "kl-children/d2e57785-7d0e-4b30-9e51-62c14185b9ed": course(
        RIKKE_ID, RIKKE, "2020-07-14T23:25:12", "2020-07-07", None, "2020-07-23"
    ),
    # before the birth there are her parents alone
    "kl-children/b9479825-6be1-4fa1-a2ae-74fe67014caa": None,
}
NOT_HERE = "a plan, contact or request names a patient that is not here: deliver the Patient with it"
FFB = "a report of social services (FFB): it belongs to the source of the social cases"


def adapter(folder: Path) -> SufAdapter:
    return SufAdapter(SufSettings(folder=folder, kinds={"care": {"name": "Pleje"}}))


def told(folder: Path) -> tuple[list[hub.Record], list[hub.Record]]:
    """Presences and cases of a folder."""
    presences = [record for page in adapter(folder).presence(None) for record in page.records]
    everybody = {PETER, JENS, TEST, RUDDI, RIKKE, LARS, KIRSTEN, KNUT}
    cases = [record for page in adapter(folder).read(None, everybody) for record in page.records]
    return presences, cases


def all_samples(standards: Path) -> list[Path]:
    return sorted(path for path in (standards / "fhir").rglob("*") if path.is_file())


def test_every_sample_is_here(standards: Path) -> None:
    assert len(all_samples(standards)) >= 371
    bundles = {f"{path.parent.name}/{path.stem.removeprefix('Bundle-')}" for path in all_samples(standards)
               if path.stem.startswith("Bundle-")}  # fmt: skip
    assert {name for name in bundles if not name.startswith("kl-ffb-reporting/")} == set(REPORTS)


@pytest.mark.parametrize("name", REPORTS)
def test_report_alone(name: str, standards: Path, tmp_path: Path) -> None:
    place, own = name.split("/")
    shutil.copyfile(standards / "fhir" / place / f"Bundle-{own}.json", tmp_path / "1.json")
    expected = REPORTS[name]
    presences, cases = told(tmp_path)
    assert cases == ([] if expected is None else [expected])
    match expected:
        case hub.CaseRecord(state=hub.State.OPEN):
            assert presences == [hub.Presence(expected.source_id, expected.cpr, OPEN, expected.changed)]
        case hub.CaseRecord():
            assert presences == [hub.Gone(expected.source_id, expected.changed)]
        case _:
            assert presences == cases


def test_report_as_a_line_and_in_a_bundle_of_bundles_is_the_same(standards: Path, tmp_path: Path) -> None:
    bundles = [json.loads((standards / "fhir" / f"{name.replace('/', '/Bundle-')}.json").read_text(encoding="utf-8"))
               for name in REPORTS]  # fmt: skip
    outer = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": one} for one in bundles]}
    ways = {
        "files": {f"{n}.json": json.dumps(one, indent=1) for n, one in enumerate(bundles)},
        "lines": {"all.ndjson": "".join(json.dumps(one) + "\n" for one in bundles)},
        "bundles": {"all": json.dumps(outer)},
        "in a delivery": {"all.txt": json.dumps({"resourceType": "Bundle", "entry": [{"resource": outer}]})},
    }
    found = {}
    for way, files in ways.items():
        folder = tmp_path / way
        folder.mkdir()
        for name, content in files.items():
            (folder / name).write_text(content, encoding="utf-8")
        presences, cases = told(folder)
        found[way] = sorted(map(repr, presences)), sorted(map(repr, cases))
    assert found["files"][1]
    assert all(one == found["files"] for one in found.values())


def test_single_resources_make_nothing_and_say_why(standards: Path, tmp_path: Path) -> None:
    """Each of the others alone in a folder: no presence, no case, and no word but where somebody must look."""
    said: dict[str, int] = {}
    for path in all_samples(standards):
        if path.stem.startswith("Bundle-") and path.parent.name != "kl-ffb-reporting":
            continue
        content = path.read_bytes()
        (tmp_path / "1.json").write_bytes(content)
        presences, cases = told(tmp_path)
        kind = json.loads(content)["resourceType"]
        expected = []
        if kind in ("CarePlan", "Encounter", "ServiceRequest"):
            expected = [hub.Unreadable("1.json", NOT_HERE)]
        elif kind == "Bundle":
            expected = [hub.Unreadable("1.json", FFB)]
        assert presences == cases == expected, path
        said[kind] = said.get(kind, 0) + 1
    assert said["Patient"] >= 59
    assert said["RelatedPerson"] >= 44
    assert said["Bundle"] == 3
    assert sum(said.values()) >= 346


def test_gateway_samples_together_are_five_courses(standards: Path, tmp_path: Path) -> None:
    """A report holds only what has changed: what Peter's last report says nothing of is known from those before."""
    for path in (standards / "fhir/kl-gateway").glob("Bundle-*.json"):
        shutil.copyfile(path, tmp_path / path.name)
    _, cases = told(tmp_path)
    assert cases == [
        REPORTS["kl-gateway/TestPersonReport"],
        REPORTS["kl-gateway/616ce3ef-b7e8-46e1-aefc-ff5bde81b153"],
        course(PETER_OLD, PETER, "2021-02-18T09:11:29", "2021-02-10", "2021-04-06"),
        REPORTS["kl-gateway/643c3e42-ab90-4354-9b98-f01b4740d3d9"],
        REPORTS["kl-gateway/89071c96-e053-40d5-8873-105b7bad40f9"],
    ]


# Each guide's folder whole, its single resources put together by their references.
WHOLE = {
    # Andreas and Mark have plans and no CPR number; Ejnar had a contact in 2021
    "KL-dk": ["Gone BorgerEjnar", "Unreadable Andreas no CPR number", "Unreadable Mark no CPR number"],
    "dk-core": [],  # persons without a plan
    "kl-children": [f"Gone {RIKKE_ID}", f"Presence {LARS_ID} {LARS} open", "Gone Lars", f"Presence Rikke {RIKKE} open"],
    "kl-ffb-reporting": [f"Unreadable None {FFB}"] * 3,
    "kl-gateway": [
        f"Gone {PETER_NEW}",
        f"Presence {PETER_OLD} {PETER} open",
        f"Presence {JENS_OLD} {JENS} open",
        f"Presence {JENS_NEW} {JENS} open",
        f"Presence TestPerson {TEST} open",
    ],
    "kl-gateway-rehab": [f"Presence {RUDDI_ID} {RUDDI} open", f"Presence RuddiTestBerggren {RUDDI} open"],
    "kl-term": [],
    "profiles": [],
}


def brief(record: hub.Record) -> str:
    match record:
        case hub.Presence():
            return f"Presence {record.source_id} {record.cpr} {record.state}"
        case hub.Unreadable():
            return f"Unreadable {record.source_id} {record.reason}"
        case _:
            return f"{type(record).__name__} {record.source_id}"


@pytest.mark.parametrize("guide", WHOLE)
def test_folder_of_a_guide_whole(guide: str, standards: Path, tmp_path: Path) -> None:
    assert {path.name for path in (standards / "fhir").iterdir()} == set(WHOLE)
    shutil.copytree(standards / "fhir" / guide, tmp_path / "cura")
    presences, _ = told(tmp_path / "cura")
    assert sorted(map(brief, presences)) == sorted(WHOLE[guide])


def test_nothing_of_a_parent_and_no_word_about_health_passes(standards: Path, tmp_path: Path) -> None:
    """Every text and code in all samples, and every parent in the children's guide, against all the adapter says."""
    words = set()
    for number, path in enumerate(all_samples(standards)):
        shutil.copyfile(path, tmp_path / f"{number}.json")
        words |= _words(json.loads(path.read_text(encoding="utf-8")))
    assert len(words) > 300
    presences, cases = told(tmp_path)
    said = repr((presences, cases)).replace("RuddiTestBerggren", "")  # the source's own id, a name in the samples
    assert any(isinstance(record, hub.Unreadable) and record.raw for record in presences)
    parents = {KIRSTEN, KNUT, "Kirsten", "fa03ee6c-e38a-44cf-8ef4-79f8ea91b3b8", "e2cbbca1-ac3d-4bb1-b43b-c0d62b48b33a"}
    assert not {word for word in words | parents if word in said}


def _words(value: object) -> set[str]:
    """Texts, displays, and what an address or a name is made of; not a member of staff's name."""
    if isinstance(value, dict):
        if value.get("resourceType") in ("Practitioner", "StructureDefinition", "ValueSet", "CodeSystem"):
            return set()
        own = {
            one
            for name in ("display", "valueString", "text", "line", "city", "family", "description")
            for one in (value.get(name) if isinstance(value.get(name), list) else [value.get(name)])
            if isinstance(one, str) and len(one) > 4
        }
        return own | {word for one in value.values() for word in _words(one)}
    if isinstance(value, list):
        return {word for one in value for word in _words(one)}
    return set()
