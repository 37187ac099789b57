"""Match: which children have something open or applied for in at least two administrations.

Only lookup tokens are compared. When a page of presences brings a child into the target group, the number is sealed and
kept in the same transaction, so that the child can be offered a coordinator; nobody else's number is kept at all.
Nobody assesses anything: under 18, and open or applied for in two administrations, is the whole rule.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from uuid import uuid4

from sqlalchemy import delete, exists, func, select, text, update
from sqlalchemy.orm import Session

from hub import faults
from hub.access import log
from hub.cases import guard, health, quarantine, readers, rounds, sources, target
from hub.cases.numbers import Changes, moved, tokens_now
from hub.cases.sources import Read
from hub.clock import today
from hub.context import Context
from hub.contract import Adapter, Gone, Page, Presence, State, Unreadable
from hub.errors import BadRecord
from hub.identity import Cpr, parse
from hub.store import tables
from hub.store.many import among
from hub.store.people import make_key
from hub.vault import seal_json

KEEP_UNSEEN = timedelta(days=30)
"""So long a token outside the target group is kept for the next comparison."""


@dataclass(slots=True)
class Match:
    reads: list[Read] = field(default_factory=list)
    found: int = 0
    """Children in the target group now."""


def match(ctx: Context, names: Iterable[str] = ()) -> Match:
    """Read the presences of every source that has an administration (or of those named), each by itself: one that
    fails hides no other."""
    result = Match(rounds.go(ctx, sources.PRESENCE, names, _read))
    with ctx.database.begin() as session:
        _purge(session, ctx.clock.now())
        result.found = session.execute(
            select(func.count()).select_from(tables.Child).where(tables.Child.eligible)
        ).scalar_one()
    return result


def _read(ctx: Context, adapter: Adapter, result: Read, alone: readers.Alone) -> None:
    source, now = adapter.name, ctx.clock.now()
    if not health.presence_may_be_read(ctx, adapter):
        result.gone += _forget(ctx, source, alone)
        return
    with ctx.database.begin() as session:
        start = sources.begin(
            session,
            source,
            sources.PRESENCE,
            now,
            sources.FULL_READ_EVERY,
            kinds=sources.listed(ctx.plugins.sections, source),
            known=partial(_count, session, source),
        )
    whole = False
    for page in sources.pages(source, lambda: adapter.presence(start.cursor), ahead=True):
        whole |= page.complete
        with ctx.database.begin() as session:
            _take(ctx, session, adapter, page, start, result, alone)
            faults.point("match.page")
        faults.point("match.page.committed")
    with ctx.database.begin() as session:
        alone.state(session)
        if start.anew and not whole:
            # Read from beginning to end, with something unreadable in it: nothing is taken for gone, but what of that
            # has not been met again can be read now.
            quarantine.settle(session, source, sources.PRESENCE, start.at, ctx.clock.now())
        sources.end(session, source, sources.PRESENCE, ctx.clock.now())


def _forget(ctx: Context, source: str, alone: readers.Alone) -> int:
    """The ground has been taken away: what was read by it goes, and a later read is a first one. Gives how many."""
    mine = (tables.SourceState.source == source, tables.SourceState.purpose == sources.PRESENCE)
    with ctx.database.begin() as session:
        if not session.execute(select(exists().where(*mine))).scalar_one():
            return 0  # nothing has been read
        alone.state(session)
        target.alone(session)
        gone = delete(tables.Presence).where(tables.Presence.source == source).returning(tables.Presence.token)
        tokens = session.execute(gone).scalars().all()
        session.execute(delete(tables.SourceState).where(*mine))
        target.reassess(session, set(tokens))
    return len(tokens)


@dataclass(slots=True)
class _Page:
    """A page sorted out: of what has several records in it, the newest counts, and of those that do not say when, the
    last."""

    rows: dict[bytes, tuple[bytes, str]] = field(default_factory=dict)
    """Token and state, by reference."""
    gone: set[bytes] = field(default_factory=set)
    unreadable: list[Unreadable] = field(default_factory=list)
    numbers: dict[bytes, Cpr] = field(default_factory=dict)
    _times: dict[bytes, datetime] = field(default_factory=dict)

    def is_newest(self, reference: bytes, time: datetime | None) -> bool:
        before = self._times.get(reference)
        if time is not None:
            if before is not None and time < before:
                return False
            self._times[reference] = time
        return True

    def end(self, reference: bytes) -> None:
        self.gone.add(reference)
        self.rows.pop(reference, None)

    def put(self, reference: bytes, token: bytes, number: Cpr, state: State) -> None:
        self.gone.discard(reference)
        self.numbers[token] = number
        self.rows[reference] = (token, state.value)


def _sort(ctx: Context, source: str, page: Page, result: Read) -> _Page:
    found, day = _Page(), today(ctx.clock)
    for record in page.records:
        if isinstance(record, Unreadable):
            found.unreadable.append(record)
        elif isinstance(record, Gone | Presence):
            reference = ctx.keys.refer(source, record.source_id)
            if not found.is_newest(reference, record.time if isinstance(record, Gone) else record.changed):
                result.older += 1
            elif isinstance(record, Gone) or record.state is State.CLOSED:
                found.end(reference)
            elif isinstance(number := _number(record, reference), Unreadable):
                found.unreadable.append(number)
            else:
                result.read += 1
                if number.is_adult(day):
                    found.end(reference)
                else:
                    found.put(reference, ctx.keys.lookup_token(number.digits), number, record.state)
    return found


def _take(
    ctx: Context,
    session: Session,
    adapter: Adapter,
    page: Page,
    start: sources.Start,
    result: Read,
    alone: readers.Alone,
) -> None:
    """One page: its presences, its cursor and the children it brings into the target group, in one transaction."""
    source = adapter.name
    state = alone.state(session)
    found = _sort(ctx, source, page, result)
    result.ignored += page.ignored
    quarantine.meet(session, ctx.keys, source, found.unreadable, start.at, sources.PRESENCE, result)
    of_source = tables.Presence.source == source
    there = [ctx.keys.refer(source, bad.source_id) for bad in found.unreadable if bad.source_id is not None]
    if there:
        # It is there, only not readable today: what was known of it stays.
        session.execute(
            update(tables.Presence).where(of_source, among(tables.Presence.reference, there)).values(last_seen=start.at)
        )
    changes, touched = Changes(), set[bytes]()
    if found.rows or found.gone:
        target.alone(session)
    if found.rows:
        # A former number leads to the same child.
        now_by = tokens_now(session, found.numbers.keys())
        tokens = {reference: now_by.get(token, token) for reference, (token, _state) in found.rows.items()}
        touched |= moved(ctx, session, source, tokens, found.numbers, changes) | set(tokens.values())
        session.execute(
            _UPSERT,
            {
                "source": source,
                "administration": adapter.administration,
                "at": start.at,
                "references": list(found.rows),
                "tokens": list(tokens.values()),
                "states": [state for _token, state in found.rows.values()],
            },
        )
        _keep_numbers(ctx, session, found.numbers)
    if found.gone:
        result.gone += len(found.gone)
        ended = delete(tables.Presence).where(of_source, among(tables.Presence.reference, found.gone))
        touched |= set(session.execute(ended.returning(tables.Presence.token)).scalars())
    target.reassess(session, touched)
    quarantine.mend(session, source, sources.PRESENCE, (found.rows.keys() | found.gone) - set(there), ctx.clock.now())
    state.cursor = page.cursor
    if page.complete:
        _end_unseen(ctx, session, state, result)
        # The run ends with this page, in its transaction: a kill right after it must not go on with it.
        state.under_way = False
    if changes.entries:
        log.append(session, changes.entries)


def _count(session: Session, source: str) -> int:
    of_source = select(func.count()).select_from(tables.Presence).where(tables.Presence.source == source)
    return session.execute(of_source).scalar_one()


def _end_unseen(ctx: Context, session: Session, state: tables.SourceState, result: Read) -> None:
    """All that the source has was in this read: what was not is gone, if that can be believed."""
    assert state.began_at is not None  # noqa: S101 - a run that ends has begun
    unseen = [tables.Presence.source == state.source, tables.Presence.last_seen < state.began_at]
    count = session.execute(select(func.count()).select_from(tables.Presence).where(*unseen)).scalar_one()
    section = ctx.plugins.sections.get(state.source)
    if not guard.believe(state, count, section, ctx.clock.now(), partial(_count, session, state.source)):
        return
    if state.blind_at is not None:
        unseen.append(tables.Presence.last_seen >= state.blind_at)
    target.alone(session)
    left = session.execute(delete(tables.Presence).where(*unseen).returning(tables.Presence.token)).scalars().all()
    target.reassess(session, set(left))
    result.gone += len(left)
    result.unsure += count - len(left)
    quarantine.settle(session, state.source, sources.PRESENCE, state.began_at, ctx.clock.now())


_UPSERT = text("""
INSERT INTO presence (source, reference, token, administration, state, last_seen)
SELECT :source, r, t, :administration, s, :at
FROM unnest(CAST(:references AS bytea[]), CAST(:tokens AS bytea[]), CAST(:states AS text[])) AS given(r, t, s)
ON CONFLICT (source, reference) DO UPDATE
SET token = excluded.token, state = excluded.state, last_seen = excluded.last_seen
""")


def _number(record: Presence, reference: bytes) -> Cpr | Unreadable:
    """The record's number; the record as it goes into quarantine where there is none."""
    try:
        number = parse(record.cpr)
        if not number.matchable:
            raise BadRecord(f"a {number.kind} says nothing across systems; the source should give the CPR number")
    except BadRecord as error:
        return Unreadable(f"presence {reference.hex()}", str(error), repr(record).encode(), record.source_id)
    return number


