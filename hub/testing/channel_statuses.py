"""The kit for channels: what became of letters, and whether the other side answers."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

import hub
from hub.testing.channel_setup import ChannelSetup, MakeChannel, counts, new_key, told
from hub.testing.front import Front, Trouble
from hub.testing.shapes import wrong_fields, wrong_times


class Statuses(ChannelSetup):
    """Every status once, from every page on, known or not."""

    def test_statuses_are_those_of_the_contract(self, channel: hub.Channel, keys: list[str]) -> None:
        """Words all channels share, times in UTC: the hub reckons from them when a letter counts as delivered."""
        pages = list(channel.statuses(None))
        for page in pages:
            assert type(page) is hub.StatusPage
            assert isinstance(page.statuses, tuple), "statuses is a tuple, so that nothing changes under the hub"
            for one in page.statuses:
                assert type(one) in (hub.Status, hub.Unreadable)
                assert not wrong_fields(one)
                assert not wrong_times(one)
        assert {one.key for one in told(pages)} == set(keys), "each letter sent has a status, by its key"

    def test_statuses_resume_right_after_every_page(
        self, channel: hub.Channel, make_channel: MakeChannel, keys: list[str]
    ) -> None:
        """Killed after any page, the hub goes on in a new process and misses nothing."""
        pages = list(channel.statuses(None))
        assert len(pages) >= 3, f"{len(pages)} pages of statuses: make the kit's channel with a small page of them"
        for place, page in enumerate(pages, start=1):
            assert isinstance(page.cursor, str), "a page of statuses has no cursor"
            assert page.cursor, "a page of statuses has no cursor"
            assert counts(list(make_channel().statuses(page.cursor))) == counts(pages[place:]), f"after page {place}"

    def test_statuses_come_as_they_come_about(
        self, channel: hub.Channel, keys: list[str], letter: hub.Letter, pass_time: Callable[[], None]
    ) -> None:
        """Reading on from the end gives what is new since, and nothing else."""
        end = list(channel.statuses(None))[-1].cursor
        assert not told(list(channel.statuses(end)))
        key = new_key()
        channel.send(letter, key)
        pass_time()
        assert key in {one.key for one in told(list(channel.statuses(end)))}

    def test_unknown_status_is_passed_on(
        self, channel: hub.Channel, keys: list[str], new_status: Callable[[], None]
    ) -> None:
        """A status added next year may mean that letters fail: a person must see it, and no other may be guessed."""
        before = counts(list(channel.statuses(None)))
        new_status()
        after = told(list(channel.statuses(None)))
        assert any(one.status is hub.DeliveryStatus.UNKNOWN and one.key in keys for one in after)
        assert len(after) == before.total(), "another status was lost"

    def test_bad_status_stands_alone(self, channel: hub.Channel, keys: list[str], spoil: Callable[[], None]) -> None:
        """One receipt that cannot be read must not keep all others from coming."""
        before = counts(list(channel.statuses(None)))
        spoil()
        pages = list(channel.statuses(None))
        bad = [one for page in pages for one in page.statuses if isinstance(one, hub.Unreadable)]
        assert (before - counts(pages)).total() == 1, "one status is bad, and others are missing, or none"
        assert len(bad) == 1
        assert bad[0].position.strip(), "position does not say where"
        assert bad[0].reason.strip(), "reason does not say why"
        assert len(bad[0].raw) <= hub.RAW_LIMIT, "raw is longer than 64 KiB"

    @pytest.mark.parametrize("trouble", [Trouble.DOWN, Trouble.BROKEN, Trouble.SILENT])
    def test_no_answer_about_statuses_is_told(
        self,
        make_channel: MakeChannel,
        keys: list[str],
        front: Front,
        trouble: Trouble,
        short: float,
        time_limit: float,
    ) -> None:
        """Silence is not "nothing new": the hub must see that it does not know what became of letters."""
        channel = make_channel(timeout_seconds=short)
        front.trouble(trouble)
        began = time.monotonic()
        with pytest.raises(hub.TryAgain):
            list(channel.statuses(None))
        assert time.monotonic() - began < time_limit

    def test_health_is_good_when_all_is_well(
        self, channel: hub.Channel, letters_there: Callable[[], list[str]]
    ) -> None:
        """It is asked every few minutes, and must send nothing to anybody."""
        health = channel.health()
        assert type(health) is hub.Health
        assert health.ok, health.detail
        assert letters_there() == []

    @pytest.mark.parametrize("trouble", [Trouble.DOWN, Trouble.SILENT, Trouble.LOCKED])
    def test_health_says_when_the_other_side_does_not_answer(
        self, make_channel: MakeChannel, front: Front, trouble: Trouble, short: float, time_limit: float
    ) -> None:
        """`tovholder doctor` asks this, and must get an answer and no exception, in time."""
        channel = make_channel(timeout_seconds=short)
        front.trouble(trouble)
        began = time.monotonic()
        health = channel.health()
        assert not health.ok
        assert health.detail.strip(), "detail does not say what is wrong"
        assert time.monotonic() - began < time_limit
