"""Who the guardians are: with custody, today, by the source that knows; and what is not asked is not known."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from hub import GuardianRecord, Page, TryAgain, Unreadable, family
from hub.cases import custody, guard
from hub.cases.custody import read_custody
from hub.letters.compose import compose_due
from hub.letters.delivery import deliver
from hub.letters.templates import Templates
from hub.store import tables
from hub.store.people import open_key
from hub.vault import unseal_json

KARLA, EMIL, OTHER = "0311164234", "1405134321", "2001154100"
MOTHER, FATHER = "0101804001", "0101804002"


@pytest.fixture
def found(world):
    """Karla and Emil, in the target group, with the parents they have."""
    world.coordinators()
    for child in (KARLA, EMIL):
        world.present(child)
        world.custody(child, MOTHER, FATHER)
    world.night()
    return world


def guardians(world, child: str) -> set[str]:
    """Who has custody of a child today, as the hub knows it."""
    today = date(2026, 11, 2) + (world.clock.now().date() - date(2026, 11, 2))
    rows = world.rows(tables.Custody, tables.Custody.child_id == world.child(child))
    names = {world.guardian(who): who for who in (MOTHER, FATHER) if who in known(world)}
    return {names[row.guardian_id] for row in rows if row.until is None or row.until > today}


def known(world) -> set[str]:
    """The numbers of all guardians, opened."""
    with world.session() as session:
        return {
            unseal_json(open_key(session, world.ctx.keys, row.key_id), row.sealed, f"guardian:{row.id}")["cpr"]
            for row in world.rows(tables.Guardian)
        }


def ask(world, *children: str) -> list[custody.CustodyRead]:
    return read_custody(world.ctx, {world.child(child) for child in children})


def test_only_children_of_the_target_group_are_asked_about_and_each_once(found):
    found.present(OTHER, found.sof)
    found.night()
    assert [children for _since, children in found.cpr.asked] == [{KARLA, EMIL}]


def test_an_answer_about_somebody_else_is_not_kept(found):
    record = GuardianRecord("x", OTHER, "0101804009")
    found.cpr.read = lambda since, children: iter([Page((record,), None, complete=True)])
    ask(found, KARLA)
    assert known(found) == {MOTHER, FATHER}


def test_custody_that_has_ended_is_kept_as_ended(found):
    found.custody(KARLA, FATHER, until=date(2026, 11, 2))
    ask(found, KARLA)
    assert guardians(found, KARLA) == {MOTHER}
    assert guardians(found, EMIL) == {MOTHER, FATHER}


def test_custody_that_the_source_no_longer_names_has_ended(found):
    found.clock.move(timedelta(days=1))
    found.cpr.take_away(f"{KARLA}/{FATHER}", tombstone=False)
    ask(found, KARLA)
    assert guardians(found, KARLA) == {MOTHER}


def test_and_it_can_come_back(found):
    found.clock.move(timedelta(days=1))
    found.cpr.take_away(f"{KARLA}/{FATHER}", tombstone=False)
    ask(found, KARLA)
    found.clock.move(timedelta(days=1))
    found.custody(KARLA, FATHER)
    ask(found, KARLA)
    assert guardians(found, KARLA) == {MOTHER, FATHER}


class TestSilence:
    @pytest.mark.parametrize("error", [TryAgain("no answer"), KeyError(KARLA)])
    def test_a_source_that_fails_ends_nobodys_custody(self, found, error):
        found.clock.move(timedelta(days=1))
        found.cpr.fail_at, found.cpr.error = 0, error
        (read,) = ask(found, KARLA)
        assert read.failure
        assert KARLA not in read.failure
        assert guardians(found, KARLA) == {MOTHER, FATHER}

    def test_nor_does_one_that_stops_in_the_middle(self, found):
        found.clock.move(timedelta(days=1))
        found.cpr.page_size, found.cpr.fail_at = 1, 1
        ask(found, KARLA, EMIL)
        assert guardians(found, EMIL) == {MOTHER, FATHER}

    def test_nor_an_answer_that_cannot_be_read(self, found):
        """One of the answers is spoilt, and nobody knows whose: nobody may lose custody by that."""
        found.clock.move(timedelta(days=1))
        found.cpr.take_away(f"{KARLA}/{FATHER}", tombstone=False)
        found.cpr.put(Unreadable("child 17", "CPR does not know this child's number", b"..."))
        (read,) = ask(found, KARLA, EMIL)
        assert read.quarantined == 1
        assert guardians(found, KARLA) == guardians(found, EMIL) == {MOTHER, FATHER}

    def test_nor_a_guardian_whose_number_is_none(self, found):
        found.clock.move(timedelta(days=1))
        found.cpr.take_away(f"{KARLA}/{FATHER}", tombstone=False)
        found.cpr.put(GuardianRecord("bad", KARLA, "0000000000"))
        (read,) = ask(found, KARLA)
        assert read.quarantined == 1
        assert guardians(found, KARLA) == {MOTHER, FATHER}

    def test_nor_an_answer_that_does_not_say_it_is_whole(self, found):
        found.clock.move(timedelta(days=1))
        mother = GuardianRecord("a", KARLA, MOTHER)
        found.cpr.read = lambda since, children: iter([Page((mother,), "1", complete=False)])
        ask(found, KARLA)
        assert guardians(found, KARLA) == {MOTHER, FATHER}

    def test_who_could_not_be_read_is_asked_about_again(self, world):
        world.coordinators()
        world.present(KARLA)
        world.cpr.put(Unreadable("child 17", "CPR does not know this child's number", b"..."))
        world.night()
        world.cpr._records.changes.clear()
        world.custody(KARLA, MOTHER)
        world.clock.move(timedelta(days=1))
        assert world.night().offered == 1


def test_a_number_that_may_be_two_persons_is_nobodys_guardian(found):
    """A decentral electronic number identifies nobody outside the place that made it: a letter could go to another."""
    found.cpr.put(GuardianRecord("bad", KARLA, "0101800AB1"))
    (read,) = ask(found, KARLA)
    assert read.quarantined == 1
    assert known(found) == {MOTHER, FATHER}


def test_of_a_child_not_accepted_no_name_is_kept_and_of_one_that_is_only_name_and_protection(found):
    found.accept(KARLA, MOTHER)
    found.night()
    with found.session() as session:
        opened = {}
        for row in found.rows(tables.Child):
            fields = unseal_json(open_key(session, found.ctx.keys, row.key_id), row.sealed, f"child:{row.id}")
            opened[fields["cpr"]] = fields
    assert opened == {EMIL: {"cpr": EMIL}, KARLA: {"cpr": KARLA, "name": "Karla Testbarn", "protected": False}}


class OnlyReads:
    """A source that can tell of custody, and not of persons alone."""

    def __init__(self, source):
        self.name, self.administration, self.reads = source.name, source.administration, source.reads
        self.presence, self.read, self.health = source.presence, source.read, source.health


class TestNames:
    """After a yes the hub may know what the child is called: one lookup; the guardians are known already."""

    def test_the_child_alone_is_asked_about_and_once(self, found):
        found.accept(KARLA, MOTHER)
        found.night()
        found.night()
        assert found.cpr.looked_up == [{KARLA}]
        assert [children for _since, children in found.cpr.asked] == [{KARLA, EMIL}]

    def test_a_source_that_cannot_do_that_is_read(self, found):
        found.ctx.plugins.adapters["cpr"] = OnlyReads(found.cpr)
        found.accept(KARLA, MOTHER)
        found.night()
        assert [children for _since, children in found.cpr.asked] == [{KARLA, EMIL}, {KARLA}]
        assert "name" in child_fields(found, KARLA)

    def test_a_source_that_fails_is_asked_again(self, found):
        found.accept(KARLA, MOTHER)
        found.cpr.fail_at = 0
        found.night()
        assert "name" not in child_fields(found, KARLA)
        found.cpr.fail_at = None
        found.night()
        assert child_fields(found, KARLA)["name"] == "Karla Testbarn"

    def test_the_week_goes_on_from_when_custody_was_asked_about(self, found):
        """Learning a name is no news about custody: a loss is found within the week all the same."""
        found.clock.move(timedelta(days=5))
        found.accept(KARLA, MOTHER)
        found.night()
        found.clock.move(timedelta(days=2))
        found.night()
        assert [children for _since, children in found.cpr.asked] == [{KARLA, EMIL}, {KARLA, EMIL}]


def child_fields(world, child: str) -> dict[str, object]:
    """What is sealed of a child."""
    with world.session() as session:
        row = session.get_one(tables.Child, world.child(child))
        return unseal_json(open_key(session, world.ctx.keys, row.key_id), row.sealed, f"child:{row.id}")


def test_a_name_is_not_kept_when_the_yes_is_taken_back_while_the_source_answers(found):
    found.accept(KARLA, MOTHER)

    def slow(numbers):
        family.withdraw(found.ctx, found.child(KARLA), found.by(MOTHER))
        yield from type(found.cpr).persons(found.cpr, numbers)

    found.cpr.persons = slow
    ask(found, EMIL)
    assert "name" not in child_fields(found, KARLA)


def test_custody_is_asked_about_again_while_a_family_has_an_offer_or_a_coordinator(found):
    """Custody ends without anybody telling the hub; within a week it knows, and the letter stays at home."""
    found.accept(KARLA, MOTHER)
    found.night()
    found.custody(KARLA, FATHER, until=date(2026, 11, 3))
    for _day in range(8):
        found.clock.move(timedelta(days=1))
        found.night()
    assert guardians(found, KARLA) == {MOTHER}
    compose_due(found.ctx, Templates())
    for letter in found.rows(tables.Letter, tables.Letter.guardian_id == found.guardian(FATHER)):
        about = found.rows(tables.LetterChild, tables.LetterChild.letter_id == letter.id)
        assert found.child(KARLA) not in {link.child_id for link in about}
        deliver(found.ctx, letter.id)


def test_and_not_every_night(found):
    for _day in range(6):
        found.clock.move(timedelta(days=1))
        found.night()
    assert len(found.cpr.asked) == 1


def test_what_a_guardian_is_called_is_kept_up_to_date(found):
    found.cpr.put(GuardianRecord(f"{KARLA}/{MOTHER}", KARLA, MOTHER, guardian_name="Vera Nytnavn", protected=True))
    ask(found, KARLA)
    with found.session() as session:
        row = session.get_one(tables.Guardian, found.guardian(MOTHER))
        fields = unseal_json(open_key(session, found.ctx.keys, row.key_id), row.sealed, f"guardian:{row.id}")
    assert (fields["name"], fields["protected"]) == ("Vera Nytnavn", True)


class TestQuarantine:
    def spoilt(self, world) -> list[tuple[str, bool]]:
        return sorted((row.reason, row.resolved_at is None) for row in world.rows(tables.Quarantine))

    def test_an_answer_leaves_it_when_it_can_be_read(self, world):
        world.coordinators()
        world.present(KARLA)
        bad = Unreadable("child 1", "foraeldremyndighedSletdato is no date", b"...", cpr=KARLA)
        world.cpr.put(bad)
        world.night()
        world.night()
        assert self.spoilt(world) == [(bad.reason, True)]
        world.cpr._records.changes.clear()
        world.custody(KARLA, MOTHER)
        world.night()
        assert self.spoilt(world) == [(bad.reason, False)]

    def test_what_is_about_nobody_leaves_it_when_it_is_not_met_again(self, world):
        world.coordinators()
        world.present(KARLA)
        world.cpr.put(Unreadable("a.xml", "the file holds no PersonLookupResponse", b"..."))
        world.night()
        world.cpr._records.changes.clear()
        world.custody(KARLA, MOTHER)
        world.clock.move(timedelta(days=1))
        world.night()
        assert [is_open for _reason, is_open in self.spoilt(world)] == [False]

    def test_another_childs_stays_there_meanwhile(self, found):
        """Only the children who are due are asked about: of the others nothing has been said."""
        found.cpr.put(Unreadable("child 1", "CPR does not know this number", b"...", cpr=EMIL))
        ask(found, KARLA, EMIL)
        found.clock.move(timedelta(days=1))
        ask(found, KARLA)
        assert [is_open for _reason, is_open in self.spoilt(found)] == [True]

    def test_no_number_stands_where_it_is_shown(self, found):
        found.cpr.put(Unreadable("child 1", "CPR does not know this number", KARLA.encode(), cpr=KARLA))
        found.cpr.put(GuardianRecord("bad", EMIL, "0101800AB1"))
        ask(found, KARLA, EMIL)
        rows = found.rows(tables.Quarantine)
        assert len(rows) == 2
        assert not any(
            number in f"{row.position} {row.reason}" for row in rows for number in (KARLA, EMIL, "0101800AB1")
        )


class TestFarFewer:
    """A permission that is taken away looks just like everybody losing custody on one day."""

    @pytest.fixture
    def several(self, world):
        world.coordinators()
        children = [world.number(n) for n in range(4)]
        for child in children:
            world.present(child)
            world.custody(child, MOTHER, FATHER)
        world.night()
        world.clock.move(timedelta(days=7))
        for child in children[:3]:
            for parent in (MOTHER, FATHER):
                world.cpr.take_away(f"{child}/{parent}", tombstone=False)
        return world, children

    def test_nobody_loses_custody_and_an_operator_is_told(self, several):
        world, children = several
        (read,) = ask(world, *children)
        assert read.held
        assert [row.until for row in world.rows(tables.Custody)] == [None] * 8

    def test_until_the_operator_says_it_is_right(self, several):
        world, children = several
        world.night()
        with world.ctx.database.begin() as session:
            guard.accept(session, "cpr")
        world.night()
        assert sum(row.until is None for row in world.rows(tables.Custody)) == 2
        assert {task.child_id for task in world.rows(tables.Task)} == {world.child(child) for child in children[:3]}

    def test_custody_that_is_said_to_have_ended_ends(self, several):
        world, children = several
        for child in children[:3]:
            world.custody(child, MOTHER, FATHER, until=date(2026, 11, 5))
        (read,) = ask(world, *children)
        assert read.held is None
        assert sum(row.until is None for row in world.rows(tables.Custody)) == 2
