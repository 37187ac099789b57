"""SofAdapter: what of each Sag becomes a record."""

from __future__ import annotations

from collections.abc import Iterator, Set
from datetime import UTC, datetime

from lxml import etree

import hub
from tovholder_sof_case import entry, folder
from tovholder_sof_case.dubu import DubuCase
from tovholder_sof_case.dubu_http import DubuService
from tovholder_sof_case.formats import Reading
from tovholder_sof_case.index import Index
from tovholder_sof_case.pages import Now, Taken
from tovholder_sof_case.sag import Sag
from tovholder_sof_case.settings import SofSettings


def _now() -> datetime:
    return datetime.now(UTC)


class SofAdapter:
    """Reads the index over SOAP or DUBU over HTTP (`url`), or files (`folder`).

    A record's `source_id` is the case's own id: in SF1470 its UUID. A case that is closed, secret, deleted, moved to
    another person, or moved to a kind that is not on the list, becomes `Gone`; a case of a kind that never was on the
    list leaves only a count.
    """

    name = "sof_case"

    def __init__(self, settings: SofSettings, now: Now = _now) -> None:
        self.administration = settings.administration
        self.reads: Set[tuple[str, str]] = frozenset()
        self._settings = settings
        self._now = now
        self._service: Index | DubuService | None = None
        if settings.url is not None:
            made = Index if settings.format == "sf1470" else DubuService
            self._service = made(str(settings.url), settings, now)
            self.reads = self._service.reads

    def presence(self, since: str | None) -> Iterator[hub.Page]:
        return self._pages(since, None)

    def read(self, since: str | None, children: Set[str]) -> Iterator[hub.Page]:
        return self._pages(since, children)

    def health(self) -> hub.Health:
        try:
            if self._service is not None:
                self._service.ask()
            else:
                folder.look(self._settings)
        except (hub.TryAgain, hub.GaveUp) as error:
            return hub.Health(ok=False, detail=str(error))
        return hub.Health(ok=True)

    def _pages(self, since: str | None, children: Set[str] | None) -> Iterator[hub.Page]:
        def take_sag(element: etree._Element, position: str) -> Taken:
            return self._take(element, position, children)

        def take_dubu(fields: object, position: str) -> Taken:
            return entry.take(DubuCase(fields, self._settings), self._settings, position, children)

        if isinstance(self._service, DubuService):
            return self._service.pages(since, take_dubu, adviser=children is not None)
        if self._service is not None:
            service = self._service
            return service.presence(since, take_sag) if children is None else service.cases(since, take_sag, children)
        reading = Reading(self._settings, take_sag, children, entry.day_of(self._now()))
        return folder.pages(self._settings, since, reading, self._now)

    def _take(self, element: etree._Element, position: str, children: Set[str] | None) -> Taken:
        """The record of one Sag: presence where `children` is None, else the case if it is about one of them."""
        sag = Sag(element, self._settings, self._now())
        listed = False
        try:
            persons = sag.persons
            others = children is not None and persons.isdisjoint(children) and all(len(each) == 10 for each in persons)
            if others and (persons or not sag.removed):
                return Taken(None)  # about nobody who was asked for: not looked at any further
            if sag.removed:
                return Taken(_gone(sag, children))
            listed = sag.kind in self._settings.kinds
            if not listed:
                was_listed = not sag.earlier_kinds.isdisjoint(self._settings.kinds)
                told = _gone(sag, children) if was_listed and sag.persons else None
                return Taken(told, ignored=True, due=sag.due if was_listed else None)
            person = sag.person
            if person is None or (children is not None and person not in children) or sag.secret:
                return Taken(_gone(sag, children) if sag.persons else None, due=sag.due)
            return Taken(_presence(sag, person) if children is None else _case(sag, person), due=sag.due)
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
