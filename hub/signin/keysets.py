"""The keys of an issuer of tokens, which change without notice."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import structlog
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from hub.clock import Clock
from hub.errors import GaveUp, TryAgain

log = structlog.get_logger()

ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519", "EdDSA"]
"""Those with a public key: never `none`, and no shared secret, which a public key must not be taken for. EdDSA is the
older name of Ed25519 (RFC 9864), which many issuers still write."""
ANEW = timedelta(minutes=1)
"""A key nobody knows has the set fetched anew, at most so often."""
NONE = timedelta(seconds=5)
"""As long as there are none at all, they are asked for at most so often."""
OLD = timedelta(hours=1)
"""A set older than this is fetched anew: a key that has been withdrawn must not count for ever."""


class KeySource:
    """A key set that is read again when it must be. When it cannot be read, the known keys go on."""

    def __init__(self, read: Callable[[], dict[str, Any]], clock: Clock) -> None:
        """`read` gives the set as JSON; it may block, and raises TryAgain or GaveUp."""
        self._read, self._clock = read, clock
        self._keys: KeySet | None = None
        self._tried: datetime | None = None
        self._read_at: datetime | None = None
        self._lock = threading.Lock()

    @property
    def known(self) -> KeySet | None:
        return self._keys

    def wanted(self, token: str) -> bool:
        """Whether the set should be read (again) before this token is looked at. Never blocks."""
        now = self._clock.now()
        if self._keys is None or self._read_at is None:
            return True
        if self._tried is not None and abs(now - self._tried) < ANEW:  # abs: the clock may be put back
            return False
        return abs(now - self._read_at) > OLD or kid(token) not in {key.kid for key in self._keys}

    def keys(self, token: str) -> KeySet:
        """The keys to check a token with, read anew where they are wanted. Blocks.

        Raises TryAgain or GaveUp when there are none."""
        with self._lock:
            if self.wanted(token):
                if self._keys is None and self._tried is not None and abs(self._clock.now() - self._tried) < NONE:
                    raise TryAgain("the key set could not be read a moment ago")
                self._tried = self._clock.now()
                try:
                    self._keys = understand(self._read())
                    self._read_at = self._tried
                except (TryAgain, GaveUp) as error:
                    if self._keys is None:
                        raise
                    log.warning("a key set cannot be read: the known keys go on", why=str(error))
            assert self._keys is not None  # noqa: S101 - read just now, or raised
            return self._keys


def understand(stored: dict[str, Any]) -> KeySet:
    """A JWKS. Raises GaveUp when it is none."""
    try:
        return KeySet.import_key_set(stored)  # type: ignore[arg-type]  # looked at by what is called
    except (AttributeError, KeyError, TypeError, ValueError, JoseError) as error:
        raise GaveUp(f"this is no key set (JWKS): {type(error).__name__}") from error


def kid(token: str) -> str | None:
    """The id of the key a token says it is signed with; not yet believed."""
    part = token.partition(".")[0]
    try:
        header = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, RecursionError):
        return None
    found = header.get("kid") if isinstance(header, dict) else None
    return found if isinstance(found, str) else None
