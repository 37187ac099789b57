"""docs/ages-and-custody.md is true, row by row: each row's probe says whether the rule holds.

A probe fails where what the row says of "not yet" begins to hold: then the row is to be written anew.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from hub import Gone, GuardianRecord, PersonRecord, Presence, StaffRecord, State, consents, family, mandates, rights
from hub.access import own
from hub.access.log import Asker
from hub.cases import ages, custody, transition
from hub.cases.sync import sync
from hub.errors import NotAllowed
from hub.identity import parse, turns
from hub.letters.compose import compose_due
from hub.letters.delivery import deliver
from hub.letters.templates import Templates
from hub.signin.family import find
from hub.store import tables
from hub.store.people import open_key
from hub.vault import unseal_json
from hub.web.family_page import FamilyPage, read_page
from hub.web.words import Words

ROOT = Path(__file__).resolve().parents[2]
KARLA = "0311164234"
MOTHER, FATHER = "0101804001", "0101804002"
TEN, FIFTEEN, SIXTEEN, SEVENTEEN_HALF = "0211164003", "0211114003", "0211104003", "0205094003"
FIFTEEN_TOO = "0111114003"
TOMORROW_18 = "0311084003"
"""Born 3 November 2008; the tests' clock stands at 2 November 2026."""

Probe = Callable[[Any], bool]
PROBES: dict[str, Probe] = {}


def probe(function: Probe) -> Probe:
    PROBES[function.__name__] = function
    return function


def sees(world: Any, guardian: str) -> set[str]:
    """The numbers of the children on a guardian's page."""

    def reader(_session: Any, children: Any) -> tuple[set[str], Any]:
        return {child.fields["cpr"] for child in children.values()}, dict.fromkeys(children, ("offer",))

    ctx = world.ctx
    return own.read(ctx.database, ctx.keys, ctx.clock, world.guardian(guardian), reader).value


def page(world: Any, guardian: str) -> FamilyPage:
    ctx, row = world.ctx, world.guardian(guardian)
    words = Words("da", ctx.clock.now())

    def reader(session: Any, children: Any) -> Any:
        return read_page(ctx, words, row, session, children)

    return own.read(ctx.database, ctx.keys, ctx.clock, row, reader).value


def letters(world: Any) -> dict[str, str]:
    """All that leaves now: what the letters say, by the number of whom they are to."""
    with world.ctx.database.begin() as session:
        session.execute(text("UPDATE bundle SET due_at = '2000-01-01' WHERE composed_at IS NULL"))
    compose_due(world.ctx, Templates())
    before = set(world.channel.taken)
    for row in world.rows(tables.Letter, tables.Letter.state == "frozen"):
        deliver(world.ctx, row.id)
    new = [letter for key, letter in world.channel.taken.items() if key not in before]
    return {letter.recipient.cpr: f"{letter.title} {letter.html}" for letter in new}


def offered(world: Any, child: str = KARLA, *guardians: str) -> None:
    world.coordinators()
    world.present(child)
    world.custody(child, *(guardians or (MOTHER,)))
    world.night()


def refused(act: Callable[[], object]) -> bool:
    try:
        act()
    except NotAllowed:
        return True
    return False


def assigned(world: Any) -> bool:
    return any(row.until is None for row in world.rows(tables.Assignment))


def ask_cpr(world: Any, child: str = KARLA) -> None:
    custody.read_custody(world.ctx, {world.child(child)})


def task_kinds(world: Any) -> list[str]:
    return [row.kind for row in world.rows(tables.Task, tables.Task.done_at.is_(None))]


@probe
def ten_own_letter(world: Any) -> bool:
    world.accepted(TEN)
    return letters(world).keys() == {MOTHER}


@probe
def fifteen_own_letter(world: Any) -> bool:
    """The offer, the receipt, and nothing the day before; whoever turns 15 later hears from then."""
    younger = "0311114003"
    for child in (FIFTEEN, younger):
        offered(world, child, MOTHER)
    told = letters(world).keys() == {MOTHER, FIFTEEN}
    for child in (FIFTEEN, younger):
        world.accept(child, MOTHER)
    receipts = letters(world)
    world.clock.move(timedelta(days=1))
    world.night()
    later = letters(world)
    with world.session() as session:
        nobodys_guardian = find(session, world.ctx.keys, world.clock, parse(FIFTEEN)).guardian_id is None
    custody_of = {row.guardian_id for row in world.rows(tables.Custody)} == {world.guardian(MOTHER)}
    theirs = "din koordinator" in receipts[FIFTEEN] and receipts.keys() == {MOTHER, FIFTEEN}
    return told and theirs and later.keys() == {younger} and nobodys_guardian and custody_of


