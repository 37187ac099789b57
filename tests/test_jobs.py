"""Background work: retried when it may go well later, taken up again after a kill, and silent about people."""

from __future__ import annotations

import asyncio
import inspect
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Job
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, InternalError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as NoConnection

from hub import GaveUp, State, TryAgain, jobs, vault
from hub.cases import readers, reminders, sources
from hub.cases.sync import sync
from hub.letters import delivery, statuses
from hub.letters.compose import compose_due
from hub.letters.templates import Templates
from hub.signin.sessions import Sessions
from hub.store import queue, tables

KARLA = "0311164234"
MOTHER, FATHER = "0101804001", "0101804002"


def decision(error: BaseException, attempts: int = 0) -> float | None:
    """In how many seconds a job that failed with this is tried again."""
    job = Job(id=1, queue="letters", lock=None, queueing_lock=None, task_name="deliver", attempts=attempts)
    found = jobs.Backoff().get_retry_decision(exception=error, job=job)
    return None if found is None else (found.retry_at - datetime.now(UTC)).total_seconds()


class TestRetry:
    def test_waits_as_long_as_the_other_side_asks(self):
        assert decision(TryAgain("busy", after_seconds=120)) == pytest.approx(120, abs=2)

    def test_else_longer_each_time_and_at_most_an_hour(self):
        waits = [decision(TryAgain("down"), attempts) for attempts in range(14)]
        assert waits[:4] == pytest.approx([5, 10, 20, 40], abs=2)
        assert max(waits) == pytest.approx(3600, abs=2)

    def test_not_what_will_not_go_well(self):
        assert decision(GaveUp("no")) is None
        assert decision(ValueError("a fault of ours")) is None

    @pytest.mark.parametrize(
        "error",
        [
            OperationalError("SELECT", {}, psycopg.OperationalError("server closed the connection")),
            OperationalError("SELECT", {}, psycopg.errors.DeadlockDetected()),
            OperationalError("COMMIT", {}, psycopg.errors.DiskFull()),
            InternalError("INSERT", {}, psycopg.errors.ReadOnlySqlTransaction()),
            NoConnection("QueuePool limit reached"),
            ConnectorException(),
        ],
        ids=["restarted", "waited for each other", "disk full", "read only", "no connection", "no queue"],
    )
    def test_but_when_the_database_could_not_be_worked_with(self, error):
        """Nothing was committed, and the letter must not lie until somebody looks."""
        assert decision(error) is not None

    def test_but_not_what_the_database_will_never_take(self):
        assert decision(IntegrityError("INSERT", {}, psycopg.errors.UniqueViolation())) is None
        assert decision(ProgrammingError("SELECT", {}, psycopg.errors.UndefinedTable())) is None

    def test_never_later_than_in_a_few_hours(self):
        assert decision(TryAgain("down", after_seconds=1e9)) == pytest.approx(jobs.LONGEST_WAIT, abs=2)

    def test_and_not_for_ever(self):
        assert decision(TryAgain("down"), 100) is None


