"""Where exports come from: a folder or the service, what is asked of it, and what happens when it does not answer."""

from __future__ import annotations

import gzip
import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import PlainTextResponse
from tovholder_buf_case import BufAdapter, BufSettings
from tovholder_buf_case.wire import PATH, client_for

import hub
from hub.clock import SetClock
from hub.demo.model import Town
from hub.demo.servers import buf

pytestmark = pytest.mark.slow

Make = Callable[..., BufAdapter]
Serve = Callable[[Any], Any]


def flat(pages: Iterator[hub.Page]) -> list[hub.Record]:
    return [record for page in pages for record in page.records]


def test_of_two_exports_of_one_institution_the_newest_counts(from_folder: Make, examples: Path, tmp_path: Path) -> None:
    text = (examples / "101001.xml").read_text(encoding="utf-8")
    (tmp_path / "a.xml").write_text(text, encoding="utf-8")
    older = text.replace("2026-09-02T04:10:00.000+02:00", "2026-09-02T02:09:00Z").replace("0104149990", "0104149992")
    (tmp_path / "b.xml").write_text(older, encoding="utf-8")
    found = flat(from_folder(tmp_path, kinds=["101001"]).presence(None))
    assert [record.cpr for record in found if isinstance(record, hub.Presence)] == ["0104149990", "6705159992"]


def read_all(adapter: BufAdapter) -> tuple[list[str], dict[str, str], bool]:
    """The numbers present, what could not be read and why, and whether the read was complete."""
    pages = list(adapter.presence(None))
    records = flat(iter(pages))
    numbers = [record.cpr for record in records if isinstance(record, hub.Presence)]
    told = {record.position: record.reason for record in records if isinstance(record, hub.Unreadable)}
    return numbers, told, pages[-1].complete


def test_a_listed_institution_that_is_missing_is_told_and_closes_nothing(from_folder: Make, examples: Path) -> None:
    numbers, told, complete = read_all(from_folder(examples, kinds=["101001", "101009"]))
    assert numbers == ["0104149990", "6705159992"]
    assert "no export of it" in told["institution 101009"]
    assert not complete
    health = from_folder(examples, kinds=["101001", "101009"]).health()
    assert not health.ok
    assert "institution 101009" in health.detail


def test_while_something_is_missing_every_read_is_full(from_folder: Make, examples: Path, tmp_path: Path) -> None:
    """So that the missing one is looked for each time, and what has left is gone as soon as it is back."""
    shutil.copy(examples / "101001.xml", tmp_path)
    adapter = from_folder(tmp_path, kinds=["101001", "group:Special*", "201001"])
    first = list(adapter.presence(None))
    assert flat(adapter.presence(first[-1].cursor)) == flat(iter(first))
    shutil.copy(examples / "201001.xml", tmp_path)
    again = first
    for _once_more in range(2):  # the hub may count what it saw before as seen in the first of them
        again = list(adapter.presence(again[-1].cursor))
        assert again[-1].complete
        assert len(flat(iter(again))) == len(flat(adapter.presence(None)))
    assert [page.records for page in adapter.presence(again[-1].cursor)] == [()]


def test_a_read_that_missed_something_is_not_complete_when_it_goes_on(
    from_folder: Make, examples: Path, tmp_path: Path
) -> None:
    """The institution may be back by then, and lie before the place where the read goes on."""
    shutil.copy(examples / "201001.xml", tmp_path)
    adapter = from_folder(tmp_path, page_size=1, kinds=["101001", "group:Special*"])
    cursor = next(adapter.presence(None)).cursor
    shutil.copy(examples / "101001.xml", tmp_path)
    assert not list(adapter.presence(cursor))[-1].complete


