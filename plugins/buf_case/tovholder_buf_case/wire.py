"""What goes over the wire: the names of wsieksport v7 and its requests.

The service is SOAP 1.2 at one address. It has four exports (Lille, Mellem, Fuld, FuldMyndighed), a list of agreements
for each, and a hello; all are reads, sent by POST. Names and order of elements: the schema of
`https://brugerdatabasen.stil.dk/bpi/wsieksport/7`.

The real service also wants each request signed with the system's own certificate (WS-Security). This plugin does not
sign: in production it talks to the gateway that holds the municipality's certificate, or reads a folder.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import IO
from zoneinfo import ZoneInfo

from lxml import etree

import hub
from tovholder_buf_case.settings import BufSettings, Variant

WSI = "https://brugerdatabasen.stil.dk/bpi/wsieksport/7"
COMMON = f"{WSI}/common"
BPI = "https://brugerdatabasen.stil.dk/bpi/common/3"
VARIANTS = (f"{WSI}/fullmyndighed", f"{WSI}/full", f"{WSI}/medium")
"""Namespaces of the variants that carry CPR numbers."""
SMALL = f"{WSI}/small"
"""Names, user ids and groups, and no numbers: read by nobody here, and told apart to say so."""
SOAP = "http://www.w3.org/2003/05/soap-envelope"
PATH = "/bpi/wsieksport/7"
READS = frozenset({("POST", PATH)})
DENMARK = ZoneInfo("Europe/Copenhagen")

Stream = IO[bytes] | hub.ByteStream

_REFUSALS = frozenset({400, 500})
"""SOAP 1.2 answers with a fault and 400 when the request is to blame, 500 when the service is."""
_FAULT_LIMIT = 64 * 1024
ABOUT_US = {
    "Signatur": "the request's signature is wrong",
    "SignaturMangler": "the request is not signed",
    "UdbydersytemIdMangler": "system_id is missing",  # spelt like this in the schema
    "BrugeridEllerPassword": "the user or password is wrong",
}
"""AuthentificationError: what is wrong with us and not with one institution. The fifth, Rettigheder, says that there
is no agreement on what was asked for."""


def moment(text: str | None) -> datetime:
    """An xs:dateTime; one without zone is Danish time. Raises ValueError."""
    found = datetime.fromisoformat((text or "").strip())
    return found if found.tzinfo else found.replace(tzinfo=DENMARK)


def written_at(number: etree._Element) -> datetime:
    """exportDateTime of the export in which this InstitutionNumber stands. Raises ValueError."""
    for above in number.iterancestors():
        if above.get("exportDateTime"):
            return moment(above.get("exportDateTime"))
    raise ValueError("no exportDateTime")


def client_for(settings: BufSettings) -> hub.ReadOnlyClient | None:
    if settings.url is None:
        return None
    # Some write the whole address of the service where the host is meant.
    host = str(settings.url).rstrip("/").removesuffix(PATH)
    return hub.ReadOnlyClient(host, READS, timeout_seconds=settings.timeout_seconds)


def agreements(client: hub.ReadOnlyClient, settings: BufSettings) -> list[str]:
    """The institutions there is a data agreement on, for the variant in the settings.

    Raises TryAgain (no answer), GaveUp (refused)."""
    operation = f"hentDataAftaler{settings.variant}"
    body = etree.Element(f"{{{WSI}}}{operation}", nsmap={"w": WSI})
    try:
        with _post(client, settings, operation, body) as stream:
            found = [(element.text or "").strip() for element in hub.xml_elements(stream, f"{{{BPI}}}regnr")]
    except hub.BadRecord as error:
        raise hub.GaveUp(f"the list of data agreements: {error}") from error
    return [number for number in found if number]


@contextmanager
def export(client: hub.ReadOnlyClient, settings: BufSettings, number: str) -> Iterator[Stream]:
    """The answer with one institution's export.

    Raises TryAgain (no answer), GaveUp (we are refused), BadRecord (this institution is)."""
    operation = f"eksporterXml{settings.variant}"
    with _post(client, settings, operation, export_request(number, settings.variant)) as stream:
        yield stream


def export_request(number: str, variant: Variant = Variant.FULD_MYNDIGHED) -> etree._Element:
    """Ask for one institution's pupils and employees with their numbers. Contact persons and externals are asked to
    be left out, so that what the hub may not know is not sent in the first place."""
    body = etree.Element(f"{{{WSI}}}eksporterXml{variant}", nsmap={"w": WSI})
    etree.SubElement(body, f"{{{WSI}}}instnr").text = number
    filters = etree.SubElement(body, f"{{{WSI}}}filtre")
    actors = etree.SubElement(filters, f"{{{WSI}}}aktoertypeFilter")
    for name, wanted in (("Elever", True), ("Medarbejdere", True), ("Eksterne", False)):
        etree.SubElement(actors, f"{{{WSI}}}inkluder{name}").text = str(wanted).lower()
    if variant is not Variant.MELLEM:  # it has no contact persons, and so no filter for them
        etree.SubElement(actors, f"{{{WSI}}}inkluderKontaktpersoner").text = "false"
    numbers = etree.SubElement(filters, f"{{{WSI}}}cprFilter")
    etree.SubElement(numbers, f"{{{WSI}}}inkluderCpr").text = "true"
    return body


@contextmanager
def _post(
    client: hub.ReadOnlyClient, settings: BufSettings, operation: str, body: etree._Element
) -> Iterator[hub.ByteStream]:
    envelope = etree.Element(f"{{{SOAP}}}Envelope", nsmap={"soap": SOAP})
    header = etree.SubElement(envelope, f"{{{SOAP}}}Header")
    if settings.system_id is not None:
        etree.SubElement(header, f"{{{BPI}}}UdbydersystemId", nsmap={"b": BPI}).text = settings.system_id
    etree.SubElement(envelope, f"{{{SOAP}}}Body").append(body)
    headers = {"content-type": f'application/soap+xml; charset=UTF-8; action="{WSI}/{operation}"'}
    content = etree.tostring(envelope, encoding="UTF-8", xml_declaration=True)
    with client.stream("POST", PATH, answers=_REFUSALS, content=content, headers=headers) as response:
        stream = hub.ByteStream(response)
        if response.status_code in _REFUSALS:
            raise _refusal(stream.read(_FAULT_LIMIT), response.status_code)
        yield stream


def _refusal(body: bytes, status: int) -> hub.TovholderError:
    """What a refusal means. Its words are not repeated: they may hold anything."""
    said = f"the source answered {status} to POST"
    try:
        for fault in hub.xml_elements(io.BytesIO(body), f"{{{SOAP}}}Fault"):
            words = {(element.text or "").strip() for element in fault.iter(f"{{{BPI}}}type", "type")}
            for word, meaning in ABOUT_US.items():
                if word in words:
                    return hub.GaveUp(f"{said}: {meaning} ({word})")
            value = (fault.findtext(f".//{{{SOAP}}}Value") or "").rpartition(":")[2]
            if value == "Sender" or "Rettigheder" in words:
                return hub.BadRecord(f"{said}: there is no data agreement on it: approve it at tilslutning.stil.dk")
    except hub.TryAgain:  # no XML: no fault of the service's own
        pass
    return hub.TryAgain(said) if status >= 500 else hub.GaveUp(said)
