"""What is no longer of use goes after its time; what the log proves, never."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import delete, select, text, update
from sqlalchemy.exc import ProgrammingError

from hub import StaffRecord, State, family, rights
from hub.access import log
from hub.access.askers import asker_key, day_key
from hub.access.log import Asker
from hub.cases.sync import sync
from hub.clock import today
from hub.coordination.staff import add_coordinator
from hub.letters import journalising
from hub.letters.compose import compose_due
from hub.letters.templates import Templates
from hub.recovery import read_log
from hub.retention.forget import forget
from hub.retention.rest import FORGOTTEN
from hub.store import tables, tasks
from hub.store.people import find_key
from tests.conftest import World
from tests.retention.conftest import KARLA, MOTHER, Sleep

pytestmark = pytest.mark.slow

SANNE, BO = Asker("u-1", "Sanne Toft", "staff", "SOF", "Nord"), Asker("u-2", "Bo Falk", "staff", "BUF", "Syd")
FIVE_YEARS = 365.25 * 5


def look(world: World, who: Asker) -> UUID:
    """An entry about nobody the hub knows. Gives the asker's key."""
    ctx = world.ctx
    with ctx.database.begin() as session:
        key = asker_key(session, ctx.keys, who)
        entry = log.seal_entry(
            at=ctx.clock.now(), kind="lookup", child_id=None, asker=who, asker_key=key, subject={"purpose": "case"},
            subject_key=day_key(session, ctx.keys, today(ctx.clock)),
        )  # fmt: skip
        log.append(session, [entry])
    return key[0]


def opens(world: World, key: UUID) -> bool:
    with world.session() as session:
        return find_key(session, world.ctx.keys, key) is not None


TEXTS = select(tables.LetterPart.administration, tables.LetterPart.sealed)


def written(world: World) -> UUID:
    """A letter of the mother's, written now."""
    with world.ctx.database.begin() as session:
        session.execute(update(tables.Bundle).values(due_at=world.clock.now()))
    compose_due(world.ctx, Templates())
    row_id: UUID = world.rows(tables.Letter)[0].id
    return row_id


def test_nothing_is_forgotten_by_a_clock_that_has_jumped_before_a_night_has_passed(world: World, sleep: Sleep) -> None:
    key = look(world, SANNE)
    sleep()
    world.clock.move(timedelta(days=365 * 30))
    assert forget(world.ctx) == {}
    world.clock.move(timedelta(days=-365 * 30))  # somebody has put it right
    assert forget(world.ctx) == {} == forget(world.ctx)
    assert opens(world, key)


def test_who_looked_is_forgotten_years_after_their_last_entry(world: World, sleep: Sleep) -> None:
    sannes, bos = look(world, SANNE), look(world, BO)
    sleep()
    sleep(FIVE_YEARS - 10)
    look(world, BO)
    sleep(9)
    assert opens(world, sannes)
    before = [(row.seq, row.asker, row.subject) for row in world.rows(tables.LogEntry)]
    assert sleep(2)["lookers"] == 1
    assert (opens(world, sannes), opens(world, bos)) == (False, True)
    after = [(row.seq, row.asker, row.subject) for row in world.rows(tables.LogEntry)]
    assert after[: len(before)] == before, "the entries are what they were"
    (row,) = world.rows(tables.Staff, tables.Staff.key_id == sannes)
    assert (row.source, row.sealed) == (FORGOTTEN, b"")
    with world.ctx.database.begin() as session:
        assert asker_key(session, world.ctx.keys, SANNE)[0] != sannes, "whoever comes back is somebody new"
        with world.ctx.database.engine.connect() as connection:
            assert read_log(connection)


def test_a_look_that_waits_for_its_review_keeps_who_it_was(world: World, sleep: Sleep) -> None:
    key = look(world, SANNE)
    (entry,) = world.rows(tables.LogEntry, tables.LogEntry.kind == "lookup")
    with world.ctx.database.begin() as session:
        tasks.put(session, world.ctx.keys, world.clock.now(), "review", {"x": {"entry_id": entry.id}})
    sleep()
    assert "lookers" not in sleep(FIVE_YEARS * 2)
    assert opens(world, key)
    with world.ctx.database.begin() as session:
        session.execute(update(tables.Task).values(done_at=world.clock.now()))
    assert sleep(1)["lookers"] == 1


