"""Time as an argument. Rules never ask the machine what time it is: they get a Clock.

`SystemClock` in production, `FileClock` in the demo (several processes share one simulated time), `SetClock` in tests.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Protocol
from zoneinfo import ZoneInfo

DENMARK = ZoneInfo("Europe/Copenhagen")


class Clock(Protocol):
    def now(self) -> datetime:
        """The time now, aware, in UTC."""
        ...


def today(clock: Clock) -> date:
    """The Danish date now: deadlines, ages and midnight are counted in Danish time."""
    return clock.now().astimezone(DENMARK).date()


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


class SetClock:
    """A clock that stands still until it is moved."""

    def __init__(self, start: datetime) -> None:
        self._now = start.astimezone(UTC)

    def now(self) -> datetime:
        return self._now

    def move(self, by: timedelta) -> None:
        self._now += by

    def set(self, to: datetime) -> None:
        self._now = to.astimezone(UTC)


class FileClock:
    """A simulated clock that several processes share: the file holds one ISO 8601 time in UTC."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, datetime] | None = None

    def now(self) -> datetime:
        stamp = self._path.stat().st_mtime_ns
        if self._seen is None or self._seen[0] != stamp:
            self._seen = (stamp, datetime.fromisoformat(self._path.read_text(encoding="ascii").strip()))
        return self._seen[1]

    def set(self, to: datetime) -> None:
        """Move the time for all processes; written beside and renamed, so that nobody reads half a time."""
        beside = self._path.with_suffix(".new")
        beside.write_text(to.astimezone(UTC).isoformat(), encoding="ascii")
        beside.replace(self._path)
