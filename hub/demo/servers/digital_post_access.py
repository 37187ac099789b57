"""Signing in at the town's Digital Post, as at KOMBIT's platform: a certificate gives a SAML token, that gives an
access token, and both are good in the hands of the certificate's holder only.

| request | answer |
|---|---|
| POST /runtime/api/rest/wstrust/v1/issue (JSON) | {"RequestedSecurityToken": {"Assertion": …}}; 400, 401, 403 |
| POST /service/AccessTokenService_1/token (`saml-token=`) | {"access_token", "token_type", "expires_in"}; 400, 401 |

The holder is who the TLS connection says (`digital_post_tls`). A keyed digest stands in for the signature of the real
assertion, which is XML in base64 as here.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
import uuid
from datetime import datetime, timedelta
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hub.clock import Clock

CERTIFICATE = "client_certificate"
"""Where in the ASGI scope the client's certificate (DER) is."""
POST = "http://entityid.kombit.dk/service/kombipostafsend/1"
ASK = "http://entityid.kombit.dk/service/postforespoerg/1"
ISSUE, TOKEN = "/runtime/api/rest/wstrust/v1/issue", "/service/AccessTokenService_1/token"
_LIFE = timedelta(hours=1)
_TYPES = {
    "TokenType": "http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.1#SAMLV2.0",
    "RequestType": "http://docs.oasis-open.org/ws-sx/ws-trust/200512/Issue",
    "KeyType": "http://docs.oasis-open.org/ws-sx/ws-trust/200512/PublicKey",
}


class Access:
    """The tokens that have been given, in memory: after a restart everybody signs in again. `issued` counts them."""

    def __init__(self, clock: Clock, cvr: str) -> None:
        self._clock = clock
        self._cvr = cvr
        self._secret = secrets.token_bytes(32)
        self._given: dict[str, tuple[str, str, datetime]] = {}
        self.issued = 0

    def routes(self) -> list[Route]:
        return [Route(ISSUE, self._issue, methods=["POST"]), Route(TOKEN, self._token, methods=["POST"])]

    def allows(self, request: Request, service: str) -> bool:
        """Whether the request has a token for this service that has not expired, and comes from its holder."""
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        found = self._given.get(token)
        if kind != "Holder-of-key" or found is None:
            return False
        holder, wanted, until = found
        return holder == _holder(request) and wanted == service and self._clock.now() < until

    async def _issue(self, request: Request) -> Response:
        holder = _holder(request)
        if holder is None:
            return JSONResponse({"error": "no client certificate"}, 401)
        try:
            asked = json.loads(await request.body())
            wrong = [name for name, value in _TYPES.items() if asked.get(name) != value]
            service = asked["AppliesTo"]["EndpointReference"]["Address"]
            key, cvr = base64.b64decode(asked["UseKey"], validate=True), asked["AnvenderKontekst"]["Cvr"]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return JSONResponse({"error": "not a request for a token"}, 400)
        if wrong or service not in (POST, ASK):
            return JSONResponse({"error": "TokenType, RequestType, KeyType or AppliesTo is wrong"}, 400)
        if hashlib.sha256(key).hexdigest() != holder or cvr != self._cvr:
            return JSONResponse({"error": "UseKey or Cvr is not the certificate's"}, 403)
        self.issued += 1
        until = (self._clock.now() + _LIFE).isoformat()
        # Fields without a quote or an angle bracket: a digest, POST or ASK, a time.
        saml = f'<Assertion Holder="{holder}" Audience="{service}" NotOnOrAfter="{until}"/>'.encode()
        return JSONResponse({"RequestedSecurityToken": {"Assertion": self._sealed(saml)}, "Lifetime": until})

    def _sealed(self, saml: bytes) -> str:
        seal = hmac.digest(self._secret, saml, "sha256")
        return base64.b64encode(seal + saml).decode("ascii")

    async def _token(self, request: Request) -> Response:
        sent = parse_qs((await request.body()).decode("latin-1")).get("saml-token", [""])[0]
        try:
            whole = base64.b64decode(sent, validate=True)
        except (binascii.Error, ValueError):
            return JSONResponse({"error": "saml-token is not base64"}, 400)
        seal, saml = whole[:32], whole[32:]
        if not hmac.compare_digest(seal, hmac.digest(self._secret, saml, "sha256")):
            return JSONResponse({"error": "saml-token is not ours"}, 401)
        holder, service, until = saml.decode().split('"')[1::2]
        if holder != _holder(request) or self._clock.now() >= datetime.fromisoformat(until):
            return JSONResponse({"error": "saml-token is another's, or has expired"}, 401)
        token = str(uuid.uuid4())
        self._given[token] = holder, service, self._clock.now() + _LIFE
        return JSONResponse(
            {"access_token": token, "token_type": "Holder-of-key", "expires_in": int(_LIFE.total_seconds())}
        )


def _holder(request: Request) -> str | None:
    """The digest of the certificate that the connection was made with."""
    certificate = request.scope.get(CERTIFICATE)
    return hashlib.sha256(certificate).hexdigest() if isinstance(certificate, bytes) else None
