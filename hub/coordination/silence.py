"""A family that does not answer an offer: one reminder, then nothing more, and what was written down is forgotten.

Silence is no yes and no no. The introduction letter promises this, so it is kept here: after the second date the place
is free again, the child's number, the custody and the waiting events go, and the offer stays as `lapsed`, so that the
next match does not begin anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from hub.cases import events, kinds
from hub.cases.deadlines import add_working_days
from hub.clock import today
from hub.context import Context
from hub.store import home, tables
from hub.store.many import among
from hub.store.people import open_keys
from hub.vault import seal_json

WHY = "no answer to the offer or its reminder"


@dataclass(frozen=True, slots=True)
class Silence:
    reminded: int
    lapsed: int


def follow_up(ctx: Context) -> Silence:
    """Remind those whose date has passed, once; let go of those who have been reminded and still say nothing. Nobody in
    a copy of the database that does not know yet who has answered (hub.store.home)."""
    day, now = today(ctx.clock), ctx.clock.now()
    with ctx.database.begin() as session:
        if home.held(session):
            return Silence(0, 0)
        silent = (
            session.execute(
                select(tables.Offer)
                .where(tables.Offer.state == "offered", tables.Offer.answer_by < day)
                .order_by(tables.Offer.child_id)
                .with_for_update()
            )
            .scalars()
            .all()
        )
        reminded = [offer for offer in silent if offer.reminded_at is None]
        lapsed = [offer for offer in silent if offer.reminded_at is not None]
        for offer in reminded:
            offer.reminded_at = now
            offer.answer_by = add_working_days(day, ctx.settings.coordination.answer_working_days)
        for offer in lapsed:
            offer.state, offer.coordinator_id, offer.answered_at = "lapsed", None, now
        session.flush()
        events.record(ctx, session, [events.News(kinds.OFFERED, offer.child_id, "reminder") for offer in reminded])
        _forget(ctx, session, [offer.child_id for offer in lapsed])
    return Silence(len(reminded), len(lapsed))


def _forget(ctx: Context, session: Session, children: list[UUID]) -> None:
    """What had been written down for the offer goes; the letters stay as proof of what was sent."""
    rows = session.execute(select(tables.Child).where(among(tables.Child.id, children))).scalars().all()
    keys = open_keys(session, ctx.keys, (row.key_id for row in rows))
    for row in rows:
        events.drop_waiting(session, WHY, child=row.id)
        if row.key_id in keys:
            row.sealed = seal_json(keys[row.key_id], {}, f"child:{row.id}")
    session.execute(delete(tables.Custody).where(among(tables.Custody.child_id, children)))
    session.execute(delete(tables.Hears).where(among(tables.Hears.child_id, children)))
