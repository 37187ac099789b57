"""A coordinator ends the scheme for a child; nothing that could tell where somebody protected lives is told."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import update

from hub import GuardianRecord, NotAllowed, PersonRecord
from hub.access.log import Asker
from hub.cases import unsent
from hub.cases.custody import read_custody
from hub.coordination import goodbye, tasklist
from hub.letters.compose import compose_due
from hub.letters.delivery import deliver
from hub.letters.frozen import open_content
from hub.letters.templates import Templates
from hub.store import tables

pytestmark = pytest.mark.slow

KARLA = "0311164234"
MOTHER, FATHER = "0101804001", "0101804002"


@pytest.fixture
def town(world):
    world.accepted(KARLA, guardians=(MOTHER, FATHER))
    world.night()
    write(world)
    world.clock.move(timedelta(hours=1))
    return world


def write(world) -> int:
    with world.ctx.database.begin() as session:
        session.execute(update(tables.Bundle).values(due_at=world.clock.now()))
    return compose_due(world.ctx, Templates()).letters


def says(world, letter: tables.Letter) -> str:
    with world.session() as session:
        return open_content(session, world.ctx.keys, session.get_one(tables.Letter, letter.id))["fragment"]


@pytest.mark.parametrize("why", ["moved", "closed"])
def test_both_parents_hear_it_and_everything_has_ended(town, why):
    goodbye.say(town.ctx, town.child(KARLA), why)
    goodbye.say(town.ctx, town.child(KARLA), why)  # twice is once
    (offer,) = town.rows(tables.Offer)
    assert (offer.state, offer.coordinator_id) == ("left", None)
    assert not town.rows(tables.Assignment, tables.Assignment.until.is_(None))
    assert write(town) == 2
    letters = town.rows(tables.Letter, tables.Letter.kind == "goodbye")
    assert {letter.guardian_id for letter in letters} == {town.guardian(MOTHER), town.guardian(FATHER)}
    assert {deliver(town.ctx, letter.id) for letter in letters} == {"sent"}
    assert any("der bor her" in says(town, letter) for letter in letters) is (why == "moved")


@pytest.mark.parametrize("protected", ["child", "guardian"])
def test_that_somebody_protected_has_moved_stands_in_no_letter_and_is_the_coordinators_to_say(town, protected):
    (before,) = town.rows(tables.Assignment)
    town.cpr.put(PersonRecord(KARLA, KARLA, name="Karla Testbarn", protected=protected == "child"))
    hidden = GuardianRecord(f"{KARLA}/{MOTHER}", KARLA, MOTHER, guardian_name="V", protected=protected == "guardian")
    town.cpr.put(hidden)
    read_custody(town.ctx, {town.child(KARLA)})
    goodbye.say(town.ctx, town.child(KARLA), "moved")
    assert write(town) == 0
    events = town.events("moved_away")
    assert {event.guardian_id for event in events} == {town.guardian(MOTHER), town.guardian(FATHER)}
    assert {event.why_not for event in events} == {"it could tell where somebody protected lives"}
    (task,) = town.rows(tables.Task, tables.Task.done_at.is_(None))
    found = (task.kind, task.child_id, task.staff_id, task.letter_id)
    assert found == (unsent.OF_PLACE, town.child(KARLA), before.coordinator_id, None)
    opened = tasklist.look(town.ctx, Asker("k0", "Koordinator 0", "coordinator"), task.id).value
    assert (opened.number, opened.guardian) == (KARLA, None)


def test_a_child_without_a_coordinator_has_nothing_to_end(world):
    world.coordinators()
    world.present(KARLA)
    world.custody(KARLA, MOTHER)
    world.night()
    with pytest.raises(NotAllowed):
        goodbye.say(world.ctx, world.child(KARLA), "moved")
