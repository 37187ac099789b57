"""Letters that a law owes a family, and that the hub may not send any more: the administration's task, at once.

A family's no ends what the hub tells it. It does not end what an authority must tell somebody whose case it has: that
an application has come, or that an answer will not come in time. So whatever takes such news out of the hub's hands
puts it back where it is from, in the same transaction. The task names the administration and the child, and says
nothing of the case: the family, or an adviser, may have said that it must not be told.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from hub.cases import agreements, events
from hub.clock import today
from hub.context import Context
from hub.store import tables, tasks
from hub.store.many import among

LETTER_OWED = "letter_owed"
"""The kind of task."""


def give_back(ctx: Context, session: Session, about: ColumnElement[bool]) -> int:
    """A task for each case of which such news waits, or is in a letter that has not left. `about`: which of
    tables.Event. Call it before their case goes. Gives how many tasks are new."""
    rows = session.execute(
        select(tables.Event.kind, tables.Event.child_id, tables.Case)
        .join(tables.Case, tables.Case.id == tables.Event.case_id)
        .join(tables.Bundle, tables.Bundle.id == tables.Event.bundle_id)
        .outerjoin(tables.Letter, tables.Letter.bundle_id == tables.Bundle.id)
        .where(
            about,
            among(tables.Event.kind, events.OWED_BY_LAW),
            or_(tables.Bundle.composed_at.is_(None), tables.Letter.state == "frozen"),
        )
    ).all()
    day = today(ctx.clock)
    owing = {
        f"{row.Case.id}:{row.kind}": {
            "staff_id": row.Case.adviser_id,
            "administration": row.Case.administration,
            "child_id": row.child_id,
            "due": day,
        }
        for row in rows
        if agreements.hub_sends(ctx.settings, row.kind, row.Case.source, day)  # else the source does anyway
    }
    return tasks.put(session, ctx.keys, ctx.clock.now(), LETTER_OWED, owing)
