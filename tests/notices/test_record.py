"""Notices are written down with what they tell of: to the adviser of each open case, once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from hub import State, family
from hub.cases.sync import sync
from hub.coordination import cover
from hub.notices import record
from hub.store import tables
from hub.store.people import open_key
from hub.vault import unseal
from tests.notices.conftest import BO, KARLA, MOTHER, SANNE


def kinds(world: Any, administration: str = "SOF", **told: Any) -> list[tuple[str, str | None]]:
    rows = world.rows(tables.Notice, tables.Notice.administration == administration)
    return [(row.kind, row.why_not) for row in sorted(rows, key=lambda row: (row.at, row.kind))]


def told(world: Any) -> None:
    """All that waits has been told."""
    with world.ctx.database.begin() as session:
        new = (tables.Notice.told_at.is_(None), tables.Notice.why_not.is_(None))
        session.execute(update(tables.Notice).where(*new).values(told_at=world.clock.now()))
    world.clock.move(timedelta(minutes=1))


def withdraw(world: Any) -> None:
    family.withdraw(world.ctx, world.child(KARLA), world.by(MOTHER))


def change(world: Any, kind: Any, **columns: Any) -> None:
    """The coordinator is away, or back, as whoever writes it down does it."""
    with world.ctx.database.begin() as session:
        session.execute(update(tables.Coordinator).values(**columns))
        record.changed(session, world.clock.now(), kind, [world.child(KARLA)])


def hand_over(world: Any) -> None:
    with world.ctx.database.begin() as session:
        other = world.coordinators(2)[1]
        session.execute(update(tables.Assignment).values(until=world.clock.now()))
        session.flush()
        child = world.child(KARLA)
        session.add(tables.Assignment(child_id=child, coordinator_id=other, since=world.clock.now()))
        record.changed(session, world.clock.now(), "handed_over", [child])


def test_the_adviser_of_each_case_is_told_and_its_id_is_sealed(world: Any, karla: Any) -> None:
    notices = world.rows(tables.Notice)
    assert {(row.kind, row.administration, row.source) for row in notices} == {
        ("assigned", "SOF", "sof"),
        ("assigned", "BUF", "buf"),
    }
    with world.session() as session:
        key = open_key(session, world.ctx.keys, session.get_one(tables.Child, karla).key_id)
        sealed = {unseal(key, row.sealed, record.about(row.id)) for row in notices}
    assert sealed == {b"A-1", b"B-1"}


def test_what_is_read_again_is_told_once(world: Any, karla: Any) -> None:
    world.case(world.sof, "A-1", KARLA, State.DECIDED, adviser=SANNE)
    sync(world.ctx)
    assert kinds(world) == [("assigned", None)]


def test_whoever_takes_the_case_over_is_told_too(world: Any, karla: Any) -> None:
    world.case(world.sof, "A-1", KARLA, State.OPEN, adviser=BO)
    sync(world.ctx)
    assert kinds(world) == [("assigned", None), ("assigned", None)]


@pytest.mark.parametrize(("state", "adviser"), [(State.CLOSED, SANNE), (State.OPEN, None)])
def test_a_closed_case_or_one_without_an_adviser_tells_nobody(world: Any, state: State, adviser: Any) -> None:
    world.accepted(KARLA, guardians=(MOTHER,))
    world.case(world.sof, "A-1", KARLA, state, adviser=adviser)
    sync(world.ctx)
    assert world.rows(tables.Notice) == []


def test_without_a_yes_nobody_is_told(world: Any) -> None:
    world.coordinators()
    world.present(KARLA)
    world.custody(KARLA, MOTHER)
    world.night()
    world.case(world.sof, "A-1", KARLA, State.OPEN, adviser=SANNE)
    sync(world.ctx)
    assert world.rows(tables.Notice) == []


def test_an_end_is_told_to_whoever_was_told_of_the_beginning(world: Any, karla: Any) -> None:
    told(world)
    withdraw(world)
    assert kinds(world) == [("assigned", None), ("ended", None)]
    first, ended = sorted(world.rows(tables.Notice, tables.Notice.administration == "SOF"), key=lambda row: row.at)
    assert (ended.of_id, ended.sealed, ended.case_id) == (first.id, None, None)


def test_an_end_before_anybody_was_told_is_no_news(world: Any, karla: Any) -> None:
    withdraw(world)
    assert kinds(world) == [("assigned", record.ENDED)]


def test_whoever_has_another_case_now_is_not_told_of_the_end(world: Any, karla: Any) -> None:
    told(world)
    world.case(world.sof, "A-1", KARLA, State.OPEN, adviser=BO)
    sync(world.ctx)
    withdraw(world)
    assert kinds(world) == [("assigned", None), ("assigned", record.ENDED)]


def test_a_substitute_and_the_coordinators_return(world: Any, karla: Any) -> None:
    told(world)
    change(world, "substitute", away=True)
    told(world)
    change(world, "back", away=False)
    assert kinds(world) == [("assigned", None), ("substitute", None), ("back", None)]


def test_back_before_the_substitute_was_told_of_is_no_news(world: Any, karla: Any) -> None:
    told(world)
    change(world, "substitute", away=True)
    change(world, "back", away=False)
    assert kinds(world) == [("assigned", None), ("substitute", record.CHANGED)]


def test_a_substitute_before_the_coordinator_was_told_of_is_told_with_the_coordinator(world: Any, karla: Any) -> None:
    change(world, "substitute", away=True)
    assert kinds(world) == [("assigned", None)]


def test_another_coordinator_is_told_of_and_twice_is_two_things(world: Any, karla: Any) -> None:
    told(world)
    hand_over(world)
    assert kinds(world) == [("assigned", None), ("handed_over", None)]
    told(world)
    hand_over(world)
    assert [kind for kind, _why in kinds(world)] == ["assigned", "handed_over", "handed_over"]


def test_another_coordinator_before_the_first_was_told_of_is_the_first(world: Any, karla: Any) -> None:
    hand_over(world)
    assert kinds(world) == [("assigned", None)]
    with world.session() as session:
        now = session.execute(
            select(tables.Assignment.coordinator_id).where(tables.Assignment.until.is_(None))
        ).scalar_one()
    assert {row.coordinator_id for row in world.rows(tables.Notice)} == {now}


def test_who_goes_away_comes_back_and_hands_over_is_told_of_by_that_act(world: Any, karla: Any) -> None:
    world.coordinators(3)
    told(world)
    cover.go_away(world.ctx, "k0", "k1")
    told(world)
    cover.come_back(world.ctx, "k0")
    told(world)
    cover.hand_over(world.ctx, "k0", "k2")
    assert [kind for kind, _why in kinds(world)] == ["assigned", "substitute", "back", "handed_over"]
    assert [kind for kind, _why in kinds(world, "BUF")] == ["assigned", "substitute", "back", "handed_over"]
