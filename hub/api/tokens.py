"""Bearer tokens: who a system says is asking. Signed JWTs, checked by the issuer's key set (JWKS).

Claims: `iss`, `aud`, `exp`, and `nbf` where it is there; and by the settings' names who it is: `sub` (the person's id,
never a mail address), `name`, `role`, `administration`, `unit`; where another says which person it is at the pages,
that too. A system that acts for somebody (RFC 8693) names them in `sub`, and itself in `act`, which is nobody's to
count. A verified token is remembered by its hash for a minute.
"""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import structlog
from fastapi.concurrency import run_in_threadpool
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from hub.access.log import Asker
from hub.clock import Clock
from hub.errors import GaveUp, NotAllowed, SettingsError, TryAgain
from hub.settings import Api
from hub.signin import http
from hub.signin.keysets import KeySource
from hub.signin.person import NO_ROLE, person

log = structlog.get_logger()

ALGORITHMS = ["Ed25519", "EdDSA", "RS256"]
"""EdDSA is the older name of Ed25519 (RFC 9864), which many issuers still write."""
SKEW = 30
"""How much the issuer's clock may differ from ours (seconds)."""
_REMEMBER = 10_000
_SECONDS = 60
"""So long a token is not verified again: one whose key has been withdrawn must not count until it expires."""
_LONGEST = 64 * 1024


class Tokens:
    """Checks tokens. Made once per process."""

    def __init__(self, settings: Api, clock: Clock, cvr: str = "") -> None:
        """`cvr` is the municipality's, for lists of privileges. Raises SettingsError when the key set is a file that
        cannot be read; an address is asked at the first token."""
        self._settings, self._clock, self._cvr = settings, clock, cvr
        self._keys: KeySource | None = None
        if settings.jwks is not None:
            self._keys = KeySource(lambda: _read(settings.jwks), clock)
            if not isinstance(settings.jwks, str):
                try:
                    self._keys.keys("")
                except GaveUp as error:
                    raise SettingsError(f"api.jwks: the key set {settings.jwks} cannot be read: {error}") from error
        self._known: dict[bytes, tuple[float, Asker]] = {}

    async def asked(self, authorization: str | None) -> Asker:
        """Who asks, by the Authorization header. Keys that are new are fetched. Raises NotAllowed, and tells the
        program's own log why, without the token."""
        scheme, _, token = (authorization or "").partition(" ")
        try:
            if scheme.casefold() != "bearer":
                raise NotAllowed("no bearer token")
            known = self._remembered(token)
            if known is not None:
                return known
            if self._keys is not None and self._keys.wanted(token):
                await run_in_threadpool(self._fetch, token)
            return self.check(token)
        except NotAllowed as error:
            cause = type(error.__cause__).__name__ if error.__cause__ else None
            log.warning("a call without a valid token", why=str(error), error=cause)
            raise

    def _fetch(self, token: str) -> None:
        assert self._keys is not None  # noqa: S101 - asked where it is
        try:
            self._keys.keys(token)
        except (TryAgain, GaveUp) as error:
            raise NotAllowed(f"api.jwks cannot be read: {error}") from error

    def check(self, token: str) -> Asker:
        """Who asks, by the keys at hand; never waits. Raises NotAllowed, without saying which check failed."""
        known = self._remembered(token)
        if known is not None:
            return known
        claims = self._verify(token)
        found = person(claims, self._settings, self._cvr, uuid=False)
        asker = found.asker() or Asker(found.id, found.name, NO_ROLE, found.administration, found.unit, found.person)
        if len(self._known) >= _REMEMBER:
            self._known.clear()
        self._known[_digest(token)] = (min(float(claims["exp"]), self._clock.now().timestamp() + _SECONDS), asker)
        return asker

    def _remembered(self, token: str) -> Asker | None:
        known = self._known.get(_digest(token))
        return known[1] if known is not None and known[0] > self._clock.now().timestamp() else None

    def _verify(self, token: str) -> dict[str, Any]:
        if self._keys is None:
            raise NotAllowed("this hub takes no tokens: api.jwks is not set")
        keys = self._keys.known
        if keys is None or len(token) > _LONGEST:
            raise NotAllowed("the token cannot be checked")
        now = self._clock.now().timestamp()
        try:
            decoded = jwt.decode(token, keys, algorithms=ALGORITHMS)
            registry = jwt.JWTClaimsRegistry(
                now=lambda: int(now),
                leeway=SKEW,
                iss={"essential": True, "value": self._settings.issuer},
                aud={"essential": True, "value": self._settings.audience},
                exp={"essential": True},
                sub={"essential": True},
            )
            registry.validate(decoded.claims)
        except (JoseError, ValueError) as error:
            raise NotAllowed("the token is not valid here") from error
        return decoded.claims


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _read(place: Path | str | None) -> dict[str, Any]:
    if isinstance(place, str):
        return http.get(place)
    assert place is not None  # noqa: S101 - asked where it is set
    try:
        found = json.loads(place.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise GaveUp(f"not a file with JSON ({type(error).__name__})") from error
    if not isinstance(found, dict):
        raise GaveUp("not a JSON object")
    return found


def make_key() -> OKPKey:
    """A fresh Ed25519 signing key, for the demo's own issuer."""
    return OKPKey.generate_key("Ed25519", parameters={"kid": "demo"})


def issue(key: OKPKey, settings: Api, clock: Clock, asker: Asker, life: timedelta = timedelta(hours=8)) -> str:
    """A signed token, as the municipality's own issuer would give it. The demo and the tests use it."""
    claims = {
        "iss": settings.issuer,
        "aud": settings.audience,
        "sub": asker.id,
        "name": asker.name,
        "role": asker.role,
        "administration": asker.administration,
        "unit": asker.unit,
        "exp": int((clock.now() + life).timestamp()),
    }
    return jwt.encode({"alg": "Ed25519", "kid": "demo"}, claims, key, algorithms=ALGORITHMS)
