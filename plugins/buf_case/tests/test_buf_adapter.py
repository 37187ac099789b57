"""Pages and cursors: what a hub that follows the contract ends up with, over HTTP and from a folder."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.responses import PlainTextResponse
from tovholder_buf_case import BufAdapter, BufSettings, register_adapters, settings_model
from tovholder_buf_case.wire import PATH, READS, VARIANTS, client_for

import hub
from hub.clock import SetClock
from hub.demo.model import Town
from hub.demo.servers import buf

Make = Callable[..., BufAdapter]
Serve = Callable[[Any], Any]


@dataclass
class Hub:
    """What the contract makes a hub keep: rows with the run that last showed them, and the cursor."""

    rows: dict[str, tuple[hub.Record, int]] = field(default_factory=dict)
    cursor: str | None = None
    run: int = 0
    under_way: bool = False
    quarantined: int = 0

    def follow(self, pages: Callable[[str | None], Iterator[hub.Page]], stop_after: int | None = None) -> int:
        """Take pages; cut off after `stop_after` of them. Returns how many records came."""
        if not self.under_way:
            self.run += 1
        self.under_way, came = True, 0
        for number, page in enumerate(pages(self.cursor), start=1):
            for record in page.records:
                came += 1
                if isinstance(record, hub.Unreadable):
                    self.quarantined += 1
                elif isinstance(record, hub.Presence | hub.CaseRecord):
                    self.rows[record.source_id] = (record, self.run)
            if page.complete:
                self.rows = {key: row for key, row in self.rows.items() if row[1] == self.run}
                self.under_way = False  # in the transaction of the page: a later read is another run
            self.cursor = page.cursor
            if number == stop_after:
                return came
        self.under_way = False
        return came

    def numbers(self) -> list[str]:
        return sorted(record.cpr for record, _run in self.rows.values() if not isinstance(record, hub.Gone))


def flat(pages: Iterator[hub.Page]) -> list[hub.Record]:
    return [record for page in pages for record in page.records]


def test_the_towns_enrolments_come_as_they_are(adapter: BufAdapter, town: Town, cpr: dict[str, str]) -> None:
    names = ("Alma", "Bo", "Carl", "Dina")
    found = flat(adapter.presence(None))
    assert sorted(record.cpr for record in found if isinstance(record, hub.Presence)) == sorted(cpr[n] for n in names)
    read = flat(adapter.read(None, set(cpr.values())))
    by_child = {record.cpr: record for record in read if isinstance(record, hub.CaseRecord)}
    assert len(by_child) == len(read) == 4
    for case in town.cases["BUF"][:4]:
        record, version = by_child[case.child], case.versions[0]
        assert (record.kind, record.opened, record.state) == (case.kind, case.opened, hub.State.OPEN)
        assert (record.adviser.source_id if record.adviser else None) == version.adviser
    alma = by_child[cpr["Alma"]].adviser
    assert alma is not None
    worker = town.workers[alma.source_id]
    assert (alma.name, alma.email, alma.phone) == (worker.name, worker.email, worker.phone)
    assert alma.unit == town.institutions["101001"].name


def test_folder_and_http_give_the_same(
    adapter: BufAdapter,
    server: Any,
    cpr: dict[str, str],
    from_folder: Make,
    save_exports: Callable[[str, Path], None],
    tmp_path: Path,
) -> None:
    """Though the folder's exports have parents and HTTP asks for none."""
    save_exports(server.url, tmp_path)
    assert "ContactPerson" in (tmp_path / "101001.xml").read_text(encoding="utf-8")
    folder = from_folder(tmp_path)
    assert flat(folder.presence(None)) == flat(adapter.presence(None))
    everybody = set(cpr.values())
    assert flat(folder.read(None, everybody)) == flat(adapter.read(None, everybody))
    assert [page.ignored for page in folder.presence(None)] == [page.ignored for page in adapter.presence(None)]
    assert sum(page.ignored for page in adapter.presence(None)) == 2


def test_reading_goes_on_after_every_page(adapter: BufAdapter, server: Any, cpr: dict[str, str]) -> None:
    def reads(since: str | None) -> Iterator[hub.Page]:
        return adapter.read(since, set(cpr.values()))

    for pages in (adapter.presence, reads):
        whole = list(pages(None))
        assert len(whole) == 3
        assert [page.complete for page in whole] == [False, False, True]
        for place, page in enumerate(whole[:-1], start=1):
            again = BufAdapter(BufSettings(**adapter.settings.model_dump()))  # another process
            rest = list(
                again.presence(page.cursor) if pages == adapter.presence else again.read(page.cursor, set(cpr.values()))
            )
            again.close()
            assert rest == whole[place:]


