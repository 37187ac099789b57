"""Events: what a guardian is to hear. Each lands in the guardian's one open bundle, or has a recorded reason why not.

The same thing seen twice is one event: `once` is a keyed digest of what happened, unique per guardian.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import date, datetime, time
from uuid import UUID, uuid4

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from hub.cases.deadlines import add_working_days
from hub.clock import DENMARK
from hub.store.many import among
from hub.store.tables import Bundle, Custody, Event
from hub.vault import Keys

OFFERED = "offered"
ASSIGNED = "assigned"
CASE_OPENED = "case_opened"
DECIDED = "decided"
CASE_CLOSED = "case_closed"
ADVISER_CHANGED = "adviser_changed"
DEADLINE_MOVED = "deadline_moved"
DEADLINE_NEAR = "deadline_near"
OWED_BY_LAW = frozenset({"applied", "deadline_unkept", "deadline_passed"})
"""Kinds that an authority owes the family, in the scheme or not (an answer that is late: retssikkerhedsloven § 3, stk.
2; a receipt: good administrative practice). When the hub may not tell them any more, the administration must."""

WAITS = {OFFERED: 0, ASSIGNED: 1, DEADLINE_NEAR: 1}
"""Kinds that wait less than the usual window, in working days: an offer leaves at once, a receipt when the first cases
have been read, a near deadline before it is nearer."""

ABOUT_CASES = (CASE_OPENED, DECIDED, CASE_CLOSED, ADVISER_CHANGED, DEADLINE_MOVED, DEADLINE_NEAR)
CASE_GONE = "the source no longer shows the case"
NO_CUSTODY = "the guardian no longer has custody"
SAID_NO = "the guardian said no to the offer"

LETTERS_LEAVE = time(8, 0)
"""When a bundle's last day ends in a letter (Danish time)."""


@dataclass(frozen=True, slots=True)
class News:
    """Something that happened to a child. `what` tells it from everything else that ever happens to the child. `only`:
    the one guardian it is for."""

    kind: str
    child_id: UUID
    what: str
    case_id: UUID | None = None
    only: UUID | None = None


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


def record(session: Session, keys: Keys, now: datetime, window: int, news: list[News]) -> int:
    """Tell every guardian of each child, each once. `window` is the usual wait (working days). Gives the number of new
    events. Guardians are taken in one order, so that two processes cannot wait for each other."""
    if not news:
        return 0
    day = now.astimezone(DENMARK).date()
    guardians = guardians_of(session, {item.child_id for item in news}, day)
    told = {
        (guardian, hmac.digest(keys.reference, f"{item.kind}:{item.child_id}:{item.what}".encode(), "sha256")): item
        for item in news
        for guardian in guardians.get(item.child_id, [])
        if item.only in (None, guardian)
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
        wanted = due_at(now, WAITS.get(item.kind, window))
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
    session: Session, why: str, *, child: UUID | None = None, case: UUID | None = None, guardian: UUID | None = None
) -> None:
    """Events of a child or a case that still wait end here, with the reason; `guardian`: only those for one of them.
    Letters already frozen are not touched."""
    waiting = select(Bundle.id).where(Bundle.composed_at.is_(None))
    about = [Event.child_id == child if child is not None else Event.case_id == case]
    if guardian is not None:
        about.append(Event.guardian_id == guardian)
    session.execute(update(Event).where(*about, Event.bundle_id.in_(waiting)).values(bundle_id=None, why_not=why))


def tell_again(session: Session, bundle: UUID, guardian: UUID, now: datetime) -> None:
    """The letter of a bundle does not leave after all: what of it may still be told goes into the guardian's open
    bundle at once, and whoever composes that one looks anew at what may."""
    mine = Event.bundle_id == bundle
    about_nothing = (mine, Event.kind.in_(ABOUT_CASES), Event.case_id.is_(None))
    session.execute(update(Event).where(*about_nothing).values(bundle_id=None, why_not=CASE_GONE))
    if session.execute(select(Event.id).where(mine).limit(1)).first() is not None:
        session.execute(update(Event).where(mine).values(bundle_id=_bundles(session, now, {guardian: now})[guardian]))
