"""One channel that keeps the contract, and many that break it in one way each; as broken_adapters.py."""

from __future__ import annotations

import http.client
import logging
import socket
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2 as httpx
import pytest
from pydantic import BaseModel, ConfigDict

import hub
from hub.testing import ChannelConformance, Front

sys.path.insert(0, str(Path(__file__).parent))
from toy_platform import KNOWN, ToyPlatform

NAME = "Tanja Tante Prøve"
STATUSES = {"received": hub.DeliveryStatus.RECEIVED, "delivered": hub.DeliveryStatus.DELIVERED}
log = logging.getLogger("toy")


class Settings(BaseModel):
    model_config = ConfigDict(frozen=True)
    url: str
    timeout_seconds: float = 5.0


@cache
def client() -> httpx.Client:
    return httpx.Client()


class GoodChannel:
    """Keeps the contract."""

    meant = ""
    name = "toy"
    knows_keys = True

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def reaches(self, recipient: hub.Recipient) -> bool:
        return recipient.cpr != "0000000000"

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        return client().request(method, self.settings.url + path, timeout=self.settings.timeout_seconds, **more)

    def send(self, letter: hub.Letter, key: str) -> hub.SendResult:
        if not self.reaches(letter.recipient):
            return hub.Refused("the recipient has no number")
        body = {"key": key, "cpr": letter.recipient.cpr, "title": letter.title}
        try:
            response = self.ask("POST", "/letters", json=body)
        except httpx.ConnectError:
            return hub.Later("no connection")
        except httpx.HTTPError as error:
            return self.no_answer(error)
        return self.result(response, letter)

    def no_answer(self, error: httpx.HTTPError) -> hub.SendResult:
        return hub.Unsure("the answer did not come")

    def result(self, response: httpx.Response, letter: hub.Letter) -> hub.SendResult:
        code = response.status_code
        if code == 201:
            return self.taken(response)
        if code == 409:
            return self.known_already(response)
        if code == 422:
            return self.refused(letter)
        if code == 429:
            return hub.Later("too many at once", float(response.headers["retry-after"]))
        return self.other(code)

    def taken(self, response: httpx.Response) -> hub.SendResult:
        try:
            return hub.Sent(response.json()["id"])
        except ValueError:
            return hub.Unsure("the answer is cut short")

    def known_already(self, response: httpx.Response) -> hub.SendResult:
        return self.taken(response)

    def refused(self, letter: hub.Letter) -> hub.SendResult:
        return hub.Refused("the platform refuses the letter")

    def other(self, code: int) -> hub.SendResult:
        return hub.Unsure("an answer that is none") if code == 200 else hub.Later(f"the platform answered {code}")

    def statuses(self, since: str | None) -> Iterator[hub.StatusPage]:
        after = int(since or "0")
        while True:
            told, following = self.told(after)
            if not told:
                return
            found = [self.status(one, after + number) for number, one in enumerate(told)]
            yield self.page(hub.StatusPage(tuple(one for one in found if one is not None), str(following)))
            after = following

    def page(self, page: hub.StatusPage) -> hub.StatusPage:
        return page

    def told(self, after: int) -> tuple[list[dict[str, str]], int]:
        try:
            response = self.ask("GET", f"/statuses?after={after}")
            response.raise_for_status()
            answer = response.json()
            return answer["statuses"], answer["next"]
        except (httpx.HTTPError, ValueError) as error:
            raise hub.TryAgain("the platform does not tell") from error

    def status(self, told: dict[str, str], place: int) -> hub.Status | hub.Unreadable | None:
        try:
            time = datetime.fromisoformat(told["time"])
        except ValueError:
            return self.bad(told, place)
        if told["status"] not in STATUSES:
            return self.unknown(told, time)
        return hub.Status(told["key"], STATUSES[told["status"]], time)

    def bad(self, told: dict[str, str], place: int) -> hub.Unreadable | None:
        return hub.Unreadable(f"status {place}", "time is no time")

    def unknown(self, told: dict[str, str], time: datetime) -> hub.Status | None:
        return hub.Status(told["key"], hub.DeliveryStatus.UNKNOWN, time, reason="a status that is not known")

    def health(self) -> hub.Health:
        try:
            code = self.ask("GET", "/health").status_code
        except httpx.HTTPError:
            return hub.Health(False, "no answer")
        return hub.Health(code == 200, f"the platform answered {code}")


