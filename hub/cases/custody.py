"""Custody: who are the guardians of the children in the target group, from the sources that know (CPR).

A source without an administration is read for the children asked for, and for no other. A parent is a guardian only
with custody. Names and protection of the child are kept only once the family has said yes: then the child alone is
asked for, and its guardians not once more.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from contextlib import suppress
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from hub import faults
from hub.access import log
from hub.cases import events, guard, guardians, holders, numbers, persons, sources
from hub.cases.custody_run import CustodyRead as CustodyRead
from hub.cases.custody_run import Run, matchable, note
from hub.clock import DENMARK, today
from hub.context import Context
from hub.contract import Adapter, GuardianRecord, KnowsPersons, Page, PersonRecord, Unreadable
from hub.errors import BadRecord, TovholderError
from hub.store import tables
from hub.store.many import among

CLOCKS_DIFFER = timedelta(hours=2)
"""Longer than a read takes, and than the clocks of two machines differ."""
ASK_AGAIN = timedelta(days=7)
"""So often the guardians of a child with an offer or a coordinator are asked for again: a lookup tells no changes."""


def read_custody(ctx: Context, children: set[UUID]) -> list[CustodyRead]:
    """Ask every custody source about these children (row ids), what those are called whose family has said yes since,
    and who those are now whom a source tells of under another number. A source that fails leaves what was known. Then
    what follows for letters and tasks from where custody stands today."""
    results = []
    for adapter in ctx.plugins.adapters.values():
        if adapter.administration is not None:
            continue
        with ctx.database.begin() as session:
            alone = _nameless(session) | _moved(session)
        if isinstance(adapter, KnowsPersons):
            if alone - children:
                results.append(_read(ctx, adapter, alone - children, adapter))
            asked = children
        else:
            asked = children | alone
        if asked:
            results.append(_read(ctx, adapter, asked))
    with ctx.database.begin() as session:
        holders.settle(ctx, session)
    return results


def unread(session: Session, now: datetime) -> set[UUID]:
    """Children whose guardians the hub should know and has not asked for, or not for ASK_AGAIN."""
    # What is said to have been read long after now was read by a clock that was wrong.
    asked = select(tables.ChildSource.child_id).where(
        tables.ChildSource.source == sources.CUSTODY,
        tables.ChildSource.read_at > now - ASK_AGAIN,
        tables.ChildSource.read_at < now + ASK_AGAIN,
    )
    return set(
        session.execute(select(tables.Child.id).where(holders.wanted(), tables.Child.id.not_in(asked))).scalars()
    )


def _nameless(session: Session) -> set[UUID]:
    """Children with a coordinator whose name has not been asked for."""
    named = select(tables.ChildSource.child_id).where(tables.ChildSource.source == sources.NAME)
    in_scheme = select(tables.Assignment.child_id).where(tables.Assignment.until.is_(None))
    return set(session.execute(in_scheme.where(tables.Assignment.child_id.not_in(named))).scalars())


def _moved(session: Session) -> set[UUID]:
    """Children whom a source tells of under another number, also those whose family has said no: the no goes along."""
    marked = select(tables.ChildSource.child_id).where(tables.ChildSource.source == sources.MOVED)
    return set(session.execute(marked).scalars())


def _read(ctx: Context, adapter: Adapter, children: set[UUID], alone: KnowsPersons | None = None) -> CustodyRead:
    """One read; of `alone` when only the children are asked about, and not custody."""
    started = ctx.clock.now()
    with ctx.database.begin() as session:
        asked = numbers.numbers_of(ctx, session, children)
        known = select(func.count()).where(among(tables.Custody.child_id, children), tables.Custody.until.is_(None))
        run = Run(ctx, adapter.name, set(asked.values()), asked, CustodyRead(adapter.name))
        run.known = session.execute(known).scalar_one()

    def ask() -> Iterator[Page]:
        return alone.persons(frozenset(asked)) if alone is not None else adapter.read(None, frozenset(asked))

    try:
        for page in sources.pages(adapter.name, ask):
            with ctx.database.begin() as session:
                _take(run, session, page)
                faults.point("custody.page")
            faults.point("custody.page.committed")
        if run.complete and alone is None:
            _ask_about_leavers(run, adapter, started)
        with ctx.database.begin() as session:
            sources.end(session, adapter.name, sources.CUSTODY, ctx.clock.now())
            if run.complete:
                _finish(run, session, started, custody=alone is None)
    except TovholderError as error:
        run.result.failure = str(error)
        with ctx.database.begin() as session:
            sources.failed(session, adapter.name, sources.CUSTODY, ctx.clock.now(), run.result.failure)
    return run.result


def _ask_about_leavers(run: Run, adapter: Adapter, started: datetime) -> None:
    """A guardian whom the source no longer names may be there under another number: then language, letters and answers
    stay theirs."""
    if not isinstance(adapter, KnowsPersons):
        return
    ctx = run.ctx
    with ctx.database.begin() as session:
        left = select(tables.Custody.guardian_id).where(*_unseen(run.children - run.spoilt, started))
        known = guardians.numbers_of(ctx, session, set(session.execute(left).scalars()))
    if not known:
        return
    for page in sources.pages(adapter.name, lambda: adapter.persons(frozenset(known))):
        with ctx.database.begin() as session:
            for record in page.records:
                if isinstance(record, PersonRecord) and record.cpr in known:
                    # A number that is none says nothing: whoever had custody has it no more.
                    with suppress(BadRecord):
                        guardians.renumber(ctx, session, known[record.cpr], matchable(record.current or record.cpr))


def _unseen(children: Set[UUID], started: datetime) -> tuple[ColumnElement[bool], ...]:
    """Custody of these children that a read which began then has not named."""
    return (
        among(tables.Custody.child_id, children),
        # As far ahead as no other machine's clock is: it was named when the clock was wrong.
        or_(tables.Custody.seen_at < started, tables.Custody.seen_at > started + CLOCKS_DIFFER),
        tables.Custody.until.is_(None),
    )


def _finish(run: Run, session: Session, started: datetime, *, custody: bool) -> None:
    """The end of a whole answer. Custody that it no longer names has ended; and the children have been asked for. What
    could not be read ends nobody's custody, and those it may be about are asked for again."""
    done = run.children - run.spoilt
    session.execute(
        delete(tables.ChildSource).where(
            tables.ChildSource.source == sources.MOVED, among(tables.ChildSource.child_id, run.children)
        )
    )
    if not custody:
        return
    day = today(run.ctx.clock)
    concerned = holders.concerned(session, done)
    before = events.guardians_of(session, concerned, day)
    if not _believed(run, session, done, started):
        return
    if not run.unreadable:
        session.execute(
            update(tables.Custody).where(*_unseen(done, started)).values(until=started.astimezone(DENMARK).date())
        )
        holders.drop(session, day, concerned)
    else:
        done &= run.about
    session.execute(
        delete(tables.ChildSource).where(
            tables.ChildSource.source == sources.UNKNOWN, among(tables.ChildSource.child_id, run.children)
        )
    )
    note(session, sources.CUSTODY, done, started)
    note(session, sources.UNKNOWN, run.children - done, started)
    run.mended(session, done, started)
    _log(session, holders.entries(run.ctx, session, before, events.guardians_of(session, concerned, day)))


