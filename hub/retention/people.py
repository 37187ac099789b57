"""Numbers, names, who has custody and who hears: what is forgotten of people first, and of children who were never
offered anything. What they said stays with the token, so that nobody is asked again; keys stay, so that the log can be
read."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, and_, delete, exists, func, or_, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from hub.clock import today
from hub.context import Context
from hub.retention import rows
from hub.store import tables
from hub.store.many import among
from hub.store.people import open_keys
from hub.vault import new_key, seal_json

ENDED = ("declined", "withdrawn", "grown", "died", "left", "lapsed")
"""States of an offer after which nothing more comes."""
NOBODY = {"cpr": "", "name": None, "protected": True, "digital_post": None}
"""What is left of a guardian."""
PASSIVE = ("acceptance", "block", "bundle", "consent", "event", "letter", "rights_request")
"""Tables that say what a guardian was told and said: they keep the row, and not the name."""
ONLY_TO_WRITE = ("preference", "returned_mail")
"""Tables that are of use only while somebody is written to: their rows go with the name."""
NOTHING = len(seal_json(new_key(), {}, ""))
_LEFT = len(seal_json(new_key(), NOBODY, ""))
"""Bytes of a sealed record with nothing in it, of a child and of a guardian."""
AT_ONCE = 1000
"""So many people are forgotten in a night at most."""


def waits_for_somebody(child: InstrumentedAttribute[UUID]) -> ColumnElement[bool]:
    """Whether something about the child is not at its end: a task or a request that nobody has answered, news that
    waits for a letter, a letter that may still be under way."""
    task, request, letter, event = tables.Task, tables.RightsRequest, tables.Letter, tables.Event
    on_the_way = or_(letter.state == "frozen", letter.state_due.is_not(None))
    return or_(
        exists().where(task.child_id == child, task.done_at.is_(None)),
        exists().where(request.child_id == child, request.answered_at.is_(None)),
        exists().where(
            event.child_id == child, event.bundle_id == tables.Bundle.id, tables.Bundle.composed_at.is_(None)
        ),
        exists().where(tables.LetterChild.child_id == child, tables.LetterChild.letter_id == letter.id, on_the_way),
    )


def ended_before(when: datetime) -> ColumnElement[bool]:
    """Of tables.Child: whose part in the scheme ended by then. A row that gave way to another goes by that one's."""
    offer = tables.Offer
    return exists().where(
        offer.child_id == func.coalesce(tables.Child.same_as, tables.Child.id),
        offer.state.in_(ENDED),
        offer.answered_at <= when,
    )


def numbers(ctx: Context, session: Session) -> int:
    """Children whose part has ended: number, name, former numbers, custody, and who else hears of them."""
    child = tables.Child
    found = (
        session.execute(
            select(child)
            .where(
                func.octet_length(child.sealed) > NOTHING,
                ended_before(ctx.clock.now() - timedelta(days=ctx.settings.retention.number_days)),
                ~waits_for_somebody(child.id),
            )
            .order_by(child.id)
            .limit(AT_ONCE)
            .with_for_update(skip_locked=True)
        )
        .scalars()
        .all()
    )
    keys = open_keys(session, ctx.keys, (row.key_id for row in found))
    ids = [row.id for row in found]
    for row in found:
        if row.key_id in keys:
            row.sealed = seal_json(keys[row.key_id], {}, f"child:{row.id}")
    for former in session.execute(
        select(tables.FormerNumber).where(among(tables.FormerNumber.child_id, ids))
    ).scalars():
        owner = next(row for row in found if row.id == former.child_id)
        if owner.key_id in keys:
            former.sealed = seal_json(keys[owner.key_id], "", f"former:{owner.id}")
    session.flush()
    session.execute(delete(tables.Custody).where(among(tables.Custody.child_id, ids)))
    session.execute(delete(tables.Hears).where(among(tables.Hears.child_id, ids)))
    session.execute(delete(tables.ChildSource).where(among(tables.ChildSource.child_id, ids)))
    return len(found)


