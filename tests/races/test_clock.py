"""The clock is moved: an hour back, a month ahead and back again, over the days on which summer begins and ends.
Nothing is told twice, and nothing waits for a time that somebody's clock once showed by mistake."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from hub import State, TryAgain, family, jobs
from hub.access.askers import KeyCache
from hub.access.log import Asker
from hub.cases import custody, events, reminders
from hub.cases.sync import sync
from hub.clock import DENMARK
from hub.letters import delivery, statuses
from hub.store import tables

pytestmark = pytest.mark.slow

KARLA, EMIL = "0311164234", "1405134321"
MOTHER, FATHER = "0101804001", "0101804002"
MONTH, HOUR = timedelta(days=31), timedelta(hours=1)


@contextmanager
def wrong(races, by: timedelta) -> Iterator[None]:
    """The clock is moved, and put right again."""
    clock = races.world.clock
    clock.move(by)
    yield
    clock.move(-by)


def day(races) -> None:
    """All that a day does."""
    ctx = races.ctx
    jobs.find_and_offer(ctx)
    sync(ctx)
    reminders.remind(ctx)
    races.compose()
    for letter in races.letters(tables.Letter.state == "frozen"):
        delivery.deliver(ctx, letter.id)
    statuses.take_statuses(ctx)
    statuses.overdue(ctx)


def told(races) -> list[tuple[Any, ...]]:
    return sorted((row.guardian_id, row.child_id, row.kind, row.once) for row in races.world.rows(tables.Event))


@pytest.mark.parametrize("by", [-HOUR, MONTH, timedelta(days=-3)], ids=["hour back", "month ahead", "days back"])
def test_nothing_is_told_twice(siblings, by):
    """The same days' work under a wrong clock, and once more when it is right."""
    world = siblings.world
    deadline = world.clock.now().date() + timedelta(days=9)
    world.case(world.sof, "s1", KARLA, State.APPLIED, deadline=deadline)
    world.case(world.buf, "b1", EMIL, State.CLOSED)
    day(siblings)
    with wrong(siblings, by):
        day(siblings)
        day(siblings)
    day(siblings)
    before = told(siblings)
    assert len({one[:2] + one[3:] for one in before}) == len(before)
    kinds = [row.kind for row in world.events()]
    # By a clock that is a month ahead the deadline has passed: it cannot know better, and says so once.
    passed = ["deadline_passed"] if by == MONTH else []
    assert sorted(kinds) == sorted(["case_closed", "deadline_near", "deadline_set", *passed])
    siblings.due()
    day(siblings)
    assert told(siblings) == before
    assert "waits" not in siblings.ends().values()
    assert len(world.channel.tries) == len(world.channel.taken) == len(siblings.letters())
    assert siblings.log_is_gapless()


def test_news_of_a_clock_that_was_a_month_ahead_does_not_wait_a_month(siblings):
    world = siblings.world
    with wrong(siblings, MONTH):
        world.case(world.sof, "s1", KARLA, State.DECIDED)
        sync(siblings.ctx)
    assert list(siblings.ends().values()).count("waits") == 1
    assert siblings.compose() == 1
    assert "waits" not in siblings.ends().values()


def test_but_no_bundle_leaves_early_because_two_machines_clocks_differ(siblings):
    world = siblings.world
    with wrong(siblings, timedelta(minutes=5)):
        world.case(world.sof, "s1", KARLA, State.DECIDED)
        sync(siblings.ctx)
    assert siblings.compose() == 0


def test_a_source_that_failed_then_is_not_left_alone_until_then(siblings):
    world = siblings.world
    with wrong(siblings, MONTH):
        world.sof.fail_at, world.sof.error = 0, TryAgain("down")
        sync(siblings.ctx)
        world.sof.fail_at = None
    world.case(world.sof, "s1", KARLA, State.DECIDED)
    sync(siblings.ctx)
    assert len(world.events("decided")) == 1


