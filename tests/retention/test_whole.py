"""Whole cases: forgotten by two people, after their time; a hash and the log's entries stay."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, select, text, update

from hub import NotAllowed, family, rights
from hub.access import own
from hub.access.log import Asker
from hub.cases.sync import sync
from hub.contract import State
from hub.letters.frozen import open_content
from hub.recovery import read_log
from hub.retention import rows, whole
from hub.store import tables, tasks
from hub.vault import CannotOpen
from tests.conftest import World
from tests.retention.conftest import ANNA, FATHER, KARLA, MOTHER, Sleep
from tests.retention.test_people import child, offered, post
from tests.test_promises import owners_dump

pytestmark = pytest.mark.slow

LIS = Asker("l-1", "Lis Bro", "leader", "SOF", "Nord")
EVA = Asker("a-1", "Eva Lund", "auditor")
YEARS = 365.25 * 5


def lived(world: World, *children: str) -> None:
    """Families that said yes, had a case and letters, asked for something, were answered, and took the yes back."""
    offered(world, *children, guardians=(MOTHER, FATHER))
    for n, digits in enumerate(children):
        world.accept(digits, MOTHER)
        world.case(world.sof, f"s{n}", digits, State.APPLIED)
    post(world)
    sync(world.ctx)
    post(world)
    for digits in children:
        rights.ask(world.ctx, world.guardian(MOTHER), rights.OBJECTION, world.child(digits), "Nej")
        for row in world.rows(tables.Task, tables.Task.done_at.is_(None)):
            rights.answer(world.ctx, row.id, Asker("k0", "Koordinator 0", "coordinator"), "Ja.")
        look(world, digits)
        family.withdraw(world.ctx, world.child(digits), world.by(MOTHER))
    post(world)


def look(world: World, digits: str) -> None:
    """The mother reads her page: entries under the child's key."""

    def reader(_session: Any, children: Any) -> Any:
        return None, dict.fromkeys(children, ("cases",))

    own.read(world.ctx.database, world.ctx.keys, world.ctx.clock, world.guardian(MOTHER), reader)


def due(world: World, asker: Asker = LIS) -> whole.Due:
    return whole.due(world.ctx, asker)


def both_agree(world: World) -> None:
    assert whole.agree(world.ctx, LIS, due(world).which) == "first"
    assert whole.agree(world.ctx, EVA, due(world, EVA).which) == "done"


def test_it_is_due_after_the_years_and_not_before(world: World, sleep: Sleep) -> None:
    lived(world, KARLA)
    assert due(world).cases == 0
    sleep(100)
    assert due(world).cases == 0
    sleep(YEARS - 101)
    assert due(world).cases == 0
    sleep(2)
    found = due(world)
    assert (found.cases, found.agreed, found.mine) == (1, None, False)
    assert found.ended == world.rows(tables.Offer)[0].answered_at


def test_two_different_people_say_so_and_the_first_yes_destroys_nothing(world: World, sleep: Sleep) -> None:
    lived(world, KARLA)
    sleep(100)
    sleep(YEARS)
    which = due(world).which
    assert whole.agree(world.ctx, LIS, which) == "first"
    assert due(world).mine
    assert not due(world, EVA).mine
    for same in (LIS, replace(LIS, role="auditor"), Asker("by-a-token", "Lis Bro", "auditor", person="l-1")):
        with pytest.raises(NotAllowed):
            whole.agree(world.ctx, same, which)
    for nobody in (
        Asker("s-1", "Bo", "staff", "SOF"),
        Asker("o-1", "Ole", "operator"),
        Asker("k0", "K", "coordinator"),
    ):
        with pytest.raises(NotAllowed):
            whole.agree(world.ctx, nobody, which)
        with pytest.raises(NotAllowed):
            whole.due(world.ctx, nobody)
    assert len(world.rows(tables.Acceptance)) == 2
    assert whole.agree(world.ctx, EVA, which) == "done"
    assert world.rows(tables.Acceptance) == []
    assert due(world).cases == 0


def test_nothing_is_left_but_empty_rows_hashes_and_the_log(world: World, sleep: Sleep) -> None:
    lived(world, KARLA)
    token = world.ctx.keys.lookup_token(KARLA).hex()
    mothers = world.ctx.keys.lookup_token(MOTHER).hex()
    hashes = {letter.id: letter.sha256 for letter in world.rows(tables.Letter)}
    assert len(hashes) >= 4
    sleep(100)
    sleep(YEARS)
    with world.ctx.database.begin() as session:  # what a source shows is there as of any child
        session.execute(delete(tables.Presence))
    row, entries = child(world), world.rows(tables.LogEntry)
    assert token in owners_dump(world.ctx)
    both_agree(world)
    dumped = owners_dump(world.ctx)
    assert token not in dumped
    assert mothers not in dumped
    (left,) = world.rows(tables.Child)
    assert (left.id, left.sealed, left.eligible) == (row.id, b"", False)
    for guardian in world.rows(tables.Guardian):
        assert guardian.sealed == b""
    gone = {left.key_id, *(guardian.key_id for guardian in world.rows(tables.Guardian))}
    for key in world.rows(tables.PersonKey):
        assert key.id not in gone or key.wrapped is None
    with world.session() as session:
        for target in (tables.Child, tables.Guardian):
            for key in rows.pointing_at(target.__table__, save=("letter", "letter_child", "bundle")):  # type: ignore[arg-type]
                assert session.execute(select(key.parent).where(key.parent.is_not(None))).all() == [], key.parent
        for letter in session.execute(select(tables.Letter)).scalars():
            assert letter.sha256 == hashes[letter.id]
            assert (letter.content, letter.pdf) == (b"", b"")
            with pytest.raises(CannotOpen):
                open_content(session, world.ctx.keys, letter)
    after = world.rows(tables.LogEntry)
    same = ("seq", "id", "at", "kind", "child_id", "asker_key", "asker", "subject_key", "subject")
    for before, now in zip(entries, after, strict=False):
        assert [getattr(before, name) for name in same] == [getattr(now, name) for name in same]
    with world.ctx.database.engine.connect() as connection:
        assert read_log(connection), "the log is whole"
    told = [entry for entry in after[len(entries) :] if entry.kind == "forgotten"]
    assert [entry.child_id for entry in told][-1] == row.id
    assert len(told) == 3, "each yes, and the child"


