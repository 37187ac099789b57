"""Danish working days and published time limits, by examples reckoned by hand with a calendar."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub import Kind
from hub.cases.deadlines import add_working_days, is_working_day, published_deadline, working_days_between

DAYS = st.dates(date(2024, 1, 1), date(2032, 12, 31))


@pytest.mark.parametrize(
    ("day", "works"),
    [
        (date(2026, 1, 1), False),  # New Year
        (date(2026, 4, 1), True),
        (date(2026, 4, 2), False),  # Maundy Thursday
        (date(2026, 4, 3), False),  # Good Friday
        (date(2026, 4, 6), False),  # Easter Monday
        (date(2026, 4, 7), True),
        (date(2026, 5, 1), True),  # 1 May, and the old Great Prayer Day, which went with 2023
        (date(2026, 5, 14), False),  # Ascension
        (date(2026, 5, 15), True),  # the Friday after it is no holiday by law
        (date(2026, 5, 25), False),  # Whit Monday
        (date(2026, 6, 5), True),  # Constitution Day
        (date(2026, 12, 24), True),
        (date(2026, 12, 25), False),
        (date(2026, 12, 26), False),
        (date(2026, 12, 31), True),
        (date(2023, 5, 5), False),  # the last Great Prayer Day
        (date(2026, 11, 7), False),  # a Saturday
        (date(2026, 11, 8), False),
    ],
)
def test_working_days_are_those_of_the_danish_law(day, works):
    assert is_working_day(day) is works


@pytest.mark.parametrize(
    ("opened", "weeks", "last"),
    [
        (date(2026, 11, 2), 12, date(2027, 1, 25)),  # 84 days on: a Monday
        (date(2026, 3, 5), 4, date(2026, 4, 7)),  # 2 April is Maundy Thursday: the Tuesday after Easter
        (date(2026, 8, 15), 1, date(2026, 8, 24)),  # 22 August is a Saturday
        (date(2026, 12, 11), 2, date(2026, 12, 28)),  # 25 December, a Friday: the Monday after
        (date(2026, 12, 4), 4, date(2027, 1, 4)),  # 1 January 2027, a Friday: the Monday after
        (date(2026, 4, 27), 4, date(2026, 5, 26)),  # Whit Monday: the Tuesday
    ],
)
def test_a_limit_in_weeks_ends_on_a_working_day(opened, weeks, last):
    assert published_deadline(opened, Kind(name="hjælp", limit_weeks=weeks)) == last


@pytest.mark.parametrize(
    ("opened", "days", "last"),
    [
        (date(2026, 11, 2), 10, date(2026, 11, 16)),
        (date(2026, 11, 6), 1, date(2026, 11, 9)),  # Friday, Monday
        (date(2026, 11, 7), 1, date(2026, 11, 9)),  # a case that came on a Saturday
        # 30, 31 March, 1 April; Easter; 7 to 10; 13, 14, 15 April.
        (date(2026, 3, 27), 10, date(2026, 4, 15)),
        # 21 to 24 December are four, 28 to 31 four more, then 4 and 5 January.
        (date(2026, 12, 18), 10, date(2027, 1, 5)),
    ],
)
def test_a_limit_in_working_days_counts_from_the_day_after(opened, days, last):
    assert published_deadline(opened, Kind(name="hjælp", limit_working_days=days)) == last


@pytest.mark.parametrize(
    ("opened", "kind"),
    [(None, Kind(name="a", limit_weeks=4)), (date(2026, 1, 5), None), (date(2026, 1, 5), Kind(name="a"))],
)
def test_the_hub_invents_no_deadline(opened, kind):
    assert published_deadline(opened, kind) is None


@given(DAYS, st.integers(1, 80))
def test_adding_and_counting_are_each_others_opposites(day, count):
    later = add_working_days(day, count)
    assert is_working_day(later)
    assert working_days_between(day, later) == count


@given(DAYS, st.integers(1, 80))
def test_one_more_is_the_next_working_day(day, count):
    here, after = add_working_days(day, count), add_working_days(day, count + 1)
    assert here < after
    assert not any(is_working_day(here + timedelta(days=n)) for n in range(1, (after - here).days))


@given(DAYS, DAYS)
def test_counting_backwards_is_the_same_with_a_minus(a, b):
    assert working_days_between(a, b) == -working_days_between(b, a)


@given(DAYS)
def test_no_days_on_is_today_or_the_next_working_day(day):
    found = add_working_days(day, 0)
    assert is_working_day(found)
    assert found == day or not is_working_day(day)
