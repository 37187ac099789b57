"""The town's Brugerdatabase: STIL wsieksport v7 at `POST /bpi/wsieksport/7`, SOAP 1.2.

Two operations for each of the four variants (Lille, Mellem, Fuld, FuldMyndighed), all reads: `hentDataAftaler…` (which
institutions) and `eksporterXml…` (one institution with its pupils and employees, and in the full ones contact persons,
filtered as the request asks). Any other operation, method or path is refused. How the town becomes an export:
`buf_school`; special education's list of cases: `buf_list`.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from xml.sax.saxutils import escape

from lxml import etree
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from hub.clock import DENMARK, Clock, today
from hub.demo.model import Town
from hub.demo.servers.buf_school import BPI, WSI, Asked, School, Variant, export, school_year

_SOAP = "http://www.w3.org/2003/05/soap-envelope"
_AGREEMENTS = {f"{{{WSI}}}hentDataAftaler{variant.operation}": variant for variant in Variant}
_EXPORTS = {f"{{{WSI}}}eksporterXml{variant.operation}": variant for variant in Variant}


def app(town: Town, clock: Clock) -> ASGIApp:
    """The service as an ASGI application. It answers for the town as it is at the clock's now, and keeps each
    institution's last export, until something in it changes."""
    service = _Service(town, clock)
    return Starlette(routes=[Route("/bpi/wsieksport/7", service.answer, methods=["POST"])])


def save(town: Town, now: datetime, folder: Path, variant: Variant = Variant.FULD_MYNDIGHED) -> None:
    """Write every institution's export as it is at `now` (UTC) into `folder`, as somebody does by hand: whole, with
    parents."""
    folder.mkdir(parents=True, exist_ok=True)
    day = now.astimezone(DENMARK).date()
    for number, institution in sorted(town.institutions.items()):
        text = export(School(town, institution).render(now, day, Asked(variant)), now, variant)
        (folder / f"{number}.xml").write_text(f'<?xml version="1.0" encoding="UTF-8"?>{text}', encoding="utf-8")


class _Service:
    def __init__(self, town: Town, clock: Clock) -> None:
        self._clock = clock
        self._schools = {number: School(town, found) for number, found in sorted(town.institutions.items())}
        self._kept: dict[tuple[str, Variant], tuple[tuple[object, ...], str]] = {}

    async def answer(self, request: Request) -> Response:
        operation = _operation(await request.body())
        if operation is None:
            return _fault("the request is no SOAP 1.2 envelope with one operation")
        name = etree.QName(operation).localname
        if operation.tag in _AGREEMENTS:
            numbers = "".join(f"<b:regnr>{escape(number)}</b:regnr>" for number in self._schools)
            return _envelope(f'<w:{name}Response xmlns:w="{WSI}" xmlns:b="{BPI}">{numbers}</w:{name}Response>')
        if operation.tag in _EXPORTS:
            number = operation.findtext(f"{{{WSI}}}instnr", "").strip()
            if number not in self._schools:
                return _fault("no data agreement for this institution")
            found = self._export(number, _asked(operation, _EXPORTS[operation.tag]))
            return _envelope(f'<w:{name}Response xmlns:w="{WSI}"><w:xml>{found}</w:xml></w:{name}Response>')
        return _fault("this operation does not exist")

    def _export(self, number: str, asked: Asked) -> str:
        now = self._clock.now()
        day = today(self._clock)
        school = self._schools[number]
        # Custody turns at midnight; without contact persons only cases and the school year matter.
        state = (asked, school.changes_until(now), school_year(day), day if asked.contacts else None)
        kept = self._kept.get((number, asked.variant))
        if kept is None or kept[0] != state:
            kept = self._kept[number, asked.variant] = (state, school.render(now, day, asked))
        return export(kept[1], now, asked.variant)


def _operation(body: bytes) -> etree._Element | None:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        envelope = etree.fromstring(body, parser)
    except etree.XMLSyntaxError:
        return None
    found = envelope.find(f"{{{_SOAP}}}Body") if envelope.tag == f"{{{_SOAP}}}Envelope" else None
    return found[0] if found is not None and len(found) == 1 else None


def _asked(operation: etree._Element, variant: Variant) -> Asked:
    def wanted(name: str) -> bool:
        text = operation.findtext(f"{{{WSI}}}filtre//{{{WSI}}}inkluder{name}", "true")
        return text.strip() in ("true", "1")

    return Asked(variant, wanted("Elever"), wanted("Medarbejdere"), wanted("Kontaktpersoner"), wanted("Cpr"))


def _envelope(content: str, status: int = 200) -> Response:
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>'
        f'<soap:Envelope xmlns:soap="{_SOAP}"><soap:Body>{content}</soap:Body></soap:Envelope>'
    )
    return Response(text, status, media_type="application/soap+xml")


def _fault(reason: str) -> Response:
    return _envelope(
        "<soap:Fault><soap:Code><soap:Value>soap:Sender</soap:Value></soap:Code>"
        f'<soap:Reason><soap:Text xml:lang="en">{escape(reason)}</soap:Text></soap:Reason></soap:Fault>',
        status=400,
    )
