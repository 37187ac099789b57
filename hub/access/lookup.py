"""Who is this child's coordinator: the one question staff of every administration may ask.

Requests that come at the same time wait in one queue and share a batch: lock the log's head, read what the policy
needs, decide and seal, add the entries, commit, answer. Reading comes after the lock as a statement of its own, so that
its snapshot is newer than the wait: one statement that does it all showed what had just been withdrawn.
Two round trips serve up to 256 lookups; batches form by themselves while the previous one commits, without a timer.
All of it is done as a database role of its own, which can read what decides a lookup and nothing else.
How many children somebody has looked up is counted in the same transaction (hub.access.pace).

A batch whose connection breaks before its commit was asked for is served once more on a new one: nothing of it can have
been kept. One that breaks after that is given up, since nobody knows what was kept; and an answer is given after a
confirmed commit only.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
import structlog
from psycopg.rows import namedtuple_row

from hub import faults
from hub.access import marked, pace
from hub.access.asked import Answer, Coordinator, Request, Source
from hub.access.askers import KeyCache, PersonKeyPair
from hub.access.deciding import DECOY, INPUTS, Decider
from hub.access.log import VERSION, Asker, Disclosure, SealedEntry
from hub.access.narrow import Narrow, look_of
from hub.context import Context
from hub.errors import TryAgain
from hub.store.database import LOOKUP_ROLE

__all__ = ["Answer", "Coordinator", "LogUnavailable", "LookupQueue", "Request", "Source", "TooBusy"]

log = structlog.get_logger()

BATCH = 256
WAITING_AT_MOST = 4096
PATIENCE = 5.0
"""How long a batch may take (seconds), most of it waiting for the head: after that it is given up and nobody is shown
anything."""
HEAD_HELD_AT_MOST = 10.0
"""So long a process may hold the head and do nothing (seconds). One that is stopped, or whose machine is gone, would
else keep all others from showing anything."""


class LogUnavailable(TryAgain):
    """The access log cannot be written, so nothing is shown; try again in a moment."""


class TooBusy(TryAgain):
    """Too many lookups wait already; try again in a moment."""


_HEAD = "UPDATE log_head SET size = size + %s WHERE id = 1 RETURNING size"
_SOURCES = """
SELECT source, bool_or(failure IS NOT NULL) AS failing,
       coalesce(min(answered_at) FILTER (WHERE failure IS NOT NULL), max(answered_at)) AS answered_at
FROM source_state WHERE purpose <> 'statuses' GROUP BY source ORDER BY 1
"""
_INSERT = """
INSERT INTO log_entry (seq, version, at, kind, id, child_id, asker_key, asker, subject_key, subject)
SELECT %(first)s::bigint + n - 1, %(version)s, %(at)s, 'lookup', id, child_id, asker_key, asker, subject_key, subject
FROM unnest(%(id)b::uuid[], %(child_id)b::uuid[], %(asker_key)b::uuid[], %(asker)b::bytea[], %(subject_key)b::uuid[],
            %(subject)b::bytea[])
     WITH ORDINALITY AS e (id, child_id, asker_key, asker, subject_key, subject, n)
