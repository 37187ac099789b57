"""What growth costs: the same work on a town's rows and on a country's, in turn."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from statistics import median
from typing import ClassVar
from uuid import uuid4

from bench import country, lookup
from bench.children import askers, number
from bench.ground import Ground
from bench.measure import Result, alternate
from hub import Gone, Health, Page, Presence, State
from hub.access import log
from hub.access.askers import asker_key
from hub.cases.match import match
from hub.clock import SystemClock
from hub.context import Context
from hub.plugins import Plugins
from hub.store import tables

TOWN, COUNTRY = 6_075, 1_200_000
ENTRIES = 50_000_000
CHANGED = 2_000
"""Presences that change in a day, in each of two administrations."""
SHARE = 0.6
"""Of the free disk, so much may be filled."""


def run(runs: int, tell: Callable[[str], None], *, tiny: bool = False) -> Result:
    """Lookups over HTTP, a match of a day's changes and single entries in the log: a country's against a town's."""
    town, whole = (60, 300) if tiny else (TOWN, COUNTRY)
    wanted = 2_000 if tiny else ENTRIES
    entries = min(wanted, int(shutil.disk_usage(tempfile.gettempdir()).free * SHARE / country.BYTES_EACH))
    sizes = {
        "children in the country": whole,
        "log entries": entries,
        "children in the town": town,
        "log entries of the town": entries * town // whole,
        "lookups in a run": 100 if tiny else 4_000,
        "changes in a day": 40 if tiny else 2 * CHANGED,
        "entries in a run": 50 if tiny else 500,
    }
    result = Result("growth", "The same work with a country's rows and with a town's", "things", sizes)
    if entries < wanted:
        result.notes["disk"] = f"{entries:,} entries instead of {wanted:,}: the disk has no room for more"
    with Ground() as ground, ExitStack() as stack:
        places = {
            "town": _Place(ground, stack, town, sizes["log entries of the town"], sizes, _told(tell, "town")),
            "country": _Place(ground, stack, whole, entries, sizes, _told(tell, "country")),
        }
        for place in places.values():
            place.warm_up()
        sides = {}
        for what in _Place.WORK:
            for name, place in places.items():
                sides[f"{what}, {name}"] = getattr(place, _Place.WORK[what])
        result.sides = alternate(runs, sides, tell)
        for place in places.values():
            place.check_log()
        for what in _Place.WORK:
            result.compare(f"{what}, country", f"{what}, town")
        for what in ("lookup", "log append"):
            _waits(result, what, places)
        result.notes["on disk"] = (
            f"{places['country'].bytes() / 1e9:.1f} GB, the log {places['country'].log_bytes() / 1e9:.1f} GB"
        )
    return result


def _told(tell: Callable[[str], None], name: str) -> Callable[[str], None]:
    return lambda what: tell(f"{name}: {what}")


def _waits(result: Result, what: str, places: dict[str, _Place]) -> None:
    """How long one waits, in the middle and at the worst of a hundred, as a share of the town's in the same turn."""
    town, whole = (places[name].spent[what] for name in ("town", "country"))
    for which in ("p50", "p99"):
        each = sorted(big[which] / small[which] for small, big in zip(town, whole, strict=True))
        said = [median(one[which] for one in side) * 1000 for side in (town, whole)]
        result.notes[f"{what}: {which}"] = (
            f"{said[0]:.1f} ms in the town, {said[1]:.1f} ms in the country: "
            f"{median(each):.2f} × ({each[0]:.2f} to {each[-1]:.2f})"
        )


