"""Bearer tokens by keys at an address: found when new, at most once a minute, and kept when the issuer is away."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import structlog
from fastapi.testclient import TestClient
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from hub.api.tokens import Tokens
from hub.clock import SetClock
from hub.context import Context
from hub.settings import Api
from hub.testing.front import Front, running
from tests.bpp_lists import CVR, bpp, group

URL = "/api/v1/lookups"
QUESTION = {"cpr": "0311164234", "purpose": "case"}


class Issuer:
    def __init__(self, front: Front, clock: SetClock) -> None:
        self.front, self.clock, self.away = front, clock, False
        self.rotate()
        front.serve(Starlette(routes=[Route("/keys", self.keys)]))

    def rotate(self) -> None:
        self.key = RSAKey.generate_key(2048, auto_kid=True)

    async def keys(self, _request: Request) -> Response:
        return PlainTextResponse("", 500) if self.away else JSONResponse(KeySet([self.key]).as_dict(private=False))

    def bearer(self, key: RSAKey | None = None, **changes: Any) -> dict[str, str]:
        now = int(self.clock.now().timestamp())
        claims = {"iss": "i", "aud": "tovholder", "sub": "s-1", "name": "Sanne Toft", "role": "staff",
                  "administration": "SOF", "exp": now + 600, "iat": now} | changes  # fmt: skip
        key = key or self.key
        return {"Authorization": "Bearer " + jwt.encode({"alg": "RS256", "kid": key.kid}, claims, key)}

    @property
    def asked(self) -> int:
        return len(self.front.requests)


@pytest.fixture
def issuer(clock: SetClock) -> Iterator[Issuer]:
    with running() as front:
        yield Issuer(front, clock)


@pytest.fixture
def ctx(ctx: Context, issuer: Issuer) -> Context:
    api = Api(issuer="i", jwks=f"{issuer.front.url}/keys")
    return replace(ctx, settings=ctx.settings.model_copy(update={"api": api}))


@pytest.fixture
def ask(client: TestClient, ida: UUID, issuer: Issuer) -> Callable[..., int]:
    def ask(headers: dict[str, str] | None = None) -> int:
        return client.post(URL, json=QUESTION, headers=headers or issuer.bearer()).status_code

    return ask


def test_a_new_key_is_found_and_the_old_one_no_longer_counts(
    ask: Callable[..., int], issuer: Issuer, clock: SetClock
) -> None:
    assert [ask(), ask()] == [200, 200]
    assert issuer.asked == 1
    old = issuer.key
    issuer.rotate()
    clock.move(timedelta(seconds=61))
    assert ask() == 200
    assert issuer.asked == 2
    assert ask(issuer.bearer(old, jti="2")) == 401


def test_unknown_keys_are_asked_about_once_a_minute(ask: Callable[..., int], issuer: Issuer, clock: SetClock) -> None:
    stranger = RSAKey.generate_key(2048, auto_kid=True)
    ask()
    for n in range(5):
        assert ask(issuer.bearer(stranger, jti=str(n))) == 401
    assert issuer.asked == 1
    clock.move(timedelta(seconds=61))
    for n in range(5):
        assert ask(issuer.bearer(stranger, jti=str(n))) == 401
    assert issuer.asked == 2


def test_while_the_issuer_is_away_the_known_keys_go_on(
    ask: Callable[..., int], issuer: Issuer, clock: SetClock
) -> None:
    ask()
    issuer.away = True
    clock.move(timedelta(days=1))
    assert [ask(), ask(issuer.bearer(jti="2"))] == [200, 200]
    assert issuer.asked == 2, "tried once"


def test_a_withdrawn_key_ends_within_the_hour(ask: Callable[..., int], issuer: Issuer, clock: SetClock) -> None:
    old, long = issuer.key, issuer.bearer(exp=int(clock.now().timestamp()) + 8 * 3600)
    assert ask(long) == 200
    issuer.rotate()
    clock.move(timedelta(minutes=61))
    assert ask(issuer.bearer(old)) == 401
    assert ask(long) == 401, "also a token that was good before"


def test_an_issuer_that_was_never_there_lets_nobody_in_and_is_asked_gently(
    ask: Callable[..., int], issuer: Issuer, clock: SetClock
) -> None:
    issuer.away = True
    assert [ask(), ask(), ask()] == [401, 401, 401]
    assert issuer.asked == 1
    issuer.away = False
    clock.move(timedelta(seconds=6))
    assert ask() == 200


@pytest.mark.parametrize(
    ("change", "status"),
    [({"nbf": 29}, 200), ({"nbf": 31}, 401), ({"exp": -29}, 200), ({"exp": -31}, 401), ({"aud": "x"}, 401)],
)
def test_clocks_may_differ_by_half_a_minute(
    ask: Callable[..., int], issuer: Issuer, change: dict[str, Any], status: int
) -> None:
    now = int(issuer.clock.now().timestamp())
    shifted = {name: value if isinstance(value, str) else now + value for name, value in change.items()}
    assert ask(issuer.bearer(**shifted)) == status


def test_why_a_call_was_refused_is_in_the_log_without_the_token(ask: Callable[..., int], issuer: Issuer) -> None:
    headers = issuer.bearer(exp=1)
    with structlog.testing.capture_logs() as logs:
        assert ask(headers) == 401
        assert ask({"Authorization": "Basic abc"}) == 401
    assert [(line["why"], line["error"]) for line in logs if "token" in line["event"]] == [
        ("the token is not valid here", "ExpiredTokenError"),
        ("no bearer token", None),
    ]
    assert headers["Authorization"][7:30] not in str(logs)
    assert "Sanne" not in str(logs)


def test_roles_come_by_the_same_mapping_as_for_sign_in(ctx: Context, issuer: Issuer) -> None:
    role = "http://tovholder.example/roles/usersystemrole/staff/1"
    api = Api.model_validate(
        ctx.settings.api.model_dump()
        | {"claims": {"privileges": ["privileges"]}, "privileges_are": "bpp", "roles": {"staff": [role]}}
    )
    tokens = Tokens(api, issuer.clock, CVR)
    tokens._fetch(issuer.bearer()["Authorization"].split()[1])
    token = issuer.bearer(privileges=bpp(group(role)))["Authorization"].split()[1]
    assert tokens.check(token).role == "staff"
    other = bpp(group(role, scope="urn:dk:gov:saml:cvrNumberIdentifier:87654321"))
    token = issuer.bearer(privileges=other)["Authorization"].split()[1]
    assert tokens.check(token).role == "none"
