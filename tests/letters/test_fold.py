"""What contradicts itself while it waits is told as what it came to, and what is folded away says into what."""

from __future__ import annotations

from datetime import date
from itertools import count
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.cases import kinds as k
from hub.letters.fold import KNOWN, PAST, UNDONE, Now, fold, into
from hub.store.tables import Event

CHILD, CASE = UUID(int=1), UUID(int=2)
D1, D2, D3 = date(2027, 1, 10), date(2027, 1, 20), date(2027, 1, 30)
_seq = count(1)


def case(kind: str, day: date | None = None) -> Event:
    return Event(id=uuid4(), kind=kind, child_id=CHILD, case_id=CASE, day=day, seq=next(_seq))


def child(kind: str, administration: str | None = None) -> Event:
    return Event(id=uuid4(), kind=kind, child_id=CHILD, case_id=None, administration=administration, seq=next(_seq))


def came_to(events: list[Event], deadline: date | None = None, *unkept: date) -> tuple[list[str], list[str]]:
    """The kinds that are told, and the reasons of the others in their order."""
    found = fold(events, Now({CASE: deadline}, {(CASE, day) for day in unkept}))
    return [event.kind for event in found.told], [found.ended[e.id] for e in events if e.id in found.ended]


@pytest.mark.parametrize(
    ("events", "deadline", "told", "ended"),
    [
        # a date that moved twice is told once, with the date that holds
        ([(k.DEADLINE_POSTPONED, D1), (k.DEADLINE_POSTPONED, D2)], D3, [k.DEADLINE_POSTPONED],
         [into(k.DEADLINE_POSTPONED)]),
        # later and then earlier than it was: it has been moved forward
        ([(k.DEADLINE_POSTPONED, D2), (k.DEADLINE_MOVED, D3)], D1, [k.DEADLINE_MOVED], [into(k.DEADLINE_MOVED)]),
        # forward, and then later than it was
        ([(k.DEADLINE_MOVED, D2), (k.DEADLINE_POSTPONED, D1)], D3, [k.DEADLINE_POSTPONED],
         [into(k.DEADLINE_POSTPONED)]),
        ([(k.DEADLINE_POSTPONED, D1), (k.DEADLINE_MOVED, D2)], D1, [], [UNDONE, UNDONE]),
        ([(k.DEADLINE_SET, None), (k.DEADLINE_POSTPONED, D1)], D2, [k.DEADLINE_SET], [into(k.DEADLINE_SET)]),
        # near and decided is decided; so is what could not be kept
        ([(k.DEADLINE_NEAR, D1), (k.DECIDED, None)], None, [k.DECIDED], [into(k.DECIDED)]),
        ([(k.DEADLINE_UNKEPT, D1), (k.DECIDED, None)], None, [k.DECIDED], [into(k.DECIDED)]),
        ([(k.DECIDED, None), (k.DEADLINE_SET, None)], D1, [k.DEADLINE_SET, k.DECIDED], []),  # decided anew
        ([(k.DEADLINE_NEAR, D1)], None, [], [PAST]),
        ([(k.DEADLINE_NEAR, D1)], D2, [], [PAST]),  # the new date has been told
        ([(k.DEADLINE_NEAR, D1), (k.DEADLINE_AT_HAND, D1), (k.DEADLINE_UNKEPT, D1)], D1, [k.DEADLINE_UNKEPT],
         [into(k.DEADLINE_UNKEPT)] * 2),
        # the adviser gives a new date before the letter that says there is none
        ([(k.DEADLINE_UNKEPT, D1), (k.DEADLINE_POSTPONED, D1)], D2, [k.DEADLINE_POSTPONED],
         [into(k.DEADLINE_POSTPONED)]),
        # a new date that is near already is said once
        ([(k.DEADLINE_MOVED, D2), (k.DEADLINE_NEAR, D1)], D1, [k.DEADLINE_MOVED], [into(k.DEADLINE_MOVED)]),
        # … and that it cannot be kept either is news of its own
        ([(k.DEADLINE_MOVED, D2), (k.DEADLINE_UNKEPT, D1)], D1, [k.DEADLINE_UNKEPT, k.DEADLINE_MOVED], []),
        # opened and closed is one sentence
        ([(k.CASE_OPENED, None), (k.CASE_CLOSED, None)], None, [k.CASE_CLOSED], [into(k.CASE_CLOSED)]),
        ([(k.APPLIED, None), (k.DEADLINE_SET, None), (k.DECIDED, None)], None, [k.DECIDED], [into(k.DECIDED)] * 2),
        ([(k.APPLIED, None), (k.ADVISER_CHANGED, None), (k.DEADLINE_SET, None)], D1, [k.APPLIED],
         [into(k.APPLIED)] * 2),
        ([(k.APPLIED, None), (k.DECIDED, None), (k.CASE_CLOSED, None)], None, [k.DECIDED, k.CASE_CLOSED],
         [into(k.DECIDED)]),
        ([(k.ADVISER_CHANGED, None)] * 3, None, [k.ADVISER_CHANGED], [into(k.ADVISER_CHANGED)] * 2),
        ([(k.DECIDED, None), (k.DECIDED, None)], None, [k.DECIDED], [into(k.DECIDED)]),
    ],
)  # fmt: skip
def test_news_of_a_case_is_what_it_came_to(events, deadline, told, ended) -> None:
    assert came_to([case(kind, day) for kind, day in events], deadline) == (told, ended)


