"""Custody begins and ends: who hears something, who hears no more, and who must look where there is nobody."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from hub import GuardianRecord, PersonRecord, TryAgain, Unreadable, family
from hub.access import own
from hub.cases import events, holders
from hub.cases.custody import read_custody
from hub.cases.sync import sync
from hub.coordination import silence
from hub.errors import NotAllowed
from hub.letters.compose import compose_due
from hub.letters.delivery import deliver
from hub.letters.templates import Templates
from hub.store import tables
from hub.store.people import open_key
from hub.vault import unseal_json

pytestmark = pytest.mark.slow

KARLA, EMIL = "0311164234", "1405134321"
MOTHER, FATHER, AUNT = "0101804001", "0101804002", "0101804003"


@pytest.fixture
def accepted(world):
    """Karla's mother has said yes; both parents have custody, and receipts wait for them."""
    world.accepted(KARLA, guardians=(MOTHER, FATHER))
    return world


@pytest.fixture
def offered(world):
    """Both of Karla's parents have been offered a coordinator, and the letters have left."""
    world.coordinators()
    world.present(KARLA)
    world.custody(KARLA, MOTHER, FATHER)
    world.night()
    compose_due(world.ctx, Templates())
    return world


def night(world, days: int = 1) -> None:
    world.clock.move(timedelta(days=days))
    world.night()


def ask(world, child: str = KARLA) -> None:
    read_custody(world.ctx, {world.child(child)})


def ends(world, guardian: str) -> dict[str, str | None]:
    """What becomes of each event for a guardian: None while it waits or is told."""
    mine = tables.Event.guardian_id == world.guardian(guardian)
    return {event.kind: event.why_not for event in world.rows(tables.Event, mine)}


def sees(world, guardian: str) -> set[str]:
    """Which children a guardian's page may be about."""
    found = own.read(
        world.ctx.database,
        world.ctx.keys,
        world.ctx.clock,
        world.guardian(guardian),
        lambda _session, children: ({child.fields["cpr"] for child in children.values()}, {}),
    )
    return found.value


def logged(world) -> list[dict[str, list[str]]]:
    """What the log says of custody that began or ended."""
    with world.session() as session:
        return [
            unseal_json(open_key(session, world.ctx.keys, row.subject_key), row.subject, f"log-subject:{row.id}")
            for row in world.rows(tables.LogEntry, tables.LogEntry.kind == holders.KIND)
        ]


class TestLoss:
    @pytest.mark.parametrize("how", ["slet", "start in the future", "no longer named"])
    def test_the_guardian_sees_and_hears_nothing_more(self, accepted, how):
        accepted.clock.move(timedelta(days=1))
        if how == "slet":
            accepted.custody(KARLA, FATHER, until=date(2026, 11, 3))
        elif how == "start in the future":
            accepted.cpr.put(GuardianRecord(f"{KARLA}/{FATHER}", KARLA, FATHER, since=date(2027, 1, 1)))
        else:
            accepted.cpr.take_away(f"{KARLA}/{FATHER}", tombstone=False)
        assert ends(accepted, FATHER)["assigned"] is None
        ask(accepted)
        assert sees(accepted, FATHER) == set()
        assert sees(accepted, MOTHER) == {KARLA}
        assert ends(accepted, FATHER)["assigned"] == events.NO_CUSTODY
        assert ends(accepted, MOTHER)["assigned"] is None

    def test_it_is_one_transaction_with_what_ended(self, accepted, monkeypatch):
        """Were it to fail in between, either both have happened or neither."""

        def broken(*_args, **_more):
            raise TryAgain("the log cannot be written")

        accepted.custody(KARLA, FATHER, until=date(2026, 11, 2))
        monkeypatch.setattr(holders, "entries", broken)
        ask(accepted)
        assert sees(accepted, FATHER) == {KARLA}
        assert ends(accepted, FATHER)["assigned"] is None

    def test_the_log_says_so(self, accepted):
        accepted.custody(KARLA, FATHER, until=date(2026, 11, 2))
        ask(accepted)
        ask(accepted)
        assert logged(accepted) == [{"began": [], "ended": [str(accepted.guardian(FATHER))]}]

    def test_a_frozen_letter_does_not_leave(self, offered):
        offered.custody(KARLA, FATHER, until=date(2026, 11, 2))
        ask(offered)
        father = tables.Letter.guardian_id == offered.guardian(FATHER)
        (letter,) = offered.rows(tables.Letter, father)
        assert deliver(offered.ctx, letter.id) == "withheld"
        compose_due(offered.ctx, Templates())
        assert len(offered.rows(tables.Letter, father)) == 1

    def test_custody_that_ends_on_a_known_date_ends_then_without_being_asked_about(self, accepted):
        accepted.custody(KARLA, FATHER, until=date(2026, 11, 3))
        ask(accepted)
        assert (sees(accepted, FATHER), ends(accepted, FATHER)["assigned"]) == ({KARLA}, None)
        accepted.cpr.fail_at = 0
        night(accepted)
        assert sees(accepted, FATHER) == set()
        assert ends(accepted, FATHER)["assigned"] == events.NO_CUSTODY

    def test_another_childs_unreadable_answer_hides_no_loss(self, accepted):
        """CPR does not know Emil's number, week after week; Karla's father loses custody all the same."""
        accepted.present(EMIL)
        accepted.cpr.put(Unreadable("child 1", "CPR does not know this number", EMIL.encode(), cpr=EMIL))
        accepted.cpr.take_away(f"{KARLA}/{FATHER}", tombstone=False)
        night(accepted, 8)
        assert sees(accepted, FATHER) == set()

    def test_a_loss_is_found_within_the_week(self, accepted):
        night(accepted)
        accepted.cpr.take_away(f"{KARLA}/{FATHER}", tombstone=False)
        for _day in range(7):
            night(accepted)
        assert sees(accepted, FATHER) == set()


