"""A case of the town as `Sag` of SF1470 v6: the parts of one registration, valid by Sag.xsd and SagIndeks.xsd."""

from __future__ import annotations

from collections.abc import Set
from datetime import datetime, time
from xml.sax.saxutils import escape

from hub.clock import DENMARK
from hub.contract import State
from hub.demo.kinds import LISTED_SOF, UNLISTED_SOF
from hub.demo.model import Version, Worker
from hub.demo.servers.sof_cases import IndexCase, Party

NAMESPACES = (
    'xmlns:q="urn:oio:sts:sagdok:sagdokumentindeks:6" xmlns:s="urn:oio:sts:sagdok:sag:6"'
    ' xmlns:i="urn:oio:sts:sagdok:sagindeks:6" xmlns:g="urn:oio:sts:generelledefinitioner:6"'
    ' xmlns:d="urn:oio:sagdok:3.0.0"'
)
EVERYTHING = frozenset(
    {"egenskaber", "fremdrift", "sagsklasse", "sagsaktoer", "sagspart", "sagsgenstand", "itsystem", "sikkerhedsprofil"}
)
"""The sections a search can ask for (SagVisFilterType) of those the town's cases have."""

ROLE = {
    "Ejer": "9e979b84-b846-4472-8622-58007dc63c7e",
    "Ansvarlig": "a1263342-d348-44ba-a566-233f37c4cb67",
    "Primær behandler": "bf1f93ed-9441-4af4-835b-baeb201f3076",
    "Primær part": "d839f26a-d4d1-4441-b2d6-3dbbb12a9404",
    "Primær klasse": "a86c6581-ec85-412d-a655-31a1f1d5b14f",
    "Handlingsklasse": "05ef7011-11a7-4e4c-a46b-3de6aa457fc3",
    "Behandlingsarkiv": "a330ac07-8687-45b9-9bf2-21137eb0dbb0",
    "Master": "251c24fd-57b0-4afc-9d73-b063d1957eb3",
    "Afsender": "1b3c6a6d-e977-4491-9bf8-b41ee6999f39",
    # The classification's own UUIDs of these are not published in any sample: the town has made some up.
    "Sekundær part": "7b6f0f5e-61c0-4a86-8a2e-5f0f2b7d9c01",
    "Adgang": "7b6f0f5e-61c0-4a86-8a2e-5f0f2b7d9c02",
}
_TYPE = {
    "Organisation": "bc6972cd-8f2b-4b9d-8d37-62916d6a71aa",
    "OrganisationsEnhed": "c5fc3b3b-5197-49ee-92e6-ae6ba1957174",
    "Bruger": "85d65133-4b00-460d-992e-3984857b5768",
    "Person": "c189ba35-de4b-4363-a8b7-67f1456cf56f",
    "Klasse": "267235ea-526d-4a18-8001-f2a0e563eba1",
    "Arkiv": "94c2f5bb-649f-4a90-9b17-87fc74204b5a",
    "IT-system": "29fe1da2-897a-46cd-b635-b9be8e0bffd6",
    "Virksomhed": "7b6f0f5e-61c0-4a86-8a2e-5f0f2b7d9c03",
}
_CVR = "12345678"
_MUNICIPALITY = "0f6c1f0a-6d0b-4d55-9f0a-1d1f6a1b7e01"
_UNIT = "0f6c1f0a-6d0b-4d55-9f0a-1d1f6a1b7e02"
_SYSTEM = "0f6c1f0a-6d0b-4d55-9f0a-1d1f6a1b7e03"
_ARCHIVE = "0f6c1f0a-6d0b-4d55-9f0a-1d1f6a1b7e04"
_SUBJECT = "0f6c1f0a-6d0b-4d55-9f0a-1d1f6a1b7e05"
_FACET = "0f6c1f0a-6d0b-4d55-9f0a-1d1f6a1b7e06"
TITLES = {
    **{kind: listed.name for kind, listed in LISTED_SOF.items()},
    **UNLISTED_SOF,
    "27.27.20": "støtte til barn i udsat position",
    "32.24.04": "kontanthjælp",
    "02.34.02": "byggetilladelse",
}
_PROGRESS = {
    State.APPLIED: "Opstaaet",
    State.DECIDED: "Afgjort",
    State.OPEN: "Afgjort",
    State.CLOSED: "Afsluttet",
}
_STATUS = {
    State.APPLIED: "Ansøgning modtaget",
    State.DECIDED: "Bevilget",
    State.OPEN: "Løbende",
    State.CLOSED: "Arkiveret",
}


