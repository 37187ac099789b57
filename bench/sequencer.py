"""The lookup queue without HTTP, and its sequencer alone: durable entries a second while 256 wait, against one row per
transaction."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import cycle
from typing import Any
from uuid import uuid4

import psycopg
from sqlalchemy import create_engine
from sqlalchemy.orm import sessionmaker

from bench import children, one_by_one
from bench.ground import Ground
from bench.measure import Result, Side, alternate
from hub.access.askers import KeyCache
from hub.access.deciding import Decider
from hub.access.log import VERSION, SealedEntry
from hub.access.lookup import _INSERT, LookupQueue, Request
from hub.access.lookup import _columns as columns
from hub.clock import SystemClock
from hub.context import Context

_TABLES = """
CREATE TABLE bench_entry (LIKE log_entry INCLUDING ALL);
CREATE TABLE bench_head (id INT PRIMARY KEY, size BIGINT NOT NULL);
INSERT INTO bench_head VALUES (1, 0);
GRANT SELECT, INSERT ON bench_entry TO tovholder_app;
GRANT SELECT, UPDATE ON bench_head TO tovholder_app;
"""
_ROW = """
INSERT INTO bench_entry (seq, id, version, at, kind, child_id, asker_key, asker, subject_key, subject)
VALUES (%(seq)s, %(id)s, %(version)s, %(at)s, %(kind)s, %(child_id)s, %(asker_key)s, %(asker)s, %(subject_key)s,
        %(subject)s)
