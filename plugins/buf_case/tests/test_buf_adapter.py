"""Pages and cursors: what a hub that follows the contract ends up with, over HTTP and from a folder."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tovholder_buf_case import BufAdapter, BufSettings, register_adapters, settings_model
from tovholder_buf_case.wire import READS

import hub
from hub.clock import SetClock
from hub.demo.model import Town
from hub.demo.servers import buf

Make = Callable[..., BufAdapter]


@dataclass
class Hub:
    """What the contract makes a hub keep: rows with the run that last showed them, and the cursor."""

    rows: dict[str, tuple[hub.Record, int]] = field(default_factory=dict)
    cursor: str | None = None
    run: int = 0
    under_way: bool = False

    def follow(self, pages: Callable[[str | None], Iterator[hub.Page]], stop_after: int | None = None) -> int:
        """Take pages; cut off after `stop_after` of them. Returns how many records came."""
        if not self.under_way:
            self.run += 1
        self.under_way, came = True, 0
        for number, page in enumerate(pages(self.cursor), start=1):
            for record in page.records:
                came += 1
                if isinstance(record, hub.Presence | hub.CaseRecord):
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
    town: Town,
    cpr: dict[str, str],
    from_folder: Make,
    tmp_path: Path,
) -> None:
    """Though the folder's exports have parents and HTTP asks for none."""
    buf.save(town, town.start, tmp_path)
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


_SCHOOLS = ("101001", "101002", "201001")


town_states = st.fixed_dictionaries(
    {_SCHOOLS[0]: st.sets(st.integers(0, 6), max_size=4)},
    optional={number: st.sets(st.integers(0, 6), max_size=4) for number in _SCHOOLS[1:]},
)


@given(
    steps=st.lists(st.tuples(town_states, st.one_of(st.none(), st.integers(1, 4))), min_size=1, max_size=5),
    page_size=st.integers(1, 4),
)
@settings(deadline=None, max_examples=60)
def test_whatever_changes_and_wherever_a_read_is_cut_off_the_hub_ends_up_right(
    steps: list[tuple[dict[str, set[int]], int | None]],
    page_size: int,
    make_export: Callable[..., str],
    make_pupil: Callable[..., str],
) -> None:
    """Pupils come, go and move, an institution closes or is missing, and the hub is killed after any page: when all
    are there, three reads later it holds exactly who is there, and a fourth brings nothing. While a special school is
    missing, its pupils stay."""
    kept = Hub()
    there: dict[str, set[int]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        def write(pupils: dict[str, set[int]]) -> None:
            for old in folder.glob("*.xml"):
                old.unlink()
            for number, who in pupils.items():
                persons = [make_pupil(f"010414999{one}") for one in sorted(who)]
                text = make_export(number, *persons, groups={"H": "Hold"})
                (folder / f"{number}.xml").write_text(text, encoding="utf-8")

        kinds = {key: hub.Kind(name="Specialtilbud") for key in ("101001", "101002", "group:H")}
        adapter = BufAdapter(BufSettings(folder=folder, kinds=kinds, page_size=page_size))
        for pupils, stop_after in steps:
            there = pupils
            write(pupils)
            before = {record.source_id for record, _run in kept.rows.values() if not isinstance(record, hub.Gone)}
            kept.follow(adapter.presence, stop_after)
            if not set(_SCHOOLS[:2]) <= set(pupils):
                assert before <= set(kept.rows), "something is missing, and what was known is gone"
        for school in _SCHOOLS[:2]:
            there.setdefault(school, set())
        write(there)
        for _again in range(3):
            kept.follow(adapter.presence)
        assert kept.numbers() == sorted(f"010414999{one}" for pupils in there.values() for one in pupils)
        assert kept.follow(adapter.presence) == 0


def test_the_plugin_keeps_the_contract(examples: Path) -> None:
    section = settings_model().model_validate({"folder": examples})
    assert isinstance(section, BufSettings)
    (adapter,) = register_adapters(section)
    assert isinstance(adapter, hub.Adapter)
    assert (adapter.name, adapter.administration) == ("buf_case", "BUF")
    assert {("POST", "/bpi/wsieksport/7")} == READS