class TestTasks:
    @pytest.fixture
    def app(self, world):
        return jobs.build(world.ctx)

    def test_take_ids_only(self, app):
        """Worker logs print the arguments of jobs."""
        ours = {name: task for name, task in app.tasks.items() if task.queue != "builtin"}
        letters = {"deliver", "compose", "point", "statuses", "notices"}
        assert ours.keys() == letters | {"remind", "match", "sync", "forget", "retention"}
        for name, task in ours.items():
            names = set(inspect.signature(task.func).parameters)
            assert names <= {"letter_ids", "timestamp", "letter_id", "way"}, name
            assert task.func.__annotations__["return"] in (None, "None"), name  # results are printed too

    def test_have_a_queue_that_some_worker_watches(self, app):
        for name, task in app.tasks.items():
            assert task.queue in (*jobs.QUEUES, "builtin"), name

    def test_that_write_letters_need_no_token_key(self, world):
        """A worker without the match queue does not hold the key that turns numbers into tokens."""
        world.accepted(KARLA, guardians=(MOTHER,))
        world.case(world.sof, "s1", KARLA, State.APPLIED)
        sync(replace(world.ctx, keys=replace(world.ctx.keys, token=None)))
        ctx = replace(world.ctx, keys=replace(world.ctx.keys, token=None))
        with ctx.database.begin() as session:
            session.execute(text("UPDATE bundle SET due_at = '2026-01-01'"))
        compose_due(ctx, Templates())
        (letter,) = world.rows(tables.Letter)
        assert delivery.deliver(ctx, letter.id) == "sent"
        statuses.take_statuses(ctx)
        statuses.overdue(ctx)
        reminders.remind(ctx)

    def test_what_has_ended_is_forgotten(self, app, world, clock):
        kept = Sessions(world.ctx.database, clock, world.ctx.settings.signin)
        kept.begin({})
        clock.move(timedelta(minutes=20))
        kept.begin({})
        with world.ctx.database.begin() as session:
            for n, minutes in enumerate((50, 30)):
                at = clock.now() - timedelta(minutes=minutes)
                session.add(tables.AskerHour(asker=b"a", child=bytes([n]), at=at))
        clock.move(timedelta(minutes=20))
        app.tasks["forget"].func(0)
        assert len(world.rows(tables.SignedIn)) == 1
        assert [row.child for row in world.rows(tables.AskerHour)] == [b"\x01"]
        clock.move(timedelta(minutes=20))
        app.tasks["forget"].func(0)
        assert world.rows(tables.SignedIn) == []

    def test_what_is_deferred_is_an_id(self, world):
        world.accepted(KARLA, guardians=(MOTHER, FATHER))
        with world.ctx.database.begin() as session:
            session.execute(text("UPDATE bundle SET due_at = '2026-01-01'"))
        compose_due(world.ctx, Templates())
        with world.session() as session:
            args = session.execute(text("SELECT args FROM procrastinate_jobs")).scalars().all()
        assert {UUID(one) for each in args for one in each["letter_ids"]} == {
            row.id for row in world.rows(tables.Letter)
        }
        assert all(each.keys() == {"letter_ids"} for each in args)


class TestNight:
    def test_one_that_is_run_twice_does_nothing_twice(self, world):
        world.coordinators()
        world.present(KARLA)
        world.custody(KARLA, MOTHER)
        world.night()
        found, _custody, placed = jobs.find_and_offer(world.ctx)
        assert (found.found, placed.offered, placed.events) == (1, 0, 0)
        assert len(world.rows(tables.Event)) == 1

    def test_two_at_once_read_each_source_once(self, world):
        """Who comes second leaves the source alone, says so, and goes on."""
        world.present(KARLA)
        with readers.one_reader(world.ctx.database, "sof", sources.PRESENCE) as alone:
            assert alone
            found = jobs.find_and_offer(world.ctx)[0]
        assert [read.busy for read in found.reads] == [True, False, False]


WORKER = """
import json, sys, time
from pathlib import Path
from hub import jobs, vault
from hub.clock import SystemClock
from hub.context import Context
from hub.contract import Sent
from hub.plugins import Plugins
from hub.settings import Settings
from hub.store.database import Database
from hub.testing.fakes import FakeChannel

url, folder = sys.argv[1], Path(sys.argv[2])

class Channel(FakeChannel):
    def send(self, letter, key):
        with (folder / "asked").open("a") as file:
            file.write(key + "\\n")
        while (folder / "hang").exists():
            time.sleep(0.05)
        with (folder / "taken").open("a") as file:
            file.write(key + "\\n")
        return Sent("t")

settings = Settings(database_url=url)
ctx = Context(settings, SystemClock(), Database(settings), vault.load_keys(folder / "keys", with_token=False),
              Plugins((), {}, {"digital_post": Channel()}, {}))
print("ready", flush=True)
jobs.work(ctx, [jobs.LETTERS], 1)
"""


@pytest.fixture
def keys(tmp_path: Path) -> vault.Keys:
    """Keys in a folder, so that another process has the same."""
    vault.make_keys(tmp_path / "keys")
    return vault.load_keys(tmp_path / "keys", with_token=True)


