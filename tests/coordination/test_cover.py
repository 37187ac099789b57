"""Coordinators are away, come back and hand families over: whom a family calls now is what the hub says everywhere."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from sqlalchemy import update

from hub import NotAllowed, State
from hub.cases.sync import sync
from hub.coordination import cover
from hub.letters.compose import Composed, compose_due
from hub.letters.delivery import deliver
from hub.letters.frozen import open_content
from hub.letters.templates import Templates
from hub.store import tables

KARLA, EMIL, IDA = "0311164234", "1405134321", "0703144444"
MOTHER, FATHER = "0101804001", "0101804002"
TEMPLATES = Templates()
UNTIL = date(2026, 11, 20)


@pytest.fixture
def town(world):
    """Siblings with the first coordinator; their mother has had her receipt. A second coordinator has Ida."""
    world.coordinators(2)
    world.accepted(KARLA, EMIL, guardians=(MOTHER,))
    world.accepted(IDA, guardians=(FATHER,))
    world.night()
    write(world)
    world.clock.move(timedelta(hours=1))
    return world


def write(world) -> Composed:
    """Write what waits."""
    with world.ctx.database.begin() as session:
        session.execute(update(tables.Bundle).values(due_at=world.clock.now()))
    return compose_due(world.ctx, TEMPLATES)


def newest(world, guardian: str = MOTHER) -> tables.Letter:
    rows = world.rows(tables.Letter, tables.Letter.guardian_id == world.guardian(guardian))
    return max(rows, key=lambda row: row.frozen_at)


def says(world, guardian: str = MOTHER) -> str:
    with world.session() as session:
        row = session.get_one(tables.Letter, newest(world, guardian).id)
        return open_content(session, world.ctx.keys, row)["fragment"]


def reasons(world, kind: str) -> set[str | None]:
    return {event.why_not for event in world.events(kind)}


def coordinator_of(world, child: str) -> str:
    """By the id of the list: k0, k1."""
    (offer,) = world.rows(tables.Offer, tables.Offer.child_id == world.child(child))
    (assignment,) = world.rows(
        tables.Assignment, tables.Assignment.child_id == world.child(child), tables.Assignment.until.is_(None)
    )
    assert offer.coordinator_id == assignment.coordinator_id
    with world.session() as session:
        return next(
            name for name in ("k0", "k1") if cover.find(world.ctx, session, name).staff_id == offer.coordinator_id
        )


@pytest.mark.slow
class TestAway:
    def test_the_family_reads_in_one_letter_whom_to_call_and_until_when(self, town):
        assert cover.go_away(town.ctx, "k0", "k1", UNTIL) == 2
        assert write(town).letters == 1  # to the mother, for both children; Ida's father hears nothing
        letter = newest(town)
        assert letter.kind == "coordinator"
        text = says(town)
        for words in ("Koordinator 0", "Koordinator 1", "20. november 2026"):
            assert words in text
        assert deliver(town.ctx, letter.id) == "sent"

    def test_every_letter_meanwhile_names_who_answers_now(self, town):
        cover.go_away(town.ctx, "k0", "k1")
        write(town)
        town.clock.move(timedelta(days=1))
        sync(town.ctx)
        town.case(town.sof, "s1", KARLA, State.OPEN)
        sync(town.ctx)
        write(town)
        assert newest(town).kind == "deadlines"
        assert "Koordinator 1" in says(town)
        assert "Koordinator 0" not in says(town)

    def test_and_back_before_a_letter_has_left_is_nothing(self, town):
        cover.go_away(town.ctx, "k0", "k1")
        assert cover.come_back(town.ctx, "k0") == 2
        assert write(town).letters == 0
        assert reasons(town, "coordinator_substitute") == {"it was undone before a letter told of it"}
        assert reasons(town, "coordinator_back") == {"it was undone before a letter told of it"}

    def test_back_is_told_to_who_was_told_of_the_substitute(self, town):
        cover.go_away(town.ctx, "k0", "k1")
        write(town)
        town.clock.move(timedelta(days=8))
        assert cover.come_back(town.ctx, "k0") == 2
        assert write(town).letters == 1
        assert "Koordinator 0" in says(town)
        assert cover.come_back(town.ctx, "k0") == 0  # twice is once

    def test_is_written_in_the_access_log_of_each_child(self, town):
        before = len(town.rows(tables.LogEntry, tables.LogEntry.kind == "assignment"))
        cover.go_away(town.ctx, "k0", "k1")
        assert len(town.rows(tables.LogEntry, tables.LogEntry.kind == "assignment")) == before + 2

    @pytest.mark.parametrize(
        ("who", "substitute", "until"), [("k0", "k0", None), ("k0", "k9", None), ("k0", "k1", date(2026, 11, 1))]
    )
    def test_needs_a_substitute_who_is_there_and_a_day_to_come(self, town, who, substitute, until):
        with pytest.raises(NotAllowed):
            cover.go_away(town.ctx, who, substitute, until)
        assert not town.events("coordinator_substitute")

    def test_nobody_who_is_away_is_a_substitute(self, town):
        cover.go_away(town.ctx, "k1", "k0")
        with pytest.raises(NotAllowed):
            cover.go_away(town.ctx, "k0", "k1")


class TestHandOver:
    def test_all_families_have_the_other_from_then_on_and_read_who_it_was_and_is(self, town):
        assert cover.hand_over(town.ctx, "k0", "k1") == 2
        assert (coordinator_of(town, KARLA), coordinator_of(town, EMIL)) == ("k1", "k1")
        assert write(town).letters == 1
        assert "Koordinator 0 har givet opgaven videre" in says(town).replace("\xa0", " ")
        assert "Koordinator 1" in says(town)
        assert deliver(town.ctx, newest(town).id) == "sent"

    def test_of_one_child_takes_its_siblings_along(self, town):
        assert cover.hand_over(town.ctx, "k0", "k1", {town.child(EMIL)}) == 2
        assert coordinator_of(town, KARLA) == "k1"
        assert {event.kind for event in town.events()} == {"coordinator_changed"}

    def test_twice_before_a_letter_is_told_once_with_who_it_was(self, town):
        town.coordinators(3)
        cover.hand_over(town.ctx, "k0", "k1")
        town.clock.move(timedelta(hours=1))
        cover.hand_over(town.ctx, "k1", "k2", {town.child(KARLA)})
        assert write(town).letters == 1
        assert "Koordinator 0" in says(town)
        assert "Koordinator 2" in says(town)
        assert "Koordinator 1" not in says(town)
        assert reasons(town, "coordinator_handed_over") == {"folded into coordinator_changed"}

    def test_and_back_again_before_a_letter_is_nothing(self, town):
        for former, new in (("k0", "k1"), ("k1", "k0")):
            town.clock.move(timedelta(hours=1))
            cover.hand_over(town.ctx, former, new, {town.child(KARLA)})
        assert write(town).letters == 0
        assert reasons(town, "coordinator_changed") == {"it was undone before a letter told of it"}

    def test_before_the_receipt_is_told_by_the_receipt(self, world):
        world.coordinators(2)
        world.accepted(KARLA, guardians=(MOTHER,))
        cover.hand_over(world.ctx, "k0", "k1")
        assert write(world).letters == 1
        assert newest(world).kind == "receipt"
        assert "Koordinator 1" in says(world)
        assert reasons(world, "coordinator_handed_over") == {"folded into assigned"}

    def test_never_passes_the_limit(self, town):
        small = town.ctx.settings.coordination.model_copy(update={"limit": 2, "target": 1})
        ctx = replace(town.ctx, settings=town.ctx.settings.model_copy(update={"coordination": small}))
        with pytest.raises(NotAllowed, match="limit is 2"):
            cover.hand_over(ctx, "k0", "k1")
        assert coordinator_of(town, KARLA) == "k0"

    def test_not_to_who_is_away_nor_of_children_who_are_anothers(self, town):
        with pytest.raises(NotAllowed):
            cover.hand_over(town.ctx, "k0", "k1", {town.child(IDA)})
        cover.go_away(town.ctx, "k1", "k0")
        with pytest.raises(NotAllowed):
            cover.hand_over(town.ctx, "k0", "k1")

    def test_of_an_offer_that_waits_moves_the_place_and_tells_nobody(self, world):
        world.coordinators(2)
        world.present(KARLA)
        world.custody(KARLA, MOTHER)
        world.night()
        assert cover.hand_over(world.ctx, "k0", "k1") == 1
        assert not world.events()
        world.accept(KARLA, MOTHER)
        assert coordinator_of(world, KARLA) == "k1"


def test_a_coordinator_without_families_may_be_away_too(world):
    world.coordinators(2)
    assert cover.go_away(world.ctx, "k0", "k1") == 0
    with world.session() as session:
        assert cover.find(world.ctx, session, "k0").away
