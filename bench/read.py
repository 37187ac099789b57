"""The first read of the cases of a whole town's children, against reading them and putting rows into a table; and a
read of no news."""

from __future__ import annotations

import time
from collections.abc import Callable

import psycopg
from sqlalchemy import insert, select

from bench import town
from bench.ground import Ground
from bench.measure import Result, alternate
from hub import CaseRecord, StaffRecord
from hub.cases.match import match
from hub.cases.numbers import numbers_of
from hub.cases.sync import sync
from hub.clock import SetClock
from hub.context import Context
from hub.coordination.staff import add_coordinator
from hub.demo import people
from hub.settings import Settings
from hub.store import tables

_TABLE = """
CREATE TABLE bench_case (source TEXT, source_id TEXT, cpr TEXT, kind TEXT, state TEXT, adviser TEXT,
                         deadline DATE, changed TIMESTAMP WITH TIME ZONE);
GRANT INSERT ON bench_case TO tovholder_app;
"""


def run(runs: int, tell: Callable[[str], None], *, tiny: bool = False) -> Result:
    """`hub` reads, seals and indexes the cases of all children in the target group, as if all families had said yes in
    one day; `files and COPY` reads the same files with the same adapters, and copies what they give."""
    children = 60 if tiny else 4000
    tell("drawing the town")
    drawn = people.draw(1, children)
    result = Result("read", "Reading all cases of a town for the first time", "cases", {"children in SOF": children})
    clock = SetClock(drawn.start)
    again: list[float] = []
    with Ground() as ground:
        sections = town.export(drawn, drawn.start, ground.files / "town")

        def settings() -> Settings:
            return ground.settings(plugins=sections)

        def first() -> float:
            """The first read; the second is timed right after it, and kept for its own turn."""
            made = settings()
            with ground.context(made, clock) as ctx:
                _accept_all(ctx)
                cases, took = _timed(ctx)
                _nothing, without_news = _timed(ctx)
                again.append(cases / without_news)
            ground.drop(made)
            return cases / took

        def floor() -> float:
            made = settings()
            with ground.context(made, clock) as ctx:
                rate = _copy(ctx, frozenset(_accept_all(ctx)))
            ground.drop(made)
            return rate

        tell("warming up")
        first()
        again.clear()
        result.sides = alternate(runs, {"hub": first, "files and COPY": floor}, tell)
        result.sides["nothing changed"] = again
    result.compare("hub", "files and COPY", reach=0.3)
    result.compare("nothing changed", "hub", reach=5)
    return result


def _accept_all(ctx: Context) -> set[str]:
    """Everybody in the target group has a coordinator. Gives their numbers."""
    match(ctx)
    with ctx.database.begin() as session:
        coordinator = add_coordinator(ctx, session, StaffRecord("k", "Mette Holm", None, None))
        children = set(session.execute(select(tables.Child.id)).scalars())
        rows = [{"child_id": child, "coordinator_id": coordinator, "since": ctx.clock.now()} for child in children]
        session.execute(insert(tables.Assignment), rows)
        return set(numbers_of(ctx, session, children))


def _timed(ctx: Context) -> tuple[int, float]:
    """Cases read, changed or not, and how long it took (seconds)."""
    start = time.perf_counter()
    reads = sync(ctx)
    took = time.perf_counter() - start
    if failures := [read.failure for read in reads if read.failure]:
        raise RuntimeError(f"a source could not be read: {failures[0]}")
    return sum(read.read for read in reads), took


def _copy(ctx: Context, children: frozenset[str]) -> float:
    """All their cases, in one transaction, neither sealed nor compared; rows per second."""
    with ctx.database.owner_engine() as engine, engine.begin() as owner:
        owner.exec_driver_sql(_TABLE)
    rows = 0
    with psycopg.connect(ctx.database.conninfo) as connection:
        start = time.perf_counter()
        with connection.cursor().copy("COPY bench_case FROM STDIN") as copy:
            for adapter in ctx.plugins.adapters.values():
                for page in adapter.read(None, children):
                    for one in page.records:
                        if isinstance(one, CaseRecord):
                            adviser = one.adviser.name if one.adviser else None
                            copy.write_row(
                                (adapter.name, one.source_id, one.cpr, one.kind, one.state, adviser, one.deadline,
                                 one.changed)
                            )  # fmt: skip
                            rows += 1
        connection.commit()
        return rows / (time.perf_counter() - start)
