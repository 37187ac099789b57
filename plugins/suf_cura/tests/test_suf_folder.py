"""Files known by their content, and what becomes of those that are none: nothing of one file spoils another."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from tovholder_suf_cura import SufAdapter, SufSettings
from tovholder_suf_cura.folder import _MOST_BAD

import hub

CPR = "urn:oid:1.2.208.176.1.2"
GOOD = "0101159994"
Resource = dict[str, Any]


def patient(name: str = "child", cpr: str = GOOD, **more: Any) -> Resource:
    return {"resourceType": "Patient", "id": name, "identifier": [{"system": CPR, "value": cpr}]} | more


def plan(patient: str = "child", status: str = "active", **more: Any) -> Resource:
    own = {"resourceType": "CarePlan", "id": f"plan-{patient}", "status": status}
    return own | {"subject": {"reference": f"Patient/{patient}"}} | more


def report(name: str = "child", cpr: str = GOOD, *more: Resource, **outer: Any) -> Resource:
    resources = [patient(name, cpr), plan(name), *more]
    common = {"resourceType": "Bundle", "type": "collection", "timestamp": "2026-03-10T12:00:00Z"}
    return common | {"entry": [{"resource": one} for one in resources]} | outer


def adapter(folder: Path) -> SufAdapter:
    return SufAdapter(SufSettings(folder=folder, kinds={"care": {"name": "Pleje"}}))


def told(folder: Path) -> tuple[list[str], list[hub.Unreadable], bool]:
    """Ids of those present, what could not be read, and whether the read was complete."""
    pages = list(adapter(folder).presence(None))
    records = [record for page in pages for record in page.records]
    present = [record.source_id for record in records if isinstance(record, hub.Presence)]
    return present, [record for record in records if isinstance(record, hub.Unreadable)], pages[-1].complete


def lines(resources: Iterable[Resource]) -> bytes:
    return "".join(json.dumps(one) + "\n" for one in resources).encode()


WHOLE = json.dumps(report()).encode()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b" \n\xef\xbb\xbf", "neither a FHIR resource"),
        (b"<!DOCTYPE html><title>Log ind</title>", "a web page (HTML)"),
        (b"\n <HTML>", "a web page (HTML)"),
        (b'<?xml version="1.0"?><Bundle/>', "XML, no FHIR JSON"),
        (gzip.compress(WHOLE)[:-20], "gzip that is cut short"),
        (gzip.compress(WHOLE)[:30] + b"damage" * 20, "damaged gzip"),
        (gzip.compress(b'{"text":"' + b" " * 10_000_000), "zip bomb"),
        (b"PK\x03\x04...", "the file is packed"),
        (b"%PDF-1.7", "neither a FHIR resource"),
        (b"\x00" * 1000, "neither a FHIR resource"),
        (b"\xff\xfe\x00\x01\x02", "neither a FHIR resource"),
        ("Sagsnummer;CPR\n1;0101159994\n".encode("cp1252"), "neither a FHIR resource"),
        (b"[" + WHOLE + b"]", "neither a FHIR resource"),
        (b'"text"', "neither a FHIR resource"),
        (b"{}", "no FHIR resource: resourceType is missing"),
        (b'{"resourceType": 7}', "no FHIR resource: resourceType is missing"),
        (b'{"resourceType": "OperationOutcome"}', "an error of the source"),
        (WHOLE[:-30], "the JSON is cut short at line 1"),
        (WHOLE[: len(WHOLE) // 2], "at line 1"),
        (WHOLE + b"\x00\x00", "no well-formed JSON at line 1"),
        (WHOLE + b"garbage", "no well-formed JSON at line 1"),
        (b"{" + b"\n" * 9 + b'"resourceType" "Bundle"}', "no well-formed JSON at line 10"),
        (b'{"resourceType":"Bundle","entry":[{"resource":' * 10_000, "at line 1"),
        (b'{"resourceType":"Bundle","entry":{}}', "exactly one citizen"),
        (b'{"resourceType":"Bundle","entry":[{}]}', "an entry holds no resource"),
        (b'{"resourceType":"Bundle","entry":[7]}', "an entry holds no resource"),
        (b'{"resourceType":"Bundle","type":[],"entry":[7]}', "an entry holds no resource"),
    ],
)  # fmt: skip
def test_file_that_cannot_be_read_is_told_and_the_others_are_read(content: bytes, reason: str, tmp_path: Path) -> None:
    """It may have held anything, so nothing is taken for gone."""
    (tmp_path / "b.json").write_bytes(content)
    (tmp_path / "c.json").write_bytes(json.dumps(report("other", "0202159995")).encode())
    (tmp_path / "a.txt").write_bytes(WHOLE)
    present, bad, complete = told(tmp_path)
    assert {"child", "other"} <= set(present)
    assert [one.position.partition(",")[0] for one in bad] == ["b.json"]
    assert reason in bad[0].reason
    assert not complete
    assert bad[0].raw == b"" or bad[0].raw.startswith(b'{"resourceType": "Bundle"')


@pytest.mark.parametrize("name", ["all.ndjson.gz", "all.gz", "all.json"])
def test_packed_file_is_unpacked_as_it_is_read(name: str, tmp_path: Path) -> None:
    resources = [report(f"p{n}", f"0{n}01159990") for n in range(1, 6)]
    (tmp_path / name).write_bytes(gzip.compress(lines(resources)))
    assert told(tmp_path) == (["p1", "p2", "p3", "p4", "p5"], [], True)


def test_what_stands_before_the_damage_is_kept(tmp_path: Path) -> None:
    outer = {"resourceType": "Bundle", "entry": [{"resource": report(f"p{n}", f"0{n}01159990")} for n in range(1, 6)]}
    content = json.dumps(outer).encode()
    (tmp_path / "delivery.json").write_bytes(content[: int(len(content) * 0.7)])
    present, (bad,), complete = told(tmp_path)
    assert present == ["p1", "p2", "p3"]
    assert bad.reason.startswith("the JSON is cut short")
    assert not complete


@pytest.mark.parametrize("name", ["all.ndjson", "all.json", "all", "all.jsonl"])
def test_bad_line_stands_alone(name: str, tmp_path: Path) -> None:
    found = lines(report(f"p{n}", f"0{n}01159990") for n in range(1, 6)).split(b"\n")
    found[1] = found[1][:-40]  # cut short
    found[2] = b'{"resourceType": [[[['
    found.insert(4, b"")
    (tmp_path / name).write_bytes(b"\r\n".join(found))
    present, bad, complete = told(tmp_path)
    assert present == ["p1", "p4", "p5"]
    assert [one.position for one in bad] == [f"{name}, line 2", f"{name}, line 3"]
    assert not complete


def test_first_line_may_be_the_bad_one(tmp_path: Path) -> None:
    (tmp_path / "all.ndjson").write_bytes(b'{"resourceType": "Bun\n' + lines([report()]))
    present, (bad,), _ = told(tmp_path)
    assert (present, bad.position) == (["child"], "all.ndjson, line 1")


def test_two_resources_in_a_line_are_told(tmp_path: Path) -> None:
    (tmp_path / "all.ndjson").write_bytes(WHOLE + WHOLE + b"\n" + lines([report("other", "0202159995")]))
    present, (bad,), _ = told(tmp_path)
    assert (set(present), bad.reason) == ({"child", "other"}, "more than one resource in a line")


def test_a_million_bad_lines_are_told_in_few_words(tmp_path: Path) -> None:
    (tmp_path / "all.ndjson").write_bytes(b"{nothing}\n" * 3_000 + lines([report()]))
    present, bad, complete = told(tmp_path)
    assert (present, len(bad), complete) == (["child"], _MOST_BAD + 1, False)
    assert bad[0].position == "all.ndjson"
    for number in range(30):
        many = lines([plan("nobody", period={"start": "soon"})] * 100)
        (tmp_path / f"{number:02}.ndjson").write_bytes(many)
    present, bad, complete = told(tmp_path)
    assert (present, len(bad), complete) == (["child"], 1_001, False)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
@pytest.mark.parametrize("by_line", [False, True])
def test_text_is_read_in_every_encoding_a_danish_system_writes(encoding: str, by_line: bool, tmp_path: Path) -> None:
    nurse = {"resourceType": "Practitioner", "id": "n", "name": [{"text": "Søren Ågård Næss"}]}
    one = report("child", GOOD, nurse)
    one["entry"][1]["resource"]["author"] = {"reference": "Practitioner/n"}
    text = "".join(
        json.dumps(each, ensure_ascii=False) + "\n" for each in ([one, report("p2", "0202159995")])[: 1 + by_line]
    )
    mark = {"utf-16-le": "\ufeff", "utf-16-be": "\ufeff"}.get(encoding, "")
    (tmp_path / "1.json").write_bytes((mark + text).encode(encoding))
    (page,) = adapter(tmp_path).read(None, {GOOD})
    (found,) = page.records
    assert isinstance(found, hub.CaseRecord)
    assert found.adviser == hub.StaffRecord("n", "Søren Ågård Næss")
    assert page.complete


def test_bundles_in_bundles_and_their_time(tmp_path: Path) -> None:
    """A report without a time of its own has that of its delivery, wherever the delivery says it."""

    def delivery(*inside: Resource, **more: Any) -> Resource:
        return {"resourceType": "Bundle", "entry": [{"resource": one} for one in inside]} | more

    timeless = {key: value for key, value in report().items() if key != "timestamp"}
    at = {"timestamp": "2026-03-10T12:00:00Z"}
    (tmp_path / "1.json").write_text(json.dumps(delivery(timeless, **at)), encoding="utf-8")
    assert told(tmp_path)[0] == ["child"]
    (tmp_path / "1.json").write_text(json.dumps(at | delivery(delivery(timeless))), encoding="utf-8")
    assert told(tmp_path)[0] == ["child"]
    for outer in (delivery(timeless), delivery(timeless, type="searchset", **at)):
        (tmp_path / "1.json").write_text(json.dumps(outer), encoding="utf-8")
        present, (bad,), complete = told(tmp_path)
        assert (present, bad.source_id, complete) == ([], "child", True)
        assert "neither meta.lastUpdated nor a timestamp" in bad.reason
    deep = report()
    for _ in range(5):
        deep = delivery(deep)
    (tmp_path / "1.json").write_text(json.dumps(deep), encoding="utf-8")
    assert [one.reason for one in told(tmp_path)[1]] == ["bundles within bundles too deep"]


def test_unreadable_report_keeps_what_is_known_of_its_citizen(tmp_path: Path) -> None:
    """It says whose it is, so a complete read forgets nothing."""
    bad = report()
    bad["entry"][1]["resource"]["period"] = {"start": "soon"}
    (tmp_path / "1.json").write_text(json.dumps(bad), encoding="utf-8")
    present, (found,), complete = told(tmp_path)
    assert (present, found.source_id, complete) == ([], "child", True)
    twins = report("child", GOOD, patient("twin", "0101159995"), plan("twin"))
    (tmp_path / "2.json").write_text(json.dumps(twins), encoding="utf-8")
    _, bads, complete = told(tmp_path)
    assert (sorted(str(one.source_id) for one in bads), complete) == (["None", "child"], False)
    assert all(b"0101159995" not in one.raw for one in bads)


@pytest.mark.parametrize(
    "damage",
    [
        '{"resourceType":"Patient","id":"child","id":"other"',
        f'{{"resourceType":"Patient","id":"child","extension":[{{"url":"{CPR}","url":"{GOOD}"}}]',
        '{"resourceType":"Patient","id":"child","resourceType":"Patient"',
    ],
)
def test_patient_in_which_a_name_stands_twice_is_not_read(damage: str, tmp_path: Path) -> None:
    text = json.dumps(report()).replace('{"resourceType": "Patient", "id": "child"', damage)
    (tmp_path / "1.json").write_text(text, encoding="utf-8")
    present, (bad,), _ = told(tmp_path)
    assert (present, bad.reason) == ([], "a member stands twice in a Patient")


def test_name_that_stands_twice_elsewhere_is_no_matter(tmp_path: Path) -> None:
    condition = '{"resource": {"resourceType":"Condition","code":1,"code":2}}, '
    text = json.dumps(report()).replace('"entry": [', f'"entry": [{condition}')
    (tmp_path / "1.json").write_text(text, encoding="utf-8")
    assert told(tmp_path)[0] == ["child"]
    (tmp_path / "1.json").write_text(
        json.dumps(report()).replace('"id": "plan', '"status": "draft", "id": "plan'), "utf-8"
    )
    assert told(tmp_path)[0] == []


@pytest.mark.parametrize(
    "value", ["NaN", "-Infinity", "1e999999", "9" * 6_000, "[" * 10_000 + "]" * 10_000, '"\\u0000"', '"\\ud83d"']
)
def test_what_is_not_used_may_be_anything(value: str, tmp_path: Path) -> None:
    for where in ('"resourceType": "CarePlan"', '"resourceType": "Patient"', '"type": "collection"'):
        text = json.dumps(report()).replace(where, f'{where}, "strange": {value}')
        (tmp_path / "1.json").write_text(text, encoding="utf-8")
        present, bad, complete = told(tmp_path)
        assert (present, bad, complete) == (["child"], [], True)


def test_names_with_a_dot_in_front_are_not_looked_at(tmp_path: Path) -> None:
    (tmp_path / ".1.json.part").write_bytes(WHOLE[:50])
    (tmp_path / ".sync").mkdir()
    (tmp_path / ".sync" / "2.json").write_bytes(WHOLE)
    assert told(tmp_path) == ([], [], True)


def test_file_that_cannot_be_opened_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a link that leads in a circle and by one to nothing: also root cannot open those."""
    (tmp_path / "good.json").write_bytes(WHOLE)
    os.mkfifo(tmp_path / "pipe.json")  # would wait for ever
    (tmp_path / "gone.json").symlink_to(tmp_path / "nowhere")
    assert told(tmp_path)[0] == ["child"]


