"""When a letter that is due may leave: quiet hours, and no more than so many a week to one person.

Both give way to what is urgent, and to the last moment that the law leaves. Times are UTC; hours and days off Danish.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta

from hub.cases.deadlines import is_working_day
from hub.cases.kinds import KINDS, LETTERS_LEAVE
from hub.clock import DENMARK
from hub.store.tables import Event

WEEK = timedelta(days=7)
WEEKEND = time(14, 0)
"""From then on a Friday is quiet."""


def is_quiet(now: datetime) -> bool:
    """Whether nothing unpleasant may arrive: on a day off, on the day before a public holiday, and on a Friday after
    14. Nobody is there to be called."""
    local = now.astimezone(DENMARK)
    day = local.date()
    if not is_working_day(day) or (day.weekday() == 4 and local.time() >= WEEKEND):
        return True
    morrow = day + timedelta(days=1)
    return morrow.weekday() < 5 and not is_working_day(morrow)


def morning_from(moment: datetime) -> datetime:
    """The first morning of a working day, from a moment on, at which letters leave."""
    day = moment.astimezone(DENMARK).date()
    while True:
        morning = datetime.combine(day, LETTERS_LEAVE, DENMARK)
        if morning >= moment and is_working_day(day):
            return morning.astimezone(UTC)
        day += timedelta(days=1)


def until(now: datetime, told: Iterable[Event], left: Iterable[datetime], most: int) -> datetime:
    """From when on a letter with these events may leave: `now`, or later. `left` are the times of the letters that the
    person has had; `most`, how many a week they get."""
    events = list(told)
    if any(KINDS[event.kind].urgent for event in events):
        return now
    week = sorted(at for at in left if now - WEEK < at <= now)
    wanted = morning_from(week[-most] + WEEK) if len(week) >= most else now
    wanted = quiet_until(wanted, unpleasant=any(KINDS[event.kind].unpleasant for event in events))
    return max(now, min([wanted, *(event.latest for event in events if event.latest is not None)]))


def quiet_until(moment: datetime, *, unpleasant: bool) -> datetime:
    """The moment, or when its quiet hours are over."""
    while unpleasant and is_quiet(moment):
        moment = morning_from(moment + timedelta(seconds=1))
    return moment
