"""Sync: read the cases of the children whose family has said yes, see what is new, and make it events.

Each page is one transaction: its cases, the events they make, and the cursor. A child's first read from a source is no
news; after that, every change is told once. What is not asked for is not kept.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Set
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from hub.cases import events, quarantine, sources
from hub.cases.advisers import StaffKeeper
from hub.cases.deadlines import published_deadline
from hub.cases.numbers import numbers_of
from hub.clock import today
from hub.context import Context
from hub.contract import Adapter, CaseRecord, Gone, Page, State, Unreadable
from hub.errors import TovholderError
from hub.reading import SourceSettings
from hub.store import tables
from hub.store.people import open_keys
from hub.vault import seal_json, unseal_json

FULL_READ_EVERY = timedelta(days=7)


@dataclass(slots=True)
class Synced:
    """What came of reading one source's cases."""

    source: str
    read: int = 0
    changed: int = 0
    events: int = 0
    quarantined: int = 0
    ignored: int = 0
    gone: int = 0
    failure: str | None = None
    busy: bool = False


@dataclass(slots=True)
class _Child:
    id: UUID
    key: bytes
    is_new: bool
    """Not read from this source before: what is there is no news."""


@dataclass(slots=True)
class _Run:
    ctx: Context
    adapter: Adapter
    children: dict[str, _Child]
    staff: StaffKeeper
    result: Synced
    seen: set[bytes]


def sync(ctx: Context, names: Iterable[str] = ()) -> list[Synced]:
    """Read the named sources (all with an administration when none is named), each by itself."""
    wanted = set(names) or set(ctx.plugins.adapters)
    adapters = [
        adapter
        for adapter in ctx.plugins.adapters.values()
        if adapter.name in wanted and adapter.administration is not None
    ]
    return sources.side_by_side(
        ctx.database,
        sources.CASES,
        adapters,
        lambda adapter: _sync(ctx, adapter),
        lambda name: Synced(name, busy=True),
    )


def _sync(ctx: Context, adapter: Adapter) -> Synced:
    result = Synced(adapter.name)
    try:
        with ctx.database.begin() as session:
            children = _children(ctx, session, adapter.name)
            if not children:
                return result
            # Somebody new needs all there is; one full read then serves the others' changes too.
            anew = any(child.is_new for child in children.values())
            start = sources.begin(session, adapter.name, sources.CASES, ctx.clock.now(), FULL_READ_EVERY, anew=anew)
        _read(
            _Run(ctx, adapter, children, StaffKeeper(ctx, adapter.name, adapter.administration), result, set()), start
        )
        with ctx.database.begin() as session:
            sources.end(session, adapter.name, sources.CASES, ctx.clock.now())
    except TovholderError as error:
        result.failure = str(error)
        with ctx.database.begin() as session:
            sources.failed(session, adapter.name, sources.CASES, ctx.clock.now(), result.failure)
    return result


def _children(ctx: Context, session: Session, source: str) -> dict[str, _Child]:
    """The children with a coordinator, by number: opened for this read only."""
    ids = set(session.execute(select(tables.Assignment.child_id).where(tables.Assignment.until.is_(None))).scalars())
    numbers = numbers_of(ctx, session, ids, former=True)
    known = set(
        session.execute(select(tables.ChildSource.child_id).where(tables.ChildSource.source == source)).scalars()
    )
    key_ids = dict(
        session.execute(select(tables.Child.id, tables.Child.key_id).where(tables.Child.id.in_(ids))).tuples().all()
    )
    keys = open_keys(session, ctx.keys, key_ids.values())
    return {digits: _Child(child, keys[key_ids[child]], child not in known) for digits, child in numbers.items()}