def test_the_key_of_a_day_goes_after_its_years(world: World, sleep: Sleep) -> None:
    look(world, SANNE)
    (day,) = world.rows(tables.RotatingKey)
    sleep()
    sleep(FIVE_YEARS - 1)
    assert opens(world, day.key_id)
    sleep(2)
    assert not opens(world, day.key_id)
    assert day.day in {row.day for row in world.rows(tables.RotatingKey)}


def test_the_log_itself_is_out_of_reach(world: World) -> None:
    look(world, SANNE)
    for statement in ("DELETE FROM log_entry", "UPDATE log_entry SET at = now()"):
        with pytest.raises(ProgrammingError, match="permission denied"), world.ctx.database.begin() as session:
            session.execute(text(statement))


def test_tasks_go_long_after_they_are_done_and_open_ones_never(world: World, sleep: Sleep) -> None:
    with world.ctx.database.begin() as session:
        tasks.put(session, world.ctx.keys, world.clock.now(), "letter", {"done": {}, "open": {}})
        done = tables.Task.once == world.ctx.keys.once("letter", "done")
        session.execute(update(tables.Task).where(done).values(done_at=world.clock.now()))
    assert "tasks" not in sleep(729)
    assert sleep(1)["tasks"] == 1
    (left,) = world.rows(tables.Task)
    assert left.done_at is None
    assert "tasks" not in sleep(4000)


def test_a_request_goes_years_after_its_answer_with_its_task(world: World, sleep: Sleep) -> None:
    world.accepted(KARLA)
    guardian = world.guardian(MOTHER)
    for words in ("Nej", "Stadig nej"):
        rights.ask(world.ctx, guardian, rights.OBJECTION, world.child(KARLA), words)
    task, _open = sorted(row.id for row in world.rows(tables.Task))
    coordinator = Asker("k0", "Koordinator 0", "coordinator")
    rights.answer(world.ctx, task, coordinator, "Vi har talt om det.")
    sleep(FIVE_YEARS - 1)
    assert len(world.rows(tables.RightsRequest)) == 2
    assert sleep(2)["requests"] == 1
    (left,) = world.rows(tables.RightsRequest)
    assert left.answered_at is None
    assert [row.id for row in world.rows(tables.Task)] == [left.task_id]


def test_an_adviser_whom_no_case_names_goes_and_comes_back_with_one(world: World, sleep: Sleep) -> None:
    world.accepted(KARLA)
    asa, bo = StaffRecord("a", "Åse Rådgiver"), StaffRecord("b", "Bo Ny")
    world.case(world.sof, "s1", KARLA, State.OPEN, adviser=asa)
    world.case(world.sof, "s2", KARLA, State.OPEN, adviser=bo)
    sync(world.ctx)
    assert "advisers" not in sleep()
    world.case(world.sof, "s1", KARLA, State.OPEN, adviser=bo)
    sync(world.ctx)
    (gone,) = world.rows(tables.Staff, tables.Staff.reference == world.ctx.keys.refer("sof", "a"))
    (stays,) = world.rows(tables.Staff, tables.Staff.reference == world.ctx.keys.refer("sof", "b"))
    with world.ctx.database.begin() as session:
        session.add_all(tables.NoticeChoice(staff_id=row.id, kind="assigned", way="page") for row in (gone, stays))
    assert "advisers" not in sleep(1)
    assert "advisers" not in sleep(28)
    assert "advisers" not in sleep(2), "a notice that was for them names them"
    with world.ctx.database.begin() as session:
        session.execute(delete(tables.Notice).where(tables.Notice.adviser_id == gone.id))
    assert sleep(31)["advisers"] == 1
    names = {row.reference for row in world.rows(tables.Staff, tables.Staff.source == "sof")}
    assert names == {world.ctx.keys.refer("sof", "b")}
    assert world.rows(tables.PersonKey, tables.PersonKey.id == gone.key_id) == []
    assert [row.staff_id for row in world.rows(tables.NoticeChoice)] == [stays.id], (
        "how they chose to be told goes along"
    )
    world.case(world.sof, "s1", KARLA, State.DECIDED, adviser=asa, deadline=date(2027, 2, 1))
    sync(world.ctx)
    assert len(world.rows(tables.Staff, tables.Staff.source == "sof")) == 2