@probe
def fifteen_own_page(world: Any) -> bool:
    world.accepted(FIFTEEN)
    ctx, child = world.ctx, world.child(FIFTEEN)
    words = Words("da", ctx.clock.now())

    def read() -> FamilyPage:
        reader = partial(read_page, ctx, words, None)
        return own.read_young(ctx.database, ctx.keys, ctx.clock, child, reader).value

    on_the_birthday = [one.coordinator is not None for one in read().children] == [True]
    world.clock.move(timedelta(days=-1))
    return on_the_birthday and refused(read)


@probe
def fifteen_own_say(world: Any) -> bool:
    """A yes is enough; a no and a withdrawal hold, whatever the guardians want; the day before 15 none counts."""
    by, younger = family.Answerer(None, "page", "test"), "0311114003"
    for child in (FIFTEEN, FIFTEEN_TOO, younger):
        offered(world, child, MOTHER, FATHER)

    def state(child: str) -> str:
        return next(row.state for row in world.rows(tables.Offer) if row.child_id == world.child(child))

    family.accept(world.ctx, world.child(FIFTEEN), by)
    with_coordinator = state(FIFTEEN) == "accepted"
    family.withdraw(world.ctx, world.child(FIFTEEN), by)
    family.decline(world.ctx, world.child(FIFTEEN_TOO), by)
    too_late = refused(lambda: world.accept(FIFTEEN_TOO, MOTHER))
    too_young = refused(lambda: family.decline(world.ctx, world.child(younger), by))
    return (with_coordinator, state(FIFTEEN), too_late, too_young) == (True, "withdrawn", True, True)


@probe
def fifteen_sign_in(world: Any) -> bool:
    child = "0311114003"
    offered(world, child)

    def known() -> bool:
        with world.session() as session:
            return find(session, world.ctx.keys, world.clock, parse(child)).young_id == world.child(child)

    found = []
    for day in ((2026, 11, 2), (2026, 11, 3), (2029, 11, 2), (2029, 11, 3)):
        world.clock.set(datetime(*day, 12, tzinfo=UTC))
        found.append(known())
    return found == [False, True, True, False]


def speaks(world: Any, child: str, guardian: str | None = None) -> consents.Speaker:
    if guardian is None:
        return consents.Speaker("young", "page", "test", "da")
    return consents.Speaker("guardian", "page", "test", "da", world.guardian(guardian))


def consented(world: Any, child: str) -> bool:
    return bool(world.rows(tables.Consent, tables.Consent.holds(world.clock.now()),
                           tables.Consent.child_id == world.child(child)))  # fmt: skip


@probe
def fifteen_health_consent(world: Any) -> bool:
    world.accepted(FIFTEEN)
    world.accepted(KARLA)
    ctx, old, young = world.ctx, world.child(FIFTEEN), world.child(KARLA)
    no_guardian = refused(lambda: consents.give(ctx, old, "SUF", speaks(world, FIFTEEN, MOTHER)))
    too_young = refused(lambda: consents.give(ctx, young, "SUF", speaks(world, KARLA)))
    consents.give(ctx, old, "SUF", speaks(world, FIFTEEN))
    given = consented(world, FIFTEEN)
    consents.take_back(ctx, old, "SUF", speaks(world, FIFTEEN, MOTHER))
    consents.close(ctx, old, "SOF", speaks(world, FIFTEEN))
    return no_guardian and too_young and given and not consented(world, FIFTEEN) and bool(world.rows(tables.Block))


@probe
def joint_health_consent(world: Any) -> bool:
    world.accepted(KARLA, guardians=(MOTHER, FATHER))
    child = world.child(KARLA)
    consents.give(world.ctx, child, "SUF", speaks(world, KARLA, MOTHER))
    world.case(world.suf, "h", KARLA)
    sync(world.ctx)
    read = bool(world.rows(tables.Case)) and consented(world, KARLA)
    consents.take_back(world.ctx, child, "SUF", speaks(world, KARLA, FATHER))
    return read and not world.rows(tables.Case) and not consented(world, KARLA)


