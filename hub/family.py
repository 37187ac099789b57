"""The acts of a family that reach into several rooms, each one transaction: accept, decline, withdraw, come of age.

Each ends with its entry in the access log, taken last: the log's head then orders it against every lookup, and a no is
obeyed by whatever comes after.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from hub.access import log
from hub.access.askers import PersonKeyPair, asker_key
from hub.cases import events, sources
from hub.cases.custody import numbers_of
from hub.cases.match import birthday_passed
from hub.clock import today
from hub.context import Context
from hub.errors import NotAllowed
from hub.identity import parse
from hub.store import tables
from hub.store.people import open_key

How = Literal["page", "phone", "paper", "meeting"]


@dataclass(frozen=True, slots=True)
class Answerer:
    """Whose answer it is, how it came, which text they answered, and the member of staff who wrote it down."""

    guardian_id: UUID
    how: How
    text_version: str
    registered_by: log.Asker | None = None


def accept(ctx: Context, child_id: UUID, by: Answerer) -> None:
    """Ja tak: the reserved place becomes an assignment. A second yes changes nothing.

    Raises NotAllowed when there is no open offer, the answerer has no custody, or the child is 18."""
    with ctx.database.begin() as session:
        offer = _offer(session, child_id)
        _check_custody(ctx, session, child_id, by)
        if offer.state == "accepted":
            return
        if offer.state != "offered" or offer.coordinator_id is None:
            raise NotAllowed("there is no open offer to accept; it may have lapsed or been declined")
        day = today(ctx.clock)
        if any(birthday_passed(parse(digits), day) for digits in numbers_of(ctx, session, {child_id})):
            raise NotAllowed("the child is 18: nobody else answers for them now")
        now = ctx.clock.now()
        offer.state, offer.answered_at = "accepted", now
        _answer(ctx, session, child_id, by, "yes")
        session.add(tables.Assignment(child_id=child_id, coordinator_id=offer.coordinator_id, since=now))
        # From now on the hub may know names: the custody source is asked again.
        session.execute(
            delete(tables.ChildSource).where(
                tables.ChildSource.child_id == child_id, tables.ChildSource.source == sources.CUSTODY
            )
        )
        window = ctx.settings.letters.window_working_days
        events.record(
            session, ctx.keys, now, window, [events.News(events.ASSIGNED, child_id, str(offer.coordinator_id))]
        )
        _log(ctx, session, child_id, by, "acceptance", {"answer": "yes"})


def decline(ctx: Context, child_id: UUID, by: Answerer) -> None:
    """Nej tak: the place is free again, and nothing more is written about the offer. Raises NotAllowed."""
    with ctx.database.begin() as session:
        offer = _offer(session, child_id)
        _check_custody(ctx, session, child_id, by)
        if offer.state == "declined":
            return
        if offer.state != "offered":
            raise NotAllowed("there is no open offer to decline")
        _answer(ctx, session, child_id, by, "no")
        _end(ctx, session, child_id, offer, "declined", "the family said no")
        _log(ctx, session, child_id, by, "acceptance", {"answer": "no"})


def withdraw(ctx: Context, child_id: UUID, by: Answerer) -> None:
    """The yes is taken back: coordinator, cases and waiting letters end in this transaction. Raises NotAllowed."""
    with ctx.database.begin() as session:
        offer = _offer(session, child_id)
        _check_custody(ctx, session, child_id, by)
        if offer.state == "withdrawn":
            return
        if offer.state != "accepted":
            raise NotAllowed("there is no yes to take back")
        _answer(ctx, session, child_id, by, "withdrawn")
        _end(ctx, session, child_id, offer, "withdrawn", "the family took its yes back")
        _log(ctx, session, child_id, by, "acceptance", {"answer": "withdrawn"})


def come_of_age(ctx: Context) -> int:
    """End the scheme for whoever is 18 by now (Danish midnight): guardians' access and letters end with childhood.

    Gives how many. Each is a transaction of its own."""
    with ctx.database.begin() as session:
        held = select(tables.Offer.child_id).where(tables.Offer.state.in_(("waiting", "offered", "accepted")))
        numbers = numbers_of(ctx, session, set(session.execute(held).scalars()))
    day = today(ctx.clock)
    grown = [child for digits, child in numbers.items() if birthday_passed(parse(digits), day)]
    for child in grown:
        with ctx.database.begin() as session:
            offer = _offer(session, child)
            _end(ctx, session, child, offer, "grown", "the child turned 18")
            key = asker_key(session, ctx.keys, log.SYSTEM)
            log.append(session, [_entry(ctx, session, child, log.SYSTEM, key, "assignment", {"ended": "grown"})])
    return len(grown)


def _offer(session: Session, child_id: UUID) -> tables.Offer:
    offer = session.execute(
        select(tables.Offer).where(tables.Offer.child_id == child_id).with_for_update()
    ).scalar_one_or_none()
    if offer is None:
        raise NotAllowed("this child has no offer")
    return offer


def _check_custody(ctx: Context, session: Session, child_id: UUID, by: Answerer) -> None:
    if by.guardian_id not in events.guardians_of(session, {child_id}, today(ctx.clock)).get(child_id, []):
        raise NotAllowed("only somebody with custody today can answer for the child")


def _answer(ctx: Context, session: Session, child_id: UUID, by: Answerer, answer: str) -> None:
    staff = None
    if by.registered_by is not None:
        key_id, _key = asker_key(session, ctx.keys, by.registered_by)
        staff = session.execute(select(tables.Staff.id).where(tables.Staff.key_id == key_id)).scalar_one()
    session.add(
        tables.Acceptance(
            child_id=child_id,
            guardian_id=by.guardian_id,
            answer=answer,
            how=by.how,
            registered_by=staff,
            text_version=by.text_version,
            at=ctx.clock.now(),
        )
    )


def _end(ctx: Context, session: Session, child_id: UUID, offer: tables.Offer, state: str, why: str) -> None:
    """What the yes carried ends: place, assignment, case index, waiting events."""
    now = ctx.clock.now()
    offer.state, offer.coordinator_id, offer.answered_at = state, None, now
    session.execute(
        update(tables.Assignment)
        .where(tables.Assignment.child_id == child_id, tables.Assignment.until.is_(None))
        .values(until=now)
    )
    events.drop_waiting(session, why, child=child_id)
    session.execute(delete(tables.Case).where(tables.Case.child_id == child_id))
    session.execute(delete(tables.ChildSource).where(tables.ChildSource.child_id == child_id))


def _log(ctx: Context, session: Session, child_id: UUID, by: Answerer, kind: str, what: dict[str, str]) -> None:
    if by.registered_by is not None:
        asker, key = by.registered_by, asker_key(session, ctx.keys, by.registered_by)
    else:
        guardian = session.get_one(tables.Guardian, by.guardian_id)
        asker = log.Asker(str(guardian.id), "", "guardian")
        key = (guardian.key_id, open_key(session, ctx.keys, guardian.key_id))
    log.append(session, [_entry(ctx, session, child_id, asker, key, kind, what | {"how": by.how})])


def _entry(
    ctx: Context,
    session: Session,
    child_id: UUID,
    asker: log.Asker,
    key: PersonKeyPair,
    kind: str,
    what: dict[str, str],
) -> log.SealedEntry:
    child = session.get_one(tables.Child, child_id)
    return log.seal_entry(
        at=ctx.clock.now(),
        kind=kind,
        child_id=child_id,
        asker=asker,
        asker_key=key,
        subject=what,
        subject_key=(child.key_id, open_key(session, ctx.keys, child.key_id)),
    )
