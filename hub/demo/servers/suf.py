"""The town's Cura: delivery reports by KL's Gateway guide, found by FHIR's search on `_lastUpdated`.

Each course is a report about one citizen, of any age, as it stands at the clock's time. As in a real Cura, reports hold
health content that must stop in the adapter, and now and then a parent stands in a child's report.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid5

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hub.clock import DENMARK, Clock
from hub.contract import State
from hub.demo.model import Town, TownCase, Version, Worker

_NAMES = UUID("5f0c9a52-3a0d-4f1e-9c56-1f1f6a2b7c11")
"""Namespace of the ids made here, so that the same town always has the same."""
_PROFILE = "http://fhir.kl.dk/gateway/StructureDefinition/klgateway-care-"
_SOR = {"identifier": {"use": "official", "system": "urn:oid:1.2.208.176.1.1", "value": "999999999999999"}}
_CPR = "urn:oid:1.2.208.176.1.2"
_RESTRICTED = [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}]
_PLAN_STATUS = {State.APPLIED: "draft", State.OPEN: "active", State.DECIDED: "active", State.CLOSED: "completed"}
_PARENT_IN_EVERY = 5
"""A parent is in the report of every so many children."""
_MOST = 1000
"""Entries of one answer at the most."""
_COMPARE: dict[str, Callable[[datetime, datetime], bool]] = {
    "ge": lambda changed, asked: changed >= asked,
    "gt": lambda changed, asked: changed > asked,
    "le": lambda changed, asked: changed <= asked,
    "lt": lambda changed, asked: changed < asked,
}

Resource = dict[str, Any]


class Cura:
    """The town's courses as reports."""

    def __init__(self, town: Town, clock: Clock) -> None:
        self._town, self._clock = town, clock
        self._cases = town.cases.get("SUF", ())
        children = [case.uuid for case in self._cases if case.child in town.parents]
        self._with_parent = set(children[::_PARENT_IN_EVERY])

    def changed(self) -> list[tuple[datetime, TownCase, Version]]:
        """Every course there is now and when it last changed, in the order of that."""
        now = self._clock.now()
        found = [(version.changed, case, version) for case in self._cases if (version := case.at(now)) is not None]
        return sorted(found, key=lambda one: (one[0], one[1].uuid))

    def report(self, case: TownCase, version: Version) -> Resource:
        citizen = {"reference": f"Patient/{case.uuid}"}
        resources = [self._patient(case, version), *_health(case, citizen)]
        adviser = self._town.workers.get(version.adviser or "")
        resources.append(_plan(case, version, citizen, adviser))
        if case.follow_up is not None and version.state is not State.CLOSED and not version.gone:
            resources.append(_contact(case, case.follow_up, citizen))
        if adviser is not None:
            resources.append(_practitioner(adviser))
        if case.uuid in self._with_parent:
            resources += self._parent(case, citizen)
        return {
            "resourceType": "Bundle",
            "id": _id(case, "report"),
            "meta": {"profile": [_PROFILE + "delivery-report"], "lastUpdated": _instant(version.changed)},
            "type": "collection",
            "timestamp": _instant(version.changed),
            "entry": [_entry(resource) for resource in resources],
        }

    def _patient(self, case: TownCase, version: Version) -> Resource:
        person = self._town.people.get(case.child)
        meta: Resource = {"profile": [_PROFILE + "citizen"]}
        if person is not None and person.protected:
            meta["security"] = _RESTRICTED
        # The guide's citizen has no name and no address.
        return {
            "resourceType": "Patient",
            "id": case.uuid,
            "meta": meta,
            "identifier": [{"use": "official", "system": _CPR, "value": case.child}],
            "active": not version.gone,
            "deceasedBoolean": False,
            "managingOrganization": _SOR,
        }

    def _parent(self, case: TownCase, citizen: Resource) -> Iterable[Resource]:
        parents = self._town.parents.get(case.child, ())
        if not parents:
            return
        parent, related = _id(case, "parent"), _id(case, "related")
        yield {
            "resourceType": "Patient",
            "id": parent,
            "identifier": [{"use": "official", "system": _CPR, "value": parents[0]}],
            "managingOrganization": _SOR,
            "link": [{"type": "seealso", "other": {"reference": f"RelatedPerson/{related}"}}],
        }
        relationship = {"system": "http://terminology.hl7.org/CodeSystem/v3-RoleCode", "code": "PRN"}
        yield {
            "resourceType": "RelatedPerson",
            "id": related,
            "patient": citizen,
            "relationship": [{"coding": [relationship]}],
        }
        yield {
            "resourceType": "QuestionnaireResponse",
            "id": _id(case, "answers"),
            "status": "completed",
            "subject": {"reference": f"Patient/{parent}"},
            "item": [{"linkId": "1", "answer": [{"valueString": "Opdigtet svar om forælderens helbred"}]}],
        }


def _plan(case: TownCase, version: Version, citizen: Resource, adviser: Worker | None) -> Resource:
    period = {"start": case.opened.isoformat()}
    if version.state is State.CLOSED:
        period["end"] = version.changed.astimezone(DENMARK).date().isoformat()
    return {
        "resourceType": "CarePlan",
        "id": _id(case, "plan"),
        "meta": {"profile": [_PROFILE + "planned-intervention"]},
        "status": "entered-in-error" if version.gone else _PLAN_STATUS[version.state],
        "intent": "plan",
        "subject": citizen,
        "period": period,
        **({} if adviser is None else {"author": {"reference": f"Practitioner/{adviser.uuid}"}}),
        "activity": [{"detail": {"status": "in-progress", "code": {"text": "Opdigtet indsats"}}}],
    }


