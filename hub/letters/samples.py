"""Letters to nobody: made-up content that looks like what a town has to say, from the shortest letter to the longest.
For previews, for the plain-language check, for tests and for the gallery. Nobody and nothing in it is real."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

from hub.contract import State
from hub.letters.content import (
    Age,
    ContentAnswer,
    ContentCase,
    ContentChange,
    ContentChild,
    ContentCoordinator,
    ContentLabel,
    ContentMunicipality,
    ContentSilence,
    ContentTurn,
    LetterContent,
    LetterKind,
    News,
)

WRITTEN = date(2027, 4, 21)
# Names of administrations and kinds of case are the municipality's own words, in Danish and English (hub.settings).
_OFFICES: dict[str, tuple[str, ...]] = {
    "da": ("Socialforvaltningen", "Børne- og Ungdomsforvaltningen", "Sundheds- og Omsorgsforvaltningen"),
    "en": ("Social Services", "Children and Youth", "Health and Care"),
}
_KINDS: dict[str, tuple[str, ...]] = {
    "da": ("hjælp til ekstra udgifter", "plads på en specialskole", "genoptræning efter operation", "ledsagelse"),
    "en": ("help with extra costs", "a place at a special school", "training after an operation", "an escort"),
}
_SOREN, _KARLA, _IDA = ContentLabel("Søren Valdemar"), ContentLabel("Karla Josefine"), ContentLabel("Ida-Marie")


def _of(words: dict[str, tuple[str, ...]], language: str) -> tuple[str, ...]:
    return words.get(language, words["da"])


def letter(kind: str = "deadlines", language: str = "da", **values: Any) -> LetterContent:
    """An ordinary letter of a kind, with any field given in `values` instead."""
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
        about = late(language) if kind == "overdue" else cases(language)
        given |= {"children": (ContentChild(ContentLabel("Søren"), about),)}
        given |= {"family_url": "https://havneby.example/familie"}
    return LetterContent(**(given | _opening(kind, ContentLabel("Søren"), language) | values))


def _opening(kind: str, label: ContentLabel, language: str) -> dict[str, Any]:
    """What a letter of this kind opens with."""
    if kind == "coordinator":
        return {"change": ContentChange("changed", "Lars Thorup")}
    if kind == "transition":
        return {"turns": (ContentTurn(label, "16", date(2027, 5, 20)),)}
    if kind == "withdrawn":
        return {"answers": (ContentAnswer(label, "closed", _of(_OFFICES, language)[1], date(2027, 4, 20)),)}
    return {"goodbye": "closed"} if kind == "goodbye" else {}


def _whole_opening(kind: str, language: str) -> dict[str, Any]:
    """As much of it as one letter can hold."""
    social, school, health = _of(_OFFICES, language)
    day = date(2027, 4, 20)
    if kind == "coordinator":
        return {"change": ContentChange("substitute", "Lars Thorup Vestergaard", date(2027, 6, 30))}
    if kind == "transition":
        turns: tuple[tuple[Age, ContentLabel], ...] = (("15", _IDA), ("16", _KARLA), ("17½", _SOREN))
        return {"turns": tuple(ContentTurn(who, age, date(2027, 5, 20)) for age, who in turns)}
    if kind == "withdrawn":
        return {
            "answers": (
                ContentAnswer(_SOREN, "yes_withdrawn", None, day, "phone", "for_reader"),
                ContentAnswer(_KARLA, "consent_given", health, day),
                ContentAnswer(_IDA, "consent_withdrawn", health, day),
                ContentAnswer(_KARLA, "closed", school, day, "meeting"),
                ContentAnswer(_IDA, "opened", social, day, "paper", "by_reader"),
            )
        }
    return {"goodbye": "withdrawn"} if kind == "goodbye" else {}


def cases(language: str = "da") -> tuple[ContentCase, ...]:
    social, school, health = _of(_OFFICES, language)
    costs, place, training, escort = _of(_KINDS, language)
    return (
        ContentCase(
            social, costs, State.OPEN, "Jens Åge Mikkelsen", "33 17 00 01", date(2027, 3, 1),
            deadline=date(2027, 5, 12), news=(News.DEADLINE_NEAR,),
        ),
        ContentCase(
            school, place, State.DECIDED, "Fatima Rahmani", "33 17 00 02", date(2026, 8, 1),
            follow_up=date(2027, 4, 29), news=(News.ADVISER_CHANGED,),
        ),
        ContentCase(
            health, training, State.APPLIED, "Kirsten Vestergaard Lauridsen", None, date(2027, 4, 2),
            deadline=date(2027, 6, 3), news=(News.OPENED, News.DEADLINE_SET),
        ),
        ContentCase(social, escort, State.OPEN, None, None, date(2027, 4, 2)),
    )  # fmt: skip


def every_news(language: str = "da") -> tuple[ContentCase, ...]:
    social, school, _ = _of(_OFFICES, language)
    kinds, day = _of(_KINDS, language), date(2027, 6, 1)
    found = tuple(
        ContentCase(
            (social, school)[number % 2], kinds[number % 4], State.OPEN, "Jens Åge Mikkelsen",
            "33 17 00 01", deadline=day, follow_up=date(2027, 6, 15), news=(code,),
        )
        for number, code in enumerate(News)
    )  # fmt: skip
    return (*found, ContentCase(social, kinds[0], State.OPEN, None, news=(News.ADVISER_CHANGED,)))


def late(language: str = "da") -> tuple[ContentCase, ...]:
    """Two answers that will not come in time: one with the adviser's new date, one without."""
    social, school, _ = _of(_OFFICES, language)
    costs, place, *_ = _of(_KINDS, language)
    return (
        ContentCase(social, costs, State.OPEN, "Jens Åge Mikkelsen", "33 17 00 01", date(2027, 2, 1),
                    deadline=date(2027, 4, 23), news=(News.DEADLINE_MISSED,)),
        ContentCase(school, place, State.OPEN, "Fatima Rahmani", "33 17 00 02", date(2027, 1, 8),
                    deadline=date(2027, 5, 28), news=(News.DEADLINE_POSTPONED,)),
    )  # fmt: skip


