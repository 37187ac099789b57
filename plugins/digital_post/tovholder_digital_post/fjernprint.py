"""A letter on paper: ForsendelseI of remote print (urn:oio:fjernprint:1.0.0).

With an address the printer is told name and address and no number (0000000000, as KOMBIT's description of the fields
asks for physical post); without one, the number alone, for a printer that looks the address up itself. Lengths and
order follow the schema; the title is what the printer's own log shows, and is as neutral as a label in Digital Post.
"""

from __future__ import annotations

import base64
import re

from lxml import etree

from hub import BadRecord, Letter
from tovholder_digital_post.address import Address
from tovholder_digital_post.memo import TEXT_MAX, one_line
from tovholder_digital_post.settings import DigitalPostSettings

PRINT = "urn:oio:fjernprint:1.0.0"
_DKAL = "urn:oio:dkal:1.0.0"
_ADIR = "urn:oio:adir:dagpenge:2009.07.01"
_SAGDOK = "urn:oio:sagdok:3.0.0"
_ITST = "http://rep.oio.dk/itst.dk/xml/schemas/2006/01/17/"
_DKCC3 = "http://rep.oio.dk/ebxml/xml/schemas/dkcc/2003/02/13/"
_DKCC5 = "http://rep.oio.dk/ebxml/xml/schemas/dkcc/2005/03/15/"
_LINES = "http://rep.oio.dk/ebxml/xml/schemas/dkcc/2005/05/19/"
_NUMERALS = ("First", "Second", "Third", "Fourth", "Fifth", "Sixth")
NOBODY = "0000000000"

_MAX = {
    "PersonName": 130,
    "CoNavn": 130,
    "StreetName": 40,
    "MailDeliverySublocationIdentifier": 34,
    "TitelTekst": TEXT_MAX,
}
_FLOOR = re.compile("[1-9][0-9]?|kl|st|k[2-9]")
_DOOR = re.compile(r"\S{1,4}")


def _add(parent: etree._Element, namespace: str, name: str, text: str | None = None) -> etree._Element:
    element = etree.SubElement(parent, f"{{{namespace}}}{name}")
    if text is not None:
        most = _MAX.get(name)
        if most is not None and len(text) > most:
            raise BadRecord(f"{name} is {len(text)} characters; print takes {most}: make it shorter")
        element.text = text
    return element


def build(
    letter: Letter,
    key: str,
    settings: DigitalPostSettings,
    address: Address | None = None,
    parent: etree._Element | None = None,
) -> etree._Element:
    """The letter as a `ForsendelseISamling` with one ForsendelseI, below `parent` where one is given; `key` becomes the
    AfsendelseIdentifikator.

    Raises BadRecord when the letter cannot become one, without repeating what the letter says."""
    if not letter.pdf.startswith(b"%PDF-"):
        raise BadRecord("the letter has no PDF; remote print takes nothing else")
    title = one_line(letter.title, "title")
    space = {None: PRINT, "dkal": _DKAL, "adir": _ADIR, "sd": _SAGDOK}
    name = f"{{{PRINT}}}ForsendelseISamling"
    # lxml-stubs know no default namespace.
    together = (
        etree.Element(name, nsmap=space)  # type: ignore[arg-type]  # see above
        if parent is None
        else etree.SubElement(parent, name, nsmap=space)  # type: ignore[arg-type]  # see above
    )
    one = _add(together, PRINT, "ForsendelseI")
    _add(one, PRINT, "AfsendelseIdentifikator", key)
    _add(one, PRINT, "ForsendelseTypeIdentifikator", str(settings.print_type))
    recipient = _add(one, PRINT, "ForsendelseModtager")
    number = NOBODY if address else one_line(letter.recipient.cpr, "recipient")
    _add(_add(recipient, _DKAL, "AfsendelseModtager"), _ADIR, "CPRnummerIdentifikator", number)
    if address:
        _address(_add(recipient, PRINT, "ModtagerAdresse"), address, letter.recipient.name)
    _add(one, _DKAL, "FilformatNavn", "PDF")
    _add(one, _DKAL, "MeddelelseIndholdData", base64.b64encode(letter.pdf).decode("ascii"))
    _add(_add(one, PRINT, "DokumentParametre"), _SAGDOK, "TitelTekst", title)
    _add(_add(one, PRINT, "PostParametre"), PRINT, "PostKategoriKode", "Prioritaire")
    return together


def _address(element: etree._Element, address: Address, name: str) -> None:
    _add(element, _ITST, "PersonName", one_line(name or address.name, "recipient's name"))
    if address.street:
        if address.care_of:
            _add(element, PRINT, "CoNavn", one_line(address.care_of, "recipient's address"))
        _add(element, _DKCC5, "StreetName", one_line(address.street, "recipient's address"))
        _add(element, _DKCC3, "StreetBuildingIdentifier", address.number)
        # A floor or door that the schema does not know would have the letter refused; the address still leads there.
        if _FLOOR.fullmatch(address.floor):
            _add(element, _DKCC3, "FloorIdentifier", address.floor)
        if _DOOR.fullmatch(address.door):
            _add(element, _DKCC3, "SuiteIdentifier", one_line(address.door, "recipient's address"))
        if address.place:
            _add(element, _DKCC3, "MailDeliverySublocationIdentifier", one_line(address.place, "recipient's address"))
    for numeral, line in zip(_NUMERALS, address.lines, strict=False):
        _add(element, _LINES, f"PostalAddress{numeral}LineText", one_line(line, "recipient's address"))
    _add(element, _DKCC5, "PostCodeIdentifier", address.postcode)
    _add(element, _DKCC3, "CountryIdentificationCode", "DK").set("scheme", "iso3166-alpha2")
