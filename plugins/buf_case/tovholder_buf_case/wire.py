"""What goes over the wire: the names of wsieksport v7, the requests, and where exports come from.

The service is SOAP 1.2 at one address; every operation it has is a read, sent by POST. Names and order of elements:
the schema of `https://brugerdatabasen.stil.dk/bpi/wsieksport/7`.

The real service also wants each request signed with the system's own certificate (WS-Security). This plugin does not
sign: in production it talks to the gateway that holds the municipality's certificate, or reads a folder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO
from zoneinfo import ZoneInfo

from lxml import etree

import hub
from tovholder_buf_case.settings import BufSettings

WSI = "https://brugerdatabasen.stil.dk/bpi/wsieksport/7"
COMMON = f"{WSI}/common"
BPI = "https://brugerdatabasen.stil.dk/bpi/common/3"
VARIANTS = (f"{WSI}/fullmyndighed", f"{WSI}/full", f"{WSI}/medium")
"""Namespaces of the variants that carry CPR numbers. They differ in what they say of parents, which is not read. The
fourth, small, has no number: its pupils cannot be matched."""
SOAP = "http://www.w3.org/2003/05/soap-envelope"
PATH = "/bpi/wsieksport/7"
READS = frozenset({("POST", PATH)})

Stream = IO[bytes] | hub.ByteStream
Exports = Mapping[str, Callable[[], AbstractContextManager[Stream]]]
"""How to open the export of each institution, by number, in order."""

_DENMARK = ZoneInfo("Europe/Copenhagen")


def exports(settings: BufSettings, client: hub.ReadOnlyClient | None) -> Exports:
    """All institutions the source has now.

    Raises TryAgain (no answer, a file cut short), GaveUp (no export at all: an empty list would mean that every pupil
    has left, and is more likely a fault)."""
    if client is not None:
        found = _agreements(client, settings)
    elif settings.folder is not None:
        found = _newest(settings.folder)
    else:
        raise hub.SettingsError("buf_case: give either url or folder")
    if not found:
        raise hub.GaveUp(
            "the source has no institution at all: approve data agreements at tilslutning.stil.dk, "
            "or put exports (*.xml) into the folder"
        )
    return dict(sorted(found.items()))


def moment(text: str | None) -> datetime:
    """An xs:dateTime; one without zone is Danish time. Raises ValueError."""
    found = datetime.fromisoformat((text or "").strip())
    return found if found.tzinfo else found.replace(tzinfo=_DENMARK)


def client_for(settings: BufSettings) -> hub.ReadOnlyClient | None:
    if settings.url is None:
        return None
    # Some write the whole address of the service where the host is meant.
    host = str(settings.url).rstrip("/").removesuffix(PATH)
    return hub.ReadOnlyClient(host, READS, timeout_seconds=settings.timeout_seconds)


def _agreements(client: hub.ReadOnlyClient, settings: BufSettings) -> Exports:
    operation = "hentDataAftalerFuldMyndighed"
    body = etree.Element(f"{{{WSI}}}{operation}", nsmap={"w": WSI})
    with _post(client, settings, operation, body) as stream:
        numbers = [(element.text or "").strip() for element in hub.xml_elements(stream, f"{{{BPI}}}regnr")]
    return {number: _ask(client, settings, number) for number in numbers if number}


def _ask(
    client: hub.ReadOnlyClient, settings: BufSettings, number: str
) -> Callable[[], AbstractContextManager[Stream]]:
    return lambda: _post(client, settings, "eksporterXmlFuldMyndighed", export_request(number))


def export_request(number: str) -> etree._Element:
    """Ask for one institution's pupils and employees with their numbers. Contact persons and externals are asked to
    be left out, so that what the hub may not know is not sent in the first place."""
    body = etree.Element(f"{{{WSI}}}eksporterXmlFuldMyndighed", nsmap={"w": WSI})
    etree.SubElement(body, f"{{{WSI}}}instnr").text = number
    filters = etree.SubElement(body, f"{{{WSI}}}filtre")
    actors = etree.SubElement(filters, f"{{{WSI}}}aktoertypeFilter")
    for name, wanted in (("Elever", True), ("Medarbejdere", True), ("Eksterne", False), ("Kontaktpersoner", False)):
        etree.SubElement(actors, f"{{{WSI}}}inkluder{name}").text = str(wanted).lower()
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
    with client.stream("POST", PATH, content=content, headers=headers) as response:
        yield hub.ByteStream(response)


def _newest(folder: Path) -> Exports:
    found: dict[str, tuple[datetime, Path]] = {}
    for path in hub.files(folder, "*.xml"):
        number, written = _head(path)
        if number not in found or written >= found[number][0]:
            found[number] = (written, path)
    return {number: _opener(path) for number, (_written, path) in found.items()}


def _opener(path: Path) -> Callable[[], AbstractContextManager[Stream]]:
    return lambda: path.open("rb")


def _head(path: Path) -> tuple[str, datetime]:
    """An export's institution number and time, from its first lines."""
    try:
        with path.open("rb") as file:
            for element in hub.xml_elements(file, f"{{{COMMON}}}InstitutionNumber"):
                return (element.text or "").strip(), written_at(element)
    except hub.TryAgain as error:
        raise hub.TryAgain(f"{path.name}: {error}") from error
    except ValueError as error:
        raise hub.GaveUp(f"{path.name}: exportDateTime is missing or no time: export it again") from error
    # Passing over it would read as if its pupils had left.
    raise hub.GaveUp(f"{path.name}: no wsieksport v7 export: export it again, or take it out of the folder")


def written_at(number: etree._Element) -> datetime:
    """exportDateTime of the export in which this InstitutionNumber stands. Raises ValueError."""
    for above in number.iterancestors():
        if above.get("exportDateTime"):
            return moment(above.get("exportDateTime"))
    raise ValueError("no exportDateTime")