def _contact(case: TownCase, day: date, citizen: Resource) -> Resource:
    return {
        "resourceType": "Encounter",
        "id": _id(case, "contact"),
        "meta": {"profile": [_PROFILE + "general-encounter"]},
        "status": "planned",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "HH"},
        "subject": citizen,
        "period": {"start": day.isoformat()},
    }


def _practitioner(worker: Worker) -> Resource:
    first, _, last = worker.name.rpartition(" ")
    return {
        "resourceType": "Practitioner",
        "id": worker.uuid,
        "identifier": [{"system": "https://www.kombit.dk/organisation", "value": worker.uuid}],
        "name": [{"use": "official", "given": first.split(), "family": last}],
        "telecom": [{"system": "phone", "value": worker.phone}, {"system": "email", "value": worker.email}],
    }


def _health(case: TownCase, citizen: Resource) -> list[Resource]:
    """What a report is really about, and what the hub must never see."""
    condition = _id(case, "condition")
    return [
        {
            "resourceType": "Condition",
            "id": condition,
            "meta": {"profile": [_PROFILE + "condition"]},
            "code": {"text": "Opdigtet helbredstilstand"},
            "subject": citizen,
            "recordedDate": case.opened.isoformat(),
        },
        {
            "resourceType": "Observation",
            "id": _id(case, "observation"),
            "status": "final",
            "code": {"text": "Opdigtet opfølgning på helbredstilstand"},
            "subject": citizen,
            "focus": [{"reference": f"Condition/{condition}"}],
        },
    ]


def _entry(resource: Resource) -> Resource:
    address = f"https://cura.example.dk/fhir/{resource['resourceType']}/{resource['id']}"
    return {"fullUrl": address, "resource": resource}


def _id(case: TownCase, what: str) -> str:
    return str(uuid5(_NAMES, f"{case.uuid} {what}"))


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def app(town: Town, clock: Clock) -> Starlette:
    """The FHIR server as an ASGI application: `GET /Bundle` (search) and `GET /metadata`. Nothing can be written."""
    cura = Cura(town, clock)

    def search(request: Request) -> Response:
        try:
            wanted = [_condition(value) for value in request.query_params.getlist("_lastUpdated")]
            count = min(max(int(request.query_params.get("_count", "100")), 1), _MOST)
            after = _after(request.query_params.get("_after"))
        except ValueError:
            return _answer(
                {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "invalid"}]}, 400
            )
        found = [one for one in cura.changed() if all(fits(one[0]) for fits in wanted)]
        left = [one for one in found if after is None or (one[0], one[1].uuid) > after]
        page, more = left[:count], left[count:]
        base = str(request.base_url)
        links = [{"relation": "self", "url": str(request.url)}]
        if more:
            query = [("_lastUpdated", value) for value in request.query_params.getlist("_lastUpdated")]
            query += [("_count", str(count)), ("_after", f"{_instant(page[-1][0])}/{page[-1][1].uuid}")]
            links.append({"relation": "next", "url": f"{base}Bundle?{urlencode(query)}"})
        reports = [cura.report(case, version) for _, case, version in page]
        return _answer(
            {
                "resourceType": "Bundle",
                "type": "searchset",
                "timestamp": _instant(clock.now()),
                "total": len(found),
                "link": links,
                "entry": [
                    {"fullUrl": f"{base}Bundle/{one['id']}", "resource": one, "search": {"mode": "match"}}
                    for one in reports
                ],
            }
        )

    def metadata(request: Request) -> Response:
        return _answer(
            {
                "resourceType": "CapabilityStatement",
                "status": "active",
                "date": _instant(town.start),
                "kind": "instance",
                "fhirVersion": "4.0.1",
                "format": ["json"],
                "rest": [
                    {
                        "mode": "server",
                        "resource": [
                            {
                                "type": "Bundle",
                                "interaction": [{"code": "search-type"}],
                                "searchParam": [{"name": "_lastUpdated", "type": "date"}],
                            }
                        ],
                    }
                ],
            }
        )

    return Starlette(routes=[Route("/Bundle", search, methods=["GET"]), Route("/metadata", metadata, methods=["GET"])])


def _condition(value: str) -> Callable[[datetime], bool]:
    compare = _COMPARE.get(value[:2])
    if compare is None:
        raise ValueError(value)
    asked = datetime.fromisoformat(value[2:])
    asked = asked if asked.tzinfo else asked.replace(tzinfo=UTC)
    return lambda changed: compare(changed, asked)


def _after(value: str | None) -> tuple[datetime, str] | None:
    if value is None:
        return None
    moment, _, uuid = value.rpartition("/")
    return datetime.fromisoformat(moment), uuid


def _answer(resource: Resource, status: int = 200) -> Response:
    text = json.dumps(resource, ensure_ascii=False, separators=(",", ":"))
    return Response(text, status, media_type="application/fhir+json")
