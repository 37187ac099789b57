"""What is read of the cases, what of it is news, and what leaves no trace."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from hub import CaseRecord, Gone, Page, StaffRecord, State, TryAgain, Unreadable, family
from hub.cases.events import CASE_GONE
from hub.cases.sync import freshness, sync
from hub.store import tables
from hub.store.people import open_key
from hub.vault import unseal_json

KARLA, EMIL, OTHER = "0311164234", "1405134321", "2001154100"
MOTHER, FATHER = "0101804001", "0101804002"
ANNE = StaffRecord("anne", "Anne Rådgiver", "anne@example.dk", "12340001", "Team Nord")
BENT = StaffRecord("bent", "Bent Rådgiver")


@pytest.fixture
def karla(world):
    """Karla in the scheme, with two parents who have custody; nothing has been read yet."""
    world.accepted(KARLA, guardians=(MOTHER, FATHER))
    return world


@pytest.fixture
def known(karla):
    """And one application in SOF has been read once."""
    karla.case(karla.sof, "s1", KARLA, State.APPLIED, opened=date(2026, 10, 1), adviser=ANNE)
    sync(karla.ctx)
    return karla


def kinds(world) -> list[str]:
    """The kinds of news, told to everybody."""
    return sorted(event.kind for event in world.events())


def opened(world) -> dict[str, dict[str, object]]:
    """The cases: the source's id → what is sealed."""
    found = {}
    with world.session() as session:
        for row in world.rows(tables.Case):
            child = session.get_one(tables.Child, row.child_id)
            fields = unseal_json(open_key(session, world.ctx.keys, child.key_id), row.sealed, f"case:{row.id}")
            found[row.reference] = fields
    return found


class TestNews:
    def test_the_first_read_is_no_news(self, karla):
        karla.case(karla.sof, "s1", KARLA, State.APPLIED)
        karla.case(karla.buf, "b1", KARLA)
        results = sync(karla.ctx)
        assert [(r.read, r.changed, r.events) for r in results] == [(1, 1, 0), (1, 1, 0), (0, 0, 0)]
        assert karla.events() == []

    def test_nor_is_the_first_read_that_was_cut_off(self, karla):
        for n in range(5):
            karla.case(karla.sof, f"s{n}", KARLA)
        karla.sof.fail_at = 1
        sync(karla.ctx)
        karla.sof.fail_at = None
        sync(karla.ctx, ["sof"])
        assert len(karla.rows(tables.Case)) == 5
        assert karla.events() == []

    def test_the_first_read_of_one_child_hides_no_news_of_another(self, known):
        known.accepted(EMIL, guardians=(MOTHER,))
        known.case(known.sof, "s2", KARLA)
        known.case(known.sof, "s3", EMIL)
        sync(known.ctx)
        assert {event.child_id for event in known.events()} == {known.child(KARLA)}

    @pytest.mark.parametrize(
        ("change", "told"),
        [
            ({"state": State.DECIDED}, ["decided"]),
            ({"state": State.OPEN}, ["decided"]),
            ({"state": State.CLOSED, "closed": date(2026, 11, 2)}, ["case_closed"]),
            ({"adviser": BENT}, ["adviser_changed"]),
            ({"deadline": date(2027, 1, 15)}, ["deadline_postponed"]),
            ({"deadline": date(2026, 12, 15)}, ["deadline_moved"]),
            ({"deadline": date(2027, 1, 15), "adviser": BENT}, ["adviser_changed", "deadline_postponed"]),
            ({"follow_up": date(2027, 1, 15)}, []),
            ({"adviser": None}, []),  # nobody yet: there is no new name to tell
            ({"adviser": replace(ANNE, phone="99999999")}, []),  # the same person
            ({}, []),
        ],
    )
    def test_each_change_is_one_event_for_each_guardian(self, known, change, told):
        values = {"opened": date(2026, 10, 1), "adviser": ANNE, "state": State.APPLIED} | change
        known.case(known.sof, "s1", KARLA, **values)
        sync(known.ctx)
        assert kinds(known) == sorted(told * 2)
        assert {event.guardian_id for event in known.events()} <= {known.guardian(MOTHER), known.guardian(FATHER)}

    def test_a_new_case_is_news(self, known):
        known.case(known.buf, "b1", KARLA)
        sync(known.ctx)
        assert kinds(known) == ["case_opened"] * 2

    def test_the_same_change_seen_twice_is_told_once(self, known):
        for _again in range(3):
            known.case(known.sof, "s1", KARLA, State.DECIDED, opened=date(2026, 10, 1), adviser=ANNE)
            sync(known.ctx)
        known.clock.move(timedelta(days=8))
        sync(known.ctx)  # a full read
        assert kinds(known) == ["decided"] * 2

    def test_a_case_that_is_only_touched_is_not_news(self, known):
        known.case(
            known.sof, "s1", KARLA, State.APPLIED, opened=date(2026, 10, 1), adviser=ANNE, changed=known.clock.now()
        )
        assert sync(known.ctx)[0].changed == 0

    def test_a_date_that_moves_back_and_forth_is_told_each_time(self, known):
        """The family must not be left with a date that no longer holds."""
        for day in (15, 22, 15, 22):
            known.clock.move(timedelta(days=1))
            known.case(known.sof, "s1", KARLA, State.APPLIED, adviser=ANNE, deadline=date(2027, 1, day))
            sync(known.ctx)
        assert kinds(known) == ["deadline_moved"] * 2 + ["deadline_postponed"] * 2 * 3

    def test_a_second_decision_is_told_too(self, known):
        """An application sent back by the appeals board is decided again."""
        for state in (State.DECIDED, State.APPLIED, State.DECIDED):
            known.clock.move(timedelta(days=1))
            known.case(known.sof, "s1", KARLA, state, adviser=ANNE)
            sync(known.ctx)
        assert kinds(known).count("decided") == 2 * 2

    def test_parents_who_live_apart_each_get_their_own_bundle(self, known):
        known.case(known.buf, "b1", KARLA)
        known.case(known.suf, "u1", KARLA)
        sync(known.ctx)
        mine = {event.bundle_id: event.guardian_id for event in known.events()}
        assert sorted(mine.values()) == sorted([known.guardian(MOTHER), known.guardian(FATHER)])
        assert len(mine) == 2  # two administrations, one bundle each parent

    def test_a_parent_without_custody_hears_nothing(self, known):
        with known.ctx.database.begin() as session:
            session.get_one(tables.Custody, (known.child(KARLA), known.guardian(FATHER))).until = date(2026, 11, 2)
        known.case(known.buf, "b1", KARLA)
        sync(known.ctx)
        assert {event.guardian_id for event in known.events()} == {known.guardian(MOTHER)}