@probe
def joint_closed(world: Any) -> bool:
    world.accepted(KARLA, guardians=(MOTHER, FATHER))
    child, shut = world.child(KARLA), []
    for who in (MOTHER, FATHER):
        consents.close(world.ctx, child, "SOF", speaks(world, KARLA, who))
    for who in (MOTHER, FATHER):
        shut.append(bool(world.rows(tables.Block, tables.Block.lifted_at.is_(None))))
        consents.open_again(world.ctx, child, "SOF", speaks(world, KARLA, who))
    return shut == [True, True] and not world.rows(tables.Block, tables.Block.lifted_at.is_(None))


def steps(world: Any, child: str) -> list[tuple[str, date | None]]:
    world.accepted(child)
    transition.remind(world.ctx)
    transition.remind(world.ctx)
    coordinator = world.rows(tables.Assignment)[0].coordinator_id
    rows = world.rows(tables.Task)
    assert {row.staff_id for row in rows} <= {coordinator}
    return [(row.kind, row.due) for row in rows]


@probe
def sixteen_transition(world: Any) -> bool:
    world.clock.move(timedelta(days=-1))
    nothing = steps(world, SIXTEEN) == []
    world.clock.move(timedelta(days=1))
    transition.remind(world.ctx)
    transition.remind(world.ctx)
    due = [(row.kind, row.due) for row in world.rows(tables.Task)]
    return nothing and due == [("transition_begins", date(2028, 5, 2))]


@probe
def seventeen_and_a_half(world: Any) -> bool:
    return steps(world, SEVENTEEN_HALF) == [("transition_plan", date(2027, 5, 2))]


@probe
def eve_of_eighteen(world: Any) -> bool:
    offered(world, TOMORROW_18)
    world.clock.set(datetime(2026, 11, 2, 22, 59, tzinfo=UTC))  # 23.59 in Denmark
    there = sees(world, MOTHER) == {TOMORROW_18}
    world.accept(TOMORROW_18, MOTHER)
    return there and assigned(world)


@probe
def eighteen_page(world: Any) -> bool:
    world.accepted(TOMORROW_18)
    world.clock.set(datetime(2026, 11, 2, 23, 0, tzinfo=UTC))  # midnight in Denmark
    return sees(world, MOTHER) == set()


@probe
def eighteen_answer(world: Any) -> bool:
    offered(world, TOMORROW_18)
    child, guardian = world.child(TOMORROW_18), world.guardian(MOTHER)
    world.clock.set(datetime(2026, 11, 2, 23, 0, tzinfo=UTC))
    return refused(lambda: world.accept(TOMORROW_18, MOTHER)) and refused(
        lambda: rights.ask(world.ctx, guardian, rights.OBJECTION, child, "")
    )


@probe
def eighteen_letter(world: Any) -> bool:
    world.accepted(TOMORROW_18)
    with world.ctx.database.begin() as session:
        session.execute(text("UPDATE bundle SET due_at = '2000-01-01'"))
    ready = compose_due(world.ctx, Templates()).letters
    world.clock.set(datetime(2026, 11, 2, 23, 0, tzinfo=UTC))
    return ready > 0 and letters(world) == {} and not world.channel.taken


@probe
def eighteen_scheme(world: Any) -> bool:
    world.accepted(TOMORROW_18)
    world.case(world.sof, "s", TOMORROW_18)
    sync(world.ctx)
    had = bool(world.rows(tables.Case)) and assigned(world)
    world.clock.move(timedelta(days=1))
    family.come_of_age(world.ctx)
    return had and not assigned(world) and not world.rows(tables.Case)


@probe
def eighteen_mandate(world: Any) -> bool:
    """Two turn 18 tomorrow; one of them has given somebody a mandate that lasts."""
    other = "0311084011"
    world.accepted(TOMORROW_18, other)
    mandates.give(world.ctx, world.child(TOMORROW_18), mandate(past_18=True), STAFF)
    letters(world)
    world.clock.move(timedelta(days=1))
    ended = family.come_of_age(world.ctx)
    world.case(world.sof, "first", TOMORROW_18)
    sync(world.ctx)
    world.case(world.sof, "new", TOMORROW_18)
    sync(world.ctx)
    goes_on = (ended, letters(world).keys(), sees(world, MOTHER)) == (1, {RITA, TOMORROW_18}, set())
    (row,) = world.rows(tables.Hears, tables.Hears.capacity == "representative")
    mandates.take_back(world.ctx, row.id, world.child(TOMORROW_18), STAFF)
    return goes_on and not assigned(world) and not world.rows(tables.Case)


