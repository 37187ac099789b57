"""Who is in the target group, and how little the hub keeps of everybody else."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from hub.cases.match import match, why
from hub.contract import Page, Presence, State, Unreadable
from hub.errors import TryAgain
from hub.store import tables
from hub.store.people import open_key
from hub.vault import unseal, unseal_json

KARLA, BO, IDA = "0311164234", "1405134321", "2001154100"
GROWN = "0211084002"
"""18 on the very day the tests begin, Monday 2 November 2026; the next day's child is 17 still."""
NEARLY_GROWN = "0311084003"


def eligible(world) -> set[bytes]:
    return {row.token for row in world.rows(tables.Child, tables.Child.eligible)}


def token(world, digits: str) -> bytes:
    return world.ctx.keys.lookup_token(digits)


def opened(world, row: tables.Child) -> dict[str, object]:
    with world.session() as session:
        return unseal_json(open_key(session, world.ctx.keys, row.key_id), row.sealed, f"child:{row.id}")


class TestTheTargetGroup:
    def test_is_two_administrations_whatever_is_open_or_applied_for(self, world):
        world.sof.put(Presence("a", KARLA, State.APPLIED))
        world.suf.put(Presence("b", KARLA, State.DECIDED))
        world.present(BO, world.buf)
        assert match(world.ctx).found == 1
        assert eligible(world) == {token(world, KARLA)}

    def test_two_sources_of_one_administration_are_one(self, world):
        world.buf.administration = "SOF"
        world.present(KARLA, world.sof, world.buf)
        assert match(world.ctx).found == 0

    def test_two_cases_in_one_administration_are_one(self, world):
        world.sof.put(Presence("a", KARLA, State.OPEN), Presence("b", KARLA, State.OPEN))
        assert match(world.ctx).found == 0

    def test_ends_on_the_eighteenth_birthday(self, world):
        world.present(GROWN)
        world.present(NEARLY_GROWN)
        match(world.ctx)
        assert eligible(world) == {token(world, NEARLY_GROWN)}

    def test_of_somebody_grown_up_nothing_is_kept_at_all(self, world):
        world.present(GROWN)
        match(world.ctx)
        assert world.rows(tables.Presence) == []

    def test_a_closed_case_is_no_presence(self, world):
        world.present(KARLA)
        world.sof.put(Presence("sof/" + KARLA, KARLA, State.CLOSED))
        assert match(world.ctx).found == 0

    def test_a_number_with_a_dash_is_the_same_child(self, world):
        world.sof.put(Presence("a", KARLA, State.OPEN))
        world.buf.put(Presence("b", f"{KARLA[:6]}-{KARLA[6:]}", State.OPEN))
        assert match(world.ctx).found == 1

    def test_says_why(self, world):
        world.sof.put(Presence("a", KARLA, State.APPLIED))
        world.buf.put(Presence("b", KARLA, State.OPEN))
        match(world.ctx)
        with world.session() as session:
            told = why(session, token(world, KARLA))
        assert {name: state for name, (state, _seen) in told.items()} == {"SOF": "applied", "BUF": "open"}