def test_it_is_as_if_the_child_had_never_been_there(world: World, sleep: Sleep) -> None:
    lived(world, KARLA)
    sleep(100)
    sleep(YEARS)
    both_agree(world)
    world.present(KARLA)
    world.night()
    new = [row for row in world.rows(tables.Child) if row.eligible]
    assert [row.token for row in new] == [world.ctx.keys.lookup_token(KARLA)]
    assert [row.state for row in world.rows(tables.Offer)] == ["offered"], "the time that a no is remembered is over"


def test_a_brother_or_sister_who_is_remembered_keeps_all(world: World, sleep: Sleep) -> None:
    lived(world, KARLA, ANNA)
    with world.ctx.database.begin() as session:  # Anna's part has not ended as long ago
        session.execute(
            update(tables.Offer)
            .where(tables.Offer.child_id == world.child(ANNA))
            .values(answered_at=world.clock.now() + timedelta(days=400))
        )
    anna = world.child(ANNA)
    counted = {
        table: len(world.rows(table, table.child_id == anna))
        for table in (tables.Acceptance, tables.Event, tables.Assignment, tables.LetterChild)
    }
    sleep(100)
    sleep(YEARS)
    assert due(world).cases == 1
    both_agree(world)
    for table, count in counted.items():
        assert len(world.rows(table, table.child_id == anna)) == count > 0, table
    keys = {row.id: row.wrapped for row in world.rows(tables.PersonKey)}
    assert keys[child(world, ANNA).key_id] is not None
    for guardian in world.rows(tables.Guardian):
        assert keys[guardian.key_id] is not None, "who is hers too is remembered"
        assert guardian.token in (world.ctx.keys.lookup_token(each) for each in (MOTHER, FATHER))


@pytest.mark.parametrize("what", ["a task", "a look", "a key"])
def test_what_comes_up_between_the_two_keeps_the_child(world: World, sleep: Sleep, what: str) -> None:
    lived(world, KARLA)
    sleep(100)
    sleep(YEARS)
    assert whole.agree(world.ctx, LIS, due(world).which) == "first"
    row = child(world)
    with world.ctx.database.begin() as session:
        if what == "a task":
            about = {"x": {"child_id": row.id}}
            tasks.put(session, world.ctx.keys, world.clock.now(), "letter", about)
        elif what == "a look":
            session.execute(
                text("INSERT INTO log_entry SELECT seq + 1000000, gen_random_uuid(), version, :now, 'lookup', :child,"
                     " asker_key, asker, subject_key, subject FROM log_entry LIMIT 1"),
                {"now": world.clock.now(), "child": row.id},
            )  # fmt: skip
        else:
            session.execute(update(tables.PersonKey).where(tables.PersonKey.id == row.key_id).values(wrapped=None))
    whole.agree(world.ctx, EVA, due(world, EVA).which)
    assert len(world.rows(tables.Acceptance)) == 2
    assert world.rows(tables.Forgetting) == []


def test_other_cases_than_those_that_were_seen_are_not_agreed_to(world: World, sleep: Sleep) -> None:
    lived(world, KARLA, ANNA)
    with world.ctx.database.begin() as session:
        later = update(tables.Offer).where(tables.Offer.child_id == world.child(ANNA))
        session.execute(later.values(answered_at=world.clock.now() + timedelta(days=3)))
    sleep(100)
    sleep(YEARS - 99)
    seen = due(world)
    assert seen.cases == 1
    sleep(3)
    assert due(world).cases == 2
    with pytest.raises(NotAllowed):
        whole.agree(world.ctx, LIS, seen.which)
    assert whole.agree(world.ctx, LIS, due(world).which) == "first"


def test_the_first_yes_can_be_taken_back(world: World, sleep: Sleep) -> None:
    lived(world, KARLA)
    sleep(100)
    sleep(YEARS)
    whole.agree(world.ctx, LIS, due(world).which)
    whole.take_back(world.ctx, EVA)
    assert due(world, EVA).agreed is None
    assert whole.agree(world.ctx, EVA, due(world, EVA).which) == "first", "and then it takes two again"


def test_without_an_archive_decision_nothing_whole_goes(world: World, sleep: Sleep) -> None:
    lived(world, KARLA)
    sleep(100)
    sleep(YEARS)
    kept = world.ctx.settings.retention.model_copy(update={"archive": "  "})
    ctx = replace(world.ctx, settings=world.ctx.settings.model_copy(update={"retention": kept}))
    with pytest.raises(NotAllowed, match="archive decision"):
        whole.agree(ctx, LIS, due(world).which)
