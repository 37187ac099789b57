"""The channel by Digital Post's own interface (NgDP REST, https://api.digitalpost.dk/apis/v1), without KOMBIT: Digital
Post only, no print.

A message goes by `POST memos/?memo-message-uuid=UUID`; where the settings say `upload = "file"`, as a form with one
part `file`, named by the messageUUID, as Digital Post itself hands messages to receiving systems. The sending system
names itself by its key (`Authorization: Basic`), and proves itself by its certificate.

What became of letters: `GET receipts-bulk/?page=N&size=N`, and a receipt stays there until it is deleted. The cursor
says which receipts have been given; they are deleted when the hub comes back with it, since only then has it kept them.

| receiptStatus | hub | why |
|---|---|---|
| RECEIVED | received | taken in, not in the mailbox yet |
| COMPLETED | delivered | available in the mailbox |
| INVALID, NOT_ALLOWED | failed | refused: the message, or its recipient (exempt: nobody prints it for us) |
| INVALID with a code that says duplicate | received | a second try of ours met the first: the letter is there |
| anything else | unknown | kept, for a person to look at |
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator, Mapping

from lxml import etree

from hub import (
    RAW_LIMIT,
    BadRecord,
    DeliveryStatus,
    GaveUp,
    Health,
    Later,
    Letter,
    Recipient,
    Refused,
    SendResult,
    SettingsError,
    Status,
    StatusPage,
    TryAgain,
    Unreadable,
    Unsure,
)
from tovholder_digital_post import memo
from tovholder_digital_post.access import as_json
from tovholder_digital_post.answers import (
    Said,
    error_reason,
    is_number,
    refused_unseen,
    result,
    says_duplicate,
    too_large,
)
from tovholder_digital_post.channel import asked
from tovholder_digital_post.platform import NotSentError, PerhapsSentError, Platform, read_text
from tovholder_digital_post.receipts import utc
from tovholder_digital_post.settings import DigitalPostSettings

_MEMOS, _RECEIPTS, _BULK = "/memos/", "/receipts/", "/receipts-bulk/"
MOST = 2000
"""Receipts in one reading: the cursor names each that has been given and not deleted yet. The next reading goes on."""
_STATUS = {
    "RECEIVED": DeliveryStatus.RECEIVED,
    "COMPLETED": DeliveryStatus.DELIVERED,
    "INVALID": DeliveryStatus.FAILED,
    "NOT_ALLOWED": DeliveryStatus.FAILED,
}
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_KEY = re.compile(r"[\x21-\x7e]{1,1000}")
_WORD = re.compile(r"[A-Z_]{1,40}")


class DirectPost:
    """Digital Post, directly. One object may be used from several threads."""

    name = "digital_post"
    knows_keys = True

    def __init__(self, settings: DigitalPostSettings) -> None:
        if settings.api_key is None:
            raise SettingsError("transport direct needs api_key")
        self._settings = settings
        self._platform = Platform(str(settings.url), settings)
        key = read_text(settings.api_key, "api_key")
        if not _KEY.fullmatch(key):
            raise SettingsError("api_key must be one word: what follows Basic in the Authorization header")
        self._signed = {"Authorization": f"Basic {key}", "Accept": "application/json"}

    def reaches(self, recipient: Recipient) -> bool:
        """True for anybody with a civil registration number. Who is exempt is not known before the receipt says so."""
        return is_number(recipient)

    def send(self, letter: Letter, key: str) -> SendResult:
        refused = refused_unseen(letter, self._settings)
        if refused:
            return refused
        try:
            message = memo.build(letter, key, self._settings)
        except BadRecord as error:
            return Refused(str(error))
        body = bytes(etree.tostring(message, xml_declaration=True, encoding="UTF-8"))
        refused = too_large(len(body), self._settings)
        if refused:
            return refused
        transaction = str(uuid.uuid4())
        try:
            if self._settings.upload == "file":
                response = self._platform.send(
                    "POST", _MEMOS, file=(key, body, "application/xml"), headers=self._signed, transaction=transaction
                )
            else:
                headers = self._signed | {"Content-Type": "application/xml"}
                query = {"memo-message-uuid": key}
                response = self._platform.send(
                    "POST", _MEMOS, query=query, body=body, headers=headers, transaction=transaction
                )
        except NotSentError as error:
            return Later(str(error))
        except PerhapsSentError as error:
            return Unsure(str(error))
        return result(response, _said(as_json(response)), transaction, "digital")

    def statuses(self, since: str | None) -> Iterator[StatusPage]:
        """Pages of the receipts that have not been given yet; those that `since` names are deleted first. Raises
        TryAgain (no answer, 429, 5xx), GaveUp (another error, or an answer that is not Digital Post's)."""
        known = [one for one in (since or "").split() if _UUID.fullmatch(one)]
        given = {one: None for one in known if not self._deleted(one)}
        # So many pages hold all that have been given and as many more; a side that gives one page for ever ends too.
        for number in range((len(given) + MOST) // self._settings.page_size + 1):
            answer = asked(self._platform, _BULK, self._page(number), "Digital Post", self._signed)
            receipts = answer.get("receipts") if isinstance(answer, dict) else None
            if not isinstance(receipts, list):
                raise GaveUp("Digital Post did not answer with receipts; is url right?")
            if not receipts:
                return
            new = [one for one in receipts if _id(one) not in given]
            found = tuple(read(one, f"page {number}, receipt {place}") for place, one in enumerate(new, 1))
            given |= {name: None for one in new if (name := _id(one))}
            if found:
                yield StatusPage(found, " ".join(given) or "-")

    def _page(self, number: int) -> dict[str, str]:
        return {"page": str(number), "size": str(self._settings.page_size)}

    def _deleted(self, name: str) -> bool:
        """Delete a receipt that the hub has kept; False where that did not work, so that it is tried again."""
        try:
            code = self._platform.send("DELETE", _RECEIPTS + name, headers=self._signed).status_code
        except (NotSentError, PerhapsSentError) as error:
            raise TryAgain(str(error)) from error
        return code in (200, 204, 404)

    def health(self) -> Health:
        """Whether Digital Post answers, and knows us."""
        try:
            asked(self._platform, _BULK, {"page": "0", "size": "1"}, "Digital Post", self._signed)
        except (TryAgain, GaveUp) as error:
            return Health(False, str(error))
        return Health(True, "Digital Post answered 200")

    def close(self) -> None:
        self._platform.close()


def _id(receipt: object) -> str | None:
    name = receipt.get("id") if isinstance(receipt, dict) else None
    return name.lower() if isinstance(name, str) and _UUID.fullmatch(name.lower()) else None


def read(receipt: object, position: str) -> Status | Unreadable:
    """A receipt in JSON as a Status. `position` stands in the Unreadable that is given when it cannot be read."""
    if not isinstance(receipt, dict):
        return _unreadable(receipt, position, "it is not an object")
    key, word, code = (_text(receipt, name) for name in ("messageUUID", "receiptStatus", "errorCode"))
    if not _UUID.fullmatch(key.lower()):
        return _unreadable(receipt, position, "it does not say which letter it is about (messageUUID)")
    try:
        when = utc(_text(receipt, "timeStamp"))
    except ValueError:
        return _unreadable(receipt, position, "its timeStamp is not a time")
    status = _STATUS.get(word)
    if status is None:
        named = word if _WORD.fullmatch(word) else "none"
        return Status(key.lower(), DeliveryStatus.UNKNOWN, when, "digital", f"a status that is not known: {named}")
    failed = status is DeliveryStatus.FAILED
    reason = error_reason(code, _text(receipt, "errorMessage")) if code else word if failed else ""
    if failed and says_duplicate(code):
        status = DeliveryStatus.RECEIVED
    return Status(key.lower(), status, when, "digital", reason)


def _unreadable(receipt: object, position: str, why: str) -> Unreadable:
    # errorMessage may repeat what the letter says.
    kept = (
        {name: value for name, value in receipt.items() if name != "errorMessage"}
        if isinstance(receipt, dict)
        else receipt
    )
    return Unreadable(position, f"a receipt cannot be read: {why}", json.dumps(kept).encode()[:RAW_LIMIT])


def _text(receipt: Mapping[str, object], name: str) -> str:
    value = receipt.get(name)
    return value.strip() if isinstance(value, str) else ""


def _said(answer: object) -> Said:
    """What a receipt, or an error, says in answer to a sending."""
    if not isinstance(answer, dict):
        return Said()
    status = _STATUS.get(_text(answer, "receiptStatus"))
    error = _text(answer, "errorCode") or _text(answer, "code")
    text = _text(answer, "errorMessage") or _text(answer, "message")
    accepted = None if status is None else status is not DeliveryStatus.FAILED
    return Said(accepted, _text(answer, "transmissionId"), "" if accepted else error, text)