STAFF = Asker("s-1", "Sanne Toft", "staff", "SOF")
RITA = "0101754100"


def mandate(
    principal: Any = None, *, instead: bool = False, past_18: bool = False, until: date | None = None
) -> mandates.Mandate:
    return mandates.Mandate(principal, parse(RITA), "Rita Repræsentant", instead, past_18, until, "J-1")


@probe
def mandate_hears(world: Any) -> bool:
    world.accepted(KARLA, guardians=(MOTHER, FATHER))
    world.accepted(FIFTEEN, guardians=(MOTHER,))
    mandates.give(world.ctx, world.child(KARLA), mandate(world.guardian(FATHER), instead=True), STAFF)
    receipts = letters(world)  # the father's receipt waited, and is the representative's now
    also = receipts.keys() == {MOTHER, FIFTEEN, RITA} and "Karla" in receipts[RITA]
    mandates.give(world.ctx, world.child(FIFTEEN), mandate(), STAFF)
    world.case(world.sof, "first", FIFTEEN)
    sync(world.ctx)
    world.case(world.sof, "new", FIFTEEN)
    sync(world.ctx)
    return also and letters(world).keys() == {MOTHER, FIFTEEN, RITA} and sees(world, FATHER) == {KARLA}


@probe
def mandate_speaks(world: Any) -> bool:
    offered(world, KARLA, MOTHER, FATHER)
    mandates.give(world.ctx, world.child(KARLA), mandate(world.guardian(FATHER)), STAFF)
    by = family.Answerer(
        world.guardian(FATHER), "phone", "test", STAFF, evidence="J-2", representative="Rita Repræsentant"
    )
    family.decline(world.ctx, world.child(KARLA), by)
    still = [row.state for row in world.rows(tables.Offer)] == ["offered"]
    family.decline(world.ctx, world.child(KARLA), world.by(MOTHER))
    (answer,) = world.rows(tables.Acceptance, tables.Acceptance.capacity == "representative")
    ended = [row.state for row in world.rows(tables.Offer)] == ["declined"]
    return still and ended and answer.guardian_id == world.guardian(FATHER)


@probe
def mandate_ends(world: Any) -> bool:
    world.accepted(KARLA, guardians=(MOTHER, FATHER))
    child = world.child(KARLA)
    mandates.give(world.ctx, child, mandate(world.guardian(FATHER), instead=True), STAFF)
    with world.ctx.database.begin() as session:
        session.execute(text("UPDATE bundle SET due_at = '2000-01-01'"))
    compose_due(world.ctx, Templates())  # the representative's letter is ready
    (row,) = world.rows(tables.Hears, tables.Hears.capacity == "representative")
    mandates.take_back(world.ctx, row.id, child, STAFF)
    back = letters(world).keys() == {MOTHER, FATHER}
    mandates.give(world.ctx, child, mandate(world.guardian(FATHER), until=date(2026, 11, 9)), STAFF)
    world.night()
    till_then = letters(world).keys() == {RITA}
    world.clock.move(timedelta(days=7))
    world.night()
    world.case(world.sof, "first", KARLA)
    sync(world.ctx)
    world.case(world.sof, "new", KARLA)
    sync(world.ctx)
    return back and till_then and letters(world).keys() == {MOTHER, FATHER}


@probe
def leap_day(world: Any) -> bool:
    child = "2902124003"
    world.clock.set(datetime(2030, 2, 28, 7, 0, tzinfo=UTC))
    world.accepted(child)
    before = sees(world, MOTHER)
    world.clock.set(datetime(2030, 2, 28, 23, 0, tzinfo=UTC))
    return before == {child} and sees(world, MOTHER) == set() and letters(world) == {}


@probe
def sole_custody(world: Any) -> bool:
    offered(world, KARLA, MOTHER)
    return letters(world).keys() == {MOTHER} and len(world.rows(tables.Guardian)) == 1


@probe
def joint_same_offer(world: Any) -> bool:
    offered(world, KARLA, MOTHER, FATHER)
    return letters(world).keys() == {MOTHER, FATHER} and {
        child.offer for who in (MOTHER, FATHER) for child in page(world, who).children
    } == {"offered"}


