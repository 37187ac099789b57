"""What became of a letter: Beskedfordeler's envelope (urn:oio:besked:kuvert:1.0), in it a PKO_PostStatus (SF1461).

The envelope says which letter (ObjektId) and which status (ObjektHandling, a UUID); the PKO_PostStatus inside, in
base64, says the same in words, and why a letter failed. The UUID counts; where it is not known, the words do. A
PKO_PostStatus without an envelope is read too: some gateways unpack it.

From status to what the hub calls it:

| status | hub | why |
|---|---|---|
| Modtaget Digital Post | received | taken in, not in the mailbox yet: it can still fail |
| Afleveret Digital Post | delivered | available in the mailbox; deadlines run from here (lov om Digital Post § 10) |
| Afsendt | sent | handed on to remote print |
| Modtaget Fjern-print, Klar, Afleveret til print og kuvertering | received | at the printer |
| Modtaget Post Danmark | delivered | handed to the postal service; nobody tells of the letter box itself |
| Opdatering fra Post Danmark | returned | return mail |
| Tilbagekaldt, Fejlet | failed | |
| Fejlet, with a code that says duplicate | received | a second try of ours met the first: the letter is there |
| anything else | unknown | the status is kept with its UUID in the reason, for a person to look at |
"""

from __future__ import annotations

import base64
import binascii
import re
from datetime import UTC, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from lxml import etree

from hub import RAW_LIMIT, DeliveryStatus, Status, Unreadable, xml_name
from tovholder_digital_post.answers import error_reason, parse, says_duplicate

POST_STATUS = "d2bed63c-4853-4008-b6e0-a74c15b15fbf"
"""The Beskedtype of a PKO_PostStatus; Beskedfordeler carries other kinds too."""


class _Meaning(NamedTuple):
    words: str
    status: DeliveryStatus
    route: str | None


MEANINGS = {
    "e225a75c-4b63-46c4-9423-77f5c8762445": _Meaning("Fejlet", DeliveryStatus.FAILED, None),
    "eb866ca2-b871-4387-b501-12cde577bd58": _Meaning("Modtaget Digital Post", DeliveryStatus.RECEIVED, "digital"),
    "f7161a89-5068-4023-bc80-d7f4daad2a2e": _Meaning("Afleveret Digital Post", DeliveryStatus.DELIVERED, "digital"),
    "db5a6025-caa3-45c3-8e02-4e6fa8142ade": _Meaning("Afsendt", DeliveryStatus.SENT, "print"),
    "dd98e71c-41ac-4305-a47b-8f86b00e639b": _Meaning("Modtaget Fjern-print", DeliveryStatus.RECEIVED, "print"),
    "e2b30d57-504a-4e2e-ae2d-a1394a9cb0b8": _Meaning("Klar", DeliveryStatus.RECEIVED, "print"),
    "e3c0a021-2070-40d4-b7b7-754aeba762e9": _Meaning(
        "Afleveret til print og kuvertering", DeliveryStatus.RECEIVED, "print"
    ),
    "e94a0a8b-60a0-42ad-8b83-52c9e15d0fb3": _Meaning("Modtaget Post Danmark", DeliveryStatus.DELIVERED, "print"),
    "f03904aa-df6e-417f-bd74-6a01a61adbcf": _Meaning("Tilbagekaldt", DeliveryStatus.FAILED, "print"),
    "f4e6eb11-0261-4198-8b5d-be92a9b1a35d": _Meaning("Opdatering fra Post Danmark", DeliveryStatus.RETURNED, "print"),
}
_BY_WORDS = {meaning.words.casefold(): meaning for meaning in MEANINGS.values()}

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_CREDENTIALS = re.compile(
    rb"<(?:[\w.-]+:)?KildesystemAkkreditiver\b.*?(?:</(?:[\w.-]+:)?KildesystemAkkreditiver\s*>|\Z)", re.DOTALL
)
_DENMARK = ZoneInfo("Europe/Copenhagen")


def read(envelope: bytes, position: str) -> Status | Unreadable | None:
    """One envelope as a Status. None when it tells of something else than post. `position` says where the envelope
    was found, and stands in the Unreadable that is given when it cannot be read."""
    try:
        return _read(envelope)
    except _CannotReadError as error:
        return Unreadable(position, str(error), _CREDENTIALS.sub(b"", envelope)[:RAW_LIMIT])


class _CannotReadError(Exception):
    pass