def test_a_coordinator_who_is_out_stays_as_long_as_a_family_of_theirs(world: World, sleep: Sleep) -> None:
    world.accepted(KARLA)
    with world.ctx.database.begin() as session:
        add_coordinator(world.ctx, session, StaffRecord("idle", "Ingen Familier"))
    (busy,) = world.rows(tables.Assignment)
    sleep()
    assert "advisers" not in sleep(100), "who is active stays"
    family.withdraw(world.ctx, world.child(KARLA), world.by(MOTHER))
    with world.ctx.database.begin() as session:
        session.execute(update(tables.Coordinator).values(active=False))
    assert "advisers" not in sleep(29)
    assert sleep(2)["advisers"] == 1
    assert [row.staff_id for row in world.rows(tables.Coordinator)] == [busy.coordinator_id]


def test_files_of_the_journal_go_with_the_last_backup_they_belong_to(
    world: World, sleep: Sleep, tmp_path: Path
) -> None:
    settings = world.ctx.settings
    kept = settings.retention.model_copy(update={"backup_days": 30})
    ctx = replace(world.ctx, settings=settings.model_copy(update={"journal": tmp_path, "retention": kept}))
    day = today(world.clock)
    names = {days: f"{day - timedelta(days=days)}.here.journal" for days in (0, 30, 31, 400)}
    for name in (*names.values(), "notes.txt"):
        (tmp_path / name).write_text("")
    assert forget(ctx)["journals"] == 2
    assert {path.name for path in tmp_path.iterdir()} == {names[0], names[30], "notes.txt"}
    assert "journals" not in forget(world.ctx), "where nobody has said how long backups are kept"


def test_that_there_was_news_is_not_kept_for_ever(world: World, sleep: Sleep) -> None:
    world.accepted(KARLA)
    letter = written(world)
    with world.ctx.database.begin() as session:
        session.add(tables.Pointer(letter_id=letter, way="email", state="sent", at=world.clock.now()))
        session.add(tables.Pointer(letter_id=letter, way="sms", state="refused", at=world.clock.now()))
    assert "pointers" not in sleep(89)
    assert sleep(1)["pointers"] == 2
    assert world.rows(tables.Pointer) == []


def test_parts_of_letters_go_long_after_they_are_journalised_and_not_before(world: World, sleep: Sleep) -> None:
    world.accepted(KARLA)
    world.case(world.sof, "s1", KARLA, State.APPLIED)
    sync(world.ctx)
    letter, child, now = written(world), world.child(KARLA), world.clock.now()
    with world.ctx.database.begin() as session:
        session.execute(delete(tables.LetterPart))
        for administration, ended in (
            ("SOF", {"journalised_at": now}),
            ("BUF", {"why_not": "the case is gone", "sealed": b"x"}),
            ("SUF", {"sealed": b"x"}),
        ):
            session.add(
                tables.LetterPart(letter_id=letter, child_id=child, administration=administration, sha256=b"", **ended)
            )
    journalising.purge(world.ctx)
    texts = {row.administration: row.sealed for row in world.session().execute(TEXTS)}
    assert texts == {"SOF": None, "BUF": None, "SUF": b"x"}, "what goes to nobody any more has no text"
    assert "parts" not in sleep(729)
    assert sleep(1)["parts"] == 2
    assert [row.administration for row in world.rows(tables.LetterPart)] == ["SUF"], "it waits to be journalised"


def test_statuses_of_nobodys_letters_go(world: World, sleep: Sleep) -> None:
    now = world.clock.now()
    values = {"channel": "c", "status": "s", "time": now, "reason": "", "seen_at": now}
    with world.ctx.database.begin() as session:
        session.add(tables.DeliveryStatus(id=uuid4(), key="unknown", **values))
    assert "statuses" not in sleep(89)
    assert sleep(1)["statuses"] == 1
    assert world.session().execute(select(tables.DeliveryStatus)).all() == []
