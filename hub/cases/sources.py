"""How far each source has been read, how fresh it is, and when it is tried again."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from queue import Empty
from typing import Any, TypeVar

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from hub.cases import apart
from hub.cases.storable import storable
from hub.errors import GaveUp, TovholderError, TryAgain
from hub.reading import SourceSettings
from hub.reading.paging import HasCursor, onward
from hub.store.tables import SourceState

P = TypeVar("P", bound=HasCursor)
PATIENCE = timedelta(minutes=30)
"""How long a plugin may take for one page. Its own time-outs are shorter; this is for one that has none."""
PRESENCE, CASES, CUSTODY, STATUSES = "presence", "cases", "custody", "statuses"
NAME, UNKNOWN, MOVED = "name", "unknown", "moved"
"""In `child_source`, beside CUSTODY: that a child's name has been asked for; that custody has, and could not be read;
that a source has moved a record of the child to another number, and nobody has asked about it yet."""
NOT_COUNTED = -1
"""In `known_rows`: a run of changes alone."""
FULL_READ_EVERY = timedelta(days=7)
"""So often a source is read in full again, whatever its cursor says."""
FIRST_WAIT, LONGEST_WAIT = timedelta(minutes=5), timedelta(hours=4)
"""How long a source that did not answer is left alone: doubled each time, and by chance up to half as long again, so
that not all come back at the same moment."""


@dataclass(slots=True)
class Read:
    """What came of reading one source."""

    source: str
    children: int = 0
    """How many it was asked about; 0 where a read is about nobody in particular."""
    read: int = 0
    """Records taken, changed or not."""
    changed: int = 0
    gone: int = 0
    events: int = 0
    ignored: int = 0
    """Left out because their kind is not on the list. The kinds themselves never leave the adapter: not even their
    names could be told here."""
    older: int = 0
    """Left out because the hub has a newer version."""
    quarantined: int = 0
    """Records met that could not be read, those met before among them."""
    reasons: dict[str, int] = field(default_factory=dict)
    in_quarantine: int = 0
    """All that now waits in quarantine from this source, whatever read met it."""
    unsure: int = 0
    """Not shown, and not ended either: a record that could not be read may be one of them."""
    held: str | None = None
    """Why nothing was ended although it was not shown: an operator must look."""
    failure: str | None = None
    stale_since: datetime | None = None
    """When it last answered, if it does not now (UTC)."""
    next_try_at: datetime | None = None
    busy: bool = False
    """Another process reads it now."""

    @property
    def clean(self) -> bool:
        """Whether nothing waits for a person."""
        return self.failure is None and self.held is None and not self.in_quarantine and not self.unsure


def state(session: Session, source: str, purpose: str, *, lock: bool = False) -> SourceState:
    """The row of a source and purpose, made the first time. `lock`: nobody else changes it until the commit."""
    key = (source, purpose)
    row = session.get(SourceState, key, with_for_update=lock)
    if row is None:
        first = insert(SourceState).values(source=source, purpose=purpose, under_way=False, failures=0)
        session.execute(first.on_conflict_do_nothing())
        row = session.get_one(SourceState, key, with_for_update=lock)
    return row


@dataclass(frozen=True, slots=True)
class Start:
    """Where a read begins, and the stamp of all that it shows. `resumed`: it goes on with one that was cut off."""

    cursor: str | None
    resumed: bool
    at: datetime

    @property
    def anew(self) -> bool:
        return self.cursor is None and not self.resumed


def begin(
    session: Session,
    source: str,
    purpose: str,
    now: datetime,
    full_every: timedelta,
    *,
    anew: bool = False,
    kinds: Set[str] | None = None,
    known: Callable[[], int] | None = None,
) -> Start:
    """Where a run goes on: after the last stored page of one that was cut off; else a new run, from the start when the
    last full read is longer ago than `full_every`, or when the list of `kinds` is another than it was.

    `anew`: from the start whatever there was. `known` counts the rows that the hub has, for `hub.cases.guard`; asked
    only where the run begins at the start: changes alone end nothing, and counting takes long where there are many."""
    row = state(session, source, purpose, lock=True)
    relisted = _relist(row, kinds)
    too_old = row.began_at is None or now - row.began_at >= full_every
    if row.under_way and row.began_at is not None and not (anew or relisted or too_old):
        return Start(row.cursor, resumed=True, at=row.began_at)
    row.began_at = now if row.began_at is None else max(now, row.began_at + timedelta(microseconds=1))
    row.under_way, row.blind_at = True, None
    # As long ahead as behind: the clock was wrong when it was written down.
    if anew or relisted or row.full_at is None or abs(now - row.full_at) >= full_every:
        row.cursor = None
    # Presences do not say of which kind they are. Where one has left the list, fewer of them is what was asked for.
    if known is None or (relisted and purpose == PRESENCE):
        row.known_rows = None
    else:
        row.known_rows = known() if row.cursor is None else NOT_COUNTED
    return Start(row.cursor, resumed=False, at=row.began_at)


def _relist(row: SourceState, kinds: Set[str] | None) -> bool:
    """Take note of the list of kinds. Whether it is another than before."""
    if kinds is None:
        return False
    before = set(json.loads(row.kinds)) if row.kinds is not None else set(kinds)
    fresh = (kinds - before) | (new_kinds(row) & kinds)
    row.kinds, row.new_kinds = json.dumps(sorted(kinds)), json.dumps(sorted(fresh))
    return before != set(kinds)


def left_list(row: SourceState, kinds: Set[str]) -> bool:
    """Whether a kind was on the list when the last run began, and is no longer."""
    return row.kinds is not None and not set(json.loads(row.kinds)) <= set(kinds)


def new_kinds(row: SourceState) -> set[str]:
    """Kinds on the list that no full read has seen yet."""
    return set(json.loads(row.new_kinds)) if row.new_kinds is not None else set()


def read_anew(session: Session, source: str, purpose: str) -> None:
    """Let the next run read all there is, whatever has been read, and at once."""
    row = state(session, source, purpose)
    row.under_way, row.full_at, row.next_try_at = False, None, None


def end(session: Session, source: str, purpose: str, now: datetime) -> None:
    """A run came to its end, so the source has answered."""
    row = state(session, source, purpose)
    row.under_way, row.answered_at = False, now
    row.failure, row.failures, row.next_try_at = None, 0, None


def failed(
    session: Session, source: str, purpose: str, now: datetime, why: str, *, after_seconds: float | None = None
) -> None:
    """A source did not answer: shown as "no answer since", never as "nothing there". `after_seconds` is how long it
    asked to be left alone."""
    row = state(session, source, purpose)
    row.failed_at, row.failure = now, why
    row.failures += 1
    wait = FIRST_WAIT * 2 ** min(row.failures - 1, 10) * random.uniform(1, 1.5)  # noqa: S311 - chance, no secret
    row.next_try_at = now + min(max(wait, timedelta(seconds=after_seconds or 0)), LONGEST_WAIT)


@dataclass(frozen=True, slots=True)
class Freshness:
    """How a source stands. `stale_since` is when it last answered, where it does not now; None too where it never did:
    `failure` tells the two apart from one that answers. `held` is what `hub.cases.guard` says."""

    source: str
    purpose: str
    answered_at: datetime | None
    failure: str | None
    failures: int
    next_try_at: datetime | None
    held: str | None
    held_at: datetime | None

    @property
    def stale_since(self) -> datetime | None:
        return self.answered_at if self.failure is not None else None

    def rests(self, now: datetime) -> bool:
        """Whether it is to be left alone still. Never for longer than LONGEST_WAIT: the clock was wrong then."""
        return self.next_try_at is not None and now < self.next_try_at <= now + LONGEST_WAIT


def fresh(session: Session, purpose: str | None = None) -> list[Freshness]:
    """Every source and read of it there has been, or those of one purpose; by source and purpose."""
    rows = session.execute(select(SourceState).order_by(SourceState.source, SourceState.purpose)).scalars()
    return [
        Freshness(
            row.source,
            row.purpose,
            row.answered_at,
            row.failure,
            row.failures,
            row.next_try_at,
            held(row),
            row.held_at,
        )
        for row in rows
        if purpose in (None, row.purpose)
    ]


def held(row: SourceState) -> str | None:
    """Why what a source does not show is kept all the same; None when it is not held."""
    if row.held_rows is None:
        return None
    return (
        f"shows {row.held_rows} of {row.held_of} known ({row.purpose}): too few to believe, so nothing is ended. "
        f"Look at the source; if it is right: tovholder sync --accept {row.source}"
    )


def listed(sections: Mapping[str, Any], source: str) -> Set[str] | None:
    """The kinds of case a source may pass on; None where its section has no such list."""
    section = sections.get(source)
    return section.kinds.keys() if isinstance(section, SourceSettings) else None


def pages(name: str, ask: Callable[[], Iterable[P]], *, ahead: bool = False) -> Iterator[P]:
    """What a plugin answers, page by page. An error that is none of the hub's own is a fault in the plugin: GaveUp with
    the kind of error alone, since its words may hold a record; also when its pages lead in a circle. A record with text
    that cannot be stored comes as Unreadable.

    `ahead`: the next page is fetched while this one is stored (not where asking for it says that this one is safe),
    and TryAgain when nothing comes for PATIENCE."""
    try:
        yield from storable(onward(apart.ahead(name, ask, PATIENCE.total_seconds()) if ahead else ask()))
    except TovholderError:
        raise
    except Empty as error:
        raise TryAgain(f"{name} has given nothing for {PATIENCE.total_seconds() / 60:.0f} minutes") from error
    except Exception as error:
        raise GaveUp(f"the plugin {name} has a fault: {type(error).__name__}; tell whoever keeps it") from error
