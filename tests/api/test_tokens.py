"""Bearer tokens: only those of the municipality's own issuer, for this hub, signed by its key, and not expired."""

from __future__ import annotations

import base64
import hmac
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc import jws, jwt
from joserfc.errors import SecurityWarning
from joserfc.jwk import OKPKey, RSAKey

from hub.access.log import Asker
from hub.api.tokens import Tokens, issue, make_key
from hub.clock import SetClock
from hub.errors import NotAllowed, SettingsError
from hub.settings import Api

SANNE = Asker("s-1", "Sanne Toft", "staff", "SOF", "Handicap, team Nord")


@pytest.fixture
def tokens(api: Api, clock: SetClock) -> Tokens:
    return Tokens(api, clock)


@pytest.fixture
def claims(api: Api, clock: SetClock) -> dict[str, Any]:
    """What a good token says."""
    return {
        "iss": api.issuer,
        "aud": api.audience,
        "sub": "s-1",
        "name": "Sanne Toft",
        "role": "staff",
        "administration": "SOF",
        "unit": "Handicap, team Nord",
        "exp": int(clock.now().timestamp()) + 3600,
    }


def signed(claims: dict[str, Any], key: Any, **header: Any) -> str:
    header = {"alg": "Ed25519", "kid": "demo"} | header
    return jwt.encode(header, claims, key, algorithms=[header["alg"]])


def by_hand(header: Any, payload: Any, signature: bytes = b"") -> str:
    def part(value: Any) -> str:
        plain = value if isinstance(value, bytes) else json.dumps(value).encode()
        return base64.urlsafe_b64encode(plain).rstrip(b"=").decode()

    return ".".join(part(value) for value in (header, payload, signature))


def test_a_good_token_says_who_asks(tokens: Tokens, claims: dict[str, Any], signing: OKPKey) -> None:
    assert tokens.check(signed(claims, signing)) == SANNE


def test_what_the_hub_issues_it_takes(tokens: Tokens, api: Api, clock: SetClock, signing: OKPKey) -> None:
    assert tokens.check(issue(signing, api, clock, SANNE)) == SANNE


def test_the_older_name_of_the_algorithm_is_taken_too(tokens: Tokens, claims: dict[str, Any], signing: OKPKey) -> None:
    with pytest.warns(SecurityWarning, match="deprecated"):
        token = signed(claims, signing, alg="EdDSA")
    with pytest.warns(SecurityWarning, match="deprecated"):
        assert tokens.check(token) == SANNE


def test_an_audience_among_several_is_enough(tokens: Tokens, claims: dict[str, Any], signing: OKPKey) -> None:
    assert tokens.check(signed(claims | {"aud": ["other", "tovholder"]}, signing)) == SANNE


@pytest.mark.parametrize(
    "change",
    [
        {"iss": "https://login.other.example"},
        {"iss": None},
        {"aud": "other"},
        {"aud": []},
        {"aud": ["other"]},
        {"aud": None},
        {"exp": 0},
        {"exp": "soon"},
        {"exp": None},
        {"nbf": 4_000_000_000},
        {"sub": ""},
        {"sub": None},
        {"sub": 17},
        {"sub": ["s-1"]},
        {"name": None},
        {"name": {"first": "Sanne"}},
        {"role": None},
        {"role": ["staff", 1]},
        {"role": {}},
        {"sub": "sanne@kommune.example"},
        {"administration": ["SOF", "BUF"]},
        {"administration": 1},
        {"unit": {"x": 1}},
    ],
)
def test_a_wrong_claim_is_refused(
    tokens: Tokens, claims: dict[str, Any], signing: OKPKey, change: dict[str, Any]
) -> None:
    with pytest.raises(NotAllowed):
        tokens.check(signed(claims | change, signing))


@pytest.mark.parametrize("claim", ["iss", "aud", "exp", "sub", "name", "role"])
def test_a_missing_claim_is_refused(tokens: Tokens, claims: dict[str, Any], signing: OKPKey, claim: str) -> None:
    """Also the role: somebody without one is not staff."""
    del claims[claim]
    with pytest.raises(NotAllowed):
        tokens.check(signed(claims, signing))


@pytest.mark.parametrize("claim", ["administration", "unit"])
def test_what_may_be_missing_is_none(tokens: Tokens, claims: dict[str, Any], signing: OKPKey, claim: str) -> None:
    del claims[claim]
    assert getattr(tokens.check(signed(claims, signing)), claim) is None


def test_a_token_ends_when_it_says_also_when_it_has_been_seen(
    tokens: Tokens, claims: dict[str, Any], signing: OKPKey, clock: SetClock
) -> None:
    token = signed(claims, signing)
    clock.move(timedelta(minutes=59))
    assert tokens.check(token) == SANNE
    clock.move(timedelta(minutes=1, seconds=31))  # half a minute is left for clocks that differ
    with pytest.raises(NotAllowed):
        tokens.check(token)


def test_another_key_with_the_same_id_is_refused(tokens: Tokens, claims: dict[str, Any]) -> None:
    with pytest.raises(NotAllowed):
        tokens.check(signed(claims, make_key()))


def test_a_key_in_the_tokens_own_header_is_not_believed(tokens: Tokens, claims: dict[str, Any]) -> None:
    mine = make_key()
    for header in ({"jwk": mine.as_dict(private=False)}, {"jku": "http://127.0.0.1/jwks"}, {"kid": "mine"}):
        with pytest.raises(NotAllowed):
            tokens.check(signed(claims, mine, **header))


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "", "nOnE"])
def test_no_signature_is_no_token(tokens: Tokens, claims: dict[str, Any], alg: str) -> None:
    for signature in (b"", b"x"):
        with pytest.raises(NotAllowed):
            tokens.check(by_hand({"alg": alg, "kid": "demo"}, claims, signature))


