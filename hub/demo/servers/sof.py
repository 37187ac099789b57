"""The town's Sags- og Dokumentindeks (KOMBIT SF1470 v6): SagDokumentIndeksService, SOAP 1.2, at `PATH`.

`fremsoeg` answers with the Sager changed in an interval, or those with a certain part in a certain role, or those that
any of several such searches joined by OR finds; sorted by registration, in pages. It sends the sections the filter asks
for and no others. The other operations of the service write: they are refused with a SOAP fault and 403.
What a search may ask for is less than the real index knows; what the town does not know is refused, not ignored.
"""

from __future__ import annotations

import uuid
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
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
from hub.demo.servers.sof_sag import NAMESPACES, ROLE, moment, registration

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
    standing = _Index(town).find(now, [_Search(_BEGINNING, _END)])
    for at in range(0, len(standing), per_file):
        sager = "".join(_sag(each, town) for each in standing[at : at + per_file])
        text = (
            f'<?xml version="1.0" encoding="UTF-8"?><q:ImporterSagDokumentIndeksInput {NAMESPACES}>{sager}'
            "</q:ImporterSagDokumentIndeksInput>"
        )
        (folder / f"sager-{at // per_file:05}.xml").write_text(text, encoding="utf-8")


@dataclass(frozen=True, slots=True)
class _Search:
    """One SoegSag: changed from `since` to `until`, and `part` (a role's UUID and an URN), if any is asked for."""

    since: datetime
    until: datetime
    part: tuple[str, str] | None = None


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


def _when(each: _Standing) -> tuple[datetime, str]:
    return each.time, each.case.uuid


class _Moment:
    """The cases as they stand, in order of registration, and by (role, URN) of their parts. A case that is deleted has
    no parts."""

    def __init__(self, changes: int, standing: Iterable[_Standing]) -> None:
        self.changes = changes
        self.standing = sorted(standing, key=_when)
        self.by_part: dict[tuple[str, str], list[_Standing]] = {}
        for each in self.standing:
            if each.version.gone:
                continue
            if each.case.party is not None:
                self.by_part.setdefault((ROLE["Primær part"], each.case.party.urn), []).append(each)
            for other in each.case.others:
                self.by_part.setdefault((ROLE["Sekundær part"], other.urn), []).append(each)


class _Index:
    """The cases at any moment; sorted again only when something has changed."""

    def __init__(self, town: Town) -> None:
        self._cases = cases(town)
        self._changes = sorted({version.changed for case in self._cases for version in case.versions})
        self._kept = _Moment(-1, ())

    def find(self, now: datetime, searches: Iterable[_Search]) -> list[_Standing]:
        """What any of the searches finds, in order of registration."""
        changes = bisect_right(self._changes, now)
        if self._kept.changes != changes:
            self._kept = _Moment(changes, self._at(now))
        found: list[list[_Standing]] = []
        for search in searches:
            among = self._kept.standing if search.part is None else self._kept.by_part.get(search.part, [])
            first = bisect_left(among, search.since, key=lambda each: each.time)
            found.append(among[first : bisect_right(among, search.until, key=lambda each: each.time)])
        if len(found) == 1:
            return found[0]
        return sorted({each.case.uuid: each for some in found for each in some}.values(), key=_when)

    def _at(self, now: datetime) -> Iterator[_Standing]:
        for case in self._cases:
            version = next((each for each in reversed(case.versions) if each.changed <= now), None)
            if version is not None:
                yield _Standing(moment(version.changed), case, version)


class _RefusedError(Exception):
    """The request is not one the town can answer; the message says why."""


@dataclass(frozen=True, slots=True)
class _Asked:
    searches: tuple[_Search, ...]
    first: int
    most: int
    newest: bool
    vis: frozenset[str]


