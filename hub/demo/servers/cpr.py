"""The town's CPR: SF1520 PersonBaseDataExtended, version 4, as a SOAP service.

Answers for everybody in the town as things stand at the clock's time; a number that is not there gets the fault that
the real service gives. Bare ASGI and string templates: the hub asks for some thousand persons in a row.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from lxml import etree

from hub.clock import Clock
from hub.demo.model import Town
from hub.demo.servers.cpr_register import NS, Register

Scope = MutableMapping[str, Any]
App = Callable[[Scope, Callable[[], Awaitable[Scope]], Callable[[Scope], Awaitable[None]]], Awaitable[None]]

PATH = "/service/CPR/PersonBaseDataExtended/4"
_PNR = "http://serviceplatformen.dk/xml/schemas/cpr/PNR/1/"
_FAULT_NS = "http://serviceplatformen.dk/xml/schemas/ServiceplatformFault/1/"
_SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
_ASKED = f"{{{_SOAP}}}Body/{{{NS}}}PersonLookupRequest/{{{_PNR}}}PNR"
_LARGEST = 64 * 1024
"""Bytes of a request that are read."""

_ENVELOPE = f'<?xml version="1.0" encoding="UTF-8"?>\n<s:Envelope xmlns:s="{_SOAP}"><s:Body>%s</s:Body></s:Envelope>'
_FAULT = (
    "<s:Fault><faultcode>s:%s</faultcode><faultstring>%s</faultstring><detail>"
    f'<ServiceplatformFault xmlns="{_FAULT_NS}"><ErrorList><Error><ErrorCode>%s</ErrorCode>'
    "<ErrorText>%s</ErrorText></Error></ErrorList></ServiceplatformFault></detail></s:Fault>"
)


def app(town: Town, clock: Clock) -> App:
    """The service as an ASGI application: POST with SOAP 1.1 to `PATH`."""
    register = Register(town, clock)

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


def _answer(register: Register, body: bytes) -> tuple[int, str]:
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
