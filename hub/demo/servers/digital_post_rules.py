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

MEMO = "https://DigitalPost.dk/MeMo-1"
PRINT = "urn:oio:fjernprint:1.0.0"
FILE_LIMIT = 10 * 1024 * 1024
"""The largest file the town takes (bytes)."""
BODY_LIMIT = 2 * FILE_LIMIT

ROUTES = {"Digital Post": "digital", "Fysisk Post": "print"}


class RefusedError(Exception):
    """What was sent is refused: `code` for programs, the message for people."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class _Child(NamedTuple):
    name: str
    required: bool
    many: bool


def _children(order: str) -> tuple[_Child, ...]:
    """`label` once, `reply?` at most once, `File+` at least once, `Action*` any number, in this order."""
    return tuple(_Child(word.rstrip("?+*"), word[-1] not in "?*", word[-1] in "+*") for word in order.split())


_ORDER = {
    name: _children(order)
    for name, order in {
        "Message": "MessageHeader MessageBody?",
        "MessageHeader": "messageType messageUUID messageID? messageCode? label notification? additionalNotification? "
        "reply? replyByDateTime? doNotDeliverUntilDate? mandatory? legalNotification? postType? Sender Recipient "
        "ContentData? ForwardData? ReplyData*",
        "Sender": "senderID idType idTypeLabel? label AttentionData? ContactPoint? Representative?",
        "Recipient": "recipientID idType idTypeLabel? label? AttentionData? ContactPoint?",
        "AttentionData": "AttentionPerson? ProductionUnit? GlobalLocationNumber? EMail? SEnumber? Telephone? EID? "
        "ContentResponsible? GeneratingSystem? SORdata? Address? UnstructuredAddress?",
        "AttentionPerson": "personID? label?",
        "EMail": "emailAddress relatedAgent?",
        "Telephone": "telephoneNumber relatedAgent?",
        "ContentResponsible": "contentResponsibleID? label?",
        "GeneratingSystem": "generatingSystemID label?",
        "MessageBody": "createdDateTime MainDocument AdditionalDocument* TechnicalDocument*",
        "MainDocument": "mainDocumentID? label? File+ Action*",
        "AdditionalDocument": "additionalDocumentID? label? File+ Action*",
        "TechnicalDocument": "technicalDocumentID? label? File+",
        "File": "encodingFormat filename language content",
        "Action": "label actionCode startDateTime? endDateTime? Reservation? EntryPoint?",
        "EntryPoint": "url",
        "ForsendelseISamling": "ForsendelseI",
        "ForsendelseI": "AfsendelseIdentifikator ForsendelseTypeIdentifikator? ForsendelseModtager? FilformatNavn "
        "MeddelelseIndholdData TransaktionsParametreI? DokumentParametre KanalUafhaengigeParametreI? PrintParametre? "
        "DigitalPostParametre? PostParametre? BilagSamling?",
    }.items()
}
_UUID4 = re.compile("[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-4[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}")
_BAD_IN_NAME = frozenset('<>:"/\\|?*\r\n\u00a0\u2028\u205f\u2060\u3000') | {chr(c) for c in range(0x2000, 0x200B)}
_EXTENSIONS = {"application/pdf": ".pdf", "text/html": ".html", "text/plain": ".txt"}
_MAX = {"notification": 150, "comment": 512}


class Sent(NamedTuple):
    """What one kombi_request holds. `document` is the message, or the print order, as an XML file."""

    key: str
    route: str
    document: etree._Element


def read(body: bytes) -> Sent:
    """What was sent, and under which messageUUID; nothing else is checked. Raises RefusedError."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=True)
    try:
        root = etree.fromstring(body, parser)
    except etree.XMLSyntaxError as error:
        raise RefusedError("xml.invalid", f"The request is not well-formed XML: line {error.lineno}") from error
    if root.tag != "kombi_request" or len(root) < 1 or root[0].tag != "KombiValgKode":
        raise RefusedError("kombi.invalid", "Expected kombi_request with KombiValgKode first")
    route = ROUTES.get((root[0].text or "").strip())
    wanted, path = {
        "digital": (f"{{{MEMO}}}Message", f"{{{MEMO}}}MessageHeader/{{{MEMO}}}messageUUID"),
        "print": (f"{{{PRINT}}}ForsendelseISamling", f"{{{PRINT}}}ForsendelseI/{{{PRINT}}}AfsendelseIdentifikator"),
    }.get(route or "", ("", ""))
    if route is None:
        raise RefusedError("kombi.invalid", f"KombiValgKode must be one of {', '.join(ROUTES)}")
    document = root.find(wanted)
    if document is None:
        raise RefusedError("kombi.invalid", "What KombiValgKode says should be sent is not in the request")
    key = (document.findtext(path) or "").strip()
    if not _UUID4.fullmatch(key):
        raise RefusedError("memo.invalid", "messageUUID is missing or is not a UUID of version 4")
    return Sent(key.lower(), route, document)


