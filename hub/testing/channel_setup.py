"""What the author of a channel gives the kit, and what the kit makes of it."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Set
from datetime import UTC, datetime

import pytest
from starlette.types import ASGIApp

import hub
from hub.testing.front import Address, Front, running, watching

MakeChannel = Callable[..., hub.Channel]

_MARK = "Kære modtager, dette brev er kittets eget"
"""Stands in the letter's own text, and nowhere else."""


def new_key() -> str:
    return str(uuid.uuid4())


def told(pages: list[hub.StatusPage]) -> list[hub.Status]:
    return [one for page in pages for one in page.statuses if isinstance(one, hub.Status)]


def counts(pages: list[hub.StatusPage]) -> Counter[tuple[str, str, str]]:
    return Counter((one.key, one.status.value, one.time.isoformat()) for one in told(pages))


class ChannelSetup:
    """The fixtures. The first part is what only the author knows."""

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
    @classmethod
    def _front(cls) -> Iterator[Front]:
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
        keys = [new_key() for _ in range(3)]
        for key in keys:
            assert isinstance(channel.send(letter, key), hub.Sent)
        pass_time()
        return keys
