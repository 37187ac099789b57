"""The adapter: which custody there is of which child.

CPR has no list of what has changed, so every read asks for every child, and the last page's cursor is None: the next
read begins anew. A cursor on the way is the place among the sorted children and a keyed digest of all of them, so that
it says nothing about anyone; the key lives as long as the process, and a cursor from before, or for other children,
begins from the start, which costs lookups and loses nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterable, Iterator, Set
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import hub
from tovholder_cpr_custody import wire
from tovholder_cpr_custody.person import Custody, Person
from tovholder_cpr_custody.settings import CprSettings

UNKNOWN = "0000000000"
"""A number nobody has: asked for to see whether the service answers."""
_KEY = secrets.token_bytes(32)

Ask = Callable[[Iterable[str]], dict[str, wire.Answer]]


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
        """A GuardianRecord for each holder of custody of each child, `page_size` children to a page; ended custody has
        `until`. A child CPR does not know is Unreadable, and so is custody with a holder nobody can write to.

        Raises TryAgain when one lookup fails: the others' answers would look like the whole truth."""
        order = sorted(children)
        start = _start(since, order)
        if self._client is not None:
            yield from self._over_http(self._client, order, start)
        elif self.settings.folder is not None:
            yield from self._from_folder(self.settings.folder, order, start)

    def _from_folder(self, folder: Path, order: list[str], start: int) -> Iterator[hub.Page]:
        persons, nobodys = wire.from_folder(folder, set(order[start:]))
        holders = {holder for child in persons.values() for holder in _holders(child)}
        persons |= wire.from_folder(folder, holders - set(persons))[0]
        yield from self._pages(order, start, nobodys, lambda numbers: {n: persons.get(n) for n in numbers})

    def _over_http(self, client: hub.ReadOnlyClient, order: list[str], start: int) -> Iterator[hub.Page]:
        known: dict[str, wire.Answer] = {}
        with ThreadPoolExecutor(self.settings.parallel, thread_name_prefix=self.name) as pool:

            def ask(numbers: Iterable[str]) -> dict[str, wire.Answer]:
                wanted = list(dict.fromkeys(numbers))
                missing = [number for number in wanted if number not in known]
                try:
                    known.update(zip(missing, pool.map(lambda n: wire.lookup(client, n), missing), strict=True))
                except hub.TovholderError:
                    pool.shutdown(cancel_futures=True)
                    raise
                return {number: known[number] for number in wanted}

            yield from self._pages(order, start, [], ask)

    def _pages(self, order: list[str], start: int, first: list[hub.Unreadable], ask: Ask) -> Iterator[hub.Page]:
        # What is about nobody knows whom belongs to the first page of a read, and was given then.
        records: list[hub.Record] = [] if start else [*first]
        mark = _digest("children", *order)
        while True:
            here = order[start : start + self.settings.page_size]
            children = ask(here)
            holders = ask(holder for number in here for holder in _holders(children[number]))
            for number in here:
                records += _records(number, children[number], holders)
            start += len(here)
            if start >= len(order):
                yield hub.Page(tuple(records), None, complete=True)
                return
            yield hub.Page(tuple(records), f"{start}/{mark}")
            records = []

    def health(self) -> hub.Health:
        """Over HTTP a lookup of the number nobody has, so that the whole way is tried and nobody is looked up."""
        if self._client is None:
            folder = self.settings.folder
            ok = folder is not None and folder.is_dir()
            return hub.Health(ok, "" if ok else f"the folder {folder} does not exist or is not a folder")
        try:
            wire.lookup(self._client, UNKNOWN)
        except hub.TovholderError as error:
            return hub.Health(False, str(error))
        return hub.Health(True)

    def close(self) -> None:
        if self._client is not None:
            self._client.close()


def _digest(*parts: str) -> str:
    return hmac.new(_KEY, "\n".join(parts).encode(), hashlib.sha256).hexdigest()[:32]


def _start(since: str | None, order: list[str]) -> int:
    place, _, mark = (since or "").partition("/")
    if not place.isdigit() or not hmac.compare_digest(mark, _digest("children", *order)):
        return 0
    return min(int(place), len(order))


def _holders(child: wire.Answer) -> list[str]:
    """Whom to look up: each holder once, in the order CPR gives them."""
    if not isinstance(child, Person):
        return []
    return list(dict.fromkeys(custody.holder for custody in child.custody if custody.holder is not None))


def _records(number: str, child: wire.Answer, holders: dict[str, wire.Answer]) -> list[hub.Record]:
    # Positions are keyed: the same child keeps its place in quarantine, and the place names nobody.
    position = f"child {_digest('child', number)[:16]}"
    if child is None:
        return [hub.Unreadable(position, "CPR does not know this child's number", number.encode())]
    if isinstance(child, hub.Unreadable):
        return [hub.Unreadable(position, child.reason, child.raw)]
    records: list[hub.Record] = []
    if any(custody.holder is None for custody in child.custody):
        records.append(
            hub.Unreadable(position, "custody is held by somebody for whom CPR gives no number", number.encode())
        )
    for holder in _holders(child):
        at = f"{position}, holder {_digest('holder', holder)[:16]}"
        person = holders[holder]
        if person is None:
            records.append(hub.Unreadable(at, "CPR does not know the number of a custody holder", number.encode()))
        elif isinstance(person, hub.Unreadable):
            records.append(hub.Unreadable(at, f"a custody holder: {person.reason}", person.raw))
        else:
            records.append(_guardian(number, child, person, _merged(child, holder), at))
    return records


def _merged(child: Person, holder: str) -> Custody:
    """CPR keeps ended custody: of several with one person the one that lasts counts, else the one that ended last."""
    spans = [custody for custody in child.custody if custody.holder == holder]
    return max(spans, key=lambda span: (span.until is None, span.until or date.min, span.since or date.min))


def _guardian(number: str, child: Person, guardian: Person, custody: Custody, at: str) -> hub.Record:
    until = custody.until
    if guardian.dead:
        if guardian.died is None:
            return hub.Unreadable(at, "a custody holder is dead, and CPR gives no date", number.encode())
        until = guardian.died if until is None else min(until, guardian.died)
    return hub.GuardianRecord(
        # Not a number in the clear even here; the hub keeps only a keyed digest of it.
        source_id=hashlib.sha256(f"{number}/{guardian.current}".encode()).hexdigest(),
        child_cpr=number,
        guardian_cpr=guardian.current,
        child_name=child.name,
        guardian_name=guardian.name,
        since=custody.since,
        until=until,
        protected=guardian.protected,
        child_protected=child.protected,
        digital_post=guardian.digital_post,
    )
