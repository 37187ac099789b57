"""Deadlines that come near: a task for the adviser ten and three working days before, and news to the family once.

The hub reminds and tells; it sets no new date."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from hub.cases import events
from hub.cases.deadlines import add_working_days, working_days_between
from hub.clock import today
from hub.context import Context
from hub.store import tables, tasks

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
        about = {
            f"{case.id}:{case.deadline}:{before}": _columns(case)
            for case in near
            for before in warn
            if case.deadline is not None and working_days_between(day, case.deadline) <= before
        }
        put = tasks.put(session, ctx.keys, ctx.clock.now(), DEADLINE_NEAR, about)
        made = events.record(
            session,
            ctx.keys,
            ctx.clock.now(),
            ctx.settings.letters.window_working_days,
            [events.News(events.DEADLINE_NEAR, case.child_id, f"{case.id}:{case.deadline}", case.id) for case in near],
        )
        return Reminded(put, made)


def _columns(case: tables.Case) -> dict[str, object]:
    return {
        "staff_id": case.adviser_id,
        "administration": case.administration,
        "child_id": case.child_id,
        "case_id": case.id,
        "due": case.deadline,
    }