@probe
def joint_one_yes(world: Any) -> bool:
    world.accepted(KARLA, guardians=(MOTHER, FATHER))
    return assigned(world) and letters(world).keys() == {MOTHER, FATHER}


@probe
def joint_objection(world: Any) -> bool:
    world.accepted(KARLA, guardians=(MOTHER, FATHER))
    rights.ask(world.ctx, world.guardian(FATHER), rights.OBJECTION, world.child(KARLA), "Ikke uden mig.")
    (task,) = world.rows(tables.Task)
    mine = task.staff_id == world.rows(tables.Assignment)[0].coordinator_id
    return mine and task.due is not None and task.done_at is None and assigned(world)


@probe
def joint_one_no(world: Any) -> bool:
    offered(world, KARLA, MOTHER, FATHER)
    family.decline(world.ctx, world.child(KARLA), world.by(MOTHER))
    neither_sees = [child.offer for who in (MOTHER, FATHER) for child in page(world, who).children]
    told = letters(world).keys()
    world.accept(KARLA, FATHER)
    both = {child.offer for who in (MOTHER, FATHER) for child in page(world, who).children}
    return (neither_sees, told, both) == (["none", "offered"], {FATHER}, {"accepted"}) and assigned(world)


@probe
def joint_one_withdraws(world: Any) -> bool:
    world.accepted(KARLA, guardians=(MOTHER, FATHER))
    family.withdraw(world.ctx, world.child(KARLA), world.by(FATHER))
    return not assigned(world)


@probe
def joint_answer_is_own(world: Any) -> bool:
    world.accepted(KARLA, guardians=(MOTHER, FATHER))
    rights.ask(world.ctx, world.guardian(MOTHER), rights.OBJECTION, world.child(KARLA), "Kun til kommunen.")
    mothers, fathers = page(world, MOTHER), page(world, FATHER)
    return (
        [child.said for child in mothers.children] == ["yes"]
        and [child.said for child in fathers.children] == [None]
        and len(mothers.requests) == 1
        and fathers.requests == ()
    )


def names_of(world: Any) -> dict[str, str]:
    return {who: f"Vera Testvoksen {who[-3:]}" for who in (MOTHER, FATHER)}


@probe
def joint_other_unnamed(world: Any) -> bool:
    offered(world, KARLA, MOTHER, FATHER)
    with world.ctx.database.begin() as session:
        session.get_one(tables.Guardian, world.guardian(FATHER)).language = "en"
    world.accept(KARLA, MOTHER)
    said, names = letters(world), names_of(world)
    pages = {who: repr(page(world, who)) for who in (MOTHER, FATHER)}
    return all(
        names[other] not in said[who] + pages[who] and other not in said[who] + pages[who]
        for who, other in ((MOTHER, FATHER), (FATHER, MOTHER))
    ) and ("Kære" in said[MOTHER], "Dear" in said[FATHER], "Dear" in said[MOTHER]) == (True, True, False)


@probe
def custody_begins(world: Any) -> bool:
    offered(world, KARLA, MOTHER)
    letters(world)
    name = "Vera Testvoksen 002"
    world.cpr.put(GuardianRecord(f"{KARLA}/{FATHER}", KARLA, FATHER, since=date(2026, 11, 5), guardian_name=name))
    ask_cpr(world)
    before = letters(world) == {} and sees(world, FATHER) == set()
    world.clock.move(timedelta(days=3))
    world.night()
    return before and letters(world).keys() == {FATHER} and sees(world, FATHER) == {KARLA}


@probe
def custody_ends(world: Any) -> bool:
    world.accepted(KARLA, guardians=(MOTHER, FATHER))
    world.custody(KARLA, FATHER, until=date(2026, 11, 3))
    ask_cpr(world)
    with world.ctx.database.begin() as session:
        session.execute(text("UPDATE bundle SET due_at = '2000-01-01'"))
    compose_due(world.ctx, Templates())
    before = sees(world, FATHER) == {KARLA}
    world.clock.set(datetime(2026, 11, 2, 23, 0, tzinfo=UTC))
    gone = sees(world, FATHER) == set() and letters(world).keys() == {MOTHER}
    return before and gone and refused(lambda: family.withdraw(world.ctx, world.child(KARLA), world.by(FATHER)))