def _read(run: _Run, start: sources.Start) -> None:
    """One read; when it has come to its end, the new children have been read once."""
    for page in sources.pages(run.adapter.name, lambda: run.adapter.read(start.cursor, frozenset(run.children))):
        with run.ctx.database.begin() as session:
            _take(run, session, page, whole=page.complete and not start.resumed)
            state = sources.state(session, run.adapter.name, sources.CASES)
            state.cursor = page.cursor
            if page.complete:
                state.under_way = False
                state.full_at = state.full_at if start.resumed else run.ctx.clock.now()
    rows = [
        {"child_id": child.id, "source": run.adapter.name, "read_at": run.ctx.clock.now()}
        for child in run.children.values()
        if child.is_new
    ]
    if rows:
        with run.ctx.database.begin() as session:
            session.execute(insert(tables.ChildSource).values(rows).on_conflict_do_nothing())


def _take(run: _Run, session: Session, page: Page, *, whole: bool) -> None:
    now, keys, source = run.ctx.clock.now(), run.ctx.keys, run.adapter.name
    run.result.ignored += page.ignored
    section = run.ctx.plugins.sections.get(source)
    listed = section.kinds if isinstance(section, SourceSettings) else None
    records: dict[bytes, CaseRecord] = {}
    gone: set[bytes] = set()
    for record in page.records:  # a page's last word counts
        if isinstance(record, CaseRecord) and record.cpr in run.children:
            reference = keys.refer(source, record.source_id)
            records.pop(reference, None)
            if listed is not None and record.kind not in listed:
                # The adapter leaves such cases out; the hub does not rely on it.
                run.result.ignored += 1
                gone.add(reference)
            else:
                gone.discard(reference)
                records[reference] = record
        elif isinstance(record, Gone):
            reference = keys.refer(source, record.source_id)
            gone.add(reference)
            records.pop(reference, None)
        elif isinstance(record, Unreadable):
            run.result.quarantined += quarantine.keep(session, keys, source, record, now)
            if record.source_id is not None:
                run.seen.add(keys.refer(source, record.source_id))  # there, only not readable today
    run.result.read += len(records)
    run.seen |= records.keys()
    news = _store(run, session, records)
    if whole:
        # All that is there has been seen in this read: what was not is gone.
        ids = [child.id for child in run.children.values()]
        unseen = select(tables.Case.reference).where(
            tables.Case.source == source, tables.Case.child_id.in_(ids), tables.Case.reference.not_in(run.seen)
        )
        gone.update(session.execute(unseen).scalars())
    if gone:
        run.result.gone += _forget(session, source, gone)
    run.result.events += events.record(session, keys, now, run.ctx.settings.letters.window_working_days, news)


def _store(run: _Run, session: Session, records: dict[bytes, CaseRecord]) -> list[events.News]:
    """Keep what is new or changed, all in two statements, and give what it is worth telling."""
    ctx, source = run.ctx, run.adapter.name
    rows = session.execute(
        select(tables.Case).where(tables.Case.source == source, tables.Case.reference.in_(records))
    ).scalars()
    known = {row.reference: row for row in rows}
    moved = {ref for ref, row in known.items() if row.child_id != run.children[records[ref].cpr].id}
    if moved:
        # It was registered on the wrong child: gone for that one, new for this one.
        _forget(session, source, moved)
        known = {ref: row for ref, row in known.items() if ref not in moved}
    section = ctx.plugins.sections.get(source)
    news: list[events.News] = []
    values: list[dict[str, Any]] = []
    for reference, record in records.items():
        child = run.children[record.cpr]
        digest = _digest(ctx, record)
        before = known.get(reference)
        if before is not None and before.digest == digest:
            continue
        run.result.changed += 1
        deadline = _deadline(record, section)
        case_id = before.id if before is not None else uuid4()
        adviser = run.staff.keep(session, record.adviser)
        fields = case_fields(record, deadline)
        values.append(
            {
                "id": case_id,
                "child_id": child.id,
                "source": source,
                "reference": reference,
                "administration": run.adapter.administration,
                "adviser_id": adviser,
                "is_open": record.state is not State.CLOSED,
                "deadline": deadline,
                "sealed": seal_json(child.key, fields, f"case:{case_id}"),
                "digest": digest,
            }
        )
        if not child.is_new:
            old = unseal_json(child.key, before.sealed, f"case:{case_id}") if before is not None else None
            changed_adviser = before is not None and before.adviser_id != adviser and adviser is not None
            news += _news(child.id, case_id, old, fields, changed_adviser, today(ctx.clock))
    session.flush()
    if values:
        made = insert(tables.Case)
        changeable = ("adviser_id", "is_open", "deadline", "sealed", "digest")
        session.execute(
            made.on_conflict_do_update(
                index_elements=["source", "reference"], set_={name: made.excluded[name] for name in changeable}
            ),
            values,
        )
    return news