def _believed(run: Run, session: Session, children: set[UUID], started: datetime) -> bool:
    """Whether the answer names enough of the custody that was known: a permission that was taken away looks just like
    everybody losing custody on one day. If not, nobody does, and all are asked for again."""
    state = sources.state(session, run.source, sources.CUSTODY)
    unseen = session.execute(select(func.count()).where(*_unseen(children, started))).scalar_one()
    state.known_rows = run.known
    section = run.ctx.plugins.sections.get(run.source)
    believed = guard.believe(state, 0 if run.unreadable else unseen, section, run.ctx.clock.now(), lambda: run.known)
    run.result.held = sources.held(state)
    return believed


def _log(session: Session, entries: list[log.SealedEntry]) -> None:
    """Takes the log's head, so it comes last in a transaction."""
    if entries:
        log.append(session, entries)


def _take(run: Run, session: Session, page: Page) -> None:
    """One page: who the children are now, their guardians and custodies, and of accepted children names; in a few
    statements for all of them. Whoever loses custody by it hears nothing more from here on."""
    ctx, day = run.ctx, today(run.ctx.clock)
    run.complete = page.complete
    entries = persons.take(run, session, [record for record in page.records if isinstance(record, PersonRecord)])
    records = list(_readable(run, session, page))
    run.result.read += len(records)
    if records:
        children = holders.concerned(session, {child for child, _token, _record in records})
        before = events.guardians_of(session, children, day) if children else {}
        _keep(run, session, records)
        if children:
            holders.drop(session, day, children)
            entries += holders.entries(ctx, session, before, events.guardians_of(session, children, day))
    _log(session, entries)


def _readable(run: Run, session: Session, page: Page) -> Iterator[tuple[UUID, bytes, GuardianRecord]]:
    """The page's custodies of children who were asked about; what cannot be read goes to quarantine."""
    for record in page.records:
        if isinstance(record, GuardianRecord):
            child = run.numbers.get(record.child_cpr)
            if child is None:
                continue  # not asked for: not ours to know
            try:
                guardian = matchable(record.guardian_cpr)
            except BadRecord as error:
                run.quarantine(session, Unreadable("", f"a guardian: {error}", repr(record).encode()), child)
                continue
            run.about.add(child)
            yield child, run.ctx.keys.lookup_token(guardian.digits), record
        elif isinstance(record, Unreadable):
            run.quarantine(session, record, run.numbers.get(record.cpr) if record.cpr is not None else None)


def _keep(run: Run, session: Session, records: list[tuple[UUID, bytes, GuardianRecord]]) -> None:
    """The guardians' rows and the custodies."""
    known = guardians.keep(run.ctx, session, {token: record for _child, token, record in records})
    made = insert(tables.Custody)
    rows = {
        (child, known[token]): {
            "child_id": child,
            "guardian_id": known[token],
            "since": record.since,
            "until": record.until,
            "seen_at": run.ctx.clock.now(),
        }
        for child, token, record in records
    }
    session.execute(
        made.on_conflict_do_update(
            index_elements=["child_id", "guardian_id"],
            set_={name: made.excluded[name] for name in ("since", "until", "seen_at")},
        ),
        list(rows.values()),
    )
