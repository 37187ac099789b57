"""The whole sign-in in a real browser: out to the provider, a button there, back to the page, and out again."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import uvicorn
from playwright.sync_api import Browser

from hub.context import Context
from hub.web.app import build
from tests.oidc_provider import OidcProvider
from tests.web.at_provider import MOTHER, guardian_claims
from tests.web.test_browser import CHECKS, chromium, open_page, playwright_

pytestmark = pytest.mark.slow

__all__ = ["chromium", "playwright_"]


@pytest.fixture
def site(hub: Context, at: OidcProvider) -> Iterator[str]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        at.redirect_uris = {f"{url}/log-ind/{door}/svar" for door in ("personale", "familie")}
        changed = hub.settings.model_copy(update={"signin": hub.settings.signin.model_copy(update={"url": url})})
        app = build(replace(hub, settings=changed))
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield url
        server.should_exit = True
        thread.join()


def test_a_guardian_signs_in_and_out(chromium: Browser, site: str, people: SimpleNamespace, at: OidcProvider) -> None:
    at.asks, at.claims = True, guardian_claims()
    page = open_page(chromium, "phone")
    seen: list[Any] = []
    blocked: list[str] = []
    page.on("request", lambda request: seen.append(request.url))
    page.on("console", lambda message: blocked.append(message.text) if "Content Security" in message.text else None)
    page.goto(f"{site}/")
    page.click("text=For familier")
    page.wait_for_url(f"{at.issuer}/authorize**")
    page.click("text=Log ind")
    page.wait_for_url(f"{site}/familie")
    assert page.evaluate(CHECKS) == []
    (cookie,) = [each for each in page.context.cookies() if each["name"] == "__Host-tovholder"]
    assert (cookie["httpOnly"], cookie["secure"], cookie["sameSite"], cookie["path"]) == (True, True, "Lax", "/")
    at.asks = False
    page.click("text=Sign out")
    page.wait_for_url(f"{site}/")  # by our page, and the provider's, back to the front
    assert any(url.startswith(f"{at.issuer}/logout") for url in seen)
    page.goto(f"{site}/familie", wait_until="commit")
    page.wait_for_url(f"{site}/familie")  # signed in once more, since the provider no longer asks
    assert not any(MOTHER in url for url in seen)
    assert blocked == []


def test_the_page_that_says_no_is_readable_for_everybody(
    chromium: Browser, site: str, people: SimpleNamespace, at: OidcProvider
) -> None:
    at.wrong = "nonce"
    for width in ("phone", "desktop"):
        page = open_page(chromium, width)
        page.goto(f"{site}/personale")
        assert page.inner_text("h1") == "Du blev ikke logget ind"
        assert page.evaluate(CHECKS) == []
        assert page.locator("text=Prøv at logge ind igen").count() == 1
