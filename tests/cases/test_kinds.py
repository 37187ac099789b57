"""One table of what can happen: the page tells the truth, and settings and rules agree with it."""

from __future__ import annotations

import re
import tomllib
from datetime import UTC, date, datetime
from pathlib import Path
from typing import get_args

import pytest
from pydantic import ValidationError

from hub.cases import agreements, kinds
from hub.cases.kinds import KINDS
from hub.settings import EVERY, Letters, Settings, SourceNews

PAGE = Path(__file__).parents[2] / "docs" / "events.md"
DAY = date(2026, 11, 2)


def test_the_page_is_written_from_the_table() -> None:
    assert PAGE.read_text(encoding="utf-8") == kinds.page(), "python -m hub.cases.kinds > docs/events.md"


def test_the_settings_of_the_page_are_settings() -> None:
    (block,) = re.findall(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    said = Settings.model_validate(tomllib.loads(block)).letters
    defaults = Letters()
    assert said.agreements
    assert said.model_copy(update={"agreements": {}}) == defaults, "the page names the defaults"


def test_every_constant_is_a_kind_and_every_kind_a_constant() -> None:
    named = {name: value for name, value in vars(kinds).items() if name[0] != "_" and isinstance(value, str)}
    assert {value for name, value in named.items() if name.isupper()} == KINDS.keys()


def test_the_reader_meets_first_what_they_must_do_first() -> None:
    order = get_args(kinds.Do)
    assert [kind.do for kind in KINDS.values()] == sorted((kind.do for kind in KINDS.values()), key=order.index)


def test_what_a_source_could_write_about_is_what_can_be_agreed() -> None:
    could = {code for code, kind in KINDS.items() if kind.by_source is not None}
    assert could == set(get_args(SourceNews)) - {EVERY} == {c for c, kind in KINDS.items() if kind.about == "case"}


def test_what_the_law_owes_before_a_day_leaves_before_it() -> None:
    """Retssikkerhedsloven § 3, stk. 2: that an answer will not come in time is told before the limit ends."""
    for kind in (kinds.DEADLINE_UNKEPT, kinds.DEADLINE_POSTPONED):
        assert KINDS[kind].latest is kinds.before
        assert KINDS[kind].owed


@pytest.mark.parametrize(
    ("day", "last"),
    [
        (date(2026, 11, 30), datetime(2026, 11, 27, 7, tzinfo=UTC)),  # a Monday: Friday morning
        (date(2026, 11, 25), datetime(2026, 11, 24, 7, tzinfo=UTC)),
        (date(2026, 4, 7), datetime(2026, 4, 1, 6, tzinfo=UTC)),  # the Tuesday after Easter: before Maundy Thursday
    ],
)
def test_before_a_day_is_the_morning_of_the_last_working_day(day: date, last: datetime) -> None:
    assert kinds.before(day) == last


def _letters(**said: object) -> Settings:
    return Settings(letters=Letters.model_validate({"agreements": said}))


@pytest.mark.parametrize(
    ("agreed", "kind", "source", "sends"),
    [
        ({}, kinds.OFFERED, None, True),
        ({}, kinds.APPLIED, "sof", False),  # receipts, deadlines and decisions are the source's
        ({}, kinds.DEADLINE_UNKEPT, "sof", False),
        ({}, kinds.DECIDED, "sof", False),
        ({}, kinds.CASE_CLOSED, "sof", True),
        ({}, kinds.ADVISER_CHANGED, "sof", True),
        ({"sof": DAY}, kinds.DECIDED, "sof", True),
        ({"sof": DAY}, kinds.DECIDED, "buf", False),
        ({"sof": date(2026, 11, 3)}, kinds.DECIDED, "sof", False),  # from tomorrow
        ({"*": DAY}, kinds.DECIDED, "buf", True),
        ({"*": DAY, "buf": "source"}, kinds.DECIDED, "buf", False),
        ({"*": DAY, "buf": "source"}, kinds.ADVISER_CHANGED, "buf", False),
        ({"*": DAY, "buf": {"decided": "source"}}, kinds.DECIDED, "buf", False),
        ({"*": DAY, "buf": {"decided": "source"}}, kinds.APPLIED, "buf", True),
        ({"*": {"*": "source", "decided": DAY}}, kinds.DECIDED, "buf", True),
        ({"*": {"*": "source", "decided": DAY}}, kinds.APPLIED, "buf", False),
        ({"buf": {"*": DAY, "decided": "source"}}, kinds.DECIDED, "buf", False),
        ({"sof": "source"}, kinds.COORDINATOR_CHANGED, None, True),
    ],
)
def test_the_most_particular_agreement_holds(agreed, kind, source, sends) -> None:
    assert agreements.hub_sends(_letters(**agreed), kind, source, DAY) is sends


@pytest.mark.parametrize("said", [{"sof": "hub"}, {"sof": {"decision": "source"}}, {"sof": {"offered": "source"}}])
def test_an_agreement_that_means_nothing_is_refused(said) -> None:
    with pytest.raises(ValidationError):
        _letters(**said)
