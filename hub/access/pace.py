"""How many different children somebody has looked up within an hour: who reads through the town is seen, and stopped.

Counted in the database, so that it holds over all serving processes and machines: in the transaction of the lookup
itself and under the log's head, which orders the lookups of all of them, so that two cannot both let the last one
through. A row says by keyed digests that a person looked at a child, and goes after the hour. Who is refused for the
pace is shown nothing, and that stands in the log as any refused look does.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import delete

from hub.access import log as access_log
from hub.access.askers import asker_key, day_key
from hub.access.log import Asker
from hub.access.policy import REASON_AT_LEAST
from hub.clock import Clock, today
from hub.errors import NotAllowed
from hub.store import tables, tasks
from hub.store.database import Database
from hub.vault import Keys

log = structlog.get_logger()

KIND = "pace"
"""The kind of entry and of task that tells the auditor, and the basis of a look that is refused for it."""
HOUR = timedelta(hours=1)
_REMEMBER = 50_000

COUNT = """
SELECT asker, count(*), min(at), array_agg(child) FILTER (WHERE child = ANY(%(children)b::bytea[]))
FROM asker_hour WHERE asker = ANY(%(askers)b::bytea[]) AND at > %(since)s AND at < %(ahead)s GROUP BY asker
"""
"""What the database says of each person, by `Pace.asks`: read once the log's head is held."""
NOTE = """
INSERT INTO asker_hour (asker, child, at)
SELECT asker, child, %(now)s FROM unnest(%(askers)b::bytea[], %(children)b::bytea[]) AS a (asker, child) ORDER BY 1, 2
ON CONFLICT (asker, child) DO UPDATE SET at = excluded.at
"""


class ReasonNeeded(NotAllowed):
    """This is more children than most look up in an hour: write why."""


class TooMany(NotAllowed):
    """This is too many children in an hour."""

    def __init__(self, after_seconds: int) -> None:
        super().__init__()
        self.after_seconds = after_seconds
        """When some of the hour has passed (seconds)."""


@dataclass(frozen=True, slots=True)
class Looks:
    """The children that one person asks about at once: all are let through, or none. By keyed digests."""

    who: bytes
    children: frozenset[bytes]
    has_reason: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    refused: ReasonNeeded | TooMany | None = None
    alarm: bool = False
    """Whether the auditor is to know."""


@dataclass(slots=True)
class _Seen:
    """What the database says of one person."""

    children: set[bytes] = field(default_factory=set)
    count: int = 0
    oldest: datetime | None = None


class Pace:
    """Counts. Made once per process."""

    def __init__(self, database: Database, keys: Keys, clock: Clock, children_an_hour: int) -> None:
        self._database, self._keys, self._clock, self._most = database, keys, clock, children_an_hour
        self._told: set[str] = set()

    def looks(self, asker: Asker, children: Iterable[bytes], reason: str | None) -> Looks:
        """What counts of a question about children (lookup tokens)."""
        who = hmac.digest(self._keys.reference, f"pace:{asker.who}".encode(), "sha256")
        digests = frozenset(hmac.digest(self._keys.reference, who + child, "sha256") for child in children)
        return Looks(who, digests, reason is not None and len(reason.strip()) >= REASON_AT_LEAST)

    @staticmethod
    def asks(every: Sequence[Looks], now: datetime) -> dict[str, Any]:
        """The parameters of COUNT."""
        return {
            "askers": list({looks.who for looks in every}),
            "children": list({child for looks in every for child in looks.children}),
            "since": now - HOUR,
            "ahead": now + HOUR,
        }

    def judge(self, every: Sequence[Looks], rows: Iterable[Sequence[Any]], now: datetime) -> list[Verdict]:
        """What becomes of each, in the order asked; `rows` are those of COUNT."""
        seen = {who: _Seen(set(known or ()), count, oldest) for who, count, oldest, known in rows}
        return [self._judge(looks, seen.setdefault(looks.who, _Seen()), now) for looks in every]

    def _judge(self, looks: Looks, seen: _Seen, now: datetime) -> Verdict:
        new = looks.children - seen.children
        count = seen.count + len(new)
        if not new or count <= self._most or (count <= 2 * self._most and looks.has_reason):
            seen.children |= new
            seen.count = count
            return Verdict(alarm=count > self._most)
        if count <= 2 * self._most:
            return Verdict(ReasonNeeded(), alarm=True)
        left = seen.oldest + HOUR - now if seen.oldest is not None else HOUR
        return Verdict(TooMany(max(1, int(left.total_seconds()) + 1)), alarm=True)

    @staticmethod
    def notes(every: Sequence[Looks], verdicts: Sequence[Verdict], now: datetime) -> dict[str, Any]:
        """The parameters of NOTE: those that are let through."""
        rows = {
            child: looks.who
            for looks, verdict in zip(every, verdicts, strict=True)
            if verdict.refused is None
            for child in looks.children
        }
        return {"askers": list(rows.values()), "children": list(rows), "now": now}

    def tell(self, asker: Asker, looks: Looks) -> None:
        """A task for the auditor, and an entry of the log that says who: once in an hour by the clock. Blocks."""
        now = self._clock.now()
        what = f"{looks.who.hex()}:{now:%Y-%m-%dT%H}"
        if what in self._told:
            return
        with self._database.begin() as session:
            key = asker_key(session, self._keys, asker)
            entry = access_log.seal_entry(
                at=now,
                kind=KIND,
                child_id=None,
                asker=asker,
                asker_key=key,
                subject={"purpose": KIND, "see": False, "basis": KIND, "shown": [], "more_than": self._most},
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