def test_a_file_cut_short_is_told_and_the_others_are_read(from_folder: Make, examples: Path, tmp_path: Path) -> None:
    shutil.copytree(examples, tmp_path, dirs_exist_ok=True)
    whole = (examples / "101001.xml").read_bytes()
    (tmp_path / "101001.xml").write_bytes(whole[: len(whole) // 2])
    numbers, told, complete = read_all(from_folder(tmp_path, kinds=["101001", "group:Special*"]))
    assert numbers == ["0909159991"]
    assert told["institution 101001"].startswith("file 101001.xml: not well-formed XML at line")
    assert not complete


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("noter.xml", b"<note/>", "neither a wsieksport v7 export nor a case list"),
        ("side.xml", b"<html><body>Log ind</body></html>", "neither"),
        (
            "side.html",
            b"<!DOCTYPE html><html lang=da><title>Log ind</title><p>Din session er slut.",
            "copy or export it again",
        ),
        ("gammel.xml", b'<UNILoginExport xmlns="https://wsieksport.unilogin.dk/eksport/full"/>', "version 7"),
        ("tom.xml", b"", "empty"),
        ("tom.csv", b" \r\n\r\n", "empty"),
        ("nul", b"\0" * 5000, "empty"),
        ("pakket.xml.gz", gzip.compress(b"<note/>", mtime=0), "unpack"),
        ("liste.xlsx", b"PK\x03\x04....", "save it as CSV"),
        ("brev.pdf", b"%PDF-1.7", "PDF"),
        ("liste.txt", "Kære alle\r\nHer er listen\r\n".encode("cp1252"), "it is no case list"),
        ("tilfældig", bytes(range(256)) * 20, "no case list"),
    ],
)
def test_a_file_that_is_neither_is_told_and_stops_nothing(
    name: str, content: bytes, reason: str, from_folder: Make, examples: Path, tmp_path: Path
) -> None:
    shutil.copytree(examples, tmp_path, dirs_exist_ok=True)
    (tmp_path / name).write_bytes(content)
    numbers, told, complete = read_all(from_folder(tmp_path, kinds=["101001"]))
    assert numbers == ["0104149990", "6705159992"]
    assert reason in told[f"file {name}"]
    assert not complete  # it may be what was left of an export


def test_files_are_known_by_what_is_in_them(from_folder: Make, examples: Path, lists: Path, tmp_path: Path) -> None:
    (tmp_path / "A-skolen").mkdir()
    shutil.copy(examples / "101001.xml", tmp_path / "A-skolen" / "eksport_fuld-myndighed.bak")
    shutil.copy(lists / "cases.csv", tmp_path / "liste.xml")
    (tmp_path / ".DS_Store").write_bytes(b"\0\1")
    (tmp_path / "~$liste.xlsx").write_bytes(b"x")
    adapter = from_folder(tmp_path, kinds=["101001", "case:Specialundervisning*"])
    numbers, _told, complete = read_all(adapter)
    assert numbers[:2] == ["0104149990", "6705159992"]
    assert len(numbers) > 2
    assert complete
    assert adapter.health() == hub.Health(True, "1 institutions, case list")


def test_a_number_in_a_files_name_is_not_shown(from_folder: Make, tmp_path: Path) -> None:
    (tmp_path / "elev 010414-9990.xml").write_bytes(b"<note/>")
    _numbers, told, _complete = read_all(from_folder(tmp_path, kinds=[]))
    assert list(told) == ["file elev ••••••••••.xml"]


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs a file that opens and cannot be read")
def test_a_file_that_cannot_be_read_is_told(from_folder: Make, examples: Path, tmp_path: Path) -> None:
    shutil.copytree(examples, tmp_path, dirs_exist_ok=True)
    (tmp_path / "202002.xml").symlink_to("/proc/self/mem")
    _numbers, told, complete = read_all(from_folder(tmp_path, kinds=["101001"]))
    assert "cannot be read (OSError)" in told["file 202002.xml"]
    assert not complete


def test_nothing_at_all_is_for_a_person(from_folder: Make, tmp_path: Path) -> None:
    with pytest.raises(hub.GaveUp, match="no institution at all"):
        list(from_folder(tmp_path, kinds=[]).presence(None))
    with pytest.raises(hub.GaveUp, match="does not exist"):
        list(from_folder(tmp_path / "none", kinds=[]).presence(None))


