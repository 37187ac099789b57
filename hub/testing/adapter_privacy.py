"""The kit for adapters: no number and no name where none may be."""

from __future__ import annotations

import logging
from collections.abc import Callable, Set

import pytest

import hub
from hub.testing.adapter_setup import OPERATIONS, AdapterSetup, records_in, run
from hub.testing.front import Front, Trouble
from hub.testing.privacy import chain, leaks


class Privacy(AdapterSetup):
    """Nothing of a person in logs, cursors, errors and positions."""

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
            for operation in OPERATIONS:
                try:
                    pages += run(adapter, operation, None, children)
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
        for record in records_in(self._live(adapter, children, front, spoil)[0]):
            if isinstance(record, hub.Unreadable):
                assert not leaks(record.position, hidden)
                assert not leaks(record.reason, hidden)
