"""How the town's families answer an offer: eight of ten say yes, one says no, one says nothing. Drawn from the seed and
the family, so that the same seed gives the same answers whatever else differs."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date
from typing import Literal

from hub.demo.model import Town

_HOWS: tuple[Literal["page", "phone", "paper", "meeting"], ...] = ("page", "page", "page", "phone", "phone", "meeting")


@dataclass(frozen=True, slots=True)
class FamilyAnswer:
    """`answer` is yes, no or silent; `after` is how many working days after the offer it comes (1 to 3)."""

    answer: Literal["yes", "no", "silent"]
    after: int
    how: Literal["page", "phone", "paper", "meeting"]
    guardian: str
    """The number of the guardian who says yes, if that is the answer; a no is said by all."""


def answer_of(town: Town, child: str, on: date) -> FamilyAnswer | None:
    """The answer for a child; None when nobody has custody on the date. Siblings with the same guardians get the same
    answer."""
    guardians = sorted(
        custody.guardian
        for custody in town.custody.get(child, ())
        if custody.since <= on and (custody.until is None or custody.until > on)
    )
    if not guardians:
        return None
    draw = hashlib.sha256(f"{town.seed}:{guardians[0]}".encode()).digest()
    answer: Literal["yes", "no", "silent"] = "yes" if draw[0] < 205 else "no" if draw[0] < 231 else "silent"
    return FamilyAnswer(answer, 1 + draw[1] % 3, _HOWS[draw[2] % len(_HOWS)], guardians[draw[3] % len(guardians)])
