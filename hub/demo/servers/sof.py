"""The town's Sags- og Dokumentindeks (KOMBIT SF1470 v6): SagDokumentIndeksService, SOAP 1.2, at `PATH`.

`fremsoeg` answers with the Sager changed in an interval, sorted by registration, in pages; it sends the sections the
filter asks for and no others. The other operations of the service write: they are refused with a SOAP fault and 403.
What a search may ask for is less than the real index knows; what the town does not know is refused, not ignored.
"""

from __future__ import annotations

import uuid
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

from lxml import etree
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from hub.clock import Clock
from hub.demo.model import Town, Version
from hub.demo.servers.sof_cases import IndexCase, cases
from hub.demo.servers.sof_sag import NAMESPACES, moment, registration

PATH = "/sts-soap-sagdok/sagdokumentindeks/6"
ACTION = "http://kombit.dk/sts/sagdokumentindeks/"

_SOAP = "http://www.w3.org/2003/05/soap-envelope"
_SDI = "{urn:oio:sts:sagdok:sagdokumentindeks:6}"
_SAG = "{urn:oio:sts:sagdok:sag:6}"
_INDEX = "{urn:oio:sts:sagdok:sagindeks:6}"
_GD = "{urn:oio:sts:generelledefinitioner:6}"
_GO = "{urn:oio:sts:generelleoperationer:6}"
_SD = "{urn:oio:sagdok:3.0.0}"
_MOST = 1000
"""The most Sager in one answer, however many are asked for."""
_BEGINNING = datetime.min.replace(tzinfo=UTC)
_END = datetime.max.replace(tzinfo=UTC)


def app(town: Town, clock: Clock) -> ASGIApp:
    """The service as an ASGI application. It answers for the town as it is at the clock's now."""
    service = _Service(town, clock)
    return Starlette(routes=[Route(PATH, service.answer, methods=["POST"])])


def export(town: Town, now: datetime, folder: Path, per_file: int = 500) -> None:
    """Write the index as it is at `now` (UTC) as files of `per_file` Sager into `folder`, as a case system would."""
    folder.mkdir(parents=True, exist_ok=True)
    standing = _Index(town).standing(now)
    for at in range(0, len(standing), per_file):
        sager = "".join(_sag(each, town) for each in standing[at : at + per_file])
        text = (
            f'<?xml version="1.0" encoding="UTF-8"?><q:ImporterSagDokumentIndeksInput {NAMESPACES}>{sager}'
            "</q:ImporterSagDokumentIndeksInput>"
        )
        (folder / f"sager-{at // per_file:05}.xml").write_text(text, encoding="utf-8")


@dataclass(frozen=True, slots=True)
class _Standing:
    """A case at a version, and when the index got it."""

    time: datetime
    case: IndexCase
    version: Version


def _sag(each: _Standing, town: Town) -> str:
    return (
        f"<q:SagIndeks><d:UUIDIdentifikator>{each.case.uuid}</d:UUIDIdentifikator>"
        f"{registration(each.case, each.version, town.workers)}</q:SagIndeks>"
    )


class _Index:
    """The cases in order of registration, for any moment; sorted again only when something has changed."""

    def __init__(self, town: Town) -> None:
        self._cases = cases(town)
        self._changes = sorted({version.changed for case in self._cases for version in case.versions})
        self._kept: tuple[int, list[_Standing]] = (-1, [])

    def standing(self, now: datetime) -> list[_Standing]:
        changes = bisect_right(self._changes, now)
        if self._kept[0] != changes:
            found = sorted(self._at(now), key=lambda each: (each.time, each.case.uuid))
            self._kept = (changes, found)
        return self._kept[1]

    def _at(self, now: datetime) -> Iterator[_Standing]:
        for case in self._cases:
            version = next((each for each in reversed(case.versions) if each.changed <= now), None)
            if version is not None:
                yield _Standing(moment(version.changed), case, version)


class _RefusedError(Exception):
    """The request is not one the town can answer; the message says why."""


@dataclass(frozen=True, slots=True)
class _Asked:
    first: int
    most: int
    since: datetime
    until: datetime
    vis: frozenset[str]


class _Service:
    def __init__(self, town: Town, clock: Clock) -> None:
        self._clock = clock
        self._index = _Index(town)
        # Some four kilobytes a Sag: 60 MB at the most.
        self._render = lru_cache(maxsize=15_000)(
            lambda case, version, vis: (
                f"<q:SagFiltreretOejebliksbillede><s:ObjektType><d:UUIDIdentifikator>{case.uuid}</d:UUIDIdentifikator>"
                f"</s:ObjektType>{registration(case, version, town.workers, vis)}</q:SagFiltreretOejebliksbillede>"
            ).encode()
        )

    async def answer(self, request: Request) -> Response:
        try:
            operation = _operation(await request.body())
            if operation.tag != _SDI + "FremsoegSagDokumentIndeksInput":
                return _fault(403, "Sender", "Only fremsoeg is allowed: this user may not write")
            action = request.headers.get("content-type", "")
            if f'action="{ACTION}fremsoeg"' not in action:
                return _fault(400, "Sender", "The action is missing or is not that of the operation")
            asked = _asked(operation)
        except _RefusedError as refused:
            return _fault(400, "Sender", str(refused))
        standing = self._index.standing(self._clock.now())
        times = [each.time for each in standing]
        found = standing[bisect_left(times, asked.since) : bisect_right(times, asked.until)]
        page = found[asked.first : asked.first + min(asked.most, _MOST)]
        shown = [self._render(each.case, each.version, asked.vis) for each in page] if asked.vis else []
        return _envelope(len(found), asked, shown)


