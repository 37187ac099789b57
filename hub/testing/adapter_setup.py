"""What the author of an adapter gives the kit, and what the kit makes of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Set
from pathlib import Path
from typing import Literal

import pytest
import stamina
from starlette.types import ASGIApp

import hub
from hub.reading.client import ATTEMPTS
from hub.testing.front import Address, Front, Request, running, watching
from hub.testing.mirror import Mirror
from hub.testing.privacy import told_of

Operation = Literal["presence", "read"]
MakeAdapter = Callable[..., hub.Adapter]

OPERATIONS: tuple[Operation, ...] = ("presence", "read")
both = pytest.mark.parametrize("operation", OPERATIONS)
"""Marks a test that is for presence and for read."""


def run(adapter: hub.Adapter, operation: Operation, since: str | None, children: Set[str]) -> Iterator[hub.Page]:
    return adapter.presence(since) if operation == "presence" else adapter.read(since, children)


def whole(adapter: hub.Adapter, operation: Operation, children: Set[str]) -> list[hub.Page]:
    """A full read. An adapter with an administration must find something, or the kit would test nothing."""
    pages = list(run(adapter, operation, None, children))
    if operation == "read" or adapter.administration is not None:
        assert records_in(pages), f"{operation} found nothing at all: give the kit a source with some records"
    return pages


def records_in(pages: list[hub.Page]) -> list[hub.Record]:
    return [record for page in pages for record in page.records]


def ids(pages: list[hub.Page]) -> Counter[str]:
    """How many times each record came; unreadable ones by where they stand."""
    return Counter(
        record.position if isinstance(record, hub.Unreadable) else record.source_id for record in records_in(pages)
    )


def mirror_of(*runs: list[hub.Page]) -> dict[str, hub.Record]:
    mirror = Mirror()
    for pages in runs:
        mirror.take(pages)
    return dict(mirror.known)


def requests_of(adapter: hub.Adapter, operation: Operation, children: Set[str], front: Front) -> list[Request]:
    """What a full read asks for when all is well; nothing when the adapter has no such records."""
    before = len(front.requests)
    list(run(adapter, operation, None, children))
    return front.requests[before:]


class AdapterSetup:
    """The fixtures. The first part is what only the author knows."""

    # --- what only the author knows ---

    @pytest.fixture
    def source(self) -> ASGIApp | None:
        """The other side as an ASGI application, which the kit serves behind `front`. None when a folder is read."""
        return None

    @pytest.fixture
    def folder(self) -> Path | None:
        """The folder that is read. None when the source is asked over HTTP."""
        return None

    @pytest.fixture
    def make_adapter(self, front: Front) -> MakeAdapter:
        """A function that makes a new adapter on the source (at `front.url`) or folder, with a `page_size` that gives
        at least three pages. It takes settings by name: the kit gives `kinds` and `timeout_seconds`."""
        raise NotImplementedError("give your test class the fixture make_adapter; docs/plugins.md shows how")

    @pytest.fixture
    def kinds(self) -> Set[str]:
        """The kinds of case on the list. The source should hold others too. Empty for a source without cases."""
        raise NotImplementedError("give your test class the fixture kinds: the kinds of case on the settings' list")

    @pytest.fixture
    def children(self, adapter: hub.Adapter) -> Set[str]:
        """The numbers of children to ask for, at least two of whom have cases; those with a presence if not given."""
        found = {record.cpr for record in records_in(list(adapter.presence(None))) if isinstance(record, hub.Presence)}
        return frozenset(found)

    @pytest.fixture
    def secrets(self) -> Set[str]:
        """Numbers and full names that the source holds, beside those that the adapter passes on: the kit looks for
        them where they may not be."""
        return frozenset()

    @pytest.fixture
    def spoil(self) -> Callable[[], None]:
        """Makes exactly one record at the source unreadable (`front.rewrite`, or a file)."""
        raise NotImplementedError("give your test class the fixture spoil: it makes one record unreadable")

    @pytest.fixture
    def remove(self) -> Callable[[], None]:
        """Makes the source no longer show at least one record, in the way it does so."""
        raise NotImplementedError("give your test class the fixture remove: it makes the source drop a record")

    @pytest.fixture
    def change(self) -> Callable[[], None]:
        """Makes at least one record at the source new or different."""
        raise NotImplementedError("give your test class the fixture change: it makes a record new or different")

    @pytest.fixture
    def base(self) -> str:
        """The path of the source's address in the settings: what `reads` says is below it."""
        return ""

    @pytest.fixture
    def writes(self) -> Callable[[Request], bool]:
        """Whether the source documents a request as a write. All but GET and HEAD are, unless a source reads by
        another method (SOAP): then say which are not."""
        return lambda request: request.method not in ("GET", "HEAD")

    @pytest.fixture
    def short(self) -> float:
        """The `timeout_seconds` that the kit gives an adapter where it waits for them to run out."""
        return 0.3

    @pytest.fixture
    def time_limit(self) -> float:
        """Within which an adapter with that limit gives up (seconds)."""
        return 5.0

    # --- what the kit makes of it ---

    @pytest.fixture(autouse=True)
    def _at_once(self) -> Iterator[None]:
        """`hub.ReadOnlyClient` sends again as often as ever, and does not wait in between."""
        stamina.set_testing(True, attempts=ATTEMPTS, cap=True)
        yield
        stamina.set_testing(False)

    @pytest.fixture(scope="class")
    @classmethod
    def _front(cls) -> Iterator[Front]:
        with running() as front:
            yield front

    @pytest.fixture
    def front(self, _front: Front, source: ASGIApp | None) -> Front:
        """The server in front of the source; see hub.testing.Front."""
        _front.serve(source)
        return _front

    @pytest.fixture
    def talked_to(self) -> Iterator[set[Address]]:
        with watching() as found:
            yield found

    @pytest.fixture
    def adapter(self, make_adapter: MakeAdapter, talked_to: set[Address]) -> hub.Adapter:
        return make_adapter()

    @pytest.fixture
    def hidden(self, adapter: hub.Adapter, children: Set[str], secrets: Set[str]) -> set[str]:
        """All numbers and names the kit knows of."""
        records = [*records_in(list(adapter.presence(None))), *records_in(list(adapter.read(None, children)))]
        return told_of(records) | children | secrets
