"""What the town's Digital Post refuses, as the real one does: by checks of its own on what was sent.

The error codes `memo.invalid`, `file.empty.not.allowed` and `file.extension.not.allowed` are Digital Post's; the others
are the town's words for what the real platform refuses too. Texts may quote what was sent, as the real ones do: a
client must not log them.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from lxml import etree

from hub.demo.model import Person
from hub.demo.servers import digital_post_order as order

MEMO = "https://DigitalPost.dk/MeMo-1"
PRINT = "urn:oio:fjernprint:1.0.0"
MESSAGE_LIMIT = 99_500_000
"""The largest message (bytes): bekendtgørelse om størrelse på filer i Digital Post § 3; ten files at most with it."""
FILES_MOST = 10
_ROUTES = {
    "Digital Post": ("digital",),
    "Fysisk Post": ("print",),
    "Automatisk Valg": ("digital", "print"),
    "NemSMS": ("sms",),
}
_WANTED = {
    "digital": (f"{{{MEMO}}}Message", f"{{{MEMO}}}MessageHeader/{{{MEMO}}}messageUUID"),
    "sms": (f"{{{MEMO}}}Message", f"{{{MEMO}}}MessageHeader/{{{MEMO}}}messageUUID"),
    "print": (f"{{{PRINT}}}ForsendelseISamling", f"{{{PRINT}}}ForsendelseI/{{{PRINT}}}AfsendelseIdentifikator"),
}


class RefusedError(Exception):
    """What was sent is refused: `code` for programs, the message for people."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


NOBODY = "0000000000"
_ADDRESS = {
    "PersonName": ".{1,130}",
    "CoNavn": ".{1,130}",
    "StreetName": ".{1,40}",
    "StreetBuildingIdentifier": "[1-9][0-9]{0,2}[A-Z]?",
    "FloorIdentifier": "[1-9][0-9]?|KL|ST|kl|st|[kK][2-9]",
    "SuiteIdentifier": ".{1,4}",
    "MailDeliverySublocationIdentifier": ".{1,34}",
    "PostCodeIdentifier": "[0-9]{4}",
    "CountryIdentificationCode": "[A-Z]{2}",
}
_UUID4 = re.compile("[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-4[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}")
_BAD_IN_NAME = frozenset('<>:"/\\|?*\r\n\u00a0\u2028\u205f\u2060\u3000') | {chr(c) for c in range(0x2000, 0x200B)}
_EXTENSIONS = {"application/pdf": ".pdf", "text/html": ".html", "text/plain": ".txt"}
_MAX = {"notification": 150, "comment": 512}


class Sent(NamedTuple):
    """What was sent. `document` is the message, or the print order, as an XML file; `or_print` the print order that
    goes instead when the recipient is not registered."""

    key: str
    route: str
    document: etree._Element
    or_print: etree._Element | None = None


def _parse(body: bytes) -> etree._Element:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=True)
    try:
        return etree.fromstring(body, parser)
    except etree.XMLSyntaxError as error:
        raise RefusedError("xml.invalid", f"The request is not well-formed XML: line {error.lineno}") from error


def _key(text: str | None) -> str:
    key = (text or "").strip()
    if not _UUID4.fullmatch(key):
        raise RefusedError("memo.invalid", "messageUUID is missing or is not a UUID of version 4")
    return key.lower()


def read(body: bytes) -> Sent:
    """What a kombi_request holds, and under which messageUUID; nothing else is checked. Raises RefusedError."""
    root = _parse(body)
    if root.tag != "kombi_request" or len(root) < 1 or root[0].tag != "KombiValgKode":
        raise RefusedError("kombi.invalid", "Expected kombi_request with KombiValgKode first")
    routes = _ROUTES.get((root[0].text or "").strip())
    if routes is None:
        raise RefusedError("kombi.invalid", f"KombiValgKode must be one of {', '.join(_ROUTES)}")
    documents = [root.find(_WANTED[route][0]) for route in routes]
    found = [document for document in documents if document is not None]
    if len(found) < len(routes):
        raise RefusedError("kombi.invalid", "What KombiValgKode says should be sent is not in the request")
    kind = found[0].findtext(f"{{{MEMO}}}MessageHeader/{{{MEMO}}}messageType")
    if kind is not None and (kind == "NEMSMS") != (routes == ("sms",)):
        raise RefusedError("kombi.invalid", "KombiValgKode does not fit the message's messageType")
    keys = {_key(document.findtext(_WANTED[route][1])) for route, document in zip(routes, found, strict=True)}
    if len(keys) > 1:
        raise RefusedError("kombi.invalid", "The message and the print order are not the same letter")
    return Sent(keys.pop(), routes[0], found[0], found[1] if len(found) > 1 else None)


