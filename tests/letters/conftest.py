"""Content that looks like what the town has to say, from the shortest letter to the longest."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from hub.contract import State
from hub.letters.content import (
    ContentCase,
    ContentChild,
    ContentCoordinator,
    ContentLabel,
    ContentMunicipality,
    ContentSilence,
    LetterContent,
    LetterKind,
    News,
)
from hub.letters.templates import Templates

WRITTEN = date(2027, 4, 21)
NAMES = {
    "da": ("Socialforvaltningen", "Børne- og Ungdomsforvaltningen", "Sundheds- og Omsorgsforvaltningen"),
    "en": ("Social Services", "Children and Youth", "Health and Care"),
}
KINDS = {
    "da": ("hjælp til ekstra udgifter", "plads på en specialskole", "genoptræning efter operation", "ledsagelse"),
    "en": ("help with extra costs", "a place at a special school", "training after an operation", "an escort"),
}


class Town:
    """Makes letters: `letter(kind, language, **other fields)`, and the cases and children that go into them."""

    def letter(self, kind: str = "deadlines", language: str = "da", **values: Any) -> LetterContent:
        given: dict[str, Any] = {
            "kind": LetterKind(kind),
            "language": language,
            "written": WRITTEN,
            "recipient_name": "Anne Birgitte Kjærsgaard Sørensen",
            "municipality": ContentMunicipality("Havneby Kommune", "70 80 90 10", "havneby.example/koordinator"),
            "coordinator": ContentCoordinator("Mette Hansen", "30 40 50 60", "mette.hansen@havneby.example"),
        }
        if kind == "introduction":
            given |= {"offers": (ContentLabel("Søren"),), "answer_by": date(2027, 5, 5)}
            given |= {"answer_url": "https://havneby.example/svar"}
        else:
            given |= {"children": (ContentChild(ContentLabel("Søren"), self.cases(language)),)}
            given |= {"family_url": "https://havneby.example/familie"}
        return LetterContent(**(given | values))

    def cases(self, language: str = "da") -> tuple[ContentCase, ...]:
        social, school, health = NAMES[language]
        costs, place, training, escort = KINDS[language]
        return (
            ContentCase(
                social, costs, State.OPEN, "Jens Åge Mikkelsen", "33 17 00 01", date(2027, 3, 1),
                deadline=date(2027, 5, 12), news=(News.DEADLINE_NEAR,),
            ),
            ContentCase(
                school, place, State.DECIDED, "Fatima Rahmani", "33 17 00 02", date(2026, 8, 1),
                follow_up=date(2027, 4, 29), news=(News.FOLLOW_UP_SET, News.ADVISER_CHANGED),
            ),
            ContentCase(
                health, training, State.APPLIED, "Kirsten Vestergaard Lauridsen", None, date(2027, 4, 2),
                deadline=date(2027, 6, 3), news=(News.OPENED, News.DEADLINE_SET),
            ),
            ContentCase(social, escort, State.OPEN, None, None, date(2027, 4, 2)),
        )  # fmt: skip

    def every_news(self, language: str = "da") -> tuple[ContentCase, ...]:
        social, school, _ = NAMES[language]
        day = date(2027, 6, 1)
        found = tuple(
            ContentCase(
                (social, school)[number % 2], KINDS[language][number % 4], State.OPEN, "Jens Åge Mikkelsen",
                "33 17 00 01", deadline=day, follow_up=date(2027, 6, 15), news=(code,),
            )
            for number, code in enumerate(News)
        )  # fmt: skip
        return (*found, ContentCase(social, KINDS[language][0], State.OPEN, None, news=(News.ADVISER_CHANGED,)))

    def longest(self, kind: str, language: str = "da") -> LetterContent:
        """All that one letter can hold: an offer, three siblings, every kind of news, a source that is silent."""
        health = NAMES[language][2]
        return self.letter(
            kind,
            language,
            offers=(ContentLabel(None, 2019), ContentLabel(None, 2021)),
            answer_by=date(2027, 5, 5),
            answer_url="https://havneby.example/svar/familie",
            reminder=kind == "introduction",
            children=(
                ContentChild(ContentLabel("Søren Valdemar"), self.cases(language)),
                ContentChild(ContentLabel("Karla Josefine"), self.every_news(language)),
                ContentChild(ContentLabel("Ida-Marie"), self.cases(language)[:2]),
            ),
            silent=(ContentSilence(health, date(2027, 4, 19)),),
            family_url="https://havneby.example/familie",
        )

    def shortest(self, kind: str, language: str = "da") -> LetterContent:
        """The least that a letter of this kind can hold."""
        least: dict[str, Any] = {"municipality": ContentMunicipality("Havneby Kommune"), "family_url": None}
        if kind == "introduction":
            least |= {"offers": (ContentLabel(None, 2016),), "answer_url": None, "coordinator": None}
        elif kind == "receipt":
            least |= {"coordinator": ContentCoordinator("Mette Hansen"), "children": ()}
        else:
            case = ContentCase(NAMES[language][0], KINDS[language][0], news=(News.OPENED,))
            least |= {"coordinator": None, "children": (ContentChild(ContentLabel(None, 2016), (case,)),)}
        return self.letter(kind, language, **least)

    def all(self, language: str = "da") -> list[LetterContent]:
        kinds = [str(kind) for kind in LetterKind]
        makers = (self.letter, self.longest, self.shortest)
        return [maker(kind, language) for kind in kinds for maker in makers]


@pytest.fixture(scope="session")
def town() -> Town:
    return Town()


@pytest.fixture(scope="session")
def templates() -> Templates:
    return Templates()
