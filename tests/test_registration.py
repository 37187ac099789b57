"""What staff write down of a family's answer is told to whoever is said to have given it, and to nobody else: an answer
that somebody of staff made up is seen by the one who never gave it."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from sqlalchemy import text

from hub import consents, mandates, registration
from hub.access import log
from hub.access.askers import asker_key, day_key
from hub.access.log import Asker
from hub.cases import hearing, holders, kinds
from hub.clock import today
from hub.identity import parse
from hub.letters.compose import compose_due
from hub.letters.delivery import deliver
from hub.letters.templates import Templates
from hub.store import tables

KARLA, YOUNG = "0311164234", "0505104005"
"""Born 2016 and 2010."""
MOTHER, FATHER, RITA = "0101804001", "0101804002", "0101754100"
SOF = Asker("s-1", "Sanne Toft", "staff", "SOF")
TOLD = {
    "close:BUF": kinds.OFFICE_CLOSED, "open:BUF": kinds.OFFICE_OPENED, "consent:SUF": kinds.CONSENT_GIVEN,
    "no_consent:SUF": kinds.CONSENT_WITHDRAWN, "objection": kinds.OBJECTED, "withdrawn": kinds.YES_WITHDRAWN,
    "yes": kinds.YES_GIVEN, "no": kinds.NO_GIVEN,
}  # fmt: skip
"""By what is written down, one after the other: the kind of event."""


@pytest.fixture
def joint(world: Any) -> Any:
    """Karla and a young person, each with a coordinator and both parents."""
    world.accepted(KARLA, YOUNG, guardians=(MOTHER, FATHER))
    with world.ctx.database.begin() as session:
        session.query(tables.Event).delete()
        session.query(tables.Consent).delete()  # that came with the yes
    return world


def origin(world: Any, child: str) -> registration.Origin:
    """From a lookup that found the child."""
    with world.ctx.database.begin() as session:
        entry = log.seal_entry(
            at=world.clock.now(), kind="lookup", child_id=world.child(child), asker=SOF,
            asker_key=asker_key(session, world.ctx.keys, SOF), subject={},
            subject_key=day_key(session, world.ctx.keys, today(world.clock)),
        )  # fmt: skip
        log.append(session, [entry])
    return registration.Origin("lookup", entry.id)


def mandate(world: Any, child: str, whose: str, *, instead: bool = False) -> Any:
    principal = None if whose == YOUNG else world.guardian(whose)
    given = mandates.Mandate(principal, parse(RITA), "Rita Repræsentant", instead, False, None, "J-1")
    mandates.give(world.ctx, world.child(child), given, SOF)
    (row,) = world.rows(tables.Hears, tables.Hears.capacity == "representative")
    return row.id


def write_down(world: Any, child: str, what: str, who: str, mandate_id: Any = None) -> None:
    """`who` has said so, in the telephone."""
    place, said, administration = origin(world, child), *(what + ":").split(":")[:2]
    guardian = world.guardian(who) if who in (MOTHER, FATHER) and mandate_id is None else None
    if said in registration.CHOICES:
        told = registration.Told(guardian, "phone", "t", "da", mandate_id)
        registration.choose(world.ctx, SOF, place, said, administration, told, "J-2")
    elif said == "objection":
        registration.object_(world.ctx, SOF, place, guardian, "phone", "J-2", mandate_id=mandate_id)
    else:
        registration.register(world.ctx, SOF, place, guardian, said, "phone", "J-2", mandate_id=mandate_id)


def offered(world: Any) -> None:
    """Nobody has answered yet."""
    place = world.rows(tables.Coordinator)[0].staff_id
    with world.ctx.database.begin() as session:
        session.query(tables.Acceptance).delete()
        session.query(tables.Assignment).delete()
        for row in session.query(tables.Offer):
            row.state, row.answered_at, row.coordinator_id = "offered", None, place


def told(world: Any, kind: str) -> dict[str, str | None]:
    """Who is told of an answer of this kind, by number, and what of a representative."""
    numbers = {world.guardian(number): number for number in (MOTHER, FATHER, RITA, YOUNG) if has(world, number)}
    rows = world.events(kind)
    assert {row.how for row in rows} <= {"phone"}
    assert all(row.bundle_id is not None for row in rows), "it waits for its letter"
    return {numbers[row.guardian_id]: row.spoke for row in rows}


def has(world: Any, number: str) -> bool:
    return bool(world.rows(tables.Guardian, tables.Guardian.token == world.ctx.keys.lookup_token(number)))


def letters_to(world: Any, number: str) -> str:
    """What the next letters tell somebody."""
    with world.ctx.database.begin() as session:
        session.execute(text("UPDATE bundle SET due_at = '2000-01-01' WHERE composed_at IS NULL"))
    compose_due(world.ctx, Templates())
    for row in world.rows(tables.Letter):
        deliver(world.ctx, row.id)
    return " ".join(" ".join(one.html.split()) for _key, one in world.channel.tries if one.recipient.cpr == number)


@pytest.mark.parametrize("who", [MOTHER, YOUNG, RITA])
def test_who_is_said_to_have_answered_is_told_and_nobody_else(joint: Any, who: str) -> None:
    child = YOUNG if who == YOUNG else KARLA
    by = mandate(joint, child, MOTHER, instead=True) if who == RITA else None
    expected = {RITA: "by_reader", MOTHER: "for_reader"} if who == RITA else {who: None}
    for what, kind in TOLD.items():
        if what in ("yes", "no"):
            offered(joint)
        write_down(joint, child, what, who, by)
        assert told(joint, kind) == expected, what


def test_every_kind_of_answer_is_tried() -> None:
    assert set(TOLD.values()) == kinds.ANSWERS
    said = {*get_args(registration.Said), *get_args(registration.Chosen), "objection"}
    assert {what.split(":")[0] for what in TOLD} == said


def test_a_principal_reads_what_their_representative_is_said_to_have_said_and_nothing_more(world: Any) -> None:
    """Also while all other letters go to the representative instead."""
    joint = world
    joint.accepted(KARLA, guardians=(MOTHER, FATHER))
    by = mandate(joint, KARLA, MOTHER, instead=True)
    write_down(joint, KARLA, "close:BUF", RITA, by)
    assert "Du har som repræsentant lukket for" in letters_to(joint, RITA)
    theirs = letters_to(joint, MOTHER)
    assert "Din repræsentant har lukket for" in theirs
    assert "Svaret kom i telefonen." in theirs
    assert "Koordinator 0" not in theirs
    assert "lukket for" not in letters_to(joint, FATHER)


def test_it_is_told_also_when_the_scheme_ends_before_the_letter_leaves(joint: Any) -> None:
    """Else whoever made an answer up would only have to end the scheme."""
    write_down(joint, KARLA, "close:BUF", MOTHER)
    write_down(joint, KARLA, "withdrawn", FATHER)
    assert "Du har lukket for" in letters_to(joint, MOTHER)
    fathers = letters_to(joint, FATHER)
    assert "Du har sagt nej tak" in fathers
    assert "lukket for" not in fathers


def test_what_waits_for_the_one_is_not_handed_on_to_their_representative(joint: Any) -> None:
    write_down(joint, KARLA, "close:BUF", MOTHER)
    mandate(joint, KARLA, MOTHER, instead=True)
    assert told(joint, kinds.OFFICE_CLOSED) == {MOTHER: None}
    assert "Du har lukket for" in letters_to(joint, MOTHER)
    assert "lukket for" not in letters_to(joint, RITA)


def test_what_they_close_on_their_own_page_makes_no_letter(joint: Any) -> None:
    by = consents.Speaker("guardian", "page", "t", "da", joint.guardian(MOTHER))
    consents.close(joint.ctx, joint.child(KARLA), "BUF", by)
    assert joint.events() == []


def sent_introduction(world: Any, who: str, language: str) -> str:
    """The offer's letter has left for somebody, in a language. Gives its version."""
    with world.ctx.database.begin() as session:
        session.get_one(tables.Guardian, world.guardian(who)).language = language
    letters_to(world, who)
    mine = (tables.Letter.guardian_id == world.guardian(who), tables.Letter.kind == "introduction")
    (letter,) = world.rows(tables.Letter, *mine)
    assert letter.state == "sent"
    return str(letter.template_version)


@pytest.mark.parametrize("who", [MOTHER, YOUNG, RITA])
def test_the_text_they_were_sent_is_kept_with_its_language(world: Any, who: str) -> None:
    world.present(YOUNG)
    world.custody(YOUNG, MOTHER)
    world.coordinators()
    world.night()
    by = mandate(world, YOUNG, MOTHER) if who == RITA else None
    with world.ctx.database.begin() as session:
        hearing.keep_young(world.ctx, session, [world.child(YOUNG)])
        holders.settle(world.ctx, session)
    version = sent_introduction(world, who, "en")
    write_down(world, YOUNG, "yes", who, by)
    (row,) = world.rows(tables.Acceptance)
    assert (row.text_version, row.language) == (f"phone:{version}", "en")


def test_where_none_was_sent_the_language_that_was_spoken_is_kept(joint: Any) -> None:
    place, mother = origin(joint, KARLA), joint.guardian(MOTHER)
    registration.register(joint.ctx, SOF, place, mother, "withdrawn", "phone", "J-2", language="en")
    (row,) = joint.rows(tables.Acceptance, tables.Acceptance.answer == "withdrawn")
    assert (row.text_version, row.language) == ("phone:none", "en")