def read_message(body: bytes, key: str) -> Sent:
    """A message sent alone, under the messageUUID it is said to have. Raises RefusedError."""
    root = _parse(body)
    if root.tag != _WANTED["digital"][0]:
        raise RefusedError("memo.invalid", "The request is not a memo:Message")
    if _key(root.findtext(_WANTED["digital"][1])) != key.lower():
        raise RefusedError("memo.invalid", "memo-message-uuid is not the message's own messageUUID")
    return Sent(key.lower(), "digital", root)


def chosen(sent: Sent, people: Mapping[str, Person]) -> Sent:
    """What goes, where the platform is to choose: the message to who is registered, else the print order."""
    if sent.or_print is None:
        return sent
    person = people.get(recipient_of(sent.document))
    if person is not None and person.digital_post:
        return sent._replace(or_print=None)
    return Sent(sent.key, "print", sent.or_print)


def check(sent: Sent, people: Mapping[str, Person], limit: int = MESSAGE_LIMIT) -> None:
    """Raises RefusedError for anything the real platform would refuse. `limit` is how large a message may be."""
    if sent.route == "sms":
        _check_sms(sent.document, people)
    elif sent.route == "digital":
        _check_memo(sent.document, people, limit)
    else:
        _check_print(sent.document, people, limit)


def _check_order(element: etree._Element, table: order.Table) -> None:
    try:
        order.check(element, table)
    except order.OrderError as error:
        raise RefusedError("memo.invalid", str(error)) from error


def _check_sms(message: etree._Element, people: Mapping[str, Person]) -> None:
    """A text message is its notification, and has no body."""
    _check_form(message)
    header = f"{{{MEMO}}}MessageHeader/{{{MEMO}}}"
    if (
        message.find(f"{{{MEMO}}}MessageBody") is not None
        or not (message.findtext(header + "notification") or "").strip()
    ):
        raise RefusedError("memo.invalid", "A NEMSMS message has a notification and no MessageBody")
    if message.findtext(f"{header}Recipient/{{{MEMO}}}recipientID") not in people:
        raise RefusedError("recipient.not.registered", "The recipient is not registered for NemSMS")


def _check_memo(message: etree._Element, people: Mapping[str, Person], limit: int) -> None:
    _check_form(message)
    body = message.find(f"{{{MEMO}}}MessageBody")
    if body is None:
        raise RefusedError("memo.invalid", "A DIGITALPOST message must have a MessageBody")
    _check_rest(message, body, people, limit)


def _check_form(message: etree._Element) -> None:
    if message.prefix != "memo":
        raise RefusedError("memo.invalid", "The namespace prefix must be memo")
    table = {("1.1", "1.1.0"): order.MEMO_1_1, ("1.2", None): order.MEMO_1_2}.get(
        (message.get("memoVersion", ""), message.get("memoSchVersion"))
    )
    if table is None:
        raise RefusedError("memo.invalid", "memoVersion must be 1.1, with memoSchVersion 1.1.0, or 1.2, without")
    _check_order(message, table)
    for element in message.iter(etree.Element):
        name = order.local(element)
        if name != "content" and len(element) == 0:
            _check_text(name, element.text or "")


