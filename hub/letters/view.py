"""What a template sees of a letter's content: its fields, with a slot for every text, and what follows from them."""

from __future__ import annotations

import unicodedata
from dataclasses import fields, is_dataclass
from datetime import date
from enum import Enum
from types import SimpleNamespace
from typing import Any

from hub.cases import kinds
from hub.contract import State
from hub.letters.content import LATE, NEWS, ContentCase, ContentLabel, LetterContent, News
from hub.letters.tree import slot
from hub.letters.words import Words

_ANSWERED = (State.DECIDED, State.CLOSED)
_RANK = {str(news): min(kinds.RANK[code] for code, what in NEWS.items() if what is news) for news in News}
"""What the reader must hear of first: the order of the table of kinds."""


def clean(value: str) -> str:
    """A text from a source as one line of printable characters: composed letters, no control or direction marks."""
    line = unicodedata.normalize("NFC", " ".join(value.split()))
    return line if line.isprintable() else "".join(char for char in line if char.isprintable())


_parts: dict[type[Any], tuple[tuple[str, bool], ...]] = {}
"""By kind of record, worked out once: the names of its fields, and whether each holds a code."""


def _fields(kind: type[Any]) -> tuple[tuple[str, bool], ...]:
    if kind not in _parts:
        _parts[kind] = tuple((part.name, bool(part.metadata.get("code"))) for part in fields(kind))
    return _parts[kind]


def view(content: LetterContent, words: Words, values: list[str], limit: int | None = None) -> dict[str, Any]:
    """What a template sees: the fields of LetterContent, and `offered` and `names` (the children of the offer, and
    those in the scheme, joined), `turning` (those who reach an age), `several` (more than one child in the scheme),
    `dates` (rows of date, what, child, case, oldest first; what is deadline, missed or follow_up), `undated` (rows of
    child, case), `next` (the first date to come or None), `follow_ups`, `news` (rows of codes, child, case, in the
    order of the kinds), `late` (those of them that say that an answer does not come in time), `more_dates` and
    `more_news` (how many rows `limit` left out); a case is `named` where the list of kinds has a name for it. Texts are
    put into `values`, and a slot for each stands in their place."""

    def hide(value: Any) -> Any:
        if value is None or isinstance(value, Enum | bool | date | int):
            return value
        if isinstance(value, str):
            line = clean(value)
            if not line:
                return ""  # a template asks whether it is there
            values.append(line)
            return slot(len(values) - 1)
        if isinstance(value, ContentLabel):
            if content.reader == "young":
                return words.child.young
            if value.first_name:
                return hide(value.first_name)
            return str(getattr(words.child, content.reader)).format(year=value.birth_year)
        if is_dataclass(value):
            return SimpleNamespace(**parts(value))
        return [hide(part) for part in value]

    def parts(value: Any) -> dict[str, Any]:
        return {
            name: getattr(value, name) if code else hide(getattr(value, name)) for name, code in _fields(type(value))
        }

    seen = parts(content)
    seen["recipient_name"] = seen["recipient_name"] or getattr(words.unnamed, content.reader)
    for turn, hidden_turn in zip(content.turns, seen["turns"], strict=True):
        hidden_turn.again = hidden_turn.label if turn.label.first_name else words.child.again
    dates: list[SimpleNamespace] = []
    undated: list[SimpleNamespace] = []
    news: list[SimpleNamespace] = []
    for child, hidden_child in zip(content.children, seen["children"], strict=True):
        for case, hidden in zip(child.cases, hidden_child.cases, strict=True):
            hidden.named, hidden.kind = bool(hidden.kind), hidden.kind or words.case
            row = {"child": hidden_child.label, "case": hidden}
            found = _dates(case, content.written)
            dates += [SimpleNamespace(date=day, what=what, **row) for day, what in found]
            if not found and case.state is not State.CLOSED:
                undated.append(SimpleNamespace(**row))
            if case.news:
                news.append(SimpleNamespace(codes=[str(code) for code in case.news], **row))
    dates.sort(key=lambda row: row.date)
    news.sort(key=lambda row: min(_RANK[code] for code in row.codes))
    coming = [row for row in dates if row.what != "missed"]
    cases = len(dates) + len(undated)
    if limit is not None:
        dates, undated = dates[:limit], undated[: max(0, limit - len(dates))]
    seen |= {
        "offered": words.joined(seen["offers"]),
        "names": words.joined([child.label for child in seen["children"]]),
        "turning": words.joined(list(dict.fromkeys(turn.label for turn in seen["turns"]))),
        "several": len(content.children) > 1,
        "dates": dates,
        "undated": undated,
        "next": coming[0] if coming else None,
        "follow_ups": [row for row in coming if row.what == "follow_up"],
        "news": news[:limit],
        "late": [row for row in news if any(code in row.codes for code in LATE)],
        "more_dates": cases - len(dates) - len(undated),
        "more_news": len(news) - len(news[:limit]),
    }
    return seen


def coming_dates(content: LetterContent) -> list[date]:
    """The dates from the day of the letter on that the letter names, each once, earliest first."""
    found = {
        day
        for child in content.children
        for case in child.cases
        for day, what in _dates(case, content.written)
        if what != "missed"
    }
    return sorted(found)


def _dates(case: ContentCase, written: date) -> list[tuple[date, str]]:
    """The dates of a case that the family needs: an unanswered deadline, and a follow-up that is still to come."""
    found = []
    if case.deadline and case.state not in _ANSWERED:
        missed = case.deadline < written or News.DEADLINE_MISSED in case.news
        found.append((case.deadline, "missed" if missed else "deadline"))
    if case.follow_up and case.state is not State.CLOSED and case.follow_up >= written:
        found.append((case.follow_up, "follow_up"))
    return found
