"""What every adapter must keep, as tests that a plugin's own test class inherits.

    class TestConformance(AdapterConformance):
        @pytest.fixture
        def source(self): return my_source                  # an ASGI application with some records
        @pytest.fixture
        def make_adapter(self, front):
            return lambda **settings: MyAdapter(MySettings(**{"url": front.url, "kinds": KINDS} | settings))

The first part of the class is what only the author knows; see docs/plugins.md. An adapter that reads a folder gives
`folder` instead of `source`.
"""

from __future__ import annotations

import fnmatch
import logging
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Set
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Literal

import pytest
from starlette.types import ASGIApp

import hub
from hub.testing.front import Address, Front, Request, Trouble, running, watching
from hub.testing.mirror import Mirror
from hub.testing.privacy import chain, leaks, told_of
from hub.testing.shapes import wrong_fields, wrong_times

Operation = Literal["presence", "read"]
MakeAdapter = Callable[..., hub.Adapter]

_OPERATIONS: tuple[Operation, ...] = ("presence", "read")
_BOTH = pytest.mark.parametrize("operation", _OPERATIONS)
_ALLOWED: dict[str, tuple[type, ...]] = {
    "presence": (hub.Presence, hub.Gone, hub.Unreadable),
    "read": (hub.CaseRecord, hub.GuardianRecord, hub.Gone, hub.Unreadable),
}


def _run(adapter: hub.Adapter, operation: Operation, since: str | None, children: Set[str]) -> Iterator[hub.Page]:
    return adapter.presence(since) if operation == "presence" else adapter.read(since, children)


def _whole(adapter: hub.Adapter, operation: Operation, children: Set[str]) -> list[hub.Page]:
    """A full read. An adapter with an administration must find something, or the kit would test nothing."""
    pages = list(_run(adapter, operation, None, children))
    if operation == "read" or adapter.administration is not None:
        assert _records(pages), f"{operation} found nothing at all: give the kit a source with some records"
    return pages


def _records(pages: list[hub.Page]) -> list[hub.Record]:
    return [record for page in pages for record in page.records]


def _ids(pages: list[hub.Page]) -> Counter[str]:
    """How many times each record came; unreadable ones by where they stand."""
    return Counter(
        record.position if isinstance(record, hub.Unreadable) else record.source_id for record in _records(pages)
    )


def _mirror(*runs: list[hub.Page]) -> dict[str, hub.Record]:
    mirror = Mirror()
    for pages in runs:
        mirror.take(pages)
    return dict(mirror.known)


