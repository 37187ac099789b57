"""Backup and restore: the drill, and everything that must be refused with a clear word."""

from __future__ import annotations

import json
import os
import re
import resource
import stat
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from threading import Event
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text, update

from hub import GaveUp, Later, NotAllowed, State, TryAgain, Unsure, family, jobs, recovery, vault
from hub.access import whole
from hub.cases.sync import sync
from hub.contract import StaffRecord
from hub.coordination import cover, goodbye
from hub.doctor import examine
from hub.errors import SchemaError
from hub.letters import compose, delivery
from hub.letters.templates import Templates
from hub.settings import Settings
from hub.store import backup, embedded, home, keys_apart, schema, tables
from hub.store.database import Database
from hub.store.place import programs

pytestmark = pytest.mark.slow

KARLA, EMIL, IDA = "0311164234", "1405134321", "2003154444"
MOTHER, FATHER, THIRD = "0101804001", "0101804002", "0101804003"
TEMPLATES = Templates()


@dataclass(frozen=True)
class Place:
    """A hub's database, keys and journal, as its settings name them."""

    settings: Settings

    @contextmanager
    def database(self) -> Iterator[Database]:
        database = Database(self.settings)
        try:
            yield database
        finally:
            database.close()


@pytest.fixture
def place(cluster: embedded.Embedded, admin: Callable[[str], None], tmp_path: Path) -> Iterator[Callable[..., Place]]:
    """Makes databases: `place("template_…")` a copy, `place()` an empty one; all with the same keys and journal."""
    vault.make_keys(tmp_path / "keys")
    (tmp_path / "journal").mkdir()
    made: list[str] = []

    def make(template: str | None = None) -> Place:
        name = f"drill_{uuid4().hex}"
        admin(f"CREATE DATABASE {name}" + (f" TEMPLATE {template}" if template else ""))
        made.append(name)
        return Place(
            Settings(
                data=tmp_path / "data",
                database_url=cluster.url("tovholder_app", name),
                owner_database_url=cluster.url("tovholder_admin", name),
                keys=tmp_path / "keys",
                journal=tmp_path / "journal",
            )
        )

    yield make
    for name in made:
        admin(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@pytest.fixture
def town(world, place, template, tmp_path):
    """The world of the other tests, in a place with a journal."""
    where = place(template)
    world.place, world.backups = where, tmp_path / "backups"
    keys = vault.load_keys(where.settings.keys_folder, with_token=True)
    with where.database() as database:
        settings = world.ctx.settings.model_copy(update={"journal": where.settings.journal})
        move(world, replace(world.ctx, settings=settings, keys=keys), database)
        yield world


def move(world, ctx, database: Database) -> None:
    world.ctx = replace(ctx, database=database)
    world.session = database.session


def back_up(world) -> Path:
    return recovery.back_up(world.place.settings, world.backups)[0]


@contextmanager
def restored(world, made: Path, where: Place) -> Iterator[recovery.Restored]:
    """The world goes on in another place, with what the backup holds."""
    found = recovery.restore(where.settings, made)
    with where.database() as database:
        move(world, world.ctx, database)
        yield found


def letters_leave(world) -> None:
    """What a worker does, with every window at its end: match, sync, write, send."""
    world.night()
    sync(world.ctx)
    with world.ctx.database.begin() as session:
        session.execute(update(tables.Bundle).values(due_at=world.clock.now()))
    compose.compose_due(world.ctx, TEMPLATES)
    send(world)


def letter_that_waits(town) -> tables.Letter:
    """Days before the backup, and one letter that the channel has put off."""
    before_the_backup(town)
    town.case(town.buf, "e1", EMIL, State.CLOSED)
    town.channel.answers.append(Later("busy"))
    letters_leave(town)
    (letter,) = town.rows(tables.Letter, tables.Letter.state == "frozen")
    return letter


def send(world) -> None:
    frozen = [letter.id for letter in world.rows(tables.Letter, tables.Letter.state == "frozen")]
    with suppress(TryAgain):  # what must wait, waits: tests say which
        delivery.deliver_all(world.ctx, frozen)


def heard(world) -> Counter[tuple[str, ...]]:
    """Who has heard what: each letter that the other side took, by its recipient and its words. Sorted: what happened
    to a case at the same moment has no order."""
    return Counter(
        (letter.recipient.cpr, *sorted(re.findall(r"\w+", re.sub(r"<[^>]*>", " ", letter.html))))
        for letter in world.channel.taken.values()
    )


def before_the_backup(world, coordinators: int = 1) -> None:
    """Two families with coordinator and cases; a third child has nothing in any administration yet."""
    world.all_coordinators = world.coordinators(coordinators)
    for child, guardian in ((KARLA, MOTHER), (EMIL, FATHER)):
        world.present(child)
        world.custody(child, guardian)
    letters_leave(world)
    for child, guardian in ((KARLA, MOTHER), (EMIL, FATHER)):
        world.accept(child, guardian)
    world.case(
        world.sof, "k1", KARLA, State.APPLIED, deadline=date(2026, 12, 1), adviser=StaffRecord("a", "Åse Hansen")
    )
    world.case(world.buf, "e1", EMIL, State.OPEN)
    letters_leave(world)
    world.clock.move(timedelta(days=1))


def after_the_backup(world) -> None:
    """A day that the backup does not hold: news of every sort, a new family, a family that says no."""
    world.case(world.sof, "k1", KARLA, State.DECIDED, adviser=StaffRecord("b", "Bo Jensen"))
    world.case(world.buf, "k2", KARLA, State.OPEN)
    world.case(world.buf, "e1", EMIL, State.CLOSED)
    world.present(IDA)
    world.custody(IDA, THIRD)
    letters_leave(world)
    world.accept(IDA, THIRD)
    world.case(world.sof, "i1", IDA, State.APPLIED, deadline=date(2026, 12, 8))
    letters_leave(world)
    family.withdraw(world.ctx, world.child(EMIL), world.by(FATHER))
    world.case(world.sof, "i1", IDA, State.APPLIED, deadline=date(2026, 12, 15))
    letters_leave(world)


def the_next_day(world) -> None:
    world.clock.move(timedelta(days=1))
    world.case(world.buf, "k2", KARLA, State.CLOSED)
    world.case(world.buf, "e2", EMIL, State.OPEN)  # his family has said no: nobody hears of it
    world.case(world.sof, "i1", IDA, State.DECIDED)
    letters_leave(world)


class TestDrill:
    def test_after_a_restore_everybody_hears_everything_once(self, town, place, template):
        """The measure is the same days without a disaster: the same letters, word for word, and none twice."""
        with undisturbed(town, place(template)) as calm:
            before_the_backup(calm)
            after_the_backup(calm)
            the_next_day(calm)
            expected = heard(calm)
            assert len(expected) == 12
        before_the_backup(town)
        made = back_up(town)
        after_the_backup(town)
        lost = {row.id for row in town.rows(tables.Letter)}
        with restored(town, made, place()) as found:
            assert lost - {row.id for row in town.rows(tables.Letter)}
            assert found.journal.told == 6
            resumed = recovery.resume(town.ctx)
            assert (resumed.silent, resumed.journal.unsure, resumed.journal.lost) == ([], 0, [])
            letters_leave(town)
            the_next_day(town)
            assert heard(town) == expected
            assert set(heard(town).values()) == {1}

    def test_the_log_still_fits(self, town, place):
        before_the_backup(town)
        made = back_up(town)
        after_the_backup(town)
        with restored(town, made, place()) as found, town.ctx.database.engine.connect() as connection:
            log = found.manifest.log
            now = whole.state(connection)
            assert now.size > log.size > 0
            noted = town.rows(tables.LogEntry, tables.LogEntry.seq == log.size)
            assert [entry.kind for entry in noted] == ["restored"]
            connection.rollback()
            recovery.resume(town.ctx)
            assert whole.state(connection).size > now.size
            assert "resumed" in {entry.kind for entry in town.rows(tables.LogEntry)}

    def test_answers_given_after_the_backup_hold(self, town, place):
        """A no is obeyed also by a database that never heard of it."""
        before_the_backup(town)
        made = back_up(town)
        after_the_backup(town)
        answers = {row.id: (row.answer, row.how, row.at) for row in town.rows(tables.Acceptance)}
        with restored(town, made, place()):
            assert offer(town, EMIL) == "withdrawn"  # before anybody has resumed anything
            assert town.rows(tables.Case, tables.Case.child_id == town.child(EMIL)) == []
            resumed = recovery.resume(town.ctx)
            assert resumed.journal.answers == 1  # Ida's family: the match had to find her first
            assert offer(town, IDA) == "accepted"
            assert {row.id: (row.answer, row.how, row.at) for row in town.rows(tables.Acceptance)} == answers

    def test_what_was_done_with_coordinators_after_the_backup_holds(self, town, place):
        """Away and back, away again, handed over, goodbye: once each, and what letters told of it is not told again."""
        before_the_backup(town, coordinators=2)
        names = {coordinator: f"k{n}" for n, coordinator in enumerate(town.all_coordinators)}
        mine = names[coordinator_of(town, KARLA)]
        (other,) = {*names.values()} - {mine}
        cover.go_away(town.ctx, mine, other)
        cover.come_back(town.ctx, mine)
        made = back_up(town)
        town.clock.move(timedelta(days=1))
        cover.hand_over(town.ctx, mine, other, {town.child(KARLA)})
        letters_leave(town)
        town.clock.move(timedelta(hours=1))
        goodbye.say(town.ctx, town.child(EMIL), "closed")
        cover.go_away(town.ctx, other, mine, date(2027, 1, 4))
        letters_leave(town)
        told, acts = heard(town).total(), {row.id for row in town.rows(tables.Act)}
        assert len(acts) == 5

        def done() -> tuple[object, ...]:
            rows = town.rows(tables.Coordinator)
            away = {names[row.staff_id]: (row.away, row.away_until, names.get(row.substitute_id)) for row in rows}
            return away, names[coordinator_of(town, KARLA)], offer(town, EMIL)

        after = done()
        with restored(town, made, place()) as found:
            assert found.journal.acts == 3
            assert found.journal.lost == []
            assert done() == after
            assert recovery.resume(town.ctx).journal.acts == 0  # the restore has done them
            assert {row.id for row in town.rows(tables.Act)} == acts
            letters_leave(town)
            assert heard(town).total() == told

    def test_a_letter_known_to_the_backup_that_left_after_it_is_not_sent_again(self, town, place):
        letter = letter_that_waits(town)
        made = back_up(town)
        send(town)
        tries = len(town.channel.tries)
        with restored(town, made, place()) as found:
            assert found.journal.sent == 1
            (row,) = town.rows(tables.Letter, tables.Letter.id == letter.id)
            assert (row.state, row.route) == ("sent", "digital")
            recovery.resume(town.ctx)
            send(town)
            assert len(town.channel.tries) == tries

    def test_a_letter_that_was_ready_leaves_with_its_key(self, town, place):
        letter = letter_that_waits(town)
        made = back_up(town)
        with restored(town, made, place()):
            assert recovery.resume(town.ctx).frozen == 1
            assert deferred(town) >= {str(letter.id)}
            send(town)
            assert str(letter.id) in town.channel.taken

    @pytest.mark.parametrize("answer", [Unsure("time-out"), ZeroDivisionError()])
    def test_a_letter_that_may_have_arrived_is_a_persons_task(self, town, place, answer):
        before_the_backup(town)
        made = back_up(town)
        town.case(town.buf, "e1", EMIL, State.CLOSED)
        town.channel.answers.append(answer)
        with pytest.raises(ZeroDivisionError) if isinstance(answer, ZeroDivisionError) else _nothing():
            letters_leave(town)
        with restored(town, made, place()):
            resumed = recovery.resume(town.ctx)
            assert resumed.journal.unsure == 1
            letters_leave(town)
            assert [task.kind for task in town.rows(tables.Task)] == ["letter_unsure"]
            (event,) = town.events("case_closed")
            assert event.bundle_id is None
            assert event.why_not == "told by a letter that left between the backup and the restore"

    def test_a_letter_that_was_refused_is_written_again(self, town, place):
        before_the_backup(town)
        made = back_up(town)
        town.case(town.buf, "e1", EMIL, State.CLOSED)
        town.channel.answers.append(GaveUp("no such recipient"))
        letters_leave(town)
        with restored(town, made, place()):
            recovery.resume(town.ctx)
            before = heard(town)
            letters_leave(town)
            assert (heard(town) - before).total() == 1

    def test_what_was_withheld_and_told_by_another_letter_is_not_told_again(self, town, place):
        """The first letter was ready at the backup. Then the source did not show one of its cases for a day, so that
        another letter told of the other; and when it was back, a third."""
        town.accepted(KARLA, EMIL, guardians=(MOTHER,))
        letters_leave(town)
        town.case(town.sof, "k1", KARLA)
        town.case(town.buf, "e1", EMIL)
        town.channel.answers.append(Later("busy"))
        letters_leave(town)
        made = back_up(town)
        town.buf.take_away("e1")
        letters_leave(town)  # the first is withheld
        letters_leave(town)
        town.case(town.buf, "e1", EMIL)
        letters_leave(town)
        assert {row.state for row in town.rows(tables.Letter)} == {"sent", "withheld"}
        told = heard(town)
        with restored(town, made, place()):
            recovery.resume(town.ctx)
            letters_leave(town)
            letters_leave(town)
            assert heard(town) == told

    def test_what_changes_back_later_is_news(self, town, place):
        before_the_backup(town)
        made = back_up(town)
        town.case(town.sof, "k1", KARLA, State.APPLIED, deadline=date(2026, 12, 10))
        letters_leave(town)
        with restored(town, made, place()):
            recovery.resume(town.ctx)
            letters_leave(town)
            told = heard(town).total()
            for day, deadline in ((1, date(2026, 12, 20)), (1, date(2026, 12, 10))):
                town.clock.move(timedelta(days=day))
                town.case(town.sof, "k1", KARLA, State.APPLIED, deadline=deadline)
                letters_leave(town)
            assert heard(town).total() == told + 2

    def test_taking_in_the_journal_twice_changes_nothing_more(self, town, place):
        before_the_backup(town)
        made = back_up(town)
        after_the_backup(town)
        with restored(town, made, place()):
            town.clock.move(timedelta(minutes=1))
            recovery.resume(town.ctx)
            letters_leave(town)
            rows = {table: len(town.rows(table)) for table in (tables.Letter, tables.Acceptance, tables.Told)}
            recovery.hold(town.ctx)
            recovery.resume(town.ctx)
            assert {table: len(town.rows(table)) for table in rows} == rows


@contextmanager
def undisturbed(world, where: Place) -> Iterator:
    """A world of its own beside `world`: other sources and channel, the same clock, which is set back afterwards."""
    calm = type(world)(world.ctx, world.clock, world.backups)
    began = world.clock.now()
    with where.database() as database:
        move(calm, replace(calm.ctx, settings=calm.ctx.settings.model_copy(update={"journal": None})), database)
        yield calm
    world.clock.set(began)


@contextmanager
def _nothing() -> Iterator[None]:
    yield


def offer(world, child: str) -> str:
    (row,) = world.rows(tables.Offer, tables.Offer.child_id == world.child(child))
    return row.state


def coordinator_of(world, child: str) -> UUID:
    (row,) = world.rows(
        tables.Assignment, tables.Assignment.child_id == world.child(child), tables.Assignment.until.is_(None)
    )
    return row.coordinator_id


def deferred(world) -> set[str]:
    with world.session() as session:
        jobs_ = session.execute(text("SELECT args FROM procrastinate_jobs WHERE status = 'todo'")).scalars().all()
    return {letter for args in jobs_ for letter in args["letter_ids"]}


class TestJournalLost:
    """Nothing that waits is told by letter: a person asks. Nobody hears anything twice, and nothing is lost unseen."""

    def test_what_waits_ends_with_a_reason_and_a_task(self, town, place):
        before_the_backup(town)
        made = back_up(town)
        after_the_backup(town)
        told = heard(town)
        lose_the_journal(town)
        with restored(town, made, without_journal(place())) as found:
            assert found.journal is None
            with pytest.raises(NotAllowed, match="--journal-lost"):
                recovery.resume(town.ctx)
            resumed = recovery.resume(town.ctx, journal_lost=True)
            assert resumed.ended > 0
            letters_leave(town)
            assert heard(town) == told
            for event in town.rows(tables.Event, tables.Event.bundle_id.is_(None)):
                assert event.why_not
            asked = {task.child_id for task in town.rows(tables.Task, tables.Task.kind == "ask_what_was_told")}
            assert asked == {town.child(KARLA), town.child(EMIL), town.child(IDA)}

    def test_it_is_refused_while_a_source_does_not_answer(self, town, place):
        """What it has yet to show would be told, though it may have been told already."""
        before_the_backup(town)
        made = back_up(town)
        lose_the_journal(town)
        with restored(town, made, without_journal(place())):
            town.sof.fail_at = 0
            with pytest.raises(GaveUp, match="sof"):
                recovery.resume(town.ctx, journal_lost=True)
            with pytest.raises(home.OnHold):
                compose.compose_due(town.ctx, TEMPLATES)

    def test_who_moves_a_stopped_hub_may_say_that_nothing_is_lost(self, town, place):
        before_the_backup(town)
        town.case(town.buf, "e1", EMIL, State.CLOSED)
        sync(town.ctx)
        made = back_up(town)
        lose_the_journal(town)
        with restored(town, made, without_journal(place())):
            before = heard(town)
            assert recovery.resume(town.ctx, nothing_lost=True).ended == 0
            letters_leave(town)
            assert (heard(town) - before).total() == 1


def lose_the_journal(world) -> None:
    world.ctx = replace(world.ctx, settings=world.ctx.settings.model_copy(update={"journal": None}))


def without_journal(where: Place) -> Place:
    return Place(where.settings.model_copy(update={"journal": None}))


class TestOnHold:
    def test_nothing_is_written_sent_or_forgotten(self, town, place):
        before_the_backup(town)
        town.case(town.buf, "e1", EMIL, State.CLOSED)
        town.channel.answers.append(Later("busy"))
        letters_leave(town)
        town.present(IDA)
        town.custody(IDA, THIRD)
        town.night()
        (letter,) = town.rows(tables.Letter, tables.Letter.state == "frozen")
        made = back_up(town)
        tries = len(town.channel.tries)
        with restored(town, made, place()):
            with pytest.raises(home.OnHold, match="tovholder restore --resume"):
                compose.compose_due(town.ctx, TEMPLATES)
            jobs.build(town.ctx).tasks["compose"](0)  # says so in its log, and does not pile up to be tried again
            with pytest.raises(TryAgain, match="on hold"):
                delivery.deliver(town.ctx, letter.id)
            assert len(town.channel.tries) == tries
            town.clock.move(timedelta(days=60))
            town.night()
            assert offer(town, IDA) == "offered"
            assert {check.what: check.ok for check in examine(town.ctx)}["sending"] is False

    def test_a_copy_of_the_database_sends_nothing_and_the_original_does(self, town, place):
        before_the_backup(town)
        name = town.ctx.database.app_url.database
        town.ctx.database.engine.dispose()
        with place(name).database() as copy, copy.begin() as session:
            assert home.held(session)
        compose.compose_due(town.ctx, TEMPLATES)

    def test_so_does_one_restored_where_it_was(self, town, admin):
        before_the_backup(town)
        made = back_up(town)
        with town.ctx.database.owner_engine() as owner, owner.begin() as connection:
            connection.execute(text("DROP SCHEMA public CASCADE"))
            connection.execute(text("CREATE SCHEMA public"))
        town.ctx.database.engine.dispose()
        with restored(town, made, town.place), pytest.raises(home.OnHold):
            compose.compose_due(town.ctx, TEMPLATES)

    def test_an_operator_may_put_letters_on_hold(self, town):
        before_the_backup(town)
        recovery.hold(town.ctx)
        with pytest.raises(home.OnHold):
            compose.compose_due(town.ctx, TEMPLATES)
        recovery.resume(town.ctx)
        compose.compose_due(town.ctx, TEMPLATES)
        with pytest.raises(NotAllowed, match="not on hold"):
            recovery.resume(town.ctx)


class TestBackup:
    def test_says_what_it_holds_and_is_for_its_owner_alone(self, town):
        before_the_backup(town)
        made = back_up(town)
        assert {path.name for path in town.backups.iterdir()} == {made.name}
        assert stat.S_IMODE(made.stat().st_mode) == 0o700
        files = {path.name: stat.S_IMODE(path.stat().st_mode) for path in made.iterdir()}
        assert files == {"database.dump": 0o600, "manifest.json": 0o600}
        said = json.loads((made / "manifest.json").read_text())
        assert said["schema_revision"] == schema.newest()
        assert said["tables"]["letter"] == len(town.rows(tables.Letter))
        assert said["log"]["size"] == said["tables"]["log_entry"] > 0
        assert said["made_at"].endswith("Z")

    def test_holds_no_number_name_or_key(self, town):
        """As a person with the folder reads it: the dump's tables as text."""
        before_the_backup(town)
        made = back_up(town)
        listed = subprocess.run(
            [programs() / "pg_restore", "--file=-", made / "database.dump"], capture_output=True, text=True, check=True
        ).stdout
        assert "COPY public.letter " in listed
        kept = (made / "manifest.json").read_text() + listed
        keys = [path.read_text() for path in town.place.settings.keys_folder.iterdir()]
        secrets = [KARLA, EMIL, MOTHER, FATHER, "Testvoksen", "Testbarn", "merudgifter", *keys]
        assert [secret for secret in secrets if secret in kept] == []

    def test_is_of_one_moment_while_the_hub_works_on(self, town, place):
        """Answers keep coming: each writes several tables and the log. What is restored fits together."""
        before_the_backup(town)
        town.coordinators(3)
        children = [town.number(n) for n in range(40)]
        for n, child in enumerate(children):
            town.present(child)
            town.custody(child, f"01018050{n:02}")
        town.night()
        begun = Event()

        def accept_all() -> None:
            for n, child in enumerate(children):
                town.accept(child, f"01018050{n:02}")
                begun.set()

        with ThreadPoolExecutor(1) as pool:
            working = pool.submit(accept_all)
            assert begun.wait(60)
            made = [recovery.back_up(town.place.settings, town.backups / str(n))[0] for n in range(3)]
            working.result()
        for one in made:
            with restored(town, one, without_journal(place())), town.session() as session:
                accepted = session.execute(text("SELECT count(*) FROM offer WHERE state = 'accepted'")).scalar_one()
                yes = session.execute(text("SELECT count(*) FROM acceptance WHERE answer = 'yes'")).scalar_one()
                logged = session.execute(text("SELECT count(*) FROM log_entry WHERE kind = 'acceptance'")).scalar_one()
                assert accepted == yes == logged > 2

    def test_a_log_with_a_gap_is_not_backed_up_as_if_it_were_whole(self, town):
        before_the_backup(town)
        with town.ctx.database.owner_engine() as owner, owner.begin() as connection:
            connection.execute(text("DELETE FROM log_entry WHERE seq = 0"))
        with pytest.raises(GaveUp, match="no entry 0; the next is 1"):
            back_up(town)
        assert list(town.backups.iterdir()) == []

    def test_a_full_disk_leaves_nothing_that_looks_like_a_backup(self, town):
        """No file may grow beyond 16 KB, for this process and for pg_dump."""
        before_the_backup(town)
        done = command(town.place, "backup", str(town.backups), file_bytes=16384)
        assert done.returncode == 1
        assert "pg_dump" in one_line(done)
        assert list(town.backups.iterdir()) == []

    def test_a_folder_that_cannot_be_written_is_said(self, town):
        before_the_backup(town)
        town.backups.write_text("not a folder")
        with pytest.raises(GaveUp, match=f"cannot be written to {town.backups}"):
            back_up(town)


class TestRefusals:
    """Before anything is changed: the place that was to be restored to is as empty as it was."""

    @pytest.fixture
    def made(self, town):
        return back_up(town)

    @pytest.fixture
    def refused(self, made, place):
        where = place()

        @contextmanager
        def refused(error: type[Exception], words: str, settings: Settings | None = None) -> Iterator[None]:
            with pytest.raises(error, match=words):
                recovery.restore(settings or where.settings, made)
            with where.database() as database, database.owner_engine() as owner, owner.connect() as connection:
                assert connection.execute(text(OBJECTS)).scalar_one() == 0
            yield

        return refused

    def test_a_file_that_was_changed(self, made, refused):
        dump = bytearray((made / "database.dump").read_bytes())
        dump[len(dump) // 2] ^= 1
        (made / "database.dump").write_bytes(dump)
        with refused(backup.BadBackup, "database.dump is not what was backed up"):
            pass

    def test_a_file_that_is_cut_short(self, made, refused):
        os.truncate(made / "database.dump", 1000)
        with refused(backup.BadBackup, "size or checksum"):
            pass

    @pytest.mark.parametrize("name", ["database.dump", "manifest.json"])
    def test_a_file_that_is_missing(self, made, refused, name):
        (made / name).unlink()
        with refused(backup.BadBackup, f"{name} is missing"):
            pass

    def test_the_folder_of_all_backups(self, made, place):
        with pytest.raises(backup.BadBackup, match=f"within it are {made.name}: name one"):
            recovery.restore(place().settings, made.parent)

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"format": 2}, "format"),
            ({"log": {}}, r"log\.size"),
            ({"made_at": "yesterday"}, "made_at"),
            ({"files": {}}, "names no database.dump"),
        ],
    )
    def test_a_manifest_that_cannot_be_read(self, made, refused, change, words):
        rewrite(made, change)
        with refused(backup.BadBackup, words):
            pass

    def test_a_newer_program_says_what_to_install(self, made, refused):
        rewrite(made, {"schema_revision": "9999"})
        with refused(SchemaError, "newer than this program .*: install|pip install --upgrade tovholder"):
            pass

    def test_other_keys(self, made, refused, town, tmp_path):
        vault.make_keys(tmp_path / "other")
        settings = town.place.settings.model_copy(update={"keys": tmp_path / "other"})
        with refused(keys_apart.OtherKeys, "do not open this backup", settings):
            pass

    def test_a_database_that_is_not_empty(self, made, place, template):
        where = place(template)
        with pytest.raises(NotAllowed, match="is not empty, and a restore overwrites nothing"):
            recovery.restore(where.settings, made)

    def test_a_dump_that_is_not_what_the_manifest_says(self, made, place):
        """As it would be if pg_restore had left something out."""
        said = json.loads((made / "manifest.json").read_text())
        rewrite(made, {"tables": said["tables"] | {"letter": 1000}})
        with pytest.raises(backup.BadBackup, match="letter has not the rows"):
            recovery.restore(place().settings, made)

    def test_a_log_that_is_not_what_the_manifest_says(self, made, place):
        said = json.loads((made / "manifest.json").read_text())
        rewrite(made, {"log": said["log"] | {"sha256": "0" * 64}})
        with pytest.raises(backup.BadBackup, match="access log is not the one"):
            recovery.restore(place().settings, made)


