"""Deadlines that come near and go by: a task for the adviser ten and three working days before, and news to the family.

On the last working day before a deadline that has neither an answer nor a new date, the family is told that no date can
be given yet (retssikkerhedsloven § 3, stk. 2: in writing, before the limit ends). The hub reminds and tells; it sets no
new date."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import Date, cast, func, select
from sqlalchemy.orm import Session

from hub.cases import events, kinds
from hub.cases.deadlines import add_working_days, working_days_between
from hub.clock import DENMARK, today
from hub.context import Context
from hub.store import tables, tasks

DEADLINE_NEAR = "deadline_near"
"""The kind of task."""


@dataclass(frozen=True, slots=True)
class Reminded:
    tasks: int
    events: int


def remind(ctx: Context) -> Reminded:
    """Look at the deadlines that lie ahead and at those that went by, once a day; twice makes nothing twice."""
    day = today(ctx.clock)
    warn = sorted(ctx.settings.letters.warn_working_days, reverse=True)
    with ctx.database.begin() as session:
        near = _open(session, day, add_working_days(day, max([1, *warn])))
        about = {
            f"{case.id}:{case.deadline}:{before}": _columns(case)
            for case, deadline in near
            for before in warn
            if working_days_between(day, deadline) <= before
        }
        put = tasks.put(session, ctx.keys, ctx.clock.now(), DEADLINE_NEAR, about)
        told = [
            _news(kind, case, deadline)
            for case, deadline in near
            for kind in _kinds(working_days_between(day, deadline), warn)
        ]
        told += [_news(kinds.DEADLINE_PASSED, case, deadline) for case, deadline in _open(session, None, day)]
        return Reminded(put, events.record(ctx, session, told))


def _open(session: Session, first: date | None, last: date) -> Sequence[tuple[tables.Case, date]]:
    """Open cases of children with a coordinator whose deadline lies from `first` to `last`, both included; without a
    `first`, those whose deadline went by before `last`, while the child had a coordinator."""
    deadline, since = tables.Case.deadline, cast(func.timezone(DENMARK.key, tables.Assignment.since), Date)
    which = [deadline >= first, deadline <= last] if first is not None else [deadline >= since, deadline < last]
    found = (
        select(tables.Case)
        .join(tables.Assignment, tables.Assignment.child_id == tables.Case.child_id)
        .where(tables.Assignment.until.is_(None), tables.Case.is_open, *which)
        .order_by(tables.Case.id)
    )
    return [(case, case.deadline) for case in session.execute(found).scalars() if case.deadline is not None]


def _kinds(left: int, warn: Sequence[int]) -> Iterator[str]:
    """What is to be told so many working days before a deadline. The last of several warnings has a name of its own."""
    if len(warn) > 1 and left <= warn[-1]:
        yield kinds.DEADLINE_AT_HAND
    elif warn and left <= warn[0]:
        yield kinds.DEADLINE_NEAR
    if left <= 1:
        yield kinds.DEADLINE_UNKEPT


def _news(kind: str, case: tables.Case, deadline: date) -> events.News:
    return events.News(kind, case.child_id, f"{case.id}:{deadline}", case.id, day=deadline, source=case.source)


def _columns(case: tables.Case) -> dict[str, object]:
    return {
        "staff_id": case.adviser_id,
        "administration": case.administration,
        "child_id": case.child_id,
        "case_id": case.id,
        "due": case.deadline,
    }
