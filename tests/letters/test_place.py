"""What could tell where somebody protected lives, and what one parent said or chose, reaches the other by no way: not
by letter, not by its calendar, not by the page, and not by what an administration files of his letters."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import date, timedelta
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st
from sqlalchemy import select, update

from hub import GuardianRecord, NotAllowed, PersonRecord, StaffRecord, State, consents, family
from hub.access.own import OwnChild
from hub.cases.custody import read_custody
from hub.cases.sync import sync
from hub.clock import today
from hub.coordination import cover, goodbye
from hub.letters import parts
from hub.letters.compose import compose_due
from hub.letters.delivery import deliver
from hub.letters.templates import Templates
from hub.store import tables
from hub.store.people import open_key
from hub.store.viewer import Viewer
from hub.vault import unseal_json
from hub.web.family_page import read_page
from hub.web.words import Words
from tests.letters.kept_town import FATHER, KARLA, MOTHER, KeptTown, light

pytestmark = pytest.mark.slow

PLACE = "Skovlygaarden"
"""Stands in the unit of every member of staff: the one thing a source may say that tells of a place."""
HERS = ("Vera Testvoksen 001", MOTHER, MOTHER[6:])
"""The mother, by name and number."""
TEMPLATES = Templates()
NO_SHRINK = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
ACTS = ("case", "adviser", "deadline", "away", "hand over", "consent", "take back", "withdraw", "moved", "her language")


def act(town: KeptTown, what: str) -> None:
    """Something happens, which the mother does where a parent does it."""
    world, ctx = town.world, town.ctx
    child, mother = world.child(KARLA), world.guardian(MOTHER)
    by = consents.Speaker("guardian", "page", "test", "da", mother)
    adviser = StaffRecord(f"adviser {what}", "Anne Rådgiver", unit=PLACE)
    match what:
        case "case" | "adviser" | "deadline":
            state = State.OPEN if what == "case" else State.APPLIED
            deadline = date(2027, 2, 1) if what == "deadline" else date(2026, 12, 1)
            world.case(world.sof, f"sof {KARLA}", KARLA, state, adviser=adviser, deadline=deadline)
            sync(ctx)
        case "away":
            cover.go_away(ctx, "k0", "k1", date(2026, 12, 24))
        case "hand over":
            cover.hand_over(ctx, "k0", "k2")
        case "consent":
            consents.give(ctx, child, "SUF", by)
        case "take back":
            consents.take_back(ctx, child, "SUF", by)
        case "withdraw":
            family.withdraw(ctx, child, world.by(MOTHER))
        case "moved":
            goodbye.say(ctx, child, "moved")
        case _:
            with ctx.database.begin() as session:
                session.execute(update(tables.Guardian).where(tables.Guardian.id == mother).values(language="en"))


def fathers(town: KeptTown) -> list[str]:
    """All that reaches the father: his letters as his channel gets them, with their calendar, his page, and what
    administrations journalise of his letters, which he can ask to see."""
    ctx, world = town.ctx, town.world
    father = world.guardian(FATHER)
    his = {str(row.id) for row in world.rows(tables.Letter, tables.Letter.guardian_id == father)}
    letters = [replace(letter, pdf=b"") for key, letter in world.channel.taken.items() if key in his]
    with ctx.database.session() as session:
        rows = session.execute(
            select(tables.Child)
            .join(tables.Custody, tables.Custody.child_id == tables.Child.id)
            .where(tables.Custody.guardian_id == father, tables.Custody.until.is_(None))
        ).scalars()
        children: dict[Any, OwnChild] = {}
        for row in rows:
            key = open_key(session, ctx.keys, row.key_id)
            children[row.id] = OwnChild(row.id, row.key_id, key, unseal_json(key, row.sealed, f"child:{row.id}"))
        filed = session.execute(
            select(tables.LetterPart, tables.Child.key_id)
            .join(tables.Letter, tables.Letter.id == tables.LetterPart.letter_id)
            .join(tables.Child, tables.Child.id == tables.LetterPart.child_id)
            .where(tables.Letter.guardian_id == father)
        ).all()
        opened = [parts.opened(part, open_key(session, ctx.keys, key_id)) for part, key_id in filed]
        files = [f"{one.title} {one.recipient} {one.text}" for one in opened if one is not None]
    with ctx.database.begin_as(Viewer(day=today(town.clock), guardian=father)) as session:
        page, _shown = read_page(ctx, Words("da", town.clock.now()), father, session, children)
        return [*(repr(asdict(letter)) for letter in letters), *files, repr(page)]


@hypothesis.settings(
    max_examples=50, suppress_health_check=list(hypothesis.HealthCheck), deadline=None, phases=NO_SHRINK
)
@hypothesis.given(
    acts=st.lists(st.sampled_from(ACTS), min_size=2, max_size=6, unique=True),
    protected=st.sets(st.sampled_from(["child", "mother"])),
)
def test_reaches_the_other_parent_by_no_way(kept_town: KeptTown, acts: list[str], protected: set[str]) -> None:
    town = kept_town
    town.back()
    world, ctx = town.world, town.ctx
    world.channel.taken.clear()
    world.cpr.put(PersonRecord(KARLA, KARLA, name="Karla Testbarn", protected="child" in protected))
    name = "Vera Testvoksen 001"
    for guardian, known_as, hidden in ((MOTHER, name, "mother" in protected), (FATHER, "Ib Testvoksen 002", False)):
        world.cpr.put(GuardianRecord(f"{KARLA}/{guardian}", KARLA, guardian, guardian_name=known_as, protected=hidden))
    read_custody(ctx, {world.child(KARLA)})
    for what in acts:
        try:
            act(town, what)
        except NotAllowed:
            continue
        town.clock.move(timedelta(hours=1))
    for _week in range(4):
        town.clock.set((town.clock.now() + timedelta(days=7)).replace(hour=9))
        compose_due(ctx, TEMPLATES, light)
        for letter in world.rows(tables.Letter, tables.Letter.state == "frozen"):
            deliver(ctx, letter.id)
    told = fathers(town)
    assert len(told) > 1, "he has letters"
    for text in told:
        for secret in (PLACE, *HERS):
            assert secret not in text
    kinds = {row.kind for row in world.rows(tables.Letter, tables.Letter.guardian_id == world.guardian(FATHER))}
    assert "withdrawn" not in kinds, "it was she who said so"
    languages = {row.language for row in world.rows(tables.Letter, tables.Letter.guardian_id == world.guardian(FATHER))}
    assert languages == {"da"}
    if protected:
        whys = {event.why_not for event in world.events("moved_away")}
        assert whys <= {"it could tell where somebody protected lives"}
