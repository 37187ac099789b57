"""An OpenID Connect provider over HTTP, with its own keys and people; and it can be told to misbehave.

Strict where a good one is: a client it knows, its secret or signed assertion, the redirect address as registered, PKCE
by S256, each code once. Its time is the test's.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import html
import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote_plus, urlencode

from joserfc import jwt
from joserfc.jwk import Key, KeySet, RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from hub.clock import Clock
from hub.testing.front import Front, running

CLIENT, SECRET = "tovholder", "s3cret:with/odd chars+æ"


@dataclass
class OidcProvider:
    front: Front
    clock: Clock
    claims: dict[str, Any] = field(default_factory=dict)
    """What the ID token says of whoever signs in."""
    extra: dict[str, Any] = field(default_factory=dict)
    """What only the UserInfo endpoint says."""
    redirect_uris: set[str] = field(default_factory=set)
    client_key: Key | None = None
    """The client's public key, when it proves itself by private_key_jwt."""
    wrong: str | None = None
    """How it misbehaves."""
    asks: bool = False
    """Whether there is a page with a button to sign in, as for a person in a browser."""
    answers: dict[str, str] = field(default_factory=dict)
    """More to send back with the code; `error` comes instead of it."""
    keys: list[RSAKey] = field(default_factory=list)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    tokens: dict[str, dict[str, Any]] = field(default_factory=dict)
    seen_redirects: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rotate()
        self.front.serve(
            Starlette(
                routes=[
                    Route("/.well-known/openid-configuration", self.discovery),
                    Route("/authorize", self.authorize, methods=["GET", "POST"]),
                    Route("/token", self.token, methods=["POST"]),
                    Route("/jwks", self.jwks),
                    Route("/userinfo", self.userinfo),
                    Route("/logout", self.logout),
                ]
            )
        )

    @property
    def issuer(self) -> str:
        return self.front.url

    def rotate(self) -> None:
        """A new key; the old one is no longer published."""
        self.keys = [RSAKey.generate_key(2048, parameters={"kid": secrets.token_hex(4), "use": "sig"})]

    def asked(self, path: str) -> int:
        """How often a path has been asked for."""
        return sum(request.path == path for request in self.front.requests)

    async def discovery(self, _request: Request) -> Response:
        if self.wrong == "discovery 500":
            return PlainTextResponse("boom", 500)
        if self.wrong == "discovery html":
            return HTMLResponse("<html>hello")
        if self.wrong == "discovery without keys":
            return JSONResponse({"issuer": self.issuer})
        evil = "http://login.example.test/token" if self.wrong == "endpoint without https" else None
        return JSONResponse(
            {
                "issuer": "https://other.example" if self.wrong == "discovery issuer" else self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": evil or f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/jwks",
                "userinfo_endpoint": f"{self.issuer}/userinfo",
                "end_session_endpoint": f"{self.issuer}/logout"
                + ("?x=\nSet-Cookie: a=b" * (self.wrong == "line break")),
                "authorization_response_iss_parameter_supported": True,
                "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
            }
        )

    async def authorize(self, request: Request) -> Response:
        asked = dict(request.query_params)
        good = (
            asked.get("client_id") == CLIENT
            and asked.get("redirect_uri") in self.redirect_uris
            and asked.get("response_type") == "code"
            and "openid" in asked.get("scope", "").split()
            and asked.get("code_challenge_method") == "S256"
            and len(asked.get("code_challenge", "")) == 43
            and asked.get("state")
            and asked.get("nonce")
        )
        if not good:
            return PlainTextResponse("bad request", 400)
        if self.asks and request.method == "GET":
            to = html.escape(f"/authorize?{urlencode(asked)}")
            return HTMLResponse(
                f"<!doctype html><title>Test</title><form method=post action='{to}'><button>Log ind</button></form>"
            )
        code = secrets.token_urlsafe(16)
        self.codes[code] = asked
        said = {"code": code, "state": asked["state"], "iss": self.issuer} | self.answers
        if "error" in said:
            del said["code"]
        if self.wrong == "iss of another":
            said["iss"] = "https://other.example"
        if self.wrong == "no iss parameter":
            del said["iss"]
        back = f"{asked['redirect_uri']}?{urlencode(said)}"
        self.seen_redirects.append(back)
        return RedirectResponse(back, 303)

    async def token(self, request: Request) -> Response:
        if self.wrong == "token 500":
            return PlainTextResponse("boom", 500)
        if self.wrong == "token redirect":
            return RedirectResponse("http://127.0.0.1:9/", 307)
        if self.wrong == "token html":
            return HTMLResponse("<html>welcome")
        if self.wrong == "token too large":
            return Response(b'{"x": "' + b"x" * 1_000_000 + b'"}', media_type="application/json")
        form = {key: values[0] for key, values in parse_qs((await request.body()).decode()).items()}
        asked = self.codes.pop(form.get("code", ""), None)
        if not self._client_is_known(request, form):
            return JSONResponse({"error": "invalid_client"}, 401)
        challenge = b64(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        if (
            asked is None
            or form.get("grant_type") != "authorization_code"
            or form.get("redirect_uri") != asked["redirect_uri"]
            or challenge != asked["code_challenge"]
            or self.wrong == "code refused"
        ):
            return JSONResponse({"error": "invalid_grant"}, 400)
        access = secrets.token_urlsafe(16)
        claims = self._id_claims(asked["nonce"], access)
        self.tokens[access] = claims
        answer = {"access_token": access, "token_type": "Bearer", "id_token": self._signed(claims)}
        if self.wrong == "no id token":
            del answer["id_token"]
        if self.wrong == "another type of token":
            answer["token_type"] = "DPoP"
        return JSONResponse(answer)

    def _client_is_known(self, request: Request, form: dict[str, str]) -> bool:
        if self.client_key is not None:
            claims = jwt.decode(form["client_assertion"], self.client_key, algorithms=["ES256", "RS256"]).claims
            return (
                claims["iss"] == claims["sub"] == CLIENT
                and claims["aud"] == f"{self.issuer}/token"
                and claims["exp"] > self.clock.now().timestamp()
            )
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme == "Basic":
            client, _, secret = base64.b64decode(given).decode().partition(":")
            return (unquote_plus(client), unquote_plus(secret)) == (CLIENT, SECRET)
        return (form.get("client_id"), form.get("client_secret")) == (CLIENT, SECRET)

    def _id_claims(self, nonce: str, access: str) -> dict[str, Any]:
        now = int(self.clock.now().timestamp())
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "aud": CLIENT,
            "exp": now + 300,
            "iat": now,
            "nonce": nonce,
            "at_hash": b64(hashlib.sha256(access.encode()).digest()[:16]),
        } | self.claims
        changes: dict[str, dict[str, Any]] = {
            "nonce": {"nonce": "another"},
            "nonce of another type": {"nonce": [nonce]},
            "aud": {"aud": "another"},
            "several aud": {"aud": [CLIENT, "another"]},
            "azp": {"azp": "another"},
            "issuer": {"iss": "https://other.example"},
            "expired": {"exp": now - 61},
            "made later": {"iat": now + 120, "exp": now + 400},
            "at_hash": {"at_hash": b64(b"x" * 16)},
            "exp is text": {"exp": "tomorrow"},
        }
        claims |= changes.get(self.wrong or "", {})
        for name in ("nonce", "aud", "exp", "iat", "sub", "iss"):
            if self.wrong == f"no {name}" and name in claims:
                del claims[name]
        return claims

    def _signed(self, claims: dict[str, Any]) -> str:
        key = self.keys[0]
        header = {"alg": "RS256", "kid": key.kid}
        if self.wrong == "alg none":
            return f"{b64json({'alg': 'none'})}.{b64json(claims)}."
        if self.wrong == "HS256 with the public key":
            unsigned = f"{b64json(header | {'alg': 'HS256'})}.{b64json(claims)}"
            mac = hmac.digest(key.as_pem(private=False), unsigned.encode(), "sha256")
            return f"{unsigned}.{b64(mac)}"
        if self.wrong in ("unknown kid", "another key with this kid"):
            key = RSAKey.generate_key(2048)
            header["kid"] = "unknown" if self.wrong == "unknown kid" else header["kid"]
        token = jwt.encode(header, claims, key, algorithms=["RS256"])
        if self.wrong == "signature":
            head, body, signature = token.split(".")
            return f"{head}.{body}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}"
        if self.wrong == "not a token":
            return "hello"
        return token

    async def jwks(self, _request: Request) -> Response:
        if self.wrong == "jwks 500":
            return PlainTextResponse("boom", 500)
        if self.wrong == "jwks of nothing":
            return JSONResponse({"keys": []})
        return JSONResponse(KeySet(list(self.keys)).as_dict(private=False))

    async def userinfo(self, request: Request) -> Response:
        claims = self.tokens.get(request.headers.get("authorization", "").removeprefix("Bearer "))
        if claims is None:
            return JSONResponse({}, 401)
        sub = "another" if self.wrong == "userinfo of another" else claims["sub"]
        return JSONResponse({"sub": sub} | self.extra)

    async def logout(self, request: Request) -> Response:
        back = request.query_params.get("post_logout_redirect_uri")
        return RedirectResponse(back, 303) if back else PlainTextResponse("out")


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def b64json(value: Any) -> str:
    return b64(json.dumps(value).encode())


@contextmanager
def provider(clock: Clock) -> Iterator[OidcProvider]:
    with running() as front:
        yield OidcProvider(front, clock)
