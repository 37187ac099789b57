"""A coordinator says goodbye: the scheme ends for a child by a person's word, and the family hears it.

Where somebody is registered as living does not say which municipality answers for them: of a child placed elsewhere the
former one may go on to (retssikkerhedsloven § 9). So no address ends anything by itself.
"""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.access import log
from hub.access.askers import by_system
from hub.cases import events, kinds
from hub.cases.ending import end
from hub.context import Context
from hub.coordination import acts
from hub.errors import NotAllowed
from hub.store import tables
from hub.store.people import open_key

LEFT = "left"
"""The state of the offer of a child that another municipality answers for, or that the scheme has ended for."""
WHY = {"moved": "another municipality answers for the child", "closed": "the coordination has come to its end"}


def say(ctx: Context, child_id: UUID, why: Literal["moved", "closed"], *, again: UUID | None = None) -> None:
    """End the scheme for a child that has a coordinator: `moved` to another municipality, or `closed` because there is
    nothing left to coordinate. Twice is once. `again`: the act's own id, when it is one from the journal that a
    restored database has lost. Raises NotAllowed when the child has no coordinator."""
    with ctx.database.begin() as session:
        offer = session.execute(
            select(tables.Offer).where(tables.Offer.child_id == child_id).with_for_update()
        ).scalar_one_or_none()
        if offer is not None and offer.state == LEFT:
            return
        if offer is None or offer.state != "accepted":
            raise NotAllowed("this child has no coordinator: there is nothing to end")
        kind = kinds.MOVED_AWAY if why == "moved" else kinds.SCHEME_ENDED
        act = acts.note(ctx, session, "goodbye", again, children=[child_id], why=why)
        news = [events.News(kind, child_id, f"{LEFT}:{act}")]
        end(ctx, session, offer, LEFT, WHY[why], news)
        _write_down(ctx, session, child_id, why)


def _write_down(ctx: Context, session: Session, child_id: UUID, why: str) -> None:
    """In the access log, taken last."""
    row = session.get_one(tables.Child, child_id)
    key = (row.key_id, open_key(session, ctx.keys, row.key_id))
    log.append(session, [by_system(session, ctx.keys, ctx.clock.now(), "assignment", child_id, key, {"ended": why})])
