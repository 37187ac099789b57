"""What the answer to a sending means, whoever gave it.

| the other side | result |
|---|---|
| it has taken the letter; or it has the messageUUID already (409, an error code that says duplicate) | `Sent` |
| an error about the letter (a code, or 400, 413, 422) | `Refused`, with the error's code |
| 429, 503 | `Later`, when it says |
| 401, 403, 407; 400 as a web page; 404 and others without an error code; 3xx | `Later`: our access is wrong |
| no connection, no token | `Later` |
| time-out, broken connection, 500, 502, 504, an answer that cannot be read | `Unsure` |
"""

from __future__ import annotations

import re
from typing import NamedTuple

import httpx2 as httpx
from lxml import etree

from hub import Later, Letter, Recipient, Refused, SendResult, Sent, Unsure
from tovholder_digital_post.platform import retry_after
from tovholder_digital_post.settings import DigitalPostSettings

_CODE = re.compile(r"[A-Za-z][A-Za-z._-]{0,60}|[0-9]{1,6}")
_WRONG_TAG = re.compile(r'tag name "(\w{1,40})" is not allowed')
_PAGE = re.compile(rb"\s*(?:<!doctype\s+html|<html)", re.IGNORECASE)
_DUPLICATE = re.compile(r"duplicate|already", re.IGNORECASE)


class Said(NamedTuple):
    """What an answer says. `accepted` is None where it does not say; `error` is the error's code."""

    accepted: bool | None = None
    transmission: str = ""
    error: str = ""
    text: str = ""


def result(response: httpx.Response, said: Said, transaction: str, route: str) -> SendResult:
    """What has become of a sending. `transaction` is our own name of it, for an other side that gives none."""
    code = response.status_code
    if code in (429, 503):
        return Later(f"the platform answered {code}", retry_after(response))
    if code >= 500:
        return Unsure(f"the platform answered {code}")
    if code in (401, 403, 407):
        return Later(f"the platform answered {code}: look at our certificate and our access")
    if code == 409 or says_duplicate(said.error) or (code in (200, 201, 202) and said.accepted):
        return Sent(said.transmission or transaction, route)
    if said.error or said.accepted is False:
        return Refused(error_reason(said.error, said.text))
    if code == 400 and _PAGE.match(response.content):
        # What a proxy says about a client certificate it does not like.
        return Later("the platform answered 400 with a web page: look at our certificate and at what is in between")
    if code in (400, 413, 422):
        return Refused(f"the platform refused the letter ({code}) and gave no error code")
    if code >= 300:
        return Later(f"the platform answered {code}: look at its address")
    return Unsure(f"the platform answered {code} with something that is no answer to a sending")


def says_duplicate(error: str) -> bool:
    """Whether an error's code says that the messageUUID is there already: the letter has arrived, at an earlier try."""
    return bool(_DUPLICATE.search(error))


def error_reason(code: str, text: str) -> str:
    """Why something was refused, in what is sure to hold no personal data: the error's code, and the name of the
    element where the text names one. The rest of the text may repeat what the letter says, and is left out."""
    said = code if _CODE.fullmatch(code) else "an error without a readable code"
    tag = _WRONG_TAG.search(text)
    return f"{said}: element {tag[1]} is not allowed where it stands" if tag else said


def is_number(recipient: Recipient) -> bool:
    """Whether the recipient has a civil registration number: X-eCPR and 0000000000 are none."""
    cpr = recipient.cpr
    return len(cpr) == 10 and cpr.isascii() and cpr.isdigit() and cpr != "0000000000"


def refused_unseen(letter: Letter, settings: DigitalPostSettings) -> Refused | None:
    """A letter that would be refused however it is made: to nobody, or too large."""
    if not is_number(letter.recipient):
        return Refused("the recipient has no civil registration number, and can be reached neither way")
    return too_large((len(letter.pdf) + len(letter.html)) * 4 // 3, settings)


def too_large(size: int, settings: DigitalPostSettings) -> Refused | None:
    """`size` is that of a message (bytes)."""
    if size <= settings.max_bytes:
        return None
    return Refused(f"the letter is a message of {size} bytes, and the limit is {settings.max_bytes}: make it smaller")


def parse(document: bytes) -> etree._Element | None:
    """XML of somebody else's; None when it is not well-formed, or has a DOCTYPE: none of these formats has one, and all
    that can be done with it is harm."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(document, parser)
    except (etree.XMLSyntaxError, ValueError):
        return None
    return None if root is None or root.getroottree().docinfo.internalDTD is not None else root