class TestGone:
    def test_a_case_that_is_gone_goes_with_what_waits_about_it(self, known):
        known.case(known.sof, "s2", KARLA)
        sync(known.ctx)
        assert kinds(known) == ["case_opened"] * 2
        known.sof.take_away("s2")
        assert sync(known.ctx)[0].gone == 1
        assert len(known.rows(tables.Case)) == 1
        assert {(event.bundle_id, event.why_not) for event in known.events()} == {(None, CASE_GONE)}

    def test_a_complete_read_ends_what_is_not_in_it(self, known):
        known.sof.take_away("s1", tombstone=False)
        sync(known.ctx)
        assert len(known.rows(tables.Case)) == 1
        known.clock.move(timedelta(days=8))
        sync(known.ctx)
        assert known.rows(tables.Case) == []

    def test_one_that_was_cut_off_ends_nothing(self, known):
        known.sof.page_size = 1
        for n in range(2, 5):
            known.case(known.sof, f"s{n}", KARLA)
        sync(known.ctx)
        known.clock.move(timedelta(days=8))
        known.sof.fail_at = 2
        sync(known.ctx)
        known.sof.fail_at = None
        sync(known.ctx, ["sof"])
        assert len(known.rows(tables.Case)) == 4

    def test_what_cannot_be_read_today_is_not_gone(self, known):
        known.clock.move(timedelta(days=8))
        known.sof.put(Unreadable("line 7", "no end tag", b"<", "s1"))
        assert sync(known.ctx)[0].quarantined == 1
        assert len(known.rows(tables.Case)) == 1

    def test_what_comes_back_after_its_tombstone_in_one_page_is_there(self, known):
        record = CaseRecord("s1", KARLA, "help", State.APPLIED)
        known.sof.read = lambda since, children: iter([Page((Gone("s1"), record), "new/9")])
        sync(known.ctx)
        assert len(known.rows(tables.Case)) == 1

    def test_the_last_word_of_a_page_counts(self, known):
        record = CaseRecord("s9", KARLA, "help", State.APPLIED)
        known.sof.read = lambda since, children: iter([Page((record, Gone("s9")), "new/9")])
        sync(known.ctx)
        assert len(known.rows(tables.Case)) == 1
        assert [event for event in known.events() if event.bundle_id] == []

    def test_a_case_that_was_registered_on_the_wrong_child_moves(self, known):
        """The first child's family hears no more of it, the second's hears of a new case."""
        known.accepted(EMIL, guardians=(MOTHER,))
        sync(known.ctx)
        known.case(known.sof, "s1", KARLA, State.DECIDED, adviser=ANNE)
        sync(known.ctx)
        known.case(known.sof, "s1", EMIL, State.DECIDED, adviser=ANNE)
        result = sync(known.ctx)[0]
        assert result.failure is None
        (case,) = known.rows(tables.Case)
        assert case.child_id == known.child(EMIL)
        assert opened(known)  # under Emil's key
        waiting = {(event.child_id, event.kind) for event in known.events() if event.bundle_id}
        assert waiting == {(known.child(EMIL), "case_opened")}


