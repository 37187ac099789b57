"""Records that could not be read: kept, sealed, with where and why, so that nothing is lost and the run goes on.

A record leaves by itself when the source's own next word about it can be read, or when a whole read no longer shows it.
It never leaves by being opened up and put in by hand: what is taken up is what the source says now, so an old version
cannot come after a newer one.

Each is sealed under a key of its own, wrapped by the municipality's key ring: whom it is about is not known, that is
why it is here, so it cannot be sealed under a child's key; and with a key of its own it can be forgotten by itself.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import Session

from hub.cases import sources
from hub.contract import Unreadable
from hub.errors import NotAllowed
from hub.store.many import among
from hub.store.people import make_key, open_key
from hub.store.tables import PersonKey, Quarantine, SourceState
from hub.vault import Keys, seal, unseal

KEEP_RESOLVED = timedelta(days=30)
"""How long a record is kept after it was read after all; then it and its key are deleted."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A record in quarantine, without what stands in it."""

    id: UUID
    source: str
    purpose: str
    position: str
    reason: str
    first_seen: datetime
    last_seen: datetime
    times: int
    resolved_at: datetime | None


def keep(
    session: Session, keys: Keys, source: str, record: Unreadable, now: datetime, purpose: str | None = None
) -> bool:
    """Keep one record. True when it was not there before."""
    return keep_all(session, keys, source, [record], now, purpose or sources.CASES) == 1


def keep_all(
    session: Session, keys: Keys, source: str, records: Sequence[Unreadable], now: datetime, purpose: str
) -> int:
    """Keep records, in four statements however many there are. The same record again (its id, else its content) only
    renews when, where and why. Gives how many were not there before.

    One that does not say which it is may be anything that was last seen before it came up: it is noted when that was,
    for those who end what a read does not show. What was seen beside it, in the same read or since, it is not. Without
    content nobody can say that it is the same as before."""
    if not records:
        return 0
    given = {_identity(keys, source, record): record for record in records}
    rows = session.execute(
        select(Quarantine).where(
            Quarantine.source == source, Quarantine.purpose == purpose, among(Quarantine.identity, given)
        )
    ).scalars()
    known = {row.identity: row for row in rows}
    _renew(session, keys, known, given, now)
    fresh = []
    for identity in given.keys() - known.keys():
        record = given[identity]
        key_id, key = make_key(session, keys)
        fresh.append(
            {
                "id": uuid4(),
                "source": source,
                "purpose": purpose,
                "identity": identity,
                "content": _content(keys, record),
                "reference": keys.refer(source, record.source_id) if record.source_id is not None else None,
                "position": record.position,
                "reason": record.reason,
                "key_id": key_id,
                "sealed": seal(key, record.raw, f"quarantine:{key_id}"),
                "first_seen": now,
                "last_seen": now,
                "times": 1,
            }
        )
    session.flush()
    if fresh:
        session.execute(insert(Quarantine), fresh)
    came = [
        known[identity].first_seen if identity in known and record.raw else now
        for identity, record in given.items()
        if record.source_id is None
    ]
    row = session.get(SourceState, (source, purpose)) if came else None
    if row is not None:
        row.blind_at = max(came) if row.blind_at is None else max(*came, row.blind_at)
    return len(fresh)


def meet(
    session: Session,
    keys: Keys,
    source: str,
    records: Sequence[Unreadable],
    now: datetime,
    purpose: str,
    result: sources.Read,
) -> None:
    """Keep the records a read has met, and count them in what came of it."""
    keep_all(session, keys, source, records, now, purpose)
    result.quarantined += len(records)
    for record in records:
        result.reasons[record.reason] = result.reasons.get(record.reason, 0) + 1


def _renew(
    session: Session, keys: Keys, known: dict[bytes, Quarantine], given: dict[bytes, Unreadable], now: datetime
) -> None:
    for identity, row in known.items():
        record = given[identity]
        if row.resolved_at is not None:
            row.resolved_at, row.first_seen = None, now  # mended and broken again: since now
        row.last_seen = now
        row.times += 1
        row.position, row.reason = record.position, record.reason
        content = _content(keys, record)
        if row.content != content:
            row.content = content
            row.sealed = seal(open_key(session, keys, row.key_id), record.raw, f"quarantine:{row.key_id}")


