"""How far a source is read, one reader at a time, what cannot be read, and who works there."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text

from hub import Adapter, Channel, GaveUp, Page, StaffRecord, TryAgain, Unreadable
from hub.cases import quarantine, readers, sources
from hub.cases.advisers import StaffKeeper, keep_staff
from hub.cases.sync import sync
from hub.store import tables
from hub.store.people import open_key
from hub.testing.fakes import FakeChannel, FakeSource
from hub.vault import unseal, unseal_json

WEEK = timedelta(days=7)
ANNE = StaffRecord("anne", "Anne Rådgiver", "anne@example.dk", "12340001", "Team Nord")


def begin(world, **values) -> sources.Start:
    with world.ctx.database.begin() as session:
        return sources.begin(session, "sof", sources.CASES, world.clock.now(), WEEK, **values)


def reach(world, cursor: str, *, full: bool = False) -> None:
    with world.ctx.database.begin() as session:
        row = sources.state(session, "sof", sources.CASES)
        row.cursor = cursor
        row.full_at = world.clock.now() if full else row.full_at


def end(world) -> None:
    with world.ctx.database.begin() as session:
        sources.end(session, "sof", sources.CASES, world.clock.now())


def test_fakes_keep_the_contract():
    assert isinstance(FakeSource("sof", "SOF"), Adapter)
    assert isinstance(FakeChannel(), Channel)


def test_a_read_begins_with_everything_goes_on_where_it_was_and_then_takes_what_is_new(world):
    first = begin(world)
    assert (first.cursor, first.resumed, first.anew) == (None, False, True)
    reach(world, "page 1")
    assert begin(world) == sources.Start("page 1", resumed=True, at=first.at)
    assert begin(world, anew=True).anew
    reach(world, "the end", full=True)
    end(world)
    again = begin(world)
    assert (again.cursor, again.resumed, again.anew) == ("the end", False, False)


def test_every_run_has_a_stamp_of_its_own_also_when_the_clock_stands(world):
    stamps = []
    for _run in range(3):
        stamps.append(begin(world).at)
        end(world)
    assert sorted(set(stamps)) == stamps


def test_a_read_cut_off_long_ago_begins_anew(world):
    begin(world)
    reach(world, "page 1")
    world.clock.move(WEEK)
    assert begin(world).anew


def test_a_full_read_comes_back_after_a_week(world):
    begin(world)
    reach(world, "the end", full=True)
    end(world)
    world.clock.move(WEEK - timedelta(seconds=1))
    assert begin(world).cursor == "the end"
    end(world)
    world.clock.move(timedelta(seconds=1))
    assert begin(world).cursor is None


def test_each_source_has_one_reader_and_another_source_its_own(world):
    database = world.ctx.database
    with readers.one_reader(database, "sof", sources.CASES) as first:
        with readers.one_reader(database, "sof", sources.CASES) as second:
            assert (first, second) == (True, False)
        with (
            readers.one_reader(database, "sof", sources.PRESENCE) as other,
            readers.one_reader(database, "buf", sources.CASES) as another,
        ):
            assert (other, another) == (True, True)
    with readers.one_reader(database, "sof", sources.CASES) as again:
        assert again


def test_a_killed_readers_place_is_free_at_once(world):
    database = world.ctx.database
    reader = readers.one_reader(database, "sof", sources.CASES)
    assert reader.__enter__()
    with database.owner_engine() as engine, engine.begin() as connection:
        here = "database = (SELECT oid FROM pg_database WHERE datname = current_database())"  # other tests run beside
        connection.execute(
            text(f"SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND {here}")
        )
    with readers.one_reader(database, "sof", sources.CASES) as another:
        assert another
    reader.__exit__(None, None, None)  # its lock went with its connection: there is nothing to give back


def test_a_plugins_own_errors_pass_and_its_faults_say_no_more_than_their_kind():
    def pages(error: BaseException):
        yield Page((), None)
        raise error

    with pytest.raises(TryAgain, match="busy"):
        list(sources.pages("sof", lambda: pages(TryAgain("busy"))))
    with pytest.raises(GaveUp, match="KeyError") as found:
        list(sources.pages("sof", lambda: pages(KeyError("0311164234"))))
    assert "0311164234" not in str(found.value)
    with pytest.raises(KeyboardInterrupt):
        list(sources.pages("sof", lambda: pages(KeyboardInterrupt())))


def test_what_cannot_be_read_is_kept_once_sealed_under_a_key_of_its_own(world):
    record = Unreadable("line 7", "no end tag", b"<sag>Karla 0311164234")
    for day in range(2):
        world.clock.move(timedelta(days=day))
        with world.ctx.database.begin() as session:
            assert quarantine.keep(session, world.ctx.keys, "sof", record, world.clock.now()) is (day == 0)
    with world.ctx.database.begin() as session:
        assert quarantine.keep(session, world.ctx.keys, "buf", record, world.clock.now())  # another source's
    first, second = world.rows(tables.Quarantine)
    assert first.key_id != second.key_id
    assert b"Karla" not in first.sealed + second.sealed
    with world.session() as session:
        key = open_key(session, world.ctx.keys, first.key_id)
        assert unseal(key, first.sealed, f"quarantine:{first.key_id}") == record.raw


def test_a_member_of_staff_is_one_row_kept_up_to_date(world):
    with world.ctx.database.begin() as session:
        first = keep_staff(world.ctx, session, "sof", "SOF", ANNE)
    with world.ctx.database.begin() as session:
        keeper = StaffKeeper(world.ctx, "sof", "SOF")
        assert keeper.keep(session, None) is None
        assert keeper.keep(session, replace(ANNE, phone="99999999")) == first
        assert keeper.keep(session, replace(ANNE, source_id="other")) != first
    with world.session() as session:
        row = session.get_one(tables.Staff, first)
        fields = unseal_json(open_key(session, world.ctx.keys, row.key_id), row.sealed, f"staff:{row.key_id}")
    assert fields == {"name": "Anne Rådgiver", "email": "anne@example.dk", "phone": "99999999", "unit": "Team Nord"}
    assert b"Anne" not in row.sealed


def test_the_same_id_at_two_sources_is_two_people(world):
    with world.ctx.database.begin() as session:
        assert keep_staff(world.ctx, session, "sof", "SOF", ANNE) != keep_staff(world.ctx, session, "buf", "BUF", ANNE)


def fail(world, why: str = "time-out", **more) -> tables.SourceState:
    with world.ctx.database.begin() as session:
        sources.failed(session, "sof", sources.CASES, world.clock.now(), why, **more)
    with world.session() as session:
        return session.get_one(tables.SourceState, ("sof", sources.CASES))


def test_the_wait_after_failures_doubles_is_spread_by_chance_and_has_an_end(world):
    for failure in range(1, 12):
        wait = (fail(world).next_try_at or world.clock.now()) - world.clock.now()
        least = min(sources.FIRST_WAIT * 2 ** (failure - 1), sources.LONGEST_WAIT)
        assert least <= wait <= min(least * 1.5, sources.LONGEST_WAIT)
    end(world)
    with world.session() as session:
        row = session.get_one(tables.SourceState, ("sof", sources.CASES))
    assert (row.failures, row.next_try_at, row.failure) == (0, None, None)


@pytest.mark.parametrize(("asked", "waits"), [(3600, timedelta(hours=1)), (10**9, sources.LONGEST_WAIT)])
def test_a_source_may_ask_to_be_left_alone_longer_but_not_for_ever(world, asked, waits):
    assert (fail(world, after_seconds=asked).next_try_at or world.clock.now()) - world.clock.now() == waits


def test_it_is_left_alone_until_then_and_asked_when_somebody_names_it(world):
    world.accepted("0311164234")
    world.sof.fail_at = 0
    sync(world.ctx)
    asked = len(world.sof.asked)
    world.sof.fail_at = None
    (read, *others) = sync(world.ctx)
    assert (len(world.sof.asked), read.failure) == (asked, "the source does not answer")
    assert read.next_try_at is not None
    assert [other.failure for other in others] == [None, None]
    (read,) = sync(world.ctx, ["sof"])
    assert (read.failure, read.next_try_at) == (None, None)
    world.sof.fail_at = 0
    sync(world.ctx)
    world.sof.fail_at = None
    world.clock.move(sources.LONGEST_WAIT)
    assert sync(world.ctx)[0].failure is None


def test_how_fresh_a_source_is(world):
    end(world)
    answered = world.clock.now()
    world.clock.move(timedelta(hours=1))
    fail(world)
    with world.session() as session:
        (found,) = sources.fresh(session)
    assert (found.source, found.purpose, found.stale_since, found.failure) == ("sof", "cases", answered, "time-out")
    end(world)
    with world.session() as session:
        (found,) = sources.fresh(session)
    assert (found.stale_since, found.answered_at) == (None, world.clock.now())


def test_one_that_never_answered_is_stale_since_for_ever_and_not_fresh(world):
    fail(world)
    with world.session() as session:
        (found,) = sources.fresh(session, sources.CASES)
    assert (found.stale_since, found.failure) == (None, "time-out")
