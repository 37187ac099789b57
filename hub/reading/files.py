"""Files from a folder, in an order that stays."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hub.errors import GaveUp

RAW_LIMIT = 64 * 1024
"""How many bytes of an unreadable record are kept (bytes)."""


def files(folder: Path, *patterns: str) -> Iterator[Path]:
    """The files below `folder` whose name fits one of `patterns`, sorted by path, so that a position stays the same.

    Raises GaveUp when the folder is not there."""
    if not folder.is_dir():
        raise GaveUp(f"the folder {folder} does not exist or is not a folder")
    names = {path for pattern in patterns for path in folder.rglob(pattern) if path.is_file()}
    yield from sorted(names)
