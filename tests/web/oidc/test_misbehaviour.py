"""What a person sees when a provider misbehaves, and that nobody comes in by it."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
import structlog

from hub.clock import SetClock
from hub.testing.trouble import Trouble
from tests.oidc_provider import OidcProvider
from tests.web.at_provider import (
    SANNE,
    Person,
    assert_did_not_work,
    assert_says,
)

pytestmark = pytest.mark.slow

WRONG = {
    "nonce": "ID token: nonce",
    "nonce of another type": "ID token: nonce",
    "no nonce": "ID token: nonce",
    "aud": "ID token: InvalidClaimError aud",
    "several aud": "ID token: made out to another party (azp)",
    "no aud": "ID token: MissingClaimError aud",
    "azp": "ID token: made out to another party (azp)",
    "issuer": "ID token: InvalidClaimError iss",
    "no iss": "ID token: MissingClaimError iss",
    "expired": "ID token: ExpiredTokenError exp",
    "exp is text": "ID token: InvalidClaimError exp",
    "no exp": "ID token: MissingClaimError exp",
    "made later": "ID token: InvalidClaimError iat",
    "no iat": "ID token: MissingClaimError iat",
    "no sub": "ID token: MissingClaimError sub",
    "at_hash": "ID token: at_hash",
    "alg none": "ID token: UnsupportedAlgorithmError",
    "HS256 with the public key": "ID token: UnsupportedAlgorithmError",
    "unknown kid": "ID token: InvalidKeyIdError",
    "another key with this kid": "ID token: BadSignatureError",
    "signature": "ID token: BadSignatureError",
    "not a token": "ID token: DecodeError",
    "no id token": "no tokens",
    "another type of token": "another type of token",
    "code refused": "the code was not taken",
    "token html": "the code was not taken",
    "token redirect": "the code was not taken",
    "token too large": "the code was not taken",
    "iss of another": "answer of another issuer",
    "no iss parameter": "answer of another issuer",
    "jwks of nothing": "the key set cannot be read",
}
"""How a provider misbehaves, and what the operator is told of it."""


@pytest.mark.parametrize("wrong", WRONG)
def test_a_bad_answer_of_the_provider_lets_nobody_in(browser: Person, at: OidcProvider, wrong: str) -> None:
    at.wrong = wrong
    with structlog.testing.capture_logs() as logs:
        assert_did_not_work(browser.come_in())
    (line,) = [line for line in logs if line["event"] == "sign-in failed"]
    assert line["why"] == WRONG[wrong], "refused for this, and not for something else"
    assert SANNE not in json.dumps(logs)
    assert "Sanne" not in json.dumps(logs)
    assert browser.get("/personale", follow_redirects=False).headers["location"].startswith("/log-ind/")
    at.wrong = None
    at.clock.move(timedelta(seconds=61))
    assert browser.come_in().status_code == 303, "and the next try goes well"


@pytest.mark.parametrize(
    "wrong", ["discovery issuer", "discovery html", "discovery without keys", "endpoint without https", "line break"]
)
def test_a_bad_discovery_sends_nobody_away(browser: Person, at: OidcProvider, wrong: str) -> None:
    at.wrong = wrong
    assert_did_not_work(browser.get("/log-ind/personale", follow_redirects=False))


@pytest.mark.parametrize("wrong", ["discovery 500", "token 500", "jwks 500"])
def test_a_provider_that_is_down_is_said_to_be(browser: Person, at: OidcProvider, wrong: str) -> None:
    at.wrong = wrong
    if wrong == "discovery 500":
        answer = browser.get("/log-ind/personale", follow_redirects=False)
    else:
        answer = browser.come_in()
    assert_says(answer, 503, "Man kan ikke logge ind lige nu")
    assert answer.headers["retry-after"] == "30"


@pytest.mark.parametrize("trouble", [Trouble.SILENT, Trouble.SLOW])
def test_a_provider_that_is_slow_is_given_up(browser: Person, at: OidcProvider, trouble: Trouble) -> None:
    at.front.trouble(trouble)
    answer = browser.get("/log-ind/personale", follow_redirects=False)
    assert_says(answer, 503, "Man kan ikke logge ind lige nu")


def test_a_silent_provider_is_asked_again_after_a_moment_and_not_by_everybody(
    browser: Person, at: OidcProvider, clock: SetClock
) -> None:
    at.wrong = "discovery 500"
    for _who in range(3):
        assert browser.get("/log-ind/personale", follow_redirects=False).status_code == 503
    assert at.asked("/.well-known/openid-configuration") == 1
    clock.move(timedelta(seconds=6))
    at.wrong = None
    assert browser.come_in().status_code == 303
    at.wrong = "discovery 500"
    clock.move(timedelta(minutes=61))
    for _who in range(3):
        assert browser.get("/log-ind/personale", follow_redirects=False).status_code == 303, "what was found goes on"
    assert at.asked("/.well-known/openid-configuration") == 3


def test_a_broken_off_sign_in_says_so_and_nothing_the_provider_said(browser: Person, at: OidcProvider) -> None:
    at.answers = {"error": "access_denied", "error_description": "<b>Sanne said no</b>"}
    answer = browser.come_in()
    assert_says(answer, 403, "Du blev ikke logget ind")
    assert "afbrudt" in answer.text
    assert "said no" not in answer.text


def test_the_clocks_may_differ_by_a_minute(browser: Person, at: OidcProvider, clock: SetClock) -> None:
    at.clock = SetClock(clock.now() - timedelta(seconds=300 + 59))
    assert browser.come_in().status_code == 303
    at.clock = SetClock(clock.now() + timedelta(seconds=59))
    assert browser.come_in().status_code == 303
    at.clock = SetClock(clock.now() + timedelta(seconds=75))
    assert_did_not_work(browser.come_in())
