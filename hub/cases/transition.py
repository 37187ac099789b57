"""A young person on the way to 18: what the coordinator is to think of, as a task at 16 and at 17½; and what the family
is told of each step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from uuid import UUID

from sqlalchemy import select

from hub.cases import events, kinds
from hub.cases.deadlines import add_working_days
from hub.cases.numbers import numbers_of
from hub.clock import DENMARK, today
from hub.context import Context
from hub.identity import ADULT, parse, turns
from hub.store import tables, tasks

BEGINS, PLAN = "transition_begins", "transition_plan"
_STEPS = ((BEGINS, (16, 0), (17, 6)), (PLAN, (17, 6), (ADULT, 0)))
"""Kind of task, from which age (years, months), and by which."""
_AHEAD = {kinds.TURNS_15: 10, kinds.TURNS_18: 20}
"""Steps that change who has a say, and are told so many working days ahead; the others on the day."""
_LATE = 10
"""A step is told until so many working days after it, where nobody looked on the day."""


def remind(ctx: Context) -> int:
    """A task for the coordinator of each young person who has reached a step, and news of it to the family, once. Gives
    how many tasks are new."""
    day, made = today(ctx.clock), 0
    with ctx.database.begin() as session:
        assigned = session.execute(select(tables.Assignment).where(tables.Assignment.until.is_(None))).scalars().all()
        coordinators = {row.child_id: row.coordinator_id for row in assigned}
        since = {row.child_id: row.since.astimezone(DENMARK).date() for row in assigned}
        born = {child: parse(digits).born for digits, child in numbers_of(ctx, session, set(coordinators)).items()}
        for kind, begins, ends in _STEPS:
            about = {
                str(child): {"staff_id": coordinators[child], "child_id": child, "due": turns(when, *ends)}
                for child, when in born.items()
                if turns(when, *begins) <= day < turns(when, *ends)
            }
            made += tasks.put(session, ctx.keys, ctx.clock.now(), kind, about)
        events.record(ctx, session, _news(born, since, day))
    return made


def _news(born: Mapping[UUID, date], since: Mapping[UUID, date], day: date) -> Iterator[events.News]:
    """The steps that are to be told on a day. One that was taken before there was a coordinator is no news; whoever is
    18 is told of by nobody."""
    for child, when in born.items():
        for kind, age in kinds.TURNS.items():
            on = turns(when, *age)
            first, last = add_working_days(on, -_AHEAD.get(kind, 0)), add_working_days(on, _LATE)
            if first <= day <= last and since[child] <= on and (day < on or kind != kinds.TURNS_18):
                yield events.News(kind, child, kind, day=on)
