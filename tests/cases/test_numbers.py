"""A child gets another number: it is the same child, whoever says so first and whoever goes on using the old one."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from itertools import permutations

import pytest
from sqlalchemy import update

from hub import GuardianRecord, PersonRecord, State, family
from hub.access.askers import KeyCache
from hub.access.log import Asker
from hub.access.lookup import LookupQueue, Request
from hub.cases import guardians, numbers
from hub.cases.custody import read_custody
from hub.cases.sync import sync
from hub.identity import parse
from hub.store import tables
from hub.store.people import open_key
from hub.vault import unseal_json

pytestmark = pytest.mark.slow

OLD, NEW = "0311164234", "0311164235"
"""At a change of legal gender the number is another, and the birthday the same."""
REPLACEMENT, ORDINARY, OTHER_DAY = "6311164231", "0311164236", "0411164236"
MOTHER, FATHER, MOTHER_NOW = "0101804001", "0101804002", "0101804003"
STAFF = Asker("s-1", "Sanne Toft", "staff", "SOF", "Handicap")


def renumbered(world, old: str, new: str, *holders: str) -> None:
    """CPR knows the person by both numbers, and says which one holds."""
    world.custody(new, *holders)
    for holder in holders:
        world.cpr.put(GuardianRecord(f"{old}/{holder}", old, holder))
    world.cpr.put(PersonRecord(old, old, current=new, name="Karla Testbarn"))


def moves(world, source, old: str, new: str) -> None:
    """A source tells of the same record under another number."""
    source.put(*[type(record)(record.source_id, new, record.state) for record in shown(source, old)])


def shown(source, cpr: str):
    return [record for page in source.presence(None) for record in page.records if record.cpr == cpr]


def nights(world, days: int = 1) -> None:
    for _day in range(days):
        world.clock.move(timedelta(days=1))
        world.night()
        sync(world.ctx)


def alive(world) -> list[tables.Child]:
    """The children there are: a row that was the same child's is not one."""
    return [row for row in world.rows(tables.Child) if row.same_as is None]


def number_in(world, row: tables.Child) -> str:
    with world.session() as session:
        key = open_key(session, world.ctx.keys, row.key_id)
        return unseal_json(key, row.sealed, f"child:{row.id}")["cpr"]


def coordinator_shown(world, cpr: str) -> bool:
    """Whether somebody who looks the number up is told a coordinator."""
    ctx = world.ctx

    async def ask() -> bool:
        cache = KeyCache(ctx.database, ctx.keys, ctx.clock)
        queue = LookupQueue(ctx, cache)
        writer = asyncio.create_task(queue.run())
        try:
            request = Request(STAFF, ctx.keys.lookup_token(cpr), "case", reason="Mødet på onsdag")
            return (await queue.ask(request)).value.coordinator is not None
        finally:
            writer.cancel()

    return asyncio.run(ask())


@pytest.fixture
def accepted(world):
    """A child with a coordinator and a case in each of two administrations, all of it read."""
    world.accepted(OLD, guardians=(MOTHER, FATHER))
    world.case(world.sof, "s1", OLD, opened=None)
    world.case(world.buf, "b1", OLD)
    world.night()
    sync(world.ctx)
    return world


def standing(world) -> dict[str, object]:
    """All that must not change with a number."""
    return {
        "children": [row.id for row in alive(world)],
        "assignments": [(row.id, row.child_id, row.until) for row in world.rows(tables.Assignment)],
        "answers": [(row.id, row.child_id, row.answer) for row in world.rows(tables.Acceptance)],
        "cases": {(row.id, row.child_id, row.is_open) for row in world.rows(tables.Case)},
        "events": {(row.id, row.why_not) for row in world.rows(tables.Event)},
        "offers": [(row.child_id, row.state) for row in world.rows(tables.Offer)],
    }


