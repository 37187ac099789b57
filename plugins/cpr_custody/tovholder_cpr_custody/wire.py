"""The SOAP service, asked for one number at a time.

An answer is a `Person`, None for a number CPR does not know, or an `Unreadable`. Authentication (a client certificate
and a token from Adgangsstyring) belongs to the gateway before the hub.
"""

from __future__ import annotations

import io
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
LONGEST = 1024 * 1024
"""Bytes; an answer about one person with a life's addresses has some thousand."""
_HEADERS = {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": f'"{person.NS}PersonLookup"'}
_REQUEST = (
    f'<soap:Envelope xmlns:soap="{SOAP}"><soap:Body><PersonLookupRequest xmlns="{person.NS}">'
    f'<PNR xmlns="{PNR}">%s</PNR></PersonLookupRequest></soap:Body></soap:Envelope>'
)

Answer = Person | hub.Unreadable | None


def lookup(client: hub.ReadOnlyClient, number: str) -> Answer:
    """Ask for one number.

    Raises TryAgain when the service does not answer as it should, also with any other fault than an unknown number;
    GaveUp when it refuses."""
    body = (_REQUEST % escape(number)).encode()
    with client.stream("POST", PATH, content=body, headers=_HEADERS, answers={500}) as response:
        content = hub.ByteStream(response).read(LONGEST + 1)
        status = response.status_code
    if len(content) > LONGEST:
        raise hub.TryAgain(f"the source answered a lookup with more than {LONGEST} bytes (HTTP {status})")
    return answer(content, number, status)


def answer(content: bytes, number: str, status: int = 200) -> Answer:
    """What the body of an answer to a lookup of `number` says. Raises TryAgain when it is none, is cut short, or is
    more than one."""
    said: list[Answer] = []
    # To its end, so that one that is cut right after the person is seen to be.
    for element in hub.xml_elements(io.BytesIO(content), person.RESPONSE, f"{{{SOAP}}}Fault"):
        if element.tag == person.RESPONSE:
            said.append(_about(number, element))
        elif NOT_FOUND in " ".join(str(text) for text in element.itertext()):
            said.append(None)
        else:
            raise hub.TryAgain(f"the source answered a lookup with a fault (HTTP {status})")
    if len(said) != 1:
        raise hub.TryAgain(f"the source answered a lookup with something else (HTTP {status})")
    return said[0]


def _about(number: str, element: etree._Element) -> Person | hub.Unreadable:
    """Only an answer about whom was asked for: one that was mixed up would make a stranger the guardian."""
    position = "answer to a lookup"
    found = read(element, position)
    if isinstance(found, Person) and found.number != number:
        reason = "the answer is about another number than was asked for"
        return hub.Unreadable(position, reason, hub.raw(element))
    return found


def read(element: etree._Element, position: str) -> Person | hub.Unreadable:
    """A PersonLookupResponse, as a person or as what cannot be read."""
    try:
        return person.parse(element)
    except hub.BadRecord as error:
        return hub.Unreadable(position, str(error), hub.raw(element))
