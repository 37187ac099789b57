"""Where persons come from: the SOAP service, or a folder of its answers.

Both give a `Person`, None for a number CPR does not know, or an `Unreadable`. Authentication (a client certificate and
a token from Adgangsstyring) belongs to the gateway before the hub.
"""

from __future__ import annotations

import io
import re
from collections.abc import Collection
from pathlib import Path
from xml.sax.saxutils import escape

from lxml import etree

import hub
from tovholder_cpr_custody import person
from tovholder_cpr_custody.person import Person

PATH = "/service/CPR/PersonBaseDataExtended/4"
READS = frozenset({("POST", PATH)})
"""The lookup is a read sent by POST, with the number in the body."""
NOT_FOUND = "PNR not found"
"""What the fault says about a number that CPR does not have."""
SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
PNR = "http://serviceplatformen.dk/xml/schemas/cpr/PNR/1/"
_LIKE_A_NUMBER = re.compile(r"\d{6}-?\d{4}")
_HEADERS = {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": f'"{person.NS}PersonLookup"'}
_REQUEST = (
    f'<soap:Envelope xmlns:soap="{SOAP}"><soap:Body><PersonLookupRequest xmlns="{person.NS}">'
    f'<PNR xmlns="{PNR}">%s</PNR></PersonLookupRequest></soap:Body></soap:Envelope>'
)

Answer = Person | hub.Unreadable | None


def lookup(client: hub.ReadOnlyClient, number: str) -> Answer:
    """Ask for one number.

    Raises TryAgain when the service does not answer as it should, also with any other fault than an unknown number."""
    body = (_REQUEST % escape(number)).encode()
    response = client.send("POST", PATH, content=body, headers=_HEADERS, answers={500})
    found: etree._Element | None = None
    for element in hub.xml_elements(io.BytesIO(response.content), person.RESPONSE, f"{{{SOAP}}}Fault"):
        if element.tag != person.RESPONSE:
            if NOT_FOUND in " ".join(str(text) for text in element.itertext()):
                return None
            raise hub.TryAgain(f"the source answered a lookup with a fault (HTTP {response.status_code})")
        found = element
        break
    if found is None:
        raise hub.TryAgain(f"the source answered a lookup with something else (HTTP {response.status_code})")
    return _parse(found, "answer to a lookup")


def _parse(element: etree._Element, position: str) -> Person | hub.Unreadable:
    try:
        return person.parse(element)
    except hub.BadRecord as error:
        return hub.Unreadable(position, str(error), hub.raw(element))


def from_folder(folder: Path, numbers: Collection[str]) -> tuple[dict[str, Answer], list[hub.Unreadable]]:
    """The answers in a folder about these numbers, and what in it is about nobody knows whom. Only these persons are
    held; of several answers about one person the last counts, by file name and then by place.

    Raises TryAgain when a file is cut short, GaveUp when the folder is not there."""
    found: dict[str, Answer] = {}
    nobodys: list[hub.Unreadable] = []
    for file, path in enumerate(hub.files(folder, "*.xml"), start=1):
        name = str(path.relative_to(folder))
        # An answer is often named by whom it is about.
        where = f"file {file}" if _LIKE_A_NUMBER.search(name) else name
        with path.open("rb") as stream:
            for place, element in enumerate(hub.xml_elements(stream, person.RESPONSE), start=1):
                position = f"{where}, answer {place}"
                number = element.findtext(f"{{{person.NS}}}persondata/{{{person.NS}}}personnummer", "").strip()
                if not number:
                    nobodys.append(
                        hub.Unreadable(position, "the answer has no persondata/personnummer", hub.raw(element))
                    )
                elif number in numbers:
                    found[number] = _parse(element, position)
    return found, nobodys