class TestCprSaysSo:
    def test_the_child_keeps_all_it_had(self, accepted):
        before, logged = standing(accepted), {row.id: row.child_id for row in accepted.rows(tables.LogEntry)}
        renumbered(accepted, OLD, NEW, MOTHER, FATHER)
        nights(accepted, 8)
        assert standing(accepted) == before
        assert [number_in(accepted, row) for row in alive(accepted)] == [NEW]
        now = {row.id: row for row in accepted.rows(tables.LogEntry)}
        assert {entry: now[entry].child_id for entry in logged} == logged
        assert [row.kind for row in now.values() if row.id not in logged] == ["number"]

    def test_both_numbers_lead_to_it(self, accepted):
        renumbered(accepted, OLD, NEW, MOTHER, FATHER)
        nights(accepted, 8)
        assert coordinator_shown(accepted, NEW)
        assert coordinator_shown(accepted, OLD)
        assert not coordinator_shown(accepted, "0311164237")

    def test_a_source_that_goes_on_with_the_old_number_is_understood(self, accepted):
        renumbered(accepted, OLD, NEW, MOTHER, FATHER)
        nights(accepted, 8)
        accepted.case(accepted.sof, "s1", OLD, State.DECIDED)
        accepted.case(accepted.buf, "b2", NEW)
        nights(accepted)
        (child,) = alive(accepted)
        assert child.eligible
        assert {row.child_id for row in accepted.rows(tables.Case)} == {child.id}
        assert len(accepted.rows(tables.Case)) == 3
        assert {event.kind for event in accepted.events()} == {"case_opened"}

    def test_nobody_is_asked_about_a_number_that_holds_no_more(self, accepted):
        renumbered(accepted, OLD, NEW, MOTHER, FATHER)
        nights(accepted, 8)
        asked = len(accepted.cpr.asked)
        nights(accepted, 8)
        assert [children for _since, children in accepted.cpr.asked[asked:]] == [{NEW}]

    def test_a_number_that_is_none_changes_nothing(self, accepted):
        before = standing(accepted)
        accepted.cpr.put(PersonRecord(OLD, OLD, current="0000000000", name="Karla Testbarn"))
        nights(accepted, 8)
        assert standing(accepted) == before
        assert len(accepted.rows(tables.Quarantine)) == 1

    def test_the_number_can_change_back(self, accepted):
        before = standing(accepted)
        renumbered(accepted, OLD, NEW, MOTHER, FATHER)
        nights(accepted, 8)
        accepted.cpr.put(PersonRecord(NEW, NEW, current=OLD), PersonRecord(OLD, OLD, name="Karla Testbarn"))
        nights(accepted, 8)
        assert standing(accepted) == before
        assert [number_in(accepted, row) for row in alive(accepted)] == [OLD]
        assert coordinator_shown(accepted, NEW)
        assert coordinator_shown(accepted, OLD)


@pytest.mark.parametrize("order", list(permutations(["sof", "buf", "cpr"])), ids="-".join)
def test_whoever_says_so_first_there_is_one_child(accepted, order):
    """Each change comes on a night of its own; a source may use the new number before CPR has said that it is one."""
    before = standing(accepted)
    for who in order:
        if who == "cpr":
            renumbered(accepted, OLD, NEW, MOTHER, FATHER)
        else:
            source = getattr(accepted, who)
            moves(accepted, source, OLD, NEW)
            accepted.case(source, {"sof": "s1", "buf": "b1"}[who], NEW)
        nights(accepted)
    nights(accepted, 8)
    after = standing(accepted)
    assert after["children"] == before["children"]
    assert after["assignments"] == before["assignments"]
    assert after["answers"] == before["answers"]
    assert {state for child, state in after["offers"] if child in after["children"]} == {"accepted"}
    assert {row.child_id for row in accepted.rows(tables.Case)} == set(before["children"])
    assert [number_in(accepted, row) for row in alive(accepted)] == [NEW]


def test_a_record_that_was_on_the_wrong_child_makes_nobody_the_same(accepted):
    """The case worker corrects the number: CPR knows both, and they are two."""
    accepted.custody(NEW, FATHER)
    moves(accepted, accepted.sof, OLD, NEW)
    moves(accepted, accepted.buf, OLD, NEW)
    nights(accepted, 2)
    assert {number_in(accepted, row) for row in alive(accepted)} == {OLD, NEW}
    assert accepted.rows(tables.FormerNumber) == []


class TestTwoRows:
    """The sources use the new number while CPR does not answer: for a while the hub takes it for another child."""

    @pytest.fixture
    def doubled(self, accepted):
        for source in (accepted.sof, accepted.buf):
            moves(accepted, source, OLD, NEW)
        accepted.custody(NEW, MOTHER, FATHER)
        accepted.cpr.put(PersonRecord(OLD, OLD, name="Karla Testbarn"))
        nights(accepted)
        assert len(alive(accepted)) == 2
        return accepted

    def test_the_one_with_the_yes_goes_on(self, doubled):
        mine = {row.child_id for row in doubled.rows(tables.Assignment)}
        renumbered(doubled, OLD, NEW, MOTHER, FATHER)
        nights(doubled, 8)
        (child,) = alive(doubled)
        assert {child.id} == mine
        (gone,) = [row for row in doubled.rows(tables.Child) if row.same_as is not None]
        assert gone.same_as == child.id
        assert {row.child_id: row.state for row in doubled.rows(tables.Offer)} == {
            child.id: "accepted",
            gone.id: "moved",
        }
        assert doubled.rows(tables.Custody, tables.Custody.child_id == gone.id) == []
        waiting = doubled.rows(tables.Event, tables.Event.child_id == gone.id)
        assert {event.why_not for event in waiting} == {numbers.MOVED}

    def test_a_no_goes_along(self, doubled):
        """The family took its yes back: an offer under the new number does not begin anew."""
        with doubled.ctx.database.begin() as session:
            held = tables.Offer.state == "accepted"
            session.execute(update(tables.Offer).where(held).values(state="withdrawn", coordinator_id=None))
            session.execute(update(tables.Assignment).values(until=doubled.clock.now()))
        renumbered(doubled, OLD, NEW, MOTHER, FATHER)
        for source in (doubled.sof, doubled.buf):  # and again: a source moves the record once more
            moves(doubled, source, NEW, OLD)
        nights(doubled, 1)
        for source in (doubled.sof, doubled.buf):
            moves(doubled, source, OLD, NEW)
        nights(doubled, 8)
        (child,) = alive(doubled)
        assert {row.state for row in doubled.rows(tables.Offer, tables.Offer.child_id == child.id)} == {"withdrawn"}


