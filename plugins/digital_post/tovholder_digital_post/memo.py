"""A letter as a MeMo message, version 1.1 or 1.2 (Digital Post's format, Digitaliseringsstyrelsen), and the rules a
message must keep beyond its schema.

The versions differ, for what we send, in the root only: 1.1 wants the attribute memoSchVersion, 1.2 forbids it.
`mandatory` and `legalNotification`, which 1.2 lets a sender leave out, are always there.

Elements stand in the order the schema demands, always with the literal prefix `memo:`, which KOMBIT's platform once
insisted on. Nothing says what the letter is about: no CPRdata, no KLEdata, no case number, and no notification text, so
that Digital Post's own neutral one is used. The recipient is named by number only.

`mandatory` and `legalNotification` are false: a coordinated letter informs, it is never service of a legal document
(forkyndelse).
"""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime
from urllib.parse import urlsplit

from lxml import etree

from hub import Action, BadRecord, Contact, Letter, Recipient
from tovholder_digital_post.settings import DigitalPostSettings

MEMO = "https://DigitalPost.dk/MeMo-1"
_M = f"{{{MEMO}}}"

_VERSION = {"1.1": {"memoVersion": "1.1", "memoSchVersion": "1.1.0"}, "1.2": {"memoVersion": "1.2"}}

TEXT_MAX = 256
_MAX = {"notification": 150, "comment": 512, "content": None}
"""Characters, where not `TEXT_MAX`. The schemas in circulation say 150 and 160 for notification: the lower holds."""

ACTION_CODES = frozenset(
    {
        "AFTALE",
        "BEKRAEFT",
        "BETALING",
        "FORBEREDELSE",
        "INFORMATION",
        "SELVBETJENING",
        "TILMELDING",
        "UNDERSKRIV",
    }
)
_UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_NOT_ONE_LINE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")
# Refused in file names since 10 September 2025, for MeMo 1.1 and 1.2 (digitaliser.dk, øget validering i Digital Post).
_NOT_IN_FILE_NAME = re.compile('[<>:"/\\\\|?*\r\n\u00a0\u2000-\u200a\u2028\u205f\u2060\u3000]')
_URL_PART = r"(?:[^\s\x00-\x20\x7f-\x9f<>\"{}|\\^`\[\]%#]|%[0-9A-Fa-f]{2})"
_URL = re.compile(f"https://{_URL_PART}+(?:#{_URL_PART}*)?")
_NUMBER = re.compile(r"(?<![0-9A-Za-z])[0-9]{6}[- ]?[0-9]{4}(?![0-9A-Za-z])")
_NEUTRAL = frozenset({"label", "filename", "notification", "additionalNotification"})
"""What is read outside the letter itself: on a locked screen, in a list, in a calendar."""


def one_line(text: str, what: str) -> str:
    """`text`, if it can stand on one line of XML. `what` names it in the error, which never repeats the text.

    Raises BadRecord (empty, or with control characters)."""
    if not text.strip():
        raise BadRecord(f"the letter's {what} is empty; give it a text")
    found = _NOT_ONE_LINE.search(text)
    if found:
        raise BadRecord(
            f"the letter's {what} has the control character U+{ord(found[0]):04X} at position {found.start() + 1}; "
            f"remove it"
        )
    return text


def utc(time: datetime, what: str) -> str:
    """`time` as MeMo wants it: UTC, ending in Z. Raises BadRecord when it has no zone, or lies at the end of time."""
    if time.tzinfo is None:
        raise BadRecord(f"the letter's {what} has no time zone; give it in UTC")
    try:
        moved = time.astimezone(UTC)
    except OverflowError as error:
        raise BadRecord(f"the letter's {what} is not a time that has a place in UTC") from error
    return moved.replace(tzinfo=None, microsecond=0).isoformat() + "Z"


def _add(parent: etree._Element, name: str, text: str | None = None) -> etree._Element:
    element = etree.SubElement(parent, _M + name)
    if text is not None:
        element.text = text
    return element


def _flag(value: bool) -> str:
    return "true" if value else "false"


