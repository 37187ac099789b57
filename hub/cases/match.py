"""Match: which children have something open or applied for in at least two administrations.

Only lookup tokens are compared. When a page of presences brings a child into the target group, the number is sealed and
kept in the same transaction, so that the child can be offered a coordinator; nobody else's number is kept at all.
Nobody assesses anything: under 18, and open or applied for in two administrations, is the whole rule.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from uuid import uuid4

from sqlalchemy import bindparam, delete, func, select, text, update
from sqlalchemy.orm import Session

from hub.access import log
from hub.cases import quarantine, sources
from hub.cases.numbers import Changes, moved, tokens_now
from hub.clock import today
from hub.context import Context
from hub.contract import Adapter, Gone, Page, Presence, State, Unreadable
from hub.errors import BadRecord, TovholderError
from hub.identity import Cpr, parse
from hub.store import tables
from hub.store.people import make_key
from hub.vault import seal_json

ADULT = 18
"""Barnets lov covers the child; from 18 the law for adults does."""
FULL_READ_EVERY = timedelta(days=7)
"""So often a source is read in full again, whatever its cursor says."""
KEEP_UNSEEN = timedelta(days=30)
"""So long a token outside the target group is kept for the next comparison."""


@dataclass(slots=True)
class Read:
    """What came of reading one source."""

    source: str
    read: int = 0
    quarantined: int = 0
    ignored: int = 0
    gone: int = 0
    failure: str | None = None
    busy: bool = False


@dataclass(slots=True)
class Match:
    reads: list[Read] = field(default_factory=list)
    found: int = 0
    """Children in the target group now."""


def match(ctx: Context) -> Match:
    """Read the presences of every source that has an administration, each by itself: one that fails hides no other."""
    adapters = [adapter for adapter in ctx.plugins.adapters.values() if adapter.administration is not None]
    result = Match(
        sources.side_by_side(
            ctx.database,
            sources.PRESENCE,
            adapters,
            lambda adapter: _read(ctx, adapter),
            lambda name: Read(name, busy=True),
        )
    )
    with ctx.database.begin() as session:
        _reassess(session)
        _purge(session, ctx.clock.now())
        result.found = session.execute(
            select(func.count()).select_from(tables.Child).where(tables.Child.eligible)
        ).scalar_one()
    return result


def _read(ctx: Context, adapter: Adapter) -> Read:
    result = Read(adapter.name)
    try:
        with ctx.database.begin() as session:
            start = sources.begin(session, adapter.name, sources.PRESENCE, ctx.clock.now(), FULL_READ_EVERY)
        for page in sources.pages(adapter.name, lambda: adapter.presence(start.cursor)):
            with ctx.database.begin() as session:
                _take(ctx, session, adapter, page, result)
        with ctx.database.begin() as session:
            sources.end(session, adapter.name, sources.PRESENCE, ctx.clock.now())
    except TovholderError as error:
        result.failure = str(error)
        with ctx.database.begin() as session:
            sources.failed(session, adapter.name, sources.PRESENCE, ctx.clock.now(), result.failure)
    return result


def _take(ctx: Context, session: Session, adapter: Adapter, page: Page, result: Read) -> None:
    """One page: its presences, its cursor and the children it brings into the target group, in one transaction."""
    now, day = ctx.clock.now(), today(ctx.clock)
    state = sources.state(session, adapter.name, sources.PRESENCE)
    rows: dict[bytes, tuple[bytes, str]] = {}
    gone: set[bytes] = set()
    unread: list[bytes] = []
    numbers: dict[bytes, Cpr] = {}
    result.ignored += page.ignored
    for record in page.records:
        if isinstance(record, Gone) or (isinstance(record, Presence) and record.state is State.CLOSED):
            reference = ctx.keys.refer(adapter.name, record.source_id)
            gone.add(reference)
            rows.pop(reference, None)
        elif isinstance(record, Presence):
            reference = ctx.keys.refer(adapter.name, record.source_id)
            number = _number(ctx, session, adapter.name, record, result)
            if number is None:
                unread.append(reference)
                continue
            result.read += 1
            if number.age(day) >= ADULT:
                gone.add(reference)
                rows.pop(reference, None)
                continue
            token = ctx.keys.lookup_token(number.digits)
            numbers[token] = number
            gone.discard(reference)  # a page's last word counts
            rows[reference] = (token, record.state.value)
        elif isinstance(record, Unreadable):
            result.quarantined += quarantine.keep(session, ctx.keys, adapter.name, record, now)
            if record.source_id is not None:
                unread.append(ctx.keys.refer(adapter.name, record.source_id))
    if unread:
        # It is there, only not readable today: what was known of it stays.
        session.execute(
            update(tables.Presence)
            .where(tables.Presence.source == adapter.name, tables.Presence.reference.in_(unread))
            .values(run=state.run, last_seen=now)
        )
    changes = Changes()
    if rows:
        # A former number leads to the same child.
        now_by = tokens_now(session, numbers.keys())
        given = {reference: now_by.get(token, token) for reference, (token, _state) in rows.items()}
        moved(ctx, session, adapter.name, given, numbers, changes)
        session.execute(
            _UPSERT,
            {
                "source": adapter.name,
                "administration": adapter.administration,
                "now": now,
                "run": state.run,
                "references": list(rows),
                "tokens": list(given.values()),
                "states": [given_state for _token, given_state in rows.values()],
            },
        )
        _keep_numbers(ctx, session, numbers)
    if gone:
        result.gone += len(gone)
        session.execute(
            delete(tables.Presence).where(tables.Presence.source == adapter.name, tables.Presence.reference.in_(gone))
        )
    state.cursor = page.cursor
    if page.complete:
        left = session.execute(
            delete(tables.Presence)
            .where(tables.Presence.source == adapter.name, tables.Presence.run < state.run)
            .returning(tables.Presence.reference)
        )
        result.gone += len(left.all())
        # The run ends with this page, in its transaction: a kill right after it must not go on under the same number.
        state.full_at, state.under_way = now, False
    if changes.entries:
        log.append(session, changes.entries)


_UPSERT = text("""
INSERT INTO presence (source, reference, token, administration, state, last_seen, run)
SELECT :source, r, t, :administration, s, :now, :run
FROM unnest(CAST(:references AS bytea[]), CAST(:tokens AS bytea[]), CAST(:states AS text[])) AS given(r, t, s)
ON CONFLICT (source, reference) DO UPDATE
SET token = excluded.token, state = excluded.state, last_seen = excluded.last_seen, run = excluded.run
""")


def _number(ctx: Context, session: Session, source: str, record: Presence, result: Read) -> Cpr | None:
    """The record's number, or None with the record in quarantine."""
    try:
        number = parse(record.cpr)
        if not number.matchable:
            raise BadRecord(f"a {number.kind} says nothing across systems; the source should give the CPR number")
    except BadRecord as error:
        reference = ctx.keys.refer(source, record.source_id).hex()
        kept = Unreadable(f"presence {reference}", str(error), repr(record).encode())
        result.quarantined += quarantine.keep(session, ctx.keys, source, kept, ctx.clock.now())
        return None
    return number


_ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(hashtext('target group'))")
"""Two pages that each bring one half of a child's two administrations must not both look before the other commits:
the child would be missed. So from here to its commit a page is alone."""
_IN_TWO = (
    select(tables.Presence.token)
    .where(tables.Presence.token.in_(bindparam("tokens", expanding=True)))
    .group_by(tables.Presence.token)
    .having(func.count(func.distinct(tables.Presence.administration)) >= 2)
)


def _keep_numbers(ctx: Context, session: Session, numbers: dict[bytes, Cpr]) -> None:
    """Seal and keep the numbers of those on this page who now are in the target group and were not before."""
    session.execute(_ONE_AT_A_TIME)
    in_two = set(session.execute(_IN_TWO, {"tokens": list(numbers)}).scalars())
    if not in_two:
        return
    known = set(session.execute(select(tables.Child.token).where(tables.Child.token.in_(in_two))).scalars())
    made = []
    for token in sorted(in_two - known):
        key_id, key = make_key(session, ctx.keys)
        child_id = uuid4()
        sealed = seal_json(key, {"cpr": numbers[token].digits}, f"child:{child_id}")
        made.append(tables.Child(id=child_id, token=token, key_id=key_id, sealed=sealed, eligible=True))
    session.flush()
    session.add_all(made)
    session.flush()


def _reassess(session: Session) -> None:
    """Who is in the target group still, by the presences there are now."""
    session.execute(_ONE_AT_A_TIME)
    in_two = (
        select(tables.Presence.token)
        .group_by(tables.Presence.token)
        .having(func.count(func.distinct(tables.Presence.administration)) >= 2)
    )
    session.execute(
        update(tables.Child).where(tables.Child.eligible, tables.Child.token.not_in(in_two)).values(eligible=False)
    )
    session.execute(
        update(tables.Child).where(~tables.Child.eligible, tables.Child.token.in_(in_two)).values(eligible=True)
    )


def _purge(session: Session, now: datetime) -> None:
    """Forget tokens outside the target group that no source has shown for a month."""
    kept = select(tables.Child.token).where(tables.Child.eligible)
    session.execute(
        delete(tables.Presence).where(tables.Presence.last_seen < now - KEEP_UNSEEN, tables.Presence.token.not_in(kept))
    )


def why(session: Session, token: bytes) -> dict[str, tuple[str, datetime]]:
    """Why a child is in the target group: administration → state and when it was last seen."""
    rows = session.execute(select(tables.Presence).where(tables.Presence.token == token)).scalars()
    return {row.administration: (row.state, row.last_seen) for row in rows}


def comes_of_age(number: Cpr) -> date:
    """The date from which somebody is an adult; who is born on 29 February is on 1 March."""
    try:
        return number.born.replace(year=number.born.year + ADULT)
    except ValueError:
        return date(number.born.year + ADULT, 3, 1)


def birthday_passed(number: Cpr, on: date) -> bool:
    """Whether somebody is an adult on a date (Danish time: at midnight)."""
    return number.age(on) >= ADULT
