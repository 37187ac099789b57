"""A hub outside the demo, and a provider to sign in at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from hub.clock import SetClock
from hub.context import Context
from tests.oidc_provider import OidcProvider, provider
from tests.web.at_provider import (
    HOME,
    IDA,
    MOTHER,
    YOUNG,
    Person,
    browsing,
    sanne,
    signin_settings,
)


@pytest.fixture(scope="module")
def served() -> Iterator[OidcProvider]:
    """One server for all tests here; each begins with `at`."""
    with provider(SetClock.__new__(SetClock)) as found:
        yield found


@pytest.fixture
def at(served: OidcProvider, clock: SetClock) -> OidcProvider:
    """The provider, well behaved; Sanne is about to sign in."""
    served.clock, served.wrong, served.asks = clock, None, False
    served.front.well()
    served.front.requests.clear()
    served.codes.clear()
    served.seen_redirects.clear()
    served.answers, served.extra, served.client_key = {}, {}, None
    served.redirect_uris = {f"{HOME}/log-ind/{door}/svar" for door in ("personale", "familie")}
    served.claims = sanne()
    return served


@pytest.fixture
def hub(ctx: Context, town: Any, at: OidcProvider) -> Context:
    """A hub outside the demo, with Ida, her mother, and a young person."""
    changes = {"demo": None, "signin": signin_settings(at)}
    return replace(ctx, settings=ctx.settings.model_copy(update=changes))


@pytest.fixture
def people(town: Any) -> SimpleNamespace:
    coordinator = town.coordinator()
    ida, young = town.child(IDA), town.child(YOUNG)
    mother = town.guardian(MOTHER, "Anne Bæk Lund", ida, language="en")
    town.offer(ida, coordinator)
    return SimpleNamespace(ida=ida, mother=mother, young=young)


@pytest.fixture
def browser(hub: Context) -> Iterator[Person]:
    with browsing(hub) as person:
        yield person