class _Service:
    def __init__(self, town: Town, clock: Clock) -> None:
        self._clock = clock
        self._index = _Index(town)
        self._workers = town.workers
        self._rendered: dict[tuple[str, frozenset[str]], tuple[Version, bytes]] = {}
        """By case and what is shown of it, its newest version that was asked for: some four kilobytes each."""

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
        found = self._index.find(self._clock.now(), asked.searches)
        if asked.newest:
            found = found[::-1]
        page = found[asked.first : asked.first + min(asked.most, _MOST)]
        shown = [self._render(each.case, each.version, asked.vis) for each in page] if asked.vis else []
        return _envelope(len(found), asked, shown)

    def _render(self, case: IndexCase, version: Version, vis: frozenset[str]) -> bytes:
        kept = self._rendered.get((case.uuid, vis))
        if kept is not None and kept[0] is version:
            return kept[1]
        shown = (
            f"<q:SagFiltreretOejebliksbillede><s:ObjektType><d:UUIDIdentifikator>{case.uuid}</d:UUIDIdentifikator>"
            f"</s:ObjektType>{registration(case, version, self._workers, vis)}</q:SagFiltreretOejebliksbillede>"
        ).encode()
        self._rendered[case.uuid, vis] = version, shown
        return shown


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
    """What a search asks for. Supported: one SoegSag, or several joined by OR that are paged alike; SagVis; sorting by
    registration."""
    expressions = operation.findall(_SDI + "SoegUdtryk")
    known = {_SDI + "SoegUdtryk", _SDI + "Filter", _SDI + "Sortering"}
    searches = [each for expression in expressions for each in expression if each.tag == _SDI + "SoegSag"]
    joined = [each.text for expression in expressions for each in expression if each.tag == _SDI + "operation"]
    if (
        len(expressions) != 1
        or not searches
        or len(searches) + len(joined) != len(expressions[0])
        or any(each.tag not in known for each in operation)
        or (len(searches) > 1 and joined != ["OR"])
    ):
        raise _RefusedError("The town's index answers SoegSag, one or several joined by OR, and nothing else")
    orders = {
        (each.findtext(_SDI + "Element"), each.findtext(_SDI + "Retning"))
        for each in operation.iterfind(f"{_SDI}Sortering/{_SDI}SagSortering")
    }
    up, down = (("StsRegistreringstidspunkt", way) for way in ("Stigende", "Faldende"))
    if len(orders) > 1 or not orders <= {up, down}:
        raise _RefusedError("The town's index sorts by StsRegistreringstidspunkt only")
    try:
        paging = {
            (
                int(each.findtext(_SD + "FoersteResultatReference", "0")),
                int(each.findtext(_SD + "MaksimalAntalKvantitet", str(_MOST))),
            )
            for each in searches
        }
        if len(paging) > 1:
            raise _RefusedError("The searches of one request are not paged alike")
        ((first, most),) = paging
        return _Asked(
            searches=tuple(_search(each) for each in searches),
            first=first,
            most=most,
            newest=down in orders,
            vis=frozenset(each.text or "" for each in operation.iterfind(f"{_SDI}Filter/{_SDI}SagVis/{_SDI}Vis")),
        )
    except ValueError as error:
        raise _RefusedError("A number or a time in the search cannot be read") from error


def _search(search: etree._Element) -> _Search:
    states, relations = search.find(_SAG + "TilstandListe"), search.find(_SAG + "RelationListe")
    if states is None or relations is None or len(states) or len(relations) > 1:
        raise _RefusedError("The town's index searches by SenestAendretInterval and by one Sagspart only")
    interval = (
        f"{_SAG}AttributListe/{_GD}LokalUdvidelseListe/{_INDEX}SoegEgenskaberLokalUdvidelse/"
        f"{_INDEX}SenestAendretInterval/{_GO}"
    )
    stamp = f"/{_SD}TidsstempelDatoTid"
    return _Search(
        since=_time(search.findtext(f"{interval}FraTidspunkt{stamp}"), _BEGINNING),
        until=_time(search.findtext(f"{interval}TilTidspunkt{stamp}"), _END),
        part=_part(relations[0]) if len(relations) else None,
    )


def _part(relation: etree._Element) -> tuple[str, str]:
    role = relation.findtext(f"{_GD}Rolle/{_SD}UUIDIdentifikator")
    urn = relation.findtext(f"{_GD}ReferenceID/{_SD}URNIdentifikator")
    if relation.tag != _SAG + "Sagspart" or len(relation) != 2 or role is None or urn is None:
        raise _RefusedError("The town's index searches by a Sagspart's Rolle and URN, and by no other relation")
    return role.lower(), urn


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
