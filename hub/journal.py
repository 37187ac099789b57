"""The journal: what a restored database cannot know, kept on another disk than the database.

A backup is of a moment. What the hub did after it cannot be undone by losing the database: letters that left, families'
answers, which must hold, and who coordinates. So these are written down outside it too, in `journal` of the settings:

    {"composed": LETTER, "said": [DIGEST, …]}     before the letter's row is committed, on disk
    {"begun": [LETTER, …]}                        before any of them is handed over, on disk
    {"letter": LETTER, "result": "sent", …}       what the channel answered: sent, refused, later, unsure; or withheld
    {"answer": ID, …}                             after a family's answer was committed
    {"act": ID, "does": "away", …}                after something was done with coordinators

`hub.recovery` reads it. One file for a day and a machine; a line for an entry, sealed under the key ring, beginning
with the ring's version and the length of what follows, so that a line cut short by a full disk is known from one that
was changed. Whoever holds neither keys nor database learns the time of a file and how many lines it has.
"""

from __future__ import annotations

import base64
import errno
import os
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.orm import Session

from hub.context import Context
from hub.errors import GaveUp, TryAgain
from hub.vault import CannotOpen, KeyRing, seal_json, unseal_json

_ABOUT = "journal"
SUFFIX = ".journal"


class JournalBroken(GaveUp):
    """The journal cannot be read."""


@dataclass(frozen=True, slots=True)
class Entry:
    at: datetime
    fields: dict[str, Any]


def write(ctx: Context, *entries: Mapping[str, Any], durable: bool = True) -> None:
    """Add entries, all or none. `durable`: on the disk before this returns; else only safe from the end of the process.

    Does nothing where the settings name no journal. Raises TryAgain when it cannot be written: whatever was to follow
    must not."""
    folder = ctx.settings.journal
    if folder is None or not entries:
        return
    now = ctx.clock.now()
    ring = ctx.keys.ring
    text = "".join(_line(ring, {"at": now.isoformat()} | dict(entry)) for entry in entries)
    path = folder / f"{now:%Y-%m-%d}.{socket.gethostname()}{SUFFIX}"
    try:
        _append(path, text.encode("ascii"), durable)
    except OSError as error:
        # The folder is not made: where a disk is not mounted, it would be made on another.
        raise TryAgain(
            f"the journal {folder} cannot be written: {error.strerror}. Is its disk mounted and not full?"
        ) from error


def after_commit(ctx: Context, session: Session, entry: Mapping[str, Any]) -> None:
    """Add an entry once the session's transaction is committed."""
    event.listen(session, "after_commit", lambda _session: write(ctx, entry), once=True)


def _line(ring: KeyRing, fields: Mapping[str, Any]) -> str:
    version = ring.current
    sealed = base64.b64encode(seal_json(ring.versions[version], fields, _ABOUT)).decode("ascii")
    # The line's end comes first: after a line that was cut short, the next one still stands by itself.
    return f"\n{version} {len(sealed)} {sealed}"


def _append(path: Path, data: bytes, durable: bool) -> None:
    new = durable and not path.exists()
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        if os.write(handle, data) < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if durable:
            os.fsync(handle)
    finally:
        os.close(handle)
    if new:
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def read(folder: Path, ring: KeyRing) -> list[Entry]:
    """All entries, oldest first. What was cut short is left out: whoever wrote it was told that it failed, or died.

    Raises JournalBroken, with file and line, when the folder cannot be read or a whole line does not open."""
    try:
        entries = [entry for path in sorted(folder.glob(f"*{SUFFIX}")) for entry in _entries(path, ring)]
        if not folder.is_dir():
            raise JournalBroken(f"there is no journal in {folder}: name the folder that it was kept in")
    except OSError as error:
        raise JournalBroken(f"the journal {error.filename or folder} cannot be read: {error.strerror}") from error
    return sorted(entries, key=lambda entry: entry.at)


def _entries(path: Path, ring: KeyRing) -> Iterator[Entry]:
    for number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
        parts = line.split(b" ")
        if len(parts) < 3 or not parts[1].isdigit() or len(parts[2]) < int(parts[1]):
            continue
        try:
            sealed = base64.b64decode(parts[2], validate=True)
            fields = unseal_json(ring.versions[int(parts[0])], sealed, _ABOUT)
        except (CannotOpen, KeyError, ValueError) as error:
            raise JournalBroken(
                f"{path}, line {number} does not open: it was changed, or these keys are not those it was written with"
            ) from error
        yield Entry(datetime.fromisoformat(fields.pop("at")), fields)
