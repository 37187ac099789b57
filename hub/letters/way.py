"""A letter's way, for the coordinator of the family it is to: where it is, by which channel, and every attempt.

The list says what kind of letter it is and where it stands, and nothing of a family; opening one is a look, with its
entry (hub.access.duty). Whose letters they are is found here, and whether they may be seen is the policy's to say, as
of a task about the child that is theirs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, case, exists, false, or_, select, true
from sqlalchemy.orm import Session

from hub.access import duty, viewers
from hub.access.log import Asker, Disclosure
from hub.access.policy import Question, decide
from hub.context import Context
from hub.coordination.tasklist import coordinator_rows
from hub.errors import NotAllowed
from hub.letters.statuses import in_doubt
from hub.store import tables
from hub.store.many import among
from hub.store.people import find_key
from hub.vault import unseal_json

AT_MOST = 100
"""So many letters stand on the list."""
PURPOSE = "task"
NEEDS_SOMEBODY = ("unsure", "returned", "failed")


@dataclass(frozen=True, slots=True)
class Listed:
    id: UUID
    kind: str
    written: datetime
    state: str
    state_at: datetime
    route: str | None
    why: str | None


@dataclass(frozen=True, slots=True)
class Attempt:
    channel: str
    at: datetime
    result: str
    reason: str | None
    try_again_at: datetime | None


@dataclass(frozen=True, slots=True)
class Said:
    """What a channel has said of it."""

    status: str
    at: datetime
    route: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class Way:
    """`guardian` is whom it is to; None when they have been forgotten. `paper_comes_back`: no paper goes to them.
    `asked`: whether it has arrived is for a person to say."""

    letter: Listed
    guardian: str | None
    attempts: tuple[Attempt, ...]
    said: tuple[Said, ...]
    pointers: tuple[tuple[str, str, datetime], ...]
    paper_comes_back: bool
    asked: bool


def _about(ctx: Context, asker: Asker, child: Any) -> ColumnElement[bool]:
    """Whether the asker coordinates a child (its row, or a column of them), or the child has been offered them; and the
    family has not closed."""
    own = select(tables.Coordinator.staff_id).where(coordinator_rows(ctx, asker))
    assigned = exists().where(
        tables.Assignment.child_id == child,
        tables.Assignment.until.is_(None),
        tables.Assignment.coordinator_id.in_(own),
    )
    offered = exists().where(
        tables.Offer.child_id == child, tables.Offer.state == "offered", tables.Offer.coordinator_id.in_(own)
    )
    return and_(or_(assigned, offered), ~duty.closed(ctx.settings.administrations, asker, child, coordinates=True))


def _theirs(ctx: Context, asker: Asker, which: ColumnElement[bool] | None = None) -> ColumnElement[bool]:
    """Of tables.Letter: those of the asker's families (of `which`); none that is also about a child of somebody else's.
    No others than the database shows the asker too (hub.store.viewer), so look for them before a transaction of your
    own."""
    child = tables.LetterChild
    with viewers.begin_as(ctx.database, ctx.keys, ctx.clock, asker) as session:
        wanted = select(tables.Letter.id).where(true() if which is None else which)
        seen = session.execute(wanted).scalars().all()
    about = select(child.letter_id).where(_about(ctx, asker, child.child_id))
    others = select(child.letter_id).where(~_about(ctx, asker, child.child_id))
    return and_(among(tables.Letter.id, seen), tables.Letter.id.in_(about), tables.Letter.id.not_in(others))


def _may(asker: Asker) -> bool:
    return decide(Question(asker.roles, PURPOSE, frozenset({"own-task"}))).see


def listed(ctx: Context, asker: Asker) -> list[Listed]:
    """The letters of the asker's families: those that need somebody first, then the newest."""
    if not _may(asker):
        return []
    first = case((tables.Letter.state.in_(NEEDS_SOMEBODY), 0), else_=1)
    wanted = select(tables.Letter).where(_theirs(ctx, asker))
    with ctx.database.session() as session:
        rows = session.execute(
            wanted.order_by(first, tables.Letter.frozen_at.desc(), tables.Letter.id).limit(AT_MOST)
        ).scalars()
        return [_listed(row) for row in rows]


def _listed(row: tables.Letter) -> Listed:
    return Listed(row.id, row.kind, row.frozen_at, row.state, row.state_at, row.route, row.why)


def look(ctx: Context, asker: Asker, letter_id: UUID) -> Disclosure[Way | None]:
    """One letter's way; None when it is not the asker's. Raises LogUnavailable."""
    mine = _theirs(ctx, asker, tables.Letter.id == letter_id)

    def opener(session: Session) -> duty.Found[Way] | str:
        letter = session.execute(select(tables.Letter).where(mine)).scalar_one_or_none()
        decision = decide(Question(asker.roles, PURPOSE, frozenset({"own-task"} if letter is not None else ())))
        if letter is None or not decision.see:
            return decision.basis
        child = session.execute(
            select(tables.Child)
            .join(tables.LetterChild, tables.LetterChild.child_id == tables.Child.id)
            .where(tables.LetterChild.letter_id == letter.id)
            .order_by(tables.Child.id)
            .limit(1)
        ).scalar_one()
        key = find_key(session, ctx.keys, child.key_id)
        codes = [f"letter:{letter.id}", "delivery"]
        way = _way(ctx, session, letter)
        if key is None:
            return duty.Found(way, None, None, codes, decision.basis)
        return duty.Found(way, child.id, (child.key_id, key), codes, decision.basis)

    return duty.look(ctx.database, ctx.keys, ctx.clock, asker, PURPOSE, opener, begin=ctx.database.begin)


def theirs(ctx: Context, asker: Asker, letter_id: UUID) -> UUID:
    """Whose letter it is (a guardian's row), for whoever may say what became of it. Raises NotAllowed."""
    mine = _theirs(ctx, asker, tables.Letter.id == letter_id) if _may(asker) else false()
    with ctx.database.session() as session:
        guardian = session.execute(select(tables.Letter.guardian_id).where(mine)).scalar_one_or_none()
    if guardian is None:
        raise NotAllowed("there is no such letter of a family of yours")
    return guardian


def _way(ctx: Context, session: Session, letter: tables.Letter) -> Way:
    guardian = session.get_one(tables.Guardian, letter.guardian_id)
    key = find_key(session, ctx.keys, guardian.key_id)
    name = unseal_json(key, guardian.sealed, f"guardian:{guardian.id}")["name"] if key is not None else None
    attempts: Sequence[tables.Delivery] = (
        session.execute(
            select(tables.Delivery).where(tables.Delivery.letter_id == letter.id).order_by(tables.Delivery.attempt)
        )
        .scalars()
        .all()
    )
    said = session.execute(
        select(tables.DeliveryStatus)
        .where(tables.DeliveryStatus.letter_id == letter.id)
        .order_by(tables.DeliveryStatus.time, tables.DeliveryStatus.seen_at)
    ).scalars()
    pointers = session.execute(
        select(tables.Pointer).where(tables.Pointer.letter_id == letter.id).order_by(tables.Pointer.way)
    ).scalars()
    return Way(
        _listed(letter),
        name,
        tuple(Attempt(one.channel, one.at, one.result, one.reason, one.try_again_at) for one in attempts),
        tuple(Said(one.status, one.time, one.route, one.reason) for one in said),
        tuple((one.way, one.state, one.at) for one in pointers),
        session.get(tables.ReturnedMail, letter.guardian_id) is not None,
        in_doubt(letter, ctx.clock.now()),
    )
