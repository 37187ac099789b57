"""Answers and places, at the same moment: whoever has the offer first is obeyed, and the other is told."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import select

from hub import NotAllowed, family, jobs
from hub.coordination import offers, silence
from hub.store import tables

pytestmark = pytest.mark.slow

KARLA, EMIL, OTHER = "0311164234", "1405134321", "2003154444"
GROWING = "0311084003"
"""18 on 3 November 2026, the day after the tests begin."""
MOTHER, FATHER = "0101804001", "0101804002"


@pytest.fixture
def offered(races):
    """Karla has an offer; both her parents have custody."""
    world = races.world
    world.coordinators()
    world.present(KARLA)
    world.custody(KARLA, MOTHER, FATHER)
    world.night()
    return races


def yes(races, who: str = MOTHER, child: str = KARLA) -> None:
    family.accept(races.ctx, races.world.child(child), races.world.by(who))


def no(races, who: str = FATHER, child: str = KARLA) -> None:
    family.decline(races.ctx, races.world.child(child), races.world.by(who))


def offer(races, child: str = KARLA) -> tables.Offer:
    (row,) = races.world.rows(tables.Offer, tables.Offer.child_id == races.world.child(child))
    return row


def holding(races, child: str = KARLA) -> int:
    return len(races.world.rows(tables.Assignment, tables.Assignment.until.is_(None)))


def first_then(races, first: Any, second: Any) -> tuple[BaseException | None, BaseException | None]:
    """Both at once: the second waits for what the first has locked, and the first commits. What each raised."""
    with races.before_commit("UPDATE log_head") as committing:
        one = races.go(first)
        committing.arrive()
        other = races.go(second)
        races.waiting()
        committing.go.set()
        return one.exception(60), other.exception(60)


class TestOneOffer:
    def test_both_parents_say_yes_at_once_it_is_one_yes(self, offered):
        assert first_then(offered, lambda: yes(offered, MOTHER), lambda: yes(offered, FATHER)) == (None, None)
        (answer,) = offered.world.rows(tables.Acceptance)
        assert (answer.answer, answer.guardian_id) == ("yes", offered.world.guardian(MOTHER))
        assert holding(offered) == 1
        assert len(offered.world.events("assigned")) == 2  # each parent's own receipt
        assert offered.log_is_gapless()

    def test_yes_and_then_no_at_once_is_the_yes(self, offered):
        """The no comes too late to be an answer to the offer; who gave it is told, and may take the yes back."""
        said = first_then(offered, lambda: yes(offered), lambda: no(offered))
        assert said[0] is None
        assert isinstance(said[1], NotAllowed)
        assert (offer(offered).state, holding(offered)) == ("accepted", 1)
        assert [row.answer for row in offered.world.rows(tables.Acceptance)] == ["yes"]

    def test_the_no_of_one_and_then_the_yes_of_the_other_at_once_is_the_yes(self, offered):
        assert first_then(offered, lambda: no(offered), lambda: yes(offered)) == (None, None)
        assert (offer(offered).state, holding(offered)) == ("accepted", 1)
        assert {row.answer for row in offered.world.rows(tables.Acceptance)} == {"no", "yes"}

    def test_the_noes_of_both_at_once_end_it(self, offered):
        """Neither takes the other for somebody who may still say yes."""
        assert first_then(offered, lambda: no(offered, MOTHER), lambda: no(offered, FATHER)) == (None, None)
        assert (offer(offered).state, holding(offered)) == ("declined", 0)
        assert offered.world.events("assigned") == []
        assert offer(offered).coordinator_id is None

    def test_the_last_no_and_then_a_yes_at_once_is_the_no(self, offered):
        no(offered, MOTHER)
        said = first_then(offered, lambda: no(offered, FATHER), lambda: yes(offered, MOTHER))
        assert said[0] is None
        assert isinstance(said[1], NotAllowed)
        assert (offer(offered).state, holding(offered)) == ("declined", 0)

    def test_many_at_once_leave_one_yes_or_two_noes_and_an_entry_each(self, offered):
        for _again in range(6):
            with offered.ctx.database.begin() as session:
                coordinator = session.execute(select(tables.Coordinator.staff_id)).scalar_one()
                row = session.execute(select(tables.Offer)).scalar_one()
                row.state, row.coordinator_id = "offered", coordinator
                for assignment in session.execute(select(tables.Assignment)).scalars():
                    session.delete(assignment)
                for answer in session.execute(select(tables.Acceptance)).scalars():
                    session.delete(answer)
            before = len(offered.world.rows(tables.LogEntry))
            together = Barrier(4)

            def go(act: Any, who: str, together: Barrier = together) -> None:
                together.wait()
                act(offered, who)

            acts = [offered.go(go, act, who) for act in (yes, no) for who in (MOTHER, FATHER)]
            errors = [each.exception(60) for each in acts]
            assert {type(error) for error in errors} == {type(None), NotAllowed}
            answers = [row.answer for row in offered.world.rows(tables.Acceptance)]
            accepted = offer(offered).state == "accepted"
            assert accepted or offer(offered).state == "declined"
            assert answers.count("yes") == accepted == holding(offered)
            assert accepted or answers == ["no", "no"]
            assert len(offered.world.rows(tables.LogEntry)) == before + len(answers)
        assert offered.log_is_gapless()

    def test_a_yes_at_the_last_moment_and_the_end_of_waiting(self, offered):
        """Whoever has the offer first: a yes is not forgotten by the night, and a lapsed offer not accepted."""
        world = offered.world
        world.clock.move(timedelta(days=30))
        silence.follow_up(offered.ctx)
        world.clock.move(timedelta(days=30))
        with offered.before_commit("UPDATE log_head") as committing:
            accepting = offered.go(yes, offered)
            committing.arrive()
            night = offered.go(silence.follow_up, offered.ctx)
            offered.waiting()
            committing.go.set()
            accepting.result(60)
            assert night.result(60).lapsed == 0
        assert (offer(offered).state, holding(offered)) == ("accepted", 1)
        assert len(world.rows(tables.Custody)) == 2  # nothing was forgotten

    def test_the_end_of_waiting_and_a_yes_a_moment_too_late(self, offered):
        world = offered.world
        world.clock.move(timedelta(days=30))
        silence.follow_up(offered.ctx)
        world.clock.move(timedelta(days=30))
        with offered.before_commit("DELETE FROM custody") as committing:
            night = offered.go(silence.follow_up, offered.ctx)
            committing.arrive()
            accepting = offered.go(yes, offered)
            offered.waiting()
            committing.go.set()
            assert night.result(60).lapsed == 1
            with pytest.raises(NotAllowed):
                accepting.result(60)
        assert (offer(offered).state, holding(offered)) == ("lapsed", 0)
        assert world.events("assigned") == []

    def test_two_nights_at_once_remind_once_and_offer_once(self, offered):
        world = offered.world
        world.present(EMIL)
        world.custody(EMIL, FATHER)
        world.clock.move(timedelta(days=30))
        nights = [offered.go(jobs.find_and_offer, offered.ctx) for _ in range(2)]
        assert all(night.exception(100) is None for night in nights)
        assert {row.state for row in world.rows(tables.Offer)} == {"offered"}
        told = [(row.guardian_id, row.child_id) for row in world.events("offered")]
        assert len(told) == len(world.rows(tables.Offer)) + 1 + 2  # Karla's parents twice, Emil's father once
        assert offer(offered).reminded_at is not None


class TestTheLastPlace:
    @pytest.fixture
    def one_place(self, races):
        """One coordinator with one place, and three families: one has it, two wait."""
        world = races.world
        places = races.ctx.settings.coordination.model_copy(update={"target": 1, "limit": 1})
        world.ctx = races.ctx = replace(
            races.ctx, settings=races.ctx.settings.model_copy(update={"coordination": places})
        )
        world.coordinators()
        for n, child in enumerate((KARLA, EMIL, OTHER)):
            world.present(child)
            world.custody(child, f"010180{4100 + n}")
        world.night()
        return races

    def states(self, races) -> list[str]:
        return sorted(row.state for row in races.world.rows(tables.Offer))

    def has(self, races) -> str:
        (row,) = races.world.rows(tables.Offer, tables.Offer.state == "offered")
        return next(child for child in (KARLA, EMIL, OTHER) if races.world.child(child) == row.child_id)

    def guardian(self, child: str) -> str:
        return f"010180{4100 + (KARLA, EMIL, OTHER).index(child)}"

    def test_two_placements_at_once_give_it_to_one(self, one_place):
        assert self.states(one_place) == ["offered", "waiting", "waiting"]
        first = self.has(one_place)
        no(one_place, self.guardian(first), first)
        with one_place.before_commit("INSERT INTO event") as placing:
            one = one_place.go(offers.place, one_place.ctx)
            placing.arrive()
            other = one_place.go(offers.place, one_place.ctx)
            one_place.waiting()
            placing.go.set()
            assert (one.result(60).offered, other.result(60).offered) == (1, 0)
        assert self.states(one_place) == ["declined", "offered", "waiting"]
        assert len(one_place.world.events("offered")) == 2

    def test_two_placements_that_would_each_choose_another_give_it_to_one(self, one_place):
        """Somebody who has waited longer is back in the queue when the first has reckoned and not committed."""
        first = self.has(one_place)
        no(one_place, self.guardian(first), first)
        with one_place.before_commit("INSERT INTO event") as placing:
            one = one_place.go(offers.place, one_place.ctx)
            placing.arrive()
            with one_place.ctx.database.begin() as session:
                row = session.execute(select(tables.Offer).where(tables.Offer.state == "declined")).scalar_one()
                row.state, row.found_at = "waiting", row.found_at - timedelta(days=30)
            other = one_place.go(offers.place, one_place.ctx)
            one_place.waiting()
            placing.go.set()
            assert (one.result(60).offered, other.result(60).offered) == (1, 0)
        assert self.states(one_place) == ["offered", "waiting", "waiting"]

    def test_a_no_that_frees_it_while_a_placement_reckons_is_seen_by_the_next(self, one_place):
        first = self.has(one_place)
        with one_place.before_commit("UPDATE log_head") as declining:
            saying = one_place.go(no, one_place, self.guardian(first), first)
            declining.arrive()
            assert offers.place(one_place.ctx).offered == 0  # the place is not free yet
            declining.go.set()
            saying.result(60)
        assert offers.place(one_place.ctx).offered == 1
        assert self.states(one_place) == ["declined", "offered", "waiting"]

    def test_a_yes_to_it_while_a_placement_reckons_keeps_it(self, one_place):
        first = self.has(one_place)
        with one_place.before_commit("UPDATE log_head") as accepting:
            saying = one_place.go(yes, one_place, self.guardian(first), first)
            accepting.arrive()
            assert offers.place(one_place.ctx).offered == 0
            accepting.go.set()
            saying.result(60)
        assert offers.place(one_place.ctx).offered == 0
        assert self.states(one_place) == ["accepted", "waiting", "waiting"]

    def test_a_withdrawal_that_frees_it_gives_it_to_one_of_those_who_wait(self, one_place):
        first = self.has(one_place)
        yes(one_place, self.guardian(first), first)
        family.withdraw(one_place.ctx, one_place.world.child(first), one_place.world.by(self.guardian(first)))
        together = Barrier(4)

        def place() -> int:
            together.wait()
            return offers.place(one_place.ctx).offered

        assert sum(each.result(60) for each in [one_place.go(place) for _ in range(4)]) == 1
        assert self.states(one_place) == ["offered", "waiting", "withdrawn"]
        assert holding(one_place) == 0
