"""Tasks: what a person must look at. Each thing is one task, however often it is come upon."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from hub.store.tables import Task
from hub.vault import Keys


def put(
    session: Session,
    keys: Keys,
    now: datetime,
    kind: str,
    about: Mapping[str, Mapping[str, Any]],
    *,
    again: bool = False,
) -> int:
    """A task of a kind for each thing it is about, with its columns. `again`: one that is done is opened again.

    Gives how many were put there or opened."""
    rows = [
        {
            "id": uuid4(),
            "kind": kind,
            "once": keys.once(kind, what),
            "made_at": now,
        }
        | dict(columns)
        for what, columns in about.items()
    ]
    if not rows:
        return 0
    task = insert(Task)
    kept = (
        task.on_conflict_do_update(
            index_elements=["once"],
            set_={"done_at": None, "made_at": task.excluded.made_at, "staff_id": task.excluded.staff_id},
            where=Task.done_at.is_not(None),
        )
        if again
        else task.on_conflict_do_nothing()
    )
    return len(session.execute(kept.returning(Task.id), rows).all())
