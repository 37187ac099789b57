"""The town in a file, so that the servers, each a process of its own, need not draw it again.

JSON, not pickle: it loads faster here, and reading it can run nothing. The file is the demo's own, readable only by its
owner, though nobody in it exists.
"""

from __future__ import annotations

import gc
import os
from pathlib import Path

from pydantic import TypeAdapter

from hub.demo.model import Town

NAME = "town.json"


def save(town: Town, folder: Path) -> Path:
    """Writes the town into `folder` (made if need be, for its owner only) and gives the file's path. Written beside and
    renamed, so that no server reads half a town."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    beside = folder / f"{NAME}.new"
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(TypeAdapter(Town).dump_json(town))
    return beside.replace(folder / NAME)


def load(folder: Path) -> Town:
    """The town that `save` wrote into `folder`: equal to it. Raises FileNotFoundError when there is none, and
    pydantic's ValidationError when the file is of another version of the town."""
    text = (folder / NAME).read_bytes()
    collecting = gc.isenabled()
    gc.disable()  # to look for garbage among half a million new objects would double the time
    try:
        return TypeAdapter(Town).validate_json(text)
    finally:
        if collecting:
            gc.enable()
