"""Two reads of one source at once: the second leaves it alone; and where the first has lost its lock without knowing,
what it brings late is not taken."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import date
from threading import Event
from typing import Any

import pytest
from sqlalchemy import text

from hub import State, jobs
from hub.cases import match
from hub.cases.sync import sync
from hub.store import tables

pytestmark = pytest.mark.slow

KARLA, EMIL = "0311164234", "1405134321"
MOTHER = "0101804001"


def held_up(source: Any, name: str, page: int) -> tuple[Event, Event]:
    """The next read of the source stands still before it gives its page `page` (from 0)."""
    asked, go, read = Event(), Event(), getattr(source, name)

    def slow(*arguments: Any) -> Any:
        setattr(source, name, read)
        pages = list(read(*arguments))  # as it was when it was asked
        for number, one in enumerate(pages):
            if number == page:
                asked.set()
                assert go.wait(60)
            yield one

    setattr(source, name, slow)
    return asked, go


def cut_locks(races) -> None:
    """The connections that hold a reader's lock are cut, as by a firewall that forgets what is silent."""
    with races.world.session() as session:
        session.execute(
            text(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = current_database() "
                "AND state = 'idle' AND pid IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted)"
            )
        )


def counts(races) -> dict[str, int]:
    return {
        "cases": len(races.world.rows(tables.Case)),
        "events": len(races.world.events()),
        "presences": len(races.world.rows(tables.Presence)),
        "children": len(races.world.rows(tables.Child)),
    }


@pytest.fixture
def changed(siblings) -> Callable[[], dict[str, int]]:
    """Much is new in the source: five cases, and one with a date. Gives how it stands."""
    world = siblings.world
    for n in range(5):
        world.case(world.sof, f"new {n}", KARLA)
    world.case(world.sof, "s1", KARLA, State.APPLIED, deadline=date(2027, 3, 1))
    return lambda: counts(siblings)


def test_the_second_leaves_the_source_alone_and_says_so(siblings, changed):
    asked, go = held_up(siblings.world.sof, "read", 1)
    first = siblings.go(sync, siblings.ctx, ["sof"])
    assert asked.wait(60)
    busy = {read.source: read.busy for read in sync(siblings.ctx)}
    assert busy == {"sof": True, "buf": False, "suf": False}
    go.set()
    assert [read.busy for read in first.result(60)] == [False]
    assert changed() == {"cases": 7, "events": 6, "presences": 4, "children": 2}
    sync(siblings.ctx)
    assert changed() == {"cases": 7, "events": 6, "presences": 4, "children": 2}


def test_a_match_and_a_sync_of_one_source_do_not_hinder_each_other(siblings, changed):
    asked, go = held_up(siblings.world.sof, "presence", 0)
    matching = siblings.go(match.match, siblings.ctx)
    assert asked.wait(60)
    assert not any(read.busy for read in sync(siblings.ctx))
    go.set()
    assert not any(read.busy for read in matching.result(60).reads)
    assert changed()["events"] == 6


def test_many_at_once_are_as_good_as_one(siblings, changed):
    rounds = [siblings.go(sync, siblings.ctx) for _ in range(6)]
    assert all(each.exception(100) is None for each in rounds)
    assert any(not read.busy for each in rounds for read in each.result() if read.source == "sof")
    sync(siblings.ctx)
    assert changed() == {"cases": 7, "events": 6, "presences": 4, "children": 2}
    assert list(siblings.ends().values()).count("waits") == 6


@pytest.mark.parametrize("page", [0, 1, 2])
def test_one_that_has_lost_its_lock_brings_nothing_late(siblings, changed, page):
    """Its connection was cut while it waited for a page. Another reads the source meanwhile, and the source moves on.
    What the first had been given by then is old news, and not news once more."""
    world = siblings.world
    asked, go = held_up(world.sof, "read", page)
    first = siblings.go(sync, siblings.ctx, ["sof"])
    assert asked.wait(60)
    cut_locks(siblings)
    world.case(world.sof, "s1", KARLA, State.APPLIED, deadline=date(2027, 4, 1))
    world.sof.take_away("new 3")
    [second] = sync(siblings.ctx, ["sof"])
    assert not second.busy
    go.set()
    [late] = first.result(60)
    assert late.failure is None  # the source has done nothing wrong, and is not shown as silent
    world.case(world.sof, "new 0", KARLA, State.CLOSED)
    sync(siblings.ctx)
    stand = {row.reference: row.is_open for row in world.rows(tables.Case)}
    refer = siblings.ctx.keys.refer
    assert refer("sof", "new 3") not in stand
    assert stand[refer("sof", "new 0")] is False
    told = Counter(event.kind for event in world.events() if event.why_not is None)
    # Each once, and not of the one that is gone: the date that was put over the newer one would be told twice more.
    assert told == {"deadline_set": 1, "case_opened": 4, "case_closed": 1}


@pytest.mark.parametrize("page", [0, 1])
def test_a_match_that_has_lost_its_lock_ends_nobody_it_did_not_see(races, page):
    """The late one's whole read is over before it ends: what the other has seen since is not ended by it."""
    world = races.world
    world.coordinators()
    for n in range(4):
        world.present(world.number(n))
        world.custody(world.number(n), MOTHER)
    asked, go = held_up(world.sof, "presence", page)
    first = races.go(match.match, races.ctx, ["sof"])
    assert asked.wait(60)
    cut_locks(races)
    world.present(world.number(9))
    match.match(races.ctx)
    go.set()
    first.result(60)
    jobs.find_and_offer(races.ctx)
    assert {row.eligible for row in world.rows(tables.Child)} == {True}
    assert counts(races)["children"] == 5
    assert counts(races)["presences"] == 10
