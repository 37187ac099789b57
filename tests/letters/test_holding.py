"""When a letter may leave: not what is unpleasant before a day off, and not more than so many a week; but never past
the last moment that the law leaves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.cases import kinds
from hub.cases.kinds import KINDS
from hub.clock import DENMARK
from hub.letters import holding
from hub.store.tables import Event

WEDNESDAY = datetime(2026, 11, 4, 12, 0, tzinfo=UTC)
FRIDAY = datetime(2026, 11, 6, 7, 0, tzinfo=UTC)


def event(kind: str, latest: datetime | None = None) -> Event:
    return Event(id=uuid4(), kind=kind, latest=latest)


def danish(*when: int) -> datetime:
    return datetime(*when, tzinfo=DENMARK)


@pytest.mark.parametrize(
    ("when", "quiet"),
    [
        (danish(2026, 11, 6, 13, 59), False),
        (danish(2026, 11, 6, 14, 0), True),  # Friday after 14
        (danish(2026, 11, 7, 10), True),
        (danish(2026, 11, 8, 23), True),
        (danish(2026, 11, 9, 0), False),
        (danish(2026, 11, 5, 20), False),  # a Thursday is no day before a day off
        (danish(2026, 4, 1, 8), True),  # the day before Maundy Thursday
        (danish(2026, 4, 2, 8), True),
        (danish(2026, 4, 6, 8), True),  # Easter Monday
        (danish(2026, 4, 7, 8), False),
        (danish(2026, 12, 24, 8), True),  # the day before Christmas Day
        (danish(2026, 5, 13, 8), True),  # the day before Ascension Day
    ],
)
def test_quiet_hours_are_those_before_and_on_days_off(when: datetime, quiet: bool) -> None:
    assert holding.is_quiet(when.astimezone(UTC)) is quiet


def test_what_is_unpleasant_waits_for_the_next_working_morning() -> None:
    afternoon = danish(2026, 11, 6, 15).astimezone(UTC)
    assert holding.until(afternoon, [event(kinds.CASE_CLOSED)], (), 2) == danish(2026, 11, 9, 8)
    assert holding.until(afternoon, [event(kinds.CASE_OPENED)], (), 2) == afternoon
    before_easter = danish(2026, 4, 1, 9).astimezone(UTC)
    assert holding.until(before_easter, [event(kinds.CASE_CLOSED)], (), 2) == danish(2026, 4, 7, 8)


def test_but_not_past_its_latest_moment_and_not_when_urgent() -> None:
    saturday = danish(2026, 11, 7, 9).astimezone(UTC)
    latest = saturday + timedelta(hours=3)
    assert holding.until(saturday, [event(kinds.DEADLINE_POSTPONED, latest)], (), 2) == latest
    assert holding.until(saturday, [event(kinds.DEADLINE_POSTPONED, saturday - timedelta(days=1))], (), 2) == saturday
    assert holding.until(saturday, [event(kinds.DEADLINE_UNKEPT), event(kinds.CASE_CLOSED)], (), 2) == saturday


def test_nobody_gets_more_letters_in_a_week_than_the_settings_say() -> None:
    """Two were written on Monday and Tuesday: the third leaves on the next Monday."""
    had = [datetime(2026, 11, 2, 7, tzinfo=UTC), datetime(2026, 11, 3, 7, tzinfo=UTC)]
    assert holding.until(WEDNESDAY, [event(kinds.CASE_OPENED)], had, 2) == datetime(2026, 11, 9, 7, tzinfo=UTC)
    assert holding.until(WEDNESDAY, [event(kinds.CASE_OPENED)], had, 3) == WEDNESDAY
    assert holding.until(WEDNESDAY, [event(kinds.CASE_OPENED)], had[:1], 2) == WEDNESDAY
    assert holding.until(WEDNESDAY, [event(kinds.DEADLINE_UNKEPT)], had, 2) == WEDNESDAY
    old = [at - timedelta(days=7) for at in had]
    assert holding.until(WEDNESDAY, [event(kinds.CASE_OPENED)], old, 2) == WEDNESDAY


def test_letters_that_a_wrong_clock_dated_ahead_hold_up_nothing() -> None:
    ahead = [WEDNESDAY + timedelta(days=n) for n in (1, 30, 400)]
    assert holding.until(WEDNESDAY, [event(kinds.CASE_OPENED)], ahead, 2) == WEDNESDAY


MOMENTS = st.integers(0, 6 * 365 * 24 * 60).map(lambda m: datetime(2024, 1, 1, tzinfo=UTC) + timedelta(minutes=m))
EVENTS = st.lists(
    st.builds(event, st.sampled_from(sorted(KINDS)), st.none() | MOMENTS), min_size=1, max_size=4
)  # fmt: skip


@given(MOMENTS, EVENTS, st.lists(st.integers(0, 20 * 24), max_size=6), st.integers(1, 4))
def test_holds_for_all_that_can_wait_at_any_time(now, told, hours, most) -> None:
    left = [now - timedelta(hours=ago) for ago in hours]
    found = holding.until(now, told, left, most)
    assert now <= found <= now + timedelta(days=30)
    latest = min((one.latest for one in told if one.latest is not None), default=None)
    if latest is not None:
        assert found <= max(now, latest)
    urgent = any(KINDS[one.kind].urgent for one in told)
    if urgent:
        assert found == now
    elif latest is None or found < latest:
        assert not (any(KINDS[one.kind].unpleasant for one in told) and holding.is_quiet(found))
        if found > now:
            assert found.astimezone(DENMARK).time() == kinds.LETTERS_LEAVE
        assert sum(found - holding.WEEK < at for at in left) < most
