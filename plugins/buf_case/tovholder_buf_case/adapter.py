"""The adapter: from exports and case lists to pages, and how a read goes on where it was cut off.

Both say how things are, not what has changed, and the adapter keeps nothing. So an incremental read looks at all
units: nothing changed since the cursor → one empty page; anything changed → a full read, whose last page says
`complete`, so that the hub sees who has left. The cursor of a finished read is one digest over all units (without time,
parents and addresses). The cursor of a page on the way names the unit, how many of its records have been given and its
digest; a unit that has changed meanwhile is given again from its first record, and the digest over all then fits
nothing, so that the next read is full again.

One unit that cannot be read, or is not there, stops no other. What is wrong is told, the last page is then not
`complete`, so that nothing which is missing counts as gone, and its cursor reads all the next time.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Set
from dataclasses import astuple, dataclass

import hub
from tovholder_buf_case import units, wire
from tovholder_buf_case.settings import BufSettings
from tovholder_buf_case.unit import Found, Unit


@dataclass(frozen=True, slots=True)
class _Cursor:
    """`chain` covers the units before `unit`; without a unit the read is finished and it covers all. `whole`: no unit
    has been missed so far."""

    chain: str = ""
    unit: str = ""
    digest: str = ""
    given: int = 0
    whole: bool = True

    def __str__(self) -> str:
        return json.dumps(astuple(self), separators=(",", ":"))


_READ_ALL = _Cursor(whole=False)
"""The cursor of a read that has missed something: it fits nothing."""


def _parse(since: str | None) -> _Cursor | None:
    """A cursor, or None to read all: also for one that this version did not write, since a full read is never wrong."""
    try:
        chain, unit, digest, given, whole = json.loads(since or "null")
        return _Cursor(str(chain), str(unit), str(digest), int(given), bool(whole))
    except (TypeError, ValueError, RecursionError, OverflowError):
        return None


def _chain(before: str, digest: str) -> str:
    return hashlib.sha256(f"{before}{digest}".encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class _Missed:
    """A unit that could not be read: `told` is the record that says so, or `error` what to raise when all is read."""

    told: hub.Unreadable | None = None
    error: hub.TryAgain | None = None


class BufAdapter:
    """Reads enrolments in special schools and special classes, and special education's list of cases. See BufSettings
    for what passes."""

    name = "buf_case"

    def __init__(self, settings: BufSettings) -> None:
        self.settings = settings
        self.administration = settings.administration
        self._client = wire.client_for(settings)
        self.reads: Set[tuple[str, str]] = wire.READS if self._client else frozenset()

    def presence(self, since: str | None) -> Iterator[hub.Page]:
        return self._pages(since, None, lambda unit: unit.presences())

    def read(self, since: str | None, children: Set[str]) -> Iterator[hub.Page]:
        return self._pages(since, children, lambda unit: unit.cases())

    def health(self) -> hub.Health:
        """Not well also when the source answers and something on the list of kinds is missing or cannot be read."""
        try:
            found = units.find(self.settings, self._client)
        except hub.TovholderError as error:
            return hub.Health(False, str(error))
        if found.problems:
            first = found.problems[0]
            more = f" (and {len(found.problems) - 1} more)" if len(found.problems) > 1 else ""
            return hub.Health(False, f"{first.position}: {first.reason}{more}")
        institutions = len(found.units.keys() - {units.CASE_LIST})
        lists = ", case list" if units.CASE_LIST in found.units else ""
        return hub.Health(True, f"{institutions} institutions{lists}")

    def close(self) -> None:
        if self._client is not None:
            self._client.close()

    def _pages(
        self, since: str | None, children: Set[str] | None, records: Callable[[Unit], list[hub.Record]]
    ) -> Iterator[hub.Page]:
        start = _parse(since)
        found = units.find(self.settings, self._client)
        if start is None or start.unit:
            yield from self._full(found, self._units(found, start, children), start or _Cursor(), records)
            return
        # Held in memory: the listed children only, some thousand in the largest municipality.
        read = list(self._units(found, None, children))
        now = ""
        for _name, unit in read:
            now = _chain(now, "missed" if isinstance(unit, _Missed) else unit.digest)
        as_before = not found.problems and not any(isinstance(unit, _Missed) for _name, unit in read)
        if as_before and start.whole and now == start.chain:
            yield hub.Page((), since)
        else:
            # After a read that missed something, perhaps in the same run of the hub, to which what it saw then has been
            # seen: a chain that is spoiled from the start makes the next read, in a run of its own, full again.
            yield from self._full(found, iter(read), _Cursor("" if start.whole else "missed"), records)

    def _full(
        self,
        found: Found,
        read: Iterator[tuple[str, Unit | _Missed]],
        start: _Cursor,
        records: Callable[[Unit], list[hub.Record]],
    ) -> Iterator[hub.Page]:
        chain, whole, batch, ignored = start.chain, start.whole and not found.problems, list[hub.Record](), 0
        failed: hub.TryAgain | None = None
        # Where the last read was cut off, until that place is found again. If it is not, or has changed, what was given
        # of the old state must not count as seen for ever: one more link spoils the chain, and the next read is full.
        pending = start.unit
        for name, unit in read:
            if isinstance(unit, _Missed):
                whole, failed = False, failed or unit.error
                given: list[hub.Record] = [] if unit.told is None else [unit.told]
                digest = ""
            else:
                whole = whole and unit.whole
                given, digest = records(unit), unit.digest
            resumed = bool(pending) and (name, digest) == (pending, start.digest)
            if pending and not resumed:
                chain = _chain(chain, start.digest)
            pending = ""
            ignored += 0 if resumed or isinstance(unit, _Missed) else unit.ignored
            skip = start.given if resumed else 0
            for place, record in enumerate(given[skip:], start=skip + 1):
                batch.append(record)
                if len(batch) == self.settings.page_size:
                    yield hub.Page(tuple(batch), str(_Cursor(chain, name, digest, place, whole)), ignored=ignored)
                    batch, ignored = [], 0
            chain = _chain(chain, digest)
        if pending:
            chain = _chain(chain, start.digest)
        # Last, and so exactly once also in a read that was cut off.
        batch += found.problems
        yield hub.Page(tuple(batch), str(_Cursor(chain) if whole else _READ_ALL), complete=whole, ignored=ignored)
        if failed is not None:
            raise failed

    def _units(
        self, found: Found, start: _Cursor | None, children: Set[str] | None
    ) -> Iterator[tuple[str, Unit | _Missed]]:
        """The units from where `start` is on, each read whole before it is given. Raises GaveUp when we are refused."""
        for name, read in found.units.items():
            if start is not None and name < start.unit:
                continue
            try:
                unit: Unit | _Missed = read(children)
            except hub.BadRecord as error:
                unit = _Missed(told=hub.Unreadable(_position(name), str(error)))
            except hub.TryAgain as error:
                told = hub.TryAgain(f"{_position(name)}: {error}", after_seconds=error.after_seconds)
                told.__cause__ = error
                unit = _Missed(error=told)
            yield name, unit


def _position(name: str) -> str:
    return name if name == units.CASE_LIST else f"institution {name}"
