"""Places are given in the published order, once each, and who waits is told why."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta
from threading import Barrier
from uuid import uuid4

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from hub import family
from hub.coordination import offers
from hub.coordination.caseload import NO_GUARDIAN, NO_PLACE, SIBLING_FULL
from hub.settings import Coordination
from hub.store import tables

MOTHER, FATHER, OTHER = "0101804001", "0101804002", "0101804003"


def with_places(world, target: int, limit: int | None = None, **values) -> None:
    coordination = Coordination(target=target, limit=limit or target, **values)
    world.ctx = replace(world.ctx, settings=world.ctx.settings.model_copy(update={"coordination": coordination}))


def states(world) -> dict[str, int]:
    found: dict[str, int] = {}
    for row in world.rows(tables.Offer):
        found[row.state] = found.get(row.state, 0) + 1
    return found


def children(world, count: int, *, start: int = 0) -> list[str]:
    """Children of one family each, present in two administrations."""
    made = [world.number(n) for n in range(start, start + count)]
    for n, child in enumerate(made, start):
        world.present(child)
        world.custody(child, f"010180{4100 + n}")
    return made


def test_offers_fill_the_places_and_who_waits_sees_why(world):
    with_places(world, 3)
    world.coordinators(2)
    children(world, 7)
    placed = world.night()
    assert (placed.offered, placed.waiting) == (6, 1)
    assert states(world) == {"offered": 6, "waiting": 1}
    (waiting,) = world.rows(tables.Offer, tables.Offer.state == "waiting")
    assert waiting.why == NO_PLACE
    assert waiting.coordinator_id is None
    assert waiting.offered_at is None


def test_without_a_coordinator_everybody_waits(world):
    children(world, 2)
    assert world.night().waiting == 2


def test_a_second_night_offers_nothing_twice(world):
    world.coordinators()
    children(world, 2)
    world.night()
    before = [(row.id, row.offered_at) for row in world.rows(tables.Offer)]
    world.clock.move(timedelta(days=1))
    assert world.night() == offers.Placed(0, 0, 0)
    assert [(row.id, row.offered_at) for row in world.rows(tables.Offer)] == before
    assert len(world.events("offered")) == 2


def test_an_offer_is_told_to_each_guardian_once_and_answered_within_working_days(world):
    world.coordinators()
    child = world.number(1)
    world.present(child)
    world.custody(child, MOTHER, FATHER)
    world.night()
    assert {event.guardian_id for event in world.events("offered")} == {world.guardian(MOTHER), world.guardian(FATHER)}
    (offer,) = world.rows(tables.Offer)
    assert offer.answer_by == date(2026, 11, 16)  # ten working days after Monday 2 November


def test_siblings_go_to_the_coordinator_the_family_has_up_to_the_limit(world):
    with_places(world, 2, 3)
    (coordinator,) = world.coordinators()
    first, second, third, fourth = (world.number(n) for n in range(4))
    world.accepted(first, guardians=(MOTHER,))
    for child in (second, third):
        world.present(child)
        world.custody(child, MOTHER)
    world.night()
    world.present(fourth)
    world.custody(fourth, MOTHER)
    assert world.night().waiting == 1
    found = {row.child_id: row for row in world.rows(tables.Offer)}
    assert found[world.child(third)].coordinator_id == coordinator
    assert found[world.child(fourth)].why == SIBLING_FULL


def test_a_no_frees_the_place_for_the_next_in_the_order(world):
    with_places(world, 1)
    world.coordinators()
    (first,) = children(world, 1)
    world.night()
    world.clock.move(timedelta(days=1))
    (second,) = children(world, 1, start=1)
    assert world.night().waiting == 1
    family.decline(world.ctx, world.child(first), world.by("0101804100"))
    assert world.night().offered == 1
    found = {row.child_id: row.state for row in world.rows(tables.Offer)}
    assert found == {world.child(first): "declined", world.child(second): "offered"}


def test_a_family_that_said_no_is_neither_offered_again_nor_looked_up_again(world):
    world.coordinators()
    (child,) = children(world, 1)
    world.night()
    family.decline(world.ctx, world.child(child), world.by("0101804100"))
    asked = len(world.cpr.asked)
    world.clock.move(timedelta(days=1))
    world.night()
    assert states(world) == {"declined": 1}
    assert len(world.cpr.asked) == asked


def test_a_child_without_a_guardian_waits_for_a_person(world):
    world.coordinators()
    world.present(world.number(1))
    world.night()
    (offer,) = world.rows(tables.Offer)
    assert (offer.state, offer.why) == ("waiting", NO_GUARDIAN)


def test_a_child_that_has_left_the_target_group_gets_no_place(world):
    (child,) = children(world, 1)
    world.night()
    world.sof.take_away("sof/" + child)
    world.coordinators()
    assert world.night().offered == 0


def test_a_child_that_has_turned_18_gets_no_place(world):
    child = "0311084003"  # 18 on 3 November 2026
    world.present(child)
    world.custody(child, MOTHER)
    world.night()
    world.coordinators()
    world.clock.move(timedelta(days=1))
    assert offers.place(world.ctx).offered == 0


@pytest.mark.parametrize("start", ["adviser", "self"])
def test_offers_start_by_themselves_only_where_the_municipality_says_so(world, start):
    with_places(world, 5, start=start)
    world.coordinators()
    children(world, 2)
    assert world.night() == offers.Placed(0, 0, 0)
    assert world.rows(tables.Offer) == []


def test_two_placements_at_once_never_give_the_last_place_twice(world):
    with_places(world, 2)
    world.coordinators()
    children(world, 5)
    world.night()
    with world.ctx.database.begin() as session:
        for row in session.execute(select(tables.Offer)).scalars():
            row.state, row.coordinator_id, row.why = "waiting", None, "again"
    for _again in range(5):
        together = Barrier(4)

        def go(_n: int, together: Barrier = together) -> offers.Placed:
            together.wait()
            return offers.place(world.ctx)

        with ThreadPoolExecutor(4) as pool:
            results = list(pool.map(go, range(4)))
        assert sum(result.offered for result in results) == 2
        assert states(world) == {"offered": 2, "waiting": 3}
        with world.ctx.database.begin() as session:
            for row in session.execute(select(tables.Offer)).scalars():
                row.state, row.coordinator_id = "waiting", None


def test_a_placement_does_not_undo_what_came_in_between(world):
    """A waiting child comes of age while a placement reckons: the placement must not give it a place after all."""
    world.coordinators()
    child, other = "0311084003", world.number(2)
    for each in (child, other):
        world.present(each)
        world.custody(each, MOTHER)
    world.night()
    with world.ctx.database.begin() as session:
        for row in session.execute(select(tables.Offer)).scalars():
            row.state, row.coordinator_id = "waiting", None
    with ThreadPoolExecutor(1) as pool, world.ctx.database.begin() as session:
        row = session.execute(
            select(tables.Offer).where(tables.Offer.child_id == world.child(child)).with_for_update()
        ).scalar_one()
        placing = pool.submit(offers.place, world.ctx)
        with pytest.raises(TimeoutError):
            placing.result(timeout=0.5)  # it has reckoned, and waits for the row
        row.state = "grown"
        session.commit()
        assert placing.result(timeout=10).offered == 1
    found = {row.child_id: row.state for row in world.rows(tables.Offer)}
    assert found == {world.child(child): "grown", world.child(other): "offered"}


def test_the_database_allows_one_active_assignment_per_child(world):
    (child,) = world.accepted(world.number(1))
    coordinator = world.coordinators(2)[1]
    with pytest.raises(IntegrityError), world.ctx.database.begin() as session:
        session.add(tables.Assignment(child_id=child, coordinator_id=coordinator, since=world.clock.now()))
    (row,) = world.rows(tables.Assignment)
    with world.ctx.database.begin() as session:
        session.get_one(tables.Assignment, row.id).until = world.clock.now()
        session.flush()
        session.add(tables.Assignment(id=uuid4(), child_id=child, coordinator_id=coordinator, since=world.clock.now()))
    assert len(world.rows(tables.Assignment)) == 2


def test_the_database_gives_a_place_to_those_with_an_offer_and_to_no_other(world):
    world.coordinators()
    children(world, 1)
    world.night()
    with pytest.raises(IntegrityError), world.ctx.database.begin() as session:
        session.execute(select(tables.Offer)).scalar_one().coordinator_id = None
    with pytest.raises(IntegrityError), world.ctx.database.begin() as session:
        session.execute(select(tables.Offer)).scalar_one().state = "declined"


def test_who_waits_and_then_gets_a_place_has_no_reason_left(world):
    with_places(world, 1)
    children(world, 1)
    world.night()
    world.coordinators()
    world.night()
    (offer,) = world.rows(tables.Offer)
    assert (offer.state, offer.why) == ("offered", None)