class TestGain:
    def test_who_has_custody_now_gets_the_receipt(self, accepted):
        accepted.custody(KARLA, FATHER, until=date(2026, 11, 3))
        accepted.custody(KARLA, AUNT)
        night(accepted, 8)
        sync(accepted.ctx)
        accepted.clock.move(timedelta(days=4))
        compose_due(accepted.ctx, Templates())
        letters = accepted.rows(tables.Letter, tables.Letter.guardian_id == accepted.guardian(AUNT))
        assert [letter.kind for letter in letters] == ["receipt"]

    def test_and_the_offer_with_time_to_answer_it(self, offered):
        by = offered.rows(tables.Offer)[0].answer_by
        offered.custody(KARLA, AUNT)
        night(offered, 8)
        compose_due(offered.ctx, Templates())
        letters = offered.rows(tables.Letter, tables.Letter.guardian_id == offered.guardian(AUNT))
        assert [letter.kind for letter in letters] == ["introduction"]
        assert offered.rows(tables.Offer)[0].answer_by > by
        family.accept(offered.ctx, offered.child(KARLA), offered.by(AUNT))

    def test_once(self, accepted):
        accepted.custody(KARLA, AUNT)
        for _night in range(9):
            night(accepted)
        mine = tables.Event.guardian_id == accepted.guardian(AUNT)
        assert [event.kind for event in accepted.rows(tables.Event, mine)] == ["assigned"]

    def test_custody_that_begins_in_the_future_begins_then(self, accepted):
        accepted.cpr.put(GuardianRecord(f"{KARLA}/{AUNT}", KARLA, AUNT, since=date(2026, 11, 12)))
        night(accepted, 8)
        assert (sees(accepted, AUNT), ends(accepted, AUNT)) == (set(), {})
        with pytest.raises(NotAllowed):
            family.withdraw(accepted.ctx, accepted.child(KARLA), accepted.by(AUNT))
        accepted.cpr.fail_at = 0
        night(accepted, 2)
        assert (sees(accepted, AUNT), ends(accepted, AUNT)) == ({KARLA}, {"assigned": None})

    def test_who_has_it_again_is_told_again(self, accepted):
        accepted.custody(KARLA, FATHER, until=date(2026, 11, 2))
        ask(accepted)
        accepted.clock.move(timedelta(days=1))
        accepted.custody(KARLA, FATHER)
        ask(accepted)
        mine = tables.Event.guardian_id == accepted.guardian(FATHER)
        waits = accepted.rows(tables.Event, mine, tables.Event.kind == "assigned", tables.Event.why_not.is_(None))
        assert len(waits) == 1

    def test_the_others_hear_nothing_of_it(self, accepted):
        before = ends(accepted, MOTHER)
        accepted.custody(KARLA, AUNT)
        night(accepted, 8)
        assert ends(accepted, MOTHER) == before

    def test_a_family_that_has_said_no_is_left_alone(self, offered):
        for who in (MOTHER, FATHER):
            family.decline(offered.ctx, offered.child(KARLA), offered.by(who))
        offered.custody(KARLA, AUNT)
        night(offered, 8)
        assert len(offered.rows(tables.Guardian)) == 2

    def test_where_one_has_said_no_whoever_is_new_is_offered_it_and_the_one_is_left_alone(self, offered):
        family.decline(offered.ctx, offered.child(KARLA), offered.by(MOTHER))
        before = ends(offered, MOTHER)
        offered.custody(KARLA, AUNT)
        night(offered, 8)
        mine = tables.Event.guardian_id == offered.guardian(AUNT)
        assert [(row.kind, row.why_not) for row in offered.rows(tables.Event, mine)] == [("offered", None)]
        assert ends(offered, MOTHER) == before


