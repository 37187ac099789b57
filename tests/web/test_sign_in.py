"""Signing in: in the demo only; and what guards every page and form."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi.testclient import TestClient

from hub.context import Context
from hub.web.app import build
from hub.web.security import FORM_AT_MOST

PAGES = ["/", "/demo/login", "/personale", "/familie", "/nowhere"]


@pytest.fixture
def without_demo(ctx: Context) -> Iterator[TestClient]:
    settings = ctx.settings.model_copy(update={"demo": None})
    with TestClient(build(replace(ctx, settings=settings))) as client:
        yield client


def test_demo_sign_in_does_not_exist_outside_the_demo(without_demo: TestClient) -> None:
    assert without_demo.get("/demo/login").status_code == 404
    assert without_demo.post("/demo/login", data={"who": "staff:s-1"}).status_code == 404
    assert not any("demo" in getattr(route, "path", "") for route in without_demo.app.routes)


def test_outside_the_demo_nobody_is_signed_in_and_the_page_says_so(without_demo: TestClient) -> None:
    for path in ("/personale", "/familie"):
        answer = without_demo.get(path)
        assert answer.status_code == 401
        assert "Du er ikke logget ind" in answer.text


def test_a_session_of_the_demo_counts_for_nothing_outside_it(
    family: SimpleNamespace, browser: Any, without_demo: TestClient
) -> None:
    browser.sign_in("staff:s-1")
    without_demo.cookies.set("tovholder", browser.cookies["tovholder"])
    assert without_demo.get("/personale").status_code == 401


def test_who_is_not_signed_in_is_sent_to_the_demo_sign_in(browser: Any) -> None:
    for path in ("/personale", "/familie"):
        answer = browser.get(path, follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (303, "/demo/login")


def test_a_form_from_somebody_not_signed_in_is_not_read(browser: Any) -> None:
    for path in ("/personale", "/familie/svar"):
        assert browser.post(path, data={}, follow_redirects=False).status_code == 303


def test_staff_and_guardians_each_come_to_their_page(family: SimpleNamespace, browser: Any) -> None:
    assert browser.sign_in("staff:s-1").url.path == "/personale"
    assert browser.sign_in(f"guardian:{family.mother}").url.path == "/familie"
    assert browser.get("/personale", follow_redirects=False).status_code == 303, "one person at a time"


def test_only_the_people_on_the_list_can_be_chosen(family: SimpleNamespace, browser: Any) -> None:
    for who in ("", "staff:nobody", "guardian:s-1", "guardian:00000000-0000-4000-8000-000000000000"):
        answer = browser.sign_in(who)
        assert answer.status_code == 422
        assert "Vælg en person på listen" in answer.text
    assert browser.get("/personale", follow_redirects=False).status_code == 303


def test_signing_out_ends_the_session(family: SimpleNamespace, browser: Any) -> None:
    browser.sign_in("staff:s-1")
    browser.submit("/personale", "/log-ud")
    assert browser.get("/personale", follow_redirects=False).status_code == 303


def test_the_session_cookie_says_nothing_and_is_closed_to_scripts(family: SimpleNamespace, browser: Any) -> None:
    token = browser.token("/demo/login")
    data = {"csrf": token, "who": "staff:s-1"}
    answer = browser.post("/demo/login", data=data, headers={"Origin": browser.origin}, follow_redirects=False)
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    name, value = "tovholder", browser.cookies["tovholder"]
    assert len(value) == 43
    browser.cookies.clear()
    browser.cookies.set(name, value[:-2] + ("AA" if value[-2:] != "AA" else "BB"))
    assert browser.get("/personale", follow_redirects=False).status_code == 303


def test_a_form_from_another_place_is_refused(family: SimpleNamespace, browser: Any) -> None:
    data = {"csrf": browser.token("/demo/login"), "who": "staff:s-1"}
    foreign: list[dict[str, str]] = [
        {},  # no word of where it comes from
        {"Origin": "https://elsewhere.example"},
        {"Origin": "null"},
        {"Origin": "http://testserver.elsewhere.example"},
        {"Origin": "http://testserver:8000"},
    ]
    for headers in foreign:
        assert browser.post("/demo/login", data=data, headers=headers).status_code == 403
    assert browser.get("/personale", follow_redirects=False).status_code == 303


def test_a_form_without_this_sessions_token_is_refused(family: SimpleNamespace, browser: Any) -> None:
    browser.get("/demo/login")
    for token in ({}, {"csrf": ""}, {"csrf": "x"}, {"csrf": "é"}):
        data = {"who": "staff:s-1"} | token
        assert browser.post("/demo/login", data=data, headers={"Origin": browser.origin}).status_code == 403


def test_another_sessions_token_does_not_do(family: SimpleNamespace, browser: Any, another: Any) -> None:
    other = another().token("/demo/login")
    browser.get("/demo/login")
    answer = browser.post("/demo/login", data={"who": "staff:s-1", "csrf": other}, headers={"Origin": browser.origin})
    assert answer.status_code == 403


def test_a_body_too_large_or_not_a_form_is_not_read(family: SimpleNamespace, browser: Any) -> None:
    headers = {"Origin": browser.origin}
    data = {"csrf": browser.token("/demo/login"), "who": "x" * FORM_AT_MOST}
    assert browser.post("/demo/login", data=data, headers=headers).status_code == 413
    assert browser.post("/demo/login", files={"who": b"x"}, headers=headers).status_code == 415
    form = {**headers, "Content-Type": "application/x-www-form-urlencoded"}
    assert browser.post("/demo/login", content=b"who=\xff\xfe%ff", headers=form).status_code == 415
    assert browser.post("/demo/login", content=b"a=1&" * 50, headers=form).status_code == 415


def test_every_page_keeps_the_browser_strict(family: SimpleNamespace, browser: Any) -> None:
    browser.sign_in("staff:s-1")
    for path in PAGES:
        headers = browser.get(path).headers
        assert headers["content-security-policy"].split("; ") == [
            "default-src 'none'",
            "style-src 'self'",
            "form-action 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
        ]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["strict-transport-security"] == "max-age=31536000"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["cache-control"] == "no-store"


def test_an_error_of_ours_keeps_the_headers_and_tells_nothing(family: SimpleNamespace, ctx: Context) -> None:
    assert ctx.settings.demo is not None
    (ctx.settings.demo.folder / "personas.json").write_text("not json: Sanne Toft")
    with TestClient(build(ctx), raise_server_exceptions=False) as client:
        answer = client.get("/demo/login")
    assert answer.status_code == 500
    assert "Det gik galt hos os" in answer.text
    assert "Sanne" not in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"


def test_a_page_fetches_nothing_but_our_own_style(family: SimpleNamespace, browser: Any) -> None:
    browser.sign_in("staff:s-1")
    for path in PAGES:
        text = browser.get(path).text
        assert "<script" not in text
        assert " style=" not in text
        assert "src=" not in text
        found = [part.split('"')[0] for part in text.split('rel="stylesheet" href="')[1:]]
        assert len(found) == 1
    assert browser.get(found[0]).headers["content-type"].startswith("text/css")


def test_the_language_is_switched_and_kept(browser: Any) -> None:
    assert '<html lang="da">' in browser.get("/").text
    english = browser.get("/?sprog=en").text
    assert '<html lang="en">' in english
    assert "For staff" in english
    assert '<html lang="en">' in browser.get("/demo/login").text
    assert '<html lang="da">' in browser.get("/?sprog=da").text
    assert '<html lang="da">' in browser.get("/?sprog=xx").text


def test_health_is_about_the_database_and_nobody(browser: Any, ctx: Context) -> None:
    answer = browser.get("/health")
    assert answer.status_code == 200
    assert set(answer.json()) == {"ok", "schema"}
    assert answer.json()["ok"] is True
    assert answer.json()["schema"]


def test_unknown_addresses_answer_in_kind(browser: Any) -> None:
    assert "Siden er her ikke" in browser.get("/nowhere").text
    assert browser.get("/api/v1/nowhere").headers["content-type"] == "application/json"
    assert "Siden er her ikke" in browser.get("/familie/breve/1").text
