"""What every channel must keep, as tests that a plugin's own test class inherits.

    class TestConformance(ChannelConformance):
        @pytest.fixture
        def other_side(self): return my_platform            # an ASGI application that takes letters
        @pytest.fixture
        def make_channel(self, front):
            return lambda **settings: MyChannel(MySettings(**{"url": front.url} | settings))

The first part of the class is what only the author knows; see docs/plugins.md.
"""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Set
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from starlette.types import ASGIApp

import hub
from hub.testing.front import ASKED_TO_WAIT, Address, Front, Request, Trouble, running, watching
from hub.testing.privacy import chain, leaks
from hub.testing.shapes import wrong_fields, wrong_times

MakeChannel = Callable[..., hub.Channel]

_MARK = "Kære modtager, dette brev er kittets eget"
"""Stands in the letter's own text, and nowhere else."""
_RESULTS = (hub.Sent, hub.Refused, hub.Later, hub.Unsure)


def _key() -> str:
    return str(uuid.uuid4())


def _told(pages: list[hub.StatusPage]) -> list[hub.Status]:
    return [one for page in pages for one in page.statuses if isinstance(one, hub.Status)]


def _counts(pages: list[hub.StatusPage]) -> Counter[tuple[str, str, str]]:
    return Counter((one.key, one.status.value, one.time.isoformat()) for one in _told(pages))


