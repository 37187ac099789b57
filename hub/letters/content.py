"""What a letter says, before it is written: plain frozen values, composed by the hub and checked here. No I/O.

One letter may carry an offer for one child and news for a sibling: every part that is filled is written, whatever the
kind. The kind only says what the letter opens with. Names of administrations and kinds of case are full, plain names
in the letter's language; nothing here names a law, a diagnosis or what a case is about beyond its kind.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from types import MappingProxyType, NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from hub.cases import kinds
from hub.cases.kinds import Spoke
from hub.contract import State

CODE = {"code": True}
"""Metadata of a field that holds one of a few codes, which a template asks about, and no words that it writes."""

Change = Literal["changed", "substitute", "handed_over", "back"]
Age = Literal["15", "16", "17½", "18"]
Answer = Literal[
    "yes_given", "no_given", "yes_withdrawn", "consent_given", "consent_withdrawn", "closed", "opened", "objected"
]
How = Literal["page", "phone", "paper", "meeting"]
Goodbye = Literal["closed", "moved", "grown", "withdrawn"]
Reader = Literal["guardian", "young", "representative"]


class LetterKind(StrEnum):
    INTRODUCTION = "introduction"
    """The offer of a coordinator, or the one reminder of it."""
    RECEIPT = "receipt"
    """The family's yes has been received (kvitteringsbrev)."""
    DEADLINES = "deadlines"
    """News and dates from all administrations."""
    OVERDUE = "overdue"
    """An answer will not come in time (retssikkerhedsloven § 3, stk. 2): the adviser's new date, or that
    there is none."""
    COORDINATOR = "coordinator"
    """Somebody else is the family's coordinator from now on, or for a while."""
    TRANSITION = "transition"
    """The child turns 15, 16, 17½ or 18."""
    WITHDRAWN = "withdrawn"
    """What the reader has said has been written down: a yes taken back, a consent given or taken back, an
    administration closed or opened."""
    GOODBYE = "goodbye"
    """The scheme ends for a child."""


class News(StrEnum):
    """What is new in a case since the last letter."""

    APPLIED = "applied"
    """An application has been received (the authority's own receipt of it)."""
    OPENED = "opened"
    DEADLINE_SET = "deadline_set"
    DEADLINE_MOVED = "deadline_moved"
    """The adviser gave an earlier date; `deadline` of the case is the new one."""
    DEADLINE_POSTPONED = "deadline_postponed"
    """The adviser gave a later date; `deadline` of the case is the new one."""
    DEADLINE_NEAR = "deadline_near"
    DEADLINE_MISSED = "deadline_missed"
    """`deadline` has passed, or cannot be kept, and the adviser has given no new date: the letter says so and invents
    none (retssikkerhedsloven § 3, stk. 2 wants the family told)."""
    ADVISER_CHANGED = "adviser_changed"
    DECIDED = "decided"
    CLOSED = "closed"


NEWS: Mapping[str, News] = MappingProxyType(
    {
        kinds.APPLIED: News.APPLIED,
        kinds.CASE_OPENED: News.OPENED,
        kinds.DECIDED: News.DECIDED,
        kinds.CASE_CLOSED: News.CLOSED,
        kinds.ADVISER_CHANGED: News.ADVISER_CHANGED,
        kinds.DEADLINE_SET: News.DEADLINE_SET,
        kinds.DEADLINE_MOVED: News.DEADLINE_MOVED,
        kinds.DEADLINE_POSTPONED: News.DEADLINE_POSTPONED,
        kinds.DEADLINE_NEAR: News.DEADLINE_NEAR,
        kinds.DEADLINE_AT_HAND: News.DEADLINE_NEAR,
        kinds.DEADLINE_UNKEPT: News.DEADLINE_MISSED,
        kinds.DEADLINE_PASSED: News.DEADLINE_MISSED,
    }
)
"""What each kind of event in a case is as news of it."""
LATE = (News.DEADLINE_MISSED, News.DEADLINE_POSTPONED)
"""News that an answer does not come in time."""


