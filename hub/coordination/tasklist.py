"""The tasks that are somebody's to do: their administration's, their own as coordinator or substitute, and nobody's.

Whose they are is found here, and whether they may see them is the policy's to say (purpose `task`). The list says what
kind of thing it is and by when, and nothing of a child: opening one is a look, with its entry. Looks that wait for a
review are no such tasks: they are a leader's or an auditor's (hub.reviews).
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, exists, false, func, or_, select
from sqlalchemy.orm import Session

from hub.access import duty
from hub.access.askers import COORDINATORS
from hub.access.log import Asker, Disclosure
from hub.access.policy import Decision, Question, Relation, decide
from hub.context import Context
from hub.store import tables
from hub.store.people import find_key, open_key
from hub.vault import unseal_json

AT_MOST = 200
"""So many tasks stand on the list."""
PURPOSE = "task"


@dataclass(frozen=True, slots=True)
class Waiting:
    id: UUID
    kind: str
    administration: str | None
    made_at: datetime
    due: date | None


@dataclass(frozen=True, slots=True)
class Opened:
    """A task with what it is about. `said` is what the guardian wrote, `asked` whether it waits for an answer to them,
    and `has_page` whether they have a page on which to read it;
    `number` is the child's (of "we belong": as the guardian gave it)."""

    task: Waiting
    name: str | None
    number: str | None
    guardian: str | None
    case: str | None
    said: str | None
    asked: bool
    has_page: bool
    has_child: bool


def coordinator_rows(ctx: Context, asker: Asker) -> ColumnElement[bool]:
    """Of tables.Coordinator: the asker's own, and those away whose substitute the asker is."""
    me = select(tables.Staff.id).where(
        tables.Staff.source == COORDINATORS, tables.Staff.reference == ctx.keys.refer(COORDINATORS, asker.id)
    )
    return or_(
        tables.Coordinator.staff_id.in_(me), and_(tables.Coordinator.away, tables.Coordinator.substitute_id.in_(me))
    )


def _theirs(ctx: Context, asker: Asker) -> dict[Relation, ColumnElement[bool]]:
    """Of tables.Task: those in which the asker stands in each relation."""
    own = select(tables.Coordinator.staff_id).where(coordinator_rows(ctx, asker))
    task, block, assignment = tables.Task, tables.Block, tables.Assignment
    shut = exists().where(block.child_id == task.child_id, block.administration == task.administration, block.holds())
    coordinated = exists().where(assignment.child_id == task.child_id, assignment.until.is_(None))
    left = or_(coordinated.where(assignment.coordinator_id.in_(own)), ~coordinated)
    nobodys = and_(task.staff_id.is_(None), task.administration.is_(None))
    return {
        # Whoever is of no administration has no office: no task that merely names none is theirs.
        "office-task": task.administration == asker.administration if asker.administration else false(),
        "own-task": or_(task.staff_id.in_(own), nobodys, and_(shut, left)),
    }


def mine(ctx: Context, asker: Asker) -> ColumnElement[bool]:
    """Of tables.Task: those of the asker, less those of a child whose family has closed for them."""
    owned = [
        and_(theirs, ~_closed(ctx, asker, tables.Task.child_id, relation))
        for relation, theirs in _theirs(ctx, asker).items()
        if _decide(asker, {relation}).see
    ]
    return and_(tables.Task.entry_id.is_(None), or_(false(), *owned))


def _closed(ctx: Context, asker: Asker, child: Any, relation: Relation) -> ColumnElement[bool]:
    return duty.closed(ctx.settings.administrations, asker, child, coordinates=relation == "own-task")


def _decide(asker: Asker, relations: Set[Relation], *, blocked: bool = False) -> Decision:
    return decide(Question(asker.roles, PURPOSE, relations, blocked=blocked))


def waiting(ctx: Context, session: Session, asker: Asker) -> tuple[list[Waiting], int]:
    """The asker's open tasks, those due first at the top, and how many there are."""
    where = (mine(ctx, asker), tables.Task.done_at.is_(None))
    rows = session.execute(
        select(tables.Task)
        .where(*where)
        .order_by(tables.Task.due.nulls_last(), tables.Task.made_at, tables.Task.id)
        .limit(AT_MOST)
    ).scalars()
    count = session.execute(select(func.count()).select_from(tables.Task).where(*where)).scalar_one()
    return [_waiting(row) for row in rows], count