OBJECTS = "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE nspname = 'public'"


def rewrite(made: Path, change: dict[str, object]) -> None:
    said = json.loads((made / "manifest.json").read_text())
    (made / "manifest.json").write_text(json.dumps(said | change))


class TestKeysApart:
    def test_a_copy_opens_what_the_keys_open(self, town, tmp_path):
        keys = town.place.settings.keys_folder
        done = keys_apart.copy(keys, tmp_path / "safe", town.clock.now())
        assert stat.S_IMODE(done.stat().st_mode) == 0o700
        assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in done.iterdir()} == {
            "ring.json": 0o600,
            "token.key": 0o600,
        }
        assert vault.load_keys(done, with_token=True) == vault.load_keys(keys, with_token=True)
        assert [path.name for path in (tmp_path / "safe").iterdir()] == [done.name]

    @pytest.mark.parametrize("where", [".", "..", "within", "keys"])
    def test_never_beside_the_data(self, town, where):
        before_the_backup(town)
        made = back_up(town)
        folder = town.place.settings.keys_folder / "copy" if where == "keys" else made / where
        with pytest.raises(NotAllowed, match=r"name a folder apart|on another disk"):
            keys_apart.copy(town.place.settings.keys_folder, folder, town.clock.now())

    @pytest.mark.parametrize("where", [".", "within", "keys-x/within"])
    def test_nor_the_data_beside_them(self, town, tmp_path, where):
        keys_apart.copy(town.place.settings.keys_folder, tmp_path / "safe", town.clock.now())
        with pytest.raises(NotAllowed, match="name a folder apart"):
            recovery.back_up(town.place.settings, tmp_path / "safe" / where)

    def test_a_rotated_ring_still_opens_an_older_backup(self, tmp_path):
        keys = vault.load_keys(made_keys(tmp_path), with_token=True)
        wanted = keys_apart.fingerprints(keys)
        rotated = replace(keys, ring=vault.KeyRing(keys.ring.versions | {2: vault.new_key()}))
        keys_apart.check(rotated, wanted, tmp_path)
        with pytest.raises(keys_apart.OtherKeys, match="ring 2"):
            keys_apart.check(keys, keys_apart.fingerprints(rotated), tmp_path)


