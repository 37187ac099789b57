"""Signing in at KOMBIT's Serviceplatform: a client certificate gives a SAML token for a service (Adgangsstyring's STS),
which gives an access token that only the certificate's holder can use (SF1601 Programmer's Guide; as itk-dev's
serviceplatformen does it).

A token is used until shortly before it expires, by all threads, and fetched anew once where the platform answers 401.
"""

from __future__ import annotations

import base64
import json
import re
import ssl
import threading
import time
from collections.abc import Callable

import httpx2 as httpx

from hub import SettingsError
from tovholder_digital_post.platform import NotSentError, PerhapsSentError, Platform, read_text
from tovholder_digital_post.settings import DigitalPostSettings

POST = "http://entityid.kombit.dk/service/kombipostafsend/1"
ASK = "http://entityid.kombit.dk/service/postforespoerg/1"
"""The services' entity ids: a token is for one of them."""

_TOKEN_PATH = "/service/AccessTokenService_1/token"  # noqa: S105 - a path
_RENEW_SECONDS = 60.0
"""A token is not used in its last minute, or its last half where it lives less than two."""
_WSS = "http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.1#SAMLV2.0"
_TRUST = "http://docs.oasis-open.org/ws-sx/ws-trust/200512"
_HEADER = re.compile(r"[\x21-\x7e]{1,8192}")
_CERTIFICATE = re.compile("-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


class Tokens:
    """Access tokens by service. `now` is a clock that only goes forward (seconds)."""

    def __init__(
        self, platform: Platform, settings: DigitalPostSettings, now: Callable[[], float] = time.monotonic
    ) -> None:
        if settings.sts_url is None or settings.certificate is None:
            raise SettingsError("tokens need sts_url and certificate")
        self._platform = platform
        self._issuer = Platform(str(settings.sts_url), settings)
        self._cvr = settings.cvr
        self._certificate = _one_line(read_text(settings.certificate, "certificate"))
        self._now = now
        self._kept: dict[str, tuple[str, float]] = {}
        self._alone = threading.Lock()

    def header(self, service: str, refused: str | None = None) -> str:
        """The Authorization header for a service; another than `refused`, which the platform has just not taken.

        Raises NotSentError when no token can be had."""
        with self._alone:
            kept, until = self._kept.get(service, ("", 0.0))
            if kept and kept != refused and self._now() < until:
                return kept
            self._kept.pop(service, None)
            asked = self._now()
            made, seconds = self._access_token(self._saml_token(service))
            self._kept[service] = made, asked + max(seconds - _RENEW_SECONDS, seconds / 2)
            return made

    def _saml_token(self, service: str) -> str:
        wanted = {
            "TokenType": _WSS,
            "RequestType": f"{_TRUST}/Issue",
            "KeyType": f"{_TRUST}/PublicKey",
            "AnvenderKontekst": {"Cvr": self._cvr},
            "UseKey": self._certificate,
            "AppliesTo": {"EndpointReference": {"Address": service}},
            "OnBehalfOf": None,
        }
        answer = _asked(self._issuer, "", json.dumps(wanted).encode(), "application/json")
        issued = answer.get("RequestedSecurityToken")
        token = issued.get("Assertion") if isinstance(issued, dict) else None
        if not isinstance(token, str) or not token:
            raise NotSentError("the token service answered without RequestedSecurityToken/Assertion")
        return token

    def _access_token(self, saml: str) -> tuple[str, float]:
        form = str(httpx.QueryParams({"saml-token": saml})).encode()
        answer = _asked(self._platform, _TOKEN_PATH, form, "application/x-www-form-urlencoded")
        token, kind, seconds = answer.get("access_token"), answer.get("token_type"), answer.get("expires_in")
        if (
            not isinstance(token, str)
            or not _HEADER.fullmatch(token)
            or not isinstance(kind, str)
            or kind.casefold() != "holder-of-key"
            or isinstance(seconds, bool)
            or not isinstance(seconds, int | float)
            or not 0 < seconds < 1e9
        ):
            raise NotSentError("the access token service answered without access_token, token_type and expires_in")
        return f"Holder-of-key {token}", float(seconds)

    def close(self) -> None:
        self._issuer.close()


def _asked(platform: Platform, path: str, body: bytes, kind: str) -> dict[str, object]:
    """An answer in JSON. Raises NotSentError for anything else: a letter has not been sent yet."""
    try:
        response = platform.send("POST", path, body=body, headers={"Content-Type": kind, "Accept": "application/json"})
    except PerhapsSentError as error:
        raise NotSentError(f"no token: {error}") from None
    if response.status_code >= 400 and response.status_code not in (408, 429) and response.status_code < 500:
        raise NotSentError(f"no token: {response.status_code}; look at our certificate and our agreement")
    answer = as_json(response) if response.status_code == 200 else None
    if not isinstance(answer, dict):
        raise NotSentError(f"no token: the token service answered {response.status_code} with something else")
    return answer


def as_json(response: httpx.Response) -> object:
    """An answer's content, None when it is not JSON."""
    try:
        answer: object = response.json()
    except (ValueError, RecursionError):
        return None
    return answer


def _one_line(pem: str) -> str:
    """The first certificate of a PEM file as the STS wants it: base64 on one line. Raises SettingsError."""
    found = _CERTIFICATE.search(pem)
    try:
        der = ssl.PEM_cert_to_DER_cert(found[0]) if found else b""
    except ValueError:
        der = b""
    if not der:
        raise SettingsError("certificate holds no certificate in PEM")
    return base64.b64encode(der).decode("ascii")
