"""Children with coordinators in a real database, and the lookup queue on it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.rows import namedtuple_row

from hub import StaffRecord, family
from hub.access.askers import KeyCache
from hub.access.log import Asker, Disclosure
from hub.access.lookup import Answer, LookupQueue, Request
from hub.context import Context
from hub.coordination.staff import add_coordinator
from hub.store import tables
from hub.store.people import make_key, open_key
from hub.vault import seal_json, unseal_json
from tests.access.lookups import SOF_STAFF


@dataclass(frozen=True)
class Child:
    id: UUID
    cpr: str
    guardian: UUID
    coordinator: UUID

    @property
    def answerer(self) -> family.Answerer:
        return family.Answerer(self.guardian, "page", "intro-1")


@dataclass
class Town:
    ctx: Context
    made: int = 0

    def child(self, *, accepted: bool = True, case_in: str | None = "SOF") -> Child:
        """A child that is offered a coordinator of its own, and says yes."""
        self.made += 1
        cpr = f"01011{5 + self.made % 5}4{self.made:03}"  # under 15: guardians consent
        now = self.ctx.clock.now()
        with self.ctx.database.begin() as session:
            record = StaffRecord(f"k-{self.made}", "Mette Holm Østergård", "mette@kommune.example", "12340001")
            coordinator = add_coordinator(self.ctx, session, record)
            child_key, key = make_key(session, self.ctx.keys)
            guardian_key, own_key = make_key(session, self.ctx.keys)
            session.flush()
            child_id, guardian_id = uuid4(), uuid4()
            token = self.ctx.keys.lookup_token
            sealed = seal_json(key, {"cpr": cpr}, f"child:{child_id}")
            session.add(tables.Child(id=child_id, token=token(cpr), key_id=child_key, sealed=sealed, eligible=True))
            sealed = seal_json(own_key, {"cpr": "x", "name": "x"}, f"guardian:{guardian_id}")
            session.add(tables.Guardian(id=guardian_id, token=token(cpr + "g"), key_id=guardian_key, sealed=sealed))
            session.flush()
            session.add(tables.Custody(child_id=child_id, guardian_id=guardian_id, seen_at=now))
            session.add(
                tables.Offer(
                    child_id=child_id, coordinator_id=coordinator, state="offered", found_at=now, offered_at=now
                )
            )
        child = Child(child_id, cpr, guardian_id, coordinator)
        if accepted:
            family.accept(self.ctx, child.id, child.answerer)
        if case_in:
            self.case(child, case_in)
        return child

    def case(self, child: Child, administration: str, *, is_open: bool = True) -> None:
        with self.ctx.database.begin() as session:
            session.add(
                tables.Case(
                    child_id=child.id,
                    source=administration.lower(),
                    reference=uuid4().bytes,
                    administration=administration,
                    is_open=is_open,
                    sealed=b"",
                    digest=b"",
                    seen_at=self.ctx.clock.now(),
                )
            )

    def request(self, child: Child | str, asker: Asker = SOF_STAFF, **more: Any) -> Request:
        """A question about a child, or about a number."""
        cpr = child if isinstance(child, str) else child.cpr
        return Request(asker, self.ctx.keys.lookup_token(cpr), **({"purpose": "case"} | more))

    @asynccontextmanager
    async def queue(self, **options: Any) -> AsyncIterator[LookupQueue]:
        queue = LookupQueue(
            self.ctx,
            KeyCache(self.ctx.database, self.ctx.keys, self.ctx.clock),
            **options,
        )
        writer = asyncio.create_task(queue.run())
        try:
            yield queue
        finally:
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)

    def ask(self, *requests: Request) -> list[Disclosure[Answer]]:
        """The answers to questions that come at once."""

        async def all_at_once() -> list[Disclosure[Answer]]:
            async with self.queue() as queue:
                return await asyncio.gather(*(queue.ask(request) for request in requests))

        return asyncio.run(all_at_once())

    def log(self) -> list[Any]:
        """The log's rows in order, read on a connection of its own."""
        with psycopg.connect(self.ctx.database.conninfo, row_factory=namedtuple_row) as connection:
            return connection.execute("SELECT * FROM log_entry ORDER BY seq").fetchall()

    def open(self, row: Any, part: str) -> dict[str, Any]:
        """The asker's or the subject's part of an entry."""
        with self.ctx.database.begin() as session:
            key = open_key(session, self.ctx.keys, getattr(row, f"{part}_key"))
        opened: dict[str, Any] = unseal_json(key, getattr(row, part), f"log-{part}:{row.id}")
        return opened

    @contextmanager
    def head_held(self) -> Iterator[None]:
        """Somebody else holds the log's head."""
        with psycopg.connect(self.ctx.database.conninfo) as connection:
            connection.execute("SELECT FROM log_head WHERE id = 1 FOR UPDATE")
            yield
            connection.rollback()

    def waiting_for_head(self, count: int = 1) -> list[int]:
        """The backends that wait for the head's lock, once there are so many."""
        with psycopg.connect(self.ctx.database.conninfo, autocommit=True) as connection:
            for _try in range(500):
                found = connection.execute(
                    "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
                    " AND query LIKE '%log_head%'"
                ).fetchall()
                if len(found) >= count:
                    return [row[0] for row in found]
                time.sleep(0.01)
        raise AssertionError(f"{len(found)} wait for the log's head, not {count}")

    def terminate(self, pid: int) -> None:
        with psycopg.connect(self.ctx.database.conninfo, autocommit=True) as connection:
            connection.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])


@pytest.fixture
def town(ctx: Context) -> Town:
    return Town(ctx)


@pytest.fixture
def as_owner(ctx: Context) -> Callable[[str], None]:
    """Runs a statement as the owner of the tables."""

    def execute(statement: str) -> None:
        with ctx.database.owner_engine() as engine, engine.begin() as connection:
            connection.exec_driver_sql(statement)

    return execute
