"""Places in a list that somebody reads on in, by a cursor: without gaps, and in the order in which they become visible.

A number drawn when a row is written would not do: of two transactions the one with the higher number may commit first,
and whoever reads in between goes past the other for good. So rows get their places when somebody reads on, one reader
at a time, from what is committed by then.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, func, select, text, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from hub.store.many import among
from hub.store.tables import LetterPart, Notice

AT_ONCE = 10_000


def give(
    session: Session,
    table: type[Notice] | type[LetterPart],
    administration: str,
    order: Sequence[InstrumentedAttribute[Any]],
    *ready: ColumnElement[bool],
) -> list[UUID]:
    """Give the next places of an administration's list to what has none and is ready. Commit before anything is read.
    Gives the ids of those that got one."""
    lock = f"positions:{table.__tablename__}:{administration}"
    session.execute(text("SELECT pg_advisory_xact_lock(hashtext(:lock))"), {"lock": lock})
    new = (
        session.execute(
            select(table.id)
            .where(table.administration == administration, table.position.is_(None), *ready)
            .order_by(*order)
            .limit(AT_ONCE)
        )
        .scalars()
        .all()
    )
    if not new:
        return []
    last = session.execute(
        select(func.coalesce(func.max(table.position), 0)).where(table.administration == administration)
    ).scalar_one()
    numbered = func.unnest(list(new)).table_valued("id", with_ordinality="place").render_derived(name="numbered")
    session.execute(
        update(table)
        .where(among(table.id, new), table.id == numbered.c.id)
        .values(position=last + numbered.c.place)
        .execution_options(synchronize_session=False)
    )
    return list(new)
