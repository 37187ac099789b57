"""A trial: while the settings name a file of test recipients (`letters.trial`), a letter to anybody else stays here.

It ends as withheld with the reason `trial`, and never comes to a channel; what it told is not told again when the trial
is over.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from hub.errors import BadRecord, SettingsError
from hub.identity import parse

WHY = "trial"
"""Why such a letter was withheld."""


def recipients(file: Path | None) -> frozenset[str] | None:
    """The numbers letters may go to; None where there is no trial. One number a line; what follows a `#` is a comment.

    Raises SettingsError when the file cannot be read, anybody may read it, or a line is no number: then nothing may be
    sent at all."""
    if file is None:
        return None
    try:
        text = file.read_text(encoding="utf-8")
        readable = os.name == "posix" and file.stat().st_mode & stat.S_IROTH
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"letters.trial: {file} cannot be read ({type(error).__name__})") from error
    if readable:
        raise SettingsError(f"letters.trial: {file} holds numbers and anybody may read it; say: chmod o-r {file}")
    found = set()
    for place, line in enumerate(text.splitlines(), 1):
        said = line.partition("#")[0].strip()
        if not said:
            continue
        try:
            found.add(parse(said).digits)
        except BadRecord as error:
            raise SettingsError(f"letters.trial: {file}, line {place} is no civil registration number") from error
    return frozenset(found)
