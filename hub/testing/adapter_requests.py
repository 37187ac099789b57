"""The kit for adapters: what is sent to a source, and where."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Set
from contextlib import suppress
from itertools import islice
from pathlib import Path

import pytest
from starlette.types import ASGIApp

import hub
from hub.testing.adapter_setup import OPERATIONS, AdapterSetup, Operation, both, requests_of, run
from hub.testing.front import Address, Front, Request, Trouble
from hub.testing.privacy import leaks


def _snapshot(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    return {
        str(path.relative_to(folder)): (path.stat().st_mode, path.stat().st_mtime_ns, path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


class Requests(AdapterSetup):
    """Reads only, declared ones only, to the source only."""

    @pytest.fixture
    def sent(self, adapter: hub.Adapter, children: Set[str], front: Front) -> list[Request]:
        """Every request of a life: full reads, reads from each cursor, a look at its health."""
        for operation in OPERATIONS:
            pages = list(run(adapter, operation, None, children))
            for page in pages:
                list(islice(run(adapter, operation, page.cursor, children), 2))
        adapter.health()
        return front.requests

    def test_sends_only_the_reads_it_declares(
        self, adapter: hub.Adapter, sent: list[Request], source: ASGIApp | None, base: str
    ) -> None:
        """`reads` is what a municipality's security officer approves; nothing else may be sent."""
        assert bool(sent) == (source is not None), "the adapter was not made on front.url"
        for request in sent:
            path = "/" + request.path.removeprefix(base.rstrip("/")).lstrip("/")
            assert any(
                request.method == method and fnmatch.fnmatchcase(path, pattern) for method, pattern in adapter.reads
            ), f"{request.method} {path} is not in reads"

    def test_sends_no_write(self, sent: list[Request], writes: Callable[[Request], bool]) -> None:
        """The hub reads those systems, and never writes."""
        for request in sent:
            assert not writes(request), f"{request.method} {request.path} is a write"

    def test_talks_to_its_source_only(self, sent: list[Request], front: Front, talked_to: set[Address]) -> None:
        """What an adapter reads goes to the hub, and nowhere else."""
        host, _, port = front.url.removeprefix("http://").partition(":")
        assert {address for address in talked_to if address not in {(host, int(port)), (host, None)}} == set()

    @both
    def test_is_not_led_elsewhere(
        self, adapter: hub.Adapter, operation: Operation, children: Set[str], front: Front
    ) -> None:
        """A redirect would take the request, number and all, to an address that nobody approved."""
        requests_of(adapter, operation, children, front)
        known = {request.path for request in front.requests}
        front.trouble(Trouble.ELSEWHERE)
        with suppress(hub.TovholderError):
            list(run(adapter, operation, None, children))
        assert {request.path for request in front.requests} <= known

    def test_puts_no_number_or_name_in_an_address(self, sent: list[Request], hidden: set[str]) -> None:
        """Addresses are written down by every proxy on the way."""
        for request in sent:
            assert not leaks(request.path, hidden)
            for value in re.split(r"[&=]", request.query):
                assert not leaks(value, hidden)

    def test_changes_nothing_in_its_folder(self, adapter: hub.Adapter, children: Set[str], folder: Path | None) -> None:
        """The files belong to somebody else, who may be counting on them."""
        if folder is None:
            return
        before = _snapshot(folder)
        for operation in OPERATIONS:
            list(run(adapter, operation, None, children))
        adapter.health()
        assert _snapshot(folder) == before