class TestNobody:
    def tasks(self, world) -> list[tuple[object, object, bool]]:
        found = world.rows(tables.Task, tables.Task.kind == holders.NO_GUARDIAN)
        return [(task.child_id, task.staff_id, task.done_at is None) for task in found]

    @pytest.mark.parametrize(
        "said",
        [
            [],
            [PersonRecord(KARLA, KARLA)],
            [Unreadable("child 1", "CPR does not know this number", cpr=KARLA)],
            [Unreadable("child 1", "the answer has no persondata/personnummer")],
            [GuardianRecord("bad", KARLA, "0000000000")],
            [GuardianRecord("x", KARLA, FATHER, until=date(2026, 1, 1))],
        ],
        ids=["no answer", "no custody", "unknown number", "unreadable", "a number that is none", "ended"],
    )
    def test_a_child_with_nobody_is_an_operators_task(self, world, said):
        world.coordinators()
        world.present(KARLA)
        world.cpr.put(*said)
        world.night()
        world.night()
        assert self.tasks(world) == [(world.child(KARLA), None, True)]
        assert [offer.state for offer in world.rows(tables.Offer)] == ["waiting"]

    def test_a_coordinators_when_there_is_one(self, accepted):
        for parent in (MOTHER, FATHER):
            accepted.cpr.take_away(f"{KARLA}/{parent}", tombstone=False)
        night(accepted, 8)
        (assignment,) = accepted.rows(tables.Assignment)
        assert self.tasks(accepted) == [(accepted.child(KARLA), assignment.coordinator_id, True)]

    def test_it_is_done_when_there_is_somebody(self, accepted):
        for parent in (MOTHER, FATHER):
            accepted.cpr.take_away(f"{KARLA}/{parent}", tombstone=False)
        night(accepted, 8)
        accepted.custody(KARLA, AUNT)
        night(accepted, 8)
        assert [is_open for *_rest, is_open in self.tasks(accepted)] == [False]
        accepted.cpr.take_away(f"{KARLA}/{AUNT}", tombstone=False)
        night(accepted, 8)
        assert [is_open for *_rest, is_open in self.tasks(accepted)] == [True]

    def test_a_source_that_does_not_answer_is_nobodys_task(self, world):
        """It is shown as silent; the child has not been asked about."""
        world.coordinators()
        world.present(KARLA)
        world.cpr.fail_at = 0
        world.night()
        assert self.tasks(world) == []

    def test_nor_is_a_family_that_has_said_no(self, offered):
        for who in (MOTHER, FATHER):
            family.decline(offered.ctx, offered.child(KARLA), offered.by(who))
        offered.cpr.take_away(f"{KARLA}/{MOTHER}", tombstone=False)
        offered.cpr.take_away(f"{KARLA}/{FATHER}", tombstone=False)
        night(offered, 8)
        assert self.tasks(offered) == []

    def test_nor_one_that_did_not_answer(self, offered):
        for _time in range(2):
            offered.clock.move(timedelta(days=20))
            silence.follow_up(offered.ctx)
        night(offered)
        assert self.tasks(offered) == []


class TestDeath:
    def test_nothing_is_written_about_a_child_that_has_died(self, accepted):
        accepted.case(accepted.sof, "s1", KARLA)
        sync(accepted.ctx)
        accepted.cpr.put(PersonRecord(KARLA, KARLA, name="Karla Testbarn", dead=True))
        ask(accepted)
        assert [offer.state for offer in accepted.rows(tables.Offer)] == ["died"]
        assert [row.until is None for row in accepted.rows(tables.Assignment)] == [False]
        assert set(ends(accepted, MOTHER).values()) == set(ends(accepted, FATHER).values()) == {"the child has died"}
        night(accepted, 30)
        sync(accepted.ctx)
        compose_due(accepted.ctx, Templates())
        assert accepted.rows(tables.Letter) == []
        assert accepted.rows(tables.Case) == []

    def test_a_letter_that_has_not_left_stays(self, accepted):
        compose_due(accepted.ctx, Templates())
        accepted.cpr.put(PersonRecord(KARLA, KARLA, name="Karla Testbarn", dead=True))
        ask(accepted)
        letters = accepted.rows(tables.Letter)
        assert {deliver(accepted.ctx, letter.id) for letter in letters} == {"withheld"}
        compose_due(accepted.ctx, Templates())
        assert len(accepted.rows(tables.Letter)) == len(letters)

    def test_nor_is_it_offered_anything(self, world):
        world.coordinators()
        world.present(KARLA)
        world.custody(KARLA, MOTHER)
        world.cpr.put(PersonRecord(KARLA, KARLA, dead=True))
        for _night in range(9):
            night(world)
        assert [offer.state for offer in world.rows(tables.Offer)] == ["died"]
        assert world.rows(tables.Event) == []
        assert world.rows(tables.Task) == []
