"""Administrations whose cases are health data: what may be read of them, by the policy and the family's consent."""

from __future__ import annotations

from collections.abc import Callable, Set
from uuid import UUID

from sqlalchemy import ColumnElement, delete, exists, select, update
from sqlalchemy.orm import Session

from hub.access.policy import Consent, Question, Relation, decide
from hub.cases import events, owed
from hub.context import Context
from hub.contract import Adapter
from hub.store import tables
from hub.store.many import among

NO_CONSENT = "the consent to read the case was taken back"
"""Why an event is not told."""
_SYSTEM = frozenset({"system"})


def presence_may_be_read(ctx: Context, adapter: Adapter) -> bool:
    """Whether a source may be asked who has something open or applied for. Of health only where the settings name the
    ground."""
    asked = Question(_SYSTEM, "presence", _relation(ctx, adapter))
    return decide(asked, ctx.settings.access.switches).see


def readable(ctx: Context, session: Session, adapter: Adapter, children: Set[UUID]) -> set[UUID]:
    """Of children whose family has said yes, those whose cases may be read from a source. Whoever takes a consent back
    from here on waits for this transaction."""

    def may(*consents: Consent) -> bool:
        asked = Question(_SYSTEM, "cases", _relation(ctx, adapter), frozenset(consents))
        return decide(asked, ctx.settings.access.switches).see

    if may("accepted"):
        return set(children)
    if not may("accepted", "health"):
        return set()
    given = select(tables.Consent.child_id).where(
        among(tables.Consent.child_id, children),
        tables.Consent.administration == adapter.administration,
        tables.Consent.holds(ctx.clock.now()),
    )
    return set(session.execute(given.with_for_update(read=True)).scalars())


def forget(ctx: Context, session: Session, child_id: UUID, administration: str) -> None:
    """What was read of a child from an administration goes: its waiting events end, and a later consent is a first
    read. Letters already frozen are held back when it is their turn to leave; what a law owes of them is the
    administration's task."""
    mine = (tables.Case.child_id == child_id, tables.Case.administration == administration)
    cases = session.execute(select(tables.Case.id).where(*mine)).scalars().all()
    owed.give_back(ctx, session, among(tables.Event.case_id, cases))
    for case in cases:
        events.drop_waiting(session, NO_CONSENT, case=case)
    session.execute(delete(tables.Case).where(among(tables.Case.id, cases)))


def take_back(ctx: Context, session: Session, child_id: UUID, administration: str, tell: Callable[[], object]) -> bool:
    """All consents that were given by now end, whoever gave them, with what was read by them. Whether there was one:
    then `tell` is called, before the cases go (see hub.cases.ending)."""
    return _end(ctx, session, child_id, administration, tables.Consent.since <= ctx.clock.now(), tell)


def run_out(ctx: Context, session: Session, child_id: UUID, administration: str) -> bool:
    """As `take_back`, for those whose time is over; what was read stays where another consent still holds."""
    return _end(ctx, session, child_id, administration, tables.Consent.until <= ctx.clock.now())


def _end(
    ctx: Context,
    session: Session,
    child_id: UUID,
    administration: str,
    which: ColumnElement[bool],
    tell: Callable[[], object] | None = None,
) -> bool:
    now = ctx.clock.now()
    mine = (tables.Consent.child_id == child_id, tables.Consent.administration == administration)
    ended = session.execute(
        update(tables.Consent)
        .where(*mine, tables.Consent.withdrawn_at.is_(None), which)
        .values(withdrawn_at=now)
        .returning(tables.Consent.id)
    ).all()
    if ended and tell is not None:
        tell()
    still = session.execute(select(exists().where(*mine, tables.Consent.holds(now)))).scalar_one()
    if ended and not still:
        forget(ctx, session, child_id, administration)
        names = [name for name, adapter in ctx.plugins.adapters.items() if adapter.administration == administration]
        of_child = tables.ChildSource.child_id == child_id
        session.execute(delete(tables.ChildSource).where(of_child, among(tables.ChildSource.source, names)))
    return bool(ended)


def _relation(ctx: Context, adapter: Adapter) -> Set[Relation]:
    found: Relation = "health" if adapter.administration in ctx.settings.access.health else "source"
    return frozenset({found})