def test_position_holds_no_control_characters(tmp_path: Path) -> None:
    (tmp_path / "a\x1b[31m.json").write_bytes(b"")
    assert told(tmp_path)[1][0].position == "file 1"


def test_file_written_while_it_is_read_is_read_again(tmp_path: Path) -> None:
    (tmp_path / "1.json").write_bytes(WHOLE)
    for number in range(2, 5):
        (tmp_path / f"{number}.json").write_bytes(json.dumps(report(f"p{number}", f"0{number}01159990")).encode())
    source = adapter(tmp_path)
    (page,) = source.presence(None)
    assert page.complete
    assert list(source.presence(page.cursor)) == [hub.Page((), page.cursor)]
    (tmp_path / "3.json").unlink()
    (page,) = source.presence(page.cursor)
    assert [record.source_id for record in page.records] == ["child", "p2", "p4"]
    assert page.complete


def test_protected_citizens_address_is_nowhere(tmp_path: Path) -> None:
    """`meta.security` R: name and address are for those alone who need them, and the hub does not."""
    secret = {"meta": {"security": [{"code": "R"}]}, "name": [{"text": "Anna Hemmelig"}],
              "address": [{"text": "Skjulvej 1"}], "telecom": [{"value": "22223333"}],
              "contact": [{"address": {"text": "Skjulvej 1"}}]}  # fmt: skip
    contacts = {"resourceType": "Encounter", "id": "e", "status": "planned", "period": {"start": "2026-04-01"},
                "subject": {"reference": "Patient/child"},
                "location": [{"location": {"display": "Skjulvej 1"}}]}  # fmt: skip
    good, bad = report("child", GOOD, contacts), report("other", "x", contacts)
    for one in (good, bad):
        one["entry"][0]["resource"] |= secret
    bad["entry"][0]["resource"]["identifier"] = []
    loose = [patient("third") | secret | {"identifier": []}, plan("third")]
    (tmp_path / "1.ndjson").write_bytes(lines([good, bad, *loose]))
    (tmp_path / "2.json").write_bytes(json.dumps(good).encode()[:-40])
    pages = [*adapter(tmp_path).presence(None), *adapter(tmp_path).read(None, {GOOD})]
    assert {type(record).__name__ for page in pages for record in page.records} == {
        "Presence",
        "CaseRecord",
        "Unreadable",
    }
    said = repr(pages)
    for word in ("Hemmelig", "Skjulvej", "22223333"):
        assert word not in said


def test_partial_dates_in_files(tmp_path: Path) -> None:
    one = report()
    one["entry"][1]["resource"]["period"] = {"start": "2025-11"}
    (tmp_path / "1.json").write_text(json.dumps(one), encoding="utf-8")
    (page,) = adapter(tmp_path).read(None, {GOOD})
    assert [record.opened for record in page.records if isinstance(record, hub.CaseRecord)] == [date(2025, 11, 1)]
