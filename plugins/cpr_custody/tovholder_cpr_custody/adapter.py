"""The adapter: which custody there is of which child.

A lookup tells no changes, so every read asks for every child, and the last page's cursor is None: the next read begins
anew. A cursor on the way is the place among the sorted children and a keyed digest of all of them, so that it says
nothing about anyone; the key lives as long as the process, and a cursor from before, or for other children, begins from
the start, which costs lookups and loses nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor

import hub
from tovholder_cpr_custody import folder, records, wire
from tovholder_cpr_custody.settings import CprSettings

UNKNOWN = "0000000000"
"""A number nobody has: asked for to see whether the service answers."""
_KEY = secrets.token_bytes(32)

Answers = Mapping[str, wire.Answer]
Ask = Callable[[list[str]], Answers]
"""Gives the answers about these numbers, and about all that are needed to say who they are now."""
Told = Callable[[str, Answers, int], list[hub.Record]]


class CprAdapter:
    """Reads who has custody of the children asked for. See CprSettings."""

    name = "cpr_custody"
    administration: str | None = None

    def __init__(self, settings: CprSettings) -> None:
        self.settings = settings
        self._client = (
            hub.ReadOnlyClient(str(settings.url), wire.READS, timeout_seconds=settings.timeout_seconds)
            if settings.url is not None
            else None
        )
        self.reads: Set[tuple[str, str]] = wire.READS if self._client else frozenset()

    def presence(self, since: str | None) -> Iterator[hub.Page]:
        """One empty page: that a child is in CPR says nothing about having something open, so a custody source has no
        presences."""
        yield hub.Page((), None, complete=True)

    def read(self, since: str | None, children: Set[str]) -> Iterator[hub.Page]:
        """A PersonRecord for each child and a GuardianRecord for each holder of its custody, `page_size` children to a
        page; ended custody has `until`. A child CPR does not know is Unreadable, and so is custody with a holder nobody
        can write to.

        Raises TryAgain when one lookup fails: the others' answers would look like the whole truth."""
        yield from self._pages(since, children, records.custodies, records.holders)

    def persons(self, numbers: Set[str]) -> Iterator[hub.Page]:
        """A PersonRecord for each number; nobody else is looked up."""
        yield from self._pages(
            None, numbers, lambda number, answers, place: [records.person(number, answers, place)], lambda _answer: []
        )

    def _pages(
        self, since: str | None, numbers: Set[str], told: Told, holders: Callable[[wire.Answer], list[str]]
    ) -> Iterator[hub.Page]:
        order = sorted(numbers)
        start = _start(since, order)
        if self._client is not None:
            with ThreadPoolExecutor(self.settings.parallel, thread_name_prefix=self.name) as pool:
                yield from self._told(order, start, told, _Lookups(self._client, pool, holders))
        elif self.settings.folder is not None:
            found = folder.persons(
                self.settings.folder,
                order[start:],
                lambda answer: [*records.new_number(answer), *holders(answer)],
            )
            # What is about nobody knows whom belongs to the first page of a read, and was given then.
            first = [] if start else found.nobodys
            yield from self._told(order, start, told, lambda _numbers: found.answers, first, whole=found.whole)

    def _told(
        self,
        order: list[str],
        start: int,
        told: Told,
        ask: Ask,
        first: Sequence[hub.Unreadable] = (),
        *,
        whole: bool = True,
    ) -> Iterator[hub.Page]:
        page: list[hub.Record] = [*first]
        mark = _digest(*order)
        while True:
            here = order[start : start + self.settings.page_size]
            answers = ask(here)
            for place, number in enumerate(here, start=start + 1):
                page += told(number, answers, place)
            start += len(here)
            if start >= len(order):
                yield hub.Page(tuple(page), None, complete=whole)
                return
            yield hub.Page(tuple(page), f"{start}/{mark}")
            page = []

    def health(self) -> hub.Health:
        """Over HTTP a lookup of the number nobody has, so that the whole way is tried and nobody is looked up."""
        if self._client is None:
            place = self.settings.folder
            ok = place is not None and place.is_dir()
            return hub.Health(ok, "" if ok else f"the folder {place} does not exist or is not a folder")
        try:
            wire.lookup(self._client, UNKNOWN)
        except hub.TovholderError as error:
            return hub.Health(False, str(error))
        return hub.Health(True)

    def close(self) -> None:
        if self._client is not None:
            self._client.close()


class _Lookups:
    """The lookups of one read: nobody is asked for twice in it, also where siblings have the same guardians."""

    def __init__(
        self, client: hub.ReadOnlyClient, pool: ThreadPoolExecutor, holders: Callable[[wire.Answer], list[str]]
    ) -> None:
        self._client, self._pool, self._holders = client, pool, holders
        self._known: dict[str, wire.Answer] = {}

    def __call__(self, numbers: list[str]) -> Answers:
        self._ask_on(numbers)
        self._ask_on(holder for number in numbers for holder in self._holders(records.current(number, self._known)))
        return self._known

    def _ask_on(self, numbers: Iterable[str]) -> None:
        """Ask for these, then for the new numbers that CPR gives for them, as far as there are any."""
        missing = [number for number in dict.fromkeys(numbers) if number not in self._known]
        while missing:
            try:
                answers = list(self._pool.map(lambda number: wire.lookup(self._client, number), missing))
            except hub.TovholderError:
                self._pool.shutdown(cancel_futures=True)
                raise
            self._known.update(zip(missing, answers, strict=True))
            new = (number for answer in answers for number in records.new_number(answer))
            missing = [number for number in dict.fromkeys(new) if number not in self._known]


def _digest(*parts: str) -> str:
    return hmac.new(_KEY, "\n".join(parts).encode(), hashlib.sha256).hexdigest()[:32]


def _start(since: str | None, order: list[str]) -> int:
    place, _, mark = (since or "").partition("/")
    if not (place.isascii() and place.isdigit()) or not hmac.compare_digest(mark.encode(), _digest(*order).encode()):
        return 0
    return min(int(place), len(order))