@pytest.fixture
def start(world, tmp_path: Path) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """Starts a worker in a process of its own."""
    started = []

    def go() -> subprocess.Popen[bytes]:
        url = world.ctx.database.app_url.set(drivername="postgresql").render_as_string(hide_password=False)
        log = (tmp_path / "worker.log").open("ab")
        process = subprocess.Popen(
            [sys.executable, "-c", WORKER, url, str(tmp_path)], stdout=log, stderr=log, start_new_session=True
        )
        started.append(process)
        return process

    yield go
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()


@pytest.fixture
def letter(world) -> str:
    """A frozen letter whose job waits."""
    world.accepted(KARLA, guardians=(MOTHER,))
    with world.ctx.database.begin() as session:
        session.execute(text("UPDATE bundle SET due_at = '2026-01-01'"))
    compose_due(world.ctx, Templates())
    (row,) = world.rows(tables.Letter)
    return str(row.id)


def lines(file: Path) -> list[str]:
    return file.read_text().split() if file.exists() else []


def wait_for(what: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def sent(world, letter: str) -> bool:
    (row,) = world.rows(tables.Letter, tables.Letter.id == UUID(letter))
    return row.state == "sent"


@pytest.mark.slow
class TestWorkers:
    def test_the_job_of_a_killed_worker_is_taken_up_again(self, world, start, letter, tmp_path):
        """kill -9 while the channel hangs: another worker sends the letter, once, with the same key."""
        (tmp_path / "hang").touch()
        first = start()
        wait_for(lambda: lines(tmp_path / "asked") == [letter])
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
        (tmp_path / "hang").unlink()
        with world.session() as session:
            status = session.execute(
                text("SELECT status::text FROM procrastinate_jobs WHERE task_name = 'deliver'")
            ).scalar_one()
        assert status == "doing"  # nobody has noticed yet
        with world.ctx.database.begin() as session:  # half a minute later
            session.execute(text("UPDATE procrastinate_workers SET last_heartbeat = now() - interval '40 seconds'"))
        start()
        wait_for(lambda: sent(world, letter))
        assert lines(tmp_path / "asked") == [letter, letter]
        assert lines(tmp_path / "taken") == [letter]
        attempts = sorted(world.rows(tables.Delivery), key=lambda row: row.attempt)
        assert [row.result for row in attempts] == ["begun", "sent"]

    def test_a_worker_goes_on_when_the_database_has_been_restarted(self, world, start, letter, tmp_path, admin):
        process = start()
        wait_for(lambda: sent(world, letter))
        name = world.ctx.database.app_url.database
        admin(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        world.present("1405134321")
        world.custody("1405134321", FATHER)
        world.night()
        compose_due(world.ctx, Templates())
        other = next(str(row.id) for row in world.rows(tables.Letter) if str(row.id) != letter)
        wait_for(lambda: sent(world, other), 60)
        assert process.poll() is None  # nobody had to start it again
        assert sorted(lines(tmp_path / "taken")) == sorted([letter, other])

    def test_a_worker_that_is_asked_to_stop_finishes_its_letter(self, world, start, letter, tmp_path):
        (tmp_path / "hang").touch()
        process = start()
        wait_for(lambda: lines(tmp_path / "asked") == [letter])
        process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        (tmp_path / "hang").unlink()
        assert process.wait(timeout=30) == 0
        assert sent(world, letter)
        assert lines(tmp_path / "taken") == [letter]

    def test_its_log_names_nobody(self, world, start, letter, tmp_path):
        process = start()
        wait_for(lambda: sent(world, letter))
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)
        log = (tmp_path / "worker.log").read_text()
        for secret in (KARLA, MOTHER, "Testvoksen", "Testbarn"):
            assert secret not in log


def test_taking_up_leaves_a_living_workers_job_alone(world, letter):
    app = jobs.build(world.ctx)

    async def check() -> int:
        async with app.open_async():
            return await jobs.take_up(app, 30.0)

    assert asyncio.run(check()) == 0
    with world.session() as session:
        assert session.execute(text("SELECT status::text FROM procrastinate_jobs")).scalar_one() == "todo"


def test_a_job_is_deferred_only_when_its_row_is_committed(world):
    with world.session() as session:
        queue.defer(session, queue.DELIVER, [{"letter_id": "x"}])
        session.rollback()
    with world.session() as session:
        assert session.execute(text("SELECT count(*) FROM procrastinate_jobs")).scalar_one() == 0