def _parse(document: bytes, what: str) -> etree._Element:
    root = parse(document)
    if root is None:
        raise _CannotReadError(f"the {what} is not well-formed XML without a DOCTYPE; ask the platform for it again")
    return root


def _find(element: etree._Element, *path: str) -> etree._Element | None:
    found: etree._Element | None = element
    for name in path:
        found = next((child for child in found.iterchildren("{*}" + name)), None) if found is not None else None
    return found


def _text(element: etree._Element, *path: str) -> str:
    found = _find(element, *path)
    return "" if found is None else (found.text or "").strip()


def _read(envelope: bytes) -> Status | None:
    root = _parse(envelope, "envelope")
    if xml_name(root)[1] == "PKO_PostStatus":
        return _status(root, "", "", "")
    event = root if xml_name(root)[1] == "Haendelsesbesked" else _find(root, "Haendelsesbesked")
    filtering = None if event is None else _find(event, "Beskedkuvert", "Filtreringsdata")
    if event is None or filtering is None:
        raise _CannotReadError("this is not an envelope: Haendelsesbesked with Filtreringsdata is missing")
    if _text(filtering, "Beskedtype", "UUIDIdentifikator").lower() != POST_STATUS:
        return None
    told = _find(filtering, "ObjektRegistrering")
    if told is None:
        return _status(_post_status(event), "", "", "")
    return _status(
        _post_status(event),
        _text(told, "ObjektHandling", "UUIDIdentifikator").lower(),
        _text(told, "ObjektId", "UUIDIdentifikator"),
        _text(told, "Registreringstidspunkt", "TidsstempelDatoTid"),
    )


def _status(inner: etree._Element, handling: str, about: str, when: str) -> Status:
    """What a PKO_PostStatus says, and its envelope: the status's UUID, the letter's, and when."""
    key = next(
        (
            found.lower()
            for found in (_text(inner, "MessageUUID"), _text(inner, "AfsendelseIdentifikator"), about)
            if _UUID.fullmatch(found.lower())
        ),
        None,
    )
    if key is None:
        raise _CannotReadError("the receipt does not say which letter it is about (MessageUUID, ObjektId)")
    meaning = MEANINGS.get(handling) or _BY_WORDS.get(_text(inner, "TransaktionsStatusKode").casefold())
    time = _time(_text(inner, "TransaktionsDatoTid") or when)
    if meaning is None:
        named = handling if _UUID.fullmatch(handling) else "none"
        return Status(key, DeliveryStatus.UNKNOWN, time, _route(inner), f"a status that is not known, UUID {named}")
    status = meaning.status
    reason = "" if status in (DeliveryStatus.RECEIVED, DeliveryStatus.DELIVERED) else meaning.words
    code = _text(inner, "FejlDetaljer", "FejlKode")
    if code:
        reason = error_reason(code, _text(inner, "FejlDetaljer", "FejlTekst"))
        status = DeliveryStatus.RECEIVED if status is DeliveryStatus.FAILED and says_duplicate(code) else status
    return Status(key, status, time, meaning.route or _route(inner), reason)


def _post_status(event: etree._Element) -> etree._Element:
    data = _find(event, "Beskeddata", "Base64")
    if data is None or not (data.text or "").strip():
        raise _CannotReadError("the envelope has no PKO_PostStatus in base64")
    try:
        document = base64.b64decode("".join((data.text or "").split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise _CannotReadError("the envelope's content is not base64") from error
    inner = _parse(document, "PKO_PostStatus")
    if xml_name(inner)[1] != "PKO_PostStatus":
        raise _CannotReadError("the envelope's content is not a PKO_PostStatus")
    return inner


def _route(inner: etree._Element) -> str | None:
    return {"digital post": "digital", "fysisk post": "print", "fjernprint": "print"}.get(
        _text(inner, "KanalKode").casefold()
    )


def _time(text: str) -> datetime:
    try:
        return utc(text)
    except ValueError as error:
        raise _CannotReadError("the receipt's time is not a time (TransaktionsDatoTid)") from error


def utc(text: str) -> datetime:
    """A time as receipts write it, in UTC. One without a zone is local: the systems behind the platform are Danish.

    Raises ValueError."""
    time = datetime.fromisoformat(text)
    try:
        return (time if time.tzinfo else time.replace(tzinfo=_DENMARK)).astimezone(UTC)
    except OverflowError as error:
        raise ValueError("a time that has no place in UTC") from error
