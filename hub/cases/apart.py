"""Each source by itself: its own thread, its own errors. One that is slow or dead delays nobody else.

The threads are daemons: whoever stops listening (Ctrl-C, a worker told to stop) waits for nobody, and what was not
committed is not there.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Said(Generic[T]):
    """What came out of a thread: a value, an error, or that there is no more."""

    name: str
    values: tuple[T, ...] = ()
    error: BaseException | None = None


def side_by_side(tasks: Mapping[str, Callable[[], T]]) -> Iterator[tuple[str, T]]:
    """Run all at once, and give each name and result as it comes. What a task raises is raised here, when all the
    others have come to their end."""
    done: queue.SimpleQueue[_Said[T]] = queue.SimpleQueue()

    def run(name: str, task: Callable[[], T]) -> None:
        try:
            said = _Said(name, (task(),))
        except BaseException as error:  # noqa: BLE001 - handed on
            said = _Said(name, error=error)
        done.put(said)

    for name, task in tasks.items():
        _start(name, partial(run, name, task))
    error: BaseException | None = None
    for _task in tasks:
        said = done.get()
        error = error or said.error
        for value in said.values:
            yield said.name, value
    if error is not None:
        raise error


def ahead(name: str, ask: Callable[[], Iterable[T]], patience: float) -> Iterator[T]:
    """What `ask` gives, fetched in a thread of its own and one ahead: while one page is stored, the source works on the
    next. Raises what `ask` raises, in its place, and queue.Empty when nothing comes for `patience` seconds: the thread
    is left behind then, and what it brings is not taken."""
    pages: queue.Queue[_Said[T]] = queue.Queue(maxsize=1)
    left = threading.Event()

    def fetch() -> None:
        try:
            for page in ask():
                pages.put(_Said(name, (page,)))
                if left.is_set():
                    return
            said: _Said[T] = _Said(name)
        except BaseException as error:  # noqa: BLE001 - handed on
            said = _Said(name, error=error)
        pages.put(said)

    _start(name, fetch)
    try:
        while True:
            said = pages.get(timeout=patience)
            if said.error is not None:
                raise said.error
            if not said.values:
                return
            yield said.values[0]
    finally:
        left.set()
        while not pages.empty():  # let go of a thread that waits to hand over its page
            pages.get_nowait()


def _start(name: str, run: Callable[[], None]) -> None:
    threading.Thread(target=run, name=f"source {name}", daemon=True).start()