def test_but_one_that_fails_now_is_left_alone(siblings):
    world = siblings.world
    world.sof.fail_at, world.sof.error = 0, TryAgain("down")
    sync(siblings.ctx)
    asked = len(world.sof.asked)
    world.clock.move(timedelta(minutes=1))
    sync(siblings.ctx)
    assert len(world.sof.asked) == asked


def test_a_whole_read_then_does_not_put_off_the_next(siblings):
    """A case that went without a tombstone is seen to have gone by a whole read only."""
    world = siblings.world
    with wrong(siblings, MONTH):
        sync(siblings.ctx)
    world.sof.take_away("s1", tombstone=False)
    sync(siblings.ctx)
    assert world.rows(tables.Case, tables.Case.child_id == world.child(KARLA)) == []


def test_custody_read_then_is_read_again_and_its_end_is_seen(siblings):
    world = siblings.world
    with wrong(siblings, MONTH):
        custody.read_custody(siblings.ctx, {world.child(KARLA), world.child(EMIL)})
    world.cpr.take_away(f"{KARLA}/{MOTHER}", tombstone=False)
    with siblings.ctx.database.begin() as session:
        assert custody.unread(session, world.clock.now()) == {world.child(KARLA), world.child(EMIL)}
    jobs.find_and_offer(siblings.ctx)
    with siblings.ctx.database.session() as session:
        found = events.guardians_of(session, {world.child(KARLA), world.child(EMIL)}, world.clock.now().date())
    assert found == {world.child(EMIL): [world.guardian(MOTHER)]}


def test_custody_that_another_machine_has_just_named_is_not_ended(siblings):
    """Its clock is a little ahead of ours."""
    world = siblings.world
    with wrong(siblings, timedelta(minutes=5)):
        custody.read_custody(siblings.ctx, {world.child(KARLA)})
    world.cpr.take_away(f"{KARLA}/{MOTHER}", tombstone=False)
    custody.read_custody(siblings.ctx, {world.child(KARLA)})
    (row,) = world.rows(tables.Custody, tables.Custody.child_id == world.child(KARLA))
    assert row.until is None


@pytest.mark.parametrize("by", [-HOUR, MONTH, -MONTH])
def test_keys_kept_for_an_hour_are_kept_for_no_longer(siblings, by):
    """Somebody who is forgotten is not written about under a key that was kept."""
    clock, ctx = siblings.world.clock, siblings.ctx
    cache, asker = KeyCache(ctx.database, ctx.keys, clock), Asker("s-1", "Sanne Toft", "staff")
    cache.fetch(asker)
    clock.move(by)
    assert (cache.known(asker) is None) == (abs(by) > HOUR)


class TestSummerTime:
    @pytest.mark.parametrize(
        ("opened", "due"),
        [
            (datetime(2026, 3, 26, 12, tzinfo=UTC), datetime(2026, 3, 31, 6, tzinfo=UTC)),  # summer begins on the 29th
            (datetime(2026, 10, 22, 12, tzinfo=UTC), datetime(2026, 10, 27, 7, tzinfo=UTC)),  # and ends on the 25th
            (datetime(2026, 10, 24, 22, 30, tzinfo=UTC), datetime(2026, 10, 28, 7, tzinfo=UTC)),  # half past midnight
        ],
    )
    def test_letters_leave_at_eight_in_the_morning_by_danish_clocks(self, opened, due):
        found = events.due_at(opened, 3)
        assert (found, found.astimezone(DENMARK).hour) == (due, 8)

    def test_the_hour_that_comes_twice_tells_nothing_twice(self, siblings):
        """Danish clocks show 02:30 at 00:30 and at 01:30 UTC."""
        world = siblings.world
        world.clock.set(datetime(2026, 10, 25, 0, 30, tzinfo=UTC))
        world.case(world.sof, "s1", KARLA, State.DECIDED)
        day(siblings)
        world.clock.move(HOUR)
        day(siblings)
        assert len(world.events("decided")) == 1
        world.clock.set(world.rows(tables.Bundle, tables.Bundle.composed_at.is_(None))[0].due_at)
        day(siblings)
        day(siblings)
        assert len(world.channel.tries) == len(siblings.letters())
        assert "waits" not in siblings.ends().values()

    @pytest.mark.parametrize(
        ("child", "midnight"),
        [
            ("2903084000", datetime(2026, 3, 28, 23, tzinfo=UTC)),  # winter time still
            ("3003084000", datetime(2026, 3, 29, 22, tzinfo=UTC)),
            ("2510084000", datetime(2026, 10, 24, 22, tzinfo=UTC)),  # summer time still
            ("2610084000", datetime(2026, 10, 25, 23, tzinfo=UTC)),
        ],
    )
    def test_an_18th_birthday_is_obeyed_at_danish_midnight(self, races, child, midnight):
        world = races.world
        world.clock.set(midnight - timedelta(days=20))
        world.accepted(child, guardians=(MOTHER,))
        world.clock.set(midnight - timedelta(seconds=1))
        assert family.come_of_age(races.ctx) == 0
        world.clock.set(midnight)
        assert family.come_of_age(races.ctx) == 1
        assert family.come_of_age(races.ctx) == 0