@dataclass(frozen=True, slots=True)
class ContentMunicipality:
    """The sender. `phone` is the line families call, `web` where they read more (with or without https://)."""

    name: str
    phone: str = ""
    web: str = ""

    def __post_init__(self) -> None:
        _filled("municipality.name", self.name)


@dataclass(frozen=True, slots=True)
class ContentCoordinator:
    """The family's coordinator; in an offer the one who has a place reserved."""

    name: str
    phone: str | None = None
    email: str | None = None

    def __post_init__(self) -> None:
        _filled("coordinator.name", self.name)


@dataclass(frozen=True, slots=True)
class ContentLabel:
    """How the letter names a child: by first name where the hub knows it, else by year of birth."""

    first_name: str | None = None
    birth_year: int | None = None

    def __post_init__(self) -> None:
        if not (self.first_name and self.first_name.strip()) and self.birth_year is None:
            raise ValueError("label: a child needs a first name or a year of birth")


@dataclass(frozen=True, slots=True)
class ContentCase:
    """One case as the family may know it. `kind` stands inside a sentence: "hjælp til ekstra udgifter"; empty where the
    list of kinds has no name for it."""

    administration: str
    kind: str = ""
    state: State = State.OPEN
    adviser: str | None = None
    adviser_phone: str | None = None
    opened: date | None = None
    deadline: date | None = None
    follow_up: date | None = None
    news: tuple[News, ...] = ()

    def __post_init__(self) -> None:
        _filled("case.administration", self.administration)
        object.__setattr__(self, "news", tuple(News(code) for code in self.news))
        dated = {News.DEADLINE_SET, News.DEADLINE_MOVED, News.DEADLINE_NEAR, *LATE}
        if self.deadline is None and dated.intersection(self.news):
            raise ValueError("case.news: news about a deadline needs the deadline")


@dataclass(frozen=True, slots=True)
class ContentChild:
    """A child of the scheme and its cases, all administrations together."""

    label: ContentLabel
    cases: tuple[ContentCase, ...] = ()


@dataclass(frozen=True, slots=True)
class ContentSilence:
    """A source that has not answered since that day: silence is not absence, so the letter says it."""

    administration: str
    since: date

    def __post_init__(self) -> None:
        _filled("silence.administration", self.administration)


@dataclass(frozen=True, slots=True)
class ContentChange:
    """What has become of the coordinator. `coordinator` of the letter is whom the family calls now; `former` whom they
    called before; `until` the last day of a substitute, where it is known. Why somebody is away is nobody's to know."""

    what: Change = field(metadata=CODE)
    former: str | None = None
    until: date | None = None

    def __post_init__(self) -> None:
        _code("change.what", self.what, Change)


@dataclass(frozen=True, slots=True)
class ContentTurn:
    """That a child reaches an age at which something changes; `on` is the day they do (Danish date). `lasts`, in a
    young person's own letter: a mandate they have given keeps their coordinator, and their letters, past 18."""

    label: ContentLabel
    age: Age = field(metadata=CODE)
    on: date
    lasts: bool = False

    def __post_init__(self) -> None:
        _code("turn.age", self.age, Age)


@dataclass(frozen=True, slots=True)
class ContentAnswer:
    """What the reader of the letter has said, and nobody else: one guardian's answer never reaches another. `on` is the
    day it was written down; `administration` which one it is about, with its full name. `how` it came, where that is
    known. `spoke`: a representative said it for the reader, or the reader did as somebody's representative."""

    label: ContentLabel
    what: Answer = field(metadata=CODE)
    administration: str | None
    on: date
    how: How | None = field(default=None, metadata=CODE)
    spoke: Spoke | None = field(default=None, metadata=CODE)

    def __post_init__(self) -> None:
        _code("answer.what", self.what, Answer)
        if self.how is not None:
            _code("answer.how", self.how, How)
        if self.spoke is not None:
            _code("answer.spoke", self.spoke, Spoke)
        if self.what in ("closed", "opened") and not self.administration:
            raise ValueError("answer.administration: needed where an administration is closed or opened")