# --- the contract's shape ---


class BadChannelName(GoodChannel):
    meant = "test_is_a_channel"
    name = "Toy Post"


class ConnectsAtOnce(GoodChannel):
    meant = "test_connects_to_nothing_when_it_is_made"

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.health()


class TellsSomebodyElse(GoodChannel):
    meant = "test_talks_to_its_other_side_only"

    def health(self) -> hub.Health:
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", 9), timeout=0.1).close()
        return super().health()


# --- sending ---


class ChangesTheKey(GoodChannel):
    """The same key gives the same other one, so that it is one letter, and nobody knows which."""

    meant = """
        test_letter_arrives_under_its_key
        test_same_key_twice_is_one_letter
        test_another_key_is_another_letter
        test_sends_again_when_the_other_side_is_back
        test_lost_answer_is_unsure_and_the_next_try_makes_no_second_letter
        test_statuses_are_those_of_the_contract
        test_statuses_come_as_they_come_about
        test_unknown_status_is_passed_on
    """

    def send(self, letter: hub.Letter, key: str) -> hub.SendResult:
        return super().send(letter, str(uuid.uuid5(uuid.NAMESPACE_OID, key)))


class SecondTryIsSecondLetter(GoodChannel):
    meant = """
        test_same_key_twice_is_one_letter
        test_lost_answer_is_unsure_and_the_next_try_makes_no_second_letter
    """

    def known_already(self, response: httpx.Response) -> hub.SendResult:
        body = {"key": str(uuid.uuid4()), "cpr": KNOWN, "title": "again"}
        return super().result(self.ask("POST", "/letters", json=body), None)


class KnownLetterIsRefused(GoodChannel):
    meant = "test_same_key_twice_is_one_letter"

    def known_already(self, response: httpx.Response) -> hub.SendResult:
        return hub.Refused("the platform has it already")


class LostIsSent(GoodChannel):
    meant = "test_lost_answer_is_unsure_and_the_next_try_makes_no_second_letter"

    def no_answer(self, error: httpx.HTTPError) -> hub.SendResult:
        return hub.Sent("perhaps") if isinstance(error, httpx.TimeoutException) else super().no_answer(error)


class BrokenIsLater(GoodChannel):
    meant = "test_broken_answer_is_unsure"

    def no_answer(self, error: httpx.HTTPError) -> hub.SendResult:
        return super().no_answer(error) if isinstance(error, httpx.TimeoutException) else hub.Later("broken")


class PrintsAllTheSame(GoodChannel):
    meant = "test_what_may_not_go_on_paper_does_not"

    def taken(self, response: httpx.Response) -> hub.SendResult:
        return hub.Sent("printed", "print")


class RefusedIsLater(GoodChannel):
    meant = "test_refused_for_good_is_refused"

    def refused(self, letter: hub.Letter) -> hub.SendResult:
        return hub.Later("the platform refuses the letter")


class DownIsRefused(GoodChannel):
    meant = "test_not_now_is_later"

    def other(self, code: int) -> hub.SendResult:
        return hub.Refused("the platform is down") if code == 503 else super().other(code)


class ComesBackWhenItLikes(GoodChannel):
    meant = "test_asked_to_wait_tells_how_long"

    def result(self, response: httpx.Response, letter: hub.Letter) -> hub.SendResult:
        result = super().result(response, letter)
        return replace(result, after_seconds=None) if isinstance(result, hub.Later) else result


class OurOwnFaultIsRefused(GoodChannel):
    meant = "test_answer_about_something_else_is_no_verdict_on_the_letter"

    def other(self, code: int) -> hub.SendResult:
        return hub.Refused("no access") if code == 403 else super().other(code)


