"""Signing in at a provider: who comes in, as whom, and that a number is kept nowhere."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from joserfc.jwk import ECKey
from sqlalchemy import select

from hub.clock import SetClock
from hub.context import Context
from hub.store import tables
from hub.web import signin
from hub.web.app import build
from tests.oidc_provider import OidcProvider
from tests.web.at_provider import (
    HOME,
    IDA,
    LEADER,
    MOTHER,
    SANNE,
    STAFF,
    YOUNG,
    Person,
    assert_did_not_work,
    browsing,
    guardian_claims,
    hub_session,
    sanne,
    signin_settings,
)

pytestmark = pytest.mark.slow


def test_staff_come_in_and_look_up_under_their_own_name(people: Any, browser: Person, hub: Context) -> None:
    first = browser.get("/personale", follow_redirects=False)
    assert (first.status_code, first.headers["location"]) == (303, "/log-ind/personale?next=/personale")
    answer = browser.come_in()
    assert (answer.status_code, answer.headers["location"]) == (303, "/personale")
    assert browser.look_up(IDA).status_code == 200
    with hub.database.session() as session:
        entry = session.execute(select(tables.LogEntry).where(tables.LogEntry.kind == "lookup")).scalar_one()
        staff = session.execute(select(tables.Staff).where(tables.Staff.source == "login")).scalar_one()
    assert staff.reference == hub.keys.refer("login", SANNE)
    assert entry.asker_key == staff.key_id
    assert staff.administration == "SOF"


def test_a_guardian_comes_in_by_number_and_it_is_kept_nowhere(
    people: Any, browser: Person, at: OidcProvider, hub: Context
) -> None:
    at.claims = guardian_claims()
    with structlog.testing.capture_logs() as logs:
        answer = browser.come_in("familie")
    assert answer.headers["location"] == "/familie"
    page = browser.get("/familie")
    assert page.status_code == 200
    assert '<html lang="en">' in page.text, "the guardian's own language"
    # The number: in the provider's own answer alone.
    assert MOTHER not in json.dumps(logs)
    assert MOTHER not in str(list(browser.cookies.jar)) + "".join(at.seen_redirects)
    assert not any(MOTHER in request.path + request.query for request in at.front.requests)
    kept = hub_session(browser, hub)
    assert MOTHER not in json.dumps(kept)
    assert kept["familie"]["guardian"] == str(people.mother)
    assert set(kept["familie"]) == {"guardian", "young", "adult_on", "issuer"}


@pytest.mark.parametrize("written", [MOTHER, f"{MOTHER[:6]}-{MOTHER[6:]}"])
@pytest.mark.parametrize("claim", ["dk.cpr", "cpr"])
def test_brokers_give_the_number_under_either_name(
    people: Any, browser: Person, at: OidcProvider, written: str, claim: str
) -> None:
    at.claims = guardian_claims(written, claim)
    assert browser.come_in("familie").headers["location"] == "/familie"


def test_a_young_person_from_15_comes_in_until_18(people: Any, hub: Context, at: OidcProvider, clock: SetClock) -> None:
    app = build(hub)

    @app.get("/test/young")
    def who(request: signin.Request) -> dict[str, str | None]:
        young, guardian = signin.young(request), signin.guardian(request)
        return {"young": str(young) if young else None, "guardian": str(guardian) if guardian else None}

    at.claims = guardian_claims(YOUNG)
    with Person(app, base_url=HOME) as browser:
        assert browser.come_in("familie").status_code == 303
        assert browser.get("/test/young").json() == {"young": str(people.young), "guardian": None}
        assert browser.get("/familie", follow_redirects=False).status_code == 303, "pages for guardians are not theirs"


@pytest.mark.parametrize(("day", "comes_in"), [("2025-10-01", False), ("2025-10-02", True), ("2028-10-01", True),
                                               ("2028-10-02", False)])  # fmt: skip
def test_young_is_from_the_15th_birthday_until_the_18th(
    people: Any, browser: Person, at: OidcProvider, clock: SetClock, day: str, comes_in: bool
) -> None:
    clock.set(datetime.fromisoformat(f"{day}T09:00:00+00:00"))
    at.claims = guardian_claims(YOUNG)
    assert browser.come_in("familie").status_code == (303 if comes_in else 403)


def test_a_session_over_the_18th_birthday_shows_nothing_after_midnight(
    people: Any, hub: Context, at: OidcProvider, clock: SetClock
) -> None:
    app = build(hub)

    @app.get("/test/young")
    def who(request: signin.Request) -> bool:
        return signin.young(request) is not None

    at.claims = guardian_claims(YOUNG)
    clock.set(datetime.fromisoformat("2028-10-01T21:50:00+00:00"))  # ten minutes before midnight in Denmark
    with Person(app, base_url=HOME) as browser:
        assert browser.come_in("familie").status_code == 303
        assert browser.get("/test/young").json() is True
        clock.move(timedelta(minutes=15))
        assert browser.get("/test/young").json() is False


def test_a_former_number_leads_to_the_same_young_person(
    people: Any, browser: Person, at: OidcProvider, hub: Context
) -> None:
    with hub.database.begin() as session:
        token = hub.keys.lookup_token("0210104399")
        session.add(tables.FormerNumber(token=token, child_id=people.young, sealed=b""))
    at.claims = guardian_claims("0210104399")
    assert browser.come_in("familie").status_code == 303
    assert hub_session(browser, hub)["familie"]["young"] == str(people.young)


@pytest.mark.parametrize("cpr", ["0101804001", IDA, "0210104398"])
def test_whoever_is_nobody_here_is_told_the_same_and_not_let_in(
    people: Any, browser: Person, at: OidcProvider, cpr: str
) -> None:
    """A stranger, a child of 9, a stranger of 16."""
    at.claims = guardian_claims(cpr)
    answer = browser.come_in("familie")
    assert answer.status_code == 403
    assert "Her er ikke noget til dig" in answer.text
    assert cpr not in answer.text
    assert browser.get("/familie", follow_redirects=False).status_code == 303


@pytest.mark.parametrize("cpr", ["", "hello", "0000000000", "3201881112", 1201881112, None, "120188A1A2"])
def test_a_claim_that_is_no_number_lets_nobody_in(people: Any, browser: Person, at: OidcProvider, cpr: Any) -> None:
    at.claims = guardian_claims(cpr)
    assert_did_not_work(browser.come_in("familie"))


def test_staff_without_a_role_are_told_so(browser: Person, at: OidcProvider) -> None:
    at.claims = sanne("urn:something:else")
    answer = browser.come_in()
    assert answer.status_code == 403
    assert "Du har ikke adgang til Tovholder" in answer.text
    assert "Sanne" not in answer.text


@pytest.mark.parametrize("sub", ["sanne.toft@kommune.example", "stoft"])
def test_a_mail_address_is_nobody(browser: Person, at: OidcProvider, sub: str) -> None:
    at.claims = sanne() | {"sub": sub}
    assert_did_not_work(browser.come_in())


def test_a_page_can_ask_for_a_role(people: Any, hub: Context, at: OidcProvider) -> None:
    app = build(hub)

    @app.get("/test/roles")
    def roles(request: signin.Request) -> list[str | None]:
        askers = [signin.staff(request), signin.staff(request, "staff"), signin.staff(request, "auditor")]
        return [asker.role if asker else None for asker in askers]

    at.claims = sanne(STAFF, LEADER)
    with Person(app, base_url=HOME) as browser:
        browser.come_in()
        assert browser.get("/test/roles").json() == ["leader", "staff", None]


def test_claims_may_stand_at_the_userinfo_endpoint(people: Any, hub: Context, at: OidcProvider) -> None:
    settings = hub.settings.model_copy(update={"signin": signin_settings(at, userinfo=True)})
    at.claims, at.extra = {"sub": "b0f7-mitid"}, {"dk.cpr": MOTHER}
    with browsing(replace(hub, settings=settings)) as browser:
        at.wrong = "userinfo of another"
        assert_did_not_work(browser.come_in("familie"))
        at.wrong = None
        assert browser.come_in("familie").status_code == 303


def test_the_client_may_prove_itself_by_the_body_or_by_a_key(
    people: Any, hub: Context, at: OidcProvider, tmp_path: Path
) -> None:
    key = ECKey.generate_key("P-256", parameters={"kid": "k1"})
    as_jwk, as_pem = tmp_path / "client.json", tmp_path / "client.pem"
    as_jwk.write_text(json.dumps(key.as_dict(private=True)))
    as_pem.write_bytes(key.as_pem(private=True))
    for changes, known in (
        ({"client_auth": "post"}, None),
        ({"client_secret": None, "client_key": as_jwk}, key),
        ({"client_secret": None, "client_key": as_pem}, key),
    ):
        at.client_key = known
        settings = hub.settings.model_copy(update={"signin": signin_settings(at, **changes)})
        with browsing(replace(hub, settings=settings)) as browser:
            assert browser.come_in().status_code == 303


def test_a_level_of_assurance_is_asked_for_and_checked(people: Any, hub: Context, at: OidcProvider) -> None:
    level = "https://data.gov.dk/concept/core/nsis/Substantial"
    settings = hub.settings.model_copy(update={"signin": signin_settings(at, acr=[level])})
    with browsing(replace(hub, settings=settings)) as browser:
        for acr, status in ((None, 403), ("https://data.gov.dk/concept/core/nsis/Low", 403), (level, 303)):
            at.claims = sanne() | ({"acr": acr} if acr else {})
            address = browser.to_provider()
            assert "acr_values=https%3A%2F%2Fdata.gov.dk" in address
            assert browser.get(browser.back(address).removeprefix(HOME), follow_redirects=False).status_code == status