class TestWhatIsNotTold:
    def test_children_not_asked_for_are_never_stored(self, known):
        """Also when a source sends more than it was asked for."""
        known.present(OTHER)
        known.custody(OTHER, MOTHER)
        known.night()  # offered, but nobody has answered
        known.sof.read = lambda since, children: iter(
            [Page((CaseRecord("s8", OTHER, "help", State.OPEN), CaseRecord("s9", EMIL, "help", State.OPEN)), "new/9")]
        )
        sync(known.ctx)
        assert len(known.rows(tables.Case)) == 1

    def test_only_children_in_the_scheme_are_asked_for(self, known):
        known.present(OTHER)
        known.custody(OTHER, MOTHER)
        known.night()
        sync(known.ctx)
        assert {child for _since, children in known.sof.asked for child in children} == {KARLA}

    def test_nobody_is_asked_about_when_nobody_is_in_the_scheme(self, world):
        sync(world.ctx)
        assert world.sof.asked == []

    def test_and_a_source_that_was_not_asked_has_not_answered(self, known):
        known.sof.fail_at = 0
        sync(known.ctx)
        family.withdraw(known.ctx, known.child(KARLA), known.by(MOTHER))
        known.clock.move(timedelta(days=1))
        sync(known.ctx)
        with known.session() as session:
            answered, failure = freshness(session)["sof"]
        assert answered == known.clock.now() - timedelta(days=1)
        assert failure == "the source does not answer"

    def test_a_kind_that_is_not_listed_leaves_no_trace(self, known):
        before = len(known.rows(tables.Staff))
        secret = StaffRecord("secret", "Hemmelig Sagsbehandler")
        known.case(known.sof, "X-1", KARLA, kind="concern", adviser=secret)
        result = sync(known.ctx)[0]
        assert (result.ignored, result.read) == (1, 0)
        assert len(known.rows(tables.Case)) == 1
        assert len(known.rows(tables.Staff)) == before
        assert known.rows(tables.Quarantine) == []

    def test_not_even_by_a_plugin_that_forgets_its_own_list(self, known):
        """The hub looks too: a letter about a concern raised for a child is the worst that can happen."""
        known.sof.kinds = None
        secret = StaffRecord("secret", "Hemmelig Sagsbehandler")
        before = len(known.rows(tables.Staff))
        known.case(known.sof, "X-1", KARLA, kind="concern", adviser=secret)
        result = sync(known.ctx)[0]
        assert (result.ignored, result.changed) == (1, 0)
        assert len(known.rows(tables.Case)) == 1
        assert len(known.rows(tables.Staff)) == before
        assert known.events() == []

    def test_a_case_that_becomes_one_of_an_unlisted_kind_is_forgotten(self, known):
        known.sof.kinds = None
        known.case(known.sof, "s1", KARLA, State.APPLIED, kind="concern")
        assert sync(known.ctx)[0].gone == 1
        assert known.rows(tables.Case) == []
        assert known.events() == []

    def test_of_a_case_only_index_data_is_kept(self, known):
        (fields,) = opened(known).values()
        assert fields.keys() == {"source_id", "kind", "state", "opened", "closed", "follow_up", "deadline"}