class AnyPageIsSent(GoodChannel):
    meant = "test_answer_about_something_else_is_no_verdict_on_the_letter"

    def other(self, code: int) -> hub.SendResult:
        return hub.Sent("200") if code == 200 else super().other(code)


class FollowsRedirects(GoodChannel):
    meant = "test_answer_about_something_else_is_no_verdict_on_the_letter"

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        return super().ask(method, path, follow_redirects=True, **more)


class StaysDown(GoodChannel):
    meant = "test_sends_again_when_the_other_side_is_back"
    down = False

    def send(self, letter: hub.Letter, key: str) -> hub.SendResult:
        return hub.Later("it was down") if self.down else super().send(letter, key)

    def other(self, code: int) -> hub.SendResult:
        self.down = self.down or code == 503
        return super().other(code)


class ReachesEverybody(GoodChannel):
    meant = "test_says_whom_it_reaches"

    def reaches(self, recipient: hub.Recipient) -> bool:
        return True


# --- what became of letters ---


class NaiveStatusTimes(GoodChannel):
    meant = "test_statuses_are_those_of_the_contract"

    def status(self, told: dict[str, str], place: int) -> hub.Status | hub.Unreadable | None:
        status = super().status(told, place)
        return replace(status, time=status.time.replace(tzinfo=None)) if isinstance(status, hub.Status) else status


class MutableStatusPages(GoodChannel):
    meant = "test_statuses_are_those_of_the_contract"

    def page(self, page: hub.StatusPage) -> hub.StatusPage:
        return replace(page, statuses=list(page.statuses))


class LosesStatusOnResume(GoodChannel):
    meant = "test_statuses_resume_right_after_every_page"

    def statuses(self, since: str | None) -> Iterator[hub.StatusPage]:
        return super().statuses(str(int(since) + 1) if since in ("2", "4") else since)


class AlwaysBeginsAnew(GoodChannel):
    meant = "test_statuses_resume_right_after_every_page test_statuses_come_as_they_come_about"

    def statuses(self, since: str | None) -> Iterator[hub.StatusPage]:
        return super().statuses(None)


class MissesNewStatuses(GoodChannel):
    meant = "test_statuses_come_as_they_come_about"

    def statuses(self, since: str | None) -> Iterator[hub.StatusPage]:
        return iter(()) if since == "6" else super().statuses(since)


class DropsUnknownStatus(GoodChannel):
    meant = "test_unknown_status_is_passed_on"

    def unknown(self, told: dict[str, str], time: datetime) -> hub.Status | None:
        return None


class GuessesUnknownStatus(GoodChannel):
    meant = "test_unknown_status_is_passed_on"

    def unknown(self, told: dict[str, str], time: datetime) -> hub.Status | None:
        return hub.Status(told["key"], hub.DeliveryStatus.DELIVERED, time)


class BadStatusStopsAll(GoodChannel):
    meant = "test_bad_status_stands_alone"

    def bad(self, told: dict[str, str], place: int) -> hub.Unreadable | None:
        raise hub.GaveUp("a status cannot be read")


class DropsBadStatus(GoodChannel):
    meant = "test_bad_status_stands_alone"

    def bad(self, told: dict[str, str], place: int) -> hub.Unreadable | None:
        return None


class SwallowsSilence(GoodChannel):
    meant = "test_no_answer_about_statuses_is_told"

    def told(self, after: int) -> tuple[list[dict[str, str]], int]:
        try:
            return super().told(after)
        except hub.TryAgain:
            return [], after


# --- health ---


class ChannelAlwaysWell(GoodChannel):
    meant = "test_health_says_when_the_other_side_does_not_answer"

    def health(self) -> hub.Health:
        return hub.Health(True)


class ChannelNeverWell(GoodChannel):
    meant = "test_health_is_good_when_all_is_well"

    def health(self) -> hub.Health:
        return replace(super().health(), ok=False)


