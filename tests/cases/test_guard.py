"""A source that suddenly shows far fewer records ends nothing, and asks an operator."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from hub import CaseRecord, Kind, NotAllowed, Page, Presence, SourceSettings, State, Unreadable
from hub.cases import guard, sources
from hub.cases.match import match
from hub.cases.sync import sync
from hub.doctor import examine
from hub.store import tables

pytestmark = pytest.mark.slow

KARLA, EMIL = "0311164234", "1405134321"
MOTHER = "0101804001"
WEEK = timedelta(days=7)


def fill(world, count: int) -> None:
    for n in range(count):
        world.sof.put(Presence(f"p{n}", world.number(n), State.OPEN))
    match(world.ctx)


def cut(world, keep: int, count: int) -> None:
    """The source's next whole answer has only the first `keep`."""
    for n in range(keep, count):
        world.sof.take_away(f"p{n}", tombstone=False)
    world.clock.move(WEEK)


def known(world) -> int:
    return len(world.rows(tables.Presence))


def state(world, purpose: str = sources.PRESENCE) -> tables.SourceState:
    (row,) = world.rows(tables.SourceState, tables.SourceState.source == "sof", tables.SourceState.purpose == purpose)
    return row


def accept(world) -> dict[str, int]:
    with world.ctx.database.begin() as session:
        return guard.accept(session, "sof")


