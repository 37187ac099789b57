"""Letters that are late: which, since when, whose it is, and what to do. Every state that is not final has a deadline
(hub.letters.statuses.WITHIN), and so has the task of a letter that did not arrive."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Text, cast, func, select

from hub.context import Context
from hub.letters.statuses import FAILED_LETTER, UNSURE_LETTER
from hub.store import tables

FOLLOWED_UP_WITHIN = timedelta(days=2)
"""So long the task of a letter that did not arrive may stay open."""
OPERATOR, COORDINATOR, NOBODY = "operator", "coordinator", "nobody"


@dataclass(frozen=True, slots=True)
class Stuck:
    """`owner` is a role; `staff` the coordinator's row, where the task names one. `tries` counts attempts; `reason` is
    what the channel said last, without personal data."""

    letter: UUID
    state: str
    channel: str | None
    since: datetime
    due: datetime
    owner: str
    staff: UUID | None
    tries: int
    reason: str | None
    what_to_do: str


_NO_STATUS = (
    "see that the channel's statuses are read (tovholder doctor), or say that it arrived: tovholder letters settle"
)
_TO_DO = {
    "frozen": "see that a worker runs and that the channel answers: tovholder doctor",
    "sent": _NO_STATUS,
    "received": _NO_STATUS,
    "unsure": "ask the family whether they have it, and say so: tovholder letters settle",
}
_FOLLOW_UP = "call the family and tell them what it says, then close the task"


def stuck(ctx: Context) -> list[Stuck]:
    """What is late now, the longest first. A letter whose own deadline has passed stands here once, also where a task
    has been made of it."""
    now = ctx.clock.now()
    letter, task = tables.Letter, tables.Task
    last = (
        select(tables.Delivery.reason)
        .where(tables.Delivery.letter_id == letter.id)
        .order_by(tables.Delivery.attempt.desc())
        .limit(1)
        .scalar_subquery()
    )
    staff = (
        select(func.min(cast(tables.Offer.coordinator_id, Text)))
        .join(tables.LetterChild, tables.LetterChild.child_id == tables.Offer.child_id)
        .where(tables.LetterChild.letter_id == letter.id)
        .scalar_subquery()
    )
    with ctx.database.session() as session:
        late = session.execute(
            select(
                letter.id, letter.state, letter.channel, letter.state_at, letter.state_due, letter.tries, last, staff
            )
            .where(letter.state_due < now)
            .order_by(letter.state_due, letter.id)
        ).all()
        found = [
            Stuck(
                row.id,
                row.state,
                row.channel,
                row.state_at,
                row.state_due,
                COORDINATOR if row.state == "unsure" else OPERATOR,
                UUID(row[7]) if row.state == "unsure" and row[7] else None,
                row.tries,
                row[6],
                _TO_DO[row.state],
            )
            for row in late
        ]
        open_tasks = session.execute(
            select(letter, task.staff_id, task.made_at, last)
            .join(task, task.letter_id == letter.id)
            .where(
                task.kind.in_((FAILED_LETTER, UNSURE_LETTER)),
                task.done_at.is_(None),
                task.made_at < now - FOLLOWED_UP_WITHIN,
                letter.id.not_in([one.letter for one in found]),
            )
            .order_by(task.made_at, letter.id)
        ).all()
        found += [
            Stuck(
                row[0].id,
                row[0].state,
                row[0].channel,
                row.made_at,
                row.made_at + FOLLOWED_UP_WITHIN,
                COORDINATOR if row.staff_id is not None else NOBODY,
                row.staff_id,
                row[0].tries,
                row[3],
                _FOLLOW_UP,
            )
            for row in open_tasks
        ]
    return sorted(found, key=lambda one: (one.due, one.letter))
