"""SofAdapter: what of each Sag becomes a record."""

from __future__ import annotations

from collections.abc import Iterator, Set

from lxml import etree

import hub
from tovholder_sof_case import folder, index
from tovholder_sof_case.pages import Taken
from tovholder_sof_case.sag import Sag
from tovholder_sof_case.settings import SofSettings


class SofAdapter:
    """Reads the index over SOAP (`url`) or from files (`folder`).

    A record's `source_id` is the case's UUID. A case that is closed, secret, deleted, moved to another person, or moved
    to a kind that is not on the list, becomes `Gone`; a case of a kind that never was on the list leaves only a count.
    """

    name = "sof_case"

    def __init__(self, settings: SofSettings) -> None:
        self.administration = settings.administration
        self.reads: Set[tuple[str, str]] = frozenset()
        self._settings = settings
        self._index: index.Index | None = None
        if settings.url is not None:
            self._index = index.Index(str(settings.url), settings)
            self.reads = self._index.reads

    def presence(self, since: str | None) -> Iterator[hub.Page]:
        return self._pages(since, None)

    def read(self, since: str | None, children: Set[str]) -> Iterator[hub.Page]:
        return self._pages(since, children)

    def health(self) -> hub.Health:
        try:
            if self._index is not None:
                self._index.ask()
            else:
                folder.look(self._settings)
        except (hub.TryAgain, hub.GaveUp) as error:
            return hub.Health(ok=False, detail=str(error))
        return hub.Health(ok=True)

    def _pages(self, since: str | None, children: Set[str] | None) -> Iterator[hub.Page]:
        def take(element: etree._Element, position: str) -> Taken:
            return self._take(element, position, children)

        if self._index is not None:
            return self._index.presence(since, take) if children is None else self._index.cases(since, take, children)
        return folder.pages(self._settings, since, take)

    def _take(self, element: etree._Element, position: str, children: Set[str] | None) -> Taken:
        """The record of one Sag: presence where `children` is None, else the case if it is about one of them."""
        sag = Sag(element, self._settings)
        listed = False
        try:
            persons = sag.persons
            if children is not None and persons.isdisjoint(children) and (persons or not sag.removed):
                return Taken(None)  # about nobody who was asked for: not looked at any further
            if sag.removed:
                return Taken(_gone(sag, children))
            listed = sag.kind in self._settings.kinds
            if not listed:
                was_listed = not sag.earlier_kinds.isdisjoint(self._settings.kinds)
                return Taken(_gone(sag, children) if was_listed and sag.persons else None, ignored=True)
            person = sag.person
            if person is None or (children is not None and person not in children) or sag.secret:
                return Taken(_gone(sag, children) if sag.persons else None)
            return Taken(_presence(sag, person) if children is None else _case(sag, person))
        except hub.BadRecord as error:
            # Of a case whose kind is not known to be on the list, nothing may be kept, not even in quarantine.
            raw = sag.skeleton() if listed else b""
            return Taken(hub.Unreadable(position, str(error), raw, source_id=_uuid(sag)))


def _uuid(sag: Sag) -> str | None:
    try:
        return sag.uuid
    except hub.BadRecord:
        return None


def _presence(sag: Sag, person: str) -> hub.Record:
    state = sag.state
    if state is hub.State.CLOSED:
        return hub.Gone(sag.uuid, sag.changed)
    return hub.Presence(source_id=sag.uuid, cpr=person, state=state, changed=sag.changed)


def _case(sag: Sag, person: str) -> hub.Record:
    return hub.CaseRecord(
        source_id=sag.uuid,
        cpr=person,
        kind=sag.kind,
        state=sag.state,
        opened=sag.opened,
        closed=sag.closed,
        adviser=sag.adviser,
        changed=sag.changed,
    )


def _gone(sag: Sag, children: Set[str] | None) -> hub.Gone | None:
    """The tombstone of a case, unless it is about nobody who was asked for. A deleted case may have lost its parts."""
    persons = sag.persons
    if children is not None and persons and persons.isdisjoint(children):
        return None
    return hub.Gone(sag.uuid, sag.changed)