def _check_rest(message: etree._Element, body: etree._Element, people: Mapping[str, Person], limit: int) -> None:
    files = list(body.iter(f"{{{MEMO}}}File"))
    if len(files) > FILES_MOST:
        raise RefusedError("file.too.many", f"A message has at most {FILES_MOST} files")
    if sum(len(file.findtext(f"{{{MEMO}}}content") or "") for file in files) > limit:
        raise RefusedError("file.too.large", f"The message is larger than {limit} bytes")
    for file in files:
        _check_file(*(child.text or "" for child in file.iterchildren(etree.Element)))
    recipient = message.find(f"{{{MEMO}}}MessageHeader/{{{MEMO}}}Recipient")
    number = "" if recipient is None else recipient.findtext(f"{{{MEMO}}}recipientID") or ""
    person = people.get(number)
    if person is None:
        raise RefusedError("recipient.not.found", "The recipient is not known")
    if not person.digital_post:
        raise RefusedError("recipient.not.registered", "The recipient is not registered for Digital Post")


def recipient_of(document: etree._Element) -> str:
    """Whom a kept letter is addressed to, digital or print: a number, or name and address where it says no number."""
    for element in document.iter(etree.Element):
        name = order.local(element)
        if name == "ModtagerAdresse":
            return " ".join(text.strip() for text in element.itertext() if isinstance(text, str) and text.strip())
        if name in ("recipientID", "CPRnummerIdentifikator") and element.text != NOBODY:
            return element.text or ""
    return ""


def _check_text(name: str, text: str) -> None:
    limit = _MAX.get(name, 256)
    if len(text) > limit:
        raise RefusedError("memo.invalid", f"{name} is longer than {limit} characters")
    if name in ("label", "recipientID", "senderID", "filename") and not text.strip():
        raise RefusedError("memo.invalid", f"{name} is empty")
    if name.endswith("DateTime") and not _is_utc(text):
        raise RefusedError("memo.invalid", f"{name} is not a time in UTC that ends in Z")
    if name == "url" and not text.startswith("https://"):
        raise RefusedError("action.url.not.allowed", f"The address {text} does not start with https://")
    if name == "filename" and not _BAD_IN_NAME.isdisjoint(text):
        raise RefusedError("file.name.not.allowed", f"The file name {text} has a character that is not allowed")


def _is_utc(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return text.endswith("Z")


def _check_file(format_: str, name: str, language: str, content: str) -> None:
    if not re.fullmatch("[A-Za-z]{1,2}", language):
        raise RefusedError("memo.invalid", "language is longer than 2 characters or not a language")
    if not name.lower().endswith(_EXTENSIONS.get(format_, "")):
        raise RefusedError("file.extension.not.allowed", f"The file name {name} does not fit {format_}")
    _check_content(content, pdf=format_ == "application/pdf")


def _check_content(content: str, *, pdf: bool) -> None:
    try:
        data = base64.b64decode(content.strip(), validate=True)
    except (binascii.Error, ValueError) as error:
        raise RefusedError("memo.invalid", "content is not base64") from error
    if not data:
        raise RefusedError("file.empty.not.allowed", "A file is empty")
    if pdf and not data.startswith(b"%PDF-"):
        raise RefusedError("file.invalid", "A file is not the PDF it says it is")


def _check_print(sent: etree._Element, people: Mapping[str, Person], limit: int) -> None:
    found = {order.local(element): element.text or "" for element in sent.iter(etree.Element) if len(element) == 0}
    _check_order(sent, order.PRINT_LINES if "PostalAddressFirstLineText" in found else order.PRINT)
    if found.get("FilformatNavn", "").upper() != "PDF":
        raise RefusedError("print.invalid", "FilformatNavn must be PDF")
    number = found.get("CPRnummerIdentifikator")
    if number not in people and not (number == NOBODY and "PersonName" in found):
        raise RefusedError("recipient.not.found", "The recipient is not known, and no address is given")
    for name, text in found.items():
        pattern = _ADDRESS.get(name, ".{1,34}" if name.startswith("PostalAddress") else None)
        if pattern and not re.fullmatch(pattern, text):
            raise RefusedError("print.invalid", f"{name} in the address is not what it may be")
    if len(found["MeddelelseIndholdData"]) > limit:
        raise RefusedError("file.too.large", f"The letter is larger than {limit} bytes")
    _check_content(found["MeddelelseIndholdData"], pdf=True)
