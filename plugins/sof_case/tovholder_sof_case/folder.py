"""Reading cases from a folder: every file below it, each by what it is; FFB reports in the order in which they were
made, all others in the order of their names. Where two files hold the same case, the one read later wins.

The cursor names the files that are done by a digest of path, size and time, and how far the one in hand is. A later
read takes the files that are not among them, when they are new files of Sager, which tell of what is deleted
themselves. When a file that was done is no longer there or has changed, or when another file is new, everything is read
again: exports tell what is gone by leaving it out.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import hub
from tovholder_sof_case import formats
from tovholder_sof_case.pages import Filling, Now, earlier, read_cursor, write_cursor
from tovholder_sof_case.settings import SofSettings

_PLACE = "folder"
_DIGEST = 9
"""Bytes of a file's digest in the cursor: 12 characters in base64, and no two alike among millions."""
_NUMBER = re.compile(r"\d{6}-?[0-9A-Za-z]{4}")
_BEGINNING = datetime.min.replace(tzinfo=UTC)


def look(settings: SofSettings) -> None:
    """Raise GaveUp when the folder is not there."""
    next(hub.files(_folder(settings), "*"), None)


def pages(settings: SofSettings, since: str | None, reading: formats.Reading, now: Now) -> Iterator[hub.Page]:
    """All cases of the files that the cursor does not name, `page_size` to a page.

    A file that cannot be read gives what comes before the fault and one Unreadable, is read again next time, and keeps
    the read from being complete: what stands after the fault is not gone."""
    state = _State(settings, since, now)
    page = Filling()
    for path, digest in state.todo():
        at, name = 0, state.name(path)
        try:
            with closing(formats.items(path, name, reading)) as items:
                for at, taken in enumerate(items, start=1):
                    if at <= state.skip(digest):
                        continue
                    page.add(taken)
                    if page.seen >= settings.page_size:
                        state.due = earlier(state.due, page.due)
                        yield page.page(state.cursor(digest, at))
                        page = Filling()
        except (hub.TryAgain, hub.GaveUp, OSError) as error:
            reason = f"cannot be opened: {type(error).__name__}" if isinstance(error, OSError) else str(error)
            page.put(hub.Unreadable(f"{name}, after case {at}", reason))
            state.broken = True
        else:
            state.done.add(digest)
    state.due = earlier(state.due, page.due)
    yield page.page(state.end(), complete=state.full and not state.broken)


class _State:
    """Where a read of the folder stands."""

    def __init__(self, settings: SofSettings, since: str | None, now: Now) -> None:
        self._folder = _folder(settings)
        # What begins with a dot is a system's own, or a copy under way.
        paths = [path for path in hub.files(self._folder, "*") if not _hidden(path.relative_to(self._folder))]
        self._files = [(path, _digest(path, self._folder)) for path in paths]
        state: dict[str, Any] = read_cursor(_PLACE, since, now()) or {"full": True}
        if not state["full"] and self._exports_changed(_unpack(state.get("done"))):
            state = {"full": True}
        self.full: bool = state["full"]
        self.due: datetime | None = state.get("due")
        self.broken = bool(state.get("broken"))
        self.done = _unpack(state.get("done"))
        at = state.get("at")
        self._in_hand: tuple[Any, int] = (state.get("file"), at if isinstance(at, int) else 0)

    def _exports_changed(self, done: set[str]) -> bool:
        there = {digest for _path, digest in self._files}
        return not done <= there or any(_is_export(path) for path, digest in self._files if digest not in done)

    def todo(self) -> Iterator[tuple[Path, str]]:
        todo = [(path, digest) for path, digest in self._files if digest not in self.done]
        made = {path: formats.made_at(path) or _BEGINNING for path, _digest in todo}
        yield from sorted(todo, key=lambda each: made[each[0]])

    def skip(self, digest: str) -> int:
        """How many cases of a file were given before the cursor; none when the file has changed since."""
        return self._in_hand[1] if self._in_hand[0] == digest else 0

    def name(self, path: Path) -> str:
        """The file for a message: below the folder, with anything like a CPR number blotted out."""
        return _NUMBER.sub("##########", path.relative_to(self._folder).as_posix())

    def cursor(self, digest: str, at: int) -> str:
        return write_cursor(
            _PLACE, full=self.full, due=self.due, broken=self.broken, done=_pack(self.done), file=digest, at=at
        )

    def end(self) -> str:
        there = {digest for _path, digest in self._files}
        return write_cursor(_PLACE, full=False, due=self.due, done=_pack(self.done & there))


def _is_export(path: Path) -> bool:
    """Whether a file holds all there is about its cases, rather than what has changed. One that cannot be read yet is
    taken for what tells of changes, so that a broken file does not make every read a full one."""
    try:
        with formats.opened(path) as (kind, _stream):
            return kind is not formats.Format.XML
    except (OSError, hub.TovholderError):
        return False


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


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


def _unpack(done: Any) -> set[str]:
    width = _DIGEST * 4 // 3
    return {done[at : at + width] for at in range(0, len(done), width)} if isinstance(done, str) else set()