@pytest.mark.parametrize("page_size", [1, 2, 3, 4, 500])
def test_page_size_changes_nothing_but_the_pages(page_size: int, from_folder: Make, examples: Path) -> None:
    kinds = ["101001", "group:Special*"]
    pages = list(from_folder(examples, page_size=page_size, kinds=kinds).presence(None))
    assert flat(iter(pages)) == flat(from_folder(examples, kinds=kinds).presence(None))
    assert all(len(page.records) == page_size for page in pages[:-1])
    assert sum(page.ignored for page in pages) == 2
    assert [page.complete for page in pages] == [False] * (len(pages) - 1) + [True]


def test_an_unchanged_source_gives_one_empty_page(adapter: BufAdapter, clock: SetClock) -> None:
    """The export's own time goes on; that alone is no change."""
    cursor = list(adapter.presence(None))[-1].cursor
    clock.move(timedelta(hours=20))
    assert list(adapter.presence(cursor)) == [hub.Page((), cursor)]


def test_a_pupil_who_leaves_is_gone_at_the_next_read(adapter: BufAdapter, clock: SetClock, cpr: dict[str, str]) -> None:
    kept = Hub()
    kept.follow(adapter.presence)
    assert cpr["Carl"] in kept.numbers()
    clock.move(timedelta(days=3))
    kept.follow(adapter.presence)
    assert cpr["Carl"] not in kept.numbers()
    clock.move(timedelta(days=1))
    kept.follow(adapter.presence)
    assert cpr["Erik"] in kept.numbers()


def test_a_new_adviser_is_a_change(adapter: BufAdapter, clock: SetClock, cpr: dict[str, str]) -> None:
    def advisers(records: list[hub.Record]) -> set[str]:
        return {record.adviser.name for record in records if isinstance(record, hub.CaseRecord) and record.adviser}

    pages = list(adapter.read(None, {cpr["Bo"]}))
    assert advisers(flat(iter(pages))) == {"Inga Bøgh"}
    clock.move(timedelta(days=2))
    assert advisers(flat(adapter.read(pages[-1].cursor, {cpr["Bo"]}))) == {"Else Marie Åkær"}


def test_a_parents_new_phone_is_no_change(from_folder: Make, examples: Path, tmp_path: Path) -> None:
    text = (examples / "101001.xml").read_text(encoding="utf-8")
    (tmp_path / "101001.xml").write_text(text, encoding="utf-8")
    adapter = from_folder(tmp_path, kinds=["101001"])
    cursor = list(adapter.presence(None))[-1].cursor
    (tmp_path / "101001.xml").write_text(text.replace("20000002", "29999999"), encoding="utf-8")
    assert flat(adapter.presence(cursor)) == []
    (tmp_path / "101001.xml").write_text(text.replace("bopr1234", "bopr9999"), encoding="utf-8")
    assert len(flat(adapter.presence(cursor))) == 5


def test_a_newly_accepted_child_is_read_though_the_source_is_unchanged(
    adapter: BufAdapter, cpr: dict[str, str]
) -> None:
    cursor = list(adapter.read(None, {cpr["Alma"]}))[-1].cursor
    assert flat(adapter.read(cursor, {cpr["Alma"]})) == []
    both = flat(adapter.read(cursor, {cpr["Alma"], cpr["Bo"]}))
    assert {record.cpr for record in both if isinstance(record, hub.CaseRecord)} == {cpr["Alma"], cpr["Bo"]}


def test_another_list_of_kinds_is_a_change(from_folder: Make, examples: Path) -> None:
    cursor = list(from_folder(examples, kinds=["101001"]).presence(None))[-1].cursor
    more = from_folder(examples, kinds=["101001", "group:Special*"])
    assert len(flat(more.presence(cursor))) == 6


def test_a_cursor_stays_small_and_names_nobody(from_folder: Make, examples: Path, adapter: BufAdapter) -> None:
    folder = from_folder(examples, page_size=1, kinds=["101001", "group:Special*"])
    for page in [*folder.presence(None), *folder.read(None, {"0104149990"}), *adapter.presence(None)]:
        assert page.cursor is not None
        assert len(page.cursor) < 200
        assert "0104149990" not in page.cursor
        assert "alma" not in page.cursor