def longest(kind: str, language: str = "da", **values: Any) -> LetterContent:
    """All that one letter can hold: an offer, three siblings, every kind of news, a source that is silent."""
    health = _of(_OFFICES, language)[2]
    given: dict[str, Any] = {
        "offers": (ContentLabel(None, 2019), ContentLabel(None, 2021)),
        "answer_by": date(2027, 5, 5),
        "answer_url": "https://havneby.example/svar/familie",
        "reminder": kind == "introduction",
        "children": (
            ContentChild(_SOREN, cases(language)),
            ContentChild(_KARLA, every_news(language)),
            ContentChild(_IDA, cases(language)[:2]),
        ),
        "silent": (ContentSilence(health, date(2027, 4, 19)),),
        "family_url": "https://havneby.example/familie",
        **_whole_opening(kind, language),
    }
    return letter(kind, language, **(given | values))


def shortest(kind: str, language: str = "da", **values: Any) -> LetterContent:
    """The least that a letter of this kind can hold."""
    least: dict[str, Any] = {"municipality": ContentMunicipality("Havneby Kommune"), "family_url": None}
    nobody = ContentLabel(None, 2016)
    if kind == "introduction":
        least |= {"offers": (nobody,), "answer_url": None, "coordinator": None}
    elif kind in ("receipt", "coordinator"):
        least |= {"coordinator": ContentCoordinator("Mette Hansen"), "children": ()}
    elif kind in ("deadlines", "overdue"):
        code = News.OPENED if kind == "deadlines" else News.DEADLINE_MISSED
        case = ContentCase(
            _of(_OFFICES, language)[0], _of(_KINDS, language)[0], deadline=date(2027, 4, 23), news=(code,)
        )
        least |= {"coordinator": None, "children": (ContentChild(nobody, (case,)),)}
    else:
        least |= {"coordinator": None, "children": (), **_opening(kind, nobody, language)}
    if kind == "coordinator":
        least |= {"change": ContentChange("changed")}
    return letter(kind, language, **(least | values))


def to_young(content: LetterContent) -> LetterContent:
    """The same letter to a young person: what it tells of several children is told of this one."""
    about = ContentLabel("Søren")
    cases = tuple(case for child in content.children for case in child.cases)
    offered = content.kind is LetterKind.INTRODUCTION
    return replace(
        content,
        reader="young",
        recipient_name="Søren Sørensen",
        offers=(about,) if offered else (),
        answer_by=content.answer_by if offered else None,
        answer_url=content.answer_url if offered else None,
        reminder=content.reminder and offered,
        children=(ContentChild(about, cases),) if content.children and not offered else (),
        turns=tuple(replace(turn, label=about) for turn in content.turns[:1]),
        answers=tuple(replace(answer, label=about) for answer in content.answers),
    )


CASES = {"ordinary": letter, "longest": longest, "shortest": shortest}
"""How the command names them."""
