"""Custody: who are the guardians of the children in the target group, from the sources that know (CPR).

A source without an administration is read for the children asked for, and for no other. A parent is a guardian only
with custody. Names and protection of the child are kept only once the family has said yes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from hub.cases import quarantine, sources
from hub.clock import DENMARK
from hub.context import Context
from hub.contract import Adapter, GuardianRecord, Page, Unreadable
from hub.errors import BadRecord, TovholderError
from hub.identity import parse
from hub.store import tables
from hub.store.people import make_key, open_keys
from hub.vault import seal_json, unseal_json


@dataclass(slots=True)
class CustodyRead:
    source: str
    read: int = 0
    quarantined: int = 0
    failure: str | None = None


def read_custody(ctx: Context, children: set[UUID]) -> list[CustodyRead]:
    """Ask every custody source about these children (row ids). A source that fails leaves what was known."""
    results = []
    for adapter in ctx.plugins.adapters.values():
        if adapter.administration is None and children:
            results.append(_read(ctx, adapter, children))
    return results


def unread(session: Session) -> set[UUID]:
    """Children in the target group whose guardians have never been asked for."""
    asked = select(tables.ChildSource.child_id).where(tables.ChildSource.source == sources.CUSTODY)
    return set(
        session.execute(select(tables.Child.id).where(tables.Child.eligible, tables.Child.id.not_in(asked))).scalars()
    )


def _read(ctx: Context, adapter: Adapter, children: set[UUID]) -> CustodyRead:
    result = CustodyRead(adapter.name)
    started = ctx.clock.now()
    with ctx.database.begin() as session:
        numbers = numbers_of(ctx, session, children)
        accepted = set(
            session.execute(select(tables.Assignment.child_id).where(tables.Assignment.until.is_(None))).scalars()
        )
    try:
        for page in adapter.read(None, frozenset(numbers)):
            with ctx.database.begin() as session:
                _take(ctx, session, adapter.name, page, numbers, accepted, result)
        with ctx.database.begin() as session:
            sources.end(session, adapter.name, sources.CUSTODY, ctx.clock.now())
            _end_unseen(session, children, started)
    except TovholderError as error:
        result.failure = str(error)
        with ctx.database.begin() as session:
            sources.failed(session, adapter.name, sources.CUSTODY, ctx.clock.now(), result.failure)
    return result


def _end_unseen(session: Session, children: set[UUID], started: datetime) -> None:
    """Custody that the source no longer names has ended; and the children have been asked for."""
    session.execute(
        update(tables.Custody)
        .where(tables.Custody.child_id.in_(children), tables.Custody.seen_at < started, tables.Custody.until.is_(None))
        .values(until=started.astimezone(DENMARK).date())
    )
    rows = [{"child_id": child, "source": sources.CUSTODY, "read_at": started} for child in sorted(children)]
    session.execute(insert(tables.ChildSource).values(rows).on_conflict_do_nothing())


def numbers_of(ctx: Context, session: Session, children: set[UUID]) -> dict[str, UUID]:
    """The children's numbers, opened: number → row id. For the one call that needs them; never stored."""
    rows = session.execute(select(tables.Child).where(tables.Child.id.in_(children))).scalars().all()
    opened = open_keys(session, ctx.keys, (row.key_id for row in rows))
    return {
        unseal_json(opened[row.key_id], row.sealed, f"child:{row.id}")["cpr"]: row.id
        for row in rows
        if row.key_id in opened
    }


def _take(
    ctx: Context,
    session: Session,
    source: str,
    page: Page,
    numbers: dict[str, UUID],
    accepted: set[UUID],
    result: CustodyRead,
) -> None:
    now = ctx.clock.now()
    for record in page.records:
        if isinstance(record, GuardianRecord):
            child = numbers.get(record.child_cpr)
            if child is None:
                continue  # not asked for: not ours to know
            try:
                guardian = _guardian(ctx, session, record)
            except BadRecord as error:
                reference = ctx.keys.refer(source, record.source_id).hex()
                kept = Unreadable(f"custody {reference}", str(error), repr(record).encode())
                result.quarantined += quarantine.keep(session, ctx.keys, source, kept, now)
                continue
            result.read += 1
            _custody(session, child, guardian, record, now)
            if child in accepted:
                name_child(ctx, session, child, record)
        elif isinstance(record, Unreadable):
            result.quarantined += quarantine.keep(session, ctx.keys, source, record, now)


def _guardian(ctx: Context, session: Session, record: GuardianRecord) -> UUID:
    digits = parse(record.guardian_cpr).digits
    token = ctx.keys.lookup_token(digits)
    fields = {
        "cpr": digits,
        "name": record.guardian_name,
        "protected": record.protected,
        "digital_post": record.digital_post,
    }
    row = session.execute(select(tables.Guardian).where(tables.Guardian.token == token)).scalar_one_or_none()
    if row is None:
        key_id, key = make_key(session, ctx.keys)
        session.flush()
        row = tables.Guardian(id=uuid4(), token=token, key_id=key_id, sealed=b"", language="da")
        row.sealed = seal_json(key, fields, f"guardian:{row.id}")
        session.add(row)
        session.flush()
        return row.id
    key = open_keys(session, ctx.keys, [row.key_id])[row.key_id]
    if unseal_json(key, row.sealed, f"guardian:{row.id}") != fields:
        row.sealed = seal_json(key, fields, f"guardian:{row.id}")
    return row.id


def _custody(session: Session, child: UUID, guardian: UUID, record: GuardianRecord, now: datetime) -> None:
    values = {"since": record.since, "until": record.until, "seen_at": now}
    session.execute(
        insert(tables.Custody)
        .values(child_id=child, guardian_id=guardian, **values)
        .on_conflict_do_update(index_elements=["child_id", "guardian_id"], set_=values)
    )


def name_child(ctx: Context, session: Session, child_id: UUID, record: GuardianRecord) -> None:
    """Keep an accepted child's name and protection beside the number."""
    row = session.get_one(tables.Child, child_id)
    key = open_keys(session, ctx.keys, [row.key_id])[row.key_id]
    fields = unseal_json(key, row.sealed, f"child:{row.id}")
    wanted = fields | {"name": record.child_name, "protected": record.child_protected}
    if wanted != fields:
        row.sealed = seal_json(key, wanted, f"child:{row.id}")