"""
_ROWS = _INSERT.replace("log_entry", "bench_entry")
_HEAD = "UPDATE bench_head SET size = size + 1 WHERE id = 1 RETURNING size - 1"
_HEADS = "UPDATE bench_head SET size = size + %s WHERE id = 1 RETURNING size"


def run(runs: int, tell: Callable[[str], None], *, tiny: bool = False) -> Result:
    """Two ways of the hub's, each beside the same work with one row per transaction in 32 threads. `queue` reads the
    policy's inputs, decides, seals and writes. `sequencer alone` gives rows that are sealed already their places and
    writes them, by the queue's own statements; beside it, rows a transaction each in the log's one order or in none."""
    sizes = (
        {"waiting": 32, "entries in a run": 128, "threads": 8, "rows in a run": 48}
        if tiny
        else {"waiting": 256, "entries in a run": 8192, "threads": 32, "rows in a run": 2000}
    )
    result = Result("sequencer", "The lookup queue and its sequencer: durable entries", "entries", sizes)
    tell("children and coordinators")
    with Ground() as ground:
        settings = ground.settings(access={"children_an_hour": 1000})
        with ground.context(settings, SystemClock()) as ctx, ExitStack() as stack:
            numbers = children.settle(ctx, 200 if tiny else 2000)
            with ctx.database.owner_engine() as engine, engine.begin() as connection:
                connection.exec_driver_sql(_TABLES)
            queue = stack.enter_context(_Loop(ctx).running())
            each = stack.enter_context(_lookups(ctx, sizes["threads"]))
            rows = stack.enter_context(_rows(ctx, sizes["threads"]))
            batches = stack.enter_context(_batches(ctx, sizes["waiting"]))
            sides: dict[str, Side] = {
                "queue": lambda: queue(numbers, sizes["waiting"], sizes["entries in a run"]),
                "one lookup per transaction": lambda: each(numbers, sizes["rows in a run"]),
                "sequencer alone": lambda: batches(sizes["entries in a run"]),
                "a row each, in order": lambda: rows(sizes["rows in a run"], True),
                "a row each, in no order": lambda: rows(sizes["rows in a run"], False),
            }
            for side in sides.values():
                side()
            result.sides = alternate(runs, sides, tell)
    result.compare("queue", "one lookup per transaction", reach=5)
    result.compare("sequencer alone", "a row each, in order", reach=5)
    result.compare("sequencer alone", "a row each, in no order", reach=5)
    result.compare("queue", "a row each, in order")
    result.compare("queue", "a row each, in no order", reach=5)
    result.compare("queue", "sequencer alone")
    return result


class _Loop:
    """The queue in an event loop of its own, as in a serving process."""

    def __init__(self, ctx: Context) -> None:
        cache = KeyCache(ctx.database, ctx.keys, ctx.clock)
        self._queue = LookupQueue(ctx, cache)
        # Many, each with a few children in the hour, as it is in a municipality.
        self._askers = children.askers(512)
        self._token = ctx.keys.lookup_token

    @contextmanager
    def running(self) -> Iterator[Callable[[list[str], int, int], float]]:
        with asyncio.Runner() as runner:
            writer = runner.get_loop().create_task(self._queue.run())
            try:
                yield lambda numbers, waiting, count: runner.run(self._ask(numbers, waiting, count))
            finally:
                writer.cancel()
                runner.run(_end(writer))

    async def _ask(self, numbers: list[str], waiting: int, count: int) -> float:
        """Ask `count` times, so that `waiting` lookups wait all the time; answers per second."""
        askers, tokens = cycle(self._askers), [self._token(number) for number in numbers]
        requests = iter([Request(next(askers), tokens[n % len(tokens)], "case") for n in range(count)])

        async def one_after_another() -> None:
            for request in requests:
                shown = await self._queue.ask(request)
                if shown.value.coordinator is None:
                    raise RuntimeError(
                        "a lookup showed nothing: the policy was not met, so this measures another thing"
                    )

        start = time.perf_counter()
        await asyncio.gather(*(one_after_another() for _ in range(waiting)))
        return count / (time.perf_counter() - start)


async def _end(task: asyncio.Task[None]) -> None:
    await asyncio.gather(task, return_exceptions=True)


@contextmanager
def _lookups(ctx: Context, threads: int) -> Iterator[Callable[[list[str], int], float]]:
    """Does what the queue does, one lookup per transaction, from so many threads."""
    cache, decider = KeyCache(ctx.database, ctx.keys, ctx.clock), Decider(ctx.keys, ctx.settings)
    askers = children.askers(512)
    for asker in askers:
        cache.fetch(asker)

    def look_up(number: int, token: bytes) -> bool:
        question = Request(askers[number % len(askers)], token, "case")
        with sessions.begin() as session:
            shown = one_by_one.look_up(session, decider, cache, question, ctx.clock.now())
        return shown.value.coordinator is not None

    def all_of(numbers: list[str], count: int) -> float:
        tokens = [ctx.keys.lookup_token(number) for number in numbers]
        start = time.perf_counter()
        if not all(pool.map(lambda n: look_up(n, tokens[n % len(tokens)]), range(count))):
            raise RuntimeError("a lookup showed nothing: the policy was not met, so this measures another thing")
        return count / (time.perf_counter() - start)

    engine = create_engine(ctx.database.app_url, pool_size=threads)
    sessions = sessionmaker(engine)
    try:
        with ThreadPoolExecutor(threads) as pool:
            yield all_of
    finally:
        engine.dispose()


@contextmanager
def _rows(ctx: Context, threads: int) -> Iterator[Callable[[int, bool], float]]:
    """Writes rows, each in a transaction of its own, from so many threads with a connection each."""
    connections = [psycopg.connect(ctx.database.conninfo, autocommit=True) for _ in range(threads)]
    pool = ThreadPoolExecutor(threads)
    places = iter(range(1_000_000_000, 2_000_000_000))

    def ordered(connection: psycopg.Connection[Any]) -> None:
        with connection.transaction():
            found = connection.execute(_HEAD).fetchone()
            connection.execute(_ROW, _row(found[0] if found else 0))

    def unordered(connection: psycopg.Connection[Any]) -> None:
        connection.execute(_ROW, _row(next(places)))

    def write(count: int, in_order: bool) -> float:
        one = ordered if in_order else unordered
        todo = iter(range(count))

        def work(connection: psycopg.Connection[Any]) -> int:
            return sum(1 for _ in todo if one(connection) is None)

        start = time.perf_counter()
        if sum(pool.map(work, connections)) != count:
            raise RuntimeError("not all rows were written")
        return count / (time.perf_counter() - start)

    try:
        yield write
    finally:
        pool.shutdown()
        for connection in connections:
            connection.close()


@contextmanager
def _batches(ctx: Context, size: int) -> Iterator[Callable[[int], float]]:
    """Writes rows `size` to a transaction, in order, on one connection: the queue without what it decides."""

    def write(count: int) -> float:
        start = time.perf_counter()
        for _ in range(count // size):
            with connection.pipeline(), connection.transaction():
                found = connection.execute(_HEADS, [size]).fetchone()
                first = found[0] - size if found else 0
                entries = [_entry() for _ in range(size)]
                connection.execute(_ROWS, columns(first, entries))
        return count // size * size / (time.perf_counter() - start)

    with psycopg.connect(ctx.database.conninfo, autocommit=True) as connection:
        yield write


_SEALED = b"\0" * 180
"""About as long as either part of an entry is."""


def _entry() -> SealedEntry:
    return SealedEntry(uuid4(), datetime.now(UTC), "lookup", uuid4(), uuid4(), _SEALED, uuid4(), _SEALED)


def _row(place: int) -> dict[str, Any]:
    return {"seq": place, "version": VERSION, "kind": "lookup"} | asdict(_entry())
