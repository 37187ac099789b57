"""The staff page when somebody looks up very many children."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from hub.context import Context
from hub.settings import Access


@pytest.fixture
def ctx(ctx: Context) -> Context:
    return replace(ctx, settings=ctx.settings.model_copy(update={"access": Access(children_an_hour=2)}))


def test_very_many_children_need_a_reason_and_then_time(family: SimpleNamespace, browser: Any) -> None:
    browser.sign_in("staff:s-1")
    for cpr in ("0311164234", "0311164235"):
        assert browser.look_up(cpr).status_code == 200
    asked = browser.look_up("0311164236")
    assert asked.status_code == 422
    assert "Skriv hvorfor" in asked.text
    assert 'id="reason-problem"' in asked.text
    assert 'value="0311164236"' in asked.text, "what was written is still there"
    for cpr in ("0311164236", "0311164237"):
        assert browser.look_up(cpr, reason="Gennemgang af egne sager").status_code == 200
    refused = browser.look_up("0311164238", reason="Gennemgang af egne sager")
    assert refused.status_code == 429
    assert refused.headers["retry-after"].isdigit()
    assert "Du har slået for mange børn op" in refused.text
    assert "0311164238" not in refused.text