def custody(ctx: Context, session: Session) -> int:
    """Custody that ended long ago, and mandates."""
    long = timedelta(days=ctx.settings.retention.custody_days)
    until, before, hears = today(ctx.clock) - long, ctx.clock.now() - long, tables.Hears
    gone = delete(tables.Custody).where(tables.Custody.until <= until)
    ended = delete(tables.Hears).where(or_(hears.until <= until, hears.ended_at <= before))
    return sum(
        len(session.execute(each).all())
        for each in (gone.returning(tables.Custody.child_id), ended.returning(hears.id))
    )


def guardians(ctx: Context, session: Session) -> int:
    """Guardians who have custody of nobody the hub knows, and are written to as nobody: number and name, and how they
    chose to be written to."""
    guardian, letter = tables.Guardian, tables.Letter
    waits = or_(
        exists().where(tables.Bundle.guardian_id == guardian.id, tables.Bundle.composed_at.is_(None)),
        exists().where(letter.guardian_id == guardian.id, or_(letter.state == "frozen", letter.state_due.is_not(None))),
        exists().where(tables.RightsRequest.guardian_id == guardian.id, tables.RightsRequest.answered_at.is_(None)),
    )
    found = (
        session.execute(
            select(guardian)
            .where(
                func.octet_length(guardian.sealed) > _LEFT,
                ~rows.used(tables.Guardian.__table__, guardian.id, save=(*PASSIVE, *ONLY_TO_WRITE)),  # type: ignore[arg-type]  # a mapped class has a Table
                ~waits,
            )
            .order_by(guardian.id)
            .limit(AT_ONCE)
            .with_for_update(skip_locked=True)
        )
        .scalars()
        .all()
    )
    keys = open_keys(session, ctx.keys, (row.key_id for row in found))
    for row in found:
        if row.key_id in keys:
            row.sealed = seal_json(keys[row.key_id], NOBODY, f"guardian:{row.id}")
    session.flush()
    write_no_more(session, [row.id for row in found])
    return len(found)


def write_no_more(session: Session, guardians: list[UUID]) -> None:
    """How these chose to be written to, with their mail address and phone, and that paper came back from them."""
    session.execute(delete(tables.Preference).where(among(tables.Preference.guardian_id, guardians)))
    session.execute(delete(tables.ReturnedMail).where(among(tables.ReturnedMail.guardian_id, guardians)))


def left(ctx: Context, session: Session) -> int:
    """Children who left the target group before anybody had written to their family: all but the key of what was
    logged."""
    child, offer = tables.Child, tables.Offer
    now = ctx.clock.now()
    session.execute(update(child).where(child.eligible, child.left_at.is_not(None)).values(left_at=None))
    session.execute(update(child).where(~child.eligible, child.left_at.is_(None)).values(left_at=now))
    never = ~exists().where(offer.child_id == child.id, offer.state != "waiting")
    untold = and_(
        ~exists().where(tables.Event.child_id == child.id),
        ~exists().where(tables.LetterChild.child_id == child.id),
        ~exists().where(tables.Acceptance.child_id == child.id),
        ~exists().where(tables.RightsRequest.child_id == child.id),
        ~exists().where(
            tables.Task.child_id == child.id, tables.Task.entry_id.is_not(None), tables.Task.done_at.is_(None)
        ),
    )
    found = (
        session.execute(
            select(child)
            .where(
                child.left_at <= now - timedelta(days=ctx.settings.retention.left_days),
                ~child.eligible,
                child.same_as.is_(None),
                func.octet_length(child.sealed) > NOTHING,
                never,
                untold,
            )
            .order_by(child.id)
            .limit(AT_ONCE)
            .with_for_update(skip_locked=True)
        )
        .scalars()
        .all()
    )
    keys = open_keys(session, ctx.keys, (row.key_id for row in found))
    rows.delete_pointing(
        session,
        child.__table__,  # type: ignore[arg-type]  # a mapped class has a Table
        [row.id for row in found],
        save=("child",),
    )
    for row in found:
        row.token = secrets.token_bytes(32)
        row.sealed = seal_json(keys[row.key_id], {}, f"child:{row.id}") if row.key_id in keys else b""
    session.flush()
    return len(found)