@dataclass(frozen=True, slots=True)
class LetterContent:
    """All that one letter to one guardian says. Raises ValueError where a part is missing or makes no sense.

    `recipient_name` is None where the hub does not know it, and the letter greets without.
    `written` is the date of the letter (Danish date). `offers` are the children a coordinator is offered for, with
    `answer_by` and `answer_url`; `reminder` says that the offer has been made before. `children` are those who are in
    the scheme. `family_url` is where the family sees the same on the page. Addresses must be https.

    `change`, `turns`, `answers` and `goodbye` are what their kinds open with. `reader` is who reads: a young person is
    addressed as the one it is about, so there is nobody else in their letter. `large_print` sets the letter in at least
    16 points. `interpreter` is the language that the reader needs an interpreter for, by its two-letter code or name.
    """

    kind: LetterKind
    language: str
    written: date
    recipient_name: str | None
    municipality: ContentMunicipality
    coordinator: ContentCoordinator | None = None
    offers: tuple[ContentLabel, ...] = ()
    answer_by: date | None = None
    answer_url: str | None = None
    reminder: bool = False
    children: tuple[ContentChild, ...] = ()
    silent: tuple[ContentSilence, ...] = ()
    family_url: str | None = None
    change: ContentChange | None = None
    turns: tuple[ContentTurn, ...] = ()
    answers: tuple[ContentAnswer, ...] = ()
    goodbye: Goodbye | None = field(default=None, metadata=CODE)
    reader: Reader = field(default="guardian", metadata=CODE)
    large_print: bool = False
    interpreter: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", LetterKind(self.kind))
        if not re.fullmatch("[a-z]{2}", self.language):
            raise ValueError("language: two lower-case letters, such as da or en")
        if self.recipient_name is not None:
            _filled("recipient_name", self.recipient_name)
        if bool(self.offers) != (self.answer_by is not None):
            raise ValueError("offers and answer_by: an offer needs a date to answer by, and only an offer has one")
        if self.reminder and not self.offers:
            raise ValueError("reminder: only an offer can be reminded of")
        if self.change is not None and self.coordinator is None:
            raise ValueError("change: needs the coordinator whom the family calls now")
        if self.goodbye is not None:
            _code("goodbye", self.goodbye, Goodbye)
        _code("reader", self.reader, Reader)
        if self.reader == "young" and len(set(self.labels())) > 1:
            raise ValueError("reader: a young person is written to about themselves, and about no other child")
        for name, url in (("answer_url", self.answer_url), ("family_url", self.family_url)):
            if url is not None and not url.startswith("https://"):
                raise ValueError(f"{name}: must begin with https://")

    def labels(self) -> tuple[ContentLabel, ...]:
        """How the letter names its children; a child may stand there several times."""
        told = (*(turn.label for turn in self.turns), *(answer.label for answer in self.answers))
        return (*self.offers, *(child.label for child in self.children), *told)


_TYPES: Mapping[Any, str] = {
    str: "text",
    date: "date",
    bool: "yes-no",
    ContentCoordinator: "person",
    ContentMunicipality: "municipality",
    ContentChange: "change",
}


def field_types() -> dict[str, str]:
    """What each field of a letter is, in the words of a template's front matter: text, date, list, person, …"""
    return {name: _type(hint) for name, hint in get_type_hints(LetterContent).items()}


def _type(hint: Any) -> str:
    if get_origin(hint) is tuple:
        return "list"
    if get_origin(hint) in (Union, UnionType):
        (hint,) = set(get_args(hint)) - {NoneType}
    return "code" if get_origin(hint) is Literal else _TYPES.get(hint, "code")


def _code(name: str, value: str, codes: Any) -> None:
    if value not in get_args(codes):
        raise ValueError(f"{name}: must be one of {', '.join(get_args(codes))}")


def _filled(name: str, value: str) -> None:
    if not value.strip():
        raise ValueError(f"{name}: must not be empty")
