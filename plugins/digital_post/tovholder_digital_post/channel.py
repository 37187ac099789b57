"""The channel: asks whether a person is registered for Digital Post, sends there or to print (SF1601), and reads what
became of letters (SF1461).

What a send gives back:

| the platform | result |
|---|---|
| 200, Result true | `Sent`; the platform having the messageUUID already counts too |
| an error receipt (HTTP 400, 413, 422, or Result false) | `Refused`, with the error's code |
| 409, or an error code that says duplicate | `Sent`: the platform has it already |
| 429, 503 | `Later`, when it says |
| 401, 403, 407; 404 and others without an error receipt; 3xx | `Later`: our access is wrong, not the letter |
| no connection | `Later` |
| time-out, broken connection, 500, 502, 504, an answer that cannot be read | `Unsure` |

The key is the messageUUID, also in print (AfsendelseIdentifikator), and the same at every try, so that the platform can
see that it has the letter. `Sent` only means accepted: `statuses` tells what came of it.

Receipts: Beskedfordeler delivers by push or by an AMQP queue where a message is gone once taken. Between it and the
hub stands a gateway of the municipality's that keeps them: `GET {url}/beskeder?after=CURSOR&max=N` answers
`{"beskeder": [ENVELOPE, …], "next": CURSOR}` in JSON, each envelope the XML as it came, in a string of its own so that
a damaged one harms no other; oldest first; `after` left out reads from the start; `next` is what to give as `after` to
go on; an empty list means that there is no more now.

Signing in at the platform itself (a token for a certificate, README of SF1601) is the gateway's too.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import httpx2 as httpx
from lxml import etree

from hub import (
    BadRecord,
    GaveUp,
    Health,
    Later,
    Letter,
    Recipient,
    Refused,
    SendResult,
    Sent,
    Status,
    StatusPage,
    TryAgain,
    Unreadable,
    Unsure,
)
from tovholder_digital_post import fjernprint, memo, receipts
from tovholder_digital_post.platform import NotSentError, PerhapsSentError, Platform, retry_after
from tovholder_digital_post.settings import DigitalPostSettings

_ASK = "/service/PostForespoerg_1/digitalpost"
_SEND = "/service/KombiPostAfsend_1/kombi"
_XML = {"Content-Type": "application/xml", "Accept": "application/xml"}


class DigitalPost:
    """Digital Post, and print for those who are exempt. One object may be used from several threads."""

    name = "digital_post"

    def __init__(self, settings: DigitalPostSettings) -> None:
        self._settings = settings
        self._platform = Platform(str(settings.url), settings.timeout_seconds)

    def reaches(self, recipient: Recipient) -> bool:
        """True for anybody with a civil registration number: who is not registered for Digital Post gets paper, and
        which of the two is asked when the letter is sent. False for other numbers (X-eCPR, 0000000000)."""
        return _is_number(recipient.cpr)

    def send(self, letter: Letter, key: str) -> SendResult:
        if not _is_number(letter.recipient.cpr):
            return Refused("the recipient has no civil registration number, and can be reached neither way")
        registered = self._registered(letter.recipient.cpr)
        if not isinstance(registered, bool):
            return registered
        route = "digital" if registered else "print"
        try:
            body = kombi_request(letter, key, route, self._settings)
        except BadRecord as error:
            return Refused(str(error))
        transaction = str(uuid.uuid4())
        try:
            response = self._platform.send("POST", _SEND, body=body, headers=_XML, transaction=transaction)
        except NotSentError as error:
            return Later(str(error))
        except PerhapsSentError as error:
            return Unsure(str(error))
        return _result(response, route, transaction)

    def _registered(self, cpr: str) -> bool | Later | Refused:
        try:
            response = self._platform.send("GET", _ASK, query={"cprNumber": cpr})
        except (NotSentError, PerhapsSentError) as error:
            return Later(f"whether the recipient is registered could not be asked: {error}")
        if response.status_code == 400:
            return Refused("PostForespoerg does not take the recipient's number")
        answer = _json(response) if response.status_code == 200 else None
        result = answer.get("result") if isinstance(answer, dict) else None
        if not isinstance(result, bool):
            return Later(f"PostForespoerg answered {response.status_code} without a result", retry_after(response))
        return result

    def statuses(self, since: str | None) -> Iterator[StatusPage]:
        """Pages of what the gateway has kept after `since`. Raises TryAgain (no answer, 429, 5xx), GaveUp (another
        error, or an answer that is not the gateway's)."""
        cursor = since
        while True:
            envelopes, following = self._beskeder(cursor)
            if not envelopes:
                return
            read = (
                receipts.read(envelope.encode(errors="replace"), f"after {cursor or 'the start'}, envelope {number}")
                if isinstance(envelope, str)
                else Unreadable(f"after {cursor or 'the start'}, envelope {number}", "the envelope is not a text")
                for number, envelope in enumerate(envelopes, 1)
            )
            found: tuple[Status | Unreadable, ...] = tuple(one for one in read if one is not None)
            if following == cursor:
                raise GaveUp("the gateway for receipts gives receipts but does not move its cursor; mend the gateway")
            cursor = following
            yield StatusPage(found, cursor)

    def _beskeder(self, after: str | None) -> tuple[list[object], str]:
        query = {"max": str(self._settings.page_size)} | ({} if after is None else {"after": after})
        try:
            response = self._platform.send("GET", "/beskeder", query=query)
        except (NotSentError, PerhapsSentError) as error:
            raise TryAgain(str(error)) from error
        code = response.status_code
        if code == 429 or code >= 500:
            raise TryAgain(f"the gateway for receipts answered {code}", after_seconds=retry_after(response))
        if code != 200:
            raise GaveUp(f"the gateway for receipts answered {code}; look at its address and our access")
        answer = _json(response)
        envelopes = answer.get("beskeder") if isinstance(answer, dict) else None
        following = answer.get("next") if isinstance(answer, dict) else None
        if not isinstance(envelopes, list) or not isinstance(following, str):
            raise GaveUp("the gateway for receipts did not answer with beskeder and next; is url right?")
        return envelopes, following

    def health(self) -> Health:
        """Whether PostForespoerg answers; asked about nobody, so that 400 is a good answer."""
        try:
            code = self._platform.send("GET", _ASK).status_code
        except (NotSentError, PerhapsSentError) as error:
            return Health(False, str(error))
        return Health(code in (200, 400), f"PostForespoerg answered {code}")

    def close(self) -> None:
        self._platform.close()


def _is_number(cpr: str) -> bool:
    return len(cpr) == 10 and cpr.isascii() and cpr.isdigit() and cpr != "0000000000"


def kombi_request(letter: Letter, key: str, route: str, settings: DigitalPostSettings) -> bytes:
    """The body of a send, in UTF-8. `route` is `digital` or `print`. Raises BadRecord when the letter cannot go."""
    root = etree.Element("kombi_request")
    choice = etree.SubElement(root, "KombiValgKode")
    if route == "digital":
        choice.text = "Digital Post"
        root.append(memo.build(letter, key, settings))
    else:
        choice.text = "Fysisk Post"
        root.append(fjernprint.build(letter, key, settings))
    return bytes(etree.tostring(root, xml_declaration=True, encoding="UTF-8"))


def _json(response: httpx.Response) -> object:
    try:
        answer: object = response.json()
    except ValueError:
        return None
    return answer


def _result(response: httpx.Response, route: str, transaction: str) -> SendResult:
    code = response.status_code
    if code in (429, 503):
        return Later(f"the platform answered {code}", retry_after(response))
    if code >= 500:
        return Unsure(f"the platform answered {code}")
    if code in (401, 403, 407):
        return Later(f"the platform answered {code}: look at our certificate and our access")
    said = _values(response.content)
    accepted = said.get("result", "").casefold()
    error = said.get("fejlid") or said.get("fejlkode") or ""
    if code == 409 or (error and "duplicate" in error.casefold()) or (code == 200 and accepted == "true"):
        return Sent(said.get("transmissionid") or transaction, route)
    if error or accepted == "false":
        return Refused(receipts.error_reason(error, said.get("fejltekst", "")))
    if code in (400, 413, 422):
        return Refused(f"the platform refused the letter ({code}) and gave no error code")
    if code >= 300:
        return Later(f"the platform answered {code}: look at its address")
    return Unsure(f"the platform answered {code} with something that is not a kombi_response")


def _values(document: bytes) -> dict[str, str]:
    """The texts of an answer by element name in lower case; empty when it is not XML."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(document, parser)
    except (etree.XMLSyntaxError, ValueError):
        return {}
    if root is None:
        return {}
    return {
        etree.QName(element).localname.casefold(): element.text.strip()
        for element in root.iter(etree.Element)
        if element.text and element.text.strip()
    }