@pytest.mark.parametrize("alg", ["HS256", "HS512"])
def test_the_public_key_is_no_shared_secret(tokens: Tokens, claims: dict[str, Any], signing: OKPKey, alg: str) -> None:
    public = signing.as_dict(private=False)
    unsigned = by_hand({"alg": alg, "kid": "demo"}, claims).rpartition(".")[0]
    for secret in (
        base64.urlsafe_b64decode(public["x"] + "=="),
        public["x"].encode(),
        json.dumps(public).encode(),
        signing.as_pem(private=False),
        signing.as_der(private=False),
    ):
        mac = hmac.digest(secret, unsigned.encode(), "sha256" if alg == "HS256" else "sha512")
        with pytest.raises(NotAllowed):
            tokens.check(f"{unsigned}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}")


def test_every_changed_character_is_refused(tokens: Tokens, claims: dict[str, Any], signing: OKPKey) -> None:
    token = signed(claims, signing)
    assert tokens.check(token)
    for place in range(0, len(token), 7):
        other = "A" if token[place] != "A" else "B"
        with pytest.raises(NotAllowed):
            tokens.check(token[:place] + other + token[place + 1 :])


def test_rs256_is_taken_from_a_key_in_the_set(
    tmp_path: Path, api: Api, clock: SetClock, claims: dict[str, Any]
) -> None:
    key = RSAKey.generate_key(2048, parameters={"kid": "rsa"})
    path = tmp_path / "rsa.json"
    path.write_text(json.dumps({"keys": [make_key().as_dict(private=False), key.as_dict(private=False)]}))
    tokens = Tokens(api.model_copy(update={"jwks": path}), clock)
    assert tokens.check(signed(claims, key, alg="RS256", kid="rsa")) == SANNE
    for alg in ("PS256", "RS512"):  # not on the list
        with pytest.raises(NotAllowed):
            tokens.check(signed(claims, key, alg=alg, kid="rsa"))


def test_without_a_key_set_there_are_no_tokens(clock: SetClock, claims: dict[str, Any], signing: OKPKey) -> None:
    with pytest.raises(NotAllowed):
        Tokens(Api(), clock).check(signed(claims, signing))


@pytest.mark.parametrize("content", [None, "", "{}", "[]", '{"keys": 1}', '{"keys": [{}]}', '{"keys": [{"kty": "x"}]}'])
def test_a_broken_key_set_stops_the_start(tmp_path: Path, clock: SetClock, content: str | None) -> None:
    path = tmp_path / "jwks.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(SettingsError, match=r"api\.jwks: .*jwks\.json"):
        Tokens(Api(jwks=path), clock)


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "....",
        "a.b.c",
        "æ.ø.å",
        "\u0000",
        by_hand([], {}),
        by_hand({}, {}),
        by_hand({"alg": 1}, {}),
        by_hand({"alg": ["Ed25519"]}, {}),
        by_hand({"alg": {}}, {}),
        by_hand({"alg": "Ed25519", "kid": 1}, {}),
        by_hand({"alg": "Ed25519", "kid": ["demo"]}, {}),
        by_hand({"alg": "Ed25519", "kid": {}}, {}),
        by_hand({"alg": "Ed25519", "kid": "demo", "crit": ["x"]}, {}),
        by_hand({"alg": "Ed25519", "kid": "demo", "crit": "x"}, {}),
        by_hand({"alg": "Ed25519", "kid": "demo", "b64": False, "crit": ["b64"]}, {}),
        by_hand({"alg": "Ed25519", "kid": "demo"}, []),
        by_hand({"alg": "Ed25519", "kid": "demo"}, b"\xff"),
        by_hand({"alg": "RS256", "kid": "demo"}, {}, b"x" * 256),
        by_hand({"alg": "Ed25519", "kid": "demo"}, {}, b"x" * 64),
        by_hand({"alg": "Ed25519", "kid": "demo"}, {}, b"x" * 3),
        by_hand(b"{", b"{"),
        by_hand({"alg": "dir", "enc": "A128GCM"}, {}) + ".a.b",
        "a" * 100_000,
        by_hand(b"[" * 50_000, b"x"),
    ],
)
def test_rubbish_is_refused_and_nothing_else_happens(tokens: Tokens, token: str) -> None:
    with pytest.raises(NotAllowed):
        tokens.check(token)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.sampled_from([None, True, 7, "x", [], ["x"], {}, {"x": 1}, -1e400]) | st.text(max_size=9))
def test_a_signed_body_that_is_no_set_of_claims_is_refused(tokens: Tokens, signing: OKPKey, body: Any) -> None:
    made = jws.serialize_compact({"alg": "Ed25519", "kid": "demo"}, json.dumps(body), signing, algorithms=["Ed25519"])
    with pytest.raises(NotAllowed):
        tokens.check(made)


def test_the_refusal_does_not_say_which_check_failed(tokens: Tokens, claims: dict[str, Any], signing: OKPKey) -> None:
    said = set()
    for token in (
        signed(claims | {"exp": 0}, signing),
        signed(claims, make_key()),
        signed(claims | {"aud": "x"}, signing),
    ):
        with pytest.raises(NotAllowed) as caught:
            tokens.check(token)
        said.add(str(caught.value))
    assert said == {"the token is not valid here"}
