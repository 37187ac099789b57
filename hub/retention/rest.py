"""What is no longer of use: done tasks, answered requests, staff whom nothing names, statuses of nobody's letters, what
was said and journalised beside letters, and the keys of those who looked long ago."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

from sqlalchemy import Table, delete, exists, func, or_, select, update
from sqlalchemy.orm import Session

from hub.access.askers import LOGIN
from hub.access.log import SYSTEM
from hub.clock import today
from hub.context import Context
from hub.journal import SUFFIX
from hub.retention import rows
from hub.retention.people import AT_ONCE
from hub.store import tables
from hub.store.many import among

_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
FOR_LOOKING_INTO = timedelta(days=90)
"""So long a status of a letter that the hub does not know is kept, and that it was said beside one that there is news:
for whoever looks into it."""
FORGOTTEN = "forgotten"
"""`staff.source` of somebody whose key is destroyed."""
_STAFF: Table = tables.Staff.__table__  # type: ignore[assignment]  # a mapped class has a Table
_COORDINATOR: Table = tables.Coordinator.__table__  # type: ignore[assignment]  # a mapped class has a Table
_TASK: Table = tables.Task.__table__  # type: ignore[assignment]  # a mapped class has a Table


def long_ago(ctx: Context) -> datetime:
    """What was logged before then is no longer to be read."""
    return years_before(ctx.clock.now(), ctx.settings.retention.log_years)


def years_before(now: datetime, years: int) -> datetime:
    return now - timedelta(days=365.25 * years)


def tasks(ctx: Context, session: Session) -> int:
    """Tasks that were done long ago, but for those that a request hangs on."""
    task, before = tables.Task, ctx.clock.now() - timedelta(days=ctx.settings.retention.task_days)
    gone = delete(tables.Task).where(task.done_at <= before, ~rows.used(_TASK, task.id))
    return len(session.execute(gone.returning(task.id)).all())


def requests(ctx: Context, session: Session) -> int:
    """What a family asked for, and was answered long ago; with its task."""
    request = tables.RightsRequest
    before = years_before(ctx.clock.now(), ctx.settings.retention.case_years)
    answered = delete(tables.RightsRequest).where(request.answered_at <= before).returning(request.task_id)
    ids = list(session.execute(answered).scalars())
    session.execute(delete(tables.Task).where(among(tables.Task.id, ids), tables.Task.done_at.is_not(None)))
    return len(ids)


def statuses(ctx: Context, session: Session) -> int:
    """What a channel said of letters that are none of the hub's."""
    status = tables.DeliveryStatus
    gone = delete(tables.DeliveryStatus).where(
        status.letter_id.is_(None), status.seen_at <= ctx.clock.now() - FOR_LOOKING_INTO
    )
    return len(session.execute(gone.returning(status.id)).all())


def pointers(ctx: Context, session: Session) -> int:
    """That it was said, or tried to be said, beside a letter that there is news: what is tried again is younger."""
    pointer = tables.Pointer
    gone = delete(tables.Pointer).where(pointer.at <= ctx.clock.now() - FOR_LOOKING_INTO)
    return len(session.execute(gone.returning(pointer.letter_id)).all())


def parts(ctx: Context, session: Session) -> int:
    """Parts of letters that were journalised long ago, or that go to nobody any more and whose letter is as old."""
    part, letter = tables.LetterPart, tables.Letter
    before = ctx.clock.now() - timedelta(days=ctx.settings.retention.task_days)
    old_letter = exists().where(letter.id == part.letter_id, letter.state_at <= before)
    gone = delete(tables.LetterPart).where(or_(part.journalised_at <= before, part.why_not.is_not(None) & old_letter))
    return len(session.execute(gone.returning(part.id)).all())


def advisers(ctx: Context, session: Session) -> int:
    """Advisers whom no case names, and coordinators who coordinate no more; with their keys, and how they chose to be
    told."""
    now, staff, coordinator = ctx.clock.now(), tables.Staff, tables.Coordinator
    before = now - timedelta(days=ctx.settings.retention.adviser_days)
    # Only one who is out and has no family, now or before, is no coordinator any more.
    over = (~coordinator.active, ~rows.used(_COORDINATOR, coordinator.staff_id))
    not_login = staff.source != LOGIN
    busy = or_(
        exists().where(
            coordinator.staff_id == staff.id, or_(coordinator.active, rows.used(_COORDINATOR, coordinator.staff_id))
        ),
        rows.used(_STAFF, staff.id, save=("coordinator", "notice_choice")),
        exists().where(coordinator.substitute_id == staff.id),
    )
    session.execute(update(staff).where(not_login, or_(busy, staff.seen_at.is_(None))).values(seen_at=now))
    idle = select(staff.id).where(not_login, staff.seen_at <= before)
    session.execute(delete(tables.Coordinator).where(*over, coordinator.staff_id.in_(idle)))
    session.execute(delete(tables.NoticeChoice).where(tables.NoticeChoice.staff_id.in_(idle)))
    gone = delete(tables.Staff).where(not_login, staff.seen_at <= before, ~rows.used(_STAFF, staff.id))
    keys = list(session.execute(gone.returning(staff.key_id)).scalars())
    session.execute(delete(tables.PersonKey).where(among(tables.PersonKey.id, keys)))
    return len(keys)


