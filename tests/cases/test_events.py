"""Each piece of news lands once in each guardian's one open bundle, which leaves in time and not before."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Barrier
from uuid import UUID

import pytest
from sqlalchemy.exc import IntegrityError

from hub.cases import events, kinds
from hub.cases.sync import sync
from hub.letters.compose import compose_due
from hub.letters.templates import Templates
from hub.store import tables

KARLA, EMIL = "0311164234", "1405134321"
MOTHER, FATHER = "0101804001", "0101804002"


@pytest.fixture
def family(world):
    """Two siblings in the scheme with a case each, the offers' and receipts' bundles gone."""
    world.accepted(KARLA, EMIL, guardians=(MOTHER, FATHER))
    for child in (KARLA, EMIL):
        world.case(world.sof, child, child)
    sync(world.ctx)
    with world.ctx.database.begin() as session:
        for bundle in session.query(tables.Bundle):
            bundle.composed_at = world.clock.now()
    return world


def tell(world, *news: events.News) -> int:
    with world.ctx.database.begin() as session:
        return events.record(world.ctx, session, news)


def decided(world, child: str = KARLA, what: str = "case 1") -> events.News:
    return events.News(kinds.DECIDED, world.child(child), what, case(world, child))


def near(world, child: str = KARLA, what: str = "case 1") -> events.News:
    return events.News(kinds.DEADLINE_NEAR, world.child(child), what, case(world, child))


def case(world, child: str) -> UUID:
    (row,) = world.rows(tables.Case, tables.Case.child_id == world.child(child))
    return row.id


def bundles(world) -> dict[UUID, tables.Bundle]:
    return {row.guardian_id: row for row in world.rows(tables.Bundle, tables.Bundle.composed_at.is_(None))}


def test_each_guardian_hears_once(family):
    assert tell(family, decided(family)) == 2
    assert tell(family, decided(family)) == 0
    assert len(family.events()) == 2


def test_all_children_and_all_days_of_the_window_share_one_bundle(family):
    tell(family, decided(family), decided(family, EMIL))
    family.clock.move(timedelta(days=1))
    tell(family, decided(family, what="case 2"))
    assert {event.bundle_id for event in family.events()} == {bundle.id for bundle in bundles(family).values()}
    assert len(bundles(family)) == 2


def test_a_bundle_leaves_in_the_morning_after_the_window_of_working_days(family):
    """Monday 2 November and three working days: Thursday at eight in Denmark."""
    tell(family, decided(family))
    assert {bundle.due_at for bundle in bundles(family).values()} == {datetime(2026, 11, 5, 7, 0, tzinfo=UTC)}


def test_urgent_news_takes_what_waits_along(family):
    tell(family, decided(family))
    tell(family, near(family))
    assert {bundle.due_at for bundle in bundles(family).values()} == {datetime(2026, 11, 3, 7, 0, tzinfo=UTC)}


def test_news_that_has_been_told_already_hurries_nobody(family):
    """A deadline that is near is looked at every day; only the first time does it make a letter leave."""
    tell(family, near(family))
    family.clock.move(timedelta(days=2))
    compose_due(family.ctx, Templates())
    tell(family, decided(family))
    due = {bundle.due_at for bundle in bundles(family).values()}
    tell(family, near(family))
    assert {bundle.due_at for bundle in bundles(family).values()} == due


def test_news_that_has_been_told_already_makes_no_empty_bundle(family):
    tell(family, near(family))
    family.clock.move(timedelta(days=2))
    compose_due(family.ctx, Templates())
    tell(family, near(family))
    assert bundles(family) == {}


def test_a_child_without_guardians_makes_no_bundle(family):
    with family.ctx.database.begin() as session:
        for row in session.query(tables.Custody):
            row.until = family.clock.now().date()
    assert tell(family, decided(family)) == 0
    assert bundles(family) == {}


def test_what_comes_while_a_letter_is_composed_waits_for_the_next(family):
    """A bundle that is composed takes nothing more: it is told in a letter of its own."""
    tell(family, decided(family))
    family.clock.move(timedelta(days=3))
    compose_due(family.ctx, Templates())
    tell(family, decided(family, what="case 2"))
    first, second = {event.bundle_id for event in family.events()} - bundles_of(family), bundles_of(family)
    assert len(first) == len(second) == 2


def bundles_of(world) -> set[UUID]:
    return {bundle.id for bundle in bundles(world).values()}


def test_two_processes_with_the_same_news_tell_it_once(family):
    together = Barrier(4)

    def go(_n: int) -> int:
        together.wait()
        return tell(family, decided(family), decided(family, EMIL))

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(go, range(4))) == 4
    assert len(family.events()) == 4
    assert len(bundles(family)) == 2


def test_the_database_allows_no_event_without_a_bundle_or_a_reason(family):
    tell(family, decided(family))
    with pytest.raises(IntegrityError), family.ctx.database.begin() as session:
        session.query(tables.Event).filter_by(kind="decided").first().bundle_id = None


def test_the_database_allows_one_open_bundle_per_guardian(family):
    tell(family, decided(family))
    now = family.clock.now()
    with pytest.raises(IntegrityError), family.ctx.database.begin() as session:
        session.add(tables.Bundle(guardian_id=family.guardian(MOTHER), opened_at=now, due_at=now))


def test_dropping_ends_what_waits_and_leaves_what_has_been_told(family):
    tell(family, decided(family))
    family.clock.move(timedelta(days=3))
    compose_due(family.ctx, Templates())
    tell(family, decided(family, what="case 2"), decided(family, EMIL, "case 3"))
    with family.ctx.database.begin() as session:
        events.drop_waiting(session, "because", child=family.child(KARLA))
    karla = [event for event in family.events() if event.child_id == family.child(KARLA)]
    assert sorted(event.why_not or "" for event in karla) == ["", "", "because", "because"]
    assert {event.why_not for event in family.events() if event.child_id == family.child(EMIL)} == {None}


def test_the_digest_of_what_happened_tells_nothing_without_the_key(family):
    tell(family, decided(family))
    other = replace(family.ctx.keys, reference=b"another key")
    with family.ctx.database.begin() as session:
        again = events.record(replace(family.ctx, keys=other), session, [decided(family)])
    assert again == 2  # the same news under another key is another digest
