"""What the hub should have told a family and cannot: the administration's task at once, so that somebody does."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.cases import agreements
from hub.cases.kinds import KINDS
from hub.clock import today
from hub.context import Context
from hub.store import tables, tasks
from hub.store.many import among

UNSENT = "letter_unsent"
"""The kind of task: the family is to hear something, and no letter of the hub's can tell it."""

OF_PLACE = "letter_may_not_say"
"""The kind of task: a letter could tell where somebody protected lives, so a person says what may be said."""


class _About(Protocol):
    @property
    def kind(self) -> str: ...
    @property
    def case_id(self) -> UUID | None: ...


def to_nobody(ctx: Context, session: Session, news: Iterable[_About]) -> int:
    """News of cases that no letter can tell: nobody with custody is known, or the letter cannot be written or did not
    arrive. A task for the administration of each case, once for each kind of news; none where the source sends its own
    letter. Gives how many tasks are new."""
    about = {
        (item.case_id, item.kind) for item in news if item.case_id is not None and KINDS[item.kind].about == "case"
    }
    if not about:
        return 0
    session.flush()
    cases = {
        case.id: case
        for case in session.execute(
            select(tables.Case).where(among(tables.Case.id, {case_id for case_id, _kind in about}))
        ).scalars()
    }
    day = today(ctx.clock)
    rows = {
        f"{case.id}:{kind}:{case.deadline}": {
            "administration": case.administration,
            "staff_id": case.adviser_id,
            "child_id": case.child_id,
            "case_id": case.id,
            "due": case.deadline,
        }
        for case_id, kind in sorted(about, key=str)
        if (case := cases.get(case_id)) is not None and agreements.hub_sends(ctx.settings, kind, case.source, day)
    }
    return tasks.put(session, ctx.keys, ctx.clock.now(), UNSENT, rows)


def of_place(ctx: Context, session: Session, news: Iterable[tables.Event]) -> int:
    """News that could tell where somebody protected lives, and so stands in no letter: the task of whoever coordinates
    the child, or did so last, once for all who were to hear it. Gives how many tasks are new."""
    about = {(event.child_id, event.kind, event.at) for event in news}
    if not about:
        return 0
    assignment = tables.Assignment
    last = dict(
        session.execute(
            select(assignment.child_id, assignment.coordinator_id)
            .where(among(assignment.child_id, {child for child, *_ in about}))
            .order_by(assignment.since, assignment.until.nulls_last())
        )
        .tuples()
        .all()
    )
    rows = {
        f"{child}:{kind}:{at.isoformat()}": {"child_id": child, "staff_id": last.get(child)}
        for child, kind, at in sorted(about)
    }
    return tasks.put(session, ctx.keys, ctx.clock.now(), OF_PLACE, rows)


def by_letter(ctx: Context, session: Session, bundle_id: UUID) -> int:
    """As `to_nobody`, of all that the letter of a bundle was to tell."""
    events = session.execute(select(tables.Event).where(tables.Event.bundle_id == bundle_id)).scalars().all()
    return to_nobody(ctx, session, events)
