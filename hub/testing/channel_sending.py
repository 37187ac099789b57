"""The kit for channels: a letter goes out once, and what is said of it is true."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest

import hub
from hub.testing.channel_setup import ChannelSetup, MakeChannel, new_key
from hub.testing.front import ASKED_TO_WAIT, Address, Front, Request, Trouble


def _knows_keys(channel: hub.Channel) -> None:
    if not channel.knows_keys:
        pytest.skip("the channel says that its other side knows no keys")


class Sending(ChannelSetup):
    """One letter for one key, and refused, later and unsure told apart."""

    def test_is_a_channel(self, channel: hub.Channel) -> None:
        """The settings name a channel, and the hub finds it by that name."""
        assert isinstance(channel, hub.Channel)
        assert re.fullmatch(r"[a-z][a-z0-9_]*", channel.name), "name: small letters, digits and _"
        assert type(channel.knows_keys) is bool, "knows_keys: whether the other side sees that it has a letter already"

    def test_connects_to_nothing_when_it_is_made(
        self, channel: hub.Channel, front: Front, talked_to: set[Address]
    ) -> None:
        """The hub must start while a channel is down."""
        assert (front.requests, talked_to) == ([], set())

    def test_talks_to_its_other_side_only(
        self, channel: hub.Channel, keys: list[str], front: Front, talked_to: set[Address]
    ) -> None:
        """A letter goes where the settings say, and nowhere else."""
        list(channel.statuses(None))
        channel.health()
        host, _, port = front.url.removeprefix("http://").partition(":")
        assert {address for address in talked_to if address not in {(host, int(port)), (host, None)}} == set()

    def test_letter_arrives_under_its_key(
        self, channel: hub.Channel, letter: hub.Letter, letters_there: Callable[[], list[str]]
    ) -> None:
        """The key is all that the hub and the other side have in common to speak of a letter by."""
        key = new_key()
        sent = channel.send(letter, key)
        assert type(sent) is hub.Sent
        assert sent.transmission, "transmission is empty: the other side's own id of the sending"
        assert sent.route in ("digital", "print")
        assert letters_there() == [key]

    def test_same_key_twice_is_one_letter(
        self, channel: hub.Channel, make_channel: MakeChannel, letter: hub.Letter,
        letters_there: Callable[[], list[str]],
    ) -> None:  # fmt: skip
        """A killed worker's letter is sent again: the family gets it once, and the second try is no failure. Where the
        channel knows no keys the hub never sends again by itself."""
        _knows_keys(channel)
        key = new_key()
        channel.send(letter, key)
        assert type(make_channel().send(letter, key)) is hub.Sent
        assert letters_there() == [key]

    def test_what_may_not_go_on_paper_does_not(
        self, channel: hub.Channel, letter: hub.Letter, letters_there: Callable[[], list[str]]
    ) -> None:
        """Paper has come back from the recipient's address: another letter there would be read by somebody else."""
        sent = channel.send(replace(letter, paper=False), new_key())
        assert type(sent) is hub.Refused or (isinstance(sent, hub.Sent) and sent.route != "print")
        assert len(letters_there()) == isinstance(sent, hub.Sent)

    def test_another_key_is_another_letter(
        self, channel: hub.Channel, letter: hub.Letter, letters_there: Callable[[], list[str]]
    ) -> None:
        """Two letters may read the same, and both are to arrive."""
        keys = [new_key(), new_key()]
        for key in keys:
            assert type(channel.send(letter, key)) is hub.Sent
        assert sorted(letters_there()) == sorted(keys)

    def _requests_of_a_send(self, channel: hub.Channel, letter: hub.Letter, front: Front) -> list[Request]:
        before = len(front.requests)
        assert type(channel.send(letter, new_key())) is hub.Sent
        return front.requests[before:]

    def test_lost_answer_is_unsure_and_the_next_try_makes_no_second_letter(
        self, make_channel: MakeChannel, letter: hub.Letter, front: Front, letters_there: Callable[[], list[str]],
        short: float, time_limit: float,
    ) -> None:  # fmt: skip
        """The worst moment: the letter is there, and nobody has said so. Neither "sent" nor "not sent" is true."""
        channel, key = make_channel(timeout_seconds=short), new_key()
        before = len(self._requests_of_a_send(make_channel(), letter, front))
        there = letters_there()
        front.trouble(Trouble.LOST, after=before - 1)
        began = time.monotonic()
        first = channel.send(letter, key)
        took = time.monotonic() - began
        front.well()
        if channel.knows_keys:
            channel.send(letter, key)
            assert Counter(letters_there()) - Counter(there) == {key: 1}
        assert type(first) is hub.Unsure, f"{type(first).__name__}, and the letter may have arrived"
        assert took < time_limit

    def test_broken_answer_is_unsure(self, channel: hub.Channel, letter: hub.Letter, front: Front) -> None:
        """A connection that ends in the middle says as little as none."""
        front.trouble(Trouble.BROKEN, after=len(self._requests_of_a_send(channel, letter, front)) - 1)
        assert type(channel.send(letter, new_key())) is hub.Unsure

    def test_refused_for_good_is_refused(
        self, channel: hub.Channel, refused_letter: hub.Letter, letters_there: Callable[[], list[str]]
    ) -> None:
        """To try again would change nothing: a person must look, and soon."""
        result = channel.send(refused_letter, new_key())
        assert type(result) is hub.Refused
        assert result.reason.strip(), "reason does not say why"
        assert letters_there() == []

    @pytest.mark.parametrize("trouble", [Trouble.DOWN, Trouble.BUSY])
    def test_not_now_is_later(
        self, channel: hub.Channel, letter: hub.Letter, front: Front, trouble: Trouble,
        letters_there: Callable[[], list[str]],
    ) -> None:  # fmt: skip
        """A platform that is down for an hour must cost no family its letter."""
        front.trouble(trouble)
        result = channel.send(letter, new_key())
        assert type(result) is hub.Later
        assert letters_there() == []

    def test_asked_to_wait_tells_how_long(self, channel: hub.Channel, letter: hub.Letter, front: Front) -> None:
        """Who comes back too early is shut out; the hub waits as long as it is told."""
        front.trouble(Trouble.BUSY, after=len(self._requests_of_a_send(channel, letter, front)) - 1)
        result = channel.send(letter, new_key())
        assert isinstance(result, hub.Later)
        assert result.after_seconds == ASKED_TO_WAIT

    @pytest.mark.parametrize("trouble", [Trouble.LOCKED, Trouble.WRONG, Trouble.ELSEWHERE])
    def test_answer_about_something_else_is_no_verdict_on_the_letter(
        self, channel: hub.Channel, letter: hub.Letter, front: Front, trouble: Trouble
    ) -> None:
        """Our certificate ran out, or a sign-in page came: every letter would be given up, or taken for sent."""
        asked = len(self._requests_of_a_send(channel, letter, front))
        known = {request.path for request in front.requests}
        front.trouble(trouble, after=asked - 1)
        result = channel.send(letter, new_key())
        assert type(result) in (hub.Later, hub.Unsure), f"{type(result).__name__} after {trouble.value}"
        assert {request.path for request in front.requests} <= known, "it let itself be led elsewhere"

    def test_sends_again_when_the_other_side_is_back(
        self, channel: hub.Channel, letter: hub.Letter, front: Front, letters_there: Callable[[], list[str]]
    ) -> None:
        """The hub keeps a channel for weeks."""
        front.trouble(Trouble.DOWN)
        key = new_key()
        channel.send(letter, key)
        front.well()
        assert type(channel.send(letter, key)) is hub.Sent
        assert letters_there() == [key]

    def test_says_whom_it_reaches(
        self, channel: hub.Channel, letter: hub.Letter, unreachable: hub.Recipient,
        letters_there: Callable[[], list[str]],
    ) -> None:  # fmt: skip
        """The hub asks before it makes a letter; a letter to nobody is refused and not tried for ever."""
        assert channel.reaches(letter.recipient) is True
        assert channel.reaches(unreachable) is False
        assert type(channel.send(replace(letter, recipient=unreachable), new_key())) is hub.Refused
        assert letters_there() == []
