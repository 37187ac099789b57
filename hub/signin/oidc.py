"""Sign-in at a provider: OpenID Connect Core 1.0, authorization code with PKCE (RFC 7636, S256), found by discovery.

Every check that the standards name is made here; what a provider claims to allow is not asked. Whatever goes wrong is
said to the operator by a word in the log, and to the person as "it did not work".
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote_plus, urlencode

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey, import_key
from pydantic import BaseModel, ValidationError

from hub.clock import Clock
from hub.errors import GaveUp, NotAllowed, SettingsError, TryAgain
from hub.settings import Provider, safe_address
from hub.signin import http
from hub.signin.keysets import ALGORITHMS, KeySource

SKEW = 60
"""How much a provider's clock may differ from ours (seconds)."""
PATIENCE = timedelta(minutes=15)
"""How long a sign-in may take from its beginning."""
METADATA_AGE = timedelta(hours=1)
AGAIN = timedelta(seconds=5)
"""A provider that did not answer is asked again at most so often: whoever waits for it takes a thread of the pages."""
_LONGEST_TOKEN = 128 * 1024
_DISCOVERY = "/.well-known/openid-configuration"


class Failed(NotAllowed):
    """The sign-in did not come to its end. The message is a word for the operator, and holds nothing of a person."""


class BrokenOff(NotAllowed):
    """The person, or the provider, broke the sign-in off."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """What must be remembered between sending somebody to the provider and their coming back, in their own browser's
    sealed cookie."""

    state: str
    nonce: str
    verifier: str
    next: str
    began: str

    def fresh(self, now: datetime) -> bool:
        return abs(now - datetime.fromisoformat(self.began)) <= PATIENCE


class Metadata(BaseModel):
    """What of a provider's discovery document is used (OpenID Connect Discovery 1.0, section 3)."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None = None
    end_session_endpoint: str | None = None
    authorization_response_iss_parameter_supported: bool = False


