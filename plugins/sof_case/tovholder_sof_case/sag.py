"""One `Sag` of SF1470 v6, as the hub may see it: who it is about, its kind, where it stands, who works on it.

Sources: Sag.xsd, SagIndeks.xsd and GenerelleDefinitioner.xsd of SF1470 v6; KOMBIT, "Anvendelse af Sagsobjektet i Sags-
og Dokumentindekset", 1.7.

A Sag is bitemporal. Of its registrations the latest counts. Within it, what holds is what its Virkning says holds now:
of several the one that began last, and where nothing holds yet the first that will. "Now" is never before the
registration itself. When something that is registered already begins or ends later, the index says nothing more: `due`
tells when to look again. What makes a case secret counts until it has ended, also before it has begun.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import suppress
from datetime import date, datetime
from functools import cached_property
from typing import cast

from lxml import etree

import hub
from tovholder_sof_case.entry import DENMARK, one_line
from tovholder_sof_case.settings import KLE_SUBJECT, SofSettings
from tovholder_sof_case.virkning import EARLIEST, GD, INDEX, NEVER, SAG, SD, SDI, registered, since, time, until

SAG_TAGS = (SAG + "Sag", SDI + "SagIndeks", SDI + "SagFiltreretOejebliksbillede")
"""The same content under three names: a Sag by itself, in an import, and in the answer to a search."""

_STATES = {"Opstaaet": hub.State.APPLIED, "Oplyst": hub.State.APPLIED, "Afsluttet": hub.State.CLOSED}
_ADVISERS = uuid.UUID("5f0a8a0e-0d5c-4c67-9c5e-6f2f2d2f4a11")
"""Namespace of the ids made from names."""

_CODES = frozenset(
    {
        *("UUIDIdentifikator", "Tidspunkt", "StsTidspunkt", "TidsstempelDatoTid", "GraenseIndikator"),
        *("LivscyklusKode", "FremdriftStatusKode", "Foelsomhed"),
    }
)


class Sag:
    """A view of one Sag element; reads it when asked. Every property may raise `hub.BadRecord`.

    `now` is the time (UTC). The element must not be freed before the last property is read."""

    def __init__(self, element: etree._Element, settings: SofSettings, now: datetime) -> None:
        self._element = element
        self._settings = settings
        self._now = now

    @cached_property
    def uuid(self) -> str:
        """The case's own id, made by the case system and kept for life; lower case."""
        inner = self._element.find(SAG + "ObjektType")
        found = (self._element if inner is None else inner).findtext(SD + "UUIDIdentifikator", "").strip()
        try:
            return str(uuid.UUID(found))
        except ValueError as error:
            raise hub.BadRecord("the case has no UUIDIdentifikator, or not a UUID") from error

    @cached_property
    def registration(self) -> etree._Element:
        """The latest Registrering; the last one in the document where times are the same or missing."""
        registrations = self._element.findall(SAG + "Registrering")
        if not registrations:
            raise hub.BadRecord("the case has no Registrering")
        times = [registered(each) or EARLIEST for each in registrations]
        return max(zip(times, range(len(times)), registrations, strict=True), key=lambda each: each[:2])[2]

    @property
    def registered(self) -> datetime | None:
        """When the index got the latest registration (StsTidspunkt), else when it was made; UTC."""
        return registered(self.registration)

    @cached_property
    def _at(self) -> datetime:
        return max(self._now, self.registered or EARLIEST)

    @property
    def due(self) -> datetime | None:
        """When the next of what is registered begins or ends; UTC."""
        return min(self._to_come(), default=None)

    def _to_come(self) -> Iterator[datetime]:
        for each in self.registration.iter(SD + "TidsstempelDatoTid"):
            with suppress(hub.BadRecord):
                stamp = time(each.text)
                if stamp is not None and self._at < stamp < NEVER:
                    yield stamp

    @property
    def changed(self) -> datetime | None:
        """When the latest registration was made in the case system (Tidspunkt); UTC."""
        return time(self.registration.findtext(SD + "Tidspunkt")) or self.registered

    @property
    def removed(self) -> bool:
        """Deleted or made passive in the index."""
        return self.registration.findtext(SD + "LivscyklusKode") in ("Slettet", "Passiveret")

    @cached_property
    def kind(self) -> str:
        """The KLE subject of the Primær klasse, `nn.nn.nn`."""
        now = self._holding(self._relations(self.registration, "Sagsklasse", self._settings.roles.primaer_klasse))
        if now is None:
            raise hub.BadRecord("the case has no Primær klasse that holds: its kind cannot be told")
        kind = _subject(now)
        if not KLE_SUBJECT.fullmatch(kind):
            raise hub.BadRecord("the BrugervendtNoegle of the Primær klasse is not a KLE subject, nn.nn.nn")
        return kind

    @property
    def earlier_kinds(self) -> frozenset[str]:
        """Every kind that the case shows it has, or has had."""
        role = self._settings.roles.primaer_klasse
        return frozenset(_subject(each) for each in self._in_all_registrations("Sagsklasse", role))

    @property
    def secret(self) -> bool:
        """Must not be told: a VIP case, or of a level that the settings do not let through; one exempt from public
        access, unless the settings let it through; one with a list of who may see it (the index leaves it to each
        reader to keep that list, and the hub's readers are not on it)."""
        attributes = self.registration.find(SAG + "AttributListe")
        relations = self.registration.find(SAG + "RelationListe")
        index = self._index_properties(attributes)
        levels = [level for each in index if self._lasts(each) if (level := _text(each, INDEX + "Foelsomhed"))]
        if not levels:
            raise hub.BadRecord("the case has no Foelsomhed: it cannot be told whether it is a VIP case")
        if any(level not in self._settings.levels for level in levels):
            return True
        properties = [] if attributes is None else attributes.findall(SAG + "Egenskaber")
        exempt = any(each.find(SAG + "OffentlighedUndtaget") is not None and self._lasts(each) for each in properties)
        if exempt and not self._settings.exempt_pass:
            return True
        own = None if relations is None else relations.find(GD + "LokalUdvidelseListe")
        return own is not None and any(self._lasts(each) for each in own.findall(INDEX + "Sikkerhedsprofil"))

    @cached_property
    def person(self) -> str | None:
        """The CPR number of the Primær part; None where that is a company, nobody, or a person without a number. A
        Sekundær part (a parent, often) is not whom the case is about."""
        now = self._holding(self._relations(self.registration, "Sagspart", self._settings.roles.primaer_part))
        number = None if now is None else self._number(now)
        if now is None or number is None:
            return None
        if len(number) != 10:
            raise hub.BadRecord("the number of the Primær part does not have ten characters")
        if self._settings.url is not None and _urn(now) not in {each + number for each in self._settings.persons}:
            raise hub.BadRecord(
                "the number of the Primær part is written in another way than the settings' `persons` say, so a search "
                "for the child would not find the case: mend it in the index, or add what stands before the number"
            )
        return number

    @property
    def persons(self) -> frozenset[str]:
        """The numbers of everybody who is, or has been, Primær part."""
        found = (
            self._number(each) for each in self._in_all_registrations("Sagspart", self._settings.roles.primaer_part)
        )
        return frozenset(number for number in found if number is not None)

    @property
    def state(self) -> hub.State:
        """Opstaaet, Oplyst: applied. Afgjort: open with a service that runs (settings: `running`), else decided.
        Afsluttet: closed."""
        now = self._holding(self._states())
        code = None if now is None else _text(now, SAG + "FremdriftStatusKode")
        if code is None:
            raise hub.BadRecord("the case has no Fremdrift that holds: where it stands cannot be told")
        if code == "Afgjort":
            index = self._holding(self._index_properties(self.registration.find(SAG + "AttributListe")))
            status = None if index is None else _text(index, INDEX + "Sagsstatus")
            return hub.State.OPEN if status in self._settings.running else hub.State.DECIDED
        if code not in _STATES:
            raise hub.BadRecord("the FremdriftStatusKode is none of Opstaaet, Oplyst, Afgjort, Afsluttet")
        return _STATES[code]

    @property
    def opened(self) -> date | None:
        """The Danish date from which the case is Opstaaet."""
        return min(self._from_dates("Opstaaet"), default=None)

    @property
    def closed(self) -> date | None:
        """The Danish date from which the case is Afsluttet; None unless it is now."""
        return max(self._from_dates("Afsluttet"), default=None) if self.state is hub.State.CLOSED else None

    @property
    def adviser(self) -> hub.StaffRecord | None:
        """The Primær behandler where that is a person. A unit or team is not a member of staff: None. `unit` is the
        unit that is Ansvarlig."""
        now = self._holding(self._relations(self.registration, "Sagsaktoer", self._settings.roles.primaer_behandler))
        if now is None or self._is_unit(now):
            return None
        name = _actor_name(now)
        if name is None:
            return None
        owner = self._holding(self._relations(self.registration, "Sagsaktoer", self._settings.roles.ansvarlig))
        unit = _actor_name(owner) if owner is not None and self._is_unit(owner) else None
        return hub.StaffRecord(source_id=_actor_id(now, name), name=name, unit=unit)

    def skeleton(self) -> bytes:
        """The case for quarantine: its structure, codes, times and UUIDs, without titles, texts, names and numbers."""
        return hub.raw(_bare(self._element))

    def _holding(self, elements: list[etree._Element]) -> etree._Element | None:
        lasting = [(since(each), each) for each in elements if self._lasts(each)]
        begun = [each for each in lasting if each[0] <= self._at]
        if begun:
            return max(begun, key=lambda each: each[0])[1]
        return min(lasting, key=lambda each: each[0])[1] if lasting else None

    def _lasts(self, element: etree._Element) -> bool:
        end = until(element)
        return end is None or end > self._at

    def _number(self, relation: etree._Element) -> str | None:
        urn = _urn(relation)
        for prefix in self._settings.persons:
            if urn.lower().startswith(prefix.lower()):
                return urn[len(prefix) :].replace("-", "").strip().upper()
        return None

    def _is_unit(self, relation: etree._Element) -> bool:
        kind = relation.findtext(f"{GD}Type/{SD}UUIDIdentifikator", "").lower()
        return kind in (self._settings.types.organisations_enhed, self._settings.types.organisation)

    def _states(self) -> list[etree._Element]:
        states = self.registration.find(SAG + "TilstandListe")
        return [] if states is None else states.findall(SAG + "Fremdrift")

    def _from_dates(self, code: str) -> Iterator[date]:
        for each in self._states():
            begin = since(each)
            if _text(each, SAG + "FremdriftStatusKode") == code and EARLIEST < begin < NEVER:
                yield begin.astimezone(DENMARK).date()

    def _index_properties(self, attributes: etree._Element | None) -> list[etree._Element]:
        own = None if attributes is None else attributes.find(GD + "LokalUdvidelseListe")
        return [] if own is None else own.findall(INDEX + "SagIndeksEgenskaber")

    def _in_all_registrations(self, relation: str, role: str) -> Iterator[etree._Element]:
        for registration in self._element.findall(SAG + "Registrering"):
            yield from self._relations(registration, relation, role)

    def _relations(self, registration: etree._Element, relation: str, role: str) -> list[etree._Element]:
        everything = registration.find(SAG + "RelationListe")
        found = [] if everything is None else everything.findall(SAG + relation)
        return [each for each in found if each.findtext(f"{GD}Rolle/{SD}UUIDIdentifikator", "").lower() == role]


