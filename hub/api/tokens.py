"""Bearer tokens: who a system says is asking. Signed JWTs (Ed25519 or RS256), checked by the keys in the JWKS.

Claims: `iss`, `aud`, `exp`, `sub` (the person's id, never a mail address), `name`, `role`, `administration`, `unit`.
A verified token is remembered by its hash until it expires.
"""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, OKPKey

from hub.access.log import Asker
from hub.clock import Clock
from hub.errors import NotAllowed, SettingsError
from hub.settings import Api

ALGORITHMS = ["Ed25519", "EdDSA", "RS256"]
"""EdDSA is the older name of Ed25519 (RFC 9864), which many issuers still write."""
_REMEMBER = 10_000


class Tokens:
    """Checks tokens. Made once per process."""

    def __init__(self, settings: Api, clock: Clock) -> None:
        self._settings, self._clock = settings, clock
        self._keys = _read(settings.jwks) if settings.jwks is not None else None
        self._known: dict[bytes, tuple[float, Asker]] = {}

    def check(self, token: str) -> Asker:
        """Who asks. Raises NotAllowed, without saying which check failed."""
        now = self._clock.now().timestamp()
        digest = hashlib.sha256(token.encode()).digest()
        known = self._known.get(digest)
        if known is not None and known[0] > now:
            return known[1]
        claims = self._verify(token, now)
        needed, optional = ("sub", "name", "role"), ("administration", "unit")
        if not all(isinstance(claims[claim], str) and claims[claim] for claim in needed):
            raise NotAllowed("the token's claims are not text")
        if not all(isinstance(claims.get(claim), str | None) for claim in optional):
            raise NotAllowed("the token's claims are not text")
        asker = Asker(*(claims[claim] for claim in needed), *(claims.get(claim) for claim in optional))
        if len(self._known) >= _REMEMBER:
            self._known.clear()
        self._known[digest] = (float(claims["exp"]), asker)
        return asker

    def _verify(self, token: str, now: float) -> dict[str, Any]:
        if self._keys is None:
            raise NotAllowed("this hub takes no tokens: api.jwks is not set")
        try:
            decoded = jwt.decode(token, self._keys, algorithms=ALGORITHMS)
            registry = jwt.JWTClaimsRegistry(
                now=lambda: int(now),
                leeway=30,
                iss={"essential": True, "value": self._settings.issuer},
                aud={"essential": True, "value": self._settings.audience},
                exp={"essential": True},
                sub={"essential": True},
                name={"essential": True},
                role={"essential": True},
            )
            registry.validate(decoded.claims)
        except (JoseError, ValueError) as error:
            raise NotAllowed("the token is not valid here") from error
        return decoded.claims


def _read(path: Path) -> KeySet:
    try:
        return KeySet.import_key_set(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, AttributeError, KeyError, TypeError, ValueError, JoseError) as error:
        raise SettingsError(f"api.jwks: the key set {path} cannot be read: {error}") from error


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
