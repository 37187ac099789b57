"""Notices at the moments where a process may die, and with somebody else at work: nothing lost, nothing doubled as seen
by a receiver that takes an id once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from hub import State, consents, family
from hub.cases.sync import sync
from hub.letters import journalising
from hub.notices import hand_over
from hub.store import tables
from tests.notices.conftest import KARLA, MOTHER, SANNE, Receiver, hooked, receiver, with_notices

pytestmark = pytest.mark.slow

__all__ = ["hooked", "receiver", "with_notices"]  # fixtures


class Died(BaseException):
    """As kill -9: nothing catches it."""


@pytest.fixture
def told(races: Any, hooked: Receiver) -> Iterator[Any]:
    """Karla's adviser in SOF is to be told."""
    world = races.world
    world.accepted(KARLA, guardians=(MOTHER,))
    world.case(world.sof, "A-1", KARLA, State.OPEN, adviser=SANNE)
    sync(world.ctx)
    races.ctx = world.ctx
    return races


def rows(races: Any) -> list[tuple[str, int]]:
    return [(row.state, row.tries) for row in races.world.rows(tables.Handover)]


@pytest.mark.parametrize(
    ("point", "received", "left"),
    [
        ("notices.claimed", 0, [("waiting", 0)]),
        ("notices.claimed.committed", 0, [("waiting", 1)]),
        ("notices.handed_over", 1, [("waiting", 1)]),
        ("notices.sent", 1, [("sent", 1)]),
    ],
)
def test_a_kill_loses_nothing_and_the_id_tells_what_came_twice(
    told: Any, hooked: Receiver, moments: Any, point: str, received: int, left: list[tuple[str, int]]
) -> None:
    moments.fail(point, Died())
    with pytest.raises(Died):
        hand_over.hand_over_due(told.ctx)
    assert (len(hooked.got), rows(told)) == (received, left)
    told.world.clock.move(hand_over.CLAIM)
    hand_over.hand_over_due(told.ctx)
    assert [state for state, _tries in rows(told)] == ["sent"]
    assert len({got.headers["webhook-id"] for got in hooked.got}) == 1
    entries = told.world.rows(tables.LogEntry, tables.LogEntry.kind == "notice")
    assert len(entries) == 1, "one entry, durable before the first try"


def test_two_workers_hand_each_over_once(told: Any, hooked: Receiver, moments: Any) -> None:
    with told.held(moments, "notices.claimed", hand_over.hand_over_due, told.ctx) as first:
        hand_over.hand_over_due(told.ctx)
        assert hooked.got == []
    assert first.result(60).sent == 1
    assert len(hooked.got) == 1


@pytest.mark.parametrize("act", ["close", "withdraw"])
def test_a_no_waits_for_a_claim_and_is_obeyed_by_the_next(told: Any, hooked: Receiver, moments: Any, act: str) -> None:
    """The claim holds the log's head: the family's no has its place after it."""
    world = told.world
    by = consents.Speaker("guardian", "page", "text-1", "da", world.guardian(MOTHER))

    def no() -> None:
        if act == "close":
            consents.close(world.ctx, world.child(KARLA), "SOF", by)
        else:
            family.withdraw(world.ctx, world.child(KARLA), world.by(MOTHER))

    hooked.answers = [503]
    with told.held(moments, "notices.claimed", hand_over.hand_over_due, told.ctx) as first:
        answering = told.go(no)
        told.waiting()
    assert first.result(60).later == 1
    answering.result(60)
    world.clock.move(hand_over.CLAIM)
    hand_over.hand_over_due(told.ctx)
    kinds = [json.loads(got.body)["type"] for got in hooked.got]
    after = ["tovholder.coordinator.ended"] if act == "withdraw" else []
    assert kinds == ["tovholder.coordinator.assigned", *after]


def test_a_case_that_is_taken_away_waits_for_a_claim(told: Any, hooked: Receiver, moments: Any) -> None:
    world = told.world
    world.sof.take_away("A-1")
    with told.held(moments, "notices.claimed", hand_over.hand_over_due, told.ctx) as first:
        reading = told.go(sync, told.ctx)
        told.waiting()
    assert first.result(60).sent == 1
    reading.result(60)
    assert world.rows(tables.Case) == []


@pytest.mark.parametrize("point", ["journal.acknowledged", "journal.acknowledged.committed"])
def test_a_receipt_that_broke_off_is_said_again(told: Any, moments: Any, point: str) -> None:
    from hub.access.log import Asker
    from tests.notices.test_journal import write

    system = Asker("SOF-system", "SOF", "source", "SOF")
    write(told.world)
    (item,) = journalising.pull(told.ctx, system, 0).value.items
    moments.fail(point, Died())
    with pytest.raises(Died):
        journalising.acknowledge(told.ctx, system, item.id, "D-1")
    assert journalising.acknowledge(told.ctx, system, item.id, "D-1") is True
    assert len(told.world.rows(tables.LetterPart, tables.LetterPart.journalised_at.is_not(None))) == 1
