"""What is read in one go: an institution's export, or the case lists."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

import hub

MOST = 50_000
"""So many records one unit may have: listed pupils or cases, contacts, groups. The country's largest school has some
2,500 pupils; what has more than this is no school's export, and would fill the memory."""
_RAW_TOGETHER = 8 * 1024 * 1024
"""So many bytes of unreadable records are kept of one unit; the rest are told by position and reason."""


class Unit(Protocol):
    digest: str
    """Changes when anything changes that may change a record; says nothing by itself."""
    ignored: int
    whole: bool
    """Whether all that is there has been seen, so that what is not in it is gone."""

    def presences(self) -> list[hub.Record]: ...

    def cases(self) -> list[hub.Record]: ...


Reader = Callable[[Set[str] | None], Unit]
"""Reads a unit to its end. The argument: None for all children; else the numbers of those asked for.

Raises BadRecord (the unit cannot be read; others can), TryAgain, GaveUp."""


@dataclass(frozen=True, slots=True)
class Found:
    """The units a source has now, by name and in order, and what is wrong with it: while anything is, nothing that is
    missing counts as gone."""

    units: Mapping[str, Reader]
    problems: tuple[hub.Unreadable, ...] = ()


class Budget:
    """Counts what is kept of one unit."""

    def __init__(self) -> None:
        self._records = 0
        self._raw = 0

    def record(self) -> None:
        """One more record. Raises BadRecord when there are more than MOST."""
        self._records += 1
        if self._records > MOST:
            raise hub.BadRecord(f"it has more than {MOST} records to keep, which cannot be: look at the source")

    def raw(self, record: bytes) -> bytes:
        """The record as it may be kept."""
        self._raw += len(record)
        return record if self._raw <= _RAW_TOGETHER else b""


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """The file. Raises BadRecord when it cannot be opened or read."""
    try:
        with path.open("rb") as file:
            yield file
    except OSError as error:
        raise hub.BadRecord(f"it cannot be read ({type(error).__name__}): look at the file and its rights") from error