class TestPresence:
    @pytest.mark.parametrize(("keep", "left", "held"), [(0, 10, True), (6, 10, True), (7, 7, False), (9, 9, False)])
    def test_under_seventy_percent_ends_nothing(self, world, keep, left, held):
        fill(world, 10)
        cut(world, keep, 10)
        (read, *_others) = match(world.ctx).reads
        assert known(world) == left
        assert (read.held is not None, read.clean) == (held, not held)
        assert read.gone == 10 - left

    def test_it_says_the_figures_and_what_to_do(self, world):
        fill(world, 10)
        cut(world, 2, 10)
        (read, *_others) = match(world.ctx).reads
        assert read.held == (
            "shows 2 of 10 known (presence): too few to believe, so nothing is ended. "
            "Look at the source; if it is right: tovholder sync --accept sof"
        )
        assert {(check.what, check.ok, check.detail) for check in examine(world.ctx)} >= {
            ("sof presence held", False, read.held)
        }

    def test_of_very_few_any_share_may_go(self, world):
        fill(world, guard.TOO_FEW_TO_TELL - 1)
        cut(world, 1, guard.TOO_FEW_TO_TELL - 1)
        assert match(world.ctx).reads[0].held is None
        assert known(world) == 1

    def test_the_share_is_a_setting_of_the_source(self, world, tmp_path):
        sections = dict(world.ctx.plugins.sections)
        sections["sof"] = SourceSettings(folder=tmp_path, kinds=world.KINDS, hold_below=0.3)
        world.ctx = replace(world.ctx, plugins=replace(world.ctx.plugins, sections=sections))
        fill(world, 10)
        cut(world, 3, 10)
        assert match(world.ctx).reads[0].held is None
        assert known(world) == 3

    def test_other_ids_for_all_are_far_fewer_of_the_known_ones(self, world):
        """A new system behind the same address: as many records, but not one that was there."""
        fill(world, 10)
        for n in range(10):
            world.sof.put(Presence(f"new-{n}", world.number(n), State.OPEN))
        cut(world, 0, 10)
        assert match(world.ctx).reads[0].held is not None
        assert known(world) == 20

    def test_changes_that_call_themselves_all_there_is_are_not_believed(self, world):
        """A plugin with that fault, against the contract, would have everything forgotten."""
        fill(world, 10)
        world.sof.presence = lambda since: iter([Page((), "new/10", complete=True)])
        assert match(world.ctx).reads[0].held is not None
        assert known(world) == 10

    def test_tombstones_are_obeyed_however_many(self, world):
        """One may say that a record must no longer be told."""
        fill(world, 10)
        for n in range(9):
            world.sof.take_away(f"p{n}")
        assert match(world.ctx).reads[0].held is None
        assert known(world) == 1
        world.clock.move(WEEK)
        assert match(world.ctx).reads[0].held is None

    def test_a_held_source_is_read_whole_again_each_time_and_comes_free_by_itself(self, world):
        fill(world, 10)
        before = list(world.sof._presences.changes)
        cut(world, 2, 10)
        match(world.ctx)
        since = state(world).held_at
        world.clock.move(timedelta(hours=1))
        assert match(world.ctx).reads[0].held is not None
        assert state(world).held_at == since
        world.sof._presences.changes[:] = before
        world.clock.move(timedelta(hours=1))
        assert match(world.ctx).reads[0].held is None
        assert (known(world), state(world).held_at) == (10, None)

    def test_an_operator_accepts_the_new_level_once(self, world):
        fill(world, 20)
        cut(world, 10, 20)
        match(world.ctx)
        assert accept(world) == {"presence": 10}
        (read, *_others) = match(world.ctx).reads
        assert (read.held, known(world)) == (None, 10)
        cut(world, 5, 20)
        assert match(world.ctx).reads[0].held is not None  # that was not what was accepted
        assert known(world) == 10

    def test_what_falls_again_after_it_was_accepted_is_held_again(self, world):
        fill(world, 20)
        cut(world, 10, 20)
        match(world.ctx)
        accept(world)
        cut(world, 4, 20)
        assert match(world.ctx).reads[0].held is not None
        assert known(world) == 20

    def test_nothing_is_accepted_where_nothing_is_held(self, world):
        fill(world, 10)
        with pytest.raises(NotAllowed, match="not held"):
            accept(world)

    def test_new_records_are_taken_also_while_it_is_held(self, world):
        fill(world, 10)
        world.sof.put(Presence("more", world.number(50), State.OPEN))
        cut(world, 2, 10)
        assert match(world.ctx).reads[0].held is not None
        assert known(world) == 11


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    count=st.integers(1, 14),
    shown=st.sets(st.integers(0, 13)),
    new=st.integers(0, 4),
    size=st.integers(1, 5),
    kills=st.lists(st.integers(0, 4), max_size=2),
)
def test_a_whole_read_ends_just_what_it_did_not_show_or_nothing(world, count, shown, new, size, kills):
    """However the answer is cut into pages, and wherever the reader is cut off."""
    shown = {n for n in shown if n < count}
    with world.ctx.database.begin() as session:
        for table in ("presence", "child_source", "child", "person_key", "source_state"):
            session.execute(text(f"DELETE FROM {table}"))
    world.sof._presences.changes.clear()
    world.sof.page_size, world.sof.fail_at = size, None
    fill(world, count)
    for n in range(count):
        if n not in shown:
            world.sof.take_away(f"p{n}", tombstone=False)
    for n in range(new):
        world.sof.put(Presence(f"new-{n}", world.number(20 + n), State.OPEN))
    world.clock.move(WEEK)
    for page in kills:
        world.sof.fail_at = page
        match(world.ctx, ["sof"])
        world.sof.fail_at = None
    (read,) = match(world.ctx, ["sof"]).reads
    refer = world.ctx.keys.refer
    expected = {refer("sof", f"new-{n}") for n in range(new)} | {refer("sof", f"p{n}") for n in shown}
    # A read that broke off may have shown some of the new ones: then they are known, as the old ones are.
    would = {
        count + more >= guard.TOO_FEW_TO_TELL and len(shown) + more < guard.HOLD_BELOW * (count + more)
        for more in range(new + 1 if kills else 1)
    }
    assert (read.held is not None) in would
    if read.held is not None:
        expected |= {refer("sof", f"p{n}") for n in range(count)}
    assert {row.reference for row in world.rows(tables.Presence)} == expected


@pytest.fixture
def cases(world):
    """Two children of the scheme with ten cases between them, all read."""
    world.accepted(KARLA, EMIL, guardians=(MOTHER,))
    for n in range(10):
        world.case(world.sof, f"s{n}", (KARLA, EMIL)[n % 2])
    sync(world.ctx)
    return world


