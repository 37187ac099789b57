"""The kit for channels: no number and no name where none may be."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Set
from contextlib import suppress

import pytest

import hub
from hub.testing.channel_setup import ChannelSetup, new_key
from hub.testing.front import Front, Trouble
from hub.testing.privacy import chain, leaks


class Privacy(ChannelSetup):
    """Nothing of the recipient or of the letter in logs, reasons, cursors and addresses."""

    def _live(
        self, channel: hub.Channel, letter: hub.Letter, refused: hub.Letter, front: Front, spoil: Callable[[], None]
    ) -> list[str]:
        """A life with a refused letter, a bad status and all kinds of trouble: all that was said to operators."""
        said: list[str] = []
        channel.send(letter, new_key())
        spoil()
        troubles = (Trouble.DOWN, Trouble.BUSY, Trouble.LOCKED, Trouble.WRONG, Trouble.CUT, Trouble.BROKEN)
        for trouble in (None, *troubles):
            if trouble is not None:
                front.trouble(trouble)
            for one in (letter, refused):
                result = channel.send(one, new_key())
                assert type(result) in (hub.Sent, hub.Refused, hub.Later, hub.Unsure)
                said.append("" if isinstance(result, hub.Sent) else result.reason)
            try:
                for page in channel.statuses(None):
                    said.append(page.cursor or "")
                    for status in page.statuses:
                        said.append(status.reason)
                        said.append(status.position if isinstance(status, hub.Unreadable) else "")
            except hub.TovholderError as error:
                said.append(chain(error))
            said.append(channel.health().detail)
        return said

    def test_logs_hold_no_number_and_no_name(
        self, channel: hub.Channel, keys: list[str], letter: hub.Letter, refused_letter: hub.Letter, front: Front,
        spoil: Callable[[], None], hidden: set[str], caplog: pytest.LogCaptureFixture,
        capfd: pytest.CaptureFixture[str],
    ) -> None:  # fmt: skip
        """Logs are copied, kept and read by people who may know nothing of the family. Also at DEBUG, also printed."""
        caplog.set_level(logging.DEBUG)
        self._live(channel, letter, refused_letter, front, spoil)
        printed = capfd.readouterr()
        assert not leaks(caplog.text + printed.out + printed.err, hidden | {refused_letter.recipient.cpr})

    def test_reasons_and_cursors_hold_no_number_and_no_name(
        self, channel: hub.Channel, keys: list[str], letter: hub.Letter, refused_letter: hub.Letter, front: Front,
        spoil: Callable[[], None], hidden: set[str],
    ) -> None:  # fmt: skip
        """What a channel says stands in tables, on pages and in logs in the clear."""
        for said in self._live(channel, letter, refused_letter, front, spoil):
            assert not leaks(said, hidden | {refused_letter.recipient.cpr})

    def test_puts_no_number_or_name_in_an_address(
        self, channel: hub.Channel, keys: list[str], front: Front, hidden: set[str], forced_addresses: Set[str]
    ) -> None:
        """Addresses are written down by every proxy on the way."""
        with suppress(hub.TovholderError):
            list(channel.statuses(None))
        channel.health()
        for request in front.requests:
            assert not leaks(request.path, hidden)
            if request.path not in forced_addresses:
                for value in re.split(r"[&=]", request.query):
                    assert not leaks(value, hidden)
