"""The kit for adapters: a source that means harm, or whose answers are so wrong that it might as well."""

from __future__ import annotations

import threading
import time
import tracemalloc
from collections.abc import Set
from pathlib import Path

import pytest

import hub
from hub.reading.paging import onward
from hub.testing.adapter_setup import (
    AdapterSetup,
    MakeAdapter,
    Operation,
    both,
    mirror_of,
    records_in,
    requests_of,
    run,
)
from hub.testing.front import Front, Trouble
from hub.testing.hostile import HOSTILE
from hub.testing.trouble import BOMB_SIZE, ROUNDS, bomb


def _told(pages: list[hub.Page]) -> bool:
    return any(isinstance(record, hub.Unreadable) for record in records_in(pages))


class Hostile(AdapterSetup):
    """Nothing that a source answers takes the hub down, holds it up, or makes it forget."""

    @both
    @pytest.mark.parametrize("harm", HOSTILE)
    def test_hostile_answer_is_told_or_does_nothing(
        self, adapter: hub.Adapter, operation: Operation, harm: str, children: Set[str], front: Front,
        folder: Path | None,
    ) -> None:  # fmt: skip
        """Whatever comes: TryAgain, GaveUp, an Unreadable, or the records as they are. No other error, and no case
        forgotten because its neighbour could not be read."""
        before = list(run(adapter, operation, None, children))
        if not records_in(before):
            return
        if folder is None:
            front.change(HOSTILE[harm])
        else:
            largest = max((path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
            largest.write_bytes(HOSTILE[harm](largest.read_bytes()))
        try:
            pages = list(run(adapter, operation, None, children))
        except (hub.TryAgain, hub.GaveUp):
            return
        if pages and pages[-1].complete and not _told(pages):
            assert mirror_of(before).keys() <= mirror_of(before, pages).keys(), "taken for a source that has less"

    @both
    def test_zip_bomb_takes_no_memory(
        self, adapter: hub.Adapter, operation: Operation, children: Set[str], front: Front
    ) -> None:
        """Half a megabyte that unpacks to half a gigabyte, or to as much as somebody likes."""
        if not requests_of(adapter, operation, children, front):
            return
        bomb()  # made once, and not while memory is measured
        front.trouble(Trouble.BOMB)
        tracemalloc.start()
        try:
            with pytest.raises((hub.TryAgain, hub.GaveUp)):
                list(run(adapter, operation, None, children))
            assert tracemalloc.get_traced_memory()[1] < BOMB_SIZE // 4, "unpacked it all"
        finally:
            tracemalloc.stop()

    @both
    def test_source_that_leads_in_a_circle_is_left(
        self, adapter: hub.Adapter, operation: Operation, children: Set[str], front: Front
    ) -> None:
        """A next link that leads back must end in an error and not in a night of reading. The hub sees it when a page's
        cursor comes back; an adapter that asks on without giving pages must see it by itself."""
        before = list(run(adapter, operation, None, children))
        asked = len(requests_of(adapter, operation, children, front))
        if not asked:
            return
        front.trouble(Trouble.CIRCLE)
        began = len(front.requests)
        try:
            pages = list(onward(run(adapter, operation, None, children)))
        except (hub.TryAgain, hub.GaveUp):
            pages = []
        # However many requests its circle takes: it does not go round for ever.
        assert len(front.requests) - began < max(ROUNDS, 2 * asked), "went round and round"
        if pages and pages[-1].complete and not _told(pages):
            assert mirror_of(before).keys() <= mirror_of(before, pages).keys(), "half a circle was taken for the whole"

    @both
    def test_answer_that_drips_is_given_up(
        self, make_adapter: MakeAdapter, operation: Operation, children: Set[str], front: Front, short: float,
        time_limit: float,
    ) -> None:  # fmt: skip
        """A byte now and then keeps every time-out from running out, and a worker busy for ever."""
        if not requests_of(make_adapter(), operation, children, front):
            return
        adapter = make_adapter(timeout_seconds=short / 2)
        front.trouble(Trouble.SLOW)
        end = threading.Timer(time_limit + 1, front.well)
        end.start()
        began = time.monotonic()
        try:
            with pytest.raises((hub.TryAgain, hub.GaveUp)):
                list(run(adapter, operation, None, children))
            assert time.monotonic() - began < time_limit
        finally:
            end.cancel()