class OpenId:
    """One provider. Made once per process; its methods block, and may be called from several threads."""

    def __init__(self, settings: Provider, redirect_uri: str, clock: Clock) -> None:
        self.settings, self._redirect_uri, self._clock = settings, redirect_uri, clock
        self._found: tuple[datetime, Metadata] | None = None
        self._silent_at: datetime | None = None
        self._lock = threading.Lock()
        self._keys = KeySource(lambda: http.get(self._metadata().jwks_uri), clock)
        self._client_key = _client_key(settings)

    def begin(self, next_: str) -> tuple[str, Attempt]:
        """Where to send somebody, and what to remember. Raises TryAgain, Failed."""
        now = self._clock.now()
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        attempt = Attempt(state, nonce, verifier, next_, now.isoformat())
        challenge = _base64(hashlib.sha256(attempt.verifier.encode()).digest())
        asked = {
            "response_type": "code",
            "client_id": self.settings.client_id,
            "redirect_uri": self._redirect_uri,
            "scope": " ".join(self.settings.scopes),
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        } | ({"acr_values": " ".join(self.settings.acr)} if self.settings.acr else {})
        return _with(self._metadata().authorization_endpoint, asked), attempt

    def finish(self, attempt: Attempt, said: Mapping[str, str]) -> dict[str, Any]:
        """The verified claims of whoever came back with `said` in the address. `attempt` is the one with this state.

        Raises BrokenOff, Failed, TryAgain."""
        if not attempt.fresh(self._clock.now()):
            raise Failed("too late")
        metadata = self._metadata()
        # RFC 9207: an answer of another provider must not be taken for this one's.
        issuer = said.get("iss")
        if issuer != metadata.issuer and (
            issuer is not None or metadata.authorization_response_iss_parameter_supported
        ):
            raise Failed("answer of another issuer")
        if "error" in said:
            raise BrokenOff
        if not said.get("code"):
            raise Failed("no code")
        answer = self._exchange(metadata, said["code"], attempt)
        claims = self._verify(metadata, answer, attempt.nonce)
        if self.settings.userinfo:
            claims = self._userinfo(metadata, answer["access_token"], claims["sub"]) | claims
        return claims

    def logout_address(self, back: str) -> str | None:
        """Where to end the provider's own session (OpenID Connect RP-Initiated Logout 1.0), when it can. No ID token
        goes with it as a hint: it holds the person's name, and perhaps number, and this is an address."""
        endpoint = self._metadata().end_session_endpoint
        if endpoint is None:
            return None
        return _with(endpoint, {"client_id": self.settings.client_id, "post_logout_redirect_uri": back})

    def _metadata(self) -> Metadata:
        with self._lock:
            now = self._clock.now()
            if self._found is not None and abs(now - self._found[0]) < METADATA_AGE:
                return self._found[1]
            if self._silent_at is None or abs(now - self._silent_at) >= AGAIN:
                try:
                    self._found, self._silent_at = (now, self._discover()), None
                    return self._found[1]
                except TryAgain:
                    self._silent_at = self._clock.now()  # it may have been waited for
                    if self._found is None:
                        raise
            if self._found is None:
                raise TryAgain("the provider did not answer a moment ago")
            return self._found[1]

    def _discover(self) -> Metadata:
        try:
            found = Metadata.model_validate(http.get(self.settings.issuer.rstrip("/") + _DISCOVERY))
        except (ValidationError, GaveUp) as error:
            raise Failed("discovery cannot be read") from error
        if found.issuer != self.settings.issuer:
            raise Failed("discovery names another issuer")
        for address in (
            found.authorization_endpoint,
            found.token_endpoint,
            found.jwks_uri,
            found.userinfo_endpoint,
            found.end_session_endpoint,
        ):
            try:
                plain, _, query = (address or self.settings.issuer).partition("?")  # an endpoint may have a query
                safe_address(plain + query)
            except ValueError as error:
                raise Failed("discovery names an address that is not safe") from error
        return found

    def _exchange(self, metadata: Metadata, code: str, attempt: Attempt) -> dict[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect_uri,
            "code_verifier": attempt.verifier,
        }
        auth = None
        client, secret = self.settings.client_id, self.settings.client_secret
        if self._client_key is not None:
            form |= {
                "client_id": client,
                "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                "client_assertion": self._assertion(metadata.token_endpoint),
            }
        elif secret is not None and self.settings.client_auth == "post":
            form |= {"client_id": client, "client_secret": secret}
        elif secret is not None:
            auth = (quote_plus(client), quote_plus(secret))  # RFC 6749, section 2.3.1
        try:
            answer = http.post(metadata.token_endpoint, form, auth)
        except GaveUp as error:
            raise Failed("the code was not taken") from error
        texts = (answer.get("id_token"), answer.get("access_token"), answer.get("token_type"))
        if not all(isinstance(text, str) and 0 < len(text) <= _LONGEST_TOKEN for text in texts):
            raise Failed("no tokens")
        if answer["token_type"].casefold() != "bearer":
            raise Failed("another type of token")
        return answer

    def _assertion(self, audience: str) -> str:
        """private_key_jwt (RFC 7523, section 2.2)."""
        assert self._client_key is not None  # noqa: S101 - asked where it is
        now = int(self._clock.now().timestamp())
        algorithm = {"RSA": "RS256", "EC": "ES256", "OKP": "Ed25519"}[self._client_key.key_type]
        me = self.settings.client_id
        claims = {"iss": me, "sub": me, "aud": audience, "jti": secrets.token_urlsafe(16), "iat": now, "exp": now + 60}
        header = {"alg": algorithm} | ({"kid": self._client_key.kid} if self._client_key.kid else {})
        return jwt.encode(header, claims, self._client_key, algorithms=[algorithm])

    def _verify(self, metadata: Metadata, answer: Mapping[str, Any], nonce: str) -> dict[str, Any]:
        """The claims of an ID token (OpenID Connect Core 1.0, section 3.1.3.7 and 3.1.3.6)."""
        token: str = answer["id_token"]
        try:
            decoded = jwt.decode(token, self._keys.keys(token), algorithms=ALGORITHMS)
            claims = decoded.claims
            jwt.JWTClaimsRegistry(
                now=lambda: int(self._clock.now().timestamp()),
                leeway=SKEW,
                iss={"essential": True, "value": metadata.issuer},
                aud={"essential": True, "value": self.settings.client_id},
                exp={"essential": True},
                iat={"essential": True},
                sub={"essential": True},
            ).validate(claims)
        except GaveUp as error:
            raise Failed("the key set cannot be read") from error
        except (JoseError, ValueError) as error:
            # The library's words may hold a claim's value: only what kind of error it is, and which claim.
            claim = getattr(error, "claim", "")
            raise Failed(f"ID token: {type(error).__name__} {claim}".strip()) from error
        audience = claims["aud"]
        several = isinstance(audience, list) and len(audience) > 1
        if (several or "azp" in claims) and claims.get("azp") != self.settings.client_id:
            raise Failed("ID token: made out to another party (azp)")
        said = claims.get("nonce")
        if not isinstance(said, str) or not secrets.compare_digest(said.encode(), nonce.encode()):
            raise Failed("ID token: nonce")
        if not isinstance(claims["sub"], str):
            raise Failed("ID token: sub")
        if "at_hash" in claims and claims["at_hash"] != _half_hash(decoded.header["alg"], answer["access_token"]):
            raise Failed("ID token: at_hash")
        if self.settings.acr and claims.get("acr") not in self.settings.acr:
            raise Failed("ID token: level of assurance (acr)")
        return claims

    def _userinfo(self, metadata: Metadata, access_token: str, sub: str) -> dict[str, Any]:
        if metadata.userinfo_endpoint is None:
            raise Failed("no userinfo endpoint")
        try:
            claims = http.get(metadata.userinfo_endpoint, {"Authorization": f"Bearer {access_token}"})
        except GaveUp as error:
            raise Failed("userinfo cannot be read") from error
        if claims.get("sub") != sub:  # section 5.3.2
            raise Failed("userinfo is about another")
        return claims


def _client_key(settings: Provider) -> RSAKey | ECKey | OKPKey | None:
    if settings.client_key is None:
        return None
    try:
        found = _key_in(settings.client_key.read_text(encoding="ascii"))
    except (OSError, ValueError, TypeError, JoseError) as error:
        raise SettingsError(f"signin: the key {settings.client_key} cannot be read: {type(error).__name__}") from error
    if isinstance(found, RSAKey | ECKey | OKPKey) and found.is_private:
        return found
    raise SettingsError(f"signin: {settings.client_key} holds no private key (JWK or PEM)")


def _key_in(text: str) -> object:
    if text.lstrip().startswith("{"):
        return import_key(json.loads(text))
    for kind in (RSAKey, ECKey, OKPKey):
        try:
            return kind.import_key(text)
        except (ValueError, TypeError, JoseError):  # a key of another kind, or none
            continue
    return None


def _half_hash(algorithm: str, token: str) -> str:
    """at_hash: the left half of the token's hash, by the ID token's own algorithm (Ed25519 uses SHA-512)."""
    size = algorithm[-3:] if algorithm[-3:].isdigit() else "512"
    if algorithm == "Ed25519":
        size = "512"
    digest = hashlib.new(f"sha{size}", token.encode()).digest()
    return _base64(digest[: len(digest) // 2])


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _with(address: str, values: Mapping[str, str]) -> str:
    return f"{address}{'&' if '?' in address else '?'}{urlencode(values)}"