def closed(world: Any) -> set[str]:
    """The administrations that are closed."""
    return {row.administration for row in world.rows(tables.Block, tables.Block.holds())}


def says(world: Any, who: str) -> consents.Speaker:
    return consents.Speaker("guardian", "page", "t", "da", world.guardian(who))


@probe
def custody_ends_closed(world: Any) -> bool:
    world.accepted(KARLA, guardians=(MOTHER, FATHER))
    child = world.child(KARLA)
    for who, administration in ((FATHER, "SOF"), (FATHER, "BUF"), (MOTHER, "BUF")):
        consents.close(world.ctx, child, administration, says(world, who))
    before = consents.end_with_say(world.ctx) == 0
    world.custody(KARLA, FATHER, until=date(2026, 11, 3))
    ask_cpr(world)
    events = len(world.events())
    world.clock.set(datetime(2026, 11, 3, 9, 0, tzinfo=UTC))
    opened = consents.end_with_say(world.ctx) == 2 and closed(world) == {"BUF"} and len(world.events()) == events
    with world.ctx.database.begin() as session:
        session.execute(text("UPDATE custody SET until = '2026-11-03'"))
    return before and opened and consents.end_with_say(world.ctx) == 0 and closed(world) == {"BUF"}


@probe
def eighteen_closed(world: Any) -> bool:
    world.accepted(TOMORROW_18, guardians=(MOTHER,))
    child = world.child(TOMORROW_18)
    consents.close(world.ctx, child, "SOF", says(world, MOTHER))
    consents.close(world.ctx, child, "BUF", consents.Speaker("young", "page", "t", "da"))
    before = consents.end_with_say(world.ctx) == 0
    world.clock.set(datetime(2026, 11, 3, 9, 0, tzinfo=UTC))
    return before and consents.end_with_say(world.ctx) == 1 and closed(world) == {"BUF"}


@probe
def one_guardian_dead(world: Any) -> bool:
    world.accepted(KARLA, guardians=(MOTHER, FATHER))
    world.clock.move(timedelta(days=1))
    world.cpr.take_away(f"{KARLA}/{FATHER}", tombstone=False)
    ask_cpr(world)
    return sees(world, FATHER) == set() and sees(world, MOTHER) == {KARLA} and letters(world).keys() == {MOTHER}


@probe
def nobody_left(world: Any) -> bool:
    world.accepted(KARLA)
    world.custody(KARLA, MOTHER, until=date(2026, 11, 2))
    ask_cpr(world)
    alone = task_kinds(world) == ["no_guardian"]
    world.custody(KARLA, FATHER)
    ask_cpr(world)
    return alone and task_kinds(world) == []


@probe
def protected_guardian(world: Any) -> bool:
    world.coordinators()
    world.present(KARLA)
    world.custody(KARLA, MOTHER)
    name = "Vera Testvoksen 002"
    world.cpr.put(GuardianRecord(f"{KARLA}/{FATHER}", KARLA, FATHER, guardian_name=name, protected=True))
    world.night()
    world.accept(KARLA, FATHER)
    said = letters(world)
    return said.keys() == {MOTHER, FATHER} and name not in said[MOTHER] + repr(page(world, MOTHER))


@probe
def protected_child(world: Any) -> bool:
    world.coordinators()
    world.present(KARLA)
    world.custody(KARLA, MOTHER, FATHER)
    world.cpr.put(PersonRecord(KARLA, KARLA, name="Karla Testbarn", protected=True))
    world.night()
    world.accept(KARLA, MOTHER)
    adviser = StaffRecord("a", "Åse Rådgiver", None, "12340009", "Kystskolen")
    world.case(world.sof, "s", KARLA, adviser=adviser)
    sync(world.ctx)
    said, pages = letters(world), [repr(page(world, who)) for who in (MOTHER, FATHER)]
    everything = " ".join([*said.values(), *pages])
    return "Åse Rådgiver" in everything and "Kystskolen" not in everything


@probe
def guardian_under_18(world: Any) -> bool:
    young = "0101114003"  # 15 years
    offered(world, KARLA, young)
    return letters(world).keys() == {young} and sees(world, young) == {KARLA}


