"""How far each source has been read, how fresh it is, and one reader at a time per source."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from hub.errors import GaveUp, TovholderError
from hub.store.database import Database
from hub.store.tables import SourceState

T = TypeVar("T")
PRESENCE, CASES, CUSTODY, STATUSES = "presence", "cases", "custody", "statuses"


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


def pages(name: str, ask: Callable[[], Iterable[T]]) -> Iterator[T]:
    """What a plugin answers, page by page. An error that is none of the hub's own is a fault in the plugin: GaveUp with
    the kind of error alone, since its words may hold a record."""
    try:
        yield from ask()
    except TovholderError:
        raise
    except Exception as error:
        raise GaveUp(f"the plugin {name} has a fault: {type(error).__name__}; tell whoever keeps it") from error


@contextmanager
def one_reader(database: Database, source: str, purpose: str) -> Iterator[bool]:
    """Whether this process now reads the source alone; the lock goes with the connection, so a killed reader's is
    free at once."""
    with database.engine.connect() as connection:
        name = f"{source}:{purpose}"
        got = connection.execute(text("SELECT pg_try_advisory_lock(hashtext(:name))"), {"name": name}).scalar_one()
        connection.commit()
        try:
            yield bool(got)
        finally:
            if got:
                connection.execute(text("SELECT pg_advisory_unlock(hashtext(:name))"), {"name": name})
                connection.commit()