class TestCases:
    def test_far_fewer_cases_end_none_and_drop_no_event(self, cases):
        cases.case(cases.sof, "s10", KARLA)
        sync(cases.ctx)
        waiting = len(cases.events("case_opened"))
        assert waiting
        for n in range(8):
            cases.sof.take_away(f"s{n}", tombstone=False)
        cases.clock.move(WEEK)
        (read, *_others) = sync(cases.ctx)
        assert (read.gone, read.clean) == (0, False)
        assert "shows 3 of 11 known (cases)" in (read.held or "")
        assert len(cases.rows(tables.Case)) == 11
        assert len([event for event in cases.events("case_opened") if event.bundle_id]) == waiting

    def test_and_end_when_an_operator_has_looked(self, cases):
        for n in range(8):
            cases.sof.take_away(f"s{n}", tombstone=False)
        cases.clock.move(WEEK)
        sync(cases.ctx)
        assert accept(cases) == {"cases": 2}
        (read, *_others) = sync(cases.ctx, ["sof"])
        assert (read.held, read.gone, len(cases.rows(tables.Case))) == (None, 8, 2)

    def test_it_holds_over_a_read_that_was_cut_off(self, cases):
        for n in range(8):
            cases.sof.take_away(f"s{n}", tombstone=False)
        cases.clock.move(WEEK)
        cases.sof.page_size, cases.sof.fail_at = 1, 1
        sync(cases.ctx)
        cases.sof.fail_at = None
        (read, *_others) = sync(cases.ctx, ["sof"])
        assert read.held is not None
        assert len(cases.rows(tables.Case)) == 10

    def test_one_that_was_cut_off_ends_what_it_did_not_show_when_it_comes_to_its_end(self, cases):
        cases.sof.take_away("s0", tombstone=False)
        cases.clock.move(WEEK)
        cases.sof.page_size, cases.sof.fail_at = 2, 2
        sync(cases.ctx)
        assert len(cases.rows(tables.Case)) == 10
        cases.sof.fail_at = None
        assert sync(cases.ctx, ["sof"])[0].gone == 1
        assert len(cases.rows(tables.Case)) == 9

    def test_a_family_that_leaves_takes_its_cases_along_and_holds_nothing(self, cases):
        from hub import family

        family.withdraw(cases.ctx, cases.child(KARLA), cases.by(MOTHER))
        cases.clock.move(WEEK)
        assert sync(cases.ctx)[0].held is None
        assert len(cases.rows(tables.Case)) == 5


class TestWhatCannotBeRead:
    """A record that does not say which it is may be any of those that are missed."""

    def test_one_that_came_up_since_keeps_what_is_missed(self, cases):
        cases.sof.take_away("s0", tombstone=False)
        cases.sof.put(Unreadable("line 7", "no end tag", b"<sag"))
        cases.clock.move(WEEK)
        (read, *_others) = sync(cases.ctx)
        assert (read.gone, read.unsure, read.clean) == (0, 1, False)
        assert len(cases.rows(tables.Case)) == 10

    def test_also_over_pages_and_when_the_reader_is_cut_off(self, cases):
        cases.sof.take_away("s0", tombstone=False)
        cases.sof._records.changes.insert(1, ("nameless", Unreadable("line 7", "no end tag", b"<sag")))
        cases.clock.move(WEEK)
        cases.sof.page_size, cases.sof.fail_at = 2, 3
        sync(cases.ctx)
        cases.sof.fail_at = None
        assert sync(cases.ctx, ["sof"])[0].unsure == 1
        assert len(cases.rows(tables.Case)) == 10

    def test_one_that_was_there_beside_it_is_another(self, cases):
        """Else one line that nobody mends would keep every case for ever."""
        cases.sof.put(Unreadable("line 7", "no end tag", b"<sag"))
        cases.clock.move(WEEK)
        assert sync(cases.ctx)[0].unsure == 0  # both were there
        cases.sof.take_away("s0", tombstone=False)
        cases.clock.move(WEEK)
        (read, *_others) = sync(cases.ctx)
        assert (read.gone, read.unsure) == (1, 0)

    def test_without_content_nobody_can_say_that_it_is_the_same(self, cases):
        cases.sof.put(Unreadable("line 7", "no end tag"))
        cases.clock.move(WEEK)
        sync(cases.ctx)
        cases.sof.take_away("s0", tombstone=False)
        cases.clock.move(WEEK)
        assert sync(cases.ctx)[0].unsure == 1

    def test_once_mended_what_is_missed_ends(self, cases):
        cases.sof.take_away("s0", tombstone=False)
        cases.sof.put(Unreadable("line 7", "no end tag", b"<sag"))
        cases.clock.move(WEEK)
        sync(cases.ctx)
        cases.sof._records.changes.pop()
        cases.clock.move(WEEK)
        (read, *_others) = sync(cases.ctx)
        assert (read.gone, read.unsure, read.clean) == (1, 0, True)

    def test_so_it_is_with_presences(self, world):
        fill(world, 10)
        world.sof.put(Unreadable("line 7", "no end tag", b"<sag"))
        cut(world, 9, 10)
        assert match(world.ctx).reads[0].unsure == 1
        assert known(world) == 10