def case_fields(record: CaseRecord, deadline: date | None) -> dict[str, str | None]:
    """What is sealed of a case: a kind from the list, a state, dates."""
    return {
        "kind": record.kind,
        "state": record.state.value,
        "opened": _text(record.opened),
        "closed": _text(record.closed),
        "follow_up": _text(record.follow_up),
        "deadline": _text(deadline),
    }


def _text(day: date | None) -> str | None:
    return day.isoformat() if day is not None else None


def _digest(ctx: Context, record: CaseRecord) -> bytes:
    # `changed` is left out: a source may touch a case without changing anything the hub knows of it.
    fields = {name: value for name, value in asdict(record).items() if name != "changed"}
    return hmac.digest(ctx.keys.reference, repr(fields).encode(), "sha256")


def _deadline(record: CaseRecord, section: Any) -> date | None:
    """The case's own deadline, else the published one; none once there is a decision."""
    if record.state in (State.DECIDED, State.CLOSED):
        return None
    if record.deadline is not None:
        return record.deadline
    kinds = section.kinds if isinstance(section, SourceSettings) else {}
    return published_deadline(record.opened, kinds.get(record.kind)) if record.state is State.APPLIED else None


def _news(
    child: UUID, case: UUID, old: dict[str, Any] | None, new: dict[str, Any], changed_adviser: bool, day: date
) -> list[events.News]:
    """What a change is worth telling. `what` names the case, the new value and the day: a source that goes back and
    forth within a day is told once, and what changes back later is news again."""
    if old is None:
        return [events.News(events.CASE_OPENED, child, str(case), case)]
    told = []
    if old["state"] != new["state"]:
        if new["state"] == State.CLOSED:
            told.append(events.News(events.CASE_CLOSED, child, f"{case}:{day}", case))
        elif old["state"] == State.APPLIED:
            told.append(events.News(events.DECIDED, child, f"{case}:{day}", case))
    if changed_adviser:
        told.append(events.News(events.ADVISER_CHANGED, child, f"{case}:{uuid4()}", case))
    if new["deadline"] is not None and old["deadline"] != new["deadline"]:
        told.append(events.News(events.DEADLINE_MOVED, child, f"{case}:{new['deadline']}:{day}", case))
    return told


def _forget(session: Session, source: str, references: Set[bytes]) -> int:
    """What the source no longer shows is no longer told: its waiting events end, the case goes."""
    found = (
        session.execute(
            select(tables.Case.id).where(tables.Case.source == source, tables.Case.reference.in_(references))
        )
        .scalars()
        .all()
    )
    for case in found:
        events.drop_waiting(session, events.CASE_GONE, case=case)
    session.execute(delete(tables.Case).where(tables.Case.id.in_(found)))
    return len(found)


def freshness(session: Session) -> dict[str, tuple[datetime | None, str | None]]:
    """When each source last answered (UTC), and its failure if it does not now."""
    rows = session.execute(select(tables.SourceState).where(tables.SourceState.purpose == sources.CASES)).scalars()
    return {row.source: (row.answered_at, row.failure) for row in rows}
