"""Numbers and names: forgotten after their time, never before it, and not while something waits for somebody."""

from __future__ import annotations

from datetime import timedelta
from itertools import product
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, update

from hub import family, mandates, rights
from hub.access import own
from hub.access.askers import day_key
from hub.access.log import Asker
from hub.clock import today
from hub.identity import YOUNG, parse
from hub.letters.compose import compose_due
from hub.letters.delivery import deliver
from hub.letters.frozen import open_content
from hub.letters.preferences import Preferences, choose
from hub.letters.templates import Templates
from hub.retention.people import NOBODY
from hub.store import tables, tasks
from tests.conftest import World
from tests.retention.conftest import FATHER, KARLA, MOTHER, Sleep, sealed_of

pytestmark = pytest.mark.slow


def post(world: World) -> None:
    """What waits is written and sent, and has arrived."""
    with world.ctx.database.begin() as session:
        session.execute(
            update(tables.Bundle).where(tables.Bundle.composed_at.is_(None)).values(due_at=world.clock.now())
        )
    compose_due(world.ctx, Templates())
    for letter in world.rows(tables.Letter, tables.Letter.state == "frozen"):
        deliver(world.ctx, letter.id)
    with world.ctx.database.begin() as session:
        arrived = update(tables.Letter).where(tables.Letter.state == "sent")
        session.execute(arrived.values(state="delivered", state_due=None))


def offered(world: World, *children: str, guardians: tuple[str, ...] = (MOTHER,)) -> None:
    world.coordinators()
    for child in children:
        world.present(child)
        world.custody(child, *guardians)
    world.night()
    post(world)


def child(world: World, digits: str = KARLA) -> tables.Child:
    (row,) = world.rows(tables.Child, tables.Child.id == world.child(digits))
    return row


def end(world: World, how: str, digits: str = KARLA) -> None:
    if how == "declined":  # everybody who may answer says no
        for custody in world.rows(tables.Custody, tables.Custody.child_id == world.child(digits)):
            by = family.Answerer(custody.guardian_id, "page", "introduction/test")
            family.decline(world.ctx, world.child(digits), by)
        if parse(digits).age(today(world.clock)) >= YOUNG:
            family.decline(world.ctx, world.child(digits), family.Answerer(None, "page", "introduction/test"))
        (offer,) = world.rows(tables.Offer, tables.Offer.child_id == world.child(digits))
        assert offer.state == "declined"
        return
    world.accept(digits, MOTHER)
    post(world)
    if how == "withdrawn":
        family.withdraw(world.ctx, world.child(digits), world.by(MOTHER))
    else:
        world.clock.move(timedelta(days=365.25 * 9))
        assert family.come_of_age(world.ctx) == 1
    post(world)


@pytest.mark.parametrize("how", ["declined", "withdrawn", "grown"])
def test_after_the_end_number_name_and_custody_go_and_the_answer_stays(world: World, sleep: Sleep, how: str) -> None:
    offered(world, KARLA, guardians=(MOTHER, FATHER))
    end(world, how)
    kept = sealed_of(world, child(world), "child")
    assert kept["cpr"] == KARLA
    assert "numbers" not in sleep(89)
    assert sealed_of(world, child(world), "child") == kept
    done = sleep(1)
    assert done["numbers"] == 1
    assert done["guardians"] == 2
    assert sealed_of(world, child(world), "child") == {}
    assert world.rows(tables.Custody) == []
    for row in world.rows(tables.Guardian):
        assert sealed_of(world, row, "guardian") == NOBODY
    (offer,) = world.rows(tables.Offer)
    assert offer.state == how
    assert child(world).token == world.ctx.keys.lookup_token(KARLA), "so that a lookup finds the no, and the match too"
    assert "numbers" not in sleep(1), "once"
    world.night()
    assert [row.state for row in world.rows(tables.Offer)] == [how], "nobody is asked again"
    assert world.rows(tables.Custody) == [], "and nobody's custody is asked for"
    with world.session() as session:
        for letter in session.execute(select(tables.Letter)).scalars():
            assert open_content(session, world.ctx.keys, letter)["title"], (
                "what was sent can be read as long as its time"
            )


