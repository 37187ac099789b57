"""Somebody who signs in at the pages and also asks by a system's token is one person: they have one hour's count."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from joserfc import jwt
from sqlalchemy import select

from hub import NotAllowed, family, reviews
from hub.access.log import Asker
from hub.context import Context
from hub.settings import Access, Api, Claims
from hub.store import tables
from tests.oidc_provider import OidcProvider
from tests.web.at_provider import LEADER, SANNE, STAFF, Person, browsing, sanne, signin_settings

URL = "/api/v1/lookups"
MOST = 2
REASON = "Gennemgang af egne sager"
Token = Callable[..., dict[str, str]]


@pytest.fixture
def token(at: OidcProvider, hub: Context) -> Token:
    """The provider signs tokens too, for a system that acts for Sanne: `act` names it (RFC 8693)."""

    def token(**claims: Any) -> dict[str, str]:
        said = {
            "iss": at.issuer,
            "aud": "tovholder",
            "exp": int(hub.clock.now().timestamp()) + 600,
            "sub": SANNE,
            "act": {"sub": "system:fagsystem"},
            "name": "Sanne Toft",
            "role": "staff",
            "administration": "SOF",
        } | claims
        key = at.keys[0]
        return {"Authorization": "Bearer " + jwt.encode({"alg": "RS256", "kid": key.kid}, said, key)}

    return token


@pytest.fixture
def hub(hub: Context, at: OidcProvider, person_claims: tuple[str | None, str | None]) -> Context:
    pages, tokens = person_claims
    signin = signin_settings(at)
    assert signin.staff is not None
    staff = signin.staff.model_copy(update={"claims": signin.staff.claims.model_copy(update={"person": pages})})
    claims = Claims(privileges=("role",), person=tokens)
    api = Api(issuer=at.issuer, jwks=f"{at.issuer}/jwks", claims=claims)
    changes = {
        "signin": signin.model_copy(update={"staff": staff}),
        "api": api,
        "access": Access(children_an_hour=MOST),
    }
    return replace(hub, settings=hub.settings.model_copy(update=changes))


@pytest.fixture
def browser(hub: Context, people: Any) -> Iterator[Person]:
    with browsing(hub) as person:
        yield person


def asks(browser: Person, headers: dict[str, str], child: int, **more: str) -> int:
    question = {"cpr": f"03111642{child:02}", "purpose": "case"} | more
    answer = browser.post(URL, json=question, headers=headers)
    status: int = answer.status_code
    return status


def looks(browser: Person, child: int, reason: str | None = None) -> int:
    status: int = browser.look_up(f"03111642{child:02}", reason=reason or "").status_code
    return status


WAYS = [
    pytest.param((None, None), {}, {}, id="the same id"),
    pytest.param((None, None), {}, {"sub": f"urn:uuid:{SANNE.upper()}"}, id="the same id, written otherwise"),
    pytest.param((None, "uuid"), {}, {"sub": "b-1234", "uuid": SANNE}, id="another id, and the pages' in a claim"),
    pytest.param(("ansat", "ansat"), {"ansat": "B1234"}, {"sub": "b-1234", "ansat": "B1234"}, id="a third in both"),
]


@pytest.mark.parametrize(("person_claims", "at_pages", "in_tokens"), WAYS)
def test_pages_and_tokens_have_one_count(
    browser: Person, at: OidcProvider, token: Token, at_pages: dict[str, str], in_tokens: dict[str, str]
) -> None:
    at.claims = sanne() | at_pages
    browser.come_in()
    assert looks(browser, 34) == 200
    assert asks(browser, token(**in_tokens), 35) == 200
    assert asks(browser, token(**in_tokens), 36) == 422, "the third child of the hour, by whichever way"
    assert looks(browser, 36) == 422
    assert asks(browser, token(**in_tokens), 36, reason=REASON) == 200
    assert looks(browser, 37, REASON) == 200
    assert asks(browser, token(**in_tokens), 38, reason=REASON) == 429
    assert looks(browser, 38, REASON) == 429
    assert asks(browser, token(**{**in_tokens, "sub": "another", "uuid": "another", "ansat": "another"}), 38) == 200


@pytest.mark.parametrize("person_claims", [(None, "uuid")])
@pytest.mark.parametrize("wrong", [{}, {"uuid": ""}, {"uuid": ["x"]}, {"uuid": None}])
def test_a_token_that_leaves_it_out_is_no_token(browser: Person, token: Token, wrong: dict[str, Any]) -> None:
    """Else a second count could be had by asking for a token without it."""
    assert asks(browser, token(**wrong), 34) == 401


@pytest.mark.parametrize("person_claims", [("ansat", None)])
def test_nor_does_anybody_come_in_without_it(browser: Person, at: OidcProvider) -> None:
    assert browser.come_in().status_code == 403


@pytest.mark.parametrize("person_claims", [(None, "uuid")])
def test_a_leader_does_not_review_what_they_looked_up_by_a_token(
    browser: Person, hub: Context, at: OidcProvider, token: Token, town: Any
) -> None:
    found = {"cpr": "0311164234", "purpose": "contact", "reason": "Skolen kan ikke få fat i forældrene"}
    headers = token(sub="b-1234", uuid=SANNE, unit="Handicap, team Nord")
    accept_for(town, hub)
    assert browser.post(URL, json=found, headers=headers).json()["coordinator"] is not None
    at.claims = sanne(STAFF, LEADER)
    browser.come_in()
    page = browser.get("/personale/gennemgang")
    assert page.status_code == 200
    assert "Sanne Toft" not in page.text.partition("<main")[2]
    [task] = [row for row in rows_of(hub) if row.kind == "review"]
    answer = browser.submit("/personale", f"/personale/gennemgang/{task.id}", verdict="i-orden")
    assert answer.status_code == 403
    with pytest.raises(NotAllowed):
        reviews.settle(hub, Asker(SANNE, "Sanne Toft", "auditor"), task.id, "right")


def accept_for(town: Any, hub: Context) -> None:
    """Ida's mother says yes; SOF has no case, so that the look needs a reason."""
    with hub.database.session() as session:
        child, guardian = session.execute(select(tables.Custody.child_id, tables.Custody.guardian_id)).one()
    family.accept(hub, child, family.Answerer(guardian, "page", "intro-1"))


def rows_of(hub: Context) -> list[tables.Task]:
    with hub.database.session() as session:
        return list(session.execute(select(tables.Task)).scalars())
