"""Keys that change, codes and answers that are somebody else's, and where one is sent on to."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from hub.clock import SetClock
from hub.context import Context
from hub.web.app import build
from tests.oidc_provider import OidcProvider
from tests.web.at_provider import (
    HOME,
    SANNE,
    Person,
    assert_did_not_work,
    browsing,
    guardian_claims,
    sanne,
)


def test_a_new_key_is_fetched_and_an_unknown_one_at_most_once_a_minute(
    browser: Person, at: OidcProvider, clock: SetClock
) -> None:
    browser.come_in()
    browser.come_in()
    assert at.asked("/jwks") == 1
    clock.move(timedelta(seconds=61))
    at.rotate()
    assert browser.come_in().status_code == 303
    assert at.asked("/jwks") == 2
    at.wrong = "unknown kid"
    for _try in range(3):
        assert_did_not_work(browser.come_in())
    assert at.asked("/jwks") == 2, "asked less than a minute ago"
    clock.move(timedelta(seconds=61))
    for _try in range(3):
        assert_did_not_work(browser.come_in())
    assert at.asked("/jwks") == 3


def test_when_the_keys_cannot_be_fetched_the_known_go_on(browser: Person, at: OidcProvider, clock: SetClock) -> None:
    browser.come_in()
    clock.move(timedelta(hours=3))
    at.wrong = "jwks 500"
    assert browser.come_in().status_code == 303


def test_a_code_from_another_browser_is_worth_nothing(hub: Context, at: OidcProvider) -> None:
    """Somebody else's answer, sent as a link: one would be signed in as them, without knowing."""
    app = build(hub)
    with Person(app, base_url=HOME) as mine:
        theirs = Person(app, base_url=HOME)
        back = theirs.back(theirs.to_provider()).removeprefix(HOME)
        assert_did_not_work(mine.get(back, follow_redirects=False))
        mine.to_provider()
        assert_did_not_work(mine.get(back, follow_redirects=False))
        assert at.asked("/token") == 0


def test_an_answer_counts_once_and_not_after_a_quarter_of_an_hour(browser: Person, clock: SetClock) -> None:
    back = browser.back(browser.to_provider()).removeprefix(HOME)
    assert browser.get(back, follow_redirects=False).status_code == 303
    assert_did_not_work(browser.get(back, follow_redirects=False))
    late = browser.back(browser.to_provider()).removeprefix(HOME)
    clock.move(timedelta(minutes=15, seconds=1))
    assert_did_not_work(browser.get(late, follow_redirects=False))


def test_an_answer_at_the_other_door_is_worth_nothing(people: Any, browser: Person, at: OidcProvider) -> None:
    at.claims = sanne() | guardian_claims() | {"sub": SANNE}
    back = browser.back(browser.to_provider("familie")).removeprefix(HOME)
    assert_did_not_work(browser.get(back.replace("familie", "personale"), follow_redirects=False))


def test_two_tabs_may_sign_in_at_once(browser: Person) -> None:
    first, _second = (browser.back(browser.to_provider()).removeprefix(HOME) for _tab in range(2))
    assert browser.get(first, follow_redirects=False).status_code == 303


@pytest.mark.parametrize("back", ["", "?code=x", "?state=x", "?state=&code=", "?error=x"])
def test_an_answer_out_of_nothing_is_refused(browser: Person, back: str) -> None:
    assert_did_not_work(browser.get(f"/log-ind/personale/svar{back}", follow_redirects=False))


@pytest.mark.parametrize(
    "next_",
    ["https://evil.example/", "//evil.example", "/\\evil.example", "\\\\evil.example", "/%5C%5Cevil.example/..//x?y=1",
     "javascript:alert(1)", "", "evil", "/%0d%0aSet-Cookie:x=1", "/%09/evil.example", "/" + "x" * 300,
     "/" + "\N{SNOWMAN}" * 150],
)  # fmt: skip
def test_one_is_sent_on_to_our_own_pages_only(browser: Person, next_: str) -> None:
    answer = browser.come_in(next_=next_)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/personale"


def test_one_comes_back_to_where_one_was(people: Any, browser: Person, at: OidcProvider) -> None:
    at.claims = guardian_claims()
    letter = "/familie/breve/00000000-0000-4000-8000-000000000000"
    first = browser.get(f"{letter}?x=1", follow_redirects=False).headers["location"]
    assert first == f"/log-ind/familie?next={letter}"
    assert browser.come_in("familie", letter).headers["location"] == letter


def test_a_door_without_a_provider_is_not_there(hub: Context) -> None:
    alone = hub.settings.signin.model_copy(update={"family": None})
    with browsing(replace(hub, settings=hub.settings.model_copy(update={"signin": alone}))) as browser:
        assert browser.get("/log-ind/familie").status_code == 404
        assert browser.get("/log-ind/andre").status_code == 404
        assert browser.get("/familie", follow_redirects=False).status_code == 401


def test_what_a_browser_remembers_fits_its_cookie_whatever_it_is_sent_to(browser: Person) -> None:
    for _tab in range(4):
        assert (
            browser.get("/log-ind/personale?next=/" + "\N{GRINNING FACE}" * 199, follow_redirects=False).status_code
            == 303
        )
        assert browser.get("/log-ind/personale?next=/" + "x" * 199, follow_redirects=False).status_code == 303
