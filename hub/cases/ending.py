"""How a child's part in the scheme ends, whatever the reason: what the yes carried goes, what a law owes goes back."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, update
from sqlalchemy.orm import Session

from hub.cases import events, kinds, owed
from hub.context import Context
from hub.notices import record as notices
from hub.store import tables


def end(
    ctx: Context, session: Session, offer: tables.Offer, state: str, why: str, news: Sequence[events.News] = ()
) -> None:
    """Place, assignment, consents, case index and waiting events end, with the reason. Letters already frozen are held
    back when it is their turn to leave. What a law owes of them is the administration's task from here on.

    `news` is what is told of it, here because of the order in which all take what they lock: first the assignment (a
    page of a source's holds it), then the families' bundles, then cases. Two who took them in different orders would
    wait for each other."""
    child_id, now = offer.child_id, ctx.clock.now()
    if state != "died":
        owed.give_back(ctx, session, tables.Event.child_id == child_id)
    offer.state, offer.coordinator_id, offer.answered_at = state, None, now
    session.flush()
    session.execute(
        update(tables.Assignment)
        .where(tables.Assignment.child_id == child_id, tables.Assignment.until.is_(None))
        .values(until=now)
    )
    events.record(ctx, session, list(news))
    notices.ended(session, now, child_id)
    if state != "moved":  # what was consented to goes on with the child's other row
        session.execute(
            update(tables.Consent)
            .where(tables.Consent.child_id == child_id, tables.Consent.withdrawn_at.is_(None))
            .values(withdrawn_at=now)
        )
    told = {item.kind for item in news} | (set() if state in ("died", "grown") else kinds.ANSWERS)
    events.drop_waiting(session, why, child=child_id, but=told)
    session.execute(delete(tables.Case).where(tables.Case.child_id == child_id))
    session.execute(delete(tables.ChildSource).where(tables.ChildSource.child_id == child_id))
