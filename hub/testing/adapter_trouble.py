"""The kit for adapters: a source that is not well."""

from __future__ import annotations

import time
from collections.abc import Set
from contextlib import suppress
from pathlib import Path

import pytest
from starlette.types import ASGIApp

import hub
from hub.testing.adapter_setup import (
    AdapterSetup,
    MakeAdapter,
    Operation,
    both,
    mirror_of,
    records_in,
    requests_of,
    run,
    whole,
)
from hub.testing.front import ASKED_TO_WAIT, Front, Trouble


class InTrouble(AdapterSetup):
    """Silence is not absence, and half an answer is none."""

    @both
    @pytest.mark.parametrize("trouble", [Trouble.DOWN, Trouble.BROKEN, Trouble.TORN])
    @pytest.mark.parametrize("at", ["first", "last"])
    def test_source_that_does_not_answer_is_told(
        self, adapter: hub.Adapter, operation: Operation, trouble: Trouble, at: str, children: Set[str], front: Front
    ) -> None:
        """Silence is not absence: TryAgain shows as "no answer since", and not as "nothing there"."""
        asked = len(requests_of(adapter, operation, children, front))
        if asked:
            front.trouble(trouble, after=0 if at == "first" else asked - 1)
            with pytest.raises(hub.TryAgain):
                list(run(adapter, operation, None, children))

    @both
    def test_source_that_is_busy_is_asked_again_when_it_says(
        self, adapter: hub.Adapter, operation: Operation, children: Set[str], front: Front
    ) -> None:
        """It knows best when; a hub that comes back at once keeps it busy. TryAgain carries its Retry-After."""
        if requests_of(adapter, operation, children, front):
            front.trouble(Trouble.BUSY)
            with pytest.raises(hub.TryAgain) as told:
                list(run(adapter, operation, None, children))
            assert told.value.after_seconds == ASKED_TO_WAIT

    @both
    def test_access_that_ran_out_is_renewed_or_told(
        self, adapter: hub.Adapter, operation: Operation, children: Set[str], front: Front
    ) -> None:
        """A token lives for an hour, a first read longer. One 401 is a reason for a new token, or for an error."""
        before = list(run(adapter, operation, None, children))
        if requests_of(adapter, operation, children, front):
            front.trouble(Trouble.EXPIRED)
            try:
                pages = list(run(adapter, operation, None, children))
            except (hub.TryAgain, hub.GaveUp):
                return
            assert mirror_of(pages) == mirror_of(before), "records are missing after a 401"

    @both
    @pytest.mark.parametrize("trouble", [Trouble.LOCKED, Trouble.UNKNOWN])
    def test_lost_access_is_for_a_person(
        self, adapter: hub.Adapter, operation: Operation, trouble: Trouble, children: Set[str], front: Front
    ) -> None:
        """No night's reading mends an agreement that was ended, and asking on and on looks like an attack."""
        if requests_of(adapter, operation, children, front):
            front.trouble(trouble)
            began = len(front.requests)
            with pytest.raises(hub.GaveUp):
                list(run(adapter, operation, None, children))
            assert len(front.requests) - began <= 5, "asked on and on"

    @both
    def test_gives_up_waiting_in_time(
        self,
        make_adapter: MakeAdapter,
        operation: Operation,
        children: Set[str],
        front: Front,
        short: float,
        time_limit: float,
    ) -> None:
        """One source that hangs must not hold up the others."""
        if not requests_of(make_adapter(), operation, children, front):
            return
        adapter = make_adapter(timeout_seconds=short)
        front.trouble(Trouble.SILENT)
        began = time.monotonic()
        with pytest.raises(hub.TryAgain):
            list(run(adapter, operation, None, children))
        assert time.monotonic() - began < time_limit

    @both
    @pytest.mark.parametrize("trouble", [Trouble.WRONG, Trouble.CUT])
    @pytest.mark.parametrize("at", ["first", "last"])
    def test_answer_that_is_not_the_sources_is_not_taken_for_one(
        self, adapter: hub.Adapter, operation: Operation, trouble: Trouble, at: str, children: Set[str], front: Front
    ) -> None:
        """A sign-in page or half an answer, read as "no cases", would end every case the hub knows of."""
        asked = len(requests_of(adapter, operation, children, front))
        if asked:
            front.trouble(trouble, after=0 if at == "first" else asked - 1)
            try:
                pages = list(run(adapter, operation, None, children))
            except (hub.TryAgain, hub.GaveUp):
                return
            assert not pages[-1].complete, "half an answer was taken for the whole"

    def test_health_is_good_when_all_is_well(self, adapter: hub.Adapter) -> None:
        """An operator who sees a false alarm every day does not look any more."""
        health = adapter.health()
        assert type(health) is hub.Health
        assert health.ok, health.detail

    @pytest.mark.parametrize("trouble", [Trouble.DOWN, Trouble.SILENT, Trouble.LOCKED])
    def test_health_says_when_the_source_does_not_answer(
        self,
        make_adapter: MakeAdapter,
        trouble: Trouble,
        source: ASGIApp | None,
        front: Front,
        short: float,
        time_limit: float,
    ) -> None:
        """`tovholder doctor` asks this, and must get an answer and no exception, in time."""
        if source is None:
            return
        adapter = make_adapter(timeout_seconds=short)
        front.trouble(trouble)
        began = time.monotonic()
        health = adapter.health()
        assert not health.ok
        assert health.detail.strip(), "detail does not say what is wrong"
        assert time.monotonic() - began < time_limit

    @both
    def test_reads_again_when_the_source_is_back(
        self, adapter: hub.Adapter, operation: Operation, children: Set[str], front: Front
    ) -> None:
        """The hub keeps an adapter for weeks; a source that was down for a minute must not need a restart."""
        before = mirror_of(whole(adapter, operation, children))
        front.trouble(Trouble.DOWN)
        with suppress(hub.TovholderError):
            list(run(adapter, operation, None, children))
        front.well()
        assert mirror_of(list(run(adapter, operation, None, children))) == before

    @both
    def test_missing_folder_is_told(
        self, adapter: hub.Adapter, operation: Operation, children: Set[str], folder: Path | None
    ) -> None:
        """A share that is not mounted is not an empty one."""
        if folder is None or not records_in(list(run(adapter, operation, None, children))):
            return
        folder.rename(folder.with_name(folder.name + "-elsewhere"))
        with pytest.raises((hub.TryAgain, hub.GaveUp)):
            list(run(adapter, operation, None, children))
        assert not adapter.health().ok

    @both
    def test_file_cut_short_is_not_taken_for_the_whole(
        self, adapter: hub.Adapter, operation: Operation, children: Set[str], folder: Path | None
    ) -> None:
        """A file that is still being copied lacks its end; what stands there is not gone."""
        if folder is None or not records_in(list(run(adapter, operation, None, children))):
            return
        longest = max((path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
        longest.write_bytes(longest.read_bytes()[: longest.stat().st_size // 2])
        try:
            pages = list(run(adapter, operation, None, children))
        except (hub.TryAgain, hub.GaveUp):
            return
        assert not pages[-1].complete, "half a file was taken for the whole"
