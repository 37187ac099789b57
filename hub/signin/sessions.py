"""Who is signed in: a row for each sign-in, which any serving process finds by the cookie's secret.

The row's key is a hash of the secret, and its content is sealed under a key that is derived from it: whoever has the
database, or a backup, can neither take a session over nor read who was signed in. Signing out removes the row, so that
a cookie that somebody has copied is worth nothing from then on.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, insert, or_, select, update

from hub.clock import Clock
from hub.settings import SignIn
from hub.store import tables
from hub.store.database import Database
from hub.vault import CannotOpen, seal_json, unseal_json

_LENGTH = 43
"""Characters of a secret: 32 bytes in URL-safe base64."""
NOTED = timedelta(minutes=1)
"""When a session was last used is written down at most so often."""


class Sessions:
    """The sign-ins of a hub. All methods block."""

    def __init__(self, database: Database, clock: Clock, settings: SignIn) -> None:
        self._database, self._clock = database, clock
        self._life = timedelta(hours=settings.hours)
        self._idle = timedelta(minutes=settings.idle_minutes)

    def begin(self, content: dict[str, Any]) -> str:
        """Keep a new sign-in; gives its secret, for the cookie."""
        secret, now = secrets.token_urlsafe(32), self._clock.now()
        values = {"id_hash": _hash(secret), "sealed": _seal(secret, content), "expires_at": now + self._life}
        with self._database.begin() as session:
            session.execute(insert(tables.SignedIn).values(made_at=now, used_at=now, **values))
        return secret

    def load(self, secret: str) -> dict[str, Any] | None:
        """What is kept of a sign-in that has not ended: not signed out, not too old, not left alone too long."""
        if len(secret) != _LENGTH:
            return None
        now, row = self._clock.now(), tables.SignedIn
        with self._database.session() as session:
            found = session.execute(
                select(row.sealed, row.made_at, row.used_at, row.expires_at).where(row.id_hash == _hash(secret))
            ).one_or_none()
        # One that was made later than now was made by a clock that was wrong.
        if found is None or not found.made_at - NOTED <= now < found.expires_at or now - found.used_at >= self._idle:
            return None
        try:
            content: dict[str, Any] = unseal_json(_key(secret), found.sealed, "session")
        except CannotOpen:
            return None
        if now - found.used_at >= min(NOTED, self._idle / 2):
            with self._database.begin() as session:
                session.execute(update(row).where(row.id_hash == _hash(secret)).values(used_at=now))
        return content

    def save(self, secret: str, content: dict[str, Any]) -> None:
        """Keep what has changed, unless the sign-in has ended meanwhile."""
        with self._database.begin() as session:
            session.execute(
                update(tables.SignedIn)
                .where(tables.SignedIn.id_hash == _hash(secret))
                .values(sealed=_seal(secret, content))
            )

    def end(self, secret: str) -> None:
        """Sign out, wherever the cookie is."""
        with self._database.begin() as session:
            session.execute(delete(tables.SignedIn).where(tables.SignedIn.id_hash == _hash(secret)))

    def purge(self) -> int:
        """Remove those that have ended by themselves; gives how many."""
        now, row = self._clock.now(), tables.SignedIn
        ended = or_(row.expires_at <= now, row.used_at <= now - self._idle)
        with self._database.begin() as session:
            return len(session.execute(delete(tables.SignedIn).where(ended).returning(row.id_hash)).all())


def _hash(secret: str) -> bytes:
    return hashlib.sha256(b"tovholder session " + secret.encode()).digest()


def _key(secret: str) -> bytes:
    return hmac.digest(secret.encode(), b"tovholder session content", "sha256")


def _seal(secret: str, content: dict[str, Any]) -> bytes:
    return seal_json(_key(secret), content, "session")
