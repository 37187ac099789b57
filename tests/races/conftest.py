"""Races, made to happen: threads stand still at named points (hub/faults.py), and locks are waited for by asking
PostgreSQL who waits. Nothing sleeps and hopes."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from threading import Event, Lock
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import event, select, text, update

from hub import State, faults
from hub.cases import kinds
from hub.cases.sync import sync
from hub.context import Context
from hub.letters.compose import compose_due
from hub.letters.frozen import open_content
from hub.letters.templates import Templates
from hub.settings import Settings
from hub.store import outage, tables
from hub.store.database import Database
from hub.store.keeper import servers_in

KARLA, EMIL = "0311164234", "1405134321"
MOTHER, FATHER = "0101804001", "0101804002"
OF_A_NO = {kinds.YES_WITHDRAWN, kinds.YES_ENDED}
"""That a yes was taken back is told for itself, and is no part of the letter that it meets on its way."""
PATIENCE = 60.0
"""How long a test waits for what must happen (seconds), before it fails."""


@dataclass
class Stop:
    """Where the first thread that comes by stands still until it is told to go on."""

    reached: Event = field(default_factory=Event)
    go: Event = field(default_factory=Event)

    def here(self) -> None:
        self.reached.set()
        assert self.go.wait(PATIENCE), "nobody said go on"

    def arrive(self) -> None:
        assert self.reached.wait(PATIENCE), "nobody came"


class Moments:
    """The named points of the program, at which a test can have a thread stand still, or an error be raised."""

    def __init__(self) -> None:
        self._at: dict[str, Callable[[], None]] = {}
        self._lock = Lock()

    def point(self, name: str) -> None:
        with self._lock:
            act = self._at.pop(name, None)
        if act is not None:
            act()

    @contextmanager
    def stop(self, name: str) -> Iterator[Stop]:
        assert name in faults.POINTS
        stop = Stop()
        self._at[name] = stop.here
        try:
            yield stop
        finally:
            stop.go.set()

    def fail(self, name: str, error: BaseException) -> None:
        """The next who comes there fails."""
        assert name in faults.POINTS

        def act() -> None:
            raise error

        self._at[name] = act


@pytest.fixture
def moments(monkeypatch: pytest.MonkeyPatch) -> Moments:
    found = Moments()
    monkeypatch.setattr(faults, "point", found.point)
    return found


class Races:
    """A world, threads, and a way to see who waits for whom."""

    def __init__(self, world: Any, pool: ThreadPoolExecutor) -> None:
        self.world, self._pool = world, pool
        self.ctx = world.ctx

    def go(self, work: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Do it in a thread of its own."""
        return self._pool.submit(work, *arguments)

    @contextmanager
    def held(self, moments: Moments, name: str, work: Callable[..., Any], *arguments: Any) -> Iterator[Future[Any]]:
        """Work in a thread of its own that stands still at a moment for as long as the block lasts."""
        with moments.stop(name) as stop:
            done = self.go(work, *arguments)
            stop.arrive()
            yield done

    def waiting(self, count: int = 1) -> list[int]:
        """The backends that wait for a lock, once there are so many."""
        asked = text(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' "
            "ORDER BY pid"
        )
        until = time.monotonic() + PATIENCE
        while True:
            with self.world.session() as session:
                found = list(session.execute(asked).scalars())
            if len(found) >= count:
                return found
            assert time.monotonic() < until, f"{len(found)} wait for a lock, not {count}"
            time.sleep(0.01)

    @contextmanager
    def before_commit(self, after: str = "") -> Iterator[Stop]:
        """The next transaction to commit, in whatever thread, that has sent a statement with `after` in it, stands
        still right before its commit."""
        engine, stop = self.ctx.database.engine, Stop()
        mine: set[int] = set()
        lock = Lock()

        def executed(connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
            if after in statement:
                mine.add(id(connection.connection.driver_connection))

        def wait(connection: Any) -> None:
            with lock:
                first = not stop.reached.is_set() and id(connection.connection.driver_connection) in mine
                if first:
                    stop.reached.set()
            if first:
                stop.here()

        event.listen(engine, "after_cursor_execute", executed)
        event.listen(engine, "commit", wait)
        try:
            yield stop
        finally:
            stop.go.set()
            event.remove(engine, "after_cursor_execute", executed)
            event.remove(engine, "commit", wait)

    @contextmanager
    def after_statement(self, part: str) -> Iterator[Stop]:
        """The first thread to have sent a statement with `part` in it stands still, its transaction open."""
        engine, stop = self.ctx.database.engine, Stop()
        lock = Lock()

        def executed(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
            with lock:
                first = part in statement and not stop.reached.is_set()
                if first:
                    stop.reached.set()
            if first:
                stop.here()

        event.listen(engine, "after_cursor_execute", executed)
        try:
            yield stop
        finally:
            stop.go.set()
            event.remove(engine, "after_cursor_execute", executed)

    # -- letters

    def due(self) -> None:
        """What waits is due now, unless somebody is at it: it waits for nobody, so a crowd cannot lock itself out."""
        waits = select(tables.Bundle.id).where(tables.Bundle.composed_at.is_(None)).with_for_update(skip_locked=True)
        with self.ctx.database.begin() as session:
            due = update(tables.Bundle).where(tables.Bundle.id.in_(waits)).values(due_at=self.world.clock.now())
            session.execute(due, execution_options={"synchronize_session": False})

    def newest(self) -> tables.Letter:
        """The letter that was written last."""
        return max(self.letters(), key=lambda row: row.frozen_at)

    def compose(self) -> int:
        return compose_due(self.ctx, Templates()).letters

    def write(self) -> UUID:
        """Compose what waits; the one letter that came of it."""
        before = {row.id for row in self.letters()}
        self.due()
        self.compose()
        (letter,) = {row.id for row in self.letters()} - before
        return letter

    def only_the_no_is_told(self) -> bool:
        """What waits is written; whether nothing stands in it but that the yes was taken back."""
        before = {row.id for row in self.letters()}
        self.due()
        self.compose()
        bundles = [row.bundle_id for row in self.letters() if row.id not in before]
        told = self.world.rows(tables.Event, tables.Event.bundle_id.in_(bundles))
        return {row.kind for row in told} <= OF_A_NO

    def told_of(self, letter: UUID) -> set[UUID]:
        """The children it tells of, leaving out what tells of a no."""
        told = self.world.rows(tables.Event, tables.Event.bundle_id == self.letter(letter).bundle_id)
        return {row.child_id for row in told if row.kind not in OF_A_NO}

    def letters(self, *conditions: Any) -> list[tables.Letter]:
        return list(self.world.rows(tables.Letter, *conditions))

    def letter(self, letter: UUID) -> tables.Letter:
        (row,) = self.letters(tables.Letter.id == letter)
        return row

    def says(self, letter: UUID) -> str:
        with self.world.session() as session:
            return open_content(session, self.ctx.keys, session.get_one(tables.Letter, letter))["fragment"]

    def jobs(self) -> list[str]:
        """The letters for which there is a job."""
        with self.world.session() as session:
            args = session.execute(text("SELECT args FROM procrastinate_jobs WHERE task_name = 'deliver'")).scalars()
            return sorted(one for each in args for one in each["letter_ids"])

    def ends(self) -> dict[UUID, str]:
        """Each event's end, but for those that tell of a no: in a letter, not told and why, it waits, or a person
        looks, since it may have been told by a letter that was withheld after a try. Fails on one with none or two, on
        two letters of one bundle, on a letter that tells nothing, and on one that tells another number of things than
        are its."""
        letters = {row.bundle_id: row for row in self.letters()}
        assert len(letters) == len(self.letters())
        waiting = {row.id for row in self.world.rows(tables.Bundle, tables.Bundle.composed_at.is_(None))}
        looked_at = {task.letter_id for task in self.tasks("letter_failed")}
        found, told = {}, dict.fromkeys(letters, 0)
        for row in self.world.rows(tables.Event):
            ways = []
            letter = letters.get(row.bundle_id)
            if letter is not None and letter.state != "withheld":
                ways.append("letter")
                told[row.bundle_id] += 1
            elif letter is not None and letter.id in looked_at:
                ways.append("a person looks")
            if row.why_not is not None:
                ways.append(f"why: {row.why_not}")
            if row.bundle_id in waiting:
                ways.append("waits")
            assert len(ways) == 1, (row.kind, ways)
            if row.kind not in OF_A_NO:
                found[row.id] = ways[0]
        with self.world.session() as session:
            for bundle, letter in letters.items():
                if letter.state != "withheld":
                    row = session.get_one(tables.Letter, letter.id)
                    assert len(open_content(session, self.ctx.keys, row)["said"]) == told[bundle] > 0
        return found

    def tasks(self, kind: str | None = None) -> list[tables.Task]:
        rows = self.world.rows(tables.Task)
        return [row for row in rows if kind is None or row.kind == kind]

    def wait_for(self, what: Callable[[], bool], seconds: float = 2 * PATIENCE) -> None:
        """Until it is so; a database that is away meanwhile is asked again."""
        until = time.monotonic() + seconds
        while True:
            with suppress(*outage.Unavailable):
                if what():
                    return
            assert time.monotonic() < until, "waited in vain"
            time.sleep(0.05)

    def log_is_gapless(self) -> bool:
        with self.world.session() as session:
            size = session.execute(select(tables.LogHead.size)).scalar_one()
            found = session.execute(select(tables.LogEntry.seq).order_by(tables.LogEntry.seq)).scalars().all()
        return list(found) == list(range(size))


@pytest.fixture
def races(world: Any) -> Iterator[Races]:
    with ThreadPoolExecutor(12) as pool:
        yield Races(world, pool)


@pytest.fixture
def siblings(races: Races) -> Races:
    return in_the_scheme(races)


def in_the_scheme(races: Races) -> Races:
    """Karla and Emil are in the scheme, with a case each that has been read; their mother has had her receipt."""
    world = races.world
    world.accepted(KARLA, EMIL, guardians=(MOTHER,))
    world.night()
    world.case(world.sof, "s1", KARLA, State.APPLIED)
    world.case(world.buf, "b1", EMIL)
    sync(races.ctx)
    races.due()
    races.compose()
    world.clock.move(timedelta(hours=1))
    return races


class Machine(Races):
    """A machine of its own: a data folder with the embedded server, whose parts can be killed."""

    @property
    def data(self) -> Path:
        return Path(self.ctx.settings.data)

    def kill(self, part: str) -> None:
        """kill -9 of the keeper, of PostgreSQL's first process, or of one that serves a connection; until all
        connections there were are gone with it."""
        pids = {"keeper": self._keeper, "postgres": self._postmaster, "backend": self._backend}
        clients = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend'"
        with psycopg.connect(self.ctx.database.conninfo, autocommit=True) as watching:
            serving = {pid for (pid,) in watching.execute(clients)}
            os.kill(pids[part](), signal.SIGKILL)
            until = time.monotonic() + PATIENCE
            with suppress(psycopg.OperationalError):
                while time.monotonic() < until:
                    watching.execute("SELECT pg_sleep(0.01)")
                raise AssertionError(f"the server lives on without its {part}")
        while serving & servers_in(self.data / "postgres").keys():  # one may still answer when another has gone
            assert time.monotonic() < until, f"a connection lives on without its {part}"
            time.sleep(0.01)

    def _keeper(self) -> int:
        return int((self.data / "pg.keeper").read_bytes().rstrip(b"\0").split(b"\n")[2])

    def _postmaster(self) -> int:
        return int((self.data / "postgres" / "postmaster.pid").read_text().split()[0])

    def _backend(self) -> int:
        with self.world.session() as session:
            return session.execute(text("SELECT pg_backend_pid()")).scalar_one()


@pytest.fixture(scope="session")
def empty_cluster(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated embedded database, to copy: making one takes most of a cold start."""
    folder = tmp_path_factory.mktemp("machine") / "data"
    database = Database(Settings(data=folder))
    database.migrate()
    database.close()
    wait_until_gone(folder)
    return folder


def wait_until_gone(folder: Path) -> None:
    until = time.monotonic() + PATIENCE
    while servers_in(folder / "postgres"):
        assert time.monotonic() < until, f"a server of {folder} was left running"
        time.sleep(0.02)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Where the machine's data folder is to be."""
    return tmp_path / "data"


@pytest.fixture
def machine(
    empty_cluster: Path, data: Path, ctx: Context, make_world: Callable[[Context], Any], settings: Settings
) -> Iterator[Machine]:
    data.mkdir(mode=0o711, exist_ok=True)
    subprocess.run(["cp", "-a", str(empty_cluster / "postgres"), str(data / "postgres")], check=True)
    mine = settings.model_copy(update={"data": data})
    database = Database(mine)
    with ThreadPoolExecutor(12) as pool:
        world = make_world(replace(ctx, settings=mine, database=database))
        try:
            yield Machine(world, pool)
        finally:
            database.close()
    wait_until_gone(data)


@pytest.fixture
def machine_siblings(machine: Machine) -> Machine:
    in_the_scheme(machine)
    return machine
