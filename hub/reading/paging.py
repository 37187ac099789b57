"""Pages that come to an end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

from hub.errors import GaveUp

PAGES = 200_000
"""How many pages one read may have: a hundred million records at the usual page size."""


class HasCursor(Protocol):
    @property
    def cursor(self) -> str | None: ...


P = TypeVar("P", bound=HasCursor)


def onward(pages: Iterable[P]) -> Iterator[P]:
    """The same pages, as long as they lead on.

    Raises GaveUp when a cursor comes back, so that reading on from it would read the same again for ever, or when
    there are more than PAGES. The one before may be said once more: by a last page that holds nothing."""
    seen: set[int] = set()
    last: int | None = None
    for number, page in enumerate(pages, start=1):
        if number > PAGES:
            raise GaveUp(f"more than {PAGES} pages: they seem to have no end; raise page_size if they have")
        # A cursor may be long: its hash will do, and a collision in so few pages is not to be expected.
        place = None if page.cursor is None else hash(page.cursor)
        if place is not None and place in seen and place != last:
            raise GaveUp(f"page {number} goes on where an earlier one did: the source's pages lead in a circle")
        last = None if place == last else place
        if place is not None:
            seen.add(place)
        yield page