def test_how_they_chose_to_be_written_to_keeps_nobodys_name(world: World, sleep: Sleep) -> None:
    """A mail address and a phone number are theirs too: they go with the name, and do not keep it."""
    offered(world, KARLA)
    mother = world.guardian(MOTHER)
    choose(world.ctx, mother, Preferences(large_print=True))
    (letter, *_more) = world.rows(tables.Letter)
    with world.ctx.database.begin() as session:
        session.add(tables.ReturnedMail(guardian_id=mother, letter_id=letter.id, at=world.clock.now()))
    end(world, "declined")
    assert "guardians" not in sleep(89)
    assert len(world.rows(tables.Preference)) == 1
    assert sleep(1)["guardians"] == 1
    assert world.rows(tables.Preference) == world.rows(tables.ReturnedMail) == []
    (row,) = world.rows(tables.Guardian)
    assert sealed_of(world, row, "guardian") == NOBODY


def test_who_else_hears_goes_with_the_number_and_a_mandate_that_has_ended_before(world: World, sleep: Sleep) -> None:
    """A young person's own row, and representatives': they are known by nothing else, so they are forgotten too."""
    young, uncle, aunt = "0210104321", "0101754100", "0101754101"
    offered(world, young)
    world.accept(young, MOTHER)
    post(world)
    clerk = Asker("s-1", "Sanne Toft", "staff", "SOF")
    for number, whose in ((uncle, world.guardian(MOTHER)), (aunt, None)):
        given = mandates.Mandate(whose, parse(number), "Onkel", False, False, None, "J-1")
        mandates.give(world.ctx, world.child(young), given, clerk)
    (his,) = world.rows(tables.Hears, tables.Hears.person_id == world.guardian(uncle))
    mandates.take_back(world.ctx, his.id, world.child(young), clerk)
    post(world)
    persons = {world.guardian(each): each for each in (young, uncle, aunt)}

    def left() -> set[str]:
        return {persons[row.person_id] for row in world.rows(tables.Hears)}

    assert "custody" not in sleep(364)
    assert left() == {young, uncle, aunt}
    assert sleep(1)["custody"] == 1
    assert left() == {young, aunt}
    family.withdraw(world.ctx, world.child(young), family.Answerer(None, "page", "test"))
    post(world)
    sleep(89)
    assert left() == {young, aunt}
    assert sleep(1)["numbers"] == 1
    assert left() == set()
    sleep(1)
    for row in world.rows(tables.Guardian):
        assert sealed_of(world, row, "guardian") == NOBODY


def test_each_rule_has_an_entry_without_anything_personal(world: World, sleep: Sleep) -> None:
    offered(world, KARLA)
    end(world, "declined")
    sleep(90)
    with world.session() as session:
        found = session.execute(select(tables.LogEntry).where(tables.LogEntry.kind == "forgotten")).scalars().all()
        days = {day_key(session, world.ctx.keys, today(world.clock))[0]}
    assert len(found) >= 3
    assert {entry.child_id for entry in found} == {None}
    assert {entry.subject_key for entry in found} == days


def test_while_something_waits_for_somebody_nothing_goes(world: World, sleep: Sleep) -> None:
    """Each of sixteen children has another of the things that may wait; only the one that has none is forgotten."""
    children = {world.number(n): waits for n, waits in enumerate(product((False, True), repeat=4))}
    offered(world, *children)
    for digits in children:
        end(world, "declined", digits)
    for digits, waits in children.items():
        hold(world, world.child(digits), *waits)
    sleep(200)
    gone = {digits for digits in children if sealed_of(world, child(world, digits), "child") == {}}
    assert gone == {digits for digits, waits in children.items() if not any(waits)}
    # A guardian of those who are left is not forgotten either.
    assert {row.guardian_id for row in world.rows(tables.Custody)} == {world.guardian(MOTHER)}
    assert all(sealed_of(world, row, "guardian")["cpr"] == MOTHER for row in world.rows(tables.Guardian))


