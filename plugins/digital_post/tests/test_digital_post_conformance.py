"""The conformance kit, against the town's Digital Post: each way, in each version of the format."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Set
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from tovholder_digital_post import DigitalPost, DigitalPostSettings, DirectPost

import hub
from hub.clock import SetClock
from hub.demo.model import Town
from hub.demo.servers import digital_post
from hub.testing import ChannelConformance, Front

Act = Callable[[], None]
ASK = "/service/PostForespoerg_1/digitalpost"


def of_one_receipt(how: Callable[[str], str]) -> Callable[[bytes], bytes]:
    """A change to the second receipt of the first page, wherever that page is asked for again."""

    def change(body: bytes) -> bytes:
        answer = json.loads(body) if body.startswith(b'{"beskeder"') else {}
        if answer.get("next") == "2":
            answer["beskeder"][1] = how(answer["beskeder"][1])
            return json.dumps(answer).encode()
        return body

    return change


class InTown:
    """What all ways have in common."""

    @pytest.fixture
    def other_side(self, town: Town, clock: SetClock, folder: Path) -> Any:
        return digital_post.app(town, clock, folder)

    @pytest.fixture
    def recipient(self, town: Town) -> hub.Recipient:
        person = next(person for person in town.people.values() if person.digital_post)
        return hub.Recipient(person.cpr, person.name)

    @pytest.fixture
    def letters_there(self, folder: Path) -> Callable[[], list[str]]:
        return lambda: [file.name.partition(".")[0] for file in folder.glob("*.xml")]

    @pytest.fixture
    def refused_letter(self, letter: hub.Letter) -> hub.Letter:
        """To somebody who is not in the town: taken for exempt, and the printer does not know them."""
        return replace(letter, recipient=hub.Recipient("2404759996", "Ukendt Prøvesen"))

    @pytest.fixture
    def pass_time(self, clock: SetClock) -> Act:
        return lambda: clock.move(timedelta(hours=3))


class Kombit(InTown):
    changes: ClassVar[dict[str, Any]] = {}

    @pytest.fixture
    def make_channel(self, settings: DigitalPostSettings, front: Front) -> Callable[..., DigitalPost]:
        def make(**more: Any) -> DigitalPost:
            changed = settings.model_dump(mode="json") | {"url": front.url, "page_size": 2} | self.changes | more
            return DigitalPost(DigitalPostSettings.model_validate(changed))

        return make

    @pytest.fixture
    def new_status(self, front: Front) -> Act:
        def unheard_of(envelope: str) -> str:
            handling = envelope.index("<b:ObjektHandling>")
            uuid = envelope.index("<UUIDIdentifikator>", handling) + len("<UUIDIdentifikator>")
            started = envelope.index("<Base64")
            content, end = envelope.index(">", started) + 1, envelope.index("</Base64>")
            # Without words of its own inside, only the UUID says which status it is.
            inside = base64.b64encode(b"<PKO_PostStatus/>")
            shorter = envelope[:content] + inside.decode() + envelope[end:]
            return shorter[:uuid] + "11111111-1111-4111-8111-111111111111" + shorter[uuid + 36 :]

        return lambda: front.change(of_one_receipt(unheard_of))

    @pytest.fixture
    def spoil(self, front: Front) -> Act:
        return lambda: front.change(of_one_receipt(lambda envelope: envelope.replace("</b:Beskedkuvert>", "")))

    @pytest.fixture
    def forced_addresses(self) -> Set[str]:
        """PostForespoerg is a GET with the number in the address; the channel keeps it out of every log."""
        return {ASK}


class TestConformance(Kombit, ChannelConformance):
    pass


@pytest.mark.slow
class TestConformanceOlder(Kombit, ChannelConformance):
    changes: ClassVar[dict[str, Any]] = {"memo_version": "1.1"}


@pytest.mark.slow
class TestConformanceWherePlatformChooses(Kombit, ChannelConformance):
    changes: ClassVar[dict[str, Any]] = {"choice": "platform"}

    @pytest.fixture
    def forced_addresses(self) -> Set[str]:
        """None: the number is in the letter only. (`health` asks about nobody.)"""
        return frozenset()


class Direct(InTown):
    changes: ClassVar[dict[str, Any]] = {}

    @pytest.fixture
    def make_channel(self, direct_settings: dict[str, Any], front: Front) -> Callable[..., DirectPost]:
        def make(**more: Any) -> DirectPost:
            changed = direct_settings | {"url": front.url + "/apis/v1", "page_size": 2} | self.changes | more
            return DirectPost(DigitalPostSettings.model_validate(changed))

        return make

    @staticmethod
    def _first(how: Callable[[dict[str, Any]], Any]) -> Callable[[bytes], bytes]:
        """A change to one receipt, wherever it is given."""
        chosen: list[str] = []

        def change(body: bytes) -> bytes:
            answer = json.loads(body) if b'"receipts"' in body else {}
            if not answer.get("receipts"):
                return body
            if not chosen:
                chosen.append(answer["receipts"][0]["id"])
            answer["receipts"] = [how(one) if one["id"] == chosen[0] else one for one in answer["receipts"]]
            return json.dumps(answer).encode()

        return change

    @pytest.fixture
    def new_status(self, front: Front) -> Act:
        return lambda: front.change(self._first(lambda receipt: receipt | {"receiptStatus": "POSTPONED"}))

    @pytest.fixture
    def spoil(self, front: Front) -> Act:
        return lambda: front.change(self._first(lambda receipt: receipt | {"timeStamp": "i går"}))


class TestConformanceDirect(Direct, ChannelConformance):
    pass


@pytest.mark.slow
class TestConformanceDirectOlder(Direct, ChannelConformance):
    changes: ClassVar[dict[str, Any]] = {"memo_version": "1.1"}


@pytest.mark.slow
class TestConformanceDirectAsFile(Direct, ChannelConformance):
    changes: ClassVar[dict[str, Any]] = {"upload": "file"}
