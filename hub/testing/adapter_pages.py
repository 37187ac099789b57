"""The kit for adapters: pages, cursors, and what has changed since."""

from __future__ import annotations

from collections.abc import Callable, Set
from contextlib import suppress
from itertools import islice

import pytest

import hub
from hub.testing.adapter_setup import AdapterSetup, MakeAdapter, Operation, both, ids, mirror_of, records_in, run, whole


class Pages(AdapterSetup):
    """Every record once, from every page on, and nothing for ever."""

    @both
    def test_each_record_comes_once(self, adapter: hub.Adapter, operation: Operation, children: Set[str]) -> None:
        """A record that comes twice while nothing changes hides a page that is read twice, or another that is not."""
        counts = ids(whole(adapter, operation, children))
        assert {name: count for name, count in counts.items() if count > 1} == {}

    @both
    def test_every_page_says_where_to_go_on(
        self, adapter: hub.Adapter, operation: Operation, children: Set[str]
    ) -> None:
        """After a crash the hub goes on from the last page it stored; None there would begin from the start."""
        pages = whole(adapter, operation, children)
        for page in pages[:-1]:
            assert isinstance(page.cursor, str), "a page that is not the last has no cursor"
            assert page.cursor, "a page that is not the last has no cursor"

    @both
    def test_full_read_is_complete_on_its_last_page_only(
        self, adapter: hub.Adapter, operation: Operation, children: Set[str]
    ) -> None:
        """`complete` makes the hub forget what has not come by then: too early it loses cases, never it keeps them."""
        said = [page.complete for page in whole(adapter, operation, children)]
        assert said == [False] * (len(said) - 1) + [True]

    @both
    def test_resumes_right_after_every_page(
        self, adapter: hub.Adapter, make_adapter: MakeAdapter, operation: Operation, children: Set[str]
    ) -> None:
        """Killed after any page, the hub goes on in a new process and gets the rest: no more and no less."""
        pages = whole(adapter, operation, children)
        if not records_in(pages):
            return
        assert len(pages) >= 3, f"{operation} gives {len(pages)} pages: make the kit's adapter with a small page_size"
        for place, page in enumerate(pages[:-1], start=1):
            if page.cursor is None:
                continue  # test_every_page_says_where_to_go_on
            rest = list(run(make_adapter(), operation, page.cursor, children))
            assert ids(rest) == ids(pages[place:]), f"resumed after page {place} of {len(pages)}"
            assert not any(each.complete for each in rest[:-1]), f"complete too early, resumed after page {place}"

    @both
    def test_can_be_left_in_the_middle(self, adapter: hub.Adapter, operation: Operation, children: Set[str]) -> None:
        """A run that is stopped must not stand in the way of the next."""
        before = ids(whole(adapter, operation, children))
        left = run(adapter, operation, None, children)
        list(islice(left, 1))
        again = ids(whole(adapter, operation, children))
        del left
        assert again == before

    @both
    def test_cursor_it_did_not_write_loses_nothing(
        self, adapter: hub.Adapter, operation: Operation, children: Set[str]
    ) -> None:
        """After an upgrade the hub still has the old version's cursor: read all, or say that a person must look."""
        before = mirror_of(whole(adapter, operation, children))
        # A source may give cursors of its own, and refuse this one; then a person must look.
        with suppress(hub.GaveUp, hub.TryAgain):
            pages = list(run(adapter, operation, "a cursor of another version", children))
            assert mirror_of(pages) == before

    @both
    def test_unchanged_source_changes_nothing(
        self, adapter: hub.Adapter, make_adapter: MakeAdapter, operation: Operation, children: Set[str]
    ) -> None:
        """Most reads find nothing new; one of them that says `complete` would make the hub forget everything."""
        first = whole(adapter, operation, children)
        second = list(run(make_adapter(), operation, first[-1].cursor, children))
        assert mirror_of(first, second) == mirror_of(first)

    @both
    def test_removed_is_gone_after_the_next_read(
        self, adapter: hub.Adapter, operation: Operation, children: Set[str], remove: Callable[[], None]
    ) -> None:
        """What a source takes away must not be told any more: by a tombstone, or by a complete read without it."""
        before = whole(adapter, operation, children)
        remove()
        fresh = list(run(adapter, operation, None, children))
        if records_in(before):
            assert mirror_of(before).keys() - mirror_of(fresh).keys(), "the fixture remove took nothing away"
        later = list(run(adapter, operation, before[-1].cursor, children))
        assert mirror_of(before, later).keys() <= mirror_of(fresh).keys(), "still there after the next read"

    @both
    def test_changed_comes_with_the_next_read(
        self, adapter: hub.Adapter, operation: Operation, children: Set[str], change: Callable[[], None]
    ) -> None:
        """Reading on from the cursor leads to the same as reading all afresh."""
        before = whole(adapter, operation, children)
        change()
        fresh = list(run(adapter, operation, None, children))
        if records_in(before):
            assert mirror_of(fresh) != mirror_of(before), "the fixture change changed nothing"
        later = list(run(adapter, operation, before[-1].cursor, children))
        known, expected = mirror_of(before, later), mirror_of(fresh)
        # What is gone is another test's.
        assert {name: known.get(name) for name in expected} == expected

    @both
    @pytest.mark.parametrize("act", ["change", "remove"])
    def test_what_happens_while_it_is_read_comes_at_the_latest_next_time(
        self, adapter: hub.Adapter, operation: Operation, act: str, children: Set[str], request: pytest.FixtureRequest
    ) -> None:
        """A source does not stand still while it is read. What was there all the while must come; what changed may come
        in this read or the next, and must not be lost in between. A source that cannot promise that raises TryAgain,
        and is read again."""
        reading = run(adapter, operation, None, children)
        pages = list(islice(reading, 1))
        request.getfixturevalue(act)()
        with suppress(hub.TryAgain):
            pages += reading
        later = list(run(adapter, operation, pages[-1].cursor, children))
        known, fresh = mirror_of(pages, later), mirror_of(list(run(adapter, operation, None, children)))
        assert {name: known.get(name) for name in fresh} == fresh, "lost between two pages"
        assert known.keys() <= fresh.keys(), "still there after the next read"
