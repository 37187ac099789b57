"""What this process connects to."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

Address = tuple[str, int | None]
_watchers: list[set[Address]] = []
_hooked = threading.Lock()
_hooks: list[bool] = []


def _note(event: str, args: tuple[Any, ...]) -> None:
    if not _watchers:
        return
    if event == "socket.connect" and isinstance(args[1], tuple):
        address: Address = (str(args[1][0]), int(args[1][1]))
    elif event == "socket.getaddrinfo":
        # A name that leads nowhere never gets as far as a connection.
        address = (str(args[0]), int(args[1]) if str(args[1]).isdecimal() else None)
    else:
        return
    for found in _watchers:
        found.add(address)


@contextmanager
def watching() -> Iterator[set[Address]]:
    """The addresses (host and port) that this process connects to, or looks up, while the block runs."""
    with _hooked:
        if not _hooks:  # Python cannot take an audit hook away again, so there is one for all
            sys.addaudithook(_note)
            _hooks.append(True)
    found: set[Address] = set()
    _watchers.append(found)
    try:
        yield found
    finally:
        # By identity: two sets with the same addresses are equal.
        _watchers[:] = [other for other in _watchers if other is not found]