class TestDeadlines:
    def deadline(self, world) -> date | None:
        (row,) = world.rows(tables.Case)
        return row.deadline

    def test_an_application_gets_the_published_limit(self, known):
        """1 October 2026 and twelve weeks: 24 December, a Thursday."""
        assert self.deadline(known) == date(2026, 12, 24)

    def test_the_sources_own_date_wins(self, known):
        known.case(known.sof, "s1", KARLA, State.APPLIED, opened=date(2026, 10, 1), deadline=date(2026, 11, 30))
        sync(known.ctx)
        assert self.deadline(known) == date(2026, 11, 30)

    @pytest.mark.parametrize("state", [State.DECIDED, State.CLOSED])
    def test_there_is_none_once_there_is_an_answer(self, known, state):
        known.case(known.sof, "s1", KARLA, state, opened=date(2026, 10, 1), deadline=date(2026, 11, 30))
        sync(known.ctx)
        assert self.deadline(known) is None

    def test_a_kind_without_a_limit_gets_none(self, known):
        known.case(known.sof, "s1", KARLA, State.APPLIED, kind="relief", opened=date(2026, 10, 1))
        sync(known.ctx)
        assert self.deadline(known) is None


class TestSilence:
    def test_a_source_that_fails_leaves_all_and_shows_it(self, known):
        known.sof.fail_at = 0
        known.clock.move(timedelta(days=9))
        results = sync(known.ctx)
        assert [result.failure for result in results] == ["the source does not answer", None, None]
        assert len(known.rows(tables.Case)) == 1
        with known.session() as session:
            told = freshness(session)
        assert told["sof"] == (known.clock.now() - timedelta(days=9), "the source does not answer")
        assert told["buf"] == (known.clock.now(), None)

    def test_a_plugin_with_a_bug_hides_no_other(self, known):
        known.sof.fail_at, known.sof.error = 0, ValueError(KARLA)
        known.case(known.buf, "b1", KARLA)
        results = sync(known.ctx)
        assert KARLA not in (results[0].failure or KARLA)
        assert results[1].events == 2

    def test_a_change_made_while_another_childs_first_read_goes_on_is_not_lost(self, known):
        """The cursor of the others must not run past what a new child's first read did not see."""
        known.accepted(EMIL, guardians=(MOTHER,))
        known.case(known.sof, "s2", EMIL, State.APPLIED)
        read = type(known.sof).read

        def busy(since, children):
            yield from read(known.sof, since, children)
            if EMIL in children:  # the very moment after its first read
                known.case(known.sof, "s2", EMIL, State.DECIDED)

        known.sof.read = busy
        sync(known.ctx)
        del known.sof.read
        sync(known.ctx)
        told = [event for event in known.events("decided") if event.child_id == known.child(EMIL)]
        assert len(told) == 1


IDS = st.integers(0, 4)
CHANGE = st.one_of(
    st.tuples(st.just("put"), IDS, st.sampled_from([State.APPLIED, State.DECIDED]), st.sampled_from([KARLA, EMIL])),
    st.tuples(st.just("gone"), IDS, st.just(None), st.just(None)),
)


@pytest.mark.slow
@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    before=st.lists(CHANGE, max_size=6),
    after=st.lists(CHANGE, max_size=6),
    size=st.integers(1, 3),
    kills=st.lists(st.integers(0, 3), min_size=1, max_size=3),
)
def test_a_crash_between_any_two_pages_loses_and_doubles_nothing(world, before, after, size, kills):
    if not world.rows(tables.Assignment):
        world.accepted(KARLA, EMIL, guardians=(MOTHER,))
    pictures = []
    for disturbed in (False, True):
        world.sof._records.changes.clear()
        with world.ctx.database.begin() as session:
            for table in ("event", "bundle", "case_index", "source_state", "child_source"):
                session.execute(text(f"DELETE FROM {table}"))
        world.sof.page_size = size
        for n, changes in enumerate((before, after)):
            for what, item, state, child in changes:
                world.sof.put(Gone(f"s{item}") if what == "gone" else CaseRecord(f"s{item}", child, "relief", state))
            for page in kills if disturbed and n else []:
                world.sof.fail_at, world.sof.error = page, KeyboardInterrupt() if page % 2 else TryAgain("no answer")
                try:
                    sync(world.ctx, ["sof"])
                except KeyboardInterrupt:
                    assert page % 2
                world.sof.fail_at = None
            sync(world.ctx, ["sof"])
        cases = sorted((row.reference, row.child_id) for row in world.rows(tables.Case))
        told = sorted((event.kind, event.child_id, event.why_not or "") for event in world.events())
        pictures.append((cases, told))
    assert pictures[0] == pictures[1]
