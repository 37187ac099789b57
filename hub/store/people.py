"""Data keys of persons: make, fetch, open. One key per child, guardian and member of staff."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID, uuid4

from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.store.many import among
from hub.store.tables import PersonKey
from hub.vault import CannotOpen, Keys, new_key


def make_key(session: Session, keys: Keys) -> tuple[UUID, bytes]:
    """A new person's key: its row id and the key itself. The row is added to the session."""
    key_id, key = uuid4(), new_key()
    version, wrapped = keys.ring.wrap(key, str(key_id))
    session.add(PersonKey(id=key_id, version=version, wrapped=wrapped))
    return key_id, key


def open_keys(session: Session, keys: Keys, ids: Iterable[UUID]) -> dict[UUID, bytes]:
    """The keys of several persons at once; those whose key is destroyed are left out."""
    wanted = set(ids)
    rows = session.execute(
        select(PersonKey.id, PersonKey.version, PersonKey.wrapped).where(among(PersonKey.id, wanted))
    ).all()
    return {row.id: keys.ring.unwrap(row.version, row.wrapped, str(row.id)) for row in rows if row.wrapped is not None}


def find_key(session: Session, keys: Keys, key_id: UUID) -> bytes | None:
    """One person's key; None when it is destroyed."""
    return open_keys(session, keys, [key_id]).get(key_id)


def open_key(session: Session, keys: Keys, key_id: UUID) -> bytes:
    """One person's key. Raises CannotOpen when it is destroyed."""
    found = find_key(session, keys, key_id)
    if found is None:
        raise CannotOpen("this person's key is destroyed: what was sealed under it cannot be read again")
    return found
