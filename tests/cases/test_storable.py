"""One character that cannot be stored stops one record, and no more."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hub import (
    CaseRecord,
    DeliveryStatus,
    GaveUp,
    Page,
    Presence,
    StaffRecord,
    State,
    Status,
    StatusPage,
    TryAgain,
    Unreadable,
)
from hub.cases import match, sync
from hub.cases.storable import storable
from hub.store import tables

BAD = ["a\0b", "a\ud800b", "\udfff"]


@pytest.mark.parametrize("bad", BAD)
def test_good_pages_are_given_as_they_are_and_bad_records_alone_are_not(world: Any, bad: str) -> None:
    good = Presence("fine", world.number(2), State.OPEN)
    page = Page((good, Presence("x", world.number(1) + bad, State.OPEN), good), "cursor", complete=True, ignored=3)
    [found] = storable(iter([page]))
    assert (found.records[0], found.records[2]) == (good, good)
    assert (found.cursor, found.complete, found.ignored) == ("cursor", True, 3)
    told = found.records[1]
    assert isinstance(told, Unreadable)
    assert (told.position, told.source_id) == ("page 1, record 2", "x"), "its own id, so that it is not gone"
    assert world.number(1) not in told.position + told.reason
    assert b"Presence" in told.raw
    whole = Page((good,), "cursor")
    assert next(storable(iter([whole]))) is whole


@pytest.mark.parametrize("bad", BAD)
def test_a_cursor_that_cannot_be_stored_is_for_a_person(bad: str) -> None:
    with pytest.raises(GaveUp, match="cursor of page 2"):
        list(storable(iter([Page((), "fine"), Page((), bad)])))


@pytest.mark.parametrize("bad", BAD)
def test_statuses_too(world: Any, bad: str) -> None:
    status = Status("key", DeliveryStatus.FAILED, world.clock.now(), reason=bad)
    [page] = storable(iter([StatusPage((status, replace(status, reason="")), None)]))
    assert isinstance(page.statuses[0], Unreadable)
    assert page.statuses[1] == replace(status, reason="")


@pytest.mark.parametrize("bad", BAD)
def test_match_goes_on(world: Any, bad: str) -> None:
    world.sof.put(Presence(f"x{bad}", world.number(1), State.OPEN))
    world.sof.put(Presence("y", world.number(2), State.OPEN))
    read = next(read for read in match.match(world.ctx).reads if read.source == "sof")
    assert (read.failure, read.read, read.quarantined) == (None, 1, 1)


@pytest.mark.parametrize("bad", BAD)
def test_sync_goes_on(world: Any, bad: str) -> None:
    child = world.number(1)
    world.accepted(child)
    world.case(world.sof, f"id{bad}", child)
    world.case(world.sof, "staff", child, adviser=StaffRecord("s", f"Anne {bad}"))
    world.case(world.sof, "fine", child)
    whole = world.sof.read

    def read(since: str | None, children: Any) -> Any:
        first, *rest = whole(since, children)
        yield replace(first, records=(*first.records, Unreadable(f"place {bad}", f"why {bad}")))
        yield from rest

    world.sof.read = read
    found = next(read for read in sync.sync(world.ctx) if read.source == "sof")
    assert (found.failure, found.read, found.quarantined) == (None, 1, 3)
    assert len(world.rows(tables.Case)) == 1


def test_what_is_wrong_with_the_source_goes_through() -> None:
    def down() -> Any:
        yield Page((CaseRecord("a", "0104149990", "help", State.OPEN),), "a")
        raise TryAgain("no answer")

    with pytest.raises(TryAgain, match="no answer"):
        list(storable(down()))
