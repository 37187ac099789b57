"""The keys under which an entry is sealed: each asker's own, and the day's for entries about no known child."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from threading import Lock
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from hub.access.log import SYSTEM, Asker, SealedEntry, seal_entry
from hub.clock import DENMARK, Clock
from hub.store.database import Database
from hub.store.people import make_key, open_key
from hub.store.tables import RotatingKey, Staff
from hub.vault import Keys, seal_json

LOGIN = "login"
"""`staff.source` of somebody known from signing in, not from an administration's system."""

COORDINATORS = "coordinators"
"""`staff.source` of coordinators, who come from no administration's system but from a list. Their ids there are those
they sign in with."""

PersonKeyPair = tuple[UUID, bytes]


def asker_key(session: Session, keys: Keys, asker: Asker) -> PersonKeyPair:
    """The key of who asks; made, with a row in `staff`, the first time they do."""
    reference = keys.refer(LOGIN, asker.id)
    found = session.execute(
        select(Staff.key_id).where(Staff.source == LOGIN, Staff.reference == reference)
    ).scalar_one_or_none()
    if found is None:
        key_id, key = make_key(session, keys)
        session.flush()
        sealed = seal_json(key, {"name": asker.name, "unit": asker.unit}, f"staff:{key_id}")
        made = session.execute(
            insert(Staff)
            .values(
                source=LOGIN, reference=reference, administration=asker.administration, key_id=key_id, sealed=sealed
            )
            .on_conflict_do_nothing(index_elements=["source", "reference"])
            .returning(Staff.key_id)
        ).scalar_one_or_none()
        if made is not None:
            return key_id, key
        # Another process made the row at the same moment: its key counts, ours is never used.
        found = session.execute(
            select(Staff.key_id).where(Staff.source == LOGIN, Staff.reference == reference)
        ).scalar_one()
    return found, open_key(session, keys, found)


def staff_row(session: Session, key: PersonKeyPair) -> UUID:
    """The row in `staff` of whoever's key `asker_key` gave."""
    return session.execute(select(Staff.id).where(Staff.key_id == key[0])).scalar_one()


def by_system(
    session: Session, keys: Keys, now: datetime, kind: str, child_id: UUID, child_key: PersonKeyPair, what: Any
) -> SealedEntry:
    """The entry of what a rule, and no person, did about a child: to be added last."""
    return seal_entry(
        at=now,
        kind=kind,
        child_id=child_id,
        asker=SYSTEM,
        asker_key=asker_key(session, keys, SYSTEM),
        subject=what,
        subject_key=child_key,
    )


def day_key(session: Session, keys: Keys, day: date) -> PersonKeyPair:
    """The key of a day; made by whoever needs it first."""
    found = session.execute(select(RotatingKey.key_id).where(RotatingKey.day == day)).scalar_one_or_none()
    if found is None:
        key_id, _key = make_key(session, keys)
        session.flush()
        session.execute(insert(RotatingKey).values(day=day, key_id=key_id).on_conflict_do_nothing())
        found = session.execute(select(RotatingKey.key_id).where(RotatingKey.day == day)).scalar_one()
    return found, open_key(session, keys, found)


class KeyCache:
    """The keys a serving process uses again and again: kept for an hour of clock time, shared by its threads."""

    _LIFE = timedelta(hours=1)

    def __init__(self, database: Database, keys: Keys, clock: Clock) -> None:
        self._database, self._keys, self._clock = database, keys, clock
        self._askers: dict[Asker, PersonKeyPair] = {}
        self._day: tuple[date, PersonKeyPair] | None = None
        self._since = clock.now()
        self._lock = Lock()

    def known(self, asker: Asker) -> tuple[PersonKeyPair, PersonKeyPair] | None:
        """The asker's key and the day's, when both are at hand; never waits for the database."""
        now = self._clock.now()
        if abs(now - self._since) > self._LIFE:  # or the clock was put back
            self._askers.clear()
            self._since = now
        found = self._askers.get(asker)
        if found is None or self._day is None or self._day[0] != now.astimezone(DENMARK).date():
            return None
        return found, self._day[1]

    def fetch(self, asker: Asker) -> tuple[PersonKeyPair, PersonKeyPair]:
        """As `known`, but fetches or makes what is missing. Blocks."""
        day = self._clock.now().astimezone(DENMARK).date()
        with self._lock, self._database.begin() as session:
            mine = asker_key(session, self._keys, asker)
            days = day_key(session, self._keys, day)
        self._askers[asker] = mine
        self._day = (day, days)
        return mine, days