def _begun(
    kind: str, key: str, settings: DigitalPostSettings, parent: etree._Element | None
) -> tuple[etree._Element, etree._Element]:
    """A message of a kind, below `parent` where one is given, and its header so far."""
    space = {"memo": MEMO}
    message = (
        etree.Element(_M + "Message", nsmap=space)
        if parent is None
        else etree.SubElement(parent, _M + "Message", nsmap=space)
    )
    for name, value in _VERSION[settings.memo_version].items():
        message.set(name, value)
    header = _add(message, "MessageHeader")
    _add(header, "messageType", kind)
    _add(header, "messageUUID", one_line(key, "key"))
    return message, header


def _flags(header: etree._Element) -> None:
    _add(header, "mandatory", _flag(False))
    _add(header, "legalNotification", _flag(False))


def _recipient(header: etree._Element, recipient: Recipient) -> None:
    element = _add(header, "Recipient")
    _add(element, "recipientID", one_line(recipient.cpr, "recipient"))
    _add(element, "idType", "CPR")


def build(
    letter: Letter, key: str, settings: DigitalPostSettings, parent: etree._Element | None = None
) -> etree._Element:
    """The letter as a `memo:Message` that keeps every rule, below `parent` where one is given; `key` becomes the
    messageUUID.

    Raises BadRecord when the letter cannot become one, without repeating what the letter says."""
    message, header = _begun("DIGITALPOST", key, settings, parent)
    _add(header, "label", one_line(letter.title, "title"))
    _add(header, "reply", _flag(settings.reply))
    _flags(header)
    _add(header, "postType", "MYNDIGHEDSPOST")
    _sender(header, letter.contact, settings)
    _recipient(header, letter.recipient)

    body = _add(message, "MessageBody")
    _add(body, "createdDateTime", utc(letter.created, "time"))
    document = _add(body, "MainDocument")
    _add(document, "label", letter.title)
    # Two files of one document are the same text in two formats, as in Digitaliseringsstyrelsen's Full example.
    name = one_line(letter.file_name, "file name")
    if not name.lower().endswith(".pdf") or not name[:-4].strip(" ."):
        raise BadRecord("the letter's file name must be a name that ends in .pdf")
    _file(document, "application/pdf", name, letter.language, letter.pdf)
    if letter.html:
        _file(document, "text/html", name[:-4] + ".html", letter.language, _encoded(letter.html))
    for action in letter.actions:
        _action(document, action)
    check(message)
    return message


def build_sms(
    recipient: Recipient, text: str, key: str, settings: DigitalPostSettings, parent: etree._Element | None = None
) -> etree._Element:
    """A text message (NemSMS): a header whose notification is the text, and no body; the sender's name and nothing of
    whom or what it is about. Raises BadRecord."""
    message, header = _begun("NEMSMS", key, settings, parent)
    _add(header, "label", one_line(settings.sender_name, "sender name"))
    _add(header, "notification", one_line(text, "text message"))
    _flags(header)
    sender = _add(header, "Sender")
    _add(sender, "senderID", settings.cvr)
    _add(sender, "idType", "CVR")
    _add(sender, "label", settings.sender_name)
    _recipient(header, recipient)
    check(message)
    return message


def _encoded(html: str) -> bytes:
    try:
        return html.encode()
    except UnicodeEncodeError as error:
        raise BadRecord(f"the letter's HTML has a lone surrogate at position {error.start + 1}; remove it") from error


