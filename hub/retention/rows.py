"""Rows by what they hang on, for all tables there are: a table that comes later is not forgotten to be forgotten."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, ForeignKey, Table, delete, exists, select
from sqlalchemy.orm import Session

from hub.store import tables
from hub.store.many import among

Ids = Collection[Any]


def pointing_at(target: Table, *, save: Collection[str] = ()) -> Iterator[ForeignKey]:
    """The foreign keys of all tables that point at a table's rows, but for those of the tables named in `save`."""
    for table in tables.Base.metadata.sorted_tables:
        if table.name not in save:
            yield from (key for key in table.foreign_keys if key.column.table is target)


def used(target: Table, column: Any, *, save: Collection[str] = ()) -> ColumnElement[bool]:
    """Whether a row of any table but `save` points at it. `column` is what they point at, of the row that is meant."""
    found: ColumnElement[bool] | None = None
    for key in pointing_at(target, save=save):
        one = exists().where(key.parent == column)
        found = one if found is None else found | one
    assert found is not None  # noqa: S101 - something points at every table this is asked of
    return found


def delete_pointing(session: Session, target: Table, ids: Ids, *, save: Collection[str] = ()) -> int:
    """Delete all rows that point at these rows of `target`, and those that point at them in turn; but none of `save`. A
    key that the database itself lets go of (ON DELETE) is left to it. Gives how many rows."""
    return sum(_delete(session, key, ids, save) for key in pointing_at(target, save=save)) if ids else 0


def _delete(session: Session, key: ForeignKey, ids: Ids, save: Collection[str]) -> int:
    if key.ondelete is not None:
        return 0
    table = key.parent.table
    gone = 0
    if any(True for _each in pointing_at(table, save=save)):
        (own,) = table.primary_key.columns  # what others point at has one key
        rows: list[UUID] = list(session.execute(select(own).where(among(key.parent, ids))).scalars())
        gone += delete_pointing(session, table, rows, save=save)
    found = session.execute(delete(table).where(among(key.parent, ids)).returning(key.parent))
    return gone + len(found.all())
