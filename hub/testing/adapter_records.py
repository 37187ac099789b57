"""The kit for adapters: what a record is, which may pass, and what becomes of a bad one."""

from __future__ import annotations

import re
from collections.abc import Callable, Set
from contextlib import suppress

import hub
from hub.testing.adapter_setup import (
    OPERATIONS,
    AdapterSetup,
    MakeAdapter,
    Operation,
    both,
    mirror_of,
    records_in,
    run,
    whole,
)
from hub.testing.front import Address, Front
from hub.testing.shapes import wrong_fields, wrong_times

_ALLOWED: dict[str, tuple[type, ...]] = {
    "presence": (hub.Presence, hub.Gone, hub.Unreadable),
    "read": (hub.CaseRecord, hub.GuardianRecord, hub.PersonRecord, hub.Gone, hub.Unreadable),
}


class Records(AdapterSetup):
    """Records of the contract, of listed kinds, of the children asked for; bad ones stand alone."""

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

    @both
    def test_gives_pages_with_records_of_the_contract(
        self, adapter: hub.Adapter, operation: Operation, children: Set[str]
    ) -> None:
        """Only the contract's own frozen records are sure to carry no more than they should."""
        for page in whole(adapter, operation, children):
            assert type(page) is hub.Page
            assert isinstance(page.records, tuple), "records is a tuple, so that nothing changes under the hub"
            for record in page.records:
                assert type(record) in (*_ALLOWED["presence"], *_ALLOWED["read"]), f"{type(record)} is not hub's own"

    @both
    def test_gives_the_records_that_were_asked_for(
        self, adapter: hub.Adapter, operation: Operation, children: Set[str]
    ) -> None:
        """Before a family has said yes, the hub may know that a child has something open, and nothing of a case."""
        for record in records_in(whole(adapter, operation, children)):
            names = [each.__name__ for each in _ALLOWED[operation]]
            assert type(record) not in set(_ALLOWED["presence"] + _ALLOWED["read"]) - set(_ALLOWED[operation]), (
                f"{operation} gives {names}, and not {type(record).__name__}"
            )

    @both
    def test_fields_hold_what_the_contract_says(
        self, adapter: hub.Adapter, operation: Operation, children: Set[str]
    ) -> None:
        """Python does not check a field's type, and the hub relies on it."""
        for record in records_in(whole(adapter, operation, children)):
            if type(record) in _ALLOWED[operation]:
                assert not wrong_fields(record)

    @both
    def test_times_are_aware_and_in_utc(self, adapter: hub.Adapter, operation: Operation, children: Set[str]) -> None:
        """A time without a zone is an hour wrong in winter and two in summer."""
        for record in records_in(whole(adapter, operation, children)):
            if type(record) in _ALLOWED[operation]:
                assert not wrong_times(record)

    def test_cases_are_of_listed_kinds(self, adapter: hub.Adapter, children: Set[str], kinds: Set[str]) -> None:
        """What is not on the list is never stored, shown or written about: it stops in the adapter."""
        for record in records_in(whole(adapter, "read", children)):
            if isinstance(record, hub.CaseRecord):
                assert record.kind in kinds, "a case of a kind that is not on the list got through"

    @both
    def test_nothing_passes_while_the_list_is_empty(
        self, make_adapter: MakeAdapter, operation: Operation, children: Set[str]
    ) -> None:
        """The list starts empty, and a municipality that has not filled it yet has allowed nothing."""
        adapter = make_adapter(kinds={})
        # A source may refuse to be read without any kind.
        with suppress(hub.GaveUp):
            for record in records_in(list(run(adapter, operation, None, children))):
                assert not isinstance(record, (hub.Presence, hub.CaseRecord)), "passed without being on the list"

    def test_gives_only_the_children_asked_for(self, adapter: hub.Adapter, children: Set[str]) -> None:
        """Of a child whose family has not said yes, the hub may not even see a case."""
        asked = frozenset(sorted(children)[::2])
        for some in (asked, children - asked, frozenset[str]()):
            for record in records_in(list(adapter.read(None, some))):
                if isinstance(record, hub.CaseRecord | hub.PersonRecord):
                    assert record.cpr in some, "something of a child that was not asked for"
                elif isinstance(record, hub.Unreadable):
                    assert record.cpr is None or record.cpr in some, "something of a child that was not asked for"
                elif isinstance(record, hub.GuardianRecord):
                    assert record.child_cpr in some, "the custody of a child that was not asked for"

    def test_gives_all_of_the_children_asked_for(self, adapter: hub.Adapter, children: Set[str]) -> None:
        """Who else is asked for makes no difference to what there is about a child."""
        asked = frozenset(sorted(children)[::2])
        assert asked, "give the kit at least two children"
        assert children - asked, "give the kit at least two children"
        apart = mirror_of(list(adapter.read(None, asked))) | mirror_of(list(adapter.read(None, children - asked)))
        assert apart == mirror_of(whole(adapter, "read", children))

    def test_bad_record_stands_alone(self, adapter: hub.Adapter, children: Set[str], spoil: Callable[[], None]) -> None:
        """One bad record goes to quarantine; all others are read, and the run ends as it would have."""
        before = {each: whole(adapter, each, children) for each in OPERATIONS}
        spoil()
        told = 0
        for operation, well in before.items():
            pages = list(run(adapter, operation, None, children))
            lost = mirror_of(well).keys() - mirror_of(pages).keys()
            unreadable = sum(isinstance(record, hub.Unreadable) for record in records_in(pages)) - sum(
                isinstance(record, hub.Unreadable) for record in records_in(well)
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
        whole(adapter, "read", children)
        spoil()
        places = []
        for _ in range(2):
            bad: list[hub.Unreadable] = []
            for operation in OPERATIONS:
                with suppress(hub.TovholderError):  # test_bad_record_stands_alone
                    for page in run(adapter, operation, None, children):
                        bad += [record for record in page.records if isinstance(record, hub.Unreadable)]
            places.append([record.position for record in bad])
            for record in bad:
                assert record.position.strip(), "position does not say where"
                assert record.reason.strip(), "reason does not say why"
                assert len(record.raw) <= hub.RAW_LIMIT, "raw is longer than 64 KiB"
        assert places[0] == places[1], "the same bad record has another position the next time"
