"""How many children somebody may look up in an hour: counted over all processes, told to the auditor, and stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from hub.access import pace
from hub.access.log import Asker
from hub.access.lookup import LogUnavailable, LookupQueue, Request
from hub.access.pace import ReasonNeeded, TooMany
from hub.clock import SetClock
from hub.context import Context
from hub.settings import Access
from hub.store import tables
from hub.store.people import open_key
from hub.vault import unseal_json

SANNE, BO = Asker("s-1", "Sanne Toft", "staff", "SOF"), Asker("s-2", "Bo Falk", "staff", "BUF")
MOST = 6
REASON = "Jeg gennemgår alle sager i mit team."
Take = Callable[..., None]


@pytest.fixture
def ctx(ctx: Context) -> Context:
    return replace(ctx, settings=ctx.settings.model_copy(update={"access": Access(children_an_hour=MOST)}))


async def look(queue: LookupQueue, asker: Asker, *numbers: int, reason: str | None = None) -> None:
    """Look these children up, as one question. Nobody knows them: what counts is that somebody asks."""
    await queue.ask_all([Request(asker, n.to_bytes(32, "big"), "case", reason) for n in numbers])


@pytest.fixture
def take(town: Any) -> Take:
    """Look at children one after the other, each in a serving process of its own."""

    def take(asker: Asker, *numbers: int, reason: str | None = None) -> None:
        async def one(number: int) -> None:
            async with town.queue() as queue:
                await look(queue, asker, number, reason=reason)

        for number in numbers:
            asyncio.run(one(number))

    return take


@pytest.fixture
def at_once(town: Any) -> Take:
    """Look at children as one question: a worklist."""

    def at_once(asker: Asker, *numbers: int, reason: str | None = None) -> None:
        async def all_of_them() -> None:
            async with town.queue() as queue:
                await look(queue, asker, *numbers, reason=reason)

        asyncio.run(all_of_them())

    return at_once


def alarms(ctx: Context) -> list[dict[str, Any]]:
    """Who the auditor is told of: the entries that the tasks are about."""
    told = []
    with ctx.database.session() as session:
        for task in session.execute(select(tables.Task).where(tables.Task.kind == pace.KIND)).scalars():
            entry = session.execute(select(tables.LogEntry).where(tables.LogEntry.id == task.entry_id)).scalar_one()
            assert entry.kind == pace.KIND
            assert (task.staff_id, task.administration, task.child_id) == (None, None, None)
            told.append(unseal_json(open_key(session, ctx.keys, entry.asker_key), entry.asker, f"log-asker:{entry.id}"))
    return told


def test_up_to_the_setting_nothing_is_asked(take: Take, ctx: Context) -> None:
    take(SANNE, *range(MOST))
    assert alarms(ctx) == []


def test_more_needs_a_reason_and_is_told_to_the_auditor(take: Take, ctx: Context) -> None:
    take(SANNE, *range(MOST))
    for reason in (None, "", "kort", "          "):
        with pytest.raises(ReasonNeeded):
            take(SANNE, 99, reason=reason)
    assert [asker["id"] for asker in alarms(ctx)] == ["s-1"]
    take(SANNE, 99, reason=REASON)
    assert len(alarms(ctx)) == 1, "once, however often"


def test_twice_as_many_are_refused_whatever_the_reason(take: Take, ctx: Context, clock: SetClock) -> None:
    take(SANNE, *range(MOST))
    clock.move(timedelta(minutes=20))
    take(SANNE, *range(MOST, 2 * MOST), reason=REASON)
    with pytest.raises(TooMany) as caught:
        take(SANNE, 99, reason=REASON)
    assert caught.value.after_seconds == 40 * 60 + 1
    clock.move(timedelta(seconds=caught.value.after_seconds))
    take(SANNE, 99, reason=REASON)


def test_the_same_child_counts_once(take: Take) -> None:
    take(SANNE, *[7] * (3 * MOST))
    take(SANNE, *range(2 * MOST), reason=REASON)
    take(SANNE, *range(2 * MOST))  # all seen already: neither a reason nor a refusal


def test_each_person_has_an_hour_of_their_own(take: Take) -> None:
    take(SANNE, *range(2 * MOST), reason=REASON)
    take(BO, *range(MOST))


def test_the_hour_moves_with_the_clock(take: Take, clock: SetClock) -> None:
    for n in range(5 * MOST):
        take(SANNE, n)
        clock.move(timedelta(minutes=60) / MOST)


def test_a_worklist_is_counted_child_by_child_and_taken_whole_or_not_at_all(at_once: Take, ctx: Context) -> None:
    at_once(SANNE, *range(MOST))
    with pytest.raises(TooMany):
        at_once(SANNE, *range(MOST, 2 * MOST + 1), reason=REASON)
    with pytest.raises(ReasonNeeded):
        at_once(SANNE, *range(2 * MOST))
    at_once(SANNE, *range(2 * MOST), reason=REASON)
    with ctx.database.session() as session:
        assert len(session.execute(select(tables.AskerHour)).all()) == 2 * MOST


def test_several_processes_at_once_let_no_more_through(town: Any, ctx: Context, clock: SetClock) -> None:
    async def all_at_once() -> list[Any]:
        async with AsyncExitStack() as stack:
            queues = [await stack.enter_async_context(town.queue()) for _ in range(4)]
            steps = [look(queues[n % 4], SANNE, n, reason=REASON) for n in range(5 * MOST)]
            return await asyncio.gather(*steps, return_exceptions=True)

    for _round in range(3):
        said = asyncio.run(all_at_once())
        assert sum(each is None for each in said) == 2 * MOST
        assert {type(each) for each in said} == {type(None), TooMany}
    with ctx.database.session() as session:
        assert len(session.execute(select(tables.AskerHour)).all()) == 2 * MOST
    assert len(alarms(ctx)) == 1


def test_who_is_refused_for_it_is_shown_nothing_and_stands_in_the_log(town: Any, ctx: Context) -> None:
    child = town.child()

    async def one_more() -> Any:
        async with town.queue() as queue:
            await look(queue, SANNE, *range(MOST))
            return await asyncio.gather(queue.ask(town.request(child, SANNE)), return_exceptions=True)

    [said] = asyncio.run(one_more())
    assert type(said) is ReasonNeeded
    [row] = [row for row in town.log() if row.child_id == child.id and row.kind == "lookup"]
    subject = town.open(row, "subject")
    assert (subject["see"], subject["basis"], subject["shown"]) == (False, "pace", [])


@pytest.mark.slow
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.sampled_from([SANNE, BO]),
            st.lists(st.integers(0, 30), min_size=1, max_size=8),
            st.booleans(),
            st.integers(0, 40),
        ),
        max_size=20,
    )
)
def test_it_is_as_if_one_counted_by_hand(town: Any, clock: SetClock, steps: Sequence[Any]) -> None:
    clock.move(timedelta(hours=2))  # what an earlier example did is past
    looked: dict[tuple[str, int], Any] = {}

    async def walk() -> None:
        for asker, numbers, has_reason, minutes in steps:
            clock.move(timedelta(minutes=minutes))
            now = clock.now()
            seen = {n for (who, n), at in looked.items() if who == asker.id and at > now - pace.HOUR}
            more = set(numbers) - seen
            count = len(seen | more)
            expected: type[Exception] | None = None
            if more and count > 2 * MOST:
                expected = TooMany
            elif more and count > MOST and not has_reason:
                expected = ReasonNeeded
            async with town.queue() as queue:
                asking = look(queue, asker, *numbers, reason=REASON if has_reason else None)
                [said] = await asyncio.gather(asking, return_exceptions=True)
            assert (None if said is None else type(said)) is expected
            if said is None:
                looked.update({(asker.id, n): now for n in numbers})

    asyncio.run(walk())


def test_what_is_kept_names_nobody_and_goes_after_the_hour(take: Take, ctx: Context, clock: SetClock) -> None:
    take(SANNE, 1)
    take(BO, 1)
    with ctx.database.session() as session:
        rows = session.execute(select(tables.AskerHour)).scalars().all()
    assert len({row.child for row in rows}) == 2, "that two persons looked at one child cannot be seen"
    assert (1).to_bytes(32, "big") not in {row.child for row in rows}
    clock.move(timedelta(minutes=59))
    assert pace.purge(ctx.database, clock) == 0
    clock.move(timedelta(minutes=2))
    assert pace.purge(ctx.database, clock) == 2


def test_when_it_cannot_be_counted_nobody_is_let_through(take: Take, as_owner: Callable[[str], None]) -> None:
    as_owner("REVOKE INSERT ON asker_hour FROM tovholder_lookup")
    try:
        with pytest.raises(LogUnavailable):
            take(SANNE, 1)
    finally:
        as_owner("GRANT INSERT ON asker_hour TO tovholder_lookup")


def test_no_answer_leaves_before_the_auditor_is_told(
    town: Any, at_once: Take, ctx: Context, as_owner: Callable[[str], None]
) -> None:
    at_once(SANNE, *range(MOST))
    as_owner("REVOKE INSERT ON task FROM tovholder_app")
    try:
        with pytest.raises(LogUnavailable):
            at_once(SANNE, 99, reason=REASON)
    finally:
        as_owner("GRANT INSERT ON task TO tovholder_app")
    assert alarms(ctx) == []
    at_once(SANNE, 99, reason=REASON)
    assert len(alarms(ctx)) == 1