def hold(world: World, child_id: UUID, task: bool, request: bool, news: bool, letter: bool) -> None:
    ctx, now = world.ctx, world.clock.now()
    if request:
        rights.ask(ctx, world.guardian(MOTHER), rights.OBJECTION, child_id, f"Nej {child_id}")
    with ctx.database.begin() as session:
        if task:
            tasks.put(session, ctx.keys, now, "letter", {str(child_id): {"child_id": child_id}})
        if request:  # its task is not what holds it
            session.execute(update(tables.Task).where(tables.Task.kind == rights.OBJECTION).values(done_at=now))
        if news:
            made = tables.Bundle(id=uuid4(), guardian_id=world.guardian(MOTHER), opened_at=now, due_at=now)
            waiting = session.execute(
                select(tables.Bundle).where(tables.Bundle.composed_at.is_(None))
            ).scalar_one_or_none()
            if waiting is None:
                session.add(made)
                session.flush()
            session.add(
                tables.Event(
                    guardian_id=world.guardian(MOTHER),
                    child_id=child_id,
                    kind="offered",
                    once=child_id.bytes,
                    at=now,
                    bundle_id=(waiting or made).id,
                )
            )
        if letter:
            sent = session.execute(
                select(tables.Letter)
                .join(tables.LetterChild, tables.LetterChild.letter_id == tables.Letter.id)
                .where(tables.LetterChild.child_id == child_id)
            ).scalars()
            one = sent.first()
            # Of its own: the family's letter is about all of them.
            key = tables.Bundle(
                id=uuid4(), guardian_id=world.guardian(MOTHER), opened_at=now, due_at=now, composed_at=now
            )
            session.add(key)
            session.flush()
            values = {
                name: getattr(one, name)
                for name in ("kind", "language", "template_version", "content", "pdf", "sha256", "frozen_at")
            }
            made_ = tables.Letter(
                id=uuid4(), bundle_id=key.id, guardian_id=world.guardian(MOTHER), state="sent", state_at=now,
                state_due=now, **values,
            )  # fmt: skip
            session.add(made_)
            session.flush()
            session.add(tables.LetterChild(letter_id=made_.id, child_id=child_id))


def test_who_is_in_the_scheme_is_not_forgotten_however_long_it_lasts(world: World, sleep: Sleep) -> None:
    offered(world, KARLA)
    world.accept(KARLA, MOTHER)
    post(world)
    for _year in range(8):
        done = sleep(365)
        assert done.keys() <= {"days", "lookers", "tasks", "requests"}, done
    assert sealed_of(world, child(world), "child")["cpr"] == KARLA
    (guardian,) = world.rows(tables.Guardian)
    assert sealed_of(world, guardian, "guardian")["cpr"] == MOTHER
    assert len(world.rows(tables.Custody)) == len(world.rows(tables.Assignment)) == 1


def test_a_child_who_was_never_written_to_and_left_is_forgotten_by_and_by(world: World, sleep: Sleep) -> None:
    world.present(KARLA)
    world.custody(KARLA, MOTHER)
    world.night()  # no coordinator: she waits
    row = child(world)
    with world.ctx.database.begin() as session:
        session.execute(update(tables.Child).values(eligible=False))
    assert "left" not in sleep()
    assert "left" not in sleep(29)
    assert sleep(1)["left"] == 1
    (left,) = world.rows(tables.Child)
    assert left.token != row.token
    assert sealed_of(world, left, "child") == {}
    assert world.rows(tables.Offer) == world.rows(tables.Custody) == []
    assert sealed_of(world, world.rows(tables.Guardian)[0], "guardian") == NOBODY
    (key,) = world.rows(tables.PersonKey, tables.PersonKey.id == row.key_id)
    assert key.wrapped is not None, "what was logged about her can be read as long as its time"
    assert sleep(365.25 * 5 + 1)["strangers"] == 1
    (key,) = world.rows(tables.PersonKey, tables.PersonKey.id == row.key_id)
    assert key.wrapped is None
    assert key.destroyed_at == world.clock.now()


def test_one_who_comes_back_in_time_keeps_the_place_in_the_queue(world: World, sleep: Sleep) -> None:
    world.present(KARLA)
    world.custody(KARLA, MOTHER)
    world.night()
    for eligible in (False, True, False):
        with world.ctx.database.begin() as session:
            session.execute(update(tables.Child).values(eligible=eligible))
        assert "left" not in sleep(20)
    assert [offer.state for offer in world.rows(tables.Offer)] == ["waiting"]


def test_custody_that_ended_goes_after_its_time(world: World, sleep: Sleep) -> None:
    offered(world, KARLA, guardians=(MOTHER, FATHER))
    with world.ctx.database.begin() as session:
        lost = session.get_one(tables.Custody, (world.child(KARLA), world.guardian(FATHER)))
        lost.until = today(world.clock)
    assert "custody" not in sleep(364)
    assert sleep(1)["custody"] == 1
    assert [row.guardian_id for row in world.rows(tables.Custody)] == [world.guardian(MOTHER)]


def test_a_young_person_whose_number_has_gone_has_an_empty_page(world: World, sleep: Sleep) -> None:
    """Also right after silence, when the number goes at once."""
    young = "0210104321"
    offered(world, young)
    end(world, "declined", young)
    sleep(90)

    def reader(_session: Any, children: Any) -> Any:
        return list(children), {}

    ctx = world.ctx
    assert own.read_young(ctx.database, ctx.keys, ctx.clock, world.child(young), reader).value == []
