"""The town's CPR: SF1520 PersonBaseDataExtended, version 4, as a SOAP service.

Answers for everybody in the town as things stand at the clock's time; a number that is not there gets the fault that
the real service gives. Bare ASGI and string templates: the hub asks for some thousand persons in a row.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from datetime import date
from typing import Any
from xml.sax.saxutils import escape

from lxml import etree

from hub.clock import Clock, today
from hub.demo.model import Custody, Person, Town
from hub.errors import BadRecord
from hub.identity import parse

Scope = MutableMapping[str, Any]
App = Callable[[Scope, Callable[[], Awaitable[Scope]], Callable[[Scope], Awaitable[None]]], Awaitable[None]]

PATH = "/service/CPR/PersonBaseDataExtended/4"
_NS = "http://serviceplatformen.dk/xml/wsdl/soap11/CPR/PersonBaseDataExtended/4/"
_PNR = "http://serviceplatformen.dk/xml/schemas/cpr/PNR/1/"
_FAULT_NS = "http://serviceplatformen.dk/xml/schemas/ServiceplatformFault/1/"
_SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
_ASKED = f"{{{_SOAP}}}Body/{{{_NS}}}PersonLookupRequest/{{{_PNR}}}PNR"
_LARGEST = 64 * 1024
"""Bytes of a request that are read."""
_ADULT = 18
_TYPES = {"mor": 3, "far": 4, "anden": 5}
_MOST_OTHERS = 6

_ENVELOPE = f'<?xml version="1.0" encoding="UTF-8"?>\n<s:Envelope xmlns:s="{_SOAP}"><s:Body>%s</s:Body></s:Envelope>'
_FAULT = (
    "<s:Fault><faultcode>s:%s</faultcode><faultstring>%s</faultstring><detail>"
    f'<ServiceplatformFault xmlns="{_FAULT_NS}"><ErrorList><Error><ErrorCode>%s</ErrorCode>'
    "<ErrorText>%s</ErrorText></Error></ErrorList></ServiceplatformFault></detail></s:Fault>"
)
_RESPONSE = (
    f'<PersonLookupResponse xmlns="{_NS}"><persondata>'
    "<personnummer>{cpr}</personnummer>"
    "<navn><personadresseringsnavn>{name}</personadresseringsnavn><fornavn>{first}</fornavn>"
    "<efternavn>{last}</efternavn></navn>"
    "{born}<koen>{sex}</koen><antalBoernUnder18>{children}</antalBoernUnder18>"
    "<status><status>1</status></status>"
    "<adressebeskyttelse><beskyttet>{protected}</beskyttet></adressebeskyttelse>"
    "<tilmeldtNemsms>false</tilmeldtNemsms><tilmeldtDigitalpost>{post}</tilmeldtDigitalpost></persondata>"
    "<adresse><aktuelAdresse><postnummer>{postcode}</postnummer><postdistrikt>{city}</postdistrikt>"
    "<standardadresse>{street}</standardadresse></aktuelAdresse></adresse>"
    "<relationer>{relations}</relationer></PersonLookupResponse>"
)


class _Register:
    """The town's people as CPR tells of them."""

    def __init__(self, town: Town, clock: Clock) -> None:
        self._town, self._clock = town, clock
        self._children: dict[str, list[str]] = defaultdict(list)
        for child, parents in town.parents.items():
            for parent in parents:
                self._children[parent].append(child)

    def response(self, cpr: str) -> str | None:
        """PersonLookupResponse for a number, None when nobody has it."""
        person = self._town.people.get(cpr)
        if person is None:
            return None
        day = today(self._clock)
        born = _born(cpr)
        text = {
            key: escape(getattr(person, key)) for key in ("cpr", "name", "first", "last", "postcode", "city", "street")
        }
        return _RESPONSE.format(
            **text,
            born=""
            if born is None
            else f"<foedselsdato><dato>{born}</dato></foedselsdato><alder>{_age(born, day)}</alder>",
            sex="M" if cpr[-1] in "13579" else "K",
            children=sum(1 for child in self._children[cpr] if _is_child(child, day)),
            protected=_xml(person.protected),
            post=_xml(self._has_digital_post(person, born, day)),
            relations=self._relations(cpr, day),
        )

    @staticmethod
    def _has_digital_post(person: Person, born: date | None, day: date) -> bool:
        """Digital Post begins at 15 (lov om Digital Post § 3)."""
        return person.digital_post and (born is None or _age(born, day) >= 15)

    def _relations(self, cpr: str, day: date) -> str:
        parts = [f"<barn><personnummer>{child}</personnummer></barn>" for child in self._children[cpr]]
        for tag, parent in zip(("mor", "far"), self._town.parents.get(cpr, ()), strict=False):
            parts.append(f"<{tag}><personnummer>{parent}</personnummer></{tag}>")
        parts += _custodies(self._town.custody.get(cpr, ()), day)
        return "".join(parts)


