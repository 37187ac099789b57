"""Offers: give the children in the target group a place with a coordinator, in the published order.

One transaction at a time places families (an advisory lock), so that two processes never give the last place twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import func, or_, select, text
from sqlalchemy.orm import Session

from hub import faults
from hub.cases import events, hearing, kinds
from hub.cases.deadlines import add_working_days
from hub.cases.numbers import numbers_of
from hub.clock import DENMARK, today
from hub.context import Context
from hub.coordination.caseload import Place, WaitingChild, plan
from hub.identity import parse
from hub.store import tables

HOLDS = ("offered", "accepted")
"""States of an offer that hold a place."""


@dataclass(frozen=True, slots=True)
class Placed:
    offered: int
    waiting: int
    events: int


def place(ctx: Context) -> Placed:
    """Offer every child who waits a coordinator, as far as there are places; who waits on gets a reason.

    Only when offers start by themselves (`coordination.start = "match"`) are newly found children taken up."""
    settings = ctx.settings.coordination
    with ctx.database.begin() as session:
        one_at_a_time(session)
        now = ctx.clock.now()
        if settings.start == "match":
            _take_up(session, now)
        waiting = _waiting(ctx, session)
        planned = plan(
            waiting, _places(session), _homes(session, today(ctx.clock)), target=settings.target, limit=settings.limit
        )
        answer_by = add_working_days(now.astimezone(DENMARK).date(), settings.answer_working_days)
        placed = _store(session, planned.placed, planned.waits, now, answer_by)
        hearing.keep_young(ctx, session, placed)
        made = events.record(
            ctx, session, [events.News(kinds.OFFERED, child, now.date().isoformat()) for child in placed]
        )
        result = Placed(len(placed), len(planned.waits), made)
        faults.point("offers.placed")
    faults.point("offers.placed.committed")
    return result


def one_at_a_time(session: Session) -> None:
    session.execute(text("SELECT pg_advisory_xact_lock(hashtext('coordination:place'))"))


def _take_up(session: Session, now: datetime) -> None:
    session.execute(
        text("""
        INSERT INTO offer (id, child_id, state, why, found_at)
        SELECT gen_random_uuid(), id, 'waiting', 'new', :now FROM child
        WHERE eligible AND NOT EXISTS (SELECT FROM offer WHERE offer.child_id = child.id)
        """),
        {"now": now},
    )


def _waiting(ctx: Context, session: Session) -> list[WaitingChild]:
    rows = session.execute(
        select(tables.Offer.child_id, tables.Offer.found_at)
        .join(tables.Child, tables.Child.id == tables.Offer.child_id)
        .where(tables.Offer.state == "waiting", tables.Child.eligible)
    ).all()
    found = {row.child_id: row.found_at.astimezone(DENMARK).date() for row in rows}
    day = today(ctx.clock)
    guardians = events.guardians_of(session, set(found), day)
    children = []
    for digits, child in numbers_of(ctx, session, set(found)).items():
        number = parse(digits)
        if not number.is_adult(day):
            children.append(WaitingChild(child, found[child], number.born, digits, frozenset(guardians.get(child, []))))
    return children


def _places(session: Session) -> list[Place]:
    load = (
        select(tables.Offer.coordinator_id, func.count().label("children"))
        .where(tables.Offer.state.in_(HOLDS))
        .group_by(tables.Offer.coordinator_id)
        .subquery()
    )
    rows = session.execute(
        select(tables.Coordinator, func.coalesce(load.c.children, 0))
        .outerjoin(load, load.c.coordinator_id == tables.Coordinator.staff_id)
        .where(tables.Coordinator.active)
        .order_by(tables.Coordinator.number)
    ).all()
    return [Place(row[0].staff_id, row[0].number, row[1], takes_new=not row[0].away) for row in rows]


def _homes(session: Session, day: date) -> dict[UUID, UUID]:
    """Which coordinator each guardian's family already has."""
    rows = session.execute(
        select(tables.Custody.guardian_id, tables.Offer.coordinator_id)
        .join(tables.Offer, tables.Offer.child_id == tables.Custody.child_id)
        .where(tables.Offer.state.in_(HOLDS), or_(tables.Custody.until.is_(None), tables.Custody.until > day))
        .order_by(tables.Offer.found_at.desc())
    )
    return {row.guardian_id: row.coordinator_id for row in rows}


def _store(
    session: Session, placed: dict[UUID, UUID], waits: dict[UUID, str], now: datetime, answer_by: date
) -> list[UUID]:
    """Gives the children who have a place now. Who is waiting no more (came of age meanwhile) gets none."""
    offers = {
        row.child_id: row
        for row in session.execute(
            select(tables.Offer).where(tables.Offer.state == "waiting").order_by(tables.Offer.id).with_for_update()
        ).scalars()
    }
    for child in placed.keys() & offers.keys():
        offer = offers[child]
        offer.state, offer.coordinator_id, offer.why = "offered", placed[child], None
        offer.offered_at, offer.answer_by = now, answer_by
    for child in waits.keys() & offers.keys():
        offers[child].why = waits[child]
    session.flush()
    return [child for child in placed if child in offers]