class HealthSendsALetter(GoodChannel):
    meant = "test_health_is_good_when_all_is_well"

    def health(self) -> hub.Health:
        health = super().health()
        if health.ok:
            self.ask("POST", "/letters", json={"key": str(uuid.uuid4()), "cpr": KNOWN, "title": "test"})
        return health


# --- no number and no name where none may be ---


class RecipientInLog(GoodChannel):
    meant = "test_logs_hold_no_number_and_no_name"

    def send(self, letter: hub.Letter, key: str) -> hub.SendResult:
        log.info("a letter to %s", letter.recipient.name)
        return super().send(letter, key)


class LetterInLog(GoodChannel):
    meant = "test_logs_hold_no_number_and_no_name"

    def send(self, letter: hub.Letter, key: str) -> hub.SendResult:
        log.debug("sending %s", letter.html)
        return super().send(letter, key)


class NumberInRefusal(GoodChannel):
    meant = "test_reasons_and_cursors_hold_no_number_and_no_name"

    def refused(self, letter: hub.Letter) -> hub.SendResult:
        return hub.Refused(f"not for {letter.recipient.cpr}")


class NameInBadStatus(GoodChannel):
    meant = "test_reasons_and_cursors_hold_no_number_and_no_name"

    def bad(self, told: dict[str, str], place: int) -> hub.Unreadable | None:
        return hub.Unreadable(f"status {place}", f"time is no time in {told}")


class NumberInStatusError(GoodChannel):
    meant = "test_reasons_and_cursors_hold_no_number_and_no_name"

    def told(self, after: int) -> tuple[list[dict[str, str]], int]:
        try:
            return super().told(after)
        except hub.TryAgain as error:
            raise hub.TryAgain("the platform does not tell") from LookupError(f"{KNOWN} {error}")


class NameInAddress(GoodChannel):
    meant = "test_puts_no_number_or_name_in_an_address"

    def health(self) -> hub.Health:
        # No client that writes addresses into the log: that is another broken channel's.
        connection = http.client.HTTPConnection(self.settings.url.removeprefix("http://"), timeout=0.2)
        with suppress(OSError, http.client.HTTPException):
            connection.request("GET", f"/health?about={quote(NAME)}")
            connection.getresponse().read()
        connection.close()
        return super().health()


KIT = ChannelConformance
BROKEN = [
    thing
    for thing in list(globals().values())
    if isinstance(thing, type) and issubclass(thing, GoodChannel) and thing is not GoodChannel
]


class TestChannels(ChannelConformance):
    @pytest.fixture
    def other_side(self) -> ToyPlatform:
        return ToyPlatform()

    @pytest.fixture(params=[GoodChannel, *BROKEN], ids=lambda broken: broken.__name__)
    def make_channel(self, request: pytest.FixtureRequest, front: Front) -> Callable[..., GoodChannel]:
        def make(**settings: Any) -> GoodChannel:
            channel: GoodChannel = request.param(Settings(**{"url": front.url} | settings))
            return channel

        return make

    @pytest.fixture
    def recipient(self) -> hub.Recipient:
        return hub.Recipient(KNOWN, NAME)

    @pytest.fixture
    def letters_there(self, other_side: ToyPlatform) -> Callable[[], list[str]]:
        return lambda: list(other_side.letters)

    @pytest.fixture
    def refused_letter(self, letter: hub.Letter) -> hub.Letter:
        return replace(letter, title="")

    @pytest.fixture
    def pass_time(self, other_side: ToyPlatform) -> Callable[[], None]:
        return other_side.pass_time

    @pytest.fixture
    def new_status(self, other_side: ToyPlatform) -> Callable[[], None]:
        return lambda: other_side.statuses[3].update(status="eaten by the dog")

    @pytest.fixture
    def spoil(self, other_side: ToyPlatform) -> Callable[[], None]:
        return lambda: other_side.statuses[2].update(time="soon")

    @pytest.fixture
    def short(self) -> float:
        return 0.1

    @pytest.fixture
    def time_limit(self) -> float:
        return 1.0
