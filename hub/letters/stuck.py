"""What is late of letters: which, since when, whose it is, and what to do. Every state that is not final has a deadline
(hub.letters.statuses.WITHIN), and so have the task of a letter that did not arrive, a bundle that is due, and a part
that is to be journalised. A letter that could not be written is late at once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Literal
from uuid import UUID

from sqlalchemy import ColumnElement, Text, and_, cast, func, select
from sqlalchemy.orm import Session, aliased

from hub.clock import DENMARK, today
from hub.context import Context
from hub.letters import journalising
from hub.letters.compose import UNWRITABLE
from hub.letters.statuses import FAILED_LETTER, UNSURE_LETTER
from hub.store import tables

FOLLOWED_UP_WITHIN = timedelta(days=2)
"""So long the task of a letter that did not arrive may stay open."""
COMPOSED_WITHIN = timedelta(hours=2)
"""So long a bundle that is due may wait for its letter: workers look every minute, and an outage may take an hour."""
OPERATOR, COORDINATOR, NOBODY = "operator", "coordinator", "nobody"


@dataclass(frozen=True, slots=True)
class Stuck:
    """`id` is that of what is late; of a letter that could not be written, its task's. `owner` is a role, or of a part
    the administration; `staff` the coordinator's row, where the task names one. `tries` counts attempts; `reason` is
    what the channel said last, without personal data."""

    what: Literal["letter", "bundle", "task", "part"]
    id: UUID
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
_COMPOSE = "see that a worker runs and that letters may leave from this database: tovholder doctor"
_WRITE = (
    "see in the worker's log what could not be written, put it right (tovholder letters lint, letters preview), tell "
    "the family another way, and close the task"
)
_JOURNALISE = "see that their case system reads the journal list and acknowledges each part"


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
                "letter",
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
                letter.id.not_in([one.id for one in found]),
            )
            .order_by(task.made_at, letter.id)
        ).all()
        found += [
            Stuck(
                "letter",
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
        found += [*_bundles(session, now), *_unwritable(session), *_parts(ctx, session)]
    return sorted(found, key=lambda one: (one.due, one.id))


def unwritten(now: datetime) -> ColumnElement[bool]:
    """Of tables.Bundle: it has been due for too long, and nobody has made its letter."""
    return and_(tables.Bundle.composed_at.is_(None), tables.Bundle.due_at < now - COMPOSED_WITHIN)


def _bundles(session: Session, now: datetime) -> list[Stuck]:
    rows = session.execute(select(tables.Bundle.id, tables.Bundle.due_at).where(unwritten(now))).all()
    return [
        Stuck(
            "bundle", row.id, "due", None, row.due_at, row.due_at + COMPOSED_WITHIN, OPERATOR, None, 0, None, _COMPOSE
        )
        for row in rows
    ]


def _unwritable(session: Session) -> list[Stuck]:
    task = tables.Task
    rows = session.execute(select(task.id, task.made_at).where(task.kind == UNWRITABLE, task.done_at.is_(None))).all()
    return [
        Stuck("task", row.id, "unwritable", None, row.made_at, row.made_at, OPERATOR, None, 0, None, _WRITE)
        for row in rows
    ]


def _parts(ctx: Context, session: Session) -> list[Stuck]:
    part, letter = tables.LetterPart, aliased(tables.Letter)
    rows = session.execute(
        select(part.id, part.administration, part.due, letter.channel, letter.state_at)
        .join(letter, letter.id == part.letter_id)
        .where(*journalising.late(today(ctx.clock)))
    ).all()
    return [
        Stuck(
            "part",
            row.id,
            "not_journalised",
            row.channel,
            row.state_at,
            datetime.combine(row.due + timedelta(days=1), time.min, DENMARK),
            row.administration,
            None,
            0,
            None,
            _JOURNALISE,
        )
        for row in rows
    ]