class TestJobs:
    """Jobs go by the clocks of workers and of PostgreSQL."""

    @pytest.fixture
    def frozen(self, siblings):
        world = siblings.world
        world.case(world.sof, "s1", KARLA, State.DECIDED)
        sync(siblings.ctx)
        return siblings.write()

    def take_up(self, siblings) -> int:
        app = jobs.build(siblings.ctx)

        async def run() -> int:
            async with app.open_async():
                return await jobs.take_up(app, 30.0)

        return asyncio.run(run())

    def change(self, siblings, statement: str) -> None:
        with siblings.ctx.database.begin() as session:
            session.execute(text(statement))

    def ask(self, siblings, question: str) -> Any:
        with siblings.ctx.database.session() as session:
            return session.execute(text(question)).scalar_one()

    LATER = "SELECT count(*) FROM procrastinate_jobs WHERE scheduled_at > now()"

    def test_one_put_off_until_next_month_is_due(self, siblings, frozen):
        self.change(siblings, "UPDATE procrastinate_jobs SET scheduled_at = now() + interval '1 month'")
        self.take_up(siblings)
        assert self.ask(siblings, self.LATER) == 0

    def test_one_that_is_to_be_tried_again_in_an_hour_waits(self, siblings, frozen):
        self.change(siblings, "UPDATE procrastinate_jobs SET scheduled_at = now() + interval '1 hour'")
        before = self.ask(siblings, self.LATER)
        self.take_up(siblings)
        assert self.ask(siblings, self.LATER) == before > 0

    def test_one_of_a_worker_that_died_when_it_was_next_month_is_taken_up(self, siblings, frozen):
        self.change(
            siblings,
            "INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() + interval '1 month');"
            "UPDATE procrastinate_jobs SET status = 'doing', worker_id = (SELECT max(id) FROM procrastinate_workers)",
        )
        assert self.take_up(siblings) == 0  # it may live; but it must say so from now on
        self.change(siblings, "UPDATE procrastinate_workers SET last_heartbeat = last_heartbeat - interval '1 minute'")
        assert self.take_up(siblings) > 0

    def test_a_worker_begins_anew_when_the_clock_was_put_back(self, siblings, monkeypatch):
        """Else it would defer nothing until the time it had seen before comes again."""
        app = jobs.build(siblings.ctx)
        times = iter([1_000_000.0, 1_000_000.0, 1_000_000.0, 1_000_000.0 - 3600])
        monkeypatch.setattr(jobs, "wall", lambda: next(times))
        monkeypatch.setattr(jobs, "monotonic", lambda: 0.0)

        async def run() -> None:
            async with app.open_async():
                await asyncio.wait_for(jobs._rescue(app, 0.01), 60)

        asyncio.run(run())
        assert list(times) == []  # it went on while the clock did
