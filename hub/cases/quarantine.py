"""Records that could not be read: kept, sealed, with where and why, so that nothing is lost and the run goes on."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import update
from sqlalchemy.orm import Session

from hub.contract import Unreadable
from hub.store.people import make_key
from hub.store.tables import Quarantine
from hub.vault import Keys, seal


def keep(session: Session, keys: Keys, source: str, record: Unreadable, now: datetime) -> bool:
    """Keep a record, sealed under a key of its own. The same record at the same place again only renews `last_seen`.
    True when it was not there before."""
    known = session.execute(
        update(Quarantine)
        .where(Quarantine.source == source, Quarantine.position == record.position, Quarantine.reason == record.reason)
        .values(last_seen=now)
        .returning(Quarantine.id)
    ).first()
    if known is not None:
        return False
    key_id, key = make_key(session, keys)
    session.flush()
    session.add(
        Quarantine(
            source=source,
            position=record.position,
            reason=record.reason,
            key_id=key_id,
            sealed=seal(key, record.raw, f"quarantine:{key_id}"),
            first_seen=now,
            last_seen=now,
        )
    )
    session.flush()
    return True