class ChannelConformance:
    """Inherit, supply `make_channel` and `other_side`, and the few things only you know."""

    # --- what only the author knows ---

    @pytest.fixture
    def other_side(self) -> ASGIApp:
        """What the channel talks to, as an ASGI application, which the kit serves behind `front`."""
        raise NotImplementedError("give your test class the fixture other_side; docs/plugins.md shows how")

    @pytest.fixture
    def make_channel(self, front: Front) -> MakeChannel:
        """A function that makes a new channel to `front.url`, with a small page of statuses. It takes settings by name:
        the kit gives `timeout_seconds`."""
        raise NotImplementedError("give your test class the fixture make_channel; docs/plugins.md shows how")

    @pytest.fixture
    def recipient(self) -> hub.Recipient:
        """Somebody (fictitious) the other side can bring a letter."""
        raise NotImplementedError("give your test class the fixture recipient: somebody the other side knows")

    @pytest.fixture
    def letters_there(self) -> Callable[[], list[str]]:
        """A function that gives the keys of the letters the other side will bring out, one for each."""
        raise NotImplementedError("give your test class the fixture letters_there: what the other side has")

    @pytest.fixture
    def refused_letter(self, letter: hub.Letter) -> hub.Letter:
        """A letter that the other side refuses for good."""
        raise NotImplementedError("give your test class the fixture refused_letter: one the other side refuses")

    @pytest.fixture
    def pass_time(self) -> Callable[[], None]:
        """Lets something become of the letters sent: the other side then tells at least one status of each."""
        raise NotImplementedError("give your test class the fixture pass_time: the other side then has statuses")

    @pytest.fixture
    def new_status(self) -> Callable[[], None]:
        """Makes the other side tell, of one letter or more, a status that nobody has heard of (`front.rewrite`)."""
        raise NotImplementedError("give your test class the fixture new_status: the other side tells an unknown one")

    @pytest.fixture
    def spoil(self) -> Callable[[], None]:
        """Makes exactly one status at the other side unreadable."""
        raise NotImplementedError("give your test class the fixture spoil: it makes one status unreadable")

    @pytest.fixture
    def unreachable(self) -> hub.Recipient:
        """Somebody the channel cannot reach."""
        return hub.Recipient("0000000000", "Nomen Nescio")

    @pytest.fixture
    def forced_addresses(self) -> Set[str]:
        """Paths whose documented format puts the recipient's number into the address: there it cannot be helped."""
        return frozenset()

    @pytest.fixture
    def short(self) -> float:
        """The `timeout_seconds` that the kit gives a channel where it waits for them to run out."""
        return 0.5

    @pytest.fixture
    def time_limit(self) -> float:
        """Within which a channel with that limit gives up (seconds)."""
        return 5.0

    # --- what the kit makes of it ---

    @pytest.fixture(scope="class")
    def _front(self) -> Iterator[Front]:
        with running() as front:
            yield front

    @pytest.fixture
    def front(self, _front: Front, other_side: ASGIApp) -> Front:
        """The server in front of the other side; see hub.testing.Front."""
        _front.serve(other_side)
        return _front

    @pytest.fixture
    def talked_to(self) -> Iterator[set[Address]]:
        with watching() as found:
            yield found

    @pytest.fixture
    def channel(self, make_channel: MakeChannel, talked_to: set[Address]) -> hub.Channel:
        return make_channel()

    @pytest.fixture
    def letter(self, recipient: hub.Recipient) -> hub.Letter:
        """A letter to the recipient."""
        return hub.Letter(
            title="Brev fra kommunen",
            language="da",
            pdf=b"%PDF-1.7\n" + _MARK.encode() + b"\n%%EOF\n",
            html=f"<!doctype html><html lang='da'><title>Brev</title><p>{_MARK}</p></html>",
            file_name="brev.pdf",
            recipient=recipient,
            created=datetime(2026, 3, 2, 8, 0, tzinfo=UTC),
            contact=hub.Contact("kontakt-1", "Karen Koordinator", "70 10 20 30", "karen@kommune.example"),
        )

    @pytest.fixture
    def hidden(self, letter: hub.Letter, unreachable: hub.Recipient) -> set[str]:
        """The number and name of the recipient, and what the letter says."""
        return {letter.recipient.cpr, letter.recipient.name, unreachable.name, _MARK}

    @pytest.fixture
    def keys(self, channel: hub.Channel, letter: hub.Letter, pass_time: Callable[[], None]) -> list[str]:
        """Three letters that have been sent, and of which something has become."""
        keys = [_key() for _ in range(3)]
        for key in keys:
            assert isinstance(channel.send(letter, key), hub.Sent)
        pass_time()
        return keys

    # --- the contract's shape ---

    def test_is_a_channel(self, channel: hub.Channel) -> None:
        """The settings name a channel, and the hub finds it by that name."""
        assert isinstance(channel, hub.Channel)
        assert re.fullmatch(r"[a-z][a-z0-9_]*", channel.name), "name: small letters, digits and _"

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

    # --- sending ---

    def test_letter_arrives_under_its_key(
        self, channel: hub.Channel, letter: hub.Letter, letters_there: Callable[[], list[str]]
    ) -> None:
        """The key is all that the hub and the other side have in common to speak of a letter by."""
        key = _key()
        sent = channel.send(letter, key)
        assert type(sent) is hub.Sent
        assert sent.transmission, "transmission is empty: the other side's own id of the sending"
        assert sent.route in ("digital", "print")
        assert letters_there() == [key]

    def test_same_key_twice_is_one_letter(
        self, channel: hub.Channel, make_channel: MakeChannel, letter: hub.Letter,
        letters_there: Callable[[], list[str]],
    ) -> None:  # fmt: skip
        """A killed worker's letter is sent again: the family gets it once, and the second try is no failure."""
        key = _key()
        channel.send(letter, key)
        assert type(make_channel().send(letter, key)) is hub.Sent
        assert letters_there() == [key]

    def test_another_key_is_another_letter(
        self, channel: hub.Channel, letter: hub.Letter, letters_there: Callable[[], list[str]]
    ) -> None:
        """Two letters may read the same, and both are to arrive."""
        keys = [_key(), _key()]
        for key in keys:
            assert type(channel.send(letter, key)) is hub.Sent
        assert sorted(letters_there()) == sorted(keys)

    def _requests_of_a_send(self, channel: hub.Channel, letter: hub.Letter, front: Front) -> list[Request]:
        before = len(front.requests)
        assert type(channel.send(letter, _key())) is hub.Sent
        return front.requests[before:]

    def test_lost_answer_is_unsure_and_the_next_try_makes_no_second_letter(
        self, make_channel: MakeChannel, letter: hub.Letter, front: Front, letters_there: Callable[[], list[str]],
        short: float, time_limit: float,
    ) -> None:  # fmt: skip
        """The worst moment: the letter is there, and nobody has said so. Neither "sent" nor "not sent" is true."""
        channel, key = make_channel(timeout_seconds=short), _key()
        before = len(self._requests_of_a_send(make_channel(), letter, front))
        there = letters_there()
        front.trouble(Trouble.LOST, after=before - 1)
        began = time.monotonic()
        first = channel.send(letter, key)
        took = time.monotonic() - began
        front.well()
        channel.send(letter, key)
        assert Counter(letters_there()) - Counter(there) == {key: 1}
        assert type(first) is hub.Unsure, f"{type(first).__name__}, and the letter may have arrived"
        assert took < time_limit

    def test_broken_answer_is_unsure(self, channel: hub.Channel, letter: hub.Letter, front: Front) -> None:
        """A connection that ends in the middle says as little as none."""
        front.trouble(Trouble.BROKEN, after=len(self._requests_of_a_send(channel, letter, front)) - 1)
        assert type(channel.send(letter, _key())) is hub.Unsure

    def test_refused_for_good_is_refused(
        self, channel: hub.Channel, refused_letter: hub.Letter, letters_there: Callable[[], list[str]]
    ) -> None:
        """To try again would change nothing: a person must look, and soon."""
        result = channel.send(refused_letter, _key())
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
        result = channel.send(letter, _key())
        assert type(result) is hub.Later
        assert letters_there() == []

    def test_asked_to_wait_tells_how_long(self, channel: hub.Channel, letter: hub.Letter, front: Front) -> None:
        """Who comes back too early is shut out; the hub waits as long as it is told."""
        front.trouble(Trouble.BUSY, after=len(self._requests_of_a_send(channel, letter, front)) - 1)
        result = channel.send(letter, _key())
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
        result = channel.send(letter, _key())
        assert type(result) in (hub.Later, hub.Unsure), f"{type(result).__name__} after {trouble.value}"
        assert {request.path for request in front.requests} <= known, "it let itself be led elsewhere"

    def test_sends_again_when_the_other_side_is_back(
        self, channel: hub.Channel, letter: hub.Letter, front: Front, letters_there: Callable[[], list[str]]
    ) -> None:
        """The hub keeps a channel for weeks."""
        front.trouble(Trouble.DOWN)
        key = _key()
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
        assert type(channel.send(replace(letter, recipient=unreachable), _key())) is hub.Refused
        assert letters_there() == []

    # --- what became of letters ---

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
        assert {one.key for one in _told(pages)} == set(keys), "each letter sent has a status, by its key"

    def test_statuses_resume_right_after_every_page(
        self, channel: hub.Channel, make_channel: MakeChannel, keys: list[str]
    ) -> None:
        """Killed after any page, the hub goes on in a new process and misses nothing."""
        pages = list(channel.statuses(None))
        assert len(pages) >= 3, f"{len(pages)} pages of statuses: make the kit's channel with a small page of them"
        for place, page in enumerate(pages, start=1):
            assert isinstance(page.cursor, str), "a page of statuses has no cursor"
            assert page.cursor, "a page of statuses has no cursor"
            assert _counts(list(make_channel().statuses(page.cursor))) == _counts(pages[place:]), f"after page {place}"

    def test_statuses_come_as_they_come_about(
        self, channel: hub.Channel, keys: list[str], letter: hub.Letter, pass_time: Callable[[], None]
    ) -> None:
        """Reading on from the end gives what is new since, and nothing else."""
        end = list(channel.statuses(None))[-1].cursor
        assert not _told(list(channel.statuses(end)))
        key = _key()
        channel.send(letter, key)
        pass_time()
        assert key in {one.key for one in _told(list(channel.statuses(end)))}

    def test_unknown_status_is_passed_on(
        self, channel: hub.Channel, keys: list[str], new_status: Callable[[], None]
    ) -> None:
        """A status added next year may mean that letters fail: a person must see it, and no other may be guessed."""
        before = _counts(list(channel.statuses(None)))
        new_status()
        after = _told(list(channel.statuses(None)))
        assert any(one.status is hub.DeliveryStatus.UNKNOWN and one.key in keys for one in after)
        assert len(after) == before.total(), "another status was lost"

    def test_bad_status_stands_alone(self, channel: hub.Channel, keys: list[str], spoil: Callable[[], None]) -> None:
        """One receipt that cannot be read must not keep all others from coming."""
        before = _counts(list(channel.statuses(None)))
        spoil()
        pages = list(channel.statuses(None))
        bad = [one for page in pages for one in page.statuses if isinstance(one, hub.Unreadable)]
        assert (before - _counts(pages)).total() == 1, "one status is bad, and others are missing, or none"
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

    # --- health ---

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

    # --- no number and no name where none may be ---

    def _live(
        self, channel: hub.Channel, letter: hub.Letter, refused: hub.Letter, front: Front, spoil: Callable[[], None]
    ) -> list[str]:
        """A life with a refused letter, a bad status and all kinds of trouble: all that was said to operators."""
        said: list[str] = []
        channel.send(letter, _key())
        spoil()
        troubles = (Trouble.DOWN, Trouble.BUSY, Trouble.LOCKED, Trouble.WRONG, Trouble.CUT, Trouble.BROKEN)
        for trouble in (None, *troubles):
            if trouble is not None:
                front.trouble(trouble)
            for one in (letter, refused):
                result = channel.send(one, _key())
                assert type(result) in _RESULTS
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
