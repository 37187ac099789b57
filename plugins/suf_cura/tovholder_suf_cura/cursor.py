"""How a read goes on where it was cut off. Nothing of a person is in a cursor.

Over HTTP a cursor is a place in the order of changes; what changed at that moment or later is asked for. A folder is
read whole, so its cursor is a number of things told, good as long as no file has changed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import hub
from tovholder_suf_cura import fhir
from tovholder_suf_cura.gather import Thing

ALL, SOME, DONE = "all", "some", "done"
"""Where a cursor stands: in a read of everything, in a read of changes, at the end of either."""


@dataclass(frozen=True, slots=True)
class Place:
    """What has been told: all that changed before `time`, and of what changed at that moment the first `told`, by their
    ids, of which `digest` is a digest: with others among them all of that moment is told again."""

    phase: str
    time: datetime
    told: int
    digest: str

    def __str__(self) -> str:
        return f"{self.phase} {self.time.isoformat()} {self.told} {self.digest}"

    @staticmethod
    def parse(since: str | None) -> Place | None:
        """None for one that this version did not write, since a full read is never wrong."""
        try:
            phase, moment, told, digest = (since or "").split(" ")
            time = fhir.instant(moment)
            if phase not in (ALL, SOME, DONE) or time is None:
                return None
            return Place(phase, time, int(told), digest)
        except (ValueError, hub.BadRecord):
            return None

    @staticmethod
    def after(things: Sequence[Thing], told: int, phase: str, before: Place | None) -> Place | None:
        """The place after the first `told` of things in order; None while nothing with a time has been told ever."""
        time = things[told - 1].time if told else None
        if time is None:
            return before and Place(phase, before.time, before.told, before.digest)
        first = told
        while first and things[first - 1].time == time:
            first -= 1
        return Place(phase, time, told - first, _digest([thing.name for thing in things[first:told]]))

    def left(self, things: Sequence[Thing]) -> int:
        """How many of things in order, from the first, have been told."""
        earlier = sum(thing.time is None or thing.time < self.time for thing in things)
        names = [thing.name for thing in things[earlier:] if thing.time == self.time][: self.told]
        return earlier + self.told if names and _digest(names) == self.digest else earlier


def _digest(names: list[str]) -> str:
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:8]


@dataclass(frozen=True, slots=True)
class Count:
    """The first `told` things of a folder whose files are as `fingerprint` says."""

    phase: str
    told: int
    fingerprint: str

    def __str__(self) -> str:
        return f"folder-1 {self.phase} {self.told} {self.fingerprint}"

    @staticmethod
    def parse(since: str | None) -> Count | None:
        """None for one that this version did not write."""
        word, _, rest = (since or "").partition(" ")
        phase, told, fingerprint = [*rest.split(" "), "", "", ""][:3]
        if word != "folder-1" or phase not in (ALL, DONE) or not told.isdecimal():
            return None
        return Count(phase, int(told), fingerprint)
