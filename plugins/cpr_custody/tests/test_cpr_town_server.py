"""The town's CPR speaks as the real one: by KOMBIT's schema, and fast enough for a whole municipality."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from lxml import etree
from tovholder_cpr_custody import wire
from tovholder_cpr_custody.person import NS, RESPONSE

from hub.clock import SetClock
from hub.demo.model import Town
from hub.demo.servers import cpr

Ask = Callable[[str, str], httpx.Response]


def test_every_answer_is_valid(schema: etree.XMLSchema, town: Town, url: str, ask: Ask) -> None:
    for number in town.people:
        envelope = etree.fromstring(ask(url, number).content)
        schema.assertValid(etree.fromstring(etree.tostring(envelope[0][0])))


def test_what_the_adapter_sends_is_valid(schema: etree.XMLSchema) -> None:
    envelope = etree.fromstring(wire._REQUEST % "0101159994")
    schema.assertValid(etree.fromstring(etree.tostring(envelope[0][0])))


def test_unknown_number_is_a_fault(standards: Path, url: str, ask: Ask) -> None:
    response = ask(url, "0909099998")
    fault = etree.XMLSchema(etree.parse(standards / "sf1601/cpr-sf1520/sp/ServiceplatformFault_1.xsd"))
    envelope = etree.fromstring(response.content)
    (detail,) = envelope.iter("detail")
    fault.assertValid(etree.fromstring(etree.tostring(detail[0])))
    assert response.status_code == 500
    assert envelope[0][0].findtext("faultstring") == "PNR not found"


def test_a_protected_address_is_in_the_answer_and_not_in_the_adapter(town: Town, url: str, ask: Ask) -> None:
    """As CPR does for an authority: what must not be told must not even be read."""
    protected = next(person for person in town.people.values() if person.protected)
    response = etree.fromstring(ask(url, protected.cpr).content).find(f".//{RESPONSE}")
    assert response is not None
    assert response.findtext(f".//{{{NS}}}standardadresse") == protected.street
    assert protected.street not in repr(wire.read(response, ""))


@pytest.mark.parametrize(("method", "path"), [("GET", wire.PATH), ("DELETE", wire.PATH), ("POST", "/other")])
def test_nothing_else_is_served(method: str, path: str, url: str) -> None:
    assert httpx.request(method, url + path).status_code in (404, 405)


@pytest.mark.parametrize("body", [b"", b"<x", b"<x/>", b"0101159994"])
def test_what_is_no_request_is_a_fault(body: bytes, url: str) -> None:
    response = httpx.post(url + wire.PATH, content=body)
    assert response.status_code == 500
    assert b"Invalid request" in response.content


def test_one_process_answers_a_whole_municipality(town: Town, clock: SetClock) -> None:
    """600 lookups a second and more over HTTP, of which the application itself may take a quarter of the time."""
    application = cpr.app(town, clock)
    numbers = [*town.people] * 60

    async def receive_of(body: bytes) -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        assert message.get("status", 200) == 200

    async def ask_all() -> float:
        start = time.perf_counter()
        for number in numbers:
            body = (wire._REQUEST % number).encode()
            scope = {"type": "http", "method": "POST", "path": wire.PATH}
            await application(scope, lambda body=body: receive_of(body), send)
        return time.perf_counter() - start

    assert len(numbers) / asyncio.run(ask_all()) >= 4 * 600
