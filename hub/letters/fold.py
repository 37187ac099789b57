"""What contradicts or repeats itself while it waits is told as what it came to: before a letter is written, not in it.

A date that moved twice is told once, with the date that holds; a case that was opened and closed is one sentence; a
date that was near and then decided is decided; a substitute who came and went is nothing. What is folded away ends with
its reason. Pure: nothing is read or stored here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import date
from typing import TypeVar
from uuid import UUID

from hub.cases import kinds
from hub.cases.changes import moved
from hub.store.tables import Event

Key = TypeVar("Key", UUID, str)
UNDONE = "it was undone before a letter told of it"
PAST = "the date it told of no longer holds"
KNOWN = "an earlier letter told that no answer would come in time"

_BEGINS = (kinds.APPLIED, kinds.CASE_OPENED)
_ENDS = (kinds.DECIDED, kinds.CASE_CLOSED)
_MOVES = (kinds.DEADLINE_SET, kinds.DEADLINE_MOVED, kinds.DEADLINE_POSTPONED)
_NEAR = (kinds.DEADLINE_NEAR, kinds.DEADLINE_AT_HAND, kinds.DEADLINE_UNKEPT, kinds.DEADLINE_PASSED)
"""Each says all that those before it say."""
OTHERS = (kinds.COORDINATOR_CHANGED, kinds.COORDINATOR_HANDED_OVER)
_COVER = (kinds.COORDINATOR_SUBSTITUTE, kinds.COORDINATOR_BACK)
_OFFICE = ((kinds.CONSENT_GIVEN, kinds.CONSENT_WITHDRAWN), (kinds.OFFICE_CLOSED, kinds.OFFICE_OPENED))
_ANSWER = (kinds.YES_GIVEN, kinds.NO_GIVEN, kinds.YES_WITHDRAWN)


def into(kind: str) -> str:
    """The reason of what another event of the letter tells as well."""
    return f"folded into {kind}"


@dataclass(frozen=True, slots=True)
class Now:
    """How things stand when the letter is written."""

    deadlines: Mapping[UUID, date | None] = field(default_factory=dict)
    """By case; none once there is an answer."""
    unkept: Set[tuple[UUID, date]] = frozenset()
    """Cases and deadlines of which the guardian has been told that no answer will come in time."""


@dataclass(slots=True)
class Folded:
    told: list[Event]
    ended: dict[UUID, str] = field(default_factory=dict)
    """By event: why it is not told."""

    def end(self, events: Iterable[Event], why: str) -> None:
        self.ended.update((event.id, why) for event in events if event.id not in self.ended)


def fold(events: Sequence[Event], now: Now) -> Folded:
    """What of the events of one bundle is told, in the order in which a letter tells it, and why the rest is not."""
    result = Folded([])
    ordered = sorted(events, key=lambda event: event.seq)
    for case, about in _by(ordered, lambda event: event.case_id).items():
        _case(result, about, now.deadlines.get(case), now.unkept)
    for about in _by(ordered, lambda event: event.child_id if event.case_id is None else None).values():
        _coordinator(result, about)
        _last(result, [event for event in about if event.kind == kinds.OFFERED])
        _answers(result, about)
    result.told = sorted(
        (event for event in ordered if event.id not in result.ended),
        key=lambda event: (kinds.RANK[event.kind], event.seq),
    )
    return result


def _by(events: Iterable[Event], key: Callable[[Event], Key | None]) -> dict[Key, list[Event]]:
    found: dict[Key, list[Event]] = {}
    for event in events:
        if (about := key(event)) is not None:
            found.setdefault(about, []).append(event)
    return found


def _of(events: Iterable[Event], *which: str) -> list[Event]:
    return [event for event in events if event.kind in which]


def _last(result: Folded, events: Sequence[Event]) -> None:
    """Of things that are each other's opposite or the same, the last holds."""
    for event in events[:-1]:
        result.end([event], into(events[-1].kind))


def _case(result: Folded, events: Sequence[Event], deadline: date | None, unkept: Set[tuple[UUID, date]]) -> None:
    for kind in (*_ENDS, kinds.ADVISER_CHANGED):
        _last(result, _of(events, kind))
    begins, ends = _of(events, *_BEGINS), _of(events, *_ENDS)
    if ends:
        # The first of what it came to tells that there was something at all; a later end is a sentence of its own.
        result.end(begins, into(ends[0].kind))
        result.end((event for event in _of(events, *_MOVES, *_NEAR) if event.seq < ends[-1].seq), into(ends[-1].kind))
    elif begins:
        # The letter shows a new case with its adviser and its date.
        result.end(_of(events, *_MOVES, kinds.ADVISER_CHANGED), into(begins[-1].kind))
    _deadline(result, [event for event in events if event.id not in result.ended], deadline, unkept)


def _deadline(result: Folded, events: Sequence[Event], deadline: date | None, unkept: Set[tuple[UUID, date]]) -> None:
    moves, near = _of(events, *_MOVES), _of(events, *_NEAR)
    if deadline is None:
        result.end([*moves, *near], PAST)
        return
    told = _move(result, moves, deadline)
    past = [event for event in near if event.day != deadline]
    result.end(past, into(told.kind) if told is not None else PAST)
    holds = sorted((event for event in near if event.day == deadline), key=lambda event: _NEAR.index(event.kind))
    known = [e for e in holds if e.kind == kinds.DEADLINE_PASSED and (e.case_id, deadline) in unkept]
    result.end(known, KNOWN)
    holds = [event for event in holds if event not in known]
    _last(result, holds)
    if told is not None and holds and holds[-1].kind in (kinds.DEADLINE_NEAR, kinds.DEADLINE_AT_HAND):
        result.end(holds, into(told.kind))  # which says the date


def _move(result: Folded, moves: Sequence[Event], deadline: date) -> Event | None:
    """The one that tells what the moves came to: from the date that held before the first of them, to the one that
    holds now."""
    if not moves:
        return None
    before = moves[0].day
    if before == deadline:
        result.end(moves, UNDONE)
        return None
    told = max(moves, key=lambda event: (event.kind == moved(before, deadline), event.seq))
    result.end((event for event in moves if event is not told), into(told.kind))
    return told


def _answers(result: Folded, events: Sequence[Event]) -> None:
    """What was said and then unsaid by the same mouth is told as what holds."""
    for mouth in _by(events, lambda event: event.spoke or "own").values():
        _last(result, _of(mouth, *_ANSWER))
        for both in _OFFICE:
            for said in _by(_of(mouth, *both), lambda event: event.administration).values():
                _last(result, said)


def _coordinator(result: Folded, events: Sequence[Event]) -> None:
    assigned, others, cover = _of(events, kinds.ASSIGNED), _of(events, *OTHERS), _of(events, *_COVER)
    _last(result, assigned)
    if assigned:
        result.end(others, into(kinds.ASSIGNED))  # the receipt names whoever it is now
    _last(result, others)
    if assigned or others:
        # Whoever was away before somebody else took over is nobody the family calls.
        since, told = max(event.seq for event in assigned + others), (assigned or others)[-1]
        result.end((event for event in cover if event.seq < since), into(told.kind))
        cover = [event for event in cover if event.seq > since]
    if cover and cover[0].kind != cover[-1].kind:
        result.end(cover, UNDONE)
    _last(result, cover)