def _keep_numbers(ctx: Context, session: Session, numbers: dict[bytes, Cpr]) -> None:
    """Seal and keep the numbers of those on this page who now are in the target group and were not before."""
    in_two = target.in_two(session, numbers)
    if not in_two:
        return
    known = set(session.execute(select(tables.Child.token).where(among(tables.Child.token, in_two))).scalars())
    made = []
    for token in sorted(in_two - known):
        key_id, key = make_key(session, ctx.keys)
        child_id = uuid4()
        sealed = seal_json(key, {"cpr": numbers[token].digits}, f"child:{child_id}")
        made.append(tables.Child(id=child_id, token=token, key_id=key_id, sealed=sealed, eligible=True))
    session.flush()
    session.add_all(made)
    session.flush()


def _purge(session: Session, now: datetime) -> None:
    """Forget tokens outside the target group that no source has shown for a month."""
    kept = exists().where(tables.Child.token == tables.Presence.token, tables.Child.eligible)
    session.execute(delete(tables.Presence).where(tables.Presence.last_seen < now - KEEP_UNSEEN, ~kept))


def why(session: Session, token: bytes) -> dict[str, tuple[str, datetime]]:
    """Why a child is in the target group: administration → state and when it was last seen."""
    rows = session.execute(select(tables.Presence).where(tables.Presence.token == token)).scalars()
    return {row.administration: (row.state, row.last_seen) for row in rows}
