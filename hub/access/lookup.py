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
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
import structlog
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import namedtuple_row

from hub import faults
from hub.access.askers import KeyCache, PersonKeyPair
from hub.access.log import VERSION, Asker, Disclosure, SealedEntry, seal_entry
from hub.access.policy import Decision, Question, Relation, decide
from hub.clock import Clock
from hub.contract import StaffRecord
from hub.errors import TryAgain
from hub.vault import CannotOpen, Keys, unseal_json

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


@dataclass(frozen=True, slots=True)
class Request:
    """One question. `token` is the child's lookup token; the number itself has been left behind."""

    asker: Asker
    token: bytes
    purpose: str
    reason: str | None = None
    case: str | None = None


@dataclass(frozen=True, slots=True)
class Coordinator:
    name: str
    phone: str | None
    email: str | None
    since: datetime
    substitute: str | None


@dataclass(frozen=True, slots=True)
class Source:
    """How fresh a source is: the same for every child. `as_of` is when it last answered (UTC)."""

    name: str
    state: str
    as_of: datetime | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What may be shown. No coordinator, not allowed and not known look alike: `coordinator` is None."""

    coordinator: Coordinator | None
    sources: tuple[Source, ...]


_HEAD = "UPDATE log_head SET size = size + %s WHERE id = 1 RETURNING size"
_INPUTS = """
SELECT asked.token, c.id, c.key_id, k.version, k.wrapped, a.since,
       s.id AS staff_id, s.sealed AS staff_sealed, s.key_id AS staff_key, sk.version AS staff_version,
       sk.wrapped AS staff_wrapped,
       u.id AS sub_id, u.sealed AS sub_sealed, u.key_id AS sub_key, uk.version AS sub_version,
       uk.wrapped AS sub_wrapped,
       ARRAY(SELECT DISTINCT administration FROM case_index WHERE child_id = c.id AND is_open) AS administrations
FROM (SELECT token, id FROM child WHERE token = ANY(%(tokens)s)
      UNION ALL SELECT token, child_id FROM former_number WHERE token = ANY(%(tokens)s)) asked
JOIN child c ON c.id = asked.id
JOIN person_key k ON k.id = c.key_id AND k.wrapped IS NOT NULL
LEFT JOIN assignment a ON a.child_id = c.id AND a.until IS NULL
LEFT JOIN coordinator co ON co.staff_id = a.coordinator_id
LEFT JOIN staff s ON s.id = co.staff_id
LEFT JOIN person_key sk ON sk.id = s.key_id
LEFT JOIN staff u ON u.id = co.substitute_id AND co.away
LEFT JOIN person_key uk ON uk.id = u.key_id
"""
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


class LookupQueue:
    """One queue and one writer per process. `run` is the writer; `ask` puts a question and waits for its answer."""

    def __init__(
        self,
        conninfo: str,
        keys: Keys,
        clock: Clock,
        cache: KeyCache,
        *,
        ensure: Callable[[], None] | None = None,
        patience: float = PATIENCE,
        head_held_at_most: float = HEAD_HELD_AT_MOST,
    ) -> None:
        """`ensure` brings the database back where that is this program's to do (Database.ensure); it may block."""
        options = f"{conninfo_to_dict(conninfo).get('options') or ''} " + (
            f"-c idle_in_transaction_session_timeout={int(head_held_at_most * 1000)}"
        )
        self._conninfo = make_conninfo(conninfo, options=options)
        self._keys, self._clock, self._cache = keys, clock, cache
        self._ensure, self._patience = ensure, patience
        self._commit_asked = False
        self._stopped = False
        self._waiting: list[_Waiting] = []
        self._more = asyncio.Event()
        self._connection: psycopg.AsyncConnection[Any] | None = None

    async def ask(self, request: Request) -> Disclosure[Answer]:
        """The answer, released only after its entry is durable. Raises TooBusy or LogUnavailable: nothing is shown."""
        self._check_open()
        pair = self._cache.known(request.asker)
        if pair is None:
            try:
                pair = await asyncio.to_thread(self._cache.fetch, request.asker)
            except Exception as error:
                raise LogUnavailable from error
            self._check_open()
        future: asyncio.Future[Disclosure[Answer]] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(request, *pair, future))
        self._more.set()
        return await future

    def _check_open(self) -> None:
        if self._stopped:
            raise LogUnavailable
        if len(self._waiting) >= WAITING_AT_MOST:
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
            inputs = await connection.execute(_INPUTS, {"tokens": tokens})
            freshness = await connection.execute(_SOURCES)
            first = (await head.fetchone()).size - len(batch)  # type: ignore[union-attr]  # RETURNING gives it
            children = {row.token: row for row in await inputs.fetchall()}
            sources = tuple(_source(row) for row in await freshness.fetchall())
            now = self._clock.now()
            decided = [self._decide(waiting, children.get(waiting.request.token), now) for waiting in batch]
            entries = [entry for entry, _coordinator in decided]
            await connection.execute(_INSERT, _columns(first, entries))
            faults.point("lookup.entries")
            self._commit_asked = True
            await connection.execute("COMMIT")
        faults.point("lookup.committed")
        return [Disclosure(Answer(coordinator, sources), entry.id) for entry, coordinator in decided]

    def _decide(self, waiting: _Waiting, child: Any, now: datetime) -> tuple[SealedEntry, Coordinator | None]:
        request, asker = waiting.request, waiting.request.asker
        assigned = child is not None and child.staff_wrapped is not None
        relation: Relation = "case" if child is not None and asker.administration in child.administrations else "none"
        decision = decide(
            Question(
                role=asker.role,
                relation=relation,
                purpose=request.purpose,
                reason=request.reason,
                assigned=assigned,
            )
        )
        subject_key, coordinator = waiting.day_key, None
        try:
            if child is not None:
                subject_key = (child.key_id, self._keys.ring.unwrap(child.version, child.wrapped, str(child.key_id)))
            if decision.see:
                coordinator = self._coordinator(child)
        except CannotOpen:
            # One damaged record must not take the answers of a whole batch with it.
            log.warning("lookup: a sealed record does not open", child=str(child.id))
            decision = Decision(see=False, basis="unreadable")
        subject = {
            "purpose": request.purpose,
            "reason": request.reason,
            "case": request.case,
            "see": decision.see,
            "basis": decision.basis,
            "shown": ["coordinator"] if decision.see else [],
        }
        entry = seal_entry(
            at=now,
            kind="lookup",
            child_id=child.id if child is not None else None,
            asker=asker,
            asker_key=waiting.asker_key,
            subject=subject,
            subject_key=subject_key,
        )
        return entry, coordinator

    def _coordinator(self, child: Any) -> Coordinator:
        staff = self._staff(child.staff_key, child.staff_version, child.staff_wrapped, child.staff_sealed)
        substitute = None
        if child.sub_wrapped is not None:
            substitute = self._staff(child.sub_key, child.sub_version, child.sub_wrapped, child.sub_sealed).name
        return Coordinator(staff.name, staff.phone, staff.email, child.since, substitute)

    def _staff(self, key_id: UUID, version: int, wrapped: bytes, sealed: bytes) -> StaffRecord:
        key = self._keys.ring.unwrap(version, wrapped, str(key_id))
        fields = unseal_json(key, sealed, f"staff:{key_id}")
        return StaffRecord("", fields["name"], fields.get("email"), fields.get("phone"))


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
