"""What is late on the way from an event to a journalised letter: which, since when, whose it is, and what to do.

News that waits for its letter, a letter that could not be written, every state of a letter that is not final
(hub.letters.statuses.WITHIN), the task of one that did not arrive, and a part that no case system has acknowledged.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Literal
from uuid import UUID

from sqlalchemy import Text, cast, exists, func, select
from sqlalchemy.orm import Session

from hub.clock import DENMARK
from hub.context import Context
from hub.letters import compose, journalising
from hub.letters.statuses import FAILED_LETTER, UNSURE_LETTER
from hub.store import tables
from hub.store.many import among

FOLLOWED_UP_WITHIN = timedelta(days=2)
"""So long the task of a letter that did not arrive may stay open."""
OPERATOR, COORDINATOR, NOBODY = "operator", "coordinator", "nobody"


@dataclass(frozen=True, slots=True)
class Stuck:
    """`id` is the row of what is late: of the bundle, the letter, or the part. `owner` is a role, or the code of an
    administration; `staff` the coordinator's row, where the task names one. `tries` counts attempts; `reason` is what
    the channel said last, without personal data."""

    what: Literal["bundle", "letter", "part"]
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


_NO_STATUS = "see that the channel's statuses are read (tovholder doctor), or ask the family: tovholder letters settle"
_TO_DO = {
    "frozen": "see that a worker runs and that the channel answers: tovholder doctor",
    "sent": _NO_STATUS,
    "received": _NO_STATUS,
    "unsure": "ask the family whether they have it, and say so: tovholder letters settle",
}
_WAITING = "see that a worker runs, and that letters may leave: tovholder doctor"
_UNWRITABLE = (
    "see what the template lacks (tovholder letters lint), have the administration tell the family, then close the task"
)
_NOT_JOURNALISED = "see that the administration's case system reads its parts and acknowledges them"
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
        found += [*_bundles(ctx, session), *_unwritable(ctx, session), *_parts(ctx, session)]
    return sorted(found, key=lambda one: (one.due, one.id))


def _bundles(ctx: Context, session: Session) -> Iterator[Stuck]:
    """Those past their window."""
    for row in session.execute(select(tables.Bundle).where(compose.late(ctx.clock.now()))).scalars():
        due = row.due_at + compose.COMPOSE_WITHIN
        yield Stuck("bundle", row.id, "waiting", None, row.opened_at, due, OPERATOR, None, 0, None, _WAITING)


def _unwritable(ctx: Context, session: Session) -> Iterator[Stuck]:
    """Those whose letter could not be written, until their task is closed; late at once, for nothing else comes of
    them."""
    bundle, task = tables.Bundle, tables.Task
    told = exists().where(tables.Letter.bundle_id == bundle.id)
    kept = exists().where(tables.Event.bundle_id == bundle.id, tables.Event.why_not.is_(None))
    rows = session.execute(select(bundle).where(bundle.composed_at.is_not(None), kept, ~told)).scalars()
    of_task = {ctx.keys.once(compose.UNWRITABLE, str(row.id)): row.id for row in rows}
    wanted = (among(task.once, of_task), task.kind == compose.UNWRITABLE, task.done_at.is_(None))
    for one in session.execute(select(task).where(*wanted)).scalars():
        row_id, at = of_task[one.once], one.made_at
        yield Stuck("bundle", row_id, "unwritable", None, at, at, OPERATOR, None, 0, None, _UNWRITABLE)


def _parts(ctx: Context, session: Session) -> Iterator[Stuck]:
    """Those not journalised in time: by the end of their day."""
    for part in session.execute(select(tables.LetterPart).where(*journalising.late(ctx))).scalars().all():
        if part.due is None:
            continue
        letter = session.get_one(tables.Letter, part.letter_id)
        due = datetime.combine(part.due + timedelta(days=1), time(), DENMARK)
        yield Stuck(
            "part",
            part.id,
            "not journalised",
            letter.channel,
            letter.frozen_at,
            due,
            part.administration,
            None,
            letter.tries,
            None,
            _NOT_JOURNALISED,
        )