def _text(element: etree._Element, path: str) -> str | None:
    return (element.findtext(path) or "").strip() or None


def _subject(relation: etree._Element) -> str:
    path = f"{GD}LokalUdvidelseListe/{INDEX}SagsklasseLokalUdvidelse/{INDEX}BrugervendtNoegle"
    return relation.findtext(path, "").strip()


def _urn(relation: etree._Element) -> str:
    return relation.findtext(f"{GD}ReferenceID/{SD}URNIdentifikator", "").strip()


def _actor_name(relation: etree._Element) -> str | None:
    own = f"{GD}LokalUdvidelseListe/{INDEX}SagsaktoerLokalUdvidelse/{INDEX}"
    return one_line(_text(relation, own + "FuldtNavn") or _text(relation, own + "BrugervendtNoegle") or "") or None


def _actor_id(relation: etree._Element, name: str) -> str:
    """The UUID in FK Organisation, else the URN; made from the name where there is neither, or only a CPR number."""
    found = _text(relation, f"{GD}ReferenceID/{SD}UUIDIdentifikator")
    if found is not None:
        return found.lower()
    urn = _text(relation, f"{GD}ReferenceID/{SD}URNIdentifikator")
    return urn if urn is not None and "cpr" not in urn.lower() else str(uuid.uuid5(_ADVISERS, name))


def _bare(element: etree._Element) -> etree._Element:
    bare = etree.Element(element.tag, nsmap=cast("dict[str, str]", element.nsmap))  # the stubs forget the prefix None
    name = hub.xml_name(element)[1]
    klasse = (
        name == "BrugervendtNoegle"
        and hub.xml_name(cast("etree._Element", element.getparent()))[1] == "SagsklasseLokalUdvidelse"
    )
    if name in _CODES or klasse:
        bare.text = element.text
    for child in element:
        if isinstance(child.tag, str):
            bare.append(_bare(child))
    return bare
