"""The tasks that are somebody's to do: their administration's, their own as coordinator or substitute, and nobody's.

The list says what kind of thing it is and by when, and nothing of a child: opening one is a look, with its entry.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, false, func, or_, select
from sqlalchemy.orm import Session

from hub.access import duty
from hub.access.askers import COORDINATORS
from hub.access.log import Asker, Disclosure
from hub.context import Context
from hub.reading import SourceSettings
from hub.store import tables
from hub.store.people import open_key, open_keys
from hub.vault import unseal_json

WORKERS = ("staff", "coordinator")
"""Roles that have tasks."""
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
    """A task with what it is about. `said` is what the guardian wrote, `asked` whether it waits for an answer to them;
    `number` is the child's (of "we belong": as the guardian gave it)."""

    task: Waiting
    name: str | None
    number: str | None
    guardian: str | None
    case: str | None
    said: str | None
    asked: bool
    has_child: bool


def coordinator_rows(ctx: Context, asker: Asker) -> ColumnElement[bool]:
    """Of tables.Coordinator: the asker's own, and those away whose substitute the asker is."""
    me = select(tables.Staff.id).where(
        tables.Staff.source == COORDINATORS, tables.Staff.reference == ctx.keys.refer(COORDINATORS, asker.id)
    )
    return or_(
        tables.Coordinator.staff_id.in_(me), and_(tables.Coordinator.away, tables.Coordinator.substitute_id.in_(me))
    )


def mine(ctx: Context, asker: Asker) -> ColumnElement[bool]:
    """Of tables.Task: those of the asker."""
    if asker.role not in WORKERS:
        return false()
    owned: list[ColumnElement[bool]] = []
    if asker.administration is not None:
        owned.append(tables.Task.administration == asker.administration)
    if asker.role == "coordinator":
        own = select(tables.Coordinator.staff_id).where(coordinator_rows(ctx, asker))
        owned.append(tables.Task.staff_id.in_(own))
        owned.append(and_(tables.Task.staff_id.is_(None), tables.Task.administration.is_(None)))
    return or_(false(), *owned)


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

    def opener(session: Session) -> duty.Found[Opened] | None:
        row = session.execute(
            select(tables.Task).where(tables.Task.id == task_id, tables.Task.done_at.is_(None), mine(ctx, asker))
        ).scalar_one_or_none()
        return _open(ctx, session, row) if row is not None else None

    return duty.look(ctx.database, ctx.keys, ctx.clock, asker, PURPOSE, opener)


def _open(ctx: Context, session: Session, task: tables.Task) -> duty.Found[Opened]:
    request = session.execute(
        select(tables.RightsRequest).where(tables.RightsRequest.task_id == task.id)
    ).scalar_one_or_none()
    child_id = request.child_id if request is not None else task.child_id
    child = session.get(tables.Child, child_id) if child_id is not None else None
    if child is not None and child.same_as is not None:
        child = session.get_one(tables.Child, child.same_as)  # it has another number by now
    keys = open_keys(session, ctx.keys, [child.key_id] if child is not None else [])
    fields: Mapping[str, Any] = {}
    if child is not None and child.key_id in keys:
        fields = unseal_json(keys[child.key_id], child.sealed, f"child:{child.id}")
    said: dict[str, Any] = {}
    guardian = None
    if request is not None:
        key = open_key(session, ctx.keys, request.key_id)
        said = unseal_json(key, request.sealed, f"rights:{request.id}")
        guardian = _guardian(ctx, session, request.guardian_id)
    elif task.letter_id is not None:
        guardian = _guardian(ctx, session, session.get_one(tables.Letter, task.letter_id).guardian_id)
    case_id = UUID(said["case"]) if "case" in said else task.case_id
    case = session.get(tables.Case, case_id) if case_id is not None else None
    about = None
    if case is not None and child is not None and child.key_id in keys:
        inside = unseal_json(keys[child.key_id], case.sealed, f"case:{case.id}")
        about = _kind_name(ctx, case.source, inside["kind"])
    opened = Opened(
        _waiting(task),
        name=fields.get("name"),
        number=fields.get("cpr") or said.get("number"),
        guardian=guardian,
        case=about,
        said=said.get("text"),
        asked=request is not None,
        has_child="cpr" in fields,
    )
    shown = {
        "name": opened.name,
        "number": opened.number,
        "guardian": guardian,
        "case": about,
        "request": said or None,
    }
    key_pair = (child.key_id, keys[child.key_id]) if child is not None and child.key_id in keys else None
    codes = [f"task:{task.kind}", *(code for code, value in shown.items() if value)]
    return duty.Found(opened, child.id if key_pair and child is not None else None, key_pair, codes)


def _guardian(ctx: Context, session: Session, guardian_id: UUID) -> str | None:
    row = session.get_one(tables.Guardian, guardian_id)
    keys = open_keys(session, ctx.keys, [row.key_id])
    if row.key_id not in keys:
        return None
    name: str | None = unseal_json(keys[row.key_id], row.sealed, f"guardian:{row.id}")["name"]
    return name


def _kind_name(ctx: Context, source: str, kind: str) -> str | None:
    """None for a kind that is not on the list any more: it is not told."""
    section = ctx.plugins.sections.get(source)
    known = section.kinds.get(kind) if isinstance(section, SourceSettings) else None
    return known.name if known is not None else None
