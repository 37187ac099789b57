"""The target group: who has something open or applied for in at least two administrations, by the presences there are.

Whatever changes presences says whose, and those are looked at again in the same transaction. So a day's changes cost
what they are, however many children there are.
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session

from hub.store import tables
from hub.store.many import among

_ALONE = text("SELECT pg_advisory_xact_lock(hashtext('target group'))")


def alone(session: Session) -> None:
    """Nobody else changes presences until the commit: two pages that each bring one half of a child's two
    administrations must not both look before the other commits, or the child would be missed."""
    session.execute(_ALONE)


def in_two(session: Session, tokens: Collection[bytes]) -> set[bytes]:
    """Those of them who are in two administrations now."""
    found = (
        select(tables.Presence.token)
        .where(among(tables.Presence.token, tokens))
        .group_by(tables.Presence.token)
        .having(func.count(func.distinct(tables.Presence.administration)) >= 2)
    )
    return set(session.execute(found).scalars())


def reassess(session: Session, tokens: Collection[bytes]) -> None:
    """Whether the known children among them are in the target group still, or again. Call `alone` first."""
    if not tokens:
        return
    found = in_two(session, tokens)
    for eligible, whose in ((True, found), (False, set(tokens) - found)):
        if whose:
            session.execute(
                update(tables.Child)
                .where(among(tables.Child.token, whose), tables.Child.eligible.is_not(eligible))
                .values(eligible=eligible)
            )