@pytest.mark.parametrize("cursor", ["", "{}", "[1]", "nonsense", '["a","b","c","d"]', "null", "17"])
def test_a_cursor_nobody_gave_reads_all(cursor: str, from_folder: Make, examples: Path) -> None:
    adapter = from_folder(examples, kinds=["101001"])
    assert flat(adapter.presence(cursor)) == flat(adapter.presence(None))


def test_a_bad_record_stands_alone(from_folder: Make, examples: Path) -> None:
    found = flat(from_folder(examples, kinds=["101001"]).presence(None))
    kinds = [type(record).__name__ for record in found]
    assert kinds == ["Presence", "Presence", "Unreadable", "Unreadable", "Unreadable"]


_EXPORT = (
    '<e:UNILoginExportFullMyndighed xmlns:e="{ns}" xmlns:c="{ns7}/common" exportDateTime="2026-09-02T04:00:00Z" '
    'accessLevel="full"><e:Institution><c:InstitutionNumber>{number}</c:InstitutionNumber>'
    "<c:Group><c:GroupId>H</c:GroupId><c:GroupType>Hold</c:GroupType></c:Group>{pupils}</e:Institution>"
    "</e:UNILoginExportFullMyndighed>"
)
_PUPIL = (
    '<e:InstitutionPerson source="x"><e:Person protected="false"><c:FirstName>A</c:FirstName>'
    "<c:FamilyName>B</c:FamilyName><c:UserId>u{cpr}</c:UserId>"
    "<c:CivilRegistrationNumber>{cpr}</c:CivilRegistrationNumber></e:Person><e:Student><c:Role>Elev</c:Role>"
    "<c:Level>3</c:Level><c:MainGroupId>H</c:MainGroupId></e:Student></e:InstitutionPerson>"
)
_SCHOOLS = ("101001", "101002", "201001")


def write(folder: Path, pupils: dict[str, set[int]]) -> None:
    for old in folder.glob("*.xml"):
        old.unlink()
    for number, who in pupils.items():
        text = "".join(_PUPIL.format(cpr=f"010414999{one}") for one in sorted(who))
        filled = _EXPORT.format(ns=VARIANTS[0], ns7=VARIANTS[0].rpartition("/")[0], number=number, pupils=text)
        (folder / f"{number}.xml").write_text(filled, encoding="utf-8")


town_states = st.fixed_dictionaries(
    {number: st.sets(st.integers(0, 6), max_size=4) for number in _SCHOOLS[:2]},
    optional={_SCHOOLS[2]: st.sets(st.integers(0, 6), max_size=4)},
)


@given(
    steps=st.lists(st.tuples(town_states, st.one_of(st.none(), st.integers(1, 4))), min_size=1, max_size=5),
    page_size=st.integers(1, 4),
)
@settings(deadline=None, max_examples=60)
def test_whatever_changes_and_wherever_a_read_is_cut_off_the_hub_ends_up_right(
    steps: list[tuple[dict[str, set[int]], int | None]], page_size: int
) -> None:
    """Pupils come, go and move, an institution closes, and the hub is killed after any page: two reads later it holds
    exactly who is there, and a third brings nothing."""
    kept = Hub()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        kinds = {key: hub.Kind(name="Specialtilbud") for key in ("101001", "101002", "group:H")}
        adapter = BufAdapter(BufSettings(folder=folder, kinds=kinds, page_size=page_size))
        for pupils, stop_after in steps:
            write(folder, pupils)
            kept.follow(adapter.presence, stop_after)
        for _again in range(2):
            kept.follow(adapter.presence)
        last = steps[-1][0]
        listed = [f"010414999{one}" for pupils in last.values() for one in pupils]
        assert kept.numbers() == sorted(listed)
        assert kept.follow(adapter.presence) == 0


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


def test_the_plugin_keeps_the_contract(examples: Path) -> None:
    section = settings_model().model_validate({"folder": examples})
    assert isinstance(section, BufSettings)
    (adapter,) = register_adapters(section)
    assert isinstance(adapter, hub.Adapter)
    assert (adapter.name, adapter.administration) == ("buf_case", "BUF")
    assert {("POST", "/bpi/wsieksport/7")} == READS