def _snapshot(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    return {
        str(path.relative_to(folder)): (path.stat().st_mode, path.stat().st_mtime_ns, path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


class AdapterConformance:
    """Inherit, supply `make_adapter` and `source` (or `folder`), and the few things only you know."""

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
        found = {record.cpr for record in _records(list(adapter.presence(None))) if isinstance(record, hub.Presence)}
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

    @pytest.fixture(scope="class")
    def _front(self) -> Iterator[Front]:
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
        records = [*_records(list(adapter.presence(None))), *_records(list(adapter.read(None, children)))]
        return told_of(records) | children | secrets

    # --- the contract's shape ---

    def test_is_an_adapter(self, adapter: hub.Adapter) -> None:
        """The hub finds an adapter by its name and reads its requests from `reads`; both must be there and plain."""
        assert isinstance(adapter, hub.Adapter)
        assert re.fullmatch(r"[a-z][a-z0-9_]*", adapter.name), "name: small letters, digits and _"
        assert adapter.administration is None or adapter.administration
        for method, path in adapter.reads:
            assert re.fullmatch("[A-Z]+", method), f"reads: {method!r} is no method"
            assert path.startswith("/"), f"reads: the path {path!r} does not begin with a slash"
            assert path.strip("/*"), f"reads: the path {path!r} lets everything through"

    def test_connects_to_nothing_when_it_is_made(
        self, adapter: hub.Adapter, front: Front, talked_to: set[Address]
    ) -> None:
        """The hub must start while a source is down."""
        assert (front.requests, talked_to) == ([], set())

    @_BOTH
    def test_gives_pages_with_records_of_the_contract(
        self, adapter: hub.Adapter, operation: Operation, children: Set[str]
    ) -> None:
        """Only the contract's own frozen records are sure to carry no more than they should."""
        for page in _whole(adapter, operation, children):
            assert type(page) is hub.Page
            assert isinstance(page.records, tuple), "records is a tuple, so that nothing changes under the hub"
            for record in page.records:
                assert type(record) in (*_ALLOWED["presence"], *_ALLOWED["read"]), f"{type(record)} is not hub's own"

    @_BOTH
    def test_gives_the_records_that_were_asked_for(
        self, adapter: hub.Adapter, operation: Operation, children: Set[str]
    ) -> None:
        """Before a family has said yes, the hub may know that a child has something open, and nothing of a case."""
        for record in _records(_whole(adapter, operation, children)):
            names = [each.__name__ for each in _ALLOWED[operation]]
            assert type(record) not in set(_ALLOWED["presence"] + _ALLOWED["read"]) - set(_ALLOWED[operation]), (
                f"{operation} gives {names}, and not {type(record).__name__}"
            )

    @_BOTH
    def test_fields_hold_what_the_contract_says(
        self, adapter: hub.Adapter, operation: Operation, children: Set[str]
    ) -> None:
        """Python does not check a field's type, and the hub relies on it."""
        for record in _records(_whole(adapter, operation, children)):
            if type(record) in _ALLOWED[operation]:
                assert not wrong_fields(record)

    @_BOTH
    def test_times_are_aware_and_in_utc(self, adapter: hub.Adapter, operation: Operation, children: Set[str]) -> None:
        """A time without a zone is an hour wrong in winter and two in summer."""
        for record in _records(_whole(adapter, operation, children)):
            if type(record) in _ALLOWED[operation]:
                assert not wrong_times(record)

    # --- what may pass ---

    def test_cases_are_of_listed_kinds(self, adapter: hub.Adapter, children: Set[str], kinds: Set[str]) -> None:
        """What is not on the list is never stored, shown or written about: it stops in the adapter."""
        for record in _records(_whole(adapter, "read", children)):
            if isinstance(record, hub.CaseRecord):
                assert record.kind in kinds, "a case of a kind that is not on the list got through"

    @_BOTH
    def test_nothing_passes_while_the_list_is_empty(
        self, make_adapter: MakeAdapter, operation: Operation, children: Set[str]
    ) -> None:
        """The list starts empty, and a municipality that has not filled it yet has allowed nothing."""
        adapter = make_adapter(kinds={})
        # A source may refuse to be read without any kind.
        with suppress(hub.GaveUp):
            for record in _records(list(_run(adapter, operation, None, children))):
                assert not isinstance(record, (hub.Presence, hub.CaseRecord)), "passed without being on the list"

    def test_gives_only_the_children_asked_for(self, adapter: hub.Adapter, children: Set[str]) -> None:
        """Of a child whose family has not said yes, the hub may not even see a case."""
        asked = frozenset(sorted(children)[::2])
        for some in (asked, children - asked, frozenset[str]()):
            for record in _records(list(adapter.read(None, some))):
                if isinstance(record, hub.CaseRecord):
                    assert record.cpr in some, "a case of a child that was not asked for"
                elif isinstance(record, hub.GuardianRecord):
                    assert record.child_cpr in some, "the custody of a child that was not asked for"

    def test_gives_all_of_the_children_asked_for(self, adapter: hub.Adapter, children: Set[str]) -> None:
        """Who else is asked for makes no difference to what there is about a child."""
        asked = frozenset(sorted(children)[::2])
        assert asked, "give the kit at least two children"
        assert children - asked, "give the kit at least two children"
        apart = _mirror(list(adapter.read(None, asked))) | _mirror(list(adapter.read(None, children - asked)))
        assert apart == _mirror(_whole(adapter, "read", children))

    # --- pages and cursors ---

    @_BOTH
    def test_each_record_comes_once(self, adapter: hub.Adapter, operation: Operation, children: Set[str]) -> None:
        """A record that comes twice while nothing changes hides a page that is read twice, or another that is not."""
        counts = _ids(_whole(adapter, operation, children))
        assert {name: count for name, count in counts.items() if count > 1} == {}

    @_BOTH
    def test_every_page_says_where_to_go_on(
        self, adapter: hub.Adapter, operation: Operation, children: Set[str]
    ) -> None:
        """After a crash the hub goes on from the last page it stored; None there would begin from the start."""
        pages = _whole(adapter, operation, children)
        for page in pages[:-1]:
            assert isinstance(page.cursor, str), "a page that is not the last has no cursor"
            assert page.cursor, "a page that is not the last has no cursor"

    @_BOTH
    def test_full_read_is_complete_on_its_last_page_only(
        self, adapter: hub.Adapter, operation: Operation, children: Set[str]
    ) -> None:
        """`complete` makes the hub forget what has not come by then: too early it loses cases, never it keeps them."""
        said = [page.complete for page in _whole(adapter, operation, children)]
        assert said == [False] * (len(said) - 1) + [True]

    @_BOTH
    def test_resumes_right_after_every_page(
        self, adapter: hub.Adapter, make_adapter: MakeAdapter, operation: Operation, children: Set[str]
    ) -> None:
        """Killed after any page, the hub goes on in a new process and gets the rest: no more and no less."""
        pages = _whole(adapter, operation, children)
        if not _records(pages):
            return
        assert len(pages) >= 3, f"{operation} gives {len(pages)} pages: make the kit's adapter with a small page_size"
        for place, page in enumerate(pages[:-1], start=1):
            if page.cursor is None:
                continue  # test_every_page_says_where_to_go_on
            rest = list(_run(make_adapter(), operation, page.cursor, children))
            assert _ids(rest) == _ids(pages[place:]), f"resumed after page {place} of {len(pages)}"
            assert not any(each.complete for each in rest[:-1]), f"complete too early, resumed after page {place}"

    @_BOTH
    def test_can_be_left_in_the_middle(self, adapter: hub.Adapter, operation: Operation, children: Set[str]) -> None:
        """A run that is stopped must not stand in the way of the next."""
        whole = _ids(_whole(adapter, operation, children))
        left = _run(adapter, operation, None, children)
        list(islice(left, 1))
        again = _ids(_whole(adapter, operation, children))
        del left
        assert again == whole

    @_BOTH
    def test_cursor_it_did_not_write_loses_nothing(
        self, adapter: hub.Adapter, operation: Operation, children: Set[str]
    ) -> None:
        """After an upgrade the hub still has the old version's cursor: read all, or say that a person must look."""
        whole = _mirror(_whole(adapter, operation, children))
        # A source may give cursors of its own, and refuse this one; then a person must look.
        with suppress(hub.GaveUp, hub.TryAgain):
            pages = list(_run(adapter, operation, "a cursor of another version", children))
            assert _mirror(pages) == whole

    @_BOTH
    def test_unchanged_source_changes_nothing(
        self, adapter: hub.Adapter, make_adapter: MakeAdapter, operation: Operation, children: Set[str]
    ) -> None:
        """Most reads find nothing new; one of them that says `complete` would make the hub forget everything."""
        first = _whole(adapter, operation, children)
        second = list(_run(make_adapter(), operation, first[-1].cursor, children))
        assert _mirror(first, second) == _mirror(first)

    @_BOTH
    def test_removed_is_gone_after_the_next_read(
        self, adapter: hub.Adapter, operation: Operation, children: Set[str], remove: Callable[[], None]
    ) -> None:
        """What a source takes away must not be told any more: by a tombstone, or by a complete read without it."""
        before = _whole(adapter, operation, children)
        remove()
        fresh = list(_run(adapter, operation, None, children))
        if _records(before):
            assert _mirror(before).keys() - _mirror(fresh).keys(), "the fixture remove took nothing away"
        later = list(_run(adapter, operation, before[-1].cursor, children))
        assert _mirror(before, later).keys() <= _mirror(fresh).keys(), "still there after the next read"

    @_BOTH
    def test_changed_comes_with_the_next_read(
        self, adapter: hub.Adapter, operation: Operation, children: Set[str], change: Callable[[], None]
    ) -> None:
        """Reading on from the cursor leads to the same as reading all afresh."""
        before = _whole(adapter, operation, children)
        change()
        fresh = list(_run(adapter, operation, None, children))
        if _records(before):
            assert _mirror(fresh) != _mirror(before), "the fixture change changed nothing"
        later = list(_run(adapter, operation, before[-1].cursor, children))
        known, expected = _mirror(before, later), _mirror(fresh)
        # What is gone is another test's.
        assert {name: known.get(name) for name in expected} == expected

    # --- bad records ---

    def test_bad_record_stands_alone(self, adapter: hub.Adapter, children: Set[str], spoil: Callable[[], None]) -> None:
        """One bad record goes to quarantine; all others are read, and the run ends as it would have."""
        before = {each: _whole(adapter, each, children) for each in _OPERATIONS}
        spoil()
        told = 0
        for operation, well in before.items():
            pages = list(_run(adapter, operation, None, children))
            lost = _mirror(well).keys() - _mirror(pages).keys()
            unreadable = sum(isinstance(record, hub.Unreadable) for record in _records(pages)) - sum(
                isinstance(record, hub.Unreadable) for record in _records(well)
            )
            assert len(lost) <= 1, f"{operation}: {len(lost)} records are missing where one is bad"
            assert unreadable <= 1, f"{operation}: {unreadable} records are unreadable where one is bad"
            assert pages[-1].complete == well[-1].complete, f"{operation} ends otherwise because one record is bad"
            told += unreadable
        assert told, "the bad record was told by neither presence nor read: nobody will look for it"

    def test_bad_record_says_where_and_why(
        self, adapter: hub.Adapter, children: Set[str], spoil: Callable[[], None]
    ) -> None:
        """A person must find the record at the source; the same one found again keeps its place in quarantine."""
        _whole(adapter, "read", children)
        spoil()
        places = []
        for _ in range(2):
            bad: list[hub.Unreadable] = []
            for operation in _OPERATIONS:
                with suppress(hub.TovholderError):  # test_bad_record_stands_alone
                    for page in _run(adapter, operation, None, children):
                        bad += [record for record in page.records if isinstance(record, hub.Unreadable)]
            places.append([record.position for record in bad])
            for record in bad:
                assert record.position.strip(), "position does not say where"
                assert record.reason.strip(), "reason does not say why"
                assert len(record.raw) <= hub.RAW_LIMIT, "raw is longer than 64 KiB"
        assert places[0] == places[1], "the same bad record has another position the next time"

    # --- reads only ---

    @pytest.fixture
    def sent(self, adapter: hub.Adapter, children: Set[str], front: Front) -> list[Request]:
        """Every request of a life: full reads, reads from each cursor, a look at its health."""
        for operation in _OPERATIONS:
            pages = list(_run(adapter, operation, None, children))
            for page in pages:
                list(islice(_run(adapter, operation, page.cursor, children), 2))
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

    @_BOTH
    def test_is_not_led_elsewhere(
        self, adapter: hub.Adapter, operation: Operation, children: Set[str], front: Front
    ) -> None:
        """A redirect would take the request, number and all, to an address that nobody approved."""
        self._asked(adapter, operation, children, front)
        known = {request.path for request in front.requests}
        front.trouble(Trouble.ELSEWHERE)
        with suppress(hub.TovholderError):
            list(_run(adapter, operation, None, children))
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
        for operation in _OPERATIONS:
            list(_run(adapter, operation, None, children))
        adapter.health()
        assert _snapshot(folder) == before

    # --- when the source is not well ---

    def _asked(self, adapter: hub.Adapter, operation: Operation, children: Set[str], front: Front) -> list[Request]:
        """What a full read asks for when all is well; nothing when the adapter has no such records."""
        before = len(front.requests)
        list(_run(adapter, operation, None, children))
        return front.requests[before:]

    @_BOTH
    @pytest.mark.parametrize("trouble", [Trouble.DOWN, Trouble.BROKEN])
    @pytest.mark.parametrize("at", ["first", "last"])
    def test_source_that_does_not_answer_is_told(
        self, adapter: hub.Adapter, operation: Operation, trouble: Trouble, at: str, children: Set[str], front: Front
    ) -> None:
        """Silence is not absence: TryAgain shows as "no answer since", and not as "nothing there"."""
        asked = len(self._asked(adapter, operation, children, front))
        if asked:
            front.trouble(trouble, after=0 if at == "first" else asked - 1)
            with pytest.raises(hub.TryAgain):
                list(_run(adapter, operation, None, children))

    @_BOTH
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
        if not self._asked(make_adapter(), operation, children, front):
            return
        adapter = make_adapter(timeout_seconds=short)
        front.trouble(Trouble.SILENT)
        began = time.monotonic()
        with pytest.raises(hub.TryAgain):
            list(_run(adapter, operation, None, children))
        assert time.monotonic() - began < time_limit

    @_BOTH
    @pytest.mark.parametrize("trouble", [Trouble.WRONG, Trouble.CUT])
    @pytest.mark.parametrize("at", ["first", "last"])
    def test_answer_that_is_not_the_sources_is_not_taken_for_one(
        self, adapter: hub.Adapter, operation: Operation, trouble: Trouble, at: str, children: Set[str], front: Front
    ) -> None:
        """A sign-in page or half an answer, read as "no cases", would end every case the hub knows of."""
        asked = len(self._asked(adapter, operation, children, front))
        if asked:
            front.trouble(trouble, after=0 if at == "first" else asked - 1)
            try:
                pages = list(_run(adapter, operation, None, children))
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

    @_BOTH
    def test_reads_again_when_the_source_is_back(
        self, adapter: hub.Adapter, operation: Operation, children: Set[str], front: Front
    ) -> None:
        """The hub keeps an adapter for weeks; a source that was down for a minute must not need a restart."""
        whole = _mirror(_whole(adapter, operation, children))
        front.trouble(Trouble.DOWN)
        with suppress(hub.TovholderError):
            list(_run(adapter, operation, None, children))
        front.well()
        assert _mirror(list(_run(adapter, operation, None, children))) == whole

    @_BOTH
    def test_missing_folder_is_told(
        self, adapter: hub.Adapter, operation: Operation, children: Set[str], folder: Path | None
    ) -> None:
        """A share that is not mounted is not an empty one."""
        if folder is None or not _records(list(_run(adapter, operation, None, children))):
            return
        folder.rename(folder.with_name(folder.name + "-elsewhere"))
        with pytest.raises((hub.TryAgain, hub.GaveUp)):
            list(_run(adapter, operation, None, children))
        assert not adapter.health().ok

    @_BOTH
    def test_file_cut_short_is_not_taken_for_the_whole(
        self, adapter: hub.Adapter, operation: Operation, children: Set[str], folder: Path | None
    ) -> None:
        """A file that is still being copied lacks its end; what stands there is not gone."""
        if folder is None or not _records(list(_run(adapter, operation, None, children))):
            return
        longest = max((path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
        longest.write_bytes(longest.read_bytes()[: longest.stat().st_size // 2])
        try:
            pages = list(_run(adapter, operation, None, children))
        except (hub.TryAgain, hub.GaveUp):
            return
        assert not pages[-1].complete, "half a file was taken for the whole"

    # --- no number and no name where none may be ---

    def _live(
        self, adapter: hub.Adapter, children: Set[str], front: Front, spoil: Callable[[], None]
    ) -> tuple[list[hub.Page], list[hub.TovholderError], list[hub.Health]]:
        """A life with a bad record and all kinds of trouble: what came, what was raised, what health said."""
        pages: list[hub.Page] = []
        errors: list[hub.TovholderError] = []
        healths: list[hub.Health] = []
        spoil()
        for trouble in (None, Trouble.DOWN, Trouble.LOCKED, Trouble.WRONG, Trouble.CUT, Trouble.BROKEN):
            if trouble is not None:
                front.trouble(trouble)
            for operation in _OPERATIONS:
                try:
                    pages += _run(adapter, operation, None, children)
                except hub.TovholderError as error:
                    errors.append(error)
            try:
                healths.append(adapter.health())
            except hub.TovholderError as error:
                errors.append(error)
        return pages, errors, healths

    def test_logs_hold_no_number_and_no_name(
        self, adapter: hub.Adapter, children: Set[str], front: Front, spoil: Callable[[], None], hidden: set[str],
        caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str],
    ) -> None:  # fmt: skip
        """Logs are copied, kept and read by people who may know nothing of the child. Also at DEBUG, also printed."""
        caplog.set_level(logging.DEBUG)
        self._live(adapter, children, front, spoil)
        printed = capfd.readouterr()
        assert not leaks(caplog.text + printed.out + printed.err, hidden)

    def test_cursors_hold_no_number_and_no_name(
        self, adapter: hub.Adapter, children: Set[str], front: Front, spoil: Callable[[], None], hidden: set[str]
    ) -> None:
        """A cursor is stored in the clear; a digest of a number is no better than the number, unless it is keyed."""
        for page in self._live(adapter, children, front, spoil)[0]:
            assert not leaks(page.cursor or "", hidden)

    def test_errors_hold_no_number_and_no_name(
        self, adapter: hub.Adapter, children: Set[str], front: Front, spoil: Callable[[], None], hidden: set[str]
    ) -> None:
        """Errors end in logs, on the operator's page and in job tables; so does what they came from."""
        _, errors, healths = self._live(adapter, children, front, spoil)
        for said in [*map(chain, errors), *(health.detail for health in healths)]:
            assert not leaks(said, hidden)

    def test_positions_hold_no_number_and_no_name(
        self, adapter: hub.Adapter, children: Set[str], front: Front, spoil: Callable[[], None], hidden: set[str]
    ) -> None:
        """Where and why are shown to operators; the record itself is sealed."""
        for record in _records(self._live(adapter, children, front, spoil)[0]):
            if isinstance(record, hub.Unreadable):
                assert not leaks(record.position, hidden)
                assert not leaks(record.reason, hidden)