@probe
def guardian_without_number(world: Any) -> bool:
    offered(world, KARLA, MOTHER, FATHER)
    letters(world)
    world.clock.move(timedelta(days=1))
    world.cpr.put(GuardianRecord(f"{KARLA}/{FATHER}", KARLA, "0000000000"))
    ask_cpr(world)
    with world.session() as session:
        again = world.child(KARLA) in custody.unread(session, world.clock.now() + custody.ASK_AGAIN)
    return bool(world.rows(tables.Quarantine)) and sees(world, FATHER) == sees(world, MOTHER) == {KARLA} and again


@probe
def guardian_new_number(world: Any) -> bool:
    offered(world, KARLA, MOTHER)
    row, new = world.guardian(MOTHER), "0101804009"
    world.clock.move(timedelta(days=1))
    world.cpr.put(PersonRecord(MOTHER, MOTHER, current=new))
    world.cpr.put(Gone(f"{KARLA}/{MOTHER}"))
    world.cpr.put(GuardianRecord(f"{KARLA}/{new}", KARLA, new, guardian_name="Vera Testvoksen 009"))
    ask_cpr(world)
    return world.guardian(new) == row and sees(world, new) == {KARLA}


@probe
def unborn(world: Any) -> bool:
    for source in (world.sof, world.buf):
        source.put(Presence(f"{source.name}/x", "0000000000", State.APPLIED))
    world.night()
    return len(world.rows(tables.Quarantine)) == 2 and not world.rows(tables.Child)


@probe
def replacement_number(world: Any) -> bool:
    temporary, ordinary = "6311164234", "0311164234"
    offered(world, temporary)
    row, was_offered = world.child(temporary), bool(letters(world))
    world.present(ordinary)
    for source in (world.sof, world.buf):
        source.put(Presence(f"{source.name}/{temporary}", ordinary, State.OPEN))
    world.custody(ordinary, MOTHER)
    world.night()
    return was_offered and world.child(ordinary) == row and [o.state for o in world.rows(tables.Offer)] == ["offered"]


@probe
def electronic_number(world: Any) -> bool:
    world.present("0311167AB4")
    world.night()
    return len(world.rows(tables.Quarantine)) == 2 and not world.rows(tables.Child)


@probe
def child_dies(world: Any) -> bool:
    world.accepted(KARLA)
    world.cpr.put(PersonRecord(KARLA, KARLA, dead=True))
    ask_cpr(world)
    return not assigned(world) and letters(world) == {}


def test_every_row_has_a_probe_and_every_probe_a_row() -> None:
    assert [row.key for row in ages.ROWS] == list(dict.fromkeys(row.key for row in ages.ROWS))
    assert {row.key for row in ages.ROWS} == PROBES.keys()


@pytest.mark.slow
@pytest.mark.parametrize("row", ages.ROWS, ids=lambda row: row.key)
def test_the_row_is_true(row: ages.Row, world: Any) -> None:
    holds = PROBES[row.key](world)
    assert holds == (row.holds == "yes"), f"{row.key}: the page says {row.holds!r}, and the hub says otherwise"


def test_the_page_is_what_the_table_says() -> None:
    """`python -m hub.cases.ages > docs/ages-and-custody.md` makes it so."""
    done = subprocess.run([sys.executable, "-m", "hub.cases.ages"], capture_output=True, check=True, cwd=ROOT)
    assert done.stdout.decode() == ages.page()
    assert (ROOT / "docs" / "ages-and-custody.md").read_text(encoding="utf-8") == ages.page()


@given(st.dates(date(1940, 1, 1), date(2030, 12, 31)), st.integers(0, 30), st.integers(0, 11))
def test_somebody_is_so_old_on_that_day_and_not_the_day_before(born: date, years: int, months: int) -> None:
    when = turns(born, years, months)
    whole = (when.year - born.year) * 12 + when.month - born.month - (when.day < born.day)
    assert whole == years * 12 + months
    before = when - timedelta(days=1)
    assert (before.year - born.year) * 12 + before.month - born.month - (before.day < born.day) < years * 12 + months


def test_the_probes_open_what_is_sealed(world: Any) -> None:
    """That a name is not found means something: it is there to be found."""
    offered(world, KARLA, MOTHER, FATHER)
    with world.session() as session:
        row = session.get_one(tables.Guardian, world.guardian(FATHER))
        found = unseal_json(open_key(session, world.ctx.keys, row.key_id), row.sealed, f"guardian:{row.id}")
    assert found["name"] == names_of(world)[FATHER]
    assert names_of(world)[FATHER] in letters(world)[FATHER]