class TestLittleIsKept:
    def test_outside_the_target_group_only_a_token(self, world):
        world.present(KARLA, world.sof)
        match(world.ctx)
        assert world.rows(tables.Child) == []
        assert world.rows(tables.PersonKey) == []  # nothing is sealed, so there is nothing to open
        (row,) = world.rows(tables.Presence)
        assert row.token == token(world, KARLA)

    def test_of_a_child_in_the_target_group_nothing_but_the_number(self, world):
        world.present(KARLA)
        match(world.ctx)
        (row,) = world.rows(tables.Child)
        assert opened(world, row) == {"cpr": KARLA}

    def test_the_number_is_sealed_with_the_page_that_brings_the_child_in(self, world):
        """Whoever kills the process at any moment finds either both or neither."""
        world.present(KARLA)
        seen: list[tuple[int, int]] = []

        def pages(since):
            yield from type(world.buf).presence(world.buf, since)
            for _try in range(500):  # the next page is fetched while this one is stored
                seen.append((len(world.rows(tables.Presence)), len(world.rows(tables.Child))))
                if seen[-1][0] == 2:
                    return
                time.sleep(0.01)

        world.buf.presence = pages
        match(world.ctx)
        assert seen[-1] == (2, 1)  # the very moment both presences are there, the child is

    def test_somebody_else_is_forgotten_when_unseen_for_thirty_days(self, world):
        world.present(KARLA, world.sof)
        match(world.ctx)
        world.sof.fail_at = 0
        world.clock.move(timedelta(days=30))
        match(world.ctx)
        assert len(world.rows(tables.Presence)) == 1
        world.clock.move(timedelta(seconds=1))
        match(world.ctx)
        assert world.rows(tables.Presence) == []

    def test_a_child_in_the_target_group_is_not_forgotten_because_a_source_is_silent(self, world):
        world.present(KARLA)
        match(world.ctx)
        world.sof.fail_at = world.buf.fail_at = 0
        world.clock.move(timedelta(days=90))
        assert match(world.ctx).found == 1

    def test_what_is_seen_again_is_kept_however_old(self, world):
        world.present(KARLA, world.sof)
        for _week in range(8):
            match(world.ctx)
            world.clock.move(timedelta(days=7))
        assert len(world.rows(tables.Presence)) == 1


class TestSilence:
    def test_a_source_that_fails_leaves_what_was_known_and_shows_it(self, world):
        world.present(KARLA)
        match(world.ctx)
        world.buf.fail_at = 0
        world.clock.move(timedelta(days=8))
        found = match(world.ctx)
        assert found.found == 1
        assert {read.source: read.failure for read in found.reads} == {
            "sof": None,
            "buf": "the source does not answer",
            "suf": None,
        }
        (state,) = world.rows(
            tables.SourceState, tables.SourceState.source == "buf", tables.SourceState.purpose == "presence"
        )
        assert state.failure == "the source does not answer"
        assert state.failed_at == world.clock.now()
        assert state.answered_at < world.clock.now()

    def test_one_that_fails_hides_no_other(self, world):
        world.present(KARLA, world.buf, world.suf)
        world.sof.fail_at = 0
        assert match(world.ctx).found == 1

    def test_nor_does_a_plugin_with_a_bug_and_its_words_are_not_kept(self, world):
        """A programming error in a plugin may print a record: only its kind is kept."""
        world.present(KARLA, world.buf, world.suf)
        world.sof.fail_at, world.sof.error = 0, KeyError(KARLA)
        found = match(world.ctx)
        assert found.found == 1
        assert "KeyError" in (found.reads[0].failure or "")
        assert KARLA not in (found.reads[0].failure or "")

    def test_a_failure_ends_when_the_source_answers(self, world):
        world.sof.fail_at = 0
        match(world.ctx)
        world.sof.fail_at = None
        assert match(world.ctx, ["sof"]).reads[0].failure is None
        (state,) = world.rows(tables.SourceState, tables.SourceState.source == "sof")
        assert state.failure is None

    def test_a_failure_in_the_middle_removes_nothing(self, world):
        for n in range(6):
            world.present(world.number(n))
        match(world.ctx)
        world.buf.fail_at = 1
        world.clock.move(timedelta(days=8))
        assert match(world.ctx).found == 6


