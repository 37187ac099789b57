"""A young person on the way to 18: what the coordinator is to think of, as a task at 16 and at 17½."""

from __future__ import annotations

from sqlalchemy import select

from hub.cases.numbers import numbers_of
from hub.clock import today
from hub.context import Context
from hub.identity import ADULT, parse, turns
from hub.store import tables, tasks

BEGINS, PLAN = "transition_begins", "transition_plan"
_STEPS = ((BEGINS, (16, 0), (17, 6)), (PLAN, (17, 6), (ADULT, 0)))
"""Kind of task, from which age (years, months), and by which."""


def remind(ctx: Context) -> int:
    """A task for the coordinator of each young person who has reached a step, once. Gives how many are new."""
    day, made = today(ctx.clock), 0
    with ctx.database.begin() as session:
        coordinators = dict(
            session.execute(
                select(tables.Assignment.child_id, tables.Assignment.coordinator_id).where(
                    tables.Assignment.until.is_(None)
                )
            )
            .tuples()
            .all()
        )
        born = {child: parse(digits).born for digits, child in numbers_of(ctx, session, set(coordinators)).items()}
        for kind, begins, ends in _STEPS:
            about = {
                str(child): {"staff_id": coordinators[child], "child_id": child, "due": turns(when, *ends)}
                for child, when in born.items()
                if turns(when, *begins) <= day < turns(when, *ends)
            }
            made += tasks.put(session, ctx.keys, ctx.clock.now(), kind, about)
    return made
