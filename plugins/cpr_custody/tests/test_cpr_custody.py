"""Who is a guardian by CPR, over HTTP and from a folder."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import ValidationError
from tovholder_cpr_custody import CprAdapter, CprSettings

import hub
from hub.clock import SetClock

Make = Callable[..., CprAdapter]
NS = "http://serviceplatformen.dk/xml/wsdl/soap11/CPR/PersonBaseDataExtended/4/"


def records(pages: Iterable[hub.Page]) -> list[hub.Record]:
    return [record for page in pages for record in page.records]


def guardians(pages: Iterable[hub.Page]) -> dict[tuple[str, str], hub.GuardianRecord]:
    found = records(pages)
    assert all(isinstance(record, hub.GuardianRecord | hub.PersonRecord) for record in found), found
    return {(r.child_cpr, r.guardian_cpr): r for r in found if isinstance(r, hub.GuardianRecord)}


def persons(pages: Iterable[hub.Page]) -> dict[str, hub.PersonRecord]:
    return {record.cpr: record for record in records(pages) if isinstance(record, hub.PersonRecord)}


@pytest.fixture(params=["over_http", "from_folder"])
def make(request: pytest.FixtureRequest) -> Make:
    """Both ways to read, one after the other."""
    made: Make = request.getfixturevalue(request.param)
    return made


def test_only_holders_of_custody_are_guardians(make: Make, who: SimpleNamespace) -> None:
    found = guardians(make().read(None, who.children))
    assert set(found) == {
        (who.anna, who.mum),
        (who.anna, who.dad),
        (who.bo, who.lone),
        (who.bo, who.ole),
        (who.cille, who.aunt),  # not the mother, who is no holder
        (who.dan, who.mum),  # the father's begins next week
    }


def test_ended_custody_has_its_end(make: Make, who: SimpleNamespace) -> None:
    found = guardians(make().read(None, {who.bo}))
    assert found[who.bo, who.ole].until == date(2025, 6, 1)
    assert found[who.bo, who.lone].until is None
    assert found[who.bo, who.lone].since == date(2012, 2, 2)


def test_protection_and_digital_post_are_each_persons_own(make: Make, who: SimpleNamespace) -> None:
    pages = list(make().read(None, who.children))
    found, children = guardians(pages), persons(pages)
    aunt, dad, lone = found[who.cille, who.aunt], found[who.anna, who.dad], found[who.bo, who.lone]
    assert (aunt.protected, children[who.cille].protected, aunt.digital_post) == (True, True, True)
    assert (dad.protected, children[who.anna].protected, dad.digital_post) == (False, False, False)
    assert (children[who.bo].name, lone.guardian_name) == ("Bo Øst & Vest", "Lone Øst & Vest")
    assert found[who.bo, who.ole].guardian_name == "Ole <Vest>"


def test_nobody_else_is_told_of(make: Make, who: SimpleNamespace) -> None:
    assert {child for child, _ in guardians(make().read(None, {who.cille}))} == {who.cille}
    assert records(make().read(None, frozenset())) == []


def test_a_source_of_custody_has_no_presences(make: Make) -> None:
    assert list(make().presence(None)) == [hub.Page((), None, complete=True)]


def test_unknown_child_is_unreadable_alone(make: Make, who: SimpleNamespace) -> None:
    found = records(make().read(None, {who.anna, who.nobody}))
    bad = [record for record in found if isinstance(record, hub.Unreadable)]
    assert len(found) == 4
    assert [record.reason for record in bad] == ["CPR does not know this number"]
    assert who.nobody not in bad[0].position
    assert bad[0].cpr == who.nobody
    assert bad[0].raw == who.nobody.encode()  # sealed by the hub: else nobody could find out who it is


def test_http_and_folder_give_the_same(over_http: Make, from_folder: Make, who: SimpleNamespace) -> None:
    asked = who.children | {who.nobody}
    assert list(over_http(page_size=2).read(None, asked)) == list(from_folder(page_size=2).read(None, asked))


def test_every_page_can_be_resumed(make: Make, who: SimpleNamespace) -> None:
    whole = list(make(page_size=1).read(None, who.children))
    assert [page.complete for page in whole] == [False, False, False, True]
    for place, page in enumerate(whole[:-1], start=1):
        assert list(make(page_size=1).read(page.cursor, who.children)) == whole[place:]
    assert whole[-1].cursor is None  # CPR has no list of changes: the next read asks for all


def test_cursor_says_nothing_about_a_person(make: Make, who: SimpleNamespace) -> None:
    cursors = [page.cursor or "" for page in make(page_size=1).read(None, who.children)]
    assert not any(number[:6] in cursor for cursor in cursors for number in who.children)


def test_cursor_for_other_children_begins_from_the_start(make: Make, who: SimpleNamespace) -> None:
    cursor = next(iter(make(page_size=1).read(None, who.children))).cursor
    fewer = who.children - {who.bo}
    assert list(make(page_size=1).read(cursor, fewer)) == list(make(page_size=1).read(None, fewer))
    assert list(make(page_size=1).read("nonsense", fewer)) == list(make(page_size=1).read(None, fewer))


def test_custody_ends_on_its_day(over_http: Make, clock: SetClock, who: SimpleNamespace) -> None:
    assert (who.dan, who.dad) not in guardians(over_http().read(None, {who.dan}))
    clock.move(timedelta(days=7))
    assert (who.dan, who.dad) in guardians(over_http().read(None, {who.dan}))


def test_no_number_in_an_address_or_a_log_line(
    over_http: Make, who: SimpleNamespace, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        list(over_http().read(None, who.children | {who.nobody}))
    assert caplog.records, "nothing was logged, so this shows nothing"
    for number in (*who.children, who.mum, who.nobody):
        assert number not in caplog.text


def test_it_can_send_nothing_but_the_lookup(over_http: Make) -> None:
    adapter = over_http()
    assert adapter.reads == {("POST", "/service/CPR/PersonBaseDataExtended/4")}
    client = adapter._client
    assert client is not None
    for method, path in [("POST", "/service/CPR/Update/1"), ("PUT", "/service/CPR/PersonBaseDataExtended/4")]:
        with pytest.raises(hub.NotAllowed):
            client.send(method, path)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (503, b""),  # down
        (500, b"<html>oops</html>"),  # not SOAP
        (200, b"<a><b></a>"),  # not well formed
        (200, b"<a/>"),  # no answer in it
        (  # a fault that says nothing about the person
            500,
            b'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault>'
            b"<faultcode>s:Server</faultcode><faultstring>Token expired</faultstring></s:Fault></s:Body></s:Envelope>",
        ),
    ],
)
def test_one_failing_lookup_fails_the_read(
    status: int, body: bytes, serve: Callable[[Any], str], over_http: Make, who: SimpleNamespace
) -> None:
    async def broken(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": body})

    adapter = over_http(url=serve(broken))
    with pytest.raises(hub.TryAgain) as raised:
        list(adapter.read(None, who.children))
    assert not any(number in str(raised.value) for number in who.children)
    assert not adapter.health().ok


def test_health_says_whether_it_answers(make: Make, from_folder: Make, tmp_path: Path) -> None:
    assert make().health().ok
    assert not from_folder(folder=tmp_path / "nowhere").health().ok


def test_missing_folder_is_for_a_person(from_folder: Make, tmp_path: Path) -> None:
    with pytest.raises(hub.GaveUp):
        list(from_folder(folder=tmp_path / "nowhere").read(None, {"0101159994"}))


@pytest.mark.parametrize("content", [None, b"", b"<html><body>Log ind</body></html>", b"\x00\x01", b"<answers/>"])
def test_a_file_that_cannot_be_read_stops_no_other(
    content: bytes | None, from_folder: Make, folder: Path, who: SimpleNamespace
) -> None:
    """But the read is not the whole truth any more, so that nobody's custody ends by it."""
    first = sorted(folder.iterdir())[0]
    first.write_bytes(first.read_bytes()[:-40] if content is None else content)
    pages = list(from_folder().read(None, who.children))
    assert not any(page.complete for page in pages)
    files = [r for r in records(pages) if isinstance(r, hub.Unreadable) and r.cpr is None]
    assert [bad.position for bad in files] == [first.name]
    (told,) = persons(from_folder().read(None, {who.cille})).values()
    assert told.name == "Cille Ågård"
    lost = [r for r in records(pages) if isinstance(r, hub.Unreadable) and r.cpr is not None]
    assert {bad.reason for bad in lost} <= {
        "there is no readable answer about this number in the folder",
        "a holder: there is no readable answer about this number in the folder",
    }


@pytest.mark.parametrize("wrong", [{"administration": "SOF"}, {"kinds": {"care": {"name": "Pleje"}}}, {"parallel": 0}])
def test_settings_that_mean_nothing_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        CprSettings(url="http://127.0.0.1:1", **wrong)