def lookers(ctx: Context, session: Session) -> int:
    """Members of staff of whom the log holds nothing younger: their key, which opens who it was in what is older."""
    now, staff = ctx.clock.now(), tables.Staff
    signed_in = (staff.source == LOGIN, staff.reference != ctx.keys.refer(LOGIN, SYSTEM.id))
    last = session.execute(select(func.max(staff.seen_at)).where(*signed_in)).scalar_one()
    since = tables.LogEntry.id >= _first_id(last - timedelta(days=2) if last is not None else _EPOCH)
    looked = (
        select(tables.LogEntry.asker_key, func.max(tables.LogEntry.at).label("at"))
        .where(since)
        .group_by(tables.LogEntry.asker_key)
        .subquery()
    )
    session.execute(update(staff).where(*signed_in, staff.key_id == looked.c.asker_key).values(seen_at=looked.c.at))
    session.execute(update(staff).where(*signed_in, staff.seen_at.is_(None)).values(seen_at=now))
    to_review = (
        select(tables.LogEntry.asker_key)
        .join(tables.Task, tables.Task.entry_id == tables.LogEntry.id)
        .where(tables.Task.done_at.is_(None))
    )
    old = select(staff).where(*signed_in, staff.seen_at <= long_ago(ctx), staff.key_id.not_in(to_review)).limit(AT_ONCE)
    found = session.execute(old.with_for_update(skip_locked=True)).scalars().all()
    for row in found:  # what they wrote down may still name the row
        row.source, row.reference, row.sealed = FORGOTTEN, secrets.token_bytes(16), b""
    session.flush()
    return destroy(session, now, [row.key_id for row in found])


def days(ctx: Context, session: Session) -> int:
    """The keys of days: what was asked of nobody the hub knew."""
    old = select(tables.RotatingKey.key_id).where(tables.RotatingKey.day < long_ago(ctx).date())
    return destroy(session, ctx.clock.now(), list(session.execute(old).scalars()))


def strangers(ctx: Context, session: Session) -> int:
    """The keys of children who were never written to, once the log holds nothing younger about them."""
    child = tables.Child
    logged = exists().where(tables.LogEntry.child_id == child.id, tables.LogEntry.at > long_ago(ctx))
    nothing = ~rows.used(child.__table__, child.id, save=("child",))  # type: ignore[arg-type]  # a mapped class has a Table
    found = select(child.key_id).where(~child.eligible, child.left_at <= long_ago(ctx), child.same_as.is_(None))
    return destroy(session, ctx.clock.now(), list(session.execute(found.where(nothing, ~logged)).scalars()))


def journals(ctx: Context, _session: Session) -> int:
    """Files of the journal that are older than every backup is kept."""
    folder, kept = ctx.settings.journal, ctx.settings.retention.backup_days
    if folder is None or kept is None:
        return 0
    last = (today(ctx.clock) - timedelta(days=kept)).isoformat()
    old: list[Path] = [path for path in folder.glob(f"*{SUFFIX}") if path.name[:10] < last]
    for path in old:
        path.unlink()
    return len(old)


def destroy(session: Session, now: datetime, keys: list[UUID]) -> int:
    """Destroy persons' keys: what is sealed under them is unreadable from this commit on. Gives how many were there."""
    gone = (
        update(tables.PersonKey)
        .where(among(tables.PersonKey.id, keys), tables.PersonKey.wrapped.is_not(None))
        .values(wrapped=None, destroyed_at=now)
    )
    return len(session.execute(gone.returning(tables.PersonKey.id)).all()) if keys else 0


def _first_id(at: datetime) -> UUID:
    """The lowest id that an entry of that time can have (RFC 9562, version 7)."""
    return UUID(int=int(at.timestamp() * 1000) << 80)
