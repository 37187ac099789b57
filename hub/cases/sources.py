"""How far each source has been read, how fresh it is, and one reader at a time per source."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from queue import Empty
from typing import TypeVar

from sqlalchemy import Connection, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from hub.cases import apart
from hub.contract import Adapter
from hub.errors import GaveUp, TovholderError, TryAgain
from hub.reading.paging import HasCursor, onward
from hub.store.database import Database
from hub.store.tables import SourceState

T = TypeVar("T")
P = TypeVar("P", bound=HasCursor)
PATIENCE = timedelta(minutes=30)
"""How long a plugin may take for one page. Its own time-outs are shorter; this is for one that has none."""
PRESENCE, CASES, CUSTODY, STATUSES = "presence", "cases", "custody", "statuses"
NAME, UNKNOWN, MOVED = "name", "unknown", "moved"
"""In `child_source`, beside CUSTODY: that a child's name has been asked for; that custody has, and could not be read;
that a source has moved a record of the child to another number, and nobody has asked about it yet."""


def state(session: Session, source: str, purpose: str) -> SourceState:
    """The row of a source and purpose, made the first time."""
    session.execute(
        insert(SourceState).values(source=source, purpose=purpose, run=0, under_way=False).on_conflict_do_nothing()
    )
    return session.get_one(SourceState, (source, purpose))


@dataclass(frozen=True, slots=True)
class Start:
    """Where a read begins. `resumed`: it goes on with one that was cut off, so it will not see all of it."""

    cursor: str | None
    resumed: bool


def begin(
    session: Session, source: str, purpose: str, now: datetime, full_every: timedelta, *, anew: bool = False
) -> Start:
    """Where a run goes on: after the last stored page of one that was cut off; else a new run, from the start when the
    last full read is longer ago than `full_every`. `anew`: from the start whatever there was."""
    row = state(session, source, purpose)
    if row.under_way and not anew:
        return Start(row.cursor, resumed=True)
    row.under_way = True
    row.run += 1
    if anew or row.full_at is None or now - row.full_at >= full_every:
        row.cursor = None
    return Start(row.cursor, resumed=False)


def end(session: Session, source: str, purpose: str, now: datetime) -> None:
    """A run came to its end, so the source has answered."""
    row = state(session, source, purpose)
    row.under_way, row.answered_at, row.failure = False, now, None


def failed(session: Session, source: str, purpose: str, now: datetime, why: str) -> None:
    """A source did not answer: shown as "no answer since", never as "nothing there"."""
    row = state(session, source, purpose)
    row.failed_at, row.failure = now, why


def pages(name: str, ask: Callable[[], Iterable[P]]) -> Iterator[P]:
    """What a plugin answers, page by page. An error that is none of the hub's own is a fault in the plugin: GaveUp with
    the kind of error alone, since its words may hold a record; also when its pages lead in a circle. TryAgain when it
    says nothing for PATIENCE."""
    try:
        yield from onward(apart.ahead(name, ask, PATIENCE.total_seconds()))
    except TovholderError:
        raise
    except Empty as error:
        raise TryAgain(f"{name} has given nothing for {PATIENCE.total_seconds() / 60:.0f} minutes") from error
    except Exception as error:
        raise GaveUp(f"the plugin {name} has a fault: {type(error).__name__}; tell whoever keeps it") from error


class Readers:
    """Which sources this process reads alone. All its locks stand on one connection and go with it, so a killed
    reader's are free at once."""

    def __init__(self, connection: Connection, purpose: str) -> None:
        self._connection, self._purpose = connection, purpose
        self._held: set[str] = set()

    def take(self, source: str) -> bool:
        """Whether the source is now this process's to read."""
        if self._call("pg_try_advisory_lock", source):
            self._held.add(source)
        return source in self._held

    def free(self, source: str) -> None:
        """Let another process read it, if it was ours."""
        if source in self._held:
            self._held.remove(source)
            self._call("pg_advisory_unlock", source)

    def close(self) -> None:
        for source in sorted(self._held):
            self.free(source)

    def _call(self, function: str, source: str) -> bool:
        statement = text(f"SELECT {function}(hashtext(:name))")
        got = self._connection.execute(statement, {"name": f"{source}:{self._purpose}"}).scalar_one()
        self._connection.commit()
        return bool(got)


@contextmanager
def readers(database: Database, purpose: str) -> Iterator[Readers]:
    with database.engine.connect() as connection:
        held = Readers(connection, purpose)
        try:
            yield held
        finally:
            held.close()


@contextmanager
def one_reader(database: Database, source: str, purpose: str) -> Iterator[bool]:
    """Whether this process now reads the source alone."""
    with readers(database, purpose) as held:
        yield held.take(source)


def side_by_side(
    database: Database,
    purpose: str,
    adapters: Iterable[Adapter],
    read: Callable[[Adapter], T],
    busy: Callable[[str], T],
) -> list[T]:
    """Read each source in a thread of its own, in the order given; `busy` where another process reads it now."""
    results: dict[str, T] = {}
    with readers(database, purpose) as held:
        mine = {}
        for adapter in adapters:
            results[adapter.name] = busy(adapter.name)
            if held.take(adapter.name):
                mine[adapter.name] = partial(read, adapter)
        for name, result in apart.side_by_side(mine):
            results[name] = result
            held.free(name)
    return list(results.values())
