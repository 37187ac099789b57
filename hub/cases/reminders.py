"""Deadlines that come near: a task for the adviser ten and three working days before, and news to the family once.

The hub reminds and tells; it sets no new date."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import date
from uuid import uuid4

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from hub.cases import events
from hub.cases.deadlines import add_working_days, working_days_between
from hub.clock import today
from hub.context import Context
from hub.store import tables

DEADLINE_NEAR = "deadline_near"


@dataclass(frozen=True, slots=True)
class Reminded:
    tasks: int
    events: int


def remind(ctx: Context) -> Reminded:
    """Look at the deadlines that lie ahead, once a day; saying it twice makes nothing twice."""
    day = today(ctx.clock)
    warn = sorted(ctx.settings.letters.warn_working_days, reverse=True)
    if not warn:
        return Reminded(0, 0)
    with ctx.database.begin() as session:
        near = (
            session.execute(
                select(tables.Case)
                .join(tables.Assignment, tables.Assignment.child_id == tables.Case.child_id)
                .where(
                    tables.Assignment.until.is_(None),
                    tables.Case.is_open,
                    tables.Case.deadline >= day,
                    tables.Case.deadline <= add_working_days(day, warn[0]),
                )
                .order_by(tables.Case.id)
            )
            .scalars()
            .all()
        )
        rows = [
            _task(ctx, case, case.deadline, before)
            for case in near
            for before in warn
            if case.deadline is not None and working_days_between(day, case.deadline) <= before
        ]
        tasks = 0
        if rows:
            made_tasks = insert(tables.Task).values(rows).on_conflict_do_nothing().returning(tables.Task.id)
            tasks = len(session.execute(made_tasks).all())
        made = events.record(
            session,
            ctx.keys,
            ctx.clock.now(),
            ctx.settings.letters.window_working_days,
            [events.News(events.DEADLINE_NEAR, case.child_id, f"{case.id}:{case.deadline}", case.id) for case in near],
        )
        return Reminded(tasks, made)


def _task(ctx: Context, case: tables.Case, deadline: date, before: int) -> dict[str, object]:
    what = f"{DEADLINE_NEAR}:{case.id}:{deadline}:{before}"
    return {
        "id": uuid4(),
        "kind": DEADLINE_NEAR,
        "once": hmac.digest(ctx.keys.reference, what.encode(), "sha256"),
        "staff_id": case.adviser_id,
        "administration": case.administration,
        "child_id": case.child_id,
        "case_id": case.id,
        "made_at": ctx.clock.now(),
        "due": deadline,
    }
