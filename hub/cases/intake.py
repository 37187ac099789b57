"""Intake: one page of cases, sorted out, compared with what is known and kept, with the events it makes. What is not
asked for is not kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import delete, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from hub.cases import events, health, owed, quarantine, sources
from hub.cases.advisers import StaffKeeper
from hub.cases.changes import case_fields, deadline_of, digest_of, news_of
from hub.clock import today
from hub.context import Context
from hub.contract import Adapter, CaseRecord, Gone, Page, State, Unreadable
from hub.notices import record as notices
from hub.store import tables
from hub.store.many import among
from hub.vault import seal_json, unseal_json


@dataclass(slots=True)
class Child:
    id: UUID
    key: bytes
    is_new: bool
    """Not read from this source before: what is there is no news."""


@dataclass(slots=True)
class Run:
    """One read of one source, for the children asked for (by number)."""

    ctx: Context
    adapter: Adapter
    children: dict[str, Child]
    staff: StaffKeeper
    result: sources.Read
    at: datetime
    """The stamp of what it shows."""
    times: dict[bytes, datetime] = field(default_factory=dict)
    """By the source's own clock, of the newest word about each case."""

    def is_newest(self, reference: bytes, time: datetime | None) -> bool:
        """Whether a word about a case is none older than those before; one that does not say when counts in the order
        of the read."""
        before = self.times.get(reference)
        if time is not None:
            if before is not None and time < before:
                self.result.older += 1
                return False
            self.times[reference] = time
        return True


@dataclass(slots=True)
class _Page:
    """A page sorted out, by reference: of several words about a case, the newest; else the last."""

    records: dict[bytes, CaseRecord] = field(default_factory=dict)
    gone: set[bytes] = field(default_factory=set)
    elsewhere: set[bytes] = field(default_factory=set)
    """About somebody who was not asked for: if the hub has it, it has moved away from the child it was about."""
    unreadable: list[Unreadable] = field(default_factory=list)


def take(run: Run, session: Session, page: Page, quiet: Set[str]) -> None:
    """Keep one page. What is new of the kinds in `quiet` is no news: those kinds have come onto the list just now."""
    ctx, keys, source = run.ctx, run.ctx.keys, run.adapter.name
    run.result.ignored += page.ignored
    found = _sort(run, page)
    _still_asked_for(run, session, found)
    quarantine.meet(session, keys, source, found.unreadable, run.at, sources.CASES, run.result)
    run.result.read += len(found.records)
    news = _store(run, session, found.records, quiet)
    unread = {keys.refer(source, bad.source_id) for bad in found.unreadable if bad.source_id is not None}
    _stamp(
        session, source, {**dict.fromkeys(unread), **{ref: one.changed for ref, one in found.records.items()}}, run.at
    )
    quarantine.mend(session, source, sources.CASES, (found.records.keys() | found.gone) - unread, ctx.clock.now())
    run.result.events += events.record(ctx, session, (replace(item, source=source) for item in news))
    # Only now, see hub.cases.ending: families' bundles before cases.
    run.result.gone += forget(ctx, session, source, found.gone)
    known = {child.id for child in run.children.values()}
    run.result.gone += forget(ctx, session, source, found.elsewhere, of=known, goes_on=True)


def _sort(run: Run, page: Page) -> _Page:
    found, source = _Page(), run.adapter.name
    listed = sources.listed(run.ctx.plugins.sections, source)
    for record in page.records:
        if isinstance(record, Unreadable):
            found.unreadable.append(record)
        elif isinstance(record, CaseRecord | Gone):
            reference = run.ctx.keys.refer(source, record.source_id)
            if not run.is_newest(reference, record.time if isinstance(record, Gone) else record.changed):
                continue
            found.records.pop(reference, None)
            found.gone.discard(reference)
            found.elsewhere.discard(reference)
            if isinstance(record, Gone):
                found.gone.add(reference)
            elif record.cpr not in run.children:
                found.elsewhere.add(reference)
            elif listed is not None and record.kind not in listed:
                # The adapter leaves such cases out; the hub does not rely on it.
                run.result.ignored += 1
                found.gone.add(reference)
            else:
                found.records[reference] = record
    return found


def _still_asked_for(run: Run, session: Session, found: _Page) -> None:
    """Leave out children whose family has taken its yes or its consent back since the read began. Who does so from here
    on waits for this page's commit, and then takes away what it brought."""
    ids = {run.children[record.cpr].id for record in found.records.values()}
    if not ids:
        return
    left = ids - health.readable(run.ctx, session, run.adapter, _hold(session, ids))
    for reference in [ref for ref, record in found.records.items() if run.children[record.cpr].id in left]:
        del found.records[reference]


