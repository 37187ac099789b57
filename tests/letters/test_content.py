"""What a letter may be composed from."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from hub.letters.content import (
    ContentAnswer,
    ContentCase,
    ContentChange,
    ContentChild,
    ContentCoordinator,
    ContentLabel,
    ContentMunicipality,
    ContentTurn,
    LetterContent,
    LetterKind,
    News,
)

DAY = date(2027, 5, 12)


def test_news_about_a_date_needs_the_date() -> None:
    with pytest.raises(ValueError, match="needs the deadline"):
        ContentCase("Socialforvaltningen", "ledsagelse", news=(News.DEADLINE_NEAR,))
    ContentCase("Socialforvaltningen", "ledsagelse", deadline=DAY, news=(News.DEADLINE_NEAR,))


def test_news_can_be_given_by_its_code_and_an_unknown_code_is_refused() -> None:
    assert ContentCase("Socialforvaltningen", "ledsagelse", news=("opened",)).news == (News.OPENED,)
    with pytest.raises(ValueError, match="exploded"):
        ContentCase("Socialforvaltningen", "ledsagelse", news=("exploded",))


def test_a_child_is_named_by_first_name_or_year_of_birth() -> None:
    ContentLabel("Søren")
    ContentLabel(None, 2016)
    for nothing in (None, "", "  "):
        with pytest.raises(ValueError, match="first name or a year"):
            ContentLabel(nothing)


@pytest.mark.parametrize("empty", ["", " \t"])
def test_names_may_not_be_empty(town, empty: str) -> None:
    for make in (ContentMunicipality, ContentCoordinator, lambda name: ContentCase(name, "ledsagelse")):
        with pytest.raises(ValueError, match="must not be empty"):
            make(empty)
    with pytest.raises(ValueError, match="recipient_name"):
        town.letter(recipient_name=empty)


def test_an_offer_and_its_date_go_together(town) -> None:
    with pytest.raises(ValueError, match="answer_by"):
        town.letter("introduction", answer_by=None)
    with pytest.raises(ValueError, match="answer_by"):
        town.letter("deadlines", answer_by=DAY)
    with pytest.raises(ValueError, match="reminder"):
        town.letter("deadlines", reminder=True)


@pytest.mark.parametrize("url", ["http://havneby.example", "javascript:alert(1)", "havneby.example"])
def test_addresses_are_https(town, url: str) -> None:
    with pytest.raises(ValueError, match="https"):
        town.letter(family_url=url)
    with pytest.raises(ValueError, match="https"):
        town.letter("introduction", answer_url=url)


def test_kind_and_language_are_checked(town) -> None:
    letter = town.letter("deadlines")
    assert isinstance(letter, LetterContent)
    assert letter.kind is LetterKind.DEADLINES
    with pytest.raises(ValueError, match="postcard"):
        town.letter("postcard")
    with pytest.raises(ValueError, match="language"):
        replace(letter, language="Dansk")


def test_codes_are_checked(town) -> None:
    bo = ContentLabel("Bo")
    for make in (
        lambda: ContentChange("promoted"),  # type: ignore[arg-type]
        lambda: ContentTurn(bo, "17", DAY),  # type: ignore[arg-type]
        lambda: ContentAnswer(bo, "maybe", None, DAY),  # type: ignore[arg-type]
        lambda: town.letter("goodbye", goodbye="lost"),
        lambda: town.letter(reader="neighbour"),
    ):
        with pytest.raises(ValueError, match="must be one of"):
            make()


def test_an_answer_about_an_administration_names_it() -> None:
    with pytest.raises(ValueError, match=r"answer\.administration"):
        ContentAnswer(ContentLabel("Bo"), "closed", None, DAY)
    ContentAnswer(ContentLabel("Bo"), "yes_withdrawn", None, DAY)


def test_a_change_of_coordinator_says_whom_to_call_now(town) -> None:
    with pytest.raises(ValueError, match="whom the family calls now"):
        town.letter("deadlines", change=ContentChange("changed"), coordinator=None)


def test_a_young_person_reads_of_nobody_else(town) -> None:
    children = (ContentChild(ContentLabel("Søren")), ContentChild(ContentLabel("Ida")))
    with pytest.raises(ValueError, match="about no other child"):
        town.letter("deadlines", children=children, reader="young")
    with pytest.raises(ValueError, match="about no other child"):
        town.letter("deadlines", turns=(ContentTurn(ContentLabel("Ida"), "15", DAY),), reader="young")
    assert town.letter("deadlines", reader="young").labels() == (ContentLabel("Søren"),)