def _waiting(row: tables.Task) -> Waiting:
    return Waiting(row.id, row.kind, row.administration, row.made_at, row.due)


def look(ctx: Context, asker: Asker, task_id: UUID) -> Disclosure[Opened | None]:
    """One task opened; None when it is not the asker's, or done. Raises LogUnavailable."""

    def opener(session: Session) -> duty.Found[Opened] | str:
        theirs = _theirs(ctx, asker)
        found = session.execute(
            select(tables.Task, *theirs.values()).where(
                tables.Task.id == task_id, tables.Task.done_at.is_(None), tables.Task.entry_id.is_(None)
            )
        ).one_or_none()
        if found is None:
            return _decide(asker, frozenset()).basis
        task: tables.Task = found[0]
        relations = {relation for relation, holds in zip(theirs, found[1:], strict=True) if holds}
        request, child = _about(session, task)
        blocked = child is not None and all(
            session.execute(select(_closed(ctx, asker, child.id, relation))).scalar_one() for relation in relations
        )
        decision = _decide(asker, relations, blocked=blocked)
        return _open(ctx, session, task, request, child, decision.basis) if decision.see else decision.basis

    return duty.look(ctx.database, ctx.keys, ctx.clock, asker, PURPOSE, opener)


def _about(session: Session, task: tables.Task) -> tuple[tables.RightsRequest | None, tables.Child | None]:
    """What a family asked, where it is that, and the child."""
    request = session.execute(
        select(tables.RightsRequest).where(tables.RightsRequest.task_id == task.id)
    ).scalar_one_or_none()
    child_id = request.child_id if request is not None else task.child_id
    child = session.get(tables.Child, child_id) if child_id is not None else None
    if child is not None and child.same_as is not None:
        child = session.get_one(tables.Child, child.same_as)  # it has another number by now
    return request, child


def _open(
    ctx: Context,
    session: Session,
    task: tables.Task,
    request: tables.RightsRequest | None,
    child: tables.Child | None,
    basis: str,
) -> duty.Found[Opened]:
    key = find_key(session, ctx.keys, child.key_id) if child is not None else None
    fields: Mapping[str, Any] = {}
    if child is not None and key is not None:
        fields = unseal_json(key, child.sealed, f"child:{child.id}")
    said: dict[str, Any] = {}
    guardian = None
    if request is not None:
        said = unseal_json(open_key(session, ctx.keys, request.key_id), request.sealed, f"rights:{request.id}")
        guardian = _guardian(ctx, session, request.guardian_id)
    elif task.letter_id is not None:
        guardian = _guardian(ctx, session, session.get_one(tables.Letter, task.letter_id).guardian_id)
    case_id = UUID(said["case"]) if "case" in said else task.case_id
    case = session.get(tables.Case, case_id) if case_id is not None else None
    about = None
    if case is not None and key is not None:
        inside = unseal_json(key, case.sealed, f"case:{case.id}")
        kind = ctx.plugins.kind(case.source, inside["kind"])
        about = kind.name if kind is not None else None
    opened = Opened(
        _waiting(task),
        name=fields.get("name"),
        number=fields.get("cpr") or said.get("number"),
        guardian=guardian,
        case=about,
        said=said.get("text"),
        asked=request is not None,
        has_page=request is not None and _is_guardian(session, request),
        has_child="cpr" in fields,
    )
    shown = {
        "name": opened.name,
        "number": opened.number,
        "guardian": guardian,
        "case": about,
        "request": said or None,
    }
    codes = [f"task:{task.kind}", *(code for code, value in shown.items() if value)]
    if child is None or key is None:
        return duty.Found(opened, None, None, codes, basis)
    return duty.Found(opened, child.id, (child.key_id, key), codes, basis)


def _is_guardian(session: Session, request: tables.RightsRequest) -> bool:
    """Whoever is only written to (a young person, a representative) reads no answers on a page."""
    hears = exists().where(tables.Hears.person_id == request.guardian_id)
    custody = exists().where(tables.Custody.guardian_id == request.guardian_id)
    return session.execute(select(or_(custody, ~hears))).scalar_one()


def _guardian(ctx: Context, session: Session, guardian_id: UUID) -> str | None:
    row = session.get_one(tables.Guardian, guardian_id)
    key = find_key(session, ctx.keys, row.key_id)
    if key is None:
        return None
    name: str | None = unseal_json(key, row.sealed, f"guardian:{row.id}")["name"]
    return name
