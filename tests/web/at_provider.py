"""People who sign in at a provider over HTTP, and what they must see."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2 as httpx

from hub.context import Context
from hub.settings import SignIn
from hub.signin.sessions import Sessions
from hub.web.app import build
from tests.bpp_lists import bpp, group
from tests.oidc_provider import CLIENT, SECRET, OidcProvider
from tests.web.conftest import Browser

SANNE = "7f3a1c52-0b0e-4d53-9e0e-2a51d35a9a10"
IDA, MOTHER, YOUNG = "0311164234", "1201881112", "0210104321"
"""Ida is 9, and the young person 16, on 2 November 2026."""
STAFF, LEADER = ("http://tovholder.example/roles/usersystemrole/staff/1", "urn:tovholder:leader")
OIO = "https://data.gov.dk/model/core/eid/privilegesIntermediate"
HOME = "https://hub.example"


def sanne(*privileges: str) -> dict[str, Any]:
    return {
        "sub": SANNE,
        "name": "Sanne Toft",
        "administration": "SOF",
        "unit": "Handicap, team Nord",
        OIO: bpp(group(*privileges or (STAFF,))),
    }


def guardian_claims(cpr: str = MOTHER, name: str = "dk.cpr") -> dict[str, Any]:
    return {"sub": "b0f7-mitid", "name": "Anne Bæk Lund", name: cpr}


def signin_settings(at: OidcProvider, **changes: Any) -> SignIn:
    common = {"issuer": at.issuer, "client_id": CLIENT, "client_secret": SECRET}
    roles = {"staff": [STAFF], "leader": [LEADER]}
    return SignIn.model_validate(
        {"url": HOME, "staff": common | {"roles": roles} | changes, "family": common | changes}
    )


@contextmanager
def browsing(hub: Context) -> Iterator[Person]:
    with Person(build(hub), base_url=HOME) as person:
        yield person


class Person(Browser):
    """Somebody with a browser: at the hub, and sent to and fro between it and the provider."""

    origin = HOME

    def to_provider(self, door: str = "personale", next_: str | None = None) -> str:
        """The provider's address that the hub sends to."""
        answer = self.get(f"/log-ind/{door}?next={next_ or '/' + door}", follow_redirects=False)
        assert answer.status_code == 303, answer.text
        return answer.headers["location"]

    def back(self, address: str) -> str:
        """Signs in at the provider; where it sends back to."""
        answer = httpx.get(address)
        assert answer.status_code == 303, answer.text
        return answer.headers["location"]

    def come_in(self, door: str = "personale", next_: str | None = None) -> Any:
        """The whole way; the hub's answer to the return."""
        back = self.back(self.to_provider(door, next_))
        assert back.startswith(HOME)
        return self.get(back.removeprefix(HOME), follow_redirects=False)


def hub_session(browser: Person, hub: Context) -> dict[str, Any]:
    found = Sessions(hub.database, hub.clock, hub.settings.signin).load(browser.cookies["__Host-tovholder"])
    assert found is not None
    return found


def assert_says(answer: Any, status: int, title: str) -> None:
    assert answer.status_code == status, answer.text
    assert f"<h1>{title}</h1>" in answer.text
    assert "70 10 20 30" in answer.text, "whom to call"
    main = answer.text.partition("<main")[2].partition("</main>")[0]
    for leak in ("Sanne", SANNE, "127.0.0.1", "token", "nonce", "kid", "Error", "issuer", CLIENT + '"', MOTHER):
        assert leak not in main, leak
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"


def assert_did_not_work(answer: Any) -> None:
    assert_says(answer, 403, "Du blev ikke logget ind")
    assert "__Host-tovholder=" not in answer.headers.get("set-cookie", "")
