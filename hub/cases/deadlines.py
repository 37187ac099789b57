"""Days that count: Danish working days, and the published time limit of a kind of case.

Retssikkerhedsloven § 3, stk. 2: the municipality publishes a time limit for each kind of case. The hub reckons that
date; it never invents a new one when it cannot be kept.
"""

from __future__ import annotations

from datetime import date, timedelta
from functools import cache

import holidays

from hub.reading import Kind


@cache
def _holidays(year: int) -> frozenset[date]:
    return frozenset(holidays.country_holidays("DK", years=year))


def is_working_day(day: date) -> bool:
    """Monday to Friday and no Danish public holiday. (1 May, 5 June and 24 December are counted as working days: the
    law does not make them holidays; a municipality that is closed may answer later but the limit runs.)"""
    return day.weekday() < 5 and day not in _holidays(day.year)


def add_working_days(day: date, count: int) -> date:
    """The date `count` working days after `day` (before it when negative); with 0, the day itself or the next working
    day."""
    step = timedelta(days=1 if count >= 0 else -1)
    left = abs(count)
    while left:
        day += step
        left -= is_working_day(day)
    while not is_working_day(day):
        day += step
    return day


def working_days_between(start: date, end: date) -> int:
    """How many working days there are after `start`, up to and including `end`; negative when `end` is before."""
    if end < start:
        return -working_days_between(end, start)
    return sum(is_working_day(start + timedelta(days=n)) for n in range(1, (end - start).days + 1))


def answer_by(asked: date, working_days: int) -> date:
    """The last day to answer what somebody asked for on a day: so many working days after it, and in any case no later
    than the last working day within one month (GDPR art. 12(3); the month ends on the same date, or the last there is,
    as Regulation 1182/71 art. 3 reckons)."""
    first = date(asked.year + asked.month // 12, asked.month % 12 + 1, 1)
    month = min(first + timedelta(days=asked.day - 1), _last_day(first))
    while not is_working_day(month):
        month -= timedelta(days=1)
    return min(add_working_days(asked, working_days), month)


def _last_day(first: date) -> date:
    return date(first.year + first.month // 12, first.month % 12 + 1, 1) - timedelta(days=1)


def published_deadline(opened: date | None, kind: Kind | None) -> date | None:
    """The last day of the published time limit of a case opened on a day; None when either is not known.

    A limit that ends on a day off ends on the next working day, as is the custom with time limits in Danish law."""
    if opened is None or kind is None:
        return None
    if kind.limit_weeks is not None:
        return add_working_days(opened + timedelta(weeks=kind.limit_weeks), 0)
    if kind.limit_working_days is not None:
        return add_working_days(opened, kind.limit_working_days)
    return None