def _sender(header: etree._Element, contact: Contact | None, settings: DigitalPostSettings) -> None:
    sender = _add(header, "Sender")
    _add(sender, "senderID", settings.cvr)
    _add(sender, "idType", "CVR")
    _add(sender, "label", one_line(settings.sender_name, "sender name"))
    attention = _add(sender, "AttentionData")
    if contact is not None:
        agent = one_line(contact.name, "contact's name")
        person = _add(attention, "AttentionPerson")
        _add(person, "personID", one_line(contact.id, "contact's id"))
        _add(person, "label", agent)
        if contact.email:
            mail = _add(attention, "EMail")
            _add(mail, "emailAddress", one_line(contact.email, "contact's e-mail"))
            _add(mail, "relatedAgent", agent)
        if contact.phone:
            phone = _add(attention, "Telephone")
            _add(phone, "telephoneNumber", one_line(contact.phone, "contact's phone"))
            _add(phone, "relatedAgent", agent)
    responsible = _add(attention, "ContentResponsible")
    _add(responsible, "contentResponsibleID", settings.cvr)
    _add(responsible, "label", settings.sender_name)
    system = _add(attention, "GeneratingSystem")
    _add(system, "generatingSystemID", one_line(settings.system_id, "sending system's id"))
    _add(system, "label", one_line(settings.generating_system, "sending system's name"))
    if settings.contact_point is not None:
        _add(_add(sender, "ContactPoint"), "contactPointID", str(settings.contact_point))


def _file(document: etree._Element, format_: str, name: str, language: str, content: bytes) -> None:
    if not re.fullmatch("[a-z]{2}", language):
        raise BadRecord("the letter's language must be two small letters, as in da or en")
    if not content:
        raise BadRecord(f"the letter has no content as {format_}; render it before sending")
    file = _add(document, "File")
    _add(file, "encodingFormat", format_)
    _add(file, "filename", name)
    _add(file, "language", language)
    _add(file, "content", base64.b64encode(content).decode("ascii"))


def _action(document: etree._Element, action: Action) -> None:
    if action.code not in ACTION_CODES:
        raise BadRecord(f"an action's code is not one of {', '.join(sorted(ACTION_CODES))}")
    if action.starts and action.ends and utc(action.ends, "action's end") < utc(action.starts, "action's start"):
        raise BadRecord("an action ends before it starts")
    element = _add(document, "Action")
    _add(element, "label", one_line(action.label, "action's label"))
    _add(element, "actionCode", action.code)
    if action.starts:
        _add(element, "startDateTime", utc(action.starts, "action's start"))
    if action.ends:
        _add(element, "endDateTime", utc(action.ends, "action's end"))
    if action.url is not None:
        _add(_add(element, "EntryPoint"), "url", one_line(action.url, "action's address"))


def check(message: etree._Element) -> None:
    """Whether a message keeps the rules beyond the order of its elements, of which Digital Post tells only by refusing:
    lengths, file names, https only, times in UTC; and no civil registration number in what is read outside the letter.

    Raises BadRecord that names the element and the remedy, and repeats nothing of its text."""
    for element in message.iter(etree.Element):
        name = etree.QName(element).localname
        text = element.text or ""
        limit = _MAX.get(name, TEXT_MAX)
        if limit is not None and len(element) == 0 and len(text) > limit:
            raise BadRecord(f"{name} is {len(text)} characters; Digital Post takes {limit}: make it shorter")
        if name == "messageUUID" and not _UUID4.fullmatch(text.lower()):
            raise BadRecord("messageUUID is not a UUID of version 4")
        if name == "filename":
            found = _NOT_IN_FILE_NAME.search(text)
            if found:
                raise BadRecord(
                    f"the file name has the character U+{ord(found[0]):04X} at position {found.start() + 1}, which "
                    f"Digital Post refuses: replace it"
                )
        if name == "url":
            _check_url(text)
        if name.endswith("DateTime") and not text.endswith("Z"):
            raise BadRecord(f"{name} does not end in Z: give it in UTC")
        if name in _NEUTRAL and _NUMBER.search(text):
            raise BadRecord(f"{name} holds what looks like a civil registration number: it is read outside the letter")


def _check_url(url: str) -> None:
    if not url.startswith("https://"):
        raise BadRecord("an action's address does not start with https://, which Digital Post refuses")
    try:
        parts = urlsplit(url)
        good = bool(parts.hostname) and parts.port != 0 and "@" not in parts.netloc and _URL.fullmatch(url) is not None
    except ValueError:
        good = False
    if not good:
        raise BadRecord("an action's address is not a web address; escape what may not stand in one (%20)")