def check(sent: Sent, people: Mapping[str, Person]) -> None:
    """Raises RefusedError for anything the real platform would refuse."""
    if sent.route == "digital":
        _check_memo(sent.document, people)
    else:
        _check_print(sent.document, people)


def _name(element: etree._Element) -> str:
    tag = str(element.tag)
    return tag[tag.rfind("}") + 1 :]


def _check_order(element: etree._Element) -> None:
    rules = _ORDER.get(_name(element))
    if rules is None:
        return
    at = seen = 0
    for child in element.iterchildren(etree.Element):
        name = _name(child)
        first = at + (seen > 0 and not rules[at].many)
        while at < len(rules):
            rule = rules[at]
            if rule.name == name and (seen == 0 or rule.many):
                seen += 1
                break
            if rule.required and seen == 0:
                at = len(rules)
            else:
                at, seen = at + 1, 0
        if at == len(rules):
            raise RefusedError(
                "memo.invalid", f'tag name "{name}" is not allowed. Possible tag names are: {_possible(rules, first)}'
            )
        _check_order(child)
    missing = next((rule for rule in rules[at + (seen > 0) :] if rule.required), None)
    if missing:
        raise RefusedError("memo.invalid", f'tag "{_name(element)}" ends where <{missing.name}> is wanted')


def _possible(rules: tuple[_Child, ...], at: int) -> str:
    names = []
    for rule in rules[at:]:
        names.append(f"<{rule.name}>")
        if rule.required:
            break
    return ",".join(names)


def _check_memo(message: etree._Element, people: Mapping[str, Person]) -> None:
    if message.prefix != "memo":
        raise RefusedError("memo.invalid", "The namespace prefix must be memo")
    if message.get("memoVersion") not in ("1.1", "1.2"):
        raise RefusedError("memo.invalid", "memoVersion must be 1.1 or 1.2")
    _check_order(message)
    body = message.find(f"{{{MEMO}}}MessageBody")
    if body is None:
        raise RefusedError("memo.invalid", "A DIGITALPOST message must have a MessageBody")
    for element in message.iter(etree.Element):
        name = _name(element)
        if name != "content" and len(element) == 0:
            _check_text(name, element.text or "")
    for file in body.iter(f"{{{MEMO}}}File"):
        _check_file(*(child.text or "" for child in file.iterchildren(etree.Element)))
    recipient = message.find(f"{{{MEMO}}}MessageHeader/{{{MEMO}}}Recipient")
    number = "" if recipient is None else recipient.findtext(f"{{{MEMO}}}recipientID") or ""
    person = people.get(number)
    if person is None:
        raise RefusedError("recipient.not.found", "The recipient is not known")
    if not person.digital_post:
        raise RefusedError("recipient.not.registered", "The recipient is not registered for Digital Post")


def recipient_of(document: etree._Element) -> str:
    """Whose number a kept letter is addressed to, digital or print."""
    for element in document.iter(etree.Element):
        if _name(element) in ("recipientID", "CPRnummerIdentifikator"):
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
    if len(content) > FILE_LIMIT * 4 // 3 + 4:
        raise RefusedError("file.too.large", f"A file is larger than {FILE_LIMIT} bytes")
    try:
        data = base64.b64decode(content.strip(), validate=True)
    except (binascii.Error, ValueError) as error:
        raise RefusedError("memo.invalid", "content is not base64") from error
    if not data:
        raise RefusedError("file.empty.not.allowed", "A file is empty")
    if pdf and not data.startswith(b"%PDF-"):
        raise RefusedError("file.invalid", "A file is not the PDF it says it is")


def _check_print(order: etree._Element, people: Mapping[str, Person]) -> None:
    _check_order(order)
    found = {_name(element): element.text or "" for element in order.iter(etree.Element) if len(element) == 0}
    if found.get("FilformatNavn", "").upper() != "PDF":
        raise RefusedError("print.invalid", "FilformatNavn must be PDF")
    if found.get("CPRnummerIdentifikator") not in people:
        raise RefusedError("recipient.not.found", "The recipient is not known, and no address is given")
    _check_content(found["MeddelelseIndholdData"], pdf=True)
