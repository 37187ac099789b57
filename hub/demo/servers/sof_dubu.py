"""The same cases of SOF as DUBU would show them: `GET /odata/Sag`, and exports as tables.

No schema of DUBU is published; this is as far as public integrations of municipalities and their exports show it. What
the town does not know of OData is refused, not ignored.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from hub.clock import Clock
from hub.contract import State
from hub.demo.model import Town, Version, Worker
from hub.demo.servers.sof_cases import IndexCase, cases
from hub.demo.servers.sof_sag import TITLES

PATH = "/odata/Sag"
STATUSES = {
    State.APPLIED: "SagStatus3",
    State.DECIDED: "SagStatus4",
    State.OPEN: "SagStatus1",
    State.CLOSED: "SagStatus5",
}
"""What the town's DUBU calls where a case stands; each municipality's settings say so for its own."""
COLUMNS = (
    *("Dato", "Startdato", "Slutdato", "Ydelsesbeløb", "Antal", "Sagstype", "Sagsnummer", "Type", "Ydelsestype"),
    *("Tilbud", "Afgørelsesparagraf", "Foranstaltningsparagraf", "Leverandør", "Status", "Enheds angivelse", "Tvang"),
    *("Beregningsfrekvens", "Afdeling", "CPR-nr."),
)
_WORDS = {State.APPLIED: "Ansøgt", State.DECIDED: "Bevilget", State.OPEN: "Iværksat", State.CLOSED: "Ophørt"}
_MOST = 1000
"""The most cases in one answer, however many are asked for."""
_KNOWN = {"$select", "$expand", "$orderby", "$top", "$skip", "$count", "$format"}
_EXPANDED = re.compile(r"(\w+)(?:\(\$select=([\w,]+)\))?(?:,|$)")


def kinds(town: Town) -> dict[str, str]:
    """What the town's DUBU calls a kind (sagstype) → its KLE subject."""
    return {_sagstype(case): case.kind for case in cases(town)}


def app(town: Town, clock: Clock) -> ASGIApp:
    """The service as an ASGI application. It answers for the town as it is at the clock's now."""
    everything = list(enumerate(cases(town), start=1))

    def answer(request: Request) -> Response:
        query = request.query_params
        top, skip = query.get("$top", str(_MOST)), query.get("$skip", "0")
        if set(query) - _KNOWN or not top.isdecimal() or not skip.isdecimal():
            return _refusal("Only $select, $expand, $orderby, $top, $skip, $count and $format are known here")
        if query.get("$orderby", "id desc") != "id desc" or query.get("$count", "true") not in ("true", "false"):
            return _refusal("The list comes as $orderby=id desc only")
        standing = [(id_, case, version) for id_, case, version in _standing(everything, clock.now())][::-1]
        page = standing[int(skip) : int(skip) + min(int(top), _MOST)]
        own = query["$select"].split(",") if "$select" in query else None
        expanded = {
            name: inner.split(",") if inner else None for name, inner in _EXPANDED.findall(query.get("$expand", ""))
        }
        shown = [_shown(_object(id_, case, version, town), own, expanded) for id_, case, version in page]
        count = {"@odata.count": len(standing)} if query.get("$count") == "true" else {}
        return JSONResponse({**count, "value": shown})

    return Starlette(routes=[Route(PATH, answer, methods=["GET"])])


def export(
    town: Town, now: datetime, file: Path, *, encoding: str = "cp1252", delimiter: str = ";", line_end: str = "\r\n"
) -> None:
    """Write the cases as they are at `now` (UTC) as one table, a row for each measure. Cases about nobody who has a
    number are not in it, nor those that are gone."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", encoding=encoding, newline="") as stream:
        rows = csv.writer(stream, delimiter=delimiter, lineterminator=line_end)
        rows.writerow(COLUMNS)
        for id_, case, version in _standing(list(enumerate(cases(town), start=1)), now):
            if case.party is not None and not case.party.company:
                rows.writerows(_rows(id_, case, version, town.workers.get(version.adviser or ""), now))


def _standing(everything: list[tuple[int, IndexCase]], now: datetime) -> Iterator[tuple[int, IndexCase, Version]]:
    for id_, case in everything:
        version = next((each for each in reversed(case.versions) if each.changed <= now), None)
        if version is not None and not version.gone:
            yield id_, case, version


def _sagstype(case: IndexCase) -> str:
    return TITLES.get(case.kind, "sag").capitalize()


def _object(id_: int, case: IndexCase, version: Version, town: Town) -> dict[str, Any]:
    person = case.party if case.party is not None and not case.party.company else None
    worker = town.workers.get(version.adviser or "")
    return {
        "id": id_,
        "sagsnummer": case.number,
        "titel": f"{_sagstype(case)} – {person.name if person else 'uden person'}",
        "sagstype": _sagstype(case),
        "status": {"brugervendtNoegle": STATUSES[version.state]},
        "isSensitive": case.hidden in ("vip", "exempt"),
        "tvang": case.hidden == "profile",
        "primaerPerson": None
        if person is None
        else {"id": 7_000_000 + id_, "cprnr": person.urn.rpartition(":")[2], "fuldeNavn": person.name},
        "primaerBehandler": None if worker is None else {"navn": worker.name, "email": worker.email},
        "foerstkommendeFrist": {"id": id_, "fristDato": f"{case.opened + timedelta(days=365)}T00:00:00Z"},
    }


def _shown(case: dict[str, Any], own: list[str] | None, expanded: dict[str, list[str] | None]) -> dict[str, Any]:
    """What was asked for; an object is sent only where it is expanded."""
    shown = {
        name: value for name, value in case.items() if (own is None or name in own) and not isinstance(value, dict)
    }
    for name, inner in expanded.items():
        value = case.get(name)
        shown[name] = {key: each for key, each in value.items() if inner is None or key in inner} if value else None
    return shown


def _rows(id_: int, case: IndexCase, version: Version, worker: Worker | None, now: datetime) -> Iterator[list[str]]:
    number = (case.party.urn if case.party is not None else "").rpartition(":")[2]
    end = version.changed.strftime("%d-%m-%Y") if version.state is State.CLOSED else ""
    for place in range(1 + id_ % 2):
        yield [
            now.strftime("%d-%m-%Y"),
            case.opened.strftime("%d-%m-%Y" if id_ % 3 else "%d.%m.%Y"),
            end,
            f"1.{id_ % 1000:03},50",
            str(1 + place),
            _sagstype(case),
            case.number,
            "Ydelse",
            f"Ydelse {place + 1}",
            'Tilbuddet "Ågården";\nafdeling 2' if id_ % 5 == 0 else "Ågården",
            "BL § 86",
            "",
            "Hjælpemidler, Aflastning & Søn ApS",
            _WORDS[version.state],
            "Kr.",
            "Ja" if case.hidden else "Nej",
            "Månedlig",
            worker.unit if worker is not None else "Socialforvaltningen",
            f"{number[:6]}-{number[6:]}",
        ]


def _refusal(why: str) -> Response:
    return JSONResponse({"error": {"code": "", "message": why}}, status_code=400)