def moment(when: datetime) -> datetime:
    """A time as precise as the format writes it: milliseconds."""
    return when.replace(microsecond=when.microsecond // 1000 * 1000)


def registration(case: IndexCase, version: Version, workers: dict[str, Worker], vis: Set[str] = EVERYTHING) -> str:
    """The Registrering of a case at a version, with the sections of `vis`; a case that is gone has none."""
    stamp = _stamp(version.changed)
    head = (
        f"<d:Tidspunkt>{stamp}</d:Tidspunkt>"
        f"<d:LivscyklusKode>{'Slettet' if version.gone else 'Importeret'}</d:LivscyklusKode>"
        f"<d:BrugerRef><d:URNIdentifikator>urn:oio:it-system-uuid:{_SYSTEM}</d:URNIdentifikator></d:BrugerRef>"
        f"<g:StsTidspunkt>{stamp}</g:StsTidspunkt>"
    )
    if version.gone:
        body = "<s:AttributListe/><s:TilstandListe/><s:RelationListe/>"
    else:
        history = tuple(each for each in case.versions if each.changed <= version.changed)
        body = (
            f"<s:AttributListe>{_properties(case, version) if 'egenskaber' in vis else ''}</s:AttributListe>"
            f"<s:TilstandListe>{_progress(case, history) if 'fremdrift' in vis else ''}</s:TilstandListe>"
            f"<s:RelationListe>{_relations(case, history, workers, vis)}</s:RelationListe>"
        )
    return f"<s:Registrering>{head}{body}</s:Registrering>"


def _begun(case: IndexCase) -> datetime:
    return datetime.combine(case.opened, time(), tzinfo=DENMARK)


def _stamp(when: datetime) -> str:
    return moment(when).astimezone(DENMARK).isoformat(timespec="milliseconds")


def _virkning(tag: str, since: datetime, until: datetime | None = None) -> str:
    end = (
        "<d:GraenseIndikator>true</d:GraenseIndikator>"
        if until is None
        else f"<d:TidsstempelDatoTid>{_stamp(until)}</d:TidsstempelDatoTid>"
    )
    return (
        f"<{tag}:Virkning><d:FraTidspunkt><d:TidsstempelDatoTid>{_stamp(since)}</d:TidsstempelDatoTid></d:FraTidspunkt>"
        f"<d:TilTidspunkt>{end}</d:TilTidspunkt>"
        f"<d:AktoerRef><d:URNIdentifikator>urn:oio:it-system-uuid:{_SYSTEM}</d:URNIdentifikator></d:AktoerRef>"
        f"<d:AktoerTypeKode>ItSystem</d:AktoerTypeKode></{tag}:Virkning>"
    )


def _properties(case: IndexCase, version: Version) -> str:
    title = TITLES.get(case.kind, "sag")
    about = f" – {case.party.name}" if case.party is not None else ""
    number = escape(case.number)
    exempt = (
        "<s:OffentlighedUndtaget>"
        f"<d:TitelAlternativTekst>{escape(title + about)}, underretning</d:TitelAlternativTekst>"
        "<d:OffentlighedUndtagetHjemmelTekst>Offentlighedsloven § 30</d:OffentlighedUndtagetHjemmelTekst>"
        "</s:OffentlighedUndtaget>"
        if case.hidden == "exempt"
        else ""
    )
    level = "VIP_SAGER" if case.hidden == "vip" else "FOELSOMME_PERSONOPLYSNINGER"
    return (
        f"<s:Egenskaber>{_virkning('s', _begun(case))}"
        f"<s:BrugervendtNoegle>{number}</s:BrugervendtNoegle>"
        f"<s:Beskrivelse>Henvendelse fra familien{escape(about)}. Lægelige oplysninger er indhentet.</s:Beskrivelse>"
        "<s:HjemmelSpecifikation>LBK om barnets lov</s:HjemmelSpecifikation><s:Kassationskode>K</s:Kassationskode>"
        f"{exempt}<s:Sagsnummer>{number}</s:Sagsnummer>"
        f"<s:Titel>{escape('sag' if exempt else title + about)}</s:Titel></s:Egenskaber>"
        f"<g:LokalUdvidelseListe><i:SagIndeksEgenskaber>{_virkning('g', moment(version.changed))}"
        f"<i:Sagsstatus>{_STATUS[version.state]}</i:Sagsstatus><i:Foelsomhed>{level}</i:Foelsomhed>"
        f"<i:OprettetTidspunkt>{_stamp(_begun(case))}</i:OprettetTidspunkt></i:SagIndeksEgenskaber>"
        "</g:LokalUdvidelseListe>"
    )


def _progress(case: IndexCase, history: tuple[Version, ...]) -> str:
    """Every step from Opstaaet on, as an import must have it (guidance 3.4): each ends where the next begins."""
    steps: list[tuple[str, datetime]] = [("Opstaaet", _begun(case))]
    for version in history:
        code = _PROGRESS[version.state]
        if code == "Opstaaet" and version is not history[0]:
            code = "Oplyst"
        if code not in (steps[-1][0], "Opstaaet"):
            steps.append((code, max(version.changed, steps[-1][1])))
    ends = [since for _code, since in steps[1:]] + [None]
    return "".join(
        f"<s:Fremdrift>{_virkning('s', since, until)}"
        f"<s:FremdriftStatusKode>{code}</s:FremdriftStatusKode></s:Fremdrift>"
        for (code, since), until in zip(steps, ends, strict=True)
    )


def _relations(case: IndexCase, history: tuple[Version, ...], workers: dict[str, Worker], vis: Set[str]) -> str:
    since = _begun(case)
    found: list[str] = []
    if "sagsaktoer" in vis:
        found.append(_actor("Ejer", "Organisation", _MUNICIPALITY, "Byens Kommune", since))
        adviser = workers.get(history[-1].adviser or "")
        unit = adviser.unit if adviser is not None else "Socialforvaltningen"
        found.append(_actor("Ansvarlig", "OrganisationsEnhed", _UNIT, unit, since))
        found.extend(_advisers(history, workers))
    if "sagsklasse" in vis:
        title = TITLES.get(case.kind, "sag")
        found.append(_klasse("Primær klasse", _SUBJECT, case.kind, title, "KLE Emneplan", since))
        found.append(_klasse("Handlingsklasse", _FACET, "G01", "Generelle sager", "KLE - handlingsfacet", since))
    if "sagspart" in vis:
        if case.party is not None:
            found.append(_part("Primær part", case.party, since))
        found.extend(_part("Sekundær part", other, since, str(n)) for n, other in enumerate(case.others, start=1))
    if "sagsgenstand" in vis:
        archive = _relation(
            "Behandlingsarkiv", "Arkiv", f"<d:UUIDIdentifikator>{_ARCHIVE}</d:UUIDIdentifikator>", since
        )
        found.append(f"<s:Sagsgenstande>{archive}</s:Sagsgenstande>")
    own = _own_relations(case, since, vis)
    if own:
        found.append(f"<g:LokalUdvidelseListe>{own}</g:LokalUdvidelseListe>")
    return "".join(found)


def _advisers(history: tuple[Version, ...], workers: dict[str, Worker]) -> list[str]:
    """Primær behandler, also those before: each until the next one began."""
    turns: list[tuple[Worker | None, datetime]] = []
    for version in history:
        worker = workers.get(version.adviser or "")
        if not turns or turns[-1][0] != worker:
            turns.append((worker, version.changed))
    ends = [since for _worker, since in turns[1:]] + [None]
    return [
        _actor("Primær behandler", "Bruger", worker.uuid, worker.name, since, until)
        for (worker, since), until in zip(turns, ends, strict=True)
        if worker is not None
    ]


def _own_relations(case: IndexCase, since: datetime, vis: Set[str]) -> str:
    found: list[str] = []
    system = f"<d:UUIDIdentifikator>{_SYSTEM}</d:UUIDIdentifikator>"
    if "sikkerhedsprofil" in vis and case.hidden == "profile":
        unit = f"<d:UUIDIdentifikator>{_UNIT}</d:UUIDIdentifikator>"
        found.append(
            f"<i:Sikkerhedsprofil>{_relation('Adgang', 'OrganisationsEnhed', unit, since)}</i:Sikkerhedsprofil>"
        )
    if "itsystem" in vis:
        found.extend(
            f"<i:SagsitsystemRelation>{_relation(role, 'IT-system', system, since)}"
            "<i:SystemNavn>Byens sagssystem</i:SystemNavn></i:SagsitsystemRelation>"
            for role in ("Master", "Afsender")
        )
    return "".join(found)


def _actor(role: str, kind: str, uuid: str, name: str, since: datetime, until: datetime | None = None) -> str:
    own = (
        f"<i:SagsaktoerLokalUdvidelse><i:FuldtNavn>{escape(name)}</i:FuldtNavn><i:CVR-Nummer>{_CVR}</i:CVR-Nummer>"
        "</i:SagsaktoerLokalUdvidelse>"
    )
    reference = f"<d:UUIDIdentifikator>{uuid}</d:UUIDIdentifikator>"
    return f"<s:Sagsaktoer>{_relation(role, kind, reference, since, until, own)}</s:Sagsaktoer>"


def _klasse(role: str, uuid: str, key: str, title: str, facet: str, since: datetime) -> str:
    own = (
        f"<i:SagsklasseLokalUdvidelse><i:Facettitel>{facet}</i:Facettitel><i:Klassetitel>{escape(title)}</i:Klassetitel>"
        f"<i:BrugervendtNoegle>{escape(key)}</i:BrugervendtNoegle></i:SagsklasseLokalUdvidelse>"
    )
    reference = f"<d:UUIDIdentifikator>{uuid}</d:UUIDIdentifikator>"
    return f"<s:Sagsklasse>{_relation(role, 'Klasse', reference, since, None, own)}</s:Sagsklasse>"


def _part(role: str, party: Party, since: datetime, place: str | None = None) -> str:
    own = f"<i:SagspartLokalUdvidelse><i:FuldtNavn>{escape(party.name)}</i:FuldtNavn></i:SagspartLokalUdvidelse>"
    reference = f"<d:URNIdentifikator>{escape(party.urn)}</d:URNIdentifikator>"
    kind = "Virksomhed" if party.company else "Person"
    return f"<s:Sagspart>{_relation(role, kind, reference, since, None, own, place)}</s:Sagspart>"


def _relation(
    role: str,
    kind: str,
    reference: str,
    since: datetime,
    until: datetime | None = None,
    own: str = "",
    place: str | None = None,
) -> str:
    return (
        f"{_virkning('g', since, until)}"
        f"<g:Rolle><d:UUIDIdentifikator>{ROLE[role]}</d:UUIDIdentifikator></g:Rolle>"
        f"<g:Type><d:UUIDIdentifikator>{_TYPE[kind]}</d:UUIDIdentifikator></g:Type>"
        + (f"<g:Indeks>{place}</g:Indeks>" if place else "")
        + f"<g:ReferenceID>{reference}</g:ReferenceID>"
        + (f"<g:LokalUdvidelseListe>{own}</g:LokalUdvidelseListe>" if own else "")
    )