def _custodies(custody: Iterable[Custody], day: date) -> list[str]:
    """Custody that has begun; its end only once it has come, as a court's decision is."""
    parts, others = [], 0
    for one in custody:
        if one.since > day:
            continue
        code = _TYPES[one.relation]
        if one.relation == "anden":
            code = min(code + others, _MOST_OTHERS)
            others += 1
        ended = one.until is not None and one.until <= day
        parts.append(
            f"<foraeldremyndighed><foraeldremyndighedtype>{code}</foraeldremyndighedtype>"
            f"<foraeldremyndighedStartdato><dato>{one.since}</dato></foraeldremyndighedStartdato>"
            + (f"<foraeldremyndighedSletdato>{one.until}</foraeldremyndighedSletdato>" if ended else "")
            + f"<relationPersonnummer>{one.guardian}</relationPersonnummer></foraeldremyndighed>"
        )
    return parts


def _born(cpr: str) -> date | None:
    try:
        return parse(cpr).born
    except BadRecord:
        return None


def _age(born: date, day: date) -> int:
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))


def _is_child(cpr: str, day: date) -> bool:
    born = _born(cpr)
    return born is not None and _age(born, day) < _ADULT


def _xml(value: bool) -> str:
    return "true" if value else "false"


def app(town: Town, clock: Clock) -> App:
    """The service as an ASGI application: POST with SOAP 1.1 to `PATH`."""
    register = _Register(town, clock)

    async def serve(
        scope: Scope, receive: Callable[[], Awaitable[Scope]], send: Callable[[Scope], Awaitable[None]]
    ) -> None:
        if scope["type"] != "http":
            return
        if scope["path"].rstrip("/") != PATH:
            await _send(send, 404, b"", "text/plain")
            return
        if scope["method"] != "POST":
            await _send(send, 405, b"", "text/plain")
            return
        status, inner = _answer(register, await _body(receive))
        await _send(send, status, (_ENVELOPE % inner).encode(), "text/xml; charset=utf-8")

    return serve


def _answer(register: _Register, body: bytes) -> tuple[int, str]:
    """Status and content of the SOAP body. Faults are sent with 500, as SOAP 1.1 says."""
    try:
        parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
        asked = etree.fromstring(body, parser).findtext(_ASKED, "").strip()
    except etree.XMLSyntaxError:
        asked = ""
    if not asked or len(asked) > 10:
        return 500, _FAULT % ("Client", "Invalid request", "INVALID", "Invalid request")
    found = register.response(asked)
    if found is None:
        return 500, _FAULT % ("Server", "PNR not found", "PNR_NOT_FOUND", "PNR not found")
    return 200, found


async def _body(receive: Callable[[], Awaitable[Scope]]) -> bytes:
    parts, size, more = [], 0, True
    while more and size <= _LARGEST:
        message = await receive()
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        more = message.get("more_body", False)
    return b"".join(parts)


async def _send(send: Callable[[Scope], Awaitable[None]], status: int, body: bytes, content_type: str) -> None:
    headers = [(b"content-type", content_type.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
