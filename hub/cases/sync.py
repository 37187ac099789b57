"""Sync: read the cases of the children whose family has said yes, see what is new, and make it events.

A child's first read from a source is no news; after that, every change is told once. What a source is asked, in order:

1. What has changed since the last time, for the children it has been read for; all there is, when that is due.
2. All there is, for children who are new. What happens to them after 1 comes with the next 1, so nothing is missed in
   between; and a source that breaks off goes on where it was, in 1 and in 2, however many families say yes meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from hub import faults
from hub.cases import guard, health, intake, quarantine, readers, rounds, sources
from hub.cases.advisers import StaffKeeper
from hub.cases.intake import Child, Run
from hub.cases.numbers import numbers_of
from hub.cases.sources import Read
from hub.context import Context
from hub.contract import Adapter, Page
from hub.store import tables
from hub.store.many import among
from hub.store.people import open_keys


def sync(ctx: Context, names: Iterable[str] = ()) -> list[Read]:
    """Read the named sources (all with an administration when none is named), each by itself."""
    return rounds.go(ctx, sources.CASES, names, _read)


@dataclass(frozen=True, slots=True)
class _Children:
    """The children with a coordinator, by number, opened for this read only: read before, being read for the first
    time, and not yet asked for."""

    known: dict[str, Child]
    started: dict[str, Child]
    new: dict[str, Child]


def _children(ctx: Context, session: Session, adapter: Adapter) -> _Children:
    source = adapter.name
    ids = set(session.execute(select(tables.Assignment.child_id).where(tables.Assignment.until.is_(None))).scalars())
    ids = health.readable(ctx, session, adapter, ids)
    numbers = numbers_of(ctx, session, ids, former=True)
    of_source = select(tables.ChildSource.child_id, tables.ChildSource.read_at)
    read = dict(session.execute(of_source.where(tables.ChildSource.source == source)).tuples().all())
    key_ids = dict(
        session.execute(select(tables.Child.id, tables.Child.key_id).where(among(tables.Child.id, ids))).tuples().all()
    )
    keys = open_keys(session, ctx.keys, key_ids.values())
    found = _Children({}, {}, {})
    for digits, child in numbers.items():
        is_new = read.get(child) is None
        part = found.known if not is_new else found.started if child in read else found.new
        part[digits] = Child(child, keys[key_ids[child]], is_new)
    return found


def _read(ctx: Context, adapter: Adapter, result: Read, alone: readers.Alone) -> None:
    source = adapter.name
    with ctx.database.begin() as session:
        alone.state(session)
        children = _children(ctx, session, adapter)
        if not (children.known or children.started or children.new):
            return  # nobody to ask about; nor has the source answered
        result.gone += _forget_unlisted(ctx, session, source, children)
        start = _begin(ctx, session, source, children)
        asked = children.known | children.started
        if start.anew:
            _start(session, source, children.new.values())
            asked |= children.new
    result.children = len(asked | children.new)
    run = Run(ctx, adapter, asked, StaffKeeper(ctx, source, adapter.administration), result, start.at)
    whole = False
    for page in sources.pages(source, lambda: adapter.read(start.cursor, frozenset(asked)), ahead=True):
        with ctx.database.begin() as session:
            whole |= _take(run, session, page, alone)
            faults.point("sync.page")
        faults.point("sync.page.committed")
    if start.anew and not whole:
        _read_through(run, alone)
    elif not whole:
        _first(run, children.started, alone, resumed=True)
    if not start.anew:
        _first(run, children.new, alone, resumed=False)
    with ctx.database.begin() as session:
        alone.state(session)
        sources.end(session, source, sources.CASES, ctx.clock.now())


def _read_through(run: Run, alone: readers.Alone) -> None:
    """All has been read from beginning to end, but the source does not say that it was whole: something could not be
    read. So nothing is taken for gone; but the children have been read once, and what has not been met again can be
    read now."""
    with run.ctx.database.begin() as session:
        state, now = alone.state(session), run.ctx.clock.now()
        _mark(session, run.adapter.name, {child.id for child in run.children.values()}, now)
        state.first_cursor = None
        quarantine.settle(session, run.adapter.name, sources.CASES, run.at, now)


def _begin(ctx: Context, session: Session, source: str, children: _Children) -> sources.Start:
    under_way = sources.state(session, source, sources.CASES).under_way
    return sources.begin(
        session,
        source,
        sources.CASES,
        ctx.clock.now(),
        sources.FULL_READ_EVERY,
        anew=not (children.known or under_way),  # all are new: one read serves them all
        kinds=sources.listed(ctx.plugins.sections, source),
        known=partial(_count, session, source),
    )


def _count(session: Session, source: str) -> int:
    of_source = select(func.count()).select_from(tables.Case).where(tables.Case.source == source)
    return session.execute(of_source).scalar_one()


def _forget_unlisted(ctx: Context, session: Session, source: str, children: _Children) -> int:
    """Cases of a kind that has left the list are forgotten at once. Call it before the run begins."""
    listed = sources.listed(ctx.plugins.sections, source)
    if listed is None or not sources.left_list(sources.state(session, source, sources.CASES), listed):
        return 0
    everybody = [*children.known.values(), *children.started.values()]
    return intake.forget(ctx, session, source, intake.unlisted(session, source, everybody, listed))


def _start(session: Session, source: str, children: Iterable[Child]) -> None:
    """The first read of these children begins."""
    rows = [{"child_id": child.id, "source": source, "read_at": None} for child in children]
    if rows:
        session.execute(insert(tables.ChildSource).on_conflict_do_nothing(), rows)


def _mark(session: Session, source: str, children: Set[UUID], now: datetime) -> None:
    """These have been read in full for the first time; whose family took its yes back meanwhile has no row."""
    session.execute(
        update(tables.ChildSource)
        .where(
            tables.ChildSource.source == source,
            tables.ChildSource.read_at.is_(None),
            among(tables.ChildSource.child_id, children),
        )
        .values(read_at=now)
    )


def _take(run: Run, session: Session, page: Page, alone: readers.Alone) -> bool:
    """One page with its cursor. Whether it is the last of a whole read."""
    source, now = run.adapter.name, run.ctx.clock.now()
    state = alone.state(session)
    intake.take(run, session, page, sources.new_kinds(state))
    state.cursor = page.cursor
    if page.complete:
        ids = {child.id for child in run.children.values()}
        _mark(session, source, ids, now)
        _end_unseen(run, session, state, ids)
        state.under_way, state.first_cursor = False, None
    return page.complete


def _end_unseen(run: Run, session: Session, state: tables.SourceState, children: Set[UUID]) -> None:
    """All that the source has of these children was in this read: what was not is gone, if that can be believed."""
    unseen = [
        tables.Case.source == state.source,
        among(tables.Case.child_id, children),
        tables.Case.seen_at < run.at,
    ]
    references = dict(session.execute(select(tables.Case.reference, tables.Case.seen_at).where(*unseen)).tuples().all())
    section, now = run.ctx.plugins.sections.get(state.source), run.ctx.clock.now()
    if not guard.believe(state, len(references), section, now, partial(_count, session, state.source)):
        return
    # A record that could not be read, and does not say which it is, may be one of those last seen before it came up.
    gone = {ref for ref, seen_at in references.items() if state.blind_at is None or seen_at >= state.blind_at}
    run.result.unsure += len(references) - len(gone)
    run.result.gone += intake.forget(run.ctx, session, state.source, gone)
    quarantine.settle(session, state.source, sources.CASES, run.at, now)


def _first(run: Run, children: dict[str, Child], alone: readers.Alone, *, resumed: bool) -> None:
    """All there is of children who are new; `resumed`: their first read was cut off."""
    if not children:
        return
    ctx, source = run.ctx, run.adapter.name
    with ctx.database.begin() as session:
        state = alone.state(session)
        cursor = state.first_cursor = state.first_cursor if resumed else None
        _start(session, source, children.values())
    mine = Run(ctx, run.adapter, children, run.staff, run.result, run.at)
    for page in sources.pages(source, lambda: run.adapter.read(cursor, frozenset(children)), ahead=True):
        with ctx.database.begin() as session:
            state = alone.state(session)
            intake.take(mine, session, page, set())
            state.first_cursor = page.cursor
            faults.point("sync.page")
        faults.point("sync.page.committed")
    with ctx.database.begin() as session:
        state = alone.state(session)
        _mark(session, source, {child.id for child in children.values()}, ctx.clock.now())
        state.first_cursor = None


def freshness(session: Session) -> dict[str, tuple[datetime | None, str | None]]:
    """When each source last answered (UTC), and its failure if it does not now."""
    return {found.source: (found.answered_at, found.failure) for found in sources.fresh(session, sources.CASES)}
