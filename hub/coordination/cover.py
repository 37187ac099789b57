"""Coordinators who are away, come back, or hand families over; each one act in one transaction, which the families hear
of. Siblings keep the same coordinator, so families change hands whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from hub.access import log
from hub.access.askers import COORDINATORS, by_system
from hub.cases import events, kinds
from hub.clock import today
from hub.context import Context
from hub.coordination import acts
from hub.coordination.offers import HOLDS, one_at_a_time
from hub.errors import NotAllowed
from hub.notices import record as notices
from hub.notices.kinds import Kind
from hub.store import tables
from hub.store.many import among
from hub.store.people import open_keys


def find(ctx: Context, session: Session, own_id: str) -> tables.Coordinator:
    """A coordinator by the id of the list they were imported from. Raises NotAllowed."""
    found = session.execute(
        select(tables.Coordinator)
        .join(tables.Staff, tables.Staff.id == tables.Coordinator.staff_id)
        .where(tables.Staff.source == COORDINATORS, tables.Staff.reference == ctx.keys.refer(COORDINATORS, own_id))
        .with_for_update(of=tables.Coordinator)
    ).scalar_one_or_none()
    if found is None:
        raise NotAllowed("there is no coordinator of that id; `tovholder coordinators import` reads the list")
    return found


def go_away(
    ctx: Context, coordinator: str, substitute: str, until: date | None = None, *, again: UUID | None = None
) -> int:
    """Somebody answers for a coordinator, until the last day away where that is known (Danish date). Gives how many
    children that is told of. Why somebody is away is nobody's to know, and not asked. `again`, here and below: the
    act's own id, when it is one from the journal that a restored database has lost.

    Raises NotAllowed when the substitute is the same person, away themselves, or the day has passed."""
    with ctx.database.begin() as session:
        one_at_a_time(session)
        away, cover = find(ctx, session, coordinator), find(ctx, session, substitute)
        if away.staff_id == cover.staff_id:
            raise NotAllowed("nobody is their own substitute")
        if cover.away or not cover.active:
            raise NotAllowed("the substitute is away or no longer a coordinator: name another")
        if until is not None and until < today(ctx.clock):
            raise NotAllowed(f"{until} has passed: name the last day away, or none")
        same = away.away and away.substitute_id == cover.staff_id
        away.away, away.substitute_id, away.away_until = True, cover.staff_id, until
        day = until.isoformat() if until is not None else None
        act = acts.note(ctx, session, "away", again, coordinator=coordinator, substitute=substitute, until=day)
        session.flush()
        if same:
            return 0  # another date for the same substitute: the next letter has it
        children = _children(session, away.staff_id)
        _tell(ctx, session, act, kinds.COORDINATOR_SUBSTITUTE, children, {"substitute": str(cover.staff_id)})
        return len(children)


def come_back(ctx: Context, coordinator: str, *, again: UUID | None = None) -> int:
    """The coordinator answers again. Gives how many children that is told of; of somebody who was not away, none."""
    with ctx.database.begin() as session:
        one_at_a_time(session)
        back = find(ctx, session, coordinator)
        if not back.away:
            return 0
        back.away, back.substitute_id, back.away_until = False, None, None
        act = acts.note(ctx, session, "back", again, coordinator=coordinator)
        session.flush()
        children = _children(session, back.staff_id)
        _tell(ctx, session, act, kinds.COORDINATOR_BACK, children, {"substitute": None})
        return len(children)


def hand_over(
    ctx: Context, coordinator: str, to: str, children: Set[UUID] | None = None, *, again: UUID | None = None
) -> int:
    """Families get another coordinator: all of them (the coordinator hands over), or those of the children named, with
    their siblings (the coordinator is changed). Offers that wait for an answer go along. Gives how many children get
    another coordinator.

    Raises NotAllowed when the other is the same person, away, not active, or would have more than the limit."""
    with ctx.database.begin() as session:
        one_at_a_time(session)
        former, new = find(ctx, session, coordinator), find(ctx, session, to)
        if former.staff_id == new.staff_id:
            raise NotAllowed("that is the same coordinator")
        if new.away or not new.active:
            raise NotAllowed("the other coordinator is away or no longer one: name another")
        mine = _held(session, former.staff_id)
        moving = mine if children is None else _families(ctx, session, mine, children)
        if children is not None and not children <= mine:
            raise NotAllowed("not all of these children are the coordinator's")
        load, limit = len(_held(session, new.staff_id)), ctx.settings.coordination.limit
        if load + len(moving) > limit:
            raise NotAllowed(f"{to} would have {load + len(moving)} children, and the limit is {limit}")
        act = acts.note(ctx, session, "hand_over", again, children=children, coordinator=coordinator, to=to)
        session.execute(
            update(tables.Offer).where(among(tables.Offer.child_id, moving)).values(coordinator_id=new.staff_id)
        )
        now = ctx.clock.now()
        theirs = (among(tables.Assignment.child_id, moving), tables.Assignment.until.is_(None))
        assigned = set(
            session.execute(
                update(tables.Assignment).where(*theirs).values(until=now).returning(tables.Assignment.child_id)
            ).scalars()
        )
        session.add_all(
            tables.Assignment(child_id=child, coordinator_id=new.staff_id, since=now) for child in sorted(assigned)
        )
        session.flush()
        kind = kinds.COORDINATOR_HANDED_OVER if children is None else kinds.COORDINATOR_CHANGED
        _tell(ctx, session, act, kind, assigned, {"coordinator": str(new.staff_id), "before": str(former.staff_id)})
        return len(moving)


_NOTICES: dict[str, Kind] = {
    kinds.COORDINATOR_SUBSTITUTE: "substitute",
    kinds.COORDINATOR_BACK: "back",
    kinds.COORDINATOR_HANDED_OVER: "handed_over",
    kinds.COORDINATOR_CHANGED: "handed_over",
}
"""What the advisers of the children's cases are told."""


