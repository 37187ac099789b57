"""Who is this child's coordinator: the one question staff of every administration may ask.

Requests that come at the same time wait in one queue and share a batch: lock the log's head, read what the policy
needs, decide and seal, add the entries, commit, answer. Reading comes after the lock as a statement of its own, so that
its snapshot is newer than the wait: one statement that does it all showed what had just been withdrawn.
Two round trips serve up to 256 lookups; batches form by themselves while the previous one commits, without a timer.

A batch whose connection breaks before its commit was asked for is served once more on a new one: nothing of it can have
been kept. One that breaks after that is given up, since nobody knows what was kept; and an answer is given after a
confirmed commit only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
import structlog
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import namedtuple_row

from hub import faults
from hub.access import marked
from hub.access.asked import Answer, Coordinator, Request, Source
from hub.access.askers import KeyCache, PersonKeyPair
from hub.access.deciding import INPUTS, Decider
from hub.access.log import VERSION, Asker, Disclosure, SealedEntry
from hub.access.narrow import Narrow, look_of
from hub.context import Context
from hub.errors import TryAgain

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
INSERT INTO log_entry (seq, id, version, at, kind, child_id, asker_key, asker, subject_key, subject)
SELECT * FROM unnest(%s::bigint[], %s::uuid[], %s::int[], %s::timestamptz[], %s::text[], %s::uuid[], %s::uuid[],
                     %s::bytea[], %s::uuid[], %s::bytea[])
"""


@dataclass(slots=True)
class _Waiting:
    request: Request
    asker_key: PersonKeyPair
    day_key: PersonKeyPair
    future: asyncio.Future[Disclosure[Answer]]
    narrowed: tuple[str, ...] = ()
    """The plugins that say no."""


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
        conninfo = ctx.database.conninfo
        options = f"{conninfo_to_dict(conninfo).get('options') or ''} " + (
            f"-c idle_in_transaction_session_timeout={int(head_held_at_most * 1000)}"
        )
        self._conninfo = make_conninfo(conninfo, options=options)
        self._keys, self._clock, self._cache = ctx.keys, ctx.clock, cache
        self._decider = Decider(ctx.keys, ctx.settings)
        self._narrow = Narrow(ctx.plugins.narrowers)
        self._ensure, self._patience = ensure, patience
        self._commit_asked = False
        self._stopped = False
        self._waiting: list[_Waiting] = []
        self._more = asyncio.Event()
        self._connection: psycopg.AsyncConnection[Any] | None = None

    async def ask(self, request: Request) -> Disclosure[Answer]:
        """The answer, released only after its entry is durable. Raises TooBusy or LogUnavailable: nothing is shown."""
        [found] = await self.ask_all([request])
        return found

    async def ask_all(self, requests: Sequence[Request]) -> list[Disclosure[Answer]]:
        """The answers in the order asked, an entry each; all of them or none. Raises TooBusy or LogUnavailable."""
        self._check_open(len(requests))
        looks = [look_of(request) for request in requests]
        pairs = {asker: await self._pair(asker) for asker in {request.asker for request in requests}}
        narrowed = {look: await self._narrow.asked(look) for look in set(looks)}
        self._check_open(len(requests))
        loop = asyncio.get_running_loop()
        waiting = [
            _Waiting(request, *pairs[request.asker], loop.create_future(), narrowed[look])
            for request, look in zip(requests, looks, strict=True)
        ]
        self._waiting += waiting
        self._more.set()
        return await asyncio.gather(*(each.future for each in waiting))

    async def _pair(self, asker: Asker) -> tuple[PersonKeyPair, PersonKeyPair]:
        known = self._cache.known(asker)
        if known is not None:
            return known
        try:
            return await asyncio.to_thread(self._cache.fetch, asker)
        except Exception as error:
            raise LogUnavailable from error

    def _check_open(self, more: int) -> None:
        if self._stopped:
            raise LogUnavailable
        if len(self._waiting) + more > WAITING_AT_MOST:
            raise TooBusy

    async def run(self) -> None:
        """Serve batches until cancelled."""
        self._stopped = False
        try:
            while True:
                await self._more.wait()
                batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
                if not self._waiting:
                    self._more.clear()
                await self._serve([waiting for waiting in batch if not waiting.future.cancelled()])
        finally:
            self._stopped = True
            self._fail(self._waiting, LogUnavailable())
            self._waiting = []
            await self._disconnect()

    async def _serve(self, batch: list[_Waiting]) -> None:
        if not batch:
            return
        try:
            async with asyncio.timeout(self._patience):
                disclosures = await self._write_or_once_more(batch)
        except BaseException as error:
            # Whatever happened, the commit was not confirmed: nobody gets an answer, and the next batch reconnects.
            failure = LogUnavailable()
            failure.__cause__ = error
            self._fail(batch, failure)
            await self._disconnect()
            if not isinstance(error, Exception):
                raise
            log.warning("lookup: a batch could not be written", error=type(error).__name__, waiting=len(batch))
        else:
            for waiting, disclosure in zip(batch, disclosures, strict=True):
                if not waiting.future.done():
                    waiting.future.set_result(disclosure)

    @staticmethod
    def _fail(batch: Sequence[_Waiting], error: BaseException) -> None:
        for waiting in batch:
            if not waiting.future.done():
                waiting.future.set_exception(error)

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

    async def _write_or_once_more(self, batch: list[_Waiting]) -> list[Disclosure[Answer]]:
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

    async def _write(self, batch: list[_Waiting]) -> list[Disclosure[Answer]]:
        self._commit_asked = False
        connection = await self._connect()
        tokens = list({waiting.request.token for waiting in batch})
        async with connection.pipeline():
            # Whatever the database's default is: a snapshot older than the wait for the head would show what is gone.
            await connection.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
            head = await connection.execute(_HEAD, [len(batch)])
            inputs = await connection.execute(INPUTS, {"tokens": tokens, "now": self._clock.now()})
            freshness = await connection.execute(_SOURCES)
            first = (await head.fetchone()).size - len(batch)  # type: ignore[union-attr]  # RETURNING gives it
            children = {row.token: row for row in await inputs.fetchall()}
            sources = tuple(_source(row) for row in await freshness.fetchall())
            now = self._clock.now()
            decided = [
                self._decider.decide(
                    each.request,
                    children.get(each.request.token),
                    now,
                    each.asker_key,
                    each.day_key,
                    each.narrowed,
                )
                for each in batch
            ]
            await connection.execute(_INSERT, _columns(first, [each.entry for each in decided]))
            to_review = [
                marked.row(self._keys, one.entry, waiting.request.asker)
                for waiting, one in zip(batch, decided, strict=True)
                if one.review
            ]
            if to_review:
                await connection.execute(marked.INSERT, marked.columns(to_review))
            faults.point("lookup.entries")
            self._commit_asked = True
            await connection.execute("COMMIT")
        faults.point("lookup.committed")
        return [Disclosure(Answer(each.coordinator, sources), each.entry.id) for each in decided]


def _source(row: Any) -> Source:
    if row.answered_at is None:
        return Source(row.source, "never", None)
    return Source(row.source, "no answer" if row.failing else "ok", row.answered_at)


def _columns(first: int, entries: list[SealedEntry]) -> list[list[Any]]:
    return [
        [first + i for i in range(len(entries))],
        [entry.id for entry in entries],
        [VERSION] * len(entries),
        [entry.at for entry in entries],
        [entry.kind for entry in entries],
        [entry.child_id for entry in entries],
        [entry.asker_key for entry in entries],
        [entry.asker for entry in entries],
        [entry.subject_key for entry in entries],
        [entry.subject for entry in entries],
    ]