def _operation(body: bytes) -> etree._Element:
    try:
        root = etree.fromstring(body, etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False))
    except etree.XMLSyntaxError as error:
        raise _RefusedError("The request is not well-formed XML") from error
    found = root.find(f"{{{_SOAP}}}Body")
    if root.tag != f"{{{_SOAP}}}Envelope" or found is None or len(found) != 1:
        raise _RefusedError("The request is not a SOAP 1.2 envelope with one operation")
    return found[0]


def _asked(operation: etree._Element) -> _Asked:
    """What a search asks for. Supported: one SoegSag with paging and SenestAendretInterval, SagVis, and sorting by
    registration."""
    searches = operation.findall(f"{_SDI}SoegUdtryk/{_SDI}SoegSag")
    known = {_SDI + "SoegUdtryk", _SDI + "Filter", _SDI + "Sortering"}
    if len(searches) != 1 or any(each.tag not in known for each in operation):
        raise _RefusedError("The town's index answers one SoegSag at a time, and nothing else")
    search = searches[0]
    states, relations = search.find(_SAG + "TilstandListe"), search.find(_SAG + "RelationListe")
    if states is None or relations is None or len(states) or len(relations):
        raise _RefusedError("The town's index searches by SenestAendretInterval only")
    for each in operation.iterfind(f"{_SDI}Sortering/{_SDI}SagSortering"):
        if (each.findtext(_SDI + "Element"), each.findtext(_SDI + "Retning")) != (
            "StsRegistreringstidspunkt",
            "Stigende",
        ):
            raise _RefusedError("The town's index sorts by StsRegistreringstidspunkt, Stigende, only")
    interval = (
        f"{_SAG}AttributListe/{_GD}LokalUdvidelseListe/{_INDEX}SoegEgenskaberLokalUdvidelse/"
        f"{_INDEX}SenestAendretInterval/{_GO}"
    )
    stamp = f"/{_SD}TidsstempelDatoTid"
    try:
        return _Asked(
            first=int(search.findtext(_SD + "FoersteResultatReference", "0")),
            most=int(search.findtext(_SD + "MaksimalAntalKvantitet", str(_MOST))),
            since=_time(search.findtext(f"{interval}FraTidspunkt{stamp}"), _BEGINNING),
            until=_time(search.findtext(f"{interval}TilTidspunkt{stamp}"), _END),
            vis=frozenset(each.text or "" for each in operation.iterfind(f"{_SDI}Filter/{_SDI}SagVis/{_SDI}Vis")),
        )
    except ValueError as error:
        raise _RefusedError("A number or a time in the search cannot be read") from error


def _time(text: str | None, otherwise: datetime) -> datetime:
    return otherwise if text is None else datetime.fromisoformat(text)


def _envelope(total: int, asked: _Asked, shown: list[bytes]) -> Response:
    head = (
        f'<?xml version="1.0" encoding="UTF-8"?><e:Envelope xmlns:e="{_SOAP}" {NAMESPACES}'
        ' xmlns:h="http://kombit.dk/xml/schemas/RequestHeader/1/"><e:Header><h:RequestHeader>'
        f"<h:TransactionUUID>{uuid.uuid4()}</h:TransactionUUID></h:RequestHeader></e:Header><e:Body>"
        "<q:FremsoegSagDokumentIndeksOutput><d:StandardRetur><d:StatusKode>20</d:StatusKode></d:StandardRetur>"
        f"<q:Antal><q:Element>sager</q:Element><q:Antal>{total}</q:Antal><q:Paginering>"
        f"<d:FoersteResultatReference>{asked.first}</d:FoersteResultatReference>"
        f"<d:MaksimalAntalKvantitet>{asked.most}</d:MaksimalAntalKvantitet></q:Paginering></q:Antal>"
    )
    tail = b"</q:FremsoegSagDokumentIndeksOutput></e:Body></e:Envelope>"
    return Response(b"".join([head.encode(), *shown, tail]), media_type="application/soap+xml")


def _fault(code: int, whose: str, why: str) -> Response:
    text = (
        f'<?xml version="1.0" encoding="UTF-8"?><e:Envelope xmlns:e="{_SOAP}"><e:Body><e:Fault><e:Code>'
        f'<e:Value>e:{whose}</e:Value></e:Code><e:Reason><e:Text xml:lang="en">{why}</e:Text></e:Reason></e:Fault>'
        "</e:Body></e:Envelope>"
    )
    return Response(text.encode(), status_code=code, media_type="application/soap+xml")
