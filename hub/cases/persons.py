"""Who the children are, by a source such as CPR: another number, dead, and what they are called."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.access import log
from hub.access.askers import by_system
from hub.cases import numbers, sources
from hub.cases.custody_run import Run, matchable, note
from hub.cases.ending import end
from hub.context import Context
from hub.contract import PersonRecord, Unreadable
from hub.errors import BadRecord
from hub.store import tables
from hub.store.many import among
from hub.store.people import open_key, open_keys
from hub.vault import seal_json, unseal_json

DIED = "the child has died"


def take(run: Run, session: Session, records: list[PersonRecord]) -> list[log.SealedEntry]:
    """Who the children are now: another number, dead, and of those whose family has said yes the name. Gives what the
    log is to say."""
    changes = numbers.Changes()
    persons: dict[UUID, PersonRecord] = {}
    for record in records:
        child = run.numbers.get(record.cpr)
        if child is None:
            continue  # not asked for: not ours to know
        if record.current not in (None, record.cpr):
            try:
                new = matchable(record.current or "")
            except BadRecord as error:
                reason = f"the number the child has now: {error}"
                run.quarantine(session, Unreadable("", reason, repr(record).encode()), child)
                continue
            numbers.renumber(run.ctx, session, child, new, changes)
            run.follow(changes.merged)
            child = run.numbers[record.cpr]
        persons[child] = record
    dead = {child for child, record in persons.items() if record.dead}
    entries = changes.entries + [entry for child in sorted(dead) for entry in _died(run.ctx, session, child)]
    _name(run.ctx, session, {child: record for child, record in persons.items() if not record.dead})
    return entries


def _died(ctx: Context, session: Session, child_id: UUID) -> list[log.SealedEntry]:
    """A child that has died is offered nothing and nothing is written about it. Once."""
    now = ctx.clock.now()
    offer = session.execute(
        select(tables.Offer).where(tables.Offer.child_id == child_id).with_for_update()
    ).scalar_one_or_none()
    if offer is None:
        session.add(tables.Offer(child_id=child_id, state="died", found_at=now, answered_at=now))
        session.flush()
        return []
    if offer.state not in ("waiting", "offered", "accepted"):
        return []
    end(ctx, session, offer, "died", DIED)
    row = session.get_one(tables.Child, child_id)
    child_key = (row.key_id, open_key(session, ctx.keys, row.key_id))
    return [by_system(session, ctx.keys, now, "assignment", child_id, child_key, {"ended": "died"})]


def _name(ctx: Context, session: Session, persons: dict[UUID, PersonRecord]) -> None:
    """Keep the names and protection of those whose family has said yes, beside the number."""
    in_scheme = select(tables.Assignment.child_id).where(
        among(tables.Assignment.child_id, persons), tables.Assignment.until.is_(None)
    )
    accepted = set(session.execute(in_scheme).scalars()) if persons else set()
    if not accepted:
        return
    rows = session.execute(select(tables.Child).where(among(tables.Child.id, accepted))).scalars().all()
    keys = open_keys(session, ctx.keys, (row.key_id for row in rows))
    for row in rows:
        if row.key_id not in keys:
            continue
        fields = unseal_json(keys[row.key_id], row.sealed, f"child:{row.id}")
        wanted = fields | {"name": persons[row.id].name, "protected": persons[row.id].protected}
        if wanted != fields:
            row.sealed = seal_json(keys[row.key_id], wanted, f"child:{row.id}")
    note(session, sources.NAME, accepted, ctx.clock.now())
