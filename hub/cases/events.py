"""Events: what a guardian is to hear. Each lands in the guardian's one open bundle, or has a recorded reason why not.

The same thing seen twice is one event: `once` is a keyed digest of what happened, unique per guardian.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from uuid import UUID, uuid4

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, aliased

from hub.cases import agreements, hearing, unsent
from hub.cases.deadlines import add_working_days
from hub.cases.kinds import ANSWERS, KINDS, LETTERS_LEAVE, Spoke
from hub.clock import DENMARK, today
from hub.context import Context
from hub.store.many import among
from hub.store.tables import Bundle, Custody, Event, Letter

ABOUT_CASES = tuple(code for code, kind in KINDS.items() if kind.about == "case")
OWED_BY_LAW = frozenset(code for code, kind in KINDS.items() if kind.owed is not None)
"""Kinds that an authority owes the family, in the scheme or not. When the hub may not tell them any more, the
administration must."""
CASE_GONE = "the source no longer shows the case"
NO_CUSTODY = "the guardian no longer has custody"
NOT_THEIRS = "letters about the child no longer go to them"
SAID_NO = "the guardian said no to the offer"
NEVER = datetime(9999, 1, 1, tzinfo=UTC)
"""When a bundle is due in which nothing asks for a letter: what it holds is listed in the next one."""


@dataclass(frozen=True, slots=True)
class News:
    """Something that happened to a child. `what` tells it from everything else that ever happens to the child. `only`:
    the one guardian it is for. `day`: the date it is about, a birthday or a deadline (of one that was moved, the date
    before). `source`: whose news it is; `administration`: which one an answer is about. `how`: by which way an answer
    came; `spoke`: that a representative gave it."""

    kind: str
    child_id: UUID
    what: str
    case_id: UUID | None = None
    only: UUID | None = None
    day: date | None = None
    source: str | None = None
    administration: str | None = None
    how: str | None = None
    spoke: Spoke | None = None


def guardians_of(session: Session, children: set[UUID], on: date) -> dict[UUID, list[UUID]]:
    """Who has custody of each child on a date."""
    rows = session.execute(
        select(Custody.child_id, Custody.guardian_id)
        .where(
            among(Custody.child_id, children),
            Custody.holds(on),
        )
        .order_by(Custody.child_id, Custody.guardian_id)
    )
    found: dict[UUID, list[UUID]] = {}
    for row in rows:
        found.setdefault(row.child_id, []).append(row.guardian_id)
    return found


def record(ctx: Context, session: Session, news: Iterable[News]) -> int:
    """Tell everybody who hears of each child, each once. Gives the number of new events. What the hub is to send and
    can send to nobody is the administration's task. Guardians are taken in one order, so that two processes cannot wait
    for each other."""
    news = list(news)
    if not news:
        return 0
    now, keys = ctx.clock.now(), ctx.keys
    guardians = hearing.of_children(session, {item.child_id for item in news}, today(ctx.clock))
    unsent.to_nobody(ctx, session, [item for item in news if not guardians.get(item.child_id)])
    told = {
        (guardian, hmac.digest(keys.reference, f"{item.kind}:{item.child_id}:{item.what}".encode(), "sha256")): item
        for item in news
        for guardian in _hearers(item, guardians.get(item.child_id, []))
    }
    # What has been told already neither makes a bundle nor hurries one.
    same = select(Event.guardian_id, Event.once).where(
        among(Event.guardian_id, {guardian for guardian, _once in told}), among(Event.once, {once for _g, once in told})
    )
    for row in session.execute(same).all():
        told.pop((row.guardian_id, row.once), None)
    if not told:
        return 0
    due: dict[UUID, datetime] = {}
    for (guardian, _once), item in told.items():
        wanted = _wanted(ctx, now, item)
        due[guardian] = min(wanted, due.get(guardian, wanted))
    bundles = _bundles(session, now, due)
    rows = [
        {
            "id": uuid4(),
            "guardian_id": guardian,
            "child_id": item.child_id,
            "kind": item.kind,
            "case_id": item.case_id,
            "once": once,
            "at": now,
            "bundle_id": bundles[guardian],
            "day": item.day if KINDS[item.kind].about == "case" else None,
            "latest": latest(item.kind, item.day),
            "administration": item.administration,
            "how": item.how,
            "spoke": item.spoke,
        }
        for (guardian, once), item in sorted(told.items(), key=lambda entry: entry[0])
    ]
    made = len(session.execute(insert(Event).on_conflict_do_nothing().returning(Event.id), rows).all())
    if made < len(rows):
        # Another process has told the same meanwhile: a bundle that holds nothing would be an empty letter.
        session.execute(
            delete(Bundle).where(
                among(Bundle.id, bundles.values()), ~select(Event.id).where(Event.bundle_id == Bundle.id).exists()
            )
        )
    return made


def _hearers(item: News, hearers: Sequence[UUID]) -> Sequence[UUID]:
    """Whose letter it stands in. An answer is told to whoever is said to have given it, also while letters about the
    child go to a representative instead."""
    if item.only is None:
        return hearers
    return [item.only] if item.only in hearers or item.kind in ANSWERS else []


def answered(
    ctx: Context,
    session: Session,
    kind: str,
    child_id: UUID,
    what: str,
    how: str,
    guardian_id: UUID | None,
    representative_id: UUID | None = None,
    administration: str | None = None,
) -> list[News]:
    """News of an answer for whoever is said to have given it: the guardian whose say it is, else (None) the young
    person; and the representative, by row id, who spoke for them. No other hears of it."""
    if guardian_id is None:
        guardian_id = hearing.own_row(ctx, session, child_id)
    news = News(
        kind,
        child_id,
        what,
        only=guardian_id,
        administration=administration,
        how=how,
        spoke="for_reader" if representative_id is not None else None,
    )
    found = [news] if guardian_id is not None else []
    if representative_id is not None:
        found.append(replace(news, only=representative_id, spoke="by_reader"))
    return found


def _wanted(ctx: Context, now: datetime, item: News) -> datetime:
    """When this would have its letter leave: after its wait, and no later than the law allows."""
    if not agreements.hub_sends(ctx.settings, item.kind, item.source, today(ctx.clock)):
        return NEVER
    waits = KINDS[item.kind].waits
    wanted = due_at(now, ctx.settings.letters.window_working_days if waits is None else waits)
    last = latest(item.kind, item.day)
    return wanted if last is None else max(now, min(wanted, last))


def latest(kind: str, day: date | None) -> datetime | None:
    """The last moment at which the letter may leave (UTC); None where there is no such moment."""
    rule = KINDS[kind].latest
    return rule(day).astimezone(UTC) if rule is not None and day is not None else None


def due_at(now: datetime, working_days: int) -> datetime:
    """When a bundle opened now is due: at once, or in the morning `working_days` working days on (UTC)."""
    if working_days == 0:
        return now
    day = add_working_days(now.astimezone(DENMARK).date(), working_days)
    return datetime.combine(day, LETTERS_LEAVE, DENMARK).astimezone(now.tzinfo)


def _bundles(session: Session, now: datetime, due: dict[UUID, datetime]) -> dict[UUID, UUID]:
    """The open bundle of each guardian, made where there is none; due no later than asked. Their rows stay locked until
    the transaction ends, so that none can be composed without what is being added."""
    made = insert(Bundle)
    rows = session.execute(
        made.on_conflict_do_update(
            index_elements=["guardian_id"],
            index_where=Bundle.composed_at.is_(None),
            set_={"due_at": func.least(Bundle.due_at, made.excluded.due_at)},
        ).returning(Bundle.guardian_id, Bundle.id),
        [{"id": uuid4(), "guardian_id": g, "opened_at": now, "due_at": due[g]} for g in sorted(due)],
    )
    return {row.guardian_id: row.id for row in rows}


def drop_waiting(
    session: Session,
    why: str,
    *,
    child: UUID | None = None,
    case: UUID | None = None,
    guardian: UUID | None = None,
    but: Set[str] = frozenset(),
) -> None:
    """Events of a child or a case that still wait end here, with the reason, save for those of the kinds `but`;
    `guardian`: only those for one of them. Letters already frozen are not touched."""
    waiting = select(Bundle.id).where(Bundle.composed_at.is_(None))
    about = [Event.child_id == child if child is not None else Event.case_id == case, Event.kind.not_in(but)]
    if guardian is not None:
        about.append(Event.guardian_id == guardian)
    session.execute(update(Event).where(*about, Event.bundle_id.in_(waiting)).values(bundle_id=None, why_not=why))


def hand_on(session: Session, child: UUID, whose: UUID, to: UUID, now: datetime) -> int:
    """What waits for one person about a child, or is in a letter that has not left, is another's to hear from here on;
    what the other has been told already ends with the reason. Gives how many events."""
    waiting = (
        select(Bundle.id)
        .outerjoin(Letter, Letter.bundle_id == Bundle.id)
        .where(Bundle.guardian_id == whose, or_(Bundle.composed_at.is_(None), Letter.state == "frozen"))
    )
    theirs = (
        Event.child_id == child,
        Event.guardian_id == whose,
        Event.bundle_id.in_(waiting),
        Event.kind.not_in(ANSWERS),
    )
    other = aliased(Event)
    heard = select(other.id).where(other.guardian_id == to, other.once == Event.once).exists()
    session.execute(update(Event).where(*theirs, heard).values(bundle_id=None, why_not=NOT_THEIRS))
    if session.execute(select(Event.id).where(*theirs).limit(1)).first() is None:
        return 0
    bundle = _bundles(session, now, {to: now})[to]
    moved = update(Event).where(*theirs).values(guardian_id=to, bundle_id=bundle).returning(Event.id)
    return len(session.execute(moved, execution_options={"synchronize_session": False}).all())


def tell_again(session: Session, bundle: UUID, guardian: UUID, now: datetime) -> None:
    """The letter of a bundle does not leave after all: what of it may still be told goes into the guardian's open
    bundle at once, and whoever composes that one looks anew at what may."""
    mine = Event.bundle_id == bundle
    about_nothing = (mine, Event.kind.in_(ABOUT_CASES), Event.case_id.is_(None))
    session.execute(update(Event).where(*about_nothing).values(bundle_id=None, why_not=CASE_GONE))
    if session.execute(select(Event.id).where(mine).limit(1)).first() is not None:
        session.execute(update(Event).where(mine).values(bundle_id=_bundles(session, now, {guardian: now})[guardian]))
