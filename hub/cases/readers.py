"""One reader at a time for each source, whatever dies: the lock goes with its connection, and whoever has lost it
without knowing is stopped before it writes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from hub.cases import sources
from hub.errors import TryAgain
from hub.store.database import Database
from hub.store.tables import SourceState

log = structlog.get_logger()


class Overtaken(TryAgain):
    """Another process reads this source by now: the connection that held this one's lock was cut."""


@dataclass(frozen=True, slots=True)
class Alone:
    """That a source is this process's to read. `state` is to be asked for in each transaction of a read: whoever has
    lost the lock without knowing would else put what is old over what is new, and tell it once more."""

    source: str
    purpose: str
    pid: int
    """The backend that holds the lock."""

    def state(self, session: Session) -> SourceState:
        """The row of the source, locked. Raises Overtaken when the lock is gone: whoever has it next waits with its
        beginning until this transaction has ended."""
        row = sources.state(session, self.source, self.purpose, lock=True)
        name = {"pid": self.pid, "name": f"{self.source}:{self.purpose}"}
        if not session.execute(_STILL, name).scalar_one():
            raise Overtaken
        return row


_STILL = text("""
SELECT EXISTS (
    SELECT FROM pg_locks
    WHERE locktype = 'advisory' AND granted AND pid = :pid AND objsubid = 1
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND (classid::bigint << 32) | objid::bigint = hashtext(:name)::bigint
)
""")


class Readers:
    """Which sources this process reads alone. All its locks stand on one connection and go with it, so a killed
    reader's are free at once."""

    def __init__(self, connection: Connection, purpose: str) -> None:
        self._connection, self._purpose = connection, purpose
        self._held: set[str] = set()

    def take(self, source: str) -> Alone | None:
        """The source is now this process's to read; None where it is another's."""
        if not self._call("pg_try_advisory_lock", source):
            return None
        self._held.add(source)
        driver: Any = self._connection.connection.driver_connection
        return Alone(source, self._purpose, driver.info.backend_pid)

    def free(self, source: str) -> None:
        """Let another process read it, if it was ours."""
        if source not in self._held:
            return
        self._held.remove(source)
        try:
            self._call("pg_advisory_unlock", source)
        except OperationalError as error:
            # The locks went with the connection. Other sources' reads are none the worse for it.
            log.warning("the lock on a source was lost", source=source, error=type(error.orig).__name__)
            self._connection.rollback()

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
        mine = Readers(connection, purpose)
        try:
            yield mine
        finally:
            mine.close()


@contextmanager
def one_reader(database: Database, source: str, purpose: str) -> Iterator[bool]:
    """Whether this process now reads the source alone."""
    with readers(database, purpose) as mine:
        yield mine.take(source) is not None