class TestTheListOfKinds:
    def relist(self, world, tmp_path, *kinds: str) -> None:
        sections = dict(world.ctx.plugins.sections)
        listed = {kind: world.KINDS.get(kind, Kind(name=kind)) for kind in kinds}
        sections["sof"] = SourceSettings(folder=tmp_path, kinds=listed)
        world.sof.kinds = listed.keys()
        world.ctx = replace(world.ctx, plugins=replace(world.ctx.plugins, sections=sections))

    @pytest.fixture
    def two(self, world):
        world.accepted(KARLA, guardians=(MOTHER,))
        world.case(world.sof, "s1", KARLA, kind="help")
        world.case(world.sof, "s2", KARLA, kind="relief")
        sync(world.ctx)
        return world

    def test_a_kind_that_leaves_it_is_forgotten_at_the_next_sync(self, two, tmp_path):
        two.case(two.sof, "s3", KARLA, kind="relief")
        sync(two.ctx)
        assert [event.kind for event in two.events() if event.bundle_id] == ["case_opened"]
        self.relist(two, tmp_path, "help")
        assert sync(two.ctx)[0].gone == 2
        assert [row.reference for row in two.rows(tables.Case)] == [two.ctx.keys.refer("sof", "s1")]
        assert [event for event in two.events() if event.bundle_id] == []

    def test_also_when_the_source_is_silent(self, two, tmp_path):
        self.relist(two, tmp_path, "help")
        two.sof.fail_at = 0
        sync(two.ctx)
        assert len(two.rows(tables.Case)) == 1

    def test_and_is_not_held_for_being_many(self, two, tmp_path):
        for n in range(3, 12):
            two.case(two.sof, f"s{n}", KARLA, kind="relief")
        sync(two.ctx)
        self.relist(two, tmp_path, "help")
        (read, *_others) = sync(two.ctx)
        assert (read.held, len(two.rows(tables.Case))) == (None, 1)

    def test_a_kind_that_joins_it_is_read_at_once_and_what_is_old_of_it_is_no_news(self, two, tmp_path):
        two.sof.kinds = None
        self.relist(two, tmp_path, "help", "relief", "school")
        two.sof._records.changes.insert(0, ("s0", CaseRecord("s0", KARLA, "school", State.OPEN)))
        sync(two.ctx)
        assert len(two.rows(tables.Case)) == 3
        assert two.events() == []
        two.case(two.sof, "s9", KARLA, kind="school")
        sync(two.ctx)
        assert [event.kind for event in two.events()] == ["case_opened"]

    def test_presences_of_a_kind_that_left_it_go_however_many(self, world, tmp_path):
        """The presence does not say its kind: only a whole read tells."""
        fill(world, 10)
        self.relist(world, tmp_path, "help")
        for n in range(2, 10):
            world.sof.take_away(f"p{n}", tombstone=False)
        (read, *_others) = match(world.ctx).reads
        assert (read.held, known(world)) == (None, 2)
