"""The first match of a town, against reading its files and putting the rows into a table; and a match of no news."""

from __future__ import annotations

import time
from collections.abc import Callable

import psycopg

from bench import town
from bench.ground import Ground
from bench.measure import Result, alternate
from hub import Presence
from hub.cases.match import Match, match
from hub.clock import SetClock
from hub.context import Context
from hub.demo import people
from hub.settings import Settings

_TABLE = """
CREATE TABLE bench_presence (source TEXT, source_id TEXT, cpr TEXT, state TEXT, changed TIMESTAMP WITH TIME ZONE);
GRANT INSERT ON bench_presence TO tovholder_app;
"""


def run(runs: int, tell: Callable[[str], None], *, tiny: bool = False) -> Result:
    """`hub` finds the target group in a fresh database; `files and COPY` only reads the same files with the same
    adapters and copies what they give; `nothing changed` is the hub's match right after its first."""
    children = 60 if tiny else 2000
    tell("drawing the town")
    drawn = people.draw(1, children)
    expected = people.expected(children)["eligible"]
    result = Result("match", "Reading a whole town for the first time", "presences", {"children in SOF": children})
    clock = SetClock(drawn.start)
    again: list[float] = []
    with Ground() as ground:
        sections = town.export(drawn, drawn.start, ground.files / "town")

        def settings() -> Settings:
            return ground.settings(plugins=sections, access={"health_presence": "the bench's own"})

        def first() -> float:
            """The first match; the second is timed right after it, and kept for its own turn."""
            made = settings()
            with ground.context(made, clock) as ctx:
                read, took = _timed(ctx)
                if read.found != expected:
                    raise RuntimeError(f"the match finds {read.found} children, the town has {expected}")
                _nothing, without_news = _timed(ctx)
                again.append(_presences(read) / without_news)
            ground.drop(made)
            return _presences(read) / took

        def floor() -> float:
            made = settings()
            with ground.context(made, clock) as ctx:
                rate = _copy(ctx)
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


def _timed(ctx: Context) -> tuple[Match, float]:
    start = time.perf_counter()
    found = match(ctx)
    took = time.perf_counter() - start
    failures = [read.failure for read in found.reads if read.failure]
    if failures:
        raise RuntimeError(f"a source could not be read: {failures[0]}")
    return found, took


def _presences(found: Match) -> int:
    return sum(read.read for read in found.reads)


def _copy(ctx: Context) -> float:
    """All presences the adapters give, in one transaction, without token, index or any thought; rows per second."""
    with ctx.database.owner_engine() as engine, engine.begin() as owner:
        owner.exec_driver_sql(_TABLE)
    rows = 0
    with psycopg.connect(ctx.database.conninfo) as connection:
        start = time.perf_counter()
        with connection.cursor().copy("COPY bench_presence FROM STDIN") as copy:
            for adapter in ctx.plugins.adapters.values():
                for page in adapter.presence(None):
                    for record in page.records:
                        if isinstance(record, Presence):
                            copy.write_row((adapter.name, record.source_id, record.cpr, record.state, record.changed))
                            rows += 1
        connection.commit()
        return rows / (time.perf_counter() - start)
