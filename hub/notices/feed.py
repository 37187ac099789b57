"""The feed: an administration's own system reads its notices on from a cursor; an adviser sees theirs on a page.

Each that is read is a look, with an entry of its own, durable before the answer. Reading on from the same cursor gives
the same again, and more. What may not be told by then is passed over, and its row says why.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from hub.access import duty, log, several, viewers
from hub.access.askers import asker_key, day_key
from hub.access.log import Asker, Disclosure
from hub.clock import today
from hub.context import Context
from hub.errors import NotAllowed
from hub.notices.facts import PURPOSE, Fact, hold, read
from hub.notices.kinds import Kind
from hub.store import positions, tables
from hub.store.many import among

AT_MOST = 100
"""Notices in one answer."""
FEED, PAGE = "feed", "page"
"""How they came to whoever read them, as the log has it."""


@dataclass(frozen=True, slots=True)
class Some:
    """Some notices, oldest first. `cursor` is where to read on; `more` whether there is more now."""

    facts: tuple[Fact, ...]
    cursor: int
    more: bool


def pull(ctx: Context, asker: Asker, after: int) -> Disclosure[Some]:
    """The next notices of the asker's administration after a cursor (0: from the first that is kept).

    Raises NotAllowed unless a system asks for its administration, LogUnavailable when the log cannot be written."""
    administration = system_of(ctx, asker)
    notice = tables.Notice
    mine = (notice.administration == administration, notice.position > after)

    def given(session: Session) -> None:
        positions.give(session, notice, administration, (notice.at, notice.id))

    def read(session: Session) -> tuple[Some, list[log.SealedEntry]]:
        rows = session.execute(select(notice).where(*mine).order_by(notice.position).limit(AT_MOST)).scalars().all()
        last = rows[-1].position or after if rows else after
        facts, entries = _disclose(ctx, session, asker, rows, FEED)
        later = select(func.count()).select_from(notice)
        left = session.execute(later.where(*mine, notice.position > last)).scalar_one()
        return Some(facts, last, left > 0), entries

    return several.show(ctx.database, read, first=given)


def mine(ctx: Context, asker: Asker, staff: Sequence[UUID], kinds: Sequence[Kind]) -> Disclosure[tuple[Fact, ...]]:
    """The latest notices of these kinds to an adviser, newest first: `staff` are their rows. Raises LogUnavailable."""
    notice = tables.Notice
    newest = (notice.at.desc(), notice.id)
    latest = (
        select(notice.id)
        .where(
            among(notice.adviser_id, staff),
            notice.administration == asker.administration,
            notice.kind.in_(kinds),
            notice.why_not.is_(None),
        )
        .order_by(*newest)
        .limit(AT_MOST)
    )
    with viewers.begin_as(ctx.database, ctx.keys, ctx.clock, asker, advises=staff) as session:
        seen = session.execute(latest).scalars().all()  # as the asker, whom the database shows no others
    told = select(notice).where(among(notice.id, seen), notice.why_not.is_(None)).order_by(*newest)

    def read(session: Session) -> tuple[tuple[Fact, ...], list[log.SealedEntry]]:
        return _disclose(ctx, session, asker, session.execute(told).scalars().all(), PAGE)

    return several.show(ctx.database, read)


def system_of(ctx: Context, asker: Asker) -> str:
    """The administration whose system asks. Raises NotAllowed for anybody else."""
    if "source" not in asker.roles or asker.administration not in ctx.settings.administrations:
        raise NotAllowed("this is for an administration's own system, with the role source")
    return asker.administration


def _disclose(
    ctx: Context, session: Session, asker: Asker, rows: Sequence[tables.Notice], way: str
) -> tuple[tuple[Fact, ...], list[log.SealedEntry]]:
    """What may be told of the notices, and the entries that say so: to be added before the commit. At least one: that
    somebody asked is written down too."""
    now, key = ctx.clock.now(), asker_key(session, ctx.keys, asker)
    nobody = day_key(session, ctx.keys, today(ctx.clock))
    if not rows:
        hold(session)
    found = read(ctx, session, rows, asker.roles) if rows else {}
    facts: list[Fact] = []
    for row in rows:
        fact = found[row.id]
        if isinstance(fact, Fact):
            facts.append(fact)
            row.told_at = row.told_at or now
        elif row.why_not is None:
            row.why_not = fact
    entries = [fact.entry(now, asker, key, way) for fact in facts]
    if not entries:
        said = {"purpose": PURPOSE, "see": False, "basis": duty.NOTHING, "shown": [], "way": way}
        entries = [
            log.seal_entry(
                at=now, kind=PURPOSE, child_id=None, asker=asker, asker_key=key, subject=said, subject_key=nobody
            )
        ]
    return tuple(facts), entries
