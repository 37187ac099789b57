"""Courses of the town's Cura, over HTTP and from a folder."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2 as httpx
import pytest
from pydantic import ValidationError
from tovholder_suf_cura import SufAdapter, SufSettings

import hub
from hub.clock import SetClock

Make = Callable[..., SufAdapter]
ELDERLY = 20
OPEN = hub.State.OPEN


def records(pages: Iterable[hub.Page]) -> list[hub.Record]:
    return [record for page in pages for record in page.records]


@pytest.fixture(params=["over_http", "from_folder"])
def make(request: pytest.FixtureRequest) -> Make:
    """Both ways to read, one after the other."""
    made: Make = request.getfixturevalue(request.param)
    return made


def test_everybody_with_an_open_course_is_present(make: Make, who: SimpleNamespace) -> None:
    found = records(make().presence(None))
    assert all(isinstance(record, hub.Presence) and record.state is OPEN for record in found)
    numbers = {record.cpr: record.source_id for record in found if isinstance(record, hub.Presence)}
    assert len(numbers) == len(found) == ELDERLY + 3
    assert {child: numbers.get(child) for child in who.children} == who.ids | {who.dan: None}
    assert who.mum not in numbers  # she is in Anna's report


def test_cases_are_of_the_children_asked_for(make: Make, who: SimpleNamespace) -> None:
    found = records(make().read(None, {who.anna, who.dan}))
    nurse = hub.StaffRecord(who.nurse.uuid, "Nora Lund Sygeplejerske", "nora@example.dk", "12345678")
    assert found == [
        hub.CaseRecord(
            source_id=who.ids[who.anna],
            cpr=who.anna,
            kind="care",
            state=OPEN,
            opened=date(2025, 3, 2),
            follow_up=date(2026, 2, 2),
            adviser=nurse,
            changed=who.start - timedelta(days=90),
        )
    ]


def test_http_and_folder_give_the_same(over_http: Make, from_folder: Make, who: SimpleNamespace) -> None:
    def pages(make: Make, **settings: Any) -> list[tuple[tuple[hub.Record, ...], bool]]:
        both = [*make(**settings).presence(None), *make(**settings).read(None, who.children)]
        return [(page.records, page.complete) for page in both]

    assert pages(over_http, page_size=4) == pages(from_folder, page_size=4)


def test_every_page_can_be_resumed(make: Make, who: SimpleNamespace) -> None:
    few, one = make(page_size=6), make(page_size=1)
    for read in (few.presence, lambda since: one.read(since, who.children)):
        whole = list(read(None))
        assert [page.complete for page in whole] == [False] * (len(whole) - 1) + [True]
        assert len(whole) > 2
        for place, page in enumerate(whole[:-1], start=1):
            assert list(read(page.cursor)) == whole[place:]


def test_what_has_not_changed_is_not_told_again(make: Make) -> None:
    done = list(make().presence(None))[-1].cursor
    (page,) = make().presence(done)
    assert page == hub.Page((), done)


def test_changes_are_told_as_they_come(
    over_http: Make,
    from_folder: Make,
    dump: Callable[[Path], None],
    folder: Path,
    clock: SetClock,
    who: SimpleNamespace,
) -> None:
    cursors = {make: list(make().presence(None))[-1].cursor for make in (over_http, from_folder)}
    cases = {make: list(make().read(None, who.children))[-1].cursor for make in (over_http, from_folder)}
    told, read = [], []
    for _ in range(3):
        clock.move(timedelta(days=3))
        dump(folder)
        pages = list(over_http().presence(cursors[over_http]))
        more = list(over_http().read(cases[over_http], who.children))
        assert not any(page.complete for page in pages + more)
        cursors[over_http], cases[over_http] = pages[-1].cursor, more[-1].cursor
        told += records(pages)
        read += records(more)
        # A folder in which a file has changed is told whole.
        assert list(from_folder().presence(cursors[from_folder])) == list(from_folder().presence(None))
        assert list(from_folder().read(cases[from_folder], who.children))[-1].complete
    at = [who.start + timedelta(days=days) for days in (3, 6, 9)]
    ids = who.ids
    assert told == [
        hub.Gone(ids[who.bo], at[0]),
        hub.Gone(ids[who.cille], at[1]),
        hub.Presence(ids[who.dan], who.dan, OPEN, at[2]),
    ]
    closed, gone, opened = read
    assert isinstance(closed, hub.CaseRecord)
    assert (closed.state, closed.closed) == (hub.State.CLOSED, date(2026, 1, 8))
    assert gone == hub.Gone(ids[who.cille], at[1])
    assert isinstance(opened, hub.CaseRecord)
    assert (opened.cpr, opened.state, opened.opened) == (who.dan, OPEN, date(2025, 3, 5))


def test_a_foreign_cursor_reads_all(make: Make) -> None:
    whole = list(make().presence(None))
    for since in ("", "nonsense", "all not-a-time 1 x", "done 2026-01-01 1 x", "done 2026-01-01T00:00:00+00:00 one x"):
        assert list(make().presence(since)) == whole


def test_others_at_the_same_moment_are_not_lost(tmp_path: Path) -> None:
    """A report that arrives late with a time already told of: all of that moment is told again. Files that come late
    with reports of long ago are read too."""

    def write(name: str, number: int, day: int = 1) -> None:
        one = report(f"0{number}01159990", f"p{number}") | {"timestamp": f"2026-01-0{day}T08:00:00Z"}
        (tmp_path / f"{name}.json").write_text(json.dumps(one), encoding="utf-8")

    def told(since: str | None) -> list[str]:
        return [record.source_id for record in records(adapter.presence(since)) if isinstance(record, hub.Presence)]

    adapter = SufAdapter(SufSettings(folder=tmp_path, kinds={"care": {"name": "Pleje"}}))
    write("b", 2, day=2)
    done = list(adapter.presence(None))[-1].cursor
    assert told(done) == []
    write("a", 1, day=2)
    assert told(done) == ["p1", "p2"]
    done = list(adapter.presence(None))[-1].cursor
    write("c", 3, day=1)
    assert told(done) == ["p3", "p1", "p2"]


def test_others_at_the_same_moment_are_not_lost_over_http(serve: Callable[[Any], str], over_http: Make) -> None:
    reports = [report("0201159990", "p2")]
    adapter = over_http(url=serve(answering(lambda: searchset(*reports))))
    done = list(adapter.presence(None))[-1].cursor
    assert records(adapter.presence(done)) == []
    reports.append(report("0101159990", "p1"))
    late = [record.source_id for record in records(adapter.presence(done)) if isinstance(record, hub.Presence)]
    assert late == ["p1", "p2"]


def test_without_its_kind_on_the_list_nothing_passes(make: Make, who: SimpleNamespace) -> None:
    assert list(make(kinds={}).presence(None)) == [hub.Page((), None, complete=True, ignored=ELDERLY + 3)]
    assert records(make(kinds={}).read(None, who.children)) == []


def test_no_health_content_passes(make: Make, who: SimpleNamespace) -> None:
    told = repr([*make().presence(None), *make().read(None, who.children)])
    for word in ("Opdigtet", "Condition", "indsats", "Hemmelig"):
        assert word not in told


def test_no_number_in_an_address_a_cursor_or_a_log_line(
    over_http: Make, who: SimpleNamespace, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        pages = [*over_http(page_size=9).presence(None), *over_http(page_size=1).read(None, who.children)]
    assert "_count" in caplog.text, "no address was logged, so this shows nothing"
    for number in who.children:
        assert number not in caplog.text
        assert not any(number in (page.cursor or "") or who.ids[number] in (page.cursor or "") for page in pages)


def test_it_can_send_nothing_but_the_search(over_http: Make, url: str) -> None:
    adapter = over_http()
    assert adapter.reads == {("GET", "/Bundle"), ("GET", "/metadata")}
    client = adapter._client
    assert client is not None
    for method, path in [
        ("POST", "Bundle"),
        ("GET", "Patient"),
        ("PUT", "Bundle/1"),
        ("GET", "http://127.0.0.2/Bundle"),
    ]:
        with pytest.raises(hub.NotAllowed):
            client.send(method, path)
    assert httpx.post(url + "/Bundle", json={}).status_code == 405  # nor would the town's Cura take it


def answering(*bodies: bytes | Callable[[], bytes], status: int = 200) -> Any:
    """A server that gives one body after the other, the last for ever. `BASE` in a body is its own address."""
    left = list(bodies)

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await receive()
        body = left.pop(0) if len(left) > 1 else left[0]
        body = body if isinstance(body, bytes) else body()
        host = dict(scope["headers"])[b"host"]
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": body.replace(b"BASE", b"http://" + host)})

    return app


def searchset(*reports: dict[str, Any], following: str | None = None) -> bytes:
    link = [{"relation": "next", "url": following}] if following else []
    entry = [{"resource": one} for one in reports]
    return json.dumps({"resourceType": "Bundle", "type": "searchset", "link": link, "entry": entry}).encode()


def report(cpr: str = "0101159994", patient: str = "p1", **more: Any) -> dict[str, Any]:
    resources = [
        {"resourceType": "Patient", "id": patient, "identifier": [{"system": "urn:oid:1.2.208.176.1.2", "value": cpr}]},
        {
            "resourceType": "CarePlan",
            "id": f"plan-{patient}",
            "status": "active",
            "subject": {"reference": f"Patient/{patient}"},
        },
    ]
    outer = {"resourceType": "Bundle", "id": f"r-{patient}", "type": "collection", "timestamp": "2026-01-01T08:00:00Z"}
    return outer | {"entry": [{"resource": resource} for resource in resources]} | more


@pytest.mark.parametrize(
    ("app", "error"),
    [
        (answering(b"", status=503), hub.TryAgain),  # down
        (answering(b"", status=429), hub.TryAgain),  # busy
        (answering(b"", status=403), hub.GaveUp),  # not let in
        (answering(b"<html/>"), hub.TryAgain),  # no JSON
        (answering(searchset(report())[:-20]), hub.TryAgain),  # cut short
        (answering(b'{"resourceType":"Bundle","type":"collection"}'), hub.TryAgain),  # no search answer
        (answering(searchset(report(), following="BASE/Bundle?x=1")), hub.TryAgain),  # in a circle
        (answering(searchset(following="http://127.0.0.2/Bundle?x=1")), hub.NotAllowed),  # to another host
    ],
)
def test_a_source_that_answers_wrongly_fails_the_read(
    app: Any, error: type[Exception], serve: Callable[[Any], str], over_http: Make
) -> None:
    adapter = over_http(url=serve(app))
    with pytest.raises(error):
        list(adapter.presence(None))


def test_bad_report_is_unreadable_alone(serve: Callable[[Any], str], over_http: Make) -> None:
    own = "5d1e2c7a-0000-4000-8000-000000000001"
    bad = report("0101159994", "p2") | {"timestamp": "yesterday", "id": own}
    nothing = {"resourceType": "OperationOutcome"}
    first = searchset(report("0202129993", "p1"), bad, nothing, following="BASE/Bundle?page=2")
    adapter = over_http(url=serve(answering(first, searchset(report("0303109992", "p3")))))
    found = records(adapter.presence(None))
    assert [record.source_id for record in found if isinstance(record, hub.Presence)] == ["p1", "p3"]
    (unreadable,) = [record for record in found if isinstance(record, hub.Unreadable)]
    assert (unreadable.position, unreadable.reason) == (f"report {own}", "a time of the report is no FHIR instant")
    assert b"0101159994" in unreadable.raw  # sealed by the hub: a person must find it
    assert b"CarePlan" in unreadable.raw


def test_somebody_elses_bad_report_is_not_read(tmp_path: Path) -> None:
    bad = report("0202129993", "p1") | {"timestamp": "yesterday"}
    (tmp_path / "1.json").write_text(json.dumps(bad), encoding="utf-8")
    adapter = SufAdapter(SufSettings(folder=tmp_path, kinds={"care": {"name": "Pleje"}}))
    assert records(adapter.read(None, {"0101159994"})) == []
    assert len(records(adapter.read(None, {"0202129993"}))) == 1


def test_a_number_in_a_name_or_an_id_is_not_told(tmp_path: Path) -> None:
    bad = report("0101159994", "p1") | {"timestamp": "yesterday", "id": "0101159994"}
    (tmp_path / "010115-9994.json").write_text(json.dumps(bad), encoding="utf-8")
    (tmp_path / "b.json").write_text(json.dumps(bad | {"id": "AnnaPrøve"}), encoding="utf-8")
    adapter = SufAdapter(SufSettings(folder=tmp_path, kinds={"care": {"name": "Pleje"}}))
    found = [record for record in records(adapter.presence(None)) if isinstance(record, hub.Unreadable)]
    assert [record.position for record in found] == ["b.json", "file 1"]


def test_health_says_whether_it_answers(make: Make, from_folder: Make, over_http: Make, tmp_path: Path) -> None:
    assert make().health().ok
    assert not from_folder(folder=tmp_path / "nowhere").health().ok
    assert not over_http(url="http://127.0.0.1:9").health().ok


def test_settings_that_mean_nothing_are_refused() -> None:
    with pytest.raises(ValidationError, match="has only care"):
        SufSettings(url="http://127.0.0.1:1", kinds={"dementia": {"name": "Demens"}})


def test_the_town_tells_of_a_course_by_what_it_was_at_the_time(url: str, clock: SetClock, who: SimpleNamespace) -> None:
    def reports() -> dict[str, list[dict[str, Any]]]:
        answer = httpx.get(url + "/Bundle?_count=1000").json()
        assert answer["total"] == len(answer["entry"])
        resources = [[e["resource"] for e in entry["resource"]["entry"]] for entry in answer["entry"]]
        return {found[0]["id"]: found for found in resources}

    before = reports()
    assert who.ids[who.dan] not in before
    assert sum(resource["resourceType"] == "Patient" for resource in before[who.ids[who.anna]]) == 2  # with her mother
    assert before[who.ids[who.cille]][0]["meta"]["security"][0]["code"] == "R"
    clock.move(timedelta(days=9))
    after = reports()
    assert who.ids[who.dan] in after
    assert not after[who.ids[who.cille]][0]["active"]
    assert not any("name" in found[0] or "address" in found[0] for found in after.values())


@pytest.mark.parametrize("query", ["_lastUpdated=ge", "_lastUpdated=2026", "_count=many", "_after=x"])
def test_the_town_refuses_a_search_it_does_not_understand(query: str, url: str) -> None:
    assert httpx.get(f"{url}/Bundle?{query}").status_code == 400


@pytest.mark.parametrize(("prefix", "found"), [("ge", 1), ("gt", 0), ("le", ELDERLY + 3), ("lt", ELDERLY + 2)])
def test_the_town_searches_by_time(prefix: str, found: int, url: str) -> None:
    times = [e["resource"]["meta"]["lastUpdated"] for e in httpx.get(url + "/Bundle?_count=1000").json()["entry"]]
    assert times == sorted(times)
    asked = httpx.get(url + "/Bundle", params={"_lastUpdated": prefix + times[-1]}).json()
    assert asked["total"] == found
