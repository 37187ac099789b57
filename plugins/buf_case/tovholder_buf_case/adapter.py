"""The adapter: from exports to pages, and how a read goes on where it was cut off.

An export says how things are, not what has changed, and the adapter keeps nothing. So an incremental read looks at all
exports: nothing changed since the cursor → one empty page; anything changed → a full read, whose last page says
`complete`, so that the hub sees which pupils have left. The cursor of a finished read is one digest over all exports
(without time, parents and addresses). The cursor of a page on the way names the institution, how many of its records
have been given and its digest; an institution that has changed meanwhile is given again from its first record, and the
digest over all then fits nothing, so that the next read is full again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Set
from dataclasses import astuple, dataclass

import hub
from tovholder_buf_case import wire
from tovholder_buf_case.export import Export, Pupil, read_export
from tovholder_buf_case.settings import BufSettings, wanted_institutions


@dataclass(frozen=True, slots=True)
class _Cursor:
    """`chain` covers the institutions before `institution`; without an institution the read is finished and it covers
    all."""

    chain: str = ""
    institution: str = ""
    digest: str = ""
    given: int = 0

    def __str__(self) -> str:
        return json.dumps(astuple(self), separators=(",", ":"))


def _parse(since: str | None) -> _Cursor | None:
    """A cursor, or None to read all: also for one that this version did not write, since a full read is never wrong."""
    try:
        chain, institution, digest, given = json.loads(since or "null")
        return _Cursor(str(chain), str(institution), str(digest), int(given))
    except (TypeError, ValueError):
        return None


def _chain(before: str, digest: str) -> str:
    return hashlib.sha256(f"{before}{digest}".encode()).hexdigest()


class BufAdapter:
    """Reads enrolments in special schools and special classes. See BufSettings for what passes."""

    name = "buf_case"

    def __init__(self, settings: BufSettings) -> None:
        self.settings = settings
        self.administration = settings.administration
        self._client = wire.client_for(settings)
        self.reads: Set[tuple[str, str]] = wire.READS if self._client else frozenset()

    def presence(self, since: str | None) -> Iterator[hub.Page]:
        """Every enrolment is open: the format knows no other state, and who is only applied for is in no export."""

        def records(export: Export) -> list[hub.Record]:
            return [
                hub.Presence(pupil.source_id, pupil.cpr, hub.State.OPEN) if isinstance(pupil, Pupil) else pupil
                for pupil in export.pupils
            ]

        return self._pages(since, None, records)

    def read(self, since: str | None, children: Set[str]) -> Iterator[hub.Page]:
        """`opened` is the first day of the pupil's main group or special class, which may be the school year's; a
        pupil without a readable number is presence's to tell of, since nobody knows whose it is."""

        def records(export: Export) -> list[hub.Record]:
            return [_case(export, pupil) for pupil in export.pupils if isinstance(pupil, Pupil)]

        return self._pages(since, children, records)

    def health(self) -> hub.Health:
        try:
            found = wire.exports(self.settings, self._client)
        except hub.TovholderError as error:
            return hub.Health(False, str(error))
        return hub.Health(True, f"{len(found)} institutions")

    def close(self) -> None:
        if self._client is not None:
            self._client.close()

    def _pages(
        self, since: str | None, children: Set[str] | None, records: Callable[[Export], list[hub.Record]]
    ) -> Iterator[hub.Page]:
        start = _parse(since)
        if start is None or start.institution:
            yield from self._full(self._exports(start, children), start or _Cursor(), records)
            return
        # Held in memory: the listed pupils only, some thousand in the largest municipality.
        found = list(self._exports(None, children))
        now = ""
        for export in found:
            now = _chain(now, export.digest)
        if now == start.chain:
            yield hub.Page((), since)
        else:
            yield from self._full(iter(found), _Cursor(), records)

    def _full(
        self, exports: Iterator[Export], start: _Cursor, records: Callable[[Export], list[hub.Record]]
    ) -> Iterator[hub.Page]:
        chain, batch, ignored = start.chain, list[hub.Record](), 0
        # Where the last read was cut off, until that place is found again. If it is not, or has changed, what was given
        # of the old state must not count as seen for ever: one more link spoils the chain, and the next read is full.
        pending = start.institution
        for export in exports:
            resumed = bool(pending) and (export.number, export.digest) == (pending, start.digest)
            if pending and not resumed:
                chain = _chain(chain, start.digest)
            pending = ""
            ignored += 0 if resumed else export.ignored
            skip = start.given if resumed else 0
            for place, record in enumerate(records(export)[skip:], start=skip + 1):
                batch.append(record)
                if len(batch) == self.settings.page_size:
                    here = _Cursor(chain, export.number, export.digest, place)
                    yield hub.Page(tuple(batch), str(here), ignored=ignored)
                    batch, ignored = [], 0
            chain = _chain(chain, export.digest)
        if pending:
            chain = _chain(chain, start.digest)
        yield hub.Page(tuple(batch), str(_Cursor(chain)), complete=True, ignored=ignored)

    def _exports(self, start: _Cursor | None, children: Set[str] | None) -> Iterator[Export]:
        """The exports from where `start` is on, each read whole before it is given."""
        openers = wire.exports(self.settings, self._client)
        missing = sorted(wanted_institutions(self.settings.kinds) - set(openers))
        if missing:
            # Going on would tell the hub that all its pupils have left.
            raise hub.GaveUp(
                f"institution {missing[0]} is on the list of kinds, and the source has no export of it: approve its "
                "data agreement, put its export into the folder, or take it off the list"
            )
        for number, opener in openers.items():
            if start is not None and number < start.institution:
                continue
            with opener() as stream:
                export = read_export(stream, number, self.settings, children)
            yield export


def _case(export: Export, pupil: Pupil) -> hub.Record:
    group = pupil.enrolled_by
    if group is not None and group.flaw:
        return hub.Unreadable(pupil.position, group.flaw)
    return hub.CaseRecord(
        source_id=pupil.source_id,
        cpr=pupil.cpr,
        kind=pupil.kind,
        state=hub.State.OPEN,
        opened=None if group is None else group.opened,
        adviser=export.adviser(pupil),
    )