"""
_PLANS = " ".join(
    f"-c {option}"
    for option in (
        "plan_cache_mode=force_generic_plan",
        "enable_seqscan=off",
        "enable_hashjoin=off",
        "enable_mergejoin=off",
    )
)
"""What is asked here is found by indexes, a few rows each, however large the tables are: so each statement is planned
once, and not for each batch, which took a quarter of its time."""
_DECOY_FOR = 60.0
"""How long the same child is read in the place of those that are not known (seconds)."""


@dataclass(slots=True)
class _Asked:
    """What one person asks at once: answered together, or not at all."""

    requests: Sequence[Request]
    asker_key: PersonKeyPair
    day_key: PersonKeyPair
    looks: pace.Looks
    future: asyncio.Future[list[Disclosure[Answer]]]
    narrowed: Sequence[tuple[str, ...]]
    """For each request, the plugins that say no."""


@dataclass(frozen=True, slots=True)
class _Served:
    """What became of it: durable by now."""

    disclosures: list[Disclosure[Answer]]
    verdict: pace.Verdict


class LookupQueue:
    """One queue and one writer per process. `run` is the writer; `ask` puts a question and waits for its answer."""

    def __init__(
        self,
        ctx: Context,
        cache: KeyCache,
        *,
        ensure: Callable[[], None] | None = None,
        patience: float = PATIENCE,
        head_held_at_most: float = HEAD_HELD_AT_MOST,
    ) -> None:
        """`ensure` brings the database back where that is this program's to do (Database.ensure); it may block."""
        held = f"-c idle_in_transaction_session_timeout={int(head_held_at_most * 1000)}"
        self._conninfo = ctx.database.conninfo_as(LOOKUP_ROLE, f"{_PLANS} {held}")
        self._keys, self._clock, self._cache = ctx.keys, ctx.clock, cache
        self._decider = Decider(ctx.keys, ctx.settings)
        self._narrow = Narrow(ctx.plugins.narrowers)
        self._pace = pace.Pace(ctx.database, ctx.keys, ctx.clock, ctx.settings.access.children_an_hour)
        self._ensure, self._patience = ensure, patience
        self._commit_asked = False
        self._stopped = False
        self._waiting: deque[_Asked] = deque()
        self._how_many = 0
        """Lookups that wait."""
        self._more = asyncio.Event()
        self._telling: set[asyncio.Task[None]] = set()
        self._decoy: tuple[float, UUID | None] = (-_DECOY_FOR, None)
        self._connection: psycopg.AsyncConnection[Any] | None = None

    async def ask(self, request: Request) -> Disclosure[Answer]:
        """The answer, released only after its entry is durable. Raises as `ask_all`."""
        [found] = await self.ask_all([request])
        return found

    async def ask_all(self, requests: Sequence[Request]) -> list[Disclosure[Answer]]:
        """One person's questions, all for one reason: the answers in the order asked, an entry each; all or none.

        Raises TooBusy or LogUnavailable, ReasonNeeded (more children in an hour than the setting, and no reason) or
        TooMany (more than twice as many): nothing is shown."""
        if not requests:
            return []
        self._check_open(len(requests))
        asker, reason = requests[0].asker, requests[0].reason
        looks = self._pace.looks(asker, (request.token for request in requests), reason)
        pair = self._cache.known(asker) or await self._fetched(asker)
        narrowed = await self._narrowed(requests)
        self._check_open(len(requests))
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(_Asked(requests, *pair, looks, future, narrowed))
        self._how_many += len(requests)
        self._more.set()
        found: list[Disclosure[Answer]] = await future
        return found

    async def _narrowed(self, requests: Sequence[Request]) -> list[tuple[str, ...]]:
        if not self._narrow:
            return [()] * len(requests)
        said = {look: await self._narrow.asked(look) for look in {look_of(request) for request in requests}}
        return [said[look_of(request)] for request in requests]

    async def _fetched(self, asker: Asker) -> tuple[PersonKeyPair, PersonKeyPair]:
        try:
            return await asyncio.to_thread(self._cache.fetch, asker)
        except Exception as error:
            raise LogUnavailable from error

    def _check_open(self, more: int) -> None:
        if self._stopped:
            raise LogUnavailable
        if self._how_many + more > WAITING_AT_MOST:
            raise TooBusy

    async def run(self) -> None:
        """Serve batches until cancelled."""
        self._stopped = False
        try:
            while True:
                await self._more.wait()
                await self._serve(self._next())
        finally:
            self._stopped = True
            self._fail(self._waiting, LogUnavailable())
            self._waiting.clear()
            self._how_many = 0
            await asyncio.gather(*self._telling, return_exceptions=True)
            await self._disconnect()

    def _next(self) -> list[_Asked]:
        """The next batch: what one person asks at once is in one."""
        batch: list[_Asked] = []
        size = 0
        while self._waiting and (not batch or size + len(self._waiting[0].requests) <= BATCH):
            asked = self._waiting.popleft()
            self._how_many -= len(asked.requests)
            if not asked.future.cancelled():
                batch.append(asked)
                size += len(asked.requests)
        if not self._waiting:
            self._more.clear()
        return batch

    async def _serve(self, batch: list[_Asked]) -> None:
        if not batch:
            return
        try:
            async with asyncio.timeout(self._patience):
                served = await self._write_or_once_more(batch)
        except BaseException as error:
            # Whatever happened, the commit was not confirmed: nobody gets an answer, and the next batch reconnects.
            failure = LogUnavailable()
            failure.__cause__ = error
            self._fail(batch, failure)
            await self._disconnect()
            if not isinstance(error, Exception):
                raise
            log.warning("lookup: a batch could not be written", error=type(error).__name__, waiting=len(batch))
            return
        for asked, one in zip(batch, served, strict=True):
            if one.verdict.alarm:
                telling = asyncio.create_task(self._tell(asked, one))
                self._telling.add(telling)
                telling.add_done_callback(self._telling.discard)
            else:
                self._answer(asked, one)

    async def _tell(self, asked: _Asked, served: _Served) -> None:
        """The auditor is told before the answer leaves; where that cannot be, none does."""
        try:
            await asyncio.to_thread(self._pace.tell, asked.requests[0].asker, asked.looks)
        except BaseException as error:
            failure = LogUnavailable()
            failure.__cause__ = error
            self._fail([asked], failure)
            if not isinstance(error, Exception):
                raise
            log.warning("the auditor could not be told of the pace", error=type(error).__name__)
        else:
            self._answer(asked, served)

    @staticmethod
    def _answer(asked: _Asked, served: _Served) -> None:
        if asked.future.done():
            return
        if served.verdict.refused is not None:
            asked.future.set_exception(served.verdict.refused)
        else:
            asked.future.set_result(served.disclosures)

    @staticmethod
    def _fail(batch: Iterable[_Asked], error: BaseException) -> None:
        for asked in batch:
            if not asked.future.done():
                asked.future.set_exception(error)

    async def _connect(self) -> psycopg.AsyncConnection[Any]:
        if self._connection is None or self._connection.closed:
            self._connection = await psycopg.AsyncConnection.connect(
                self._conninfo, autocommit=True, row_factory=namedtuple_row, prepare_threshold=0
            )
        return self._connection

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def _write_or_once_more(self, batch: list[_Asked]) -> list[_Served]:
        try:
            return await self._write(batch)
        except psycopg.OperationalError as error:
            if self._commit_asked:
                raise
            # The database was restarted, or this connection was cut; what was begun goes with it.
            log.warning("lookup: the connection broke, once more on another", error=type(error).__name__)
            await self._disconnect()
            if self._ensure is not None:
                await asyncio.to_thread(self._ensure)
            return await self._write(batch)

    async def _read_for_nobody(self, connection: psycopg.AsyncConnection[Any]) -> UUID | None:
        """The child that is read in the place of one that is not known (hub.access.deciding)."""
        since, decoy = self._decoy
        if time.monotonic() - since >= _DECOY_FOR:
            found = await (await connection.execute(DECOY)).fetchone()
            decoy = found[0] if found is not None else None
            self._decoy = (time.monotonic(), decoy)
        return decoy

    async def _write(self, batch: list[_Asked]) -> list[_Served]:
        self._commit_asked = False
        connection = await self._connect()
        decoy = await self._read_for_nobody(connection)
        looks = [asked.looks for asked in batch]
        requests = [request for asked in batch for request in asked.requests]
        tokens = list({request.token for request in requests})
        async with connection.pipeline():
            # Whatever the database's default is: a snapshot older than the wait for the head would show what is gone.
            await connection.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
            head = await connection.execute(_HEAD, [len(requests)])
            now = self._clock.now()
            inputs = await connection.execute(INPUTS, {"tokens": tokens, "now": now, "decoy": decoy})
            counted = await connection.execute(pace.COUNT, self._pace.asks(looks, now))
            freshness = await connection.execute(_SOURCES)
            first = (await head.fetchone()).size - len(requests)  # type: ignore[union-attr]  # RETURNING gives it
            children = {row.token: row for row in await inputs.fetchall() if row.id is not None}
            verdicts = self._pace.judge(looks, await counted.fetchall(), now)
            sources = tuple(_source(row) for row in await freshness.fetchall())
            now = self._clock.now()
            decided = [
                [
                    self._decider.decide(
                        request,
                        children.get(request.token),
                        now,
                        asked.asker_key,
                        asked.day_key,
                        narrowed,
                        too_many=verdict.refused is not None,
                    )
                    for request, narrowed in zip(asked.requests, asked.narrowed, strict=True)
                ]
                for asked, verdict in zip(batch, verdicts, strict=True)
            ]
            entries = [one.entry for each in decided for one in each]
            await connection.execute(_INSERT, _columns(first, entries))
            await connection.execute(pace.NOTE, self._pace.notes(looks, verdicts, now))
            to_review = [
                marked.row(self._keys, one.entry, asked.requests[0].asker)
                for asked, each in zip(batch, decided, strict=True)
                for one in each
                if one.review
            ]
            if to_review:
                await connection.execute(marked.INSERT, marked.columns(to_review))
            faults.point("lookup.entries")
            self._commit_asked = True
            await connection.execute("COMMIT")
        faults.point("lookup.committed")
        return [
            _Served([Disclosure(Answer(one.coordinator, sources), one.entry.id) for one in each], verdict)
            for each, verdict in zip(decided, verdicts, strict=True)
        ]


def _source(row: Any) -> Source:
    if row.answered_at is None:
        return Source(row.source, "never", None)
    return Source(row.source, "no answer" if row.failing else "ok", row.answered_at)


def _columns(first: int, entries: Sequence[SealedEntry]) -> dict[str, Any]:
    """The parameters of _INSERT: entries of one time, whose places in the sequence begin with `first`."""
    columns = ("id", "child_id", "asker_key", "asker", "subject_key", "subject")
    at: datetime = entries[0].at
    return {"first": first, "version": VERSION, "at": at} | {
        name: [getattr(entry, name) for entry in entries] for name in columns
    }
