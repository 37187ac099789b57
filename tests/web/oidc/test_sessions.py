"""How a sign-in is kept, and when it ends."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from hub.clock import SetClock
from hub.context import Context
from hub.settings import Settings
from hub.store import tables
from tests.oidc_provider import CLIENT, OidcProvider
from tests.web.at_provider import (
    HOME,
    Person,
    assert_did_not_work,
    assert_says,
    browsing,
    guardian_claims,
)


def test_the_cookies_are_bound_to_this_host_and_closed(browser: Person) -> None:
    answer = browser.come_in()
    (cookie,) = [c for c in answer.headers.get_list("set-cookie") if c.startswith("__Host-tovholder=")]
    assert set(cookie.split("; ")[1:]) == {"Path=/", "HttpOnly", "SameSite=Lax", "Secure"}


def test_signing_in_gives_a_new_session(people: Any, browser: Person, hub: Context) -> None:
    """Whoever has planted a cookie in a browser before has nothing afterwards."""
    browser.come_in()
    first = browser.cookies["__Host-tovholder"]
    token = browser.token("/personale")
    browser.come_in()
    assert browser.cookies["__Host-tovholder"] != first
    assert browser.token("/personale") != token
    with hub.database.session() as session:
        assert len(session.execute(select(tables.SignedIn)).all()) == 1, "the one before has ended"


def test_signing_out_ends_it_also_for_a_copied_cookie(browser: Person, hub: Context, at: OidcProvider) -> None:
    browser.come_in()
    stolen = browser.cookies["__Host-tovholder"]
    assert browser.get("/personale").status_code == 200
    answer = browser.post(
        "/log-ud", data={"csrf": browser.token("/personale")}, headers={"Origin": HOME}, follow_redirects=False
    )
    assert answer.headers["location"] == "/logget-ud/personale"
    thief = Person(browser.app, base_url=HOME)
    thief.cookies.set("__Host-tovholder", stolen)
    assert thief.get("/personale", follow_redirects=False).status_code == 303
    with hub.database.session() as session:
        assert session.execute(select(tables.SignedIn)).all() == []
    left = browser.get("/logget-ud/personale")
    address = re.search(r'href="(http://127[^"]+)"', left.text)
    assert address is not None
    wanted = f"{at.issuer}/logout?client_id={CLIENT}&post_logout_redirect_uri=https%3A%2F%2Fhub.example%2F"
    assert address[1].replace("&amp;", "&") == wanted
    assert left.headers["refresh"] == f"0; url={wanted}"
    assert "id_token" not in left.text


def test_signing_out_works_when_the_provider_is_away(browser: Person, hub: Context, at: OidcProvider) -> None:
    browser.come_in()
    at.wrong = "discovery 500"
    with browsing(hub) as other:  # a process that has not asked the provider for anything yet
        other.cookies = browser.cookies
        answer = other.post("/log-ud", data={"csrf": other.token("/personale")}, headers={"Origin": HOME})
        assert answer.status_code == 200
        assert "Luk browseren" in answer.text
        assert other.get("/personale", follow_redirects=False).status_code == 303


def test_left_alone_too_long_one_signs_in_again(browser: Person, clock: SetClock) -> None:
    browser.come_in()
    for _minutes in range(4):
        clock.move(timedelta(minutes=29))
        assert browser.get("/personale", follow_redirects=False).status_code == 200
    clock.move(timedelta(minutes=30))
    answer = browser.get("/personale", follow_redirects=False)
    assert answer.headers["location"] == "/log-ind/personale?next=/personale"


def test_after_the_working_day_one_signs_in_again_however_busy(browser: Person, clock: SetClock) -> None:
    browser.come_in()
    for _times in range(23):
        clock.move(timedelta(minutes=20))
        assert browser.get("/personale", follow_redirects=False).status_code == 200
    clock.move(timedelta(minutes=20))
    assert browser.get("/personale", follow_redirects=False).status_code == 303


def test_another_process_knows_who_is_signed_in(browser: Person, hub: Context) -> None:
    browser.come_in()
    with browsing(hub) as other:
        other.cookies.set("__Host-tovholder", browser.cookies["__Host-tovholder"])
        assert other.get("/personale", follow_redirects=False).status_code == 200


def test_a_sign_in_by_a_provider_that_is_no_longer_used_counts_no_more(browser: Person, hub: Context) -> None:
    browser.come_in()
    staff = hub.settings.signin.staff
    assert staff is not None
    moved = hub.settings.signin.model_copy(update={"staff": staff.model_copy(update={"issuer": "https://new.example"})})
    with browsing(replace(hub, settings=hub.settings.model_copy(update={"signin": moved}))) as other:
        other.cookies.set("__Host-tovholder", browser.cookies["__Host-tovholder"])
        assert other.get("/personale", follow_redirects=False).status_code == 303


def test_one_is_at_one_door_at_a_time(people: Any, browser: Person, at: OidcProvider) -> None:
    browser.come_in()
    at.claims = guardian_claims()
    browser.come_in("familie")
    assert browser.get("/personale", follow_redirects=False).status_code == 303


def test_a_visit_leaves_no_row(browser: Person, hub: Context) -> None:
    browser.get("/?sprog=en")
    browser.to_provider()
    browser.get("/log-ind/personale/svar?state=x&code=y")
    with hub.database.session() as session:
        assert session.execute(select(tables.SignedIn)).all() == []


def test_what_is_kept_of_a_visit_cannot_be_read_or_changed(browser: Person) -> None:
    browser.to_provider()
    value = browser.cookies["__Host-tovholder-visit"]
    back = browser.back(browser.to_provider()).removeprefix(HOME)
    state = back.partition("state=")[2].partition("&")[0]
    assert state.encode() not in base64.urlsafe_b64decode(value)
    for changed in ("", "x", value[:-8] + "AAAAAAA=", "é".encode().hex()):
        browser.cookies.clear()
        browser.cookies.set("__Host-tovholder-visit", changed)
        assert_did_not_work(browser.get(back, follow_redirects=False))


def test_without_the_database_it_is_said(browser: Person, hub: Context, admin: Callable[[str], None]) -> None:
    browser.come_in()
    name = hub.database.app_url.database
    hub.database.engine.dispose()
    admin(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    try:
        admin(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        answer = browser.get("/personale", follow_redirects=False)
        assert_says(answer, 503, "Vi kan ikke vise siden lige nu")
        assert browser.get("/health").status_code == 503
    finally:
        admin(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")


def test_settings_without_an_address_are_refused() -> None:
    with pytest.raises(ValueError, match="url is needed"):
        Settings.model_validate({"signin": {"staff": {"issuer": "https://i.example", "client_id": "x",
                                                      "client_secret": "y"}}})  # fmt: skip