def _held(session: Session, coordinator: UUID) -> set[UUID]:
    held = select(tables.Offer.child_id).where(
        tables.Offer.coordinator_id == coordinator, tables.Offer.state.in_(HOLDS)
    )
    return set(session.execute(held.with_for_update()).scalars())


def _children(session: Session, coordinator: UUID) -> set[UUID]:
    theirs = (tables.Assignment.coordinator_id == coordinator, tables.Assignment.until.is_(None))
    return set(session.execute(select(tables.Assignment.child_id).where(*theirs)).scalars())


def _families(ctx: Context, session: Session, mine: Set[UUID], children: Set[UUID]) -> set[UUID]:
    """The children with those of the coordinator's who share a guardian with one of them, directly or through a
    sibling."""
    guardians = events.guardians_of(session, set(mine), today(ctx.clock))
    found = set(children)
    while True:
        known = {guardian for child in found for guardian in guardians.get(child, ())}
        more = {child for child in mine if known.intersection(guardians.get(child, ()))} - found
        if not more:
            return found
        found |= more


def _tell(ctx: Context, session: Session, act: UUID, kind: str, children: Iterable[UUID], what: dict[str, Any]) -> None:
    """The families hear of it, and it stands in the access log of each child: last, since it takes the log's head."""
    now, ids = ctx.clock.now(), sorted(children)
    events.record(ctx, session, [events.News(kind, child, f"{act}") for child in ids])  # each time is news of its own
    notices.changed(session, now, _NOTICES[kind], ids)
    rows = session.execute(select(tables.Child).where(among(tables.Child.id, ids))).scalars().all()
    keys = open_keys(session, ctx.keys, (row.key_id for row in rows))
    entries = [
        by_system(session, ctx.keys, now, "assignment", row.id, (row.key_id, keys[row.key_id]), what)
        for row in sorted(rows, key=lambda row: row.id)
        if row.key_id in keys
    ]
    if entries:
        log.append(session, entries)
