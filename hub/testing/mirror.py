"""What the hub knows of a source after reading it, by the same rules as the hub's own, without a database."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import hub


class Mirror:
    """Records by their id at the source. Give it the pages of one run after the other."""

    def __init__(self) -> None:
        self._known: dict[str, hub.Record] = {}

    @property
    def known(self) -> Mapping[str, hub.Record]:
        return self._known

    def take(self, pages: Iterable[hub.Page]) -> None:
        """The pages of one run, in order. Not for the rest of a run that was cut off: it has not seen all."""
        seen: set[str] = set()
        for page in pages:
            for record in page.records:
                if isinstance(record, hub.Unreadable):
                    seen |= set() if record.source_id is None else {record.source_id}
                elif isinstance(record, hub.Gone) or (
                    isinstance(record, hub.Presence) and record.state is hub.State.CLOSED
                ):
                    self._known.pop(record.source_id, None)
                else:
                    self._known[record.source_id] = record
                    seen.add(record.source_id)
            if page.complete:
                self._known = {name: record for name, record in self._known.items() if name in seen}