def _hold(session: Session, children: Set[UUID]) -> set[UUID]:
    """Those of them that have a coordinator, and will until this page is committed."""
    in_scheme = select(tables.Assignment.child_id).where(
        among(tables.Assignment.child_id, children), tables.Assignment.until.is_(None)
    )
    return set(session.execute(in_scheme.with_for_update(read=True)).scalars())


def _store(run: Run, session: Session, records: dict[bytes, CaseRecord], quiet: Set[str]) -> list[events.News]:
    """Keep what is new or changed, all in two statements, and give what it is worth telling."""
    ctx, source = run.ctx, run.adapter.name
    rows = session.execute(
        select(tables.Case).where(tables.Case.source == source, among(tables.Case.reference, records))
    ).scalars()
    known = {row.reference: row for row in rows}
    for reference, row in known.items():
        changed = records[reference].changed
        if changed is not None and row.changed is not None and changed < row.changed:
            # It is there, but this is an older version than the hub's.
            run.result.older += 1
            del records[reference]
            _stamp(session, source, {reference: None}, run.at)
    moved = {ref for ref, row in known.items() if ref in records and row.child_id != run.children[records[ref].cpr].id}
    if moved:
        # It was registered on the wrong child: gone for that one, new for this one. That one's family may say no just
        # now: it waits for this page, as those of the page's own children do, and does not hold what the page needs.
        _hold(session, {known[ref].child_id for ref in moved})
        forget(ctx, session, source, moved, goes_on=True)
        known = {ref: row for ref, row in known.items() if ref not in moved}
    section = ctx.plugins.sections.get(source)
    news: list[events.News] = []
    values: list[dict[str, Any]] = []
    advised: list[notices.Found] = []
    for reference, record in records.items():
        child = run.children[record.cpr]
        digest = digest_of(ctx.keys, record)
        before = known.get(reference)
        if before is not None and before.digest == digest:
            continue
        run.result.changed += 1
        deadline = deadline_of(record, section)
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
                "changed": record.changed,
                "seen_at": run.at,
            }
        )
        if adviser is not None and record.state is not State.CLOSED:
            advised.append(
                notices.Found(
                    case_id,
                    child.id,
                    child.key,
                    source,
                    run.adapter.administration or "",
                    reference,
                    record.source_id,
                    adviser,
                )
            )
        if not child.is_new and not (before is None and record.kind in quiet):
            old = unseal_json(child.key, before.sealed, f"case:{case_id}") if before is not None else None
            changed_adviser = before is not None and before.adviser_id != adviser and adviser is not None
            news += news_of(child.id, case_id, old, fields, changed_adviser, today(ctx.clock))
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
    notices.assigned(session, ctx.keys, ctx.clock.now(), advised)
    return news


_STAMP = text("""
UPDATE case_index SET seen_at = :at, changed = greatest(case_index.changed, shown.changed)
FROM unnest(CAST(:references AS bytea[]), CAST(:times AS timestamptz[])) AS shown(reference, changed)
WHERE case_index.source = :source AND case_index.reference = shown.reference
""")


def _stamp(session: Session, source: str, shown: dict[bytes, datetime | None], at: datetime) -> None:
    """These are there, changed or not."""
    if shown:
        session.execute(_STAMP, {"source": source, "references": list(shown), "times": list(shown.values()), "at": at})


def unlisted(session: Session, source: str, children: Iterable[Child], listed: Set[str]) -> set[bytes]:
    """The references of cases of these children whose kind is not on the list."""
    keys = {child.id: child.key for child in children}
    rows: Sequence[tables.Case] = (
        session.execute(select(tables.Case).where(tables.Case.source == source, among(tables.Case.child_id, keys)))
        .scalars()
        .all()
    )
    return {
        row.reference
        for row in rows
        if unseal_json(keys[row.child_id], row.sealed, f"case:{row.id}")["kind"] not in listed
    }


def forget(
    ctx: Context,
    session: Session,
    source: str,
    references: Set[bytes],
    *,
    of: Set[UUID] | None = None,
    goes_on: bool = False,
) -> int:
    """What the source no longer shows is no longer told: its waiting events end, the case goes. What a law owes of it
    is the administration's task, unless the case `goes_on` as another child's. `of`: only of these children.
    Gives how many."""
    if not references:
        return 0
    wanted = select(tables.Case.id).where(tables.Case.source == source, among(tables.Case.reference, references))
    if of is not None:
        wanted = wanted.where(among(tables.Case.child_id, of))
    found = session.execute(wanted).scalars().all()
    if not goes_on:
        owed.give_back(ctx, session, among(tables.Event.case_id, found))
    for case in found:
        events.drop_waiting(session, events.CASE_GONE, case=case)
    session.execute(delete(tables.Case).where(among(tables.Case.id, found)))
    return len(found)
