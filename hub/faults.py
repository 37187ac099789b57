"""Named points at which a process can be made to die, for the crash runs (`make chaos`).

`TOVHOLDER_CRASH=letters.handed_over:3` ends the process, as `kill -9` would, the third time it comes to that point.
Without it a point costs one comparison. Whoever may set a process's environment may end it anyway.
"""

from __future__ import annotations

import os
import signal

POINTS = (
    "match.page",
    "match.page.committed",
    "custody.page",
    "custody.page.committed",
    "offers.placed",
    "offers.placed.committed",
    "sync.page",
    "sync.page.committed",
    "letters.composed",
    "letters.composed.committed",
    "letters.begun",
    "letters.handed_over",
    "letters.sent",
    "pointers.begun",
    "pointers.handed_over",
    "statuses.page",
    "statuses.page.committed",
    "notices.claimed",
    "notices.claimed.committed",
    "notices.handed_over",
    "notices.sent",
    "journal.acknowledged",
    "journal.acknowledged.committed",
    "lookup.entries",
    "lookup.committed",
)
"""Every point there is: before a commit, and after it."""

_wanted, _, _times = os.environ.get("TOVHOLDER_CRASH", "").partition(":")
_left = int(_times or 1)


def point(name: str) -> None:
    """Die here if this is the point, and the time, that the environment asks for."""
    global _left
    if name != _wanted:
        return
    _left -= 1
    if _left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
