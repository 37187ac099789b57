"""A letter for a person who is exempt from Digital Post: ForsendelseI of remote print (urn:oio:fjernprint:1.0.0).

Only the PDF goes; the printer finds name and address from the number, so the hub needs no address. Lengths and order
follow the schema; the title is what the printer's own log shows, and is as neutral as a label in Digital Post.
"""

from __future__ import annotations

import base64

from lxml import etree

from hub import BadRecord, Letter
from tovholder_digital_post.memo import TEXT_MAX, one_line
from tovholder_digital_post.settings import DigitalPostSettings

PRINT = "urn:oio:fjernprint:1.0.0"
_DKAL = "urn:oio:dkal:1.0.0"
_ADIR = "urn:oio:adir:dagpenge:2009.07.01"
_SAGDOK = "urn:oio:sagdok:3.0.0"


def _add(parent: etree._Element, namespace: str, name: str, text: str | None = None) -> etree._Element:
    element = etree.SubElement(parent, f"{{{namespace}}}{name}")
    if text is not None:
        element.text = text
    return element


def build(letter: Letter, key: str, settings: DigitalPostSettings) -> etree._Element:
    """The letter as a `ForsendelseISamling` with one ForsendelseI; `key` becomes the AfsendelseIdentifikator.

    Raises BadRecord when the letter cannot become one, without repeating what the letter says."""
    if not letter.pdf.startswith(b"%PDF-"):
        raise BadRecord("the letter has no PDF; remote print takes nothing else")
    title = one_line(letter.title, "title")
    if len(title) > TEXT_MAX:
        raise BadRecord(f"the letter's title is {len(title)} characters; make it at most {TEXT_MAX}")
    together = etree.Element(
        f"{{{PRINT}}}ForsendelseISamling",
        # lxml-stubs know no default namespace.
        nsmap={None: PRINT, "dkal": _DKAL, "adir": _ADIR, "sd": _SAGDOK},  # type: ignore[dict-item]
    )
    one = _add(together, PRINT, "ForsendelseI")
    _add(one, PRINT, "AfsendelseIdentifikator", key)
    _add(one, PRINT, "ForsendelseTypeIdentifikator", str(settings.print_type))
    recipient = _add(_add(one, PRINT, "ForsendelseModtager"), _DKAL, "AfsendelseModtager")
    _add(recipient, _ADIR, "CPRnummerIdentifikator", one_line(letter.recipient.cpr, "recipient"))
    _add(one, _DKAL, "FilformatNavn", "PDF")
    _add(one, _DKAL, "MeddelelseIndholdData", base64.b64encode(letter.pdf).decode("ascii"))
    _add(_add(one, PRINT, "DokumentParametre"), _SAGDOK, "TitelTekst", title)
    _add(_add(one, PRINT, "PostParametre"), PRINT, "PostKategoriKode", "Prioritaire")
    return together