def _identity(keys: Keys, source: str, record: Unreadable) -> bytes:
    if record.source_id is not None:
        return keys.refer(source, record.source_id)
    said = record.raw or f"{record.position}\0{record.reason}".encode()
    return hmac.digest(keys.reference, b"quarantine\0" + source.encode() + b"\0" + said, "sha256")


def _content(keys: Keys, record: Unreadable) -> bytes:
    return hmac.digest(keys.reference, b"content\0" + record.raw, "sha256")


def mend(session: Session, source: str, purpose: str, references: Iterable[bytes], now: datetime) -> int:
    """These have been read: they leave quarantine. Gives how many."""
    wanted = list(references)
    if not wanted:
        return 0
    left = session.execute(
        update(Quarantine)
        .where(
            Quarantine.source == source,
            Quarantine.purpose == purpose,
            among(Quarantine.reference, wanted),
            Quarantine.resolved_at.is_(None),
        )
        .values(resolved_at=now)
        .returning(Quarantine.id)
    )
    return len(left.all())


def settle(
    session: Session, source: str, purpose: str, began_at: datetime, now: datetime, *, nameless: bool = False
) -> int:
    """A whole read that began then has come to its end: what it has not met is no longer there, or can be read now.
    `nameless`: it was about some only, so this holds for what does not say which record it is."""
    unnamed = [Quarantine.reference.is_(None)] if nameless else []
    left = session.execute(
        update(Quarantine)
        .where(
            Quarantine.source == source,
            Quarantine.purpose == purpose,
            Quarantine.last_seen < began_at,
            Quarantine.resolved_at.is_(None),
            *unnamed,
        )
        .values(resolved_at=now)
        .returning(Quarantine.id)
    )
    return len(left.all())


def waiting(session: Session) -> dict[str, int]:
    """How many records of each source now wait for somebody to mend them there."""
    rows = session.execute(
        select(Quarantine.source, func.count()).where(Quarantine.resolved_at.is_(None)).group_by(Quarantine.source)
    )
    return dict(rows.tuples().all())


def find(
    session: Session, *, source: str | None = None, ids: Iterable[UUID] | None = None, resolved: bool = False
) -> list[Kept]:
    """What is in quarantine, by source and place; `resolved`: also what has left it and is not yet deleted."""
    wanted = select(Quarantine).order_by(Quarantine.source, Quarantine.purpose, Quarantine.position)
    if source is not None:
        wanted = wanted.where(Quarantine.source == source)
    if ids is not None:
        wanted = wanted.where(Quarantine.id.in_(list(ids)))
    if not resolved:
        wanted = wanted.where(Quarantine.resolved_at.is_(None))
    return [_kept(row) for row in session.execute(wanted).scalars()]


def _kept(row: Quarantine) -> Kept:
    return Kept(
        row.id,
        row.source,
        row.purpose,
        row.position,
        row.reason,
        row.first_seen,
        row.last_seen,
        row.times,
        row.resolved_at,
    )


def open_raw(session: Session, keys: Keys, record: UUID) -> tuple[Kept, bytes]:
    """One record with what stands in it. Whoever shows it writes the look down first (hub.access.records).

    Raises NotAllowed when there is none of that id."""
    row = session.get(Quarantine, record)
    if row is None:
        raise NotAllowed(f"there is no record {record} in quarantine")
    return _kept(row), unseal(open_key(session, keys, row.key_id), row.sealed, f"quarantine:{row.key_id}")


def forget(session: Session, now: datetime) -> int:
    """Delete what has left quarantine long enough ago, and its keys. Gives how many."""
    gone = session.execute(
        delete(Quarantine).where(Quarantine.resolved_at < now - KEEP_RESOLVED).returning(Quarantine.key_id)
    ).scalars()
    key_ids = list(gone)
    if key_ids:
        session.execute(delete(PersonKey).where(among(PersonKey.id, key_ids)))
    return len(key_ids)