def test_that_a_deadline_passed_is_no_news_to_who_was_told_that_it_would() -> None:
    assert came_to([case(k.DEADLINE_PASSED, D1)], D1) == ([k.DEADLINE_PASSED], [])
    assert came_to([case(k.DEADLINE_PASSED, D1)], D1, D1) == ([], [KNOWN])
    assert came_to([case(k.DEADLINE_PASSED, D2)], D2, D1) == ([k.DEADLINE_PASSED], [])


@pytest.mark.parametrize(
    ("events", "told", "ended"),
    [
        ([k.COORDINATOR_SUBSTITUTE, k.COORDINATOR_BACK], [], [UNDONE] * 2),
        ([k.COORDINATOR_BACK], [k.COORDINATOR_BACK], []),
        ([k.COORDINATOR_BACK, k.COORDINATOR_SUBSTITUTE], [], [UNDONE] * 2),
        (
            [k.COORDINATOR_SUBSTITUTE, k.COORDINATOR_BACK, k.COORDINATOR_SUBSTITUTE],
            [k.COORDINATOR_SUBSTITUTE],
            [into(k.COORDINATOR_SUBSTITUTE)] * 2,
        ),
        ([k.ASSIGNED, k.COORDINATOR_CHANGED], [k.ASSIGNED], [into(k.ASSIGNED)]),
        ([k.COORDINATOR_SUBSTITUTE, k.COORDINATOR_CHANGED], [k.COORDINATOR_CHANGED], [into(k.COORDINATOR_CHANGED)]),
        (
            [k.COORDINATOR_CHANGED, k.COORDINATOR_HANDED_OVER],
            [k.COORDINATOR_HANDED_OVER],
            [into(k.COORDINATOR_HANDED_OVER)],
        ),
        ([k.COORDINATOR_CHANGED, k.COORDINATOR_BACK, k.ASSIGNED], [k.ASSIGNED], [into(k.ASSIGNED)] * 2),
        ([k.OFFERED, k.OFFERED], [k.OFFERED], [into(k.OFFERED)]),
    ],
)
def test_news_of_a_coordinator_is_what_it_came_to(events, told, ended) -> None:
    assert came_to([child(kind) for kind in events]) == (told, ended)


def test_of_a_consent_given_and_taken_back_the_last_is_told_for_each_administration() -> None:
    events = [child(k.CONSENT_GIVEN, "SUF"), child(k.CONSENT_GIVEN, "BUF"), child(k.CONSENT_WITHDRAWN, "SUF")]
    assert came_to(events) == ([k.CONSENT_GIVEN, k.CONSENT_WITHDRAWN], [into(k.CONSENT_WITHDRAWN)])


def test_what_the_reader_must_do_first_stands_first() -> None:
    events = [child(k.COORDINATOR_CHANGED), case(k.DECIDED), child(k.OFFERED), child(k.TURNS_15)]
    assert came_to(events)[0] == [k.OFFERED, k.TURNS_15, k.COORDINATOR_CHANGED, k.DECIDED]


ANY = st.lists(
    st.tuples(st.sampled_from(sorted(k.KINDS)), st.sampled_from([D1, D2, D3]), st.sampled_from(["SUF", "BUF"])),
    min_size=1,
    max_size=10,
)


@given(ANY, st.sampled_from([None, D1, D2, D3]))
def test_each_is_told_or_has_a_reason_and_in_order(drawn, deadline) -> None:
    events = [
        case(kind, day) if k.KINDS[kind].about == "case" else child(kind, administration)
        for kind, day, administration in drawn
    ]
    found = fold(events, Now({CASE: deadline}))
    told = {event.id for event in found.told}
    assert told.isdisjoint(found.ended)
    assert told | found.ended.keys() == {event.id for event in events}
    assert set(found.ended.values()) <= {UNDONE, PAST, KNOWN} | {into(event.kind) for event in events}
    assert [k.RANK[event.kind] for event in found.told] == sorted(k.RANK[event.kind] for event in found.told)
    if not {event.kind for event in events} & {k.DEADLINE_SET, k.DEADLINE_MOVED, k.DEADLINE_POSTPONED}:
        assert fold(found.told, Now({CASE: deadline})).told == found.told  # once is enough