class TestWhatGoesAway:
    def test_a_tombstone_of_one_of_several_keeps_the_child(self, world):
        world.present(KARLA)
        world.sof.put(Presence("second", KARLA, State.OPEN))
        match(world.ctx)
        world.sof.take_away("second")
        assert match(world.ctx).found == 1
        world.sof.take_away("sof/" + KARLA)
        assert match(world.ctx).found == 0

    def test_a_complete_read_removes_what_was_not_in_it(self, world):
        world.present(KARLA)
        world.present(BO)
        match(world.ctx)
        world.buf.take_away("buf/" + KARLA, tombstone=False)
        assert match(world.ctx).found == 2  # nobody said so yet
        world.clock.move(timedelta(days=7))
        assert match(world.ctx).found == 1
        assert eligible(world) == {token(world, BO)}

    def test_what_comes_back_after_its_tombstone_is_there(self, world):
        """Also within one page: order counts."""
        world.present(KARLA)
        match(world.ctx)
        feed = world.sof._presences.changes
        gone = "sof/" + KARLA
        world.sof.presence = lambda since: iter(
            [Page((_gone(gone), Presence(gone, KARLA, State.OPEN)), f"new/{len(feed)}")]
        )
        assert match(world.ctx).found == 1

    def test_the_last_word_of_a_page_counts(self, world):
        world.present(KARLA)
        match(world.ctx)
        gone = "sof/" + KARLA
        world.sof.presence = lambda since: iter([Page((Presence(gone, KARLA, State.OPEN), _gone(gone)), "new/9")])
        assert match(world.ctx).found == 0

    def test_who_comes_back_into_the_target_group_is_the_same_child(self, world):
        world.present(KARLA)
        match(world.ctx)
        before = world.child(KARLA)
        world.sof.take_away("sof/" + KARLA)
        match(world.ctx)
        world.present(KARLA, world.sof)
        assert match(world.ctx).found == 1
        assert world.child(KARLA) == before

    def test_a_record_that_turns_out_to_be_about_another_child_moves(self, world):
        world.present(KARLA)
        match(world.ctx)
        world.sof.put(Presence("sof/" + KARLA, BO, State.OPEN))
        world.present(BO, world.buf)
        match(world.ctx)
        assert eligible(world) == {token(world, BO)}


def _gone(source_id: str):
    from hub.contract import Gone

    return Gone(source_id)


class TestBadNumbers:
    @pytest.mark.parametrize(
        ("given", "why"),
        [
            ("0000000000", "unknown"),  # the OIO schema's way to say so
            ("123", "ten characters"),
            ("3002164234", "no date"),  # 30 February
            ("031116423x", "digits"),
            ("031116AB34", "electronic"),  # letters without a seventh digit that says which kind
            ("031116423Æ", "digits"),
            ("0311162AB4", "electronic"),
            ("0311161AB4", "x-ecpr"),
            ("0311160AB4", "d-ecpr"),  # may be two persons
        ],
    )
    def test_are_kept_apart_with_a_reason_and_not_in_the_clear(self, world, given, why):
        world.sof.put(Presence("s", given, State.OPEN), Presence("t", KARLA, State.OPEN))
        world.buf.put(Presence("s", given, State.OPEN), Presence("t", KARLA, State.OPEN))
        found = match(world.ctx)
        assert found.found == 1  # the others go on
        assert [read.quarantined for read in found.reads] == [1, 1, 0]
        kept = world.rows(tables.Quarantine)
        assert len(kept) == 2
        for row in kept:
            assert why in row.reason
            assert given not in row.reason + row.position
            with world.session() as session:
                raw = unseal(open_key(session, world.ctx.keys, row.key_id), row.sealed, f"quarantine:{row.key_id}")
            assert given in raw.decode()

    def test_the_same_bad_record_is_kept_once(self, world):
        world.sof.put(Presence("s", "0000000000", State.OPEN))
        match(world.ctx)
        world.clock.move(timedelta(days=8))
        assert match(world.ctx).reads[0].reasons == {row.reason: 1 for row in world.rows(tables.Quarantine)}
        (row,) = world.rows(tables.Quarantine)
        assert (row.first_seen < row.last_seen, row.times) == (True, 2)

    def test_what_cannot_be_read_today_is_not_gone(self, world):
        """By the source's own words it is there: Unreadable with its id, or a number that cannot be one."""
        world.present(KARLA)
        world.present(BO)
        match(world.ctx)
        world.clock.move(timedelta(days=8))
        world.sof.put(Unreadable("entry 1", "no end tag", b"<x", "sof/" + KARLA))
        world.sof.put(Presence("sof/" + BO, "0000000000", State.OPEN))
        found = match(world.ctx)
        assert found.reads[0].quarantined == 2
        assert found.found == 2

    def test_replacement_numbers_count_like_others(self, world):
        world.present("6311164234")
        assert match(world.ctx).found == 1


