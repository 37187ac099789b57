"""What is done with coordinators, each with an id: so that a restored database can be told of it again, and once."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID, uuid4

from sqlalchemy import select
from sqlalchemy.orm import Session

from hub import journal
from hub.context import Context
from hub.store import tables
from hub.store.many import among


def note(
    ctx: Context,
    session: Session,
    does: str,
    again: UUID | None,
    *,
    children: Iterable[UUID] | None = None,
    **said: str | None,
) -> UUID:
    """The act's id, kept with what it does; in the journal once it is committed, unless it comes from there (`again`).
    `children` are named by their tokens there."""
    act = again or uuid4()
    session.add(tables.Act(id=act, at=ctx.clock.now()))
    if again is None:
        tokens = None
        if children is not None:
            rows = session.execute(select(tables.Child.token).where(among(tables.Child.id, set(children))))
            tokens = sorted(token.hex() for token in rows.scalars())
        journal.after_commit(ctx, session, {"act": str(act), "does": does, "children": tokens} | said)
    return act