def test_a_no_goes_along_with_a_number_that_changes_later(accepted):
    family.withdraw(accepted.ctx, accepted.child(OLD), accepted.by(MOTHER))
    renumbered(accepted, OLD, NEW, MOTHER, FATHER)
    for source in (accepted.sof, accepted.buf):
        moves(accepted, source, OLD, NEW)
    nights(accepted, 8)
    assert [row.state for row in accepted.rows(tables.Offer)] == ["withdrawn"]
    assert [number_in(accepted, row) for row in alive(accepted)] == [NEW]


class TestReplacementNumbers:
    """CPR has no replacement numbers, so it cannot say which number came after one: the sources can."""

    @pytest.fixture
    def waiting(self, world):
        world.coordinators()
        world.present(REPLACEMENT)
        world.night()
        return world

    def test_an_ordinary_number_with_the_same_birthday_takes_its_place(self, waiting):
        (before,) = alive(waiting)
        waiting.custody(ORDINARY, MOTHER)
        moves(waiting, waiting.sof, REPLACEMENT, ORDINARY)
        nights(waiting)
        (child,) = alive(waiting)
        assert child.id == before.id
        assert number_in(waiting, child) == ORDINARY
        assert child.eligible, "BUF still tells of the child under the replacement number"
        assert [row.state for row in waiting.rows(tables.Offer)] == ["offered"]

    def test_another_birthday_is_another_child(self, waiting):
        waiting.custody(OTHER_DAY, MOTHER)
        for source in (waiting.sof, waiting.buf):
            moves(waiting, source, REPLACEMENT, OTHER_DAY)
        nights(waiting)
        assert {number_in(waiting, row) for row in alive(waiting)} == {REPLACEMENT, OTHER_DAY}

    def test_until_then_a_person_looks(self, waiting):
        (task,) = waiting.rows(tables.Task)
        assert (task.kind, task.done_at) == ("no_guardian", None)
        waiting.custody(ORDINARY, MOTHER)
        moves(waiting, waiting.sof, REPLACEMENT, ORDINARY)
        nights(waiting)
        (task,) = waiting.rows(tables.Task)
        assert task.done_at is not None


class TestGuardians:
    def test_a_guardian_with_a_new_number_is_the_same_person(self, accepted):
        """Language, answers and letters are theirs, and nothing is told twice."""
        mother, before = accepted.guardian(MOTHER), standing(accepted)
        with accepted.ctx.database.begin() as session:
            session.get_one(tables.Guardian, mother).language = "en"
        accepted.cpr.take_away(f"{OLD}/{MOTHER}", tombstone=False)
        accepted.custody(OLD, MOTHER_NOW)
        accepted.cpr.put(PersonRecord(MOTHER, MOTHER, current=MOTHER_NOW))
        nights(accepted, 8)
        assert standing(accepted) == before
        assert accepted.guardian(MOTHER_NOW) == mother
        (row,) = accepted.rows(tables.Guardian, tables.Guardian.id == mother)
        assert row.language == "en"
        with accepted.session() as session:
            opened = unseal_json(open_key(session, accepted.ctx.keys, row.key_id), row.sealed, f"guardian:{row.id}")
        assert opened["cpr"] == MOTHER_NOW
        held = accepted.rows(tables.Custody, tables.Custody.guardian_id == mother)
        assert [(custody.child_id, custody.until) for custody in held] == [(accepted.child(OLD), None)]
        assert len(accepted.rows(tables.Guardian)) == 2

    def test_somebody_else_is_somebody_else(self, accepted):
        mother = accepted.guardian(MOTHER)
        accepted.cpr.take_away(f"{OLD}/{MOTHER}", tombstone=False)
        accepted.custody(OLD, MOTHER_NOW)
        accepted.cpr.put(PersonRecord(MOTHER, MOTHER, name="Vera"))
        nights(accepted, 8)
        assert accepted.guardian(MOTHER_NOW) != mother

    def test_a_row_that_has_been_written_to_stays(self, accepted):
        """Two rows that both have letters cannot be one: what was sent was sealed for each."""
        accepted.custody(OLD, MOTHER_NOW)
        nights(accepted, 8)
        with accepted.ctx.database.begin() as session:
            assert not guardians.renumber(accepted.ctx, session, accepted.guardian(MOTHER), parse(MOTHER_NOW))
        assert accepted.guardian(MOTHER) != accepted.guardian(MOTHER_NOW)


def test_numbers_opened_are_only_those_that_hold_unless_asked_for(accepted):
    renumbered(accepted, OLD, NEW, MOTHER)
    read_custody(accepted.ctx, {accepted.child(OLD)})
    ids = {row.id for row in alive(accepted)}
    with accepted.session() as session:
        assert set(numbers.numbers_of(accepted.ctx, session, ids)) == {NEW}
        assert set(numbers.numbers_of(accepted.ctx, session, ids, former=True)) == {NEW, OLD}