NAMES = [f"0{1 + n}01{16 - n:02}{4000 + n}" for n in range(4)]
WHERE = st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(0, 3))
"""An administration, the source's id there, and the child it is about."""
STEP = st.one_of(
    st.tuples(st.just("put"), WHERE),
    st.tuples(st.just("tombstone"), WHERE),
    st.tuples(st.just("vanish"), WHERE),
)


SOURCES = ("sof", "buf", "suf")
"""Named, they are read although they have just failed."""


def apply(world, step) -> None:
    what, (admin, item, child) = step
    source = (world.sof, world.buf, world.suf)[admin]
    if what == "put":
        source.put(Presence(f"item {item}", NAMES[child], State.OPEN))
    else:
        source.take_away(f"item {item}", tombstone=what == "tombstone")


def clean(world) -> None:
    for source in (world.sof, world.buf, world.suf):
        source._presences.changes.clear()
        source.fail_at = None
    with world.ctx.database.begin() as session:
        for table in ("presence", "child_source", "former_number", "child", "person_key", "source_state"):
            session.execute(text(f"DELETE FROM {table}"))


def picture(world) -> tuple[object, ...]:
    presences = {(row.source, row.reference, row.token, row.state) for row in world.rows(tables.Presence)}
    return presences, eligible(world), {row.token for row in world.rows(tables.Child)}


@pytest.mark.slow
@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    before=st.lists(STEP, max_size=10),
    after=st.lists(STEP, max_size=8),
    size=st.integers(1, 3),
    kills=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.booleans()), min_size=1, max_size=3),
    full=st.booleans(),
)
def test_a_kill_between_any_two_pages_changes_nothing_in_the_end(world, before, after, size, kills, full):
    """The process dies (or the source stops answering) at a page, once or several times; run again, and all is as if
    nothing had happened."""
    pictures = []
    for disturbed in (False, True):
        clean(world)
        for source in (world.sof, world.buf, world.suf):
            source.page_size = size
        for step in before:
            apply(world, step)
        match(world.ctx)
        world.clock.move(timedelta(days=7 if full else 1))
        for step in after:
            apply(world, step)
        for admin, page, dies in kills if disturbed else []:
            source = (world.sof, world.buf, world.suf)[admin]
            source.fail_at, source.error = page, KeyboardInterrupt() if dies else TryAgain("no answer")
            try:
                match(world.ctx, SOURCES)
            except KeyboardInterrupt:
                assert dies
            source.fail_at = None
        match(world.ctx, SOURCES)
        world.clock.move(timedelta(days=7))  # the next full read has seen everything
        match(world.ctx)
        pictures.append(picture(world))
    presences, in_group, kept = pictures[0]
    assert pictures[1][:2] == (presences, in_group)
    # A child who was in the target group for some moment may have a row in one of the two; the others have none.
    assert in_group <= kept
    assert in_group <= pictures[1][2]


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(steps=st.lists(STEP, max_size=14), size=st.integers(1, 4))
def test_pages_and_their_order_make_no_difference(world, steps, size):
    """The target group is what the rule says of what the sources hold, however it is cut into pages."""
    clean(world)
    for source in (world.sof, world.buf, world.suf):
        source.page_size = size
    for step in steps:
        apply(world, step)
    match(world.ctx)
    where: dict[str, set[str]] = {}
    for source in (world.sof, world.buf, world.suf):
        for record in dict(source._presences.changes).values():
            if isinstance(record, Presence):
                where.setdefault(record.cpr, set()).add(source.name)
    assert eligible(world) == {token(world, child) for child, admins in where.items() if len(admins) > 1}
