"""Where a person lives, asked of CPR (SF1520 PersonBaseDataExtended, version 4) when their letter is to be printed, and
forgotten when it is sent: the hub keeps no addresses.

A protected address is given too: a letter may go there, and only the printer sees it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from xml.sax.saxutils import escape

from lxml import etree

from hub import BadRecord, ReadOnlyClient, TryAgain
from tovholder_digital_post.answers import parse

PATH = "/service/CPR/PersonBaseDataExtended/4"
READS = frozenset({("POST", PATH)})
"""The lookup is a read sent by POST, with the number in the body."""
_NS = "http://serviceplatformen.dk/xml/wsdl/soap11/CPR/PersonBaseDataExtended/4/"
_PNR = "http://serviceplatformen.dk/xml/schemas/cpr/PNR/1/"
_SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
_HEADERS = {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": f'"{_NS}PersonLookup"'}
_REQUEST = (
    f'<s:Envelope xmlns:s="{_SOAP}"><s:Body><PersonLookupRequest xmlns="{_NS}"><PNR xmlns="{_PNR}">%s</PNR>'
    "</PersonLookupRequest></s:Body></s:Envelope>"
)
_LINE_MAX = 34


@dataclass(frozen=True, slots=True)
class Address:
    """A Danish address by its parts, as remote print wants them (`street` and `number` set), or in lines of 34
    characters at most. `name` is who lives there."""

    name: str
    postcode: str
    city: str
    street: str = ""
    number: str = ""
    floor: str = ""
    door: str = ""
    care_of: str = ""
    place: str = ""
    """The name of the farm or house (lokalitet)."""
    lines: tuple[str, ...] = ()


def lookup(client: ReadOnlyClient, number: str) -> Address:
    """The address of the person with this number.

    Raises BadRecord when CPR has none that a letter can go to, TryAgain and GaveUp when it does not answer."""
    body = (_REQUEST % escape(number)).encode()
    response = client.send("POST", PATH, content=body, headers=_HEADERS, answers={500})
    root = parse(response.content)
    if root is None:
        raise TryAgain("CPR answered with something that is not XML")
    answer = next(root.iter(f"{{{_NS}}}PersonLookupResponse"), None)
    if answer is None:
        if "PNR not found" in "".join(str(text) for text in root.itertext()):
            raise BadRecord("CPR does not know the recipient's number, so the letter cannot be printed: look it up")
        raise TryAgain(f"CPR answered a lookup of an address with something else ({response.status_code})")
    if _text(answer, "persondata", "personnummer") != number:
        raise BadRecord("CPR answered about another person than was asked for: the letter is not printed")
    return read(answer)


def read(answer: etree._Element) -> Address:
    """The address in a PersonLookupResponse. Raises BadRecord when there is none that a letter can go to."""
    postcode = _text(answer, "adresse", "aktuelAdresse", "postnummer").zfill(4)
    name = _text(answer, "persondata", "navn", "personadresseringsnavn") or " ".join(
        found for tag in ("fornavn", "mellemnavn", "efternavn") if (found := _text(answer, "persondata", "navn", tag))
    )

    def part(tag: str) -> str:
        return _text(answer, "adresse", "aktuelAdresse", tag)

    number = re.fullmatch(r"0*([1-9][0-9]{0,2})([A-Za-z]?)", part("husnummer"))
    street = part("vejnavn") or part("vejadresseringsnavn")
    lines = tuple(line for line in (part("conavn"), part("lokalitet"), part("standardadresse")) if line)
    if not name or not re.fullmatch("[0-9]{4}", postcode) or postcode == "0000" or not (lines or (street and number)):
        raise BadRecord(
            "CPR has no address in Denmark for the recipient (moved abroad, no fixed address): the letter must go "
            "another way"
        )
    if street and number:
        return Address(
            name=name,
            postcode=postcode,
            city=part("postdistrikt"),
            street=street,
            number=number[1] + number[2].upper(),
            floor=part("etage").lstrip("0").lower(),
            door=part("sidedoer").lstrip("0").lower(),
            care_of=part("conavn"),
            place=part("lokalitet"),
        )
    if any(len(line) > _LINE_MAX for line in lines):
        raise BadRecord(f"a line of the recipient's address is longer than the {_LINE_MAX} characters print takes")
    return Address(name=name, postcode=postcode, city=part("postdistrikt"), lines=lines)


def _text(element: etree._Element, *path: str) -> str:
    """The text of the element at a path of local names, on one line; empty where it is not there."""
    found: etree._Element | None = element
    for name in path:
        found = None if found is None else next(found.iterchildren("{*}" + name), None)
    return "" if found is None else " ".join((found.text or "").split())