class _Place:
    """A municipality, or a country, with its own database and its own serving process."""

    WORK: ClassVar[dict[str, str]] = {"lookup": "look_up", "log append": "append", "match of a day": "a_day"}

    def __init__(
        self,
        ground: Ground,
        stack: ExitStack,
        children: int,
        entries: int,
        sizes: dict[str, int],
        tell: Callable[[str], None],
    ) -> None:
        key, jwks = ground.signing_key()
        settings = ground.settings(api={"jwks": jwks}, access={"children_an_hour": 100_000})
        self._ctx = stack.enter_context(ground.context(settings, SystemClock()))
        self._children, self._sizes = children, sizes
        country.load(self._ctx, children, entries, tell)
        port = stack.enter_context(lookup.server(ground, settings))
        # Every child of the town; of a country as many as are asked for, from all over it.
        step = max(children // 50_000, 1)
        self._asked = lookup.Asked(self._ctx, port, 32, 512, [number(n) for n in range(0, children, step)], key)
        self._sources = {name: _Source(name, administration) for name, administration in country.SOURCES.items()}
        self._day = Context(
            settings, self._ctx.clock, self._ctx.database, self._ctx.keys, Plugins((), dict(self._sources), {}, {})
        )
        self._changed = 0
        self.spent: dict[str, list[dict[str, float]]] = {"lookup": [], "log append": []}

    def warm_up(self) -> None:
        for _ in range(3):
            self.look_up()
        self.append()
        self.a_day()
        for spent in self.spent.values():
            spent.clear()

    def look_up(self) -> float:
        rate = self._asked.ask(lookup.HUB, self._sizes["lookups in a run"])
        self.spent["lookup"].append(self._asked.spent[lookup.HUB][-1])
        return rate

    def append(self) -> float:
        """Entries one after another, each in a transaction of its own, as an act writes one."""
        ctx, count, waits = self._ctx, self._sizes["entries in a run"], []
        asker = askers(1)[0]
        with ctx.database.begin() as session:
            pair = asker_key(session, ctx.keys, asker)
        with ctx.database.session() as session:
            child = session.query(tables.Child.id).first()
            assert child is not None
        for _ in range(count):
            entry = log.seal_entry(
                at=ctx.clock.now(), kind="acceptance", child_id=child[0], asker=asker, asker_key=pair,
                subject={"answer": "yes", "how": "page"}, subject_key=pair,
            )  # fmt: skip
            start = time.perf_counter()
            with ctx.database.begin() as session:
                log.append(session, [entry])
            waits.append(time.perf_counter() - start)
        self._asked.entries += count
        waits.sort()
        self.spent["log append"].append({"p50": waits[len(waits) // 2], "p99": waits[len(waits) * 99 // 100]})
        return count / sum(waits)

    def a_day(self) -> float:
        """A night's match: each source tells what has changed, half of it new, half of it over."""
        count = self._sizes["changes in a day"] // len(self._sources)
        for source in self._sources.values():
            source.change(count, self._changed, self._children)
        self._changed += count
        start = time.perf_counter()
        found = match(self._day)
        took = time.perf_counter() - start
        if any(read.failure or read.read + read.gone != count for read in found.reads):
            raise RuntimeError(f"the day's changes were not all read: {found.reads}")
        return count * len(self._sources) / took

    def check_log(self) -> None:
        self._asked.check_log()

    def bytes(self) -> int:
        return self._size("pg_database_size(current_database())")

    def log_bytes(self) -> int:
        return self._size("pg_total_relation_size('log_entry')")

    def _size(self, what: str) -> int:
        with self._ctx.database.engine.connect() as connection:
            return int(connection.exec_driver_sql(f"SELECT {what}").scalar_one())


class _Source:
    """A source that says what has changed since it was last read."""

    def __init__(self, name: str, administration: str) -> None:
        self.name, self.administration = name, administration
        self.reads = frozenset[tuple[str, str]]()
        self._records: list[Presence | Gone] = []
        self._told = 0

    def change(self, count: int, first: int, children: int) -> None:
        """New cases of children all over, and as many that are over."""
        opened = [f"{self.name}/{uuid4()}" for _ in range(count // 2)]
        numbers = [number((first + n) * 7919 % children) for n in range(len(opened))]
        before = [record for record in self._records if isinstance(record, Presence)]
        over = [Gone(record.source_id) for record in before[: count - len(opened)]]
        more = [Presence(f"{self.name}/{uuid4()}", number(n % children), State.OPEN) for n in range(count)]
        self._records = [
            *(Presence(name, digits, State.OPEN) for name, digits in zip(opened, numbers, strict=True)),
            *(over or more[: count - len(opened)]),
        ]

    def presence(self, since: str | None) -> Iterator[Page]:
        assert since is not None
        self._told += 1
        for first in range(0, len(self._records), 500):
            yield Page(tuple(self._records[first : first + 500]), f"{self._told}/{first}")

    def read(self, since: str | None, children: object) -> Iterator[Page]:
        return iter(())

    def health(self) -> Health:
        return Health(ok=True)
