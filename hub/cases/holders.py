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

from sqlalchemy import ColumnElement, and_, case, exists, func, or_, select, update
from sqlalchemy.orm import Session, aliased

from hub.access import log
from hub.access.askers import by_system
from hub.cases import events, hearing, kinds, sources
from hub.cases.deadlines import add_working_days
from hub.cases.events import NO_CUSTODY, NOT_THEIRS
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
    """What waits for somebody who does not hear of the child any more ends here, with the reason."""
    waiting = select(tables.Bundle.id).where(tables.Bundle.composed_at.is_(None))
    mine = hearing.hears(tables.Event.child_id, tables.Event.guardian_id, day)
    # Their own answers they read also while a representative hears instead.
    own = and_(
        tables.Event.kind.in_(kinds.ANSWERS),
        hearing.hears(tables.Event.child_id, tables.Event.guardian_id, day, replaced=True),
    )
    lost: list[ColumnElement[bool]] = [tables.Event.bundle_id.in_(waiting), ~or_(mine, own)]
    if children is not None:
        lost.append(tables.Event.child_id.in_(children))
    by_mandate = exists().where(
        tables.Hears.child_id == tables.Event.child_id, tables.Hears.person_id == tables.Event.guardian_id
    )
    why = case(
        (or_(by_mandate, tables.Custody.is_held(tables.Event.child_id, tables.Event.guardian_id, day)), NOT_THEIRS),
        else_=NO_CUSTODY,
    )
    session.execute(update(tables.Event).where(*lost).values(bundle_id=None, why_not=why))


def hand_on(session: Session, now: datetime, day: date, child: UUID | None = None) -> None:
    """Where letters go to a representative instead, what waits goes there too; where they did and do no more, it goes
    back to the one whose mandate it was. Of one child, or of all."""
    row, young = tables.Hears, aliased(tables.Hears)
    own = select(young.person_id).where(young.child_id == row.child_id, young.capacity == "young").scalar_subquery()
    of_one = [row.child_id == child] if child is not None else []
    found = session.execute(
        select(row.child_id, row.person_id, func.coalesce(row.principal_id, own).label("whose"))
        .where(row.instead, *of_one)
        .distinct()
    ).all()
    hears = hearing.of_children(session, {one.child_id for one in found}, day)
    for one in found:
        now_hears = hears.get(one.child_id, [])
        if one.person_id in now_hears and one.whose not in now_hears:
            events.hand_on(session, one.child_id, one.whose, one.person_id, now)
        elif one.person_id not in now_hears and one.whose in now_hears:
            events.hand_on(session, one.child_id, one.person_id, one.whose, now)


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
    hand_on(session, now, day)
    drop(session, day)
    return Settled(_tell(ctx, session, day), _tasks(ctx, session, day, now))


def _tell(ctx: Context, session: Session, day: date) -> int:
    """Whoever hears today of a child with an offer or a coordinator, and has been told nothing about it: the offer,
    with all the time others had to answer it; or the receipt."""
    hears = hearing.pairs(day)
    told = exists().where(
        tables.Event.child_id == hears.c.child_id,
        tables.Event.guardian_id == hears.c.person_id,
        tables.Event.kind == case((tables.Offer.state == "offered", kinds.OFFERED), else_=kinds.ASSIGNED),
        or_(tables.Event.why_not.is_(None), tables.Event.why_not.not_in((NO_CUSTODY, NOT_THEIRS))),
    )
    rows = session.execute(
        select(hears.c.person_id, tables.Offer)
        .join(tables.Offer, tables.Offer.child_id == hears.c.child_id)
        .where(tables.Offer.state.in_(("offered", "accepted")), ~told)
        .order_by(tables.Offer.child_id, hears.c.person_id)
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
