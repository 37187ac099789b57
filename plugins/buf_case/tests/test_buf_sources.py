"""Where exports come from: a folder or the service, what is asked of it, and what happens when it does not answer."""

from __future__ import annotations

import logging
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


def test_a_file_cut_short_is_tried_again_and_empties_nothing(from_folder: Make, examples: Path, tmp_path: Path) -> None:
    whole = (examples / "101001.xml").read_bytes()
    (tmp_path / "101001.xml").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(hub.TryAgain, match="institution 101001: not well-formed"):
        list(from_folder(tmp_path, kinds=["101001"]).presence(None))


def test_a_foreign_file_stops_the_read_with_its_name(from_folder: Make, examples: Path, tmp_path: Path) -> None:
    (tmp_path / "101001.xml").write_bytes((examples / "101001.xml").read_bytes())
    (tmp_path / "noter.xml").write_text("<note/>", encoding="utf-8")
    with pytest.raises(hub.GaveUp, match=r"noter\.xml: no wsieksport v7 export"):
        list(from_folder(tmp_path, kinds=["101001"]).presence(None))


def test_a_listed_institution_without_an_export_is_not_read_as_empty(
    from_folder: Make, examples: Path, tmp_path: Path
) -> None:
    with pytest.raises(hub.GaveUp, match="101009 is on the list of kinds"):
        list(from_folder(examples, kinds=["101001", "101009"]).presence(None))
    with pytest.raises(hub.GaveUp, match="no institution at all"):
        list(from_folder(tmp_path, kinds=[]).presence(None))
    with pytest.raises(hub.GaveUp, match="does not exist"):
        list(from_folder(tmp_path / "none", kinds=[]).presence(None))


def test_only_reads_are_sent_and_nothing_else_can_be(adapter: BufAdapter, server: Any, cpr: dict[str, str]) -> None:
    flat(adapter.presence(None))
    flat(adapter.read(None, set(cpr.values())))
    assert adapter.health().ok
    assert set(server.requests) == {("POST", PATH)} == set(adapter.reads)
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

    with http(serve(mixed_up).url) as adapter, pytest.raises(hub.GaveUp, match="institution 101001"):
        flat(adapter.presence(None))


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
