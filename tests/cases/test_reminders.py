"""Deadlines that come near: a task for the adviser, and the family is told once."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest

from hub import StaffRecord, State, family
from hub.cases.reminders import Reminded, remind
from hub.cases.sync import sync
from hub.store import tables

KARLA = "0311164234"
MOTHER, FATHER = "0101804001", "0101804002"
ANNE = StaffRecord("anne", "Anne Rådgiver")


@pytest.fixture
def waiting(world):
    """Karla's application, to be answered by Monday 30 November 2026: twenty working days from the start."""
    world.accepted(KARLA, guardians=(MOTHER, FATHER))
    world.case(world.sof, "s1", KARLA, State.APPLIED, deadline=date(2026, 11, 30), adviser=ANNE)
    sync(world.ctx)
    return world


def on(world, day: date) -> Reminded:
    world.clock.set(world.clock.now().replace(month=day.month, day=day.day))
    return remind(world.ctx)


def test_ten_and_three_working_days_before_and_on_the_last_the_adviser_gets_a_task_and_the_family_hears(waiting):
    found = {day: on(waiting, day) for day in (date(2026, 11, n) for n in range(9, 31))}
    said = {day: (result.tasks, result.events) for day, result in found.items() if result != Reminded(0, 0)}
    assert said == {date(2026, 11, 16): (1, 2), date(2026, 11, 25): (1, 2), date(2026, 11, 27): (0, 2)}
    told = ("deadline_near", "deadline_at_hand", "deadline_unkept")
    assert [len(waiting.events(kind)) for kind in told] == [2, 2, 2]
    tasks = waiting.rows(tables.Task)
    (adviser,) = waiting.rows(tables.Staff, tables.Staff.source == "sof")
    assert {(task.kind, task.staff_id, task.administration, task.due) for task in tasks} == {
        ("deadline_near", adviser.id, "SOF", date(2026, 11, 30))
    }
    assert {event.guardian_id for event in waiting.events("deadline_near")} == {
        waiting.guardian(MOTHER),
        waiting.guardian(FATHER),
    }


def test_a_new_date_is_near_anew(waiting):
    on(waiting, date(2026, 11, 16))
    waiting.case(waiting.sof, "s1", KARLA, State.APPLIED, deadline=date(2026, 12, 1), adviser=ANNE)
    sync(waiting.ctx)
    assert on(waiting, date(2026, 11, 17)) == Reminded(1, 2)


def test_a_decision_ends_it(waiting):
    waiting.case(waiting.sof, "s1", KARLA, State.DECIDED, deadline=date(2026, 11, 30), adviser=ANNE)
    sync(waiting.ctx)
    assert on(waiting, date(2026, 11, 25)) == Reminded(0, 0)


def test_a_family_that_has_said_no_hears_no_more(waiting):
    family.withdraw(waiting.ctx, waiting.child(KARLA), waiting.by(MOTHER))
    assert on(waiting, date(2026, 11, 25)) == Reminded(0, 0)


def test_who_comes_late_is_reminded_all_the_same(waiting):
    """The hub was down for two weeks: what it should have said is said."""
    assert on(waiting, date(2026, 11, 27)) == Reminded(2, 2 * 2)  # near, and that there is neither answer nor date
    waiting.clock.move(timedelta(days=3))
    assert remind(waiting.ctx) == Reminded(0, 0)


def test_after_the_deadline_nothing_is_near_and_the_family_hears_once_that_it_has_passed(waiting):
    waiting.clock.set(waiting.clock.now().replace(month=12, day=1))
    assert remind(waiting.ctx) == Reminded(0, 2)
    assert len(waiting.events("deadline_passed")) == 2
    waiting.clock.move(timedelta(days=1))
    assert remind(waiting.ctx) == Reminded(0, 0)


def test_a_deadline_that_passed_before_there_was_a_coordinator_is_no_news(world):
    world.accepted(KARLA, guardians=(MOTHER,))
    world.case(world.sof, "s1", KARLA, State.APPLIED, deadline=date(2026, 11, 1), adviser=ANNE)
    sync(world.ctx)
    assert remind(world.ctx) == Reminded(0, 0)


def test_a_municipality_may_warn_of_nothing(waiting):
    letters = waiting.ctx.settings.letters.model_copy(update={"warn_working_days": ()})
    quiet = replace(waiting.ctx, settings=waiting.ctx.settings.model_copy(update={"letters": letters}))
    waiting.clock.set(waiting.clock.now().replace(day=25))
    assert remind(quiet) == Reminded(0, 0)
