"""What becomes of a letter is chosen by the last two digits of the recipient's made-up number.

| ends in | outcome | the hub is told |
|---|---|---|
| 90 | printed | sent on paper; at the printer; handed to the postal service |
| 91 | refused | refused for good |
| 92 | failed | sent, and failed on its way |
| 93 | returned | sent on paper, delivered, and it came back |
| 94 | busy | not now, try again in a minute; each time |
| 95 | unsure | nothing: the answer is lost; the letter is there, and its statuses come |
| 96 | lost | nothing: the request is lost, and the letter is not there |
| 97 | hangs | nothing, after `hang_seconds` |
| 98 | silent | sent, and never a status |
| 99 | unreachable | the channel does not reach them |
| anything else | delivered | sent; taken in; in the mailbox |

It remembers each letter's key and outcome in its folder, and nothing of the letter or of whom it is to.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from hub import DeliveryStatus, Health, Later, Letter, Recipient, Refused, SendResult, Sent, Status, StatusPage, Unsure


class Outcome(StrEnum):
    DELIVERED = "delivered"
    PRINTED = "printed"
    REFUSED = "refused"
    FAILED = "failed"
    RETURNED = "returned"
    BUSY = "busy"
    UNSURE = "unsure"
    LOST = "lost"
    HANGS = "hangs"
    SILENT = "silent"
    UNREACHABLE = "unreachable"


BY_ENDING = {
    "90": Outcome.PRINTED,
    "91": Outcome.REFUSED,
    "92": Outcome.FAILED,
    "93": Outcome.RETURNED,
    "94": Outcome.BUSY,
    "95": Outcome.UNSURE,
    "96": Outcome.LOST,
    "97": Outcome.HANGS,
    "98": Outcome.SILENT,
    "99": Outcome.UNREACHABLE,
}
_ON_PAPER = (Outcome.PRINTED, Outcome.RETURNED)
_BECOMES = {
    Outcome.PRINTED: (DeliveryStatus.RECEIVED, DeliveryStatus.DELIVERED),
    Outcome.FAILED: (DeliveryStatus.RECEIVED, DeliveryStatus.FAILED),
    Outcome.RETURNED: (DeliveryStatus.RECEIVED, DeliveryStatus.DELIVERED, DeliveryStatus.RETURNED),
    Outcome.SILENT: (),
}
"""What is said of a letter later, where it is not received and delivered."""
_PAGE = 100


class SimulatorSettings(BaseModel):
    """`folder` is where it remembers. `knows_keys` says whether it tells the hub that it knows keys: without, a letter
    that may have arrived waits for a status or for a person. `hang_seconds` is how long the outcome `hangs` takes."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    folder: Path
    knows_keys: bool = True
    hang_seconds: float = Field(default=20.0, ge=0, le=300)


class _Taken(NamedTuple):
    key: str
    outcome: Outcome
    at: datetime


class Simulator:
    """One object may be used from several threads, and several processes may share the folder."""

    name = "simulator"

    def __init__(self, settings: SimulatorSettings) -> None:
        self._settings = settings
        self.knows_keys = settings.knows_keys
        self._file = settings.folder / "taken.jsonl"

    def reaches(self, recipient: Recipient) -> bool:
        return outcome_of(recipient) is not Outcome.UNREACHABLE

    def send(self, letter: Letter, key: str) -> SendResult:
        outcome = outcome_of(letter.recipient)
        if outcome in (Outcome.REFUSED, Outcome.UNREACHABLE):
            return Refused(f"simulated: {outcome.value}")
        if outcome in _ON_PAPER and not letter.paper:
            return Refused("simulated: it could go on paper only, and may not")
        if outcome is Outcome.BUSY:
            return Later("simulated: busy", 60.0)
        if outcome is Outcome.HANGS:
            time.sleep(self._settings.hang_seconds)
        if outcome in (Outcome.HANGS, Outcome.LOST):
            return Unsure(f"simulated: {outcome.value}")
        known = any(taken.key == key for taken in self._taken())
        if not known or not self.knows_keys:
            self._take(_Taken(key, outcome, datetime.now(UTC)))
        if outcome is Outcome.UNSURE and not known:
            return Unsure("simulated: the answer is lost")
        return Sent(f"simulated-{key}", "print" if outcome in _ON_PAPER else "digital")

    def point(self, recipient: Recipient, text: str, key: str) -> SendResult:
        """A text message to nobody."""
        return Sent(f"simulated-{key}") if self.reaches(recipient) else Refused("simulated: unreachable")

    def letters(self) -> list[str]:
        """The key of every letter that arrived, twice where it arrived twice."""
        return [taken.key for taken in self._taken()]

    def _take(self, taken: _Taken) -> None:
        self._settings.folder.mkdir(parents=True, exist_ok=True)
        line = json.dumps({"key": taken.key, "outcome": taken.outcome.value, "at": taken.at.isoformat()})
        # One short write at the end of the file: lines of several processes do not mix.
        with self._file.open("a", encoding="ascii") as file:
            file.write(line + "\n")

    def _taken(self) -> list[_Taken]:
        try:
            lines = self._file.read_text(encoding="ascii").splitlines()
        except FileNotFoundError:
            return []
        read = (json.loads(line) for line in lines)
        return [_Taken(one["key"], Outcome(one["outcome"]), datetime.fromisoformat(one["at"])) for one in read]

    def statuses(self, since: str | None) -> Iterator[StatusPage]:
        """All that becomes of the letters taken after `since`, which is how many there were."""
        taken, start = self._taken(), int(since or 0)
        for first in range(start, len(taken), _PAGE):
            page = taken[first : first + _PAGE]
            yield StatusPage(tuple(said for one in page for said in _said(one)), str(first + len(page)))

    def health(self) -> Health:
        return Health(ok=True, detail="nothing leaves: letters end in the simulator")


def outcome_of(recipient: Recipient) -> Outcome:
    return BY_ENDING.get(recipient.cpr[-2:], Outcome.DELIVERED)


def _said(one: _Taken) -> list[Status]:
    route = "print" if one.outcome in _ON_PAPER else "digital"
    becomes = _BECOMES.get(one.outcome, (DeliveryStatus.RECEIVED, DeliveryStatus.DELIVERED))
    bad = (DeliveryStatus.FAILED, DeliveryStatus.RETURNED)
    return [
        Status(one.key, status, one.at, route, f"simulated: {one.outcome.value}" if status in bad else "")
        for status in becomes
    ]
