"""What follows when custody begins or ends: who no longer has it hears nothing more, who has it now is told what is
due, and a child with nobody is a task, not silence.

Custody also begins and ends on a date that was known before, without anybody asking; so this looks at all children with
an offer, every time custody has been read.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import ColumnElement, and_, exists, or_, select, update
from sqlalchemy.orm import Session

from hub.access import log
from hub.access.askers import by_system
from hub.cases import events, kinds, sources
from hub.cases.deadlines import add_working_days
from hub.clock import today
from hub.context import Context
from hub.store import tables, tasks
from hub.store.many import among
from hub.store.people import open_keys

NO_GUARDIAN = "no_guardian"
"""The task that a child has nobody with custody whom a letter can reach, as far as CPR can be read."""
KIND = "custody"
"""What an entry about custody that began or ended is called in the access log."""


@dataclass(frozen=True, slots=True)
class Settled:
    told: int
    """Events for those who have custody now and had been told nothing."""
    tasks: int
    """Children with nobody, for a person to look at."""


def concerned(session: Session, children: set[UUID]) -> set[UUID]:
    """Those of the children who have an offer or a coordinator: of them somebody hears something, and sees a page."""
    found = select(tables.Offer.child_id).where(
        among(tables.Offer.child_id, children), tables.Offer.state.in_(("offered", "accepted"))
    )
    return set(session.execute(found).scalars()) if children else set()


def drop(session: Session, day: date, children: Iterable[UUID] | None = None) -> None:
    """What waits for somebody without custody of the child ends here, with the reason."""
    waiting = select(tables.Bundle.id).where(tables.Bundle.composed_at.is_(None))
    mine = exists().where(
        tables.Custody.child_id == tables.Event.child_id,
        tables.Custody.guardian_id == tables.Event.guardian_id,
        tables.Custody.holds(day),
    )
    lost: list[ColumnElement[bool]] = [tables.Event.bundle_id.in_(waiting), ~mine]
    if children is not None:
        lost.append(tables.Event.child_id.in_(children))
    session.execute(update(tables.Event).where(*lost).values(bundle_id=None, why_not=events.NO_CUSTODY))


def entries(
    ctx: Context, session: Session, before: dict[UUID, list[UUID]], after: dict[UUID, list[UUID]]
) -> list[log.SealedEntry]:
    """For the log: whose custody of which child began or ended. To be added last."""
    changed = {child for child in before.keys() | after.keys() if before.get(child) != after.get(child)}
    if not changed:
        return []
    rows = session.execute(select(tables.Child).where(among(tables.Child.id, changed))).scalars().all()
    keys = open_keys(session, ctx.keys, (row.key_id for row in rows))
    made = []
    for row in sorted(rows, key=lambda row: row.id):
        if row.key_id not in keys:
            continue
        had, has = set(before.get(row.id, ())), set(after.get(row.id, ()))
        made.append(
            by_system(
                session,
                ctx.keys,
                ctx.clock.now(),
                KIND,
                row.id,
                (row.key_id, keys[row.key_id]),
                {"began": sorted(map(str, has - had)), "ended": sorted(map(str, had - has))},
            )
        )
    return made


def settle(ctx: Context, session: Session) -> Settled:
    """Bring all children with an offer to where custody stands today."""
    day, now = today(ctx.clock), ctx.clock.now()
    drop(session, day)
    return Settled(_tell(ctx, session, day), _tasks(ctx, session, day, now))


def _tell(ctx: Context, session: Session, day: date) -> int:
    """Whoever has custody today of a child with an offer or a coordinator, and has been told nothing about it: the
    offer, with all the time others had to answer it; or the receipt."""
    told = exists().where(
        tables.Event.child_id == tables.Custody.child_id,
        tables.Event.guardian_id == tables.Custody.guardian_id,
        tables.Event.kind.in_((kinds.OFFERED, kinds.ASSIGNED)),
        or_(tables.Event.why_not.is_(None), tables.Event.why_not != events.NO_CUSTODY),
    )
    rows = session.execute(
        select(tables.Custody.guardian_id, tables.Offer)
        .join(tables.Offer, tables.Offer.child_id == tables.Custody.child_id)
        .where(tables.Offer.state.in_(("offered", "accepted")), tables.Custody.holds(day), ~told)
        .order_by(tables.Offer.child_id, tables.Custody.guardian_id)
        .with_for_update(of=tables.Offer)
    ).all()
    news = []
    answer_by = add_working_days(day, ctx.settings.coordination.answer_working_days)
    for guardian, offer in rows:
        kind = kinds.OFFERED if offer.state == "offered" else kinds.ASSIGNED
        news.append(events.News(kind, offer.child_id, f"custody:{guardian}:{day}", only=guardian))
        if offer.state == "offered":
            offer.answer_by = max(offer.answer_by or answer_by, answer_by)
    session.flush()
    return events.record(ctx, session, news)


def wanted() -> ColumnElement[bool]:
    """Of tables.Child: whose guardians the hub should know: everybody in the target group and everybody with an open
    offer or a coordinator; nobody whose family has said no, and nobody whose part has ended."""
    open_offers = select(tables.Offer.child_id).where(tables.Offer.state.in_(("waiting", "offered", "accepted")))
    ended = select(tables.Offer.child_id).where(tables.Offer.state.not_in(("waiting", "offered", "accepted")))
    return and_(or_(tables.Child.eligible, tables.Child.id.in_(open_offers)), tables.Child.id.not_in(ended))


def _tasks(ctx: Context, session: Session, day: date, now: datetime) -> int:
    """A task for each child who has been asked about and has nobody: the coordinator's, else an operator's. Done when
    somebody has custody again, or the child is none of the hub's business any more."""
    holds = exists().where(tables.Custody.child_id == tables.Child.id, tables.Custody.holds(day))
    asked = exists().where(
        tables.ChildSource.child_id == tables.Child.id,
        tables.ChildSource.source.in_((sources.CUSTODY, sources.UNKNOWN)),
    )
    alone = set(session.execute(select(tables.Child.id).where(wanted(), asked, ~holds)).scalars())
    session.execute(
        update(tables.Task)
        .where(tables.Task.kind == NO_GUARDIAN, tables.Task.done_at.is_(None), tables.Task.child_id.not_in(alone))
        .values(done_at=now)
    )
    if not alone:
        return 0
    coordinators = dict(
        session.execute(
            select(tables.Offer.child_id, tables.Offer.coordinator_id).where(among(tables.Offer.child_id, alone))
        )
        .tuples()
        .all()
    )
    about = {str(child): {"staff_id": coordinators.get(child), "child_id": child} for child in sorted(alone)}
    tasks.put(session, ctx.keys, now, NO_GUARDIAN, about, again=True)
    return len(about)
