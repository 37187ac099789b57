"""Who writes about what: news that the source tells itself makes no letter of the hub's, and is listed in the next;
what the hub should tell and cannot is the administration's task at once."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from sqlalchemy import update

from hub import Refused, StaffRecord, State, TryAgain
from hub.cases import events
from hub.cases.sync import sync
from hub.letters.compose import compose_due
from hub.letters.delivery import deliver
from hub.letters.frozen import open_content
from hub.letters.templates import Templates
from hub.store import tables

pytestmark = pytest.mark.slow

KARLA = "0311164234"
MOTHER = "0101804001"
ANNE, BENT = StaffRecord("anne", "Anne Rådgiver"), StaffRecord("bent", "Bent Rådgiver")
TEMPLATES = Templates()


@pytest.fixture
def town(world):
    """Karla has an application in SOF that has been read, and her mother has had the receipt."""
    world.accepted(KARLA, guardians=(MOTHER,))
    world.night()
    world.case(world.sof, "s1", KARLA, State.APPLIED, adviser=ANNE, deadline=date(2027, 1, 15))
    sync(world.ctx)
    write(world)
    world.clock.move(timedelta(days=1))
    return world


def agreed(world, **agreements: object):
    """The world with other agreements."""
    letters = world.ctx.settings.letters.model_copy(update={"agreements": agreements})
    return replace(world.ctx, settings=world.ctx.settings.model_copy(update={"letters": letters}))


def write(world, ctx=None) -> int:
    with world.ctx.database.begin() as session:
        session.execute(update(tables.Bundle).values(due_at=world.clock.now()))
    return compose_due(ctx or world.ctx, TEMPLATES).letters


def newest(world) -> str:
    letter = max(world.rows(tables.Letter), key=lambda row: row.frozen_at)
    with world.session() as session:
        return open_content(session, world.ctx.keys, session.get_one(tables.Letter, letter.id))["fragment"]


def unsent(world) -> list[tuple[str | None, bool]]:
    rows = world.rows(tables.Task, tables.Task.kind == "letter_unsent")
    return [(row.administration, row.staff_id is not None) for row in rows]


class TestTheSourceSends:
    def test_and_the_hub_makes_no_letter_for_it_alone(self, town):
        ctx = agreed(town)  # nothing is agreed: decisions are the source's
        town.case(town.sof, "s1", KARLA, State.DECIDED, adviser=ANNE)
        sync(ctx)
        (event,) = town.events("decided")
        (bundle,) = town.rows(tables.Bundle, tables.Bundle.id == event.bundle_id)
        assert (bundle.composed_at, bundle.due_at) == (None, events.NEVER)
        town.clock.move(timedelta(days=30))
        assert compose_due(ctx, TEMPLATES).letters == 0
        assert write(town, ctx) == 0  # also when the bundle is due because something else in it has ended
        assert town.events("decided")[0].bundle_id == bundle.id

    def test_and_the_next_letter_lists_it(self, town):
        ctx = agreed(town)
        town.case(town.sof, "s1", KARLA, State.DECIDED, adviser=ANNE)
        sync(ctx)
        town.clock.move(timedelta(days=1))
        town.case(town.sof, "s2", KARLA, State.OPEN, adviser=BENT)  # of which the hub writes
        sync(ctx)
        town.clock.move(timedelta(days=7))
        assert compose_due(ctx, TEMPLATES).letters == 1
        assert "afgørelse" in newest(town)
        assert {event.why_not for event in town.events()} == {None}

    def test_until_the_day_from_which_the_hub_does(self, town):
        ctx = agreed(town, sof=date(2026, 11, 5))
        town.case(town.sof, "s1", KARLA, State.DECIDED, adviser=ANNE)
        sync(ctx)
        assert write(town, ctx) == 0  # the 3rd of November
        town.clock.move(timedelta(days=2))
        assert write(town, ctx) == 1

    def test_and_is_nobodys_task_when_the_hub_could_not(self, town):
        ctx = agreed(town, sof="source")
        end_custody(town)
        town.case(town.sof, "s1", KARLA, State.DECIDED, adviser=ANNE)
        sync(ctx)
        assert unsent(town) == []


def end_custody(world) -> None:
    with world.ctx.database.begin() as session:
        session.execute(update(tables.Custody).values(until=world.clock.now().date()))


class TestTheHubCannotSend:
    def test_since_nobody_has_custody(self, town):
        end_custody(town)
        town.case(town.sof, "s1", KARLA, State.DECIDED, adviser=ANNE)
        sync(town.ctx)
        assert unsent(town) == [("SOF", True)]
        assert town.events("decided") == []

    def test_since_the_letter_cannot_be_written(self, town):
        town.case(town.sof, "s1", KARLA, State.DECIDED, adviser=ANNE)
        sync(town.ctx)

        def broken(*_of: object) -> None:
            raise ValueError("the template goes wrong")

        with town.ctx.database.begin() as session:
            session.execute(update(tables.Bundle).values(due_at=town.clock.now()))
        assert compose_due(town.ctx, TEMPLATES, broken).unwritable == 1
        assert unsent(town) == [("SOF", True)]

    def test_since_the_channel_refuses_it(self, town):
        town.case(town.sof, "s1", KARLA, State.DECIDED, adviser=ANNE)
        sync(town.ctx)
        assert write(town) == 1
        letter = max(town.rows(tables.Letter), key=lambda row: row.frozen_at)
        town.channel.answers.append(Refused("no such recipient"))
        assert deliver(town.ctx, letter.id) == "failed"
        assert unsent(town) == [("SOF", True)]
        assert len(town.rows(tables.Task, tables.Task.kind == "letter_failed")) == 1


def test_no_more_letters_a_week_than_the_settings_say_unless_urgent(town):
    letters = town.ctx.settings.letters.model_copy(update={"most_a_week": 2, "window_working_days": 0})
    ctx = replace(town.ctx, settings=town.ctx.settings.model_copy(update={"letters": letters}))
    assert len(town.rows(tables.Letter)) == 1  # the receipt; the offer was answered before its letter left
    for n in range(3):
        town.case(town.sof, f"new {n}", KARLA, State.OPEN, adviser=ANNE)
        sync(ctx)
        compose_due(ctx, TEMPLATES)
    assert len(town.rows(tables.Letter)) == 2
    town.clock.move(timedelta(days=7))
    compose_due(ctx, TEMPLATES)
    assert len(town.rows(tables.Letter)) == 3  # with all that waited


def test_nothing_unpleasant_leaves_on_a_friday_afternoon(town):
    town.clock.set(town.clock.now().replace(day=6, hour=13, minute=30))  # 14:30 in Denmark
    town.case(town.sof, "s1", KARLA, State.CLOSED, adviser=ANNE)
    sync(town.ctx)
    assert write(town) == 0
    town.clock.set(town.clock.now().replace(day=9, hour=7, minute=0))
    assert compose_due(town.ctx, TEMPLATES).letters == 1


def test_nor_is_one_handed_over_then_that_was_written_before(town):
    """The channel was busy in the morning, and the try that comes again is on Friday afternoon."""
    town.clock.set(town.clock.now().replace(day=6, hour=8))
    town.case(town.sof, "s1", KARLA, State.CLOSED, adviser=ANNE)
    sync(town.ctx)
    assert write(town) == 1
    letter = max(town.rows(tables.Letter), key=lambda row: row.frozen_at)
    town.clock.set(town.clock.now().replace(hour=15))
    tries = len(town.channel.tries)
    with pytest.raises(TryAgain) as again:
        deliver(town.ctx, letter.id)
    assert again.value.after_seconds == 64 * 3600  # Monday at eight
    assert len(town.channel.tries) == tries
    town.clock.set(town.clock.now().replace(day=9, hour=7))
    assert deliver(town.ctx, letter.id) == "sent"
