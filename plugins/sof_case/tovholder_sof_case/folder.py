"""Reading Sager from a folder: every `*.xml` below it, each with one or many, in the order of their names; where two
files hold the same case, the one with the later name wins.

The cursor names the files that are done by a digest of path, size and time, and how far the one in hand is. A later
read takes the files that are not among them: new ones, and changed ones as a whole.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hub
from tovholder_sof_case.pages import Filling, Take, read_cursor, write_cursor
from tovholder_sof_case.sag import SAG_TAGS
from tovholder_sof_case.settings import SofSettings

_PLACE = "folder"
_DIGEST = 9
"""Bytes of a file's digest in the cursor: 12 characters in base64, and no two alike among millions."""
_NUMBER = re.compile(r"\d{6}-?[0-9A-Za-z]{4}")


def look(settings: SofSettings) -> None:
    """Raise GaveUp when the folder is not there."""
    next(hub.files(_folder(settings), "*.xml"), None)


def pages(settings: SofSettings, since: str | None, take: Take) -> Iterator[hub.Page]:
    """All Sager of the files that the cursor does not name, `page_size` to a page.

    A file that is not well-formed gives what comes before the fault and one Unreadable, is read again next time, and
    keeps the read from being complete: what stands after the fault is not gone."""
    reading = _Reading(settings, since)
    page = Filling()
    for path, digest in reading.todo():
        at, name = 0, reading.name(path)
        try:
            with path.open("rb") as stream:
                for at, element in enumerate(hub.xml_elements(stream, *SAG_TAGS), start=1):
                    if at <= reading.skip(digest):
                        continue
                    page.add(take(element, f"{name} line {element.sourceline}, case {at}"))
                    if page.seen >= settings.page_size:
                        yield page.page(reading.cursor(digest, at))
                        page = Filling()
        except (hub.TryAgain, OSError) as error:
            reason = str(error) if isinstance(error, hub.TryAgain) else f"cannot be opened: {type(error).__name__}"
            page.put(hub.Unreadable(f"{name}, after case {at}", reason))
            reading.broken = True
        else:
            reading.done.add(digest)
    yield page.page(reading.end(), complete=reading.full and not reading.broken)


class _Reading:
    """Where a read of the folder stands."""

    def __init__(self, settings: SofSettings, since: str | None) -> None:
        state: dict[str, Any] = read_cursor(_PLACE, since) or {"full": True}
        self.full = bool(state["full"])
        self.broken = bool(state.get("broken"))
        self.done = _unpack(state.get("done", ""))
        self._folder = _folder(settings)
        self._in_hand = (state.get("file"), int(state.get("at", 0)))
        self._files = [(path, _digest(path, self._folder)) for path in hub.files(self._folder, "*.xml")]

    def todo(self) -> Iterator[tuple[Path, str]]:
        yield from ((path, digest) for path, digest in self._files if digest not in self.done)

    def skip(self, digest: str) -> int:
        """How many cases of a file were given before the cursor; none when the file has changed since."""
        return self._in_hand[1] if self._in_hand[0] == digest else 0

    def name(self, path: Path) -> str:
        """The file for a message: below the folder, with anything like a CPR number blotted out."""
        return _NUMBER.sub("##########", path.relative_to(self._folder).as_posix())

    def cursor(self, digest: str, at: int) -> str:
        return write_cursor(_PLACE, full=self.full, broken=self.broken, done=_pack(self.done), file=digest, at=at)

    def end(self) -> str:
        there = {digest for _path, digest in self._files}
        return write_cursor(_PLACE, full=False, done=_pack(self.done & there))


def _folder(settings: SofSettings) -> Path:
    if settings.folder is None:
        raise hub.GaveUp("the settings name no folder")
    return settings.folder


def _digest(path: Path, folder: Path) -> str:
    try:
        stat = path.stat()
        what = f"{path.relative_to(folder).as_posix()}\0{stat.st_size}\0{stat.st_mtime_ns}"
    except OSError:
        what = path.as_posix()
    return base64.b64encode(
        hashlib.blake2b(what.encode("utf-8", "surrogateescape"), digest_size=_DIGEST).digest()
    ).decode()


def _pack(done: set[str]) -> str:
    return "".join(sorted(done))


def _unpack(done: str) -> set[str]:
    width = _DIGEST * 4 // 3
    return {done[at : at + width] for at in range(0, len(done), width)}