def made_keys(folder: Path) -> Path:
    vault.make_keys(folder)
    return folder


class TestCommand:
    def test_backup_and_restore_from_the_command_line(self, town, place, tmp_path):
        before_the_backup(town)
        refusal = command(town.place, "backup", str(town.backups), "--keys", str(town.backups / "keys"))
        assert refusal.returncode == 2
        done = command(town.place, "backup", str(town.backups), "--keys", str(tmp_path / "safe"))
        assert done.returncode == 0, done.stderr
        (made,) = town.backups.iterdir()
        assert str(made) in done.stdout
        where = without_journal(place())
        assert command(where, "restore").returncode == 2
        done = command(where, "restore", str(made))
        assert done.returncode == 0, done.stderr
        assert "letters are on hold" in done.stdout
        done = command(where, "doctor")
        assert "on hold" in done.stdout
        assert "--journal-lost" in one_line(command(where, "restore", "--resume"))
        done = command(where, "restore", "--resume", "--nothing-lost")
        assert done.returncode == 0, done.stderr
        assert "letters leave from here again" in done.stdout


def command(where: Place, *words: str, file_bytes: int | None = None) -> subprocess.CompletedProcess[str]:
    settings = where.settings
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TOVHOLDER_")}
    return subprocess.run(
        [sys.executable, "-m", "hub.cli", *words],
        capture_output=True,
        text=True,
        check=False,
        env=clean
        | {
            "TOVHOLDER_DATABASE_URL": settings.database_url or "",
            "TOVHOLDER_OWNER_DATABASE_URL": settings.owner_database_url or "",
            "TOVHOLDER_KEYS": str(settings.keys_folder),
            "COLUMNS": "200",
        },
        preexec_fn=(lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes)))
        if file_bytes
        else None,
    )


def limit_files(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    (line,) = done.stderr.splitlines()
    assert line.startswith("tovholder: ")
    return line