def test_only_reads_are_sent_and_nothing_else_can_be(adapter: BufAdapter, server: Any, cpr: dict[str, str]) -> None:
    flat(adapter.presence(None))
    flat(adapter.read(None, set(cpr.values())))
    assert adapter.health().ok
    assert {(request.method, request.path) for request in server.requests} == {("POST", PATH)} == set(adapter.reads)
    client = client_for(adapter.settings)
    assert client is not None
    for method, path in (("PUT", PATH), ("DELETE", PATH), ("POST", "/bpi/wsiimport/7"), ("POST", PATH + "/x")):
        with pytest.raises(hub.NotAllowed):
            client.send(method, path)
    client.close()
    assert len(server.requests) == 9  # twice the agreements and three exports, and once the agreements


def test_a_folder_sends_nothing(from_folder: Make, examples: Path) -> None:
    assert from_folder(examples).reads == frozenset()


def test_no_number_and_no_name_in_logs(
    adapter: BufAdapter, from_folder: Make, examples: Path, cpr: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    numbers = set(cpr.values()) | {"0104149990", "1212129999"}
    for one in (adapter, from_folder(examples, kinds=["101001"])):
        flat(one.presence(None))
        flat(one.read(None, numbers))
    assert PATH in caplog.text  # HTTP logs its requests
    for hidden in (*numbers, "Prøve", "Alma", "Else", "Cilla"):
        assert hidden not in caplog.text


@pytest.mark.parametrize(("status", "error"), [(503, hub.TryAgain), (429, hub.TryAgain), (400, hub.GaveUp)])
def test_a_source_that_does_not_answer_says_so(status: int, error: type[Exception], serve: Serve) -> None:
    down = serve(PlainTextResponse("0104149990", status))
    with http(down.url) as adapter:
        with pytest.raises(error) as caught:
            flat(adapter.presence(None))
        assert "0104149990" not in str(caught.value)
        health = adapter.health()
        assert not health.ok
        assert str(status) in health.detail


def test_an_answer_about_another_institution_is_refused(serve: Serve, town: Town, clock: SetClock) -> None:
    """A cache between, or a fault at the source: better no answer than one school's pupils under another."""
    real = buf.app(town, clock)

    async def mixed_up(scope: Any, receive: Any, send: Any) -> None:
        async def other() -> Any:
            message = await receive()
            return {**message, "body": message.get("body", b"").replace(b">101001<", b">101002<")}

        await real(scope, other, send)

    with http(serve(mixed_up).url) as adapter:
        numbers, told, complete = read_all(adapter)
    assert "no export of this institution" in told["institution 101001"]
    assert numbers == ["0306129993", "6707159994"]  # those of 101002, once
    assert not complete


def test_an_answer_cut_short_gives_what_came_before_and_is_tried_again(
    serve: Serve, town: Town, clock: SetClock
) -> None:
    real = buf.app(town, clock)

    async def cut(scope: Any, receive: Any, send: Any) -> None:
        asked = await receive()

        async def replay() -> Any:
            return asked

        async def shorter(message: Any) -> None:
            if b">101002<" in asked["body"] and message["type"] == "http.response.start":
                message = {**message, "headers": [(b"content-type", b"application/soap+xml")]}
            if b">101002<" in asked["body"] and message["type"] == "http.response.body":
                message = {**message, "body": message["body"][:900]}
            await send(message)

        await real(scope, replay, shorter)

    pages = []
    with http(serve(cut).url) as adapter, pytest.raises(hub.TryAgain, match="institution 101002"):
        pages.extend(adapter.presence(None))
    assert len(flat(iter(pages))) == 2
    assert not any(page.complete for page in pages)


@contextmanager
def http(url: str) -> Iterator[BufAdapter]:
    kinds = {"101001": hub.Kind(name="Specialskole"), "101002": hub.Kind(name="Specialskole")}
    adapter = BufAdapter(BufSettings.model_validate({"url": url, "kinds": kinds, "page_size": 2, "system_id": "T-1"}))
    yield adapter
    adapter.close()


def test_the_address_of_the_service_does_for_the_host(server: Any) -> None:
    with http(server.url + PATH) as adapter:
        assert adapter.health() == hub.Health(True, "3 institutions")
