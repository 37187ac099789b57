"""The channel by KOMBIT's platform: Digital Post and print (SF1601), and what became of letters (SF1461). What an
answer to a sending means stands in `answers`.

Who chooses between Digital Post and print is a setting. `ask`: PostForespoerg is asked, and one of the two is sent.
`platform`: both are sent, and the platform chooses ("Automatisk Valg"); no number stands in an address then, and nobody
can become exempt between question and letter.

The key is the messageUUID, also in print (AfsendelseIdentifikator), and the same at every try, so that the platform can
see that it has the letter. `Sent` only means accepted: `statuses` tells what came of it.

Receipts: Beskedfordeler delivers by push or by an AMQP queue where a message is gone once taken. Between it and the
hub stands a gateway of the municipality's that keeps them: `GET {receipts_url}/beskeder?after=CURSOR&max=N` answers
`{"beskeder": [ENVELOPE, …], "next": CURSOR}` in JSON, each envelope the XML as it came, in a string of its own so that
a damaged one harms no other; oldest first; `after` left out reads from the start; `next` is what to give as `after` to
go on; an empty list means that there is no more now.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping

import httpx2 as httpx
from lxml import etree

from hub import (
    BadRecord,
    GaveUp,
    Health,
    Later,
    Letter,
    ReadOnlyClient,
    Recipient,
    Refused,
    SendResult,
    Status,
    StatusPage,
    TovholderError,
    TryAgain,
    Unreadable,
    Unsure,
    xml_name,
)
from tovholder_digital_post import access, address, fjernprint, memo, receipts
from tovholder_digital_post.access import as_json
from tovholder_digital_post.address import Address
from tovholder_digital_post.answers import Said, is_number, parse, refused_unseen, result, too_large
from tovholder_digital_post.platform import NotSentError, PerhapsSentError, Platform, retry_after
from tovholder_digital_post.settings import DigitalPostSettings

_ASK = "/service/PostForespoerg_1/digitalpost"
_SEND = "/service/KombiPostAfsend_1/kombi"
_XML = {"Content-Type": "application/xml", "Accept": "application/xml"}
CHOICES = {"digital": "Digital Post", "print": "Fysisk Post", "platform": "Automatisk Valg", "sms": "NemSMS"}
"""KombiValgKode."""


class DigitalPost:
    """Digital Post, and print for those who are exempt. One object may be used from several threads."""

    name = "digital_post"
    knows_keys = True

    def __init__(self, settings: DigitalPostSettings) -> None:
        self._settings = settings
        self._platform = Platform(str(settings.url), settings)
        self._gateway = Platform(str(settings.receipts_url), settings) if settings.receipts_url else self._platform
        self._tokens = access.Tokens(self._platform, settings) if settings.sts_url else None
        self._cpr = (
            ReadOnlyClient(str(settings.cpr_url), address.READS, timeout_seconds=settings.timeout_seconds)
            if settings.cpr_url
            else None
        )

    def reaches(self, recipient: Recipient) -> bool:
        """True for anybody with a civil registration number: who is not registered for Digital Post gets paper, and
        which of the two is found out when the letter is sent. False for other numbers (X-eCPR, 0000000000)."""
        return is_number(recipient)

    def send(self, letter: Letter, key: str) -> SendResult:
        refused = refused_unseen(letter, self._settings)
        if refused:
            return refused
        route = "platform"
        if self._settings.choice == "ask":
            registered = self._registered(letter.recipient.cpr)
            if not isinstance(registered, bool):
                return registered
            route = "digital" if registered else "print"
        if not letter.paper and route != "digital":
            if route == "print":
                return Refused("the recipient is exempt from Digital Post, and paper comes back from their address")
            route = "digital"  # whether they are registered is then the platform's to say
        try:
            where = self._address(letter.recipient.cpr) if route != "digital" else None
            body = kombi_request(letter, key, route, self._settings, where)
        except BadRecord as error:
            return Refused(str(error))
        except TovholderError as error:
            # CPR does not answer, or refuses us: our access is wrong, not the letter.
            after = error.after_seconds if isinstance(error, TryAgain) else None
            return Later(f"where the recipient lives could not be asked: {error}", after)
        # Of both payloads together, the message is what the limit is about.
        printed = len(letter.pdf) * 4 // 3 if route == "platform" else 0
        refused = too_large(len(body) - printed, self._settings)
        if refused:
            return refused
        transaction = str(uuid.uuid4())
        try:
            response = self._call("POST", _SEND, access.POST, body=body, headers=_XML, transaction=transaction)
        except NotSentError as error:
            return Later(str(error))
        except PerhapsSentError as error:
            return Unsure(str(error))
        said = _said(response.content)
        if route == "platform":
            # The platform names a sending in Digital Post, and has no name for one in print.
            route = "digital" if said.transmission else "print"
        return result(response, said, transaction, route)

    def point(self, recipient: Recipient, text: str, key: str) -> SendResult:
        """A text message (NemSMS), to the number the recipient has given there themselves; one who has given none is
        refused."""
        if not is_number(recipient):
            return Refused("the recipient has no civil registration number")
        try:
            root = etree.Element("kombi_request")
            etree.SubElement(root, "KombiValgKode").text = CHOICES["sms"]
            memo.build_sms(recipient, text, key, self._settings, root)
        except BadRecord as error:
            return Refused(str(error))
        body = bytes(etree.tostring(root, xml_declaration=True, encoding="UTF-8"))
        transaction = str(uuid.uuid4())
        try:
            response = self._call("POST", _SEND, access.POST, body=body, headers=_XML, transaction=transaction)
        except NotSentError as error:
            return Later(str(error))
        except PerhapsSentError as error:
            return Unsure(str(error))
        return result(response, _said(response.content), transaction, "digital")

    def _call(
        self,
        method: str,
        path: str,
        service: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        transaction: str | None = None,
    ) -> httpx.Response:
        """One request to a service of the platform, signed in where the settings say how. Raises as `Platform.send`."""
        if self._tokens is None:
            return self._platform.send(method, path, query=query, body=body, headers=headers, transaction=transaction)
        token = self._tokens.header(service)
        for last in (False, True):
            signed = {**(headers or {}), "Authorization": token}
            response = self._platform.send(
                method, path, query=query, body=body, headers=signed, transaction=transaction
            )
            if response.status_code != 401 or last:
                break
            token = self._tokens.header(service, refused=token)
        return response

    def _registered(self, cpr: str) -> bool | Later | Refused:
        try:
            response = self._call("GET", _ASK, access.ASK, query={"cprNumber": cpr})
        except (NotSentError, PerhapsSentError) as error:
            return Later(f"whether the recipient is registered could not be asked: {error}")
        if response.status_code == 400:
            return Refused("PostForespoerg does not take the recipient's number")
        answer = as_json(response) if response.status_code == 200 else None
        registered = answer.get("result") if isinstance(answer, dict) else None
        if not isinstance(registered, bool):
            return Later(f"PostForespoerg answered {response.status_code} without a result", retry_after(response))
        return registered

    def _address(self, cpr: str) -> Address | None:
        return address.lookup(self._cpr, cpr) if self._cpr else None

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
        answer = asked(self._gateway, "/beskeder", query, "the gateway for receipts")
        envelopes = answer.get("beskeder") if isinstance(answer, dict) else None
        following = answer.get("next") if isinstance(answer, dict) else None
        if not isinstance(envelopes, list) or not isinstance(following, str):
            raise GaveUp("the gateway for receipts did not answer with beskeder and next; is its address right?")
        return envelopes, following

    def health(self) -> Health:
        """Whether PostForespoerg answers; asked about nobody, so that 400 is a good answer."""
        try:
            code = self._call("GET", _ASK, access.ASK).status_code
        except (NotSentError, PerhapsSentError) as error:
            return Health(False, str(error))
        return Health(code in (200, 400), f"PostForespoerg answered {code}")

    def close(self) -> None:
        for one in (self._platform, self._gateway, self._tokens, self._cpr):
            if one is not None:
                one.close()


def asked(
    platform: Platform, path: str, query: Mapping[str, str], who: str, headers: Mapping[str, str] | None = None
) -> object:
    """What somebody who keeps receipts answers, in JSON.

    Raises TryAgain (no answer, 429, 5xx, no JSON), GaveUp (another error)."""
    try:
        response = platform.send("GET", path, query=query, headers=headers)
    except (NotSentError, PerhapsSentError) as error:
        raise TryAgain(str(error)) from error
    code = response.status_code
    if code == 429 or code >= 500:
        raise TryAgain(f"{who} answered {code}", after_seconds=retry_after(response))
    if code != 200:
        raise GaveUp(f"{who} answered {code}; look at its address and our access")
    answer = as_json(response)
    if answer is None:
        raise TryAgain(f"{who} answered with something that is not JSON, or is cut short")
    return answer


def kombi_request(
    letter: Letter, key: str, route: str, settings: DigitalPostSettings, where: Address | None = None
) -> bytes:
    """The body of a send, in UTF-8. `route` is `digital`, `print`, or `platform` for both. Raises BadRecord when the
    letter cannot go."""
    root = etree.Element("kombi_request")
    etree.SubElement(root, "KombiValgKode").text = CHOICES[route]
    if route != "print":
        memo.build(letter, key, settings, root)
    if route != "digital":
        fjernprint.build(letter, key, settings, where, root)
    return bytes(etree.tostring(root, xml_declaration=True, encoding="UTF-8"))


def _said(document: bytes) -> Said:
    """What a kombi_response says; nothing when it is none."""
    root = parse(document)
    if root is None:
        return Said()
    found = {
        xml_name(element)[1].casefold(): element.text.strip()
        for element in root.iter(etree.Element)
        if element.text and element.text.strip()
    }
    accepted = {"true": True, "false": False}.get(found.get("result", "").casefold())
    error = found.get("fejlid") or found.get("fejlkode") or ""
    return Said(accepted, found.get("transmissionid", ""), error, found.get("fejltekst", ""))
