"""Looks that a written reason allowed: each is a task for the leader of whoever looked, made in the transaction of its
entry. One by somebody who leads a unit is no leader's task, and so the auditor's from the beginning."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID, uuid4

from hub.access.log import Asker, SealedEntry
from hub.vault import Keys

KIND = "review"
"""Of the task, and of the entry that says what came of it."""

INSERT = """
INSERT INTO task (id, kind, once, administration, team, child_id, entry_id, made_at)
SELECT * FROM unnest(%s::uuid[], %s::text[], %s::bytea[], %s::text[], %s::bytea[], %s::uuid[], %s::uuid[],
                     %s::timestamptz[])
"""


class Row(NamedTuple):
    """A task, in the order of INSERT."""

    id: UUID
    kind: str
    once: bytes
    administration: str | None
    team: bytes | None
    child_id: UUID | None
    entry_id: UUID
    made_at: datetime


def team(keys: Keys, administration: str | None, unit: str | None) -> bytes | None:
    """What stands for a unit of an administration; None where one of them is not known."""
    return keys.refer("team", f"{administration}\0{unit}") if administration and unit else None


def row(keys: Keys, entry: SealedEntry, asker: Asker) -> Row:
    """The task of an entry."""
    office = None if asker.is_leader else asker.administration
    once = keys.once(KIND, str(entry.id))
    return Row(uuid4(), KIND, once, office, team(keys, office, asker.unit), entry.child_id, entry.id, entry.at)


def columns(rows: list[Row]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]
