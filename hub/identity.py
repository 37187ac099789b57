"""CPR numbers: what can be one, what it says, and how it is shown.

Sources: the CPR office's description of the personnummer (positions, century), of numbers without modulus 11 (valid
since 1 October 2007, so a control digit is never asked for), and of replacement numbers (day + 60); MedCom and NSP for
X-eCPR and D-eCPR. A message never holds the number it is about.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from hub.errors import BadRecord

UNKNOWN = "0000000000"
"""The OIO schema's way to say that the number is not known."""
REPLACEMENT_DAY = 60
YOUNG, ADULT = 15, 18
"""From 15 a young person has a say and a page of their own (consent to treatment; Digital Post from the same age); at
18 the scheme ends, for barnets lov covers children alone."""


class CprKind(StrEnum):
    CPR = "cpr"
    REPLACEMENT = "replacement"
    """An administrative replacement number: the day is 60 higher."""
    X_ECPR = "x-ecpr"
    """National electronic replacement number in health: letters in positions 8 and 9, position 7 is 1 or 7."""
    D_ECPR = "d-ecpr"
    """Decentral electronic replacement number in health, position 7 is 0, 5 or 6: two places may give one number to
    two persons, so it identifies nobody outside the place that made it."""


_ECPR = {
    "1": (CprKind.X_ECPR, 1900),
    "7": (CprKind.X_ECPR, 2000),
    "0": (CprKind.D_ECPR, 1900),
    "5": (CprKind.D_ECPR, 1800),
    "6": (CprKind.D_ECPR, 2000),
}
"""Position 7 of an electronic number: which kind, which century (NSP, "eCPR-formater")."""


@dataclass(frozen=True, slots=True)
class Cpr:
    """A number that can be a person's. `str()` masks it; `digits` is the number itself."""

    digits: str
    kind: CprKind
    born: date

    def __str__(self) -> str:
        return mask(self.digits)

    def __repr__(self) -> str:
        return f"Cpr({mask(self.digits)}, {self.kind})"

    @property
    def matchable(self) -> bool:
        """Whether the same number in two systems means the same person."""
        return self.kind in (CprKind.CPR, CprKind.REPLACEMENT)

    def is_adult(self, on: date) -> bool:
        """Whether they are 18 on a date (Danish time: from midnight)."""
        return self.age(on) >= ADULT

    def age(self, on: date) -> int:
        """Whole years on a date. Somebody born on 29 February has the birthday on 1 March in other years."""
        had_birthday = (on.month, on.day) >= (self.born.month, self.born.day)
        return on.year - self.born.year - (not had_birthday)


def turns(born: date, years: int, months: int = 0) -> date:
    """The date on which somebody is so many years and months old. Where the month has no such day, the first of the
    next: who is born on 29 February is 18 on 1 March (as `Cpr.age` counts)."""
    ahead = born.month - 1 + months
    year, month = born.year + years + ahead // 12, ahead % 12 + 1
    try:
        return date(year, month, born.day)
    except ValueError:
        return date(year + month // 12, month % 12 + 1, 1)


def mask(digits: str) -> str:
    """How a number may be shown to operators: nothing of it but its length."""
    return "•" * len(digits)


def _century(seventh: int, year: int) -> int:
    if seventh <= 3:
        return 1900
    if seventh in (4, 9):
        return 2000 if year <= 36 else 1900
    return 2000 if year <= 57 else 1800


def parse(text: str) -> Cpr:
    """A number as a person or a system writes it (a dash or spaces are allowed) as a Cpr.

    Raises BadRecord when it cannot be a number: unknown (0000000000), wrong length or characters, no such date.
    Modulus 11 is not asked for."""
    # Small letters are made capital only of ASCII: "ß" would become two characters.
    digits = text.replace("-", "").replace(" ", "").strip()
    digits = digits.upper() if digits.isascii() else digits
    if len(digits) != 10:
        raise BadRecord(f"a CPR number has ten characters, this has {len(digits)}")
    if digits == UNKNOWN:
        raise BadRecord("the CPR number is given as unknown (all zeros)")
    if not digits.isascii() or not digits[:7].isdigit() or not digits[9].isdigit():
        raise BadRecord("a CPR number is digits; only positions 8 and 9 of an electronic one may be letters")
    day, month, year = int(digits[:2]), int(digits[2:4]), int(digits[4:6])
    kind, century = CprKind.CPR, _century(int(digits[6]), year)
    if not digits[7:9].isdigit():
        if not digits[7:9].isalpha() or digits[6] not in _ECPR:
            raise BadRecord("an electronic number has letters in positions 8 and 9, and 0, 1, 5, 6 or 7 in position 7")
        kind, century = _ECPR[digits[6]]
    elif day > REPLACEMENT_DAY:
        day -= REPLACEMENT_DAY
        kind = CprKind.REPLACEMENT
    try:
        born = date(century + year, month, day)
    except ValueError:
        raise BadRecord("the first six digits of the CPR number are no date") from None
    return Cpr(digits, kind, born)
