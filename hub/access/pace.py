"""How many different children somebody has looked up within an hour: who reads through the town is seen, and stopped.

Counted in the database, so that it holds over all serving processes and machines. A row says by keyed digests that an
asker looked at a child, and goes after the hour. Requests that come at the same time share a transaction; those of one
person wait for each other on an advisory lock, so that two processes cannot both let the last one through. The count
is not flushed to disk: a crash may forget the last fraction of a second of it, and of the access log nothing.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import psycopg
import structlog
from sqlalchemy import delete

from hub.access import log as access_log
from hub.access.askers import asker_key, day_key
from hub.access.log import Asker, Disclosure
from hub.access.lookup import Answer, LogUnavailable, LookupQueue, Request
from hub.access.policy import REASON_AT_LEAST
from hub.clock import Clock, today
from hub.errors import NotAllowed
from hub.store import tables, tasks
from hub.store.database import Database
from hub.vault import Keys

log = structlog.get_logger()

KIND = "pace"
"""The kind of entry and of task that tells the auditor."""
HOUR = timedelta(hours=1)
_STILL = timedelta(minutes=1)
"""So long a process remembers that it has counted a child, and does not ask the database."""
_REMEMBER = 50_000


class ReasonNeeded(NotAllowed):
    """This is more children than most look up in an hour: write why."""


class TooMany(NotAllowed):
    """This is too many children in an hour."""

    def __init__(self, after_seconds: int) -> None:
        super().__init__()
        self.after_seconds = after_seconds
        """When some of the hour has passed (seconds)."""


@dataclass(slots=True)
class _Step:
    asker: Asker
    digest: bytes
    children: set[bytes]
    has_reason: bool
    future: asyncio.Future[None]
    refused: NotAllowed | None = None
    alarm: bool = False


@dataclass(slots=True)
class _Seen:
    """What the database says of one asker."""

    children: set[bytes] = field(default_factory=set)
    count: int = 0
    oldest: datetime | None = None


class Pace:
    """Asked before each lookup. Made once per process."""

    def __init__(self, database: Database, keys: Keys, clock: Clock, children_an_hour: int) -> None:
        self._database, self._keys, self._clock, self._most = database, keys, clock, children_an_hour
        self._waiting: list[_Step] = []
        self._serving: asyncio.Task[None] | None = None
        self._counted: dict[bytes, datetime] = {}
        self._told: set[str] = set()

    async def ask_all(self, lookups: LookupQueue, questions: Sequence[Request]) -> list[Disclosure[Answer]]:
        """One person's questions, all for one reason: counted, then answered. Raises as `take` and as the queue."""
        if questions:
            first = questions[0]
            await self.take(first.asker, [question.token for question in questions], first.reason)
        return await lookups.ask_all(questions)

    async def take(self, asker: Asker, children: Sequence[bytes], reason: str | None) -> None:
        """Count these children (lookup tokens) as looked up by `asker` now: all of them, or none when it raises. One
        that was counted within the hour counts once.

        Raises ReasonNeeded (more than the setting, and no reason), TooMany (more than twice as many), LogUnavailable
        (it cannot be counted, so nothing is to be shown)."""
        who = hmac.digest(self._keys.reference, f"pace:{asker.who}".encode(), "sha256")
        digests = {hmac.digest(self._keys.reference, who + child, "sha256") for child in children}
        now = self._clock.now()
        if all(abs(now - self._counted.get(digest, _LONG_AGO)) < _STILL for digest in digests):
            return
        has_reason = reason is not None and len(reason.strip()) >= REASON_AT_LEAST
        step = _Step(asker, who, digests, has_reason, asyncio.get_running_loop().create_future())
        self._waiting.append(step)
        if self._serving is None or self._serving.done():
            self._serving = asyncio.create_task(self._serve())
        await step.future

    async def _serve(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            try:
                await asyncio.to_thread(self._count, batch)
            except BaseException as error:
                # Nobody is let through uncounted, whatever it was.
                self._fail(batch if isinstance(error, Exception) else [*batch, *self._waiting], error)
                if not isinstance(error, Exception):
                    raise
                log.warning("lookups cannot be counted", error=type(error).__name__)
                continue
            for step in batch:
                if step.future.done():
                    continue
                if step.refused is not None:
                    step.future.set_exception(step.refused)
                else:
                    step.future.set_result(None)

    @staticmethod
    def _fail(steps: Sequence[_Step], error: BaseException) -> None:
        for step in steps:
            if not step.future.done():
                failure = LogUnavailable()
                failure.__cause__ = error
                step.future.set_exception(failure)

    def _count(self, batch: list[_Step]) -> None:
        now = self._clock.now()
        rows: dict[bytes, bytes] = {}
        # The driver itself, in pipelines: two round trips, and a third of the processor's time.
        with self._database.engine.connect() as pooled:
            connection = pooled.connection.driver_connection
            assert isinstance(connection, psycopg.Connection)  # noqa: S101 - what the engine is made for
            seen = self._seen(connection, batch, now)
            for step in batch:
                self._decide(step, seen.setdefault(step.digest, _Seen()), now)
                if step.refused is None:
                    rows |= dict.fromkeys(step.children, step.digest)
            with connection.pipeline():
                connection.execute(_NOTE, {"askers": list(rows.values()), "children": list(rows), "now": now})
                connection.commit()
        for step in batch:
            if step.alarm:
                self._tell(step, now)
        if len(self._counted) > _REMEMBER:
            self._counted.clear()
        self._counted |= dict.fromkeys(rows, now)

    def _seen(self, connection: psycopg.Connection[Any], batch: list[_Step], now: datetime) -> dict[bytes, _Seen]:
        askers = sorted({step.digest for step in batch})
        locks = sorted(int.from_bytes(digest[:8], "big", signed=True) for digest in askers)
        asked = sorted({child for step in batch for child in step.children})
        with connection.pipeline():
            connection.execute(_LOCK, {"locks": locks})
            found = connection.execute(
                _COUNT, {"askers": askers, "children": asked, "since": now - HOUR, "ahead": now + HOUR}
            )
        return {asker: _Seen(set(known or ()), count, oldest) for asker, count, oldest, known in found}

    def _decide(self, step: _Step, seen: _Seen, now: datetime) -> None:
        new = step.children - seen.children
        count = seen.count + len(new)
        if not new:
            return
        step.alarm = count > self._most
        if count > 2 * self._most:
            left = seen.oldest + HOUR - now if seen.oldest is not None else HOUR
            step.refused = TooMany(max(1, int(left.total_seconds()) + 1))
        elif count > self._most and not step.has_reason:
            step.refused = ReasonNeeded()
        else:
            seen.children |= new
            seen.count = count

    def _tell(self, step: _Step, now: datetime) -> None:
        """A task for the auditor, and an entry of the log that says who: once in an hour by the clock."""
        what = f"{step.digest.hex()}:{now:%Y-%m-%dT%H}"
        if what in self._told:
            return
        with self._database.begin() as session:
            key = asker_key(session, self._keys, step.asker)
            entry = access_log.seal_entry(
                at=now,
                kind=KIND,
                child_id=None,
                asker=step.asker,
                asker_key=key,
                subject={"purpose": KIND, "see": False, "basis": "pace", "shown": [], "more_than": self._most},
                subject_key=day_key(session, self._keys, today(self._clock)),
            )
            if tasks.put(session, self._keys, now, KIND, {what: {"entry_id": entry.id}}):
                access_log.append(session, [entry])
                log.warning("somebody looks up very many children: the auditor has a task", entry=str(entry.id))
        if len(self._told) > _REMEMBER:
            self._told.clear()
        self._told.add(what)


def purge(database: Database, clock: Clock) -> int:
    """Forget who looked at whom more than an hour ago; gives how many rows."""
    with database.begin() as session:
        gone = delete(tables.AskerHour).where(tables.AskerHour.at < clock.now() - HOUR)
        return len(session.execute(gone.returning(tables.AskerHour.child)).all())


_LONG_AGO = datetime.fromisoformat("2000-01-01T00:00:00+00:00")
# In the order of the array, which is sorted: two processes that wait for the same askers cannot wait for each other.
_LOCK = """
SELECT set_config('synchronous_commit', 'off', true), pg_advisory_xact_lock(lock) FROM unnest(%(locks)s::bigint[]) lock
"""
_COUNT = """
SELECT asker, count(*), min(at), array_agg(child) FILTER (WHERE child = ANY(%(children)s::bytea[]))
FROM asker_hour WHERE asker = ANY(%(askers)s::bytea[]) AND at > %(since)s AND at < %(ahead)s GROUP BY asker
"""
_NOTE = """
INSERT INTO asker_hour (asker, child, at)
SELECT asker, child, %(now)s FROM unnest(%(askers)s::bytea[], %(children)s::bytea[]) AS a (asker, child) ORDER BY 1, 2
ON CONFLICT (asker, child) DO UPDATE SET at = excluded.at
"""
