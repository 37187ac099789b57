"""The same cases of SOF as KL's FFB reports: a FHIR R4 bundle for each citizen, as the guide's examples are made.

An application is a ServiceRequest; once there is a decision, a CarePlan with a measure based on it.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from hub.contract import State
from hub.demo.kinds import LISTED_SOF, UNLISTED_SOF
from hub.demo.model import Town, Version
from hub.demo.servers.sof_cases import IndexCase, Party, cases

_GUIDE = "http://fhir.kl.dk/ffbreporting/StructureDefinition/kl-reporting-ffb-"
_FFB = "urn:oid:1.2.208.176.2.22"
_NAMESPACE = uuid.UUID("2f1a9c1e-64c4-4b58-9d53-0c9f4a0c8e11")
_PLAN = {State.DECIDED: "active", State.OPEN: "active", State.CLOSED: "completed"}


def code(kind: str) -> str:
    """The town's code of a measure for a kind of case. (KL's own are UUIDs too, of another division.)"""
    return str(uuid.uuid5(_NAMESPACE, kind))


def kinds() -> dict[str, str]:
    """Code of a measure → KLE subject."""
    return {code(kind): kind for kind in (*LISTED_SOF, *UNLISTED_SOF, "27.27.20")}


def export(town: Town, now: datetime, folder: Path) -> None:
    """Write the reports as they are at `now` (UTC), a file for each citizen, into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    about: dict[Party, list[tuple[IndexCase, Version]]] = {}
    for case in cases(town):
        version = next((each for each in reversed(case.versions) if each.changed <= now), None)
        if version is not None and case.party is not None and not case.party.company:
            about.setdefault(case.party, []).append((case, version))
    for party, standing in about.items():
        citizen = str(uuid.uuid5(_NAMESPACE, party.urn))
        bundle = {
            "resourceType": "Bundle",
            "id": str(uuid.uuid5(_NAMESPACE, f"{citizen} report")),
            "meta": {"profile": [f"{_GUIDE}deliveryReport"]},
            "type": "collection",
            "timestamp": max(version.changed for _case, version in standing).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "entry": [
                {"fullUrl": f"{each['resourceType']}/{each['id']}", "resource": each}
                for each in _resources(citizen, party, standing)
            ],
        }
        (folder / f"Bundle-{bundle['id']}.json").write_text(json.dumps(bundle, ensure_ascii=False), encoding="utf-8")


def _resources(citizen: str, party: Party, standing: list[tuple[IndexCase, Version]]) -> Iterator[dict[str, Any]]:
    subject = {"reference": f"Patient/{citizen}"}
    number = {"use": "official", "system": "urn:oid:1.2.208.176.1.2", "value": party.urn.rpartition(":")[2]}
    yield {"resourceType": "Patient", "id": citizen, "identifier": [number]}
    # What the case is about: a report is full of it, and it is nobody's business here.
    yield {
        "resourceType": "Condition",
        "id": str(uuid.uuid5(_NAMESPACE, f"{citizen} condition")),
        "subject": subject,
        "code": {"text": f"{party.name} har svært ved at færdes alene"},
    }
    for case, version in standing:
        extension = {
            "url": f"{_GUIDE}municipalityCaseNumber",
            "extension": [{"url": "municipalitySpecific", "valueIdentifier": {"value": case.number}}],
        }
        shared = {
            "id": case.uuid,
            "meta": {"security": [{"code": "V"}] if case.hidden else []},
            "extension": [extension],
            "subject": subject,
        }
        concept = {"coding": [{"system": _FFB, "code": code(case.kind)}]}
        if version.state is State.APPLIED:
            status = "entered-in-error" if version.gone else "active"
            yield {
                "resourceType": "ServiceRequest",
                **shared,
                "status": status,
                "intent": "proposal",
                "authoredOn": case.opened.isoformat(),
                "code": concept,
            }
            continue
        meeting = str(uuid.uuid5(_NAMESPACE, f"{case.uuid} meeting"))
        period = {"start": case.opened.isoformat()}
        if version.state is State.CLOSED:
            period["end"] = version.changed.date().isoformat()
        yield {
            "resourceType": "CarePlan",
            **shared,
            "extension": [
                extension,
                {"url": f"{_GUIDE}follow-up-date-extension", "valueReference": {"reference": f"Encounter/{meeting}"}},
            ],
            "status": "entered-in-error" if version.gone else _PLAN[version.state],
            "intent": "order",
            "period": period,
        }
        yield {
            "resourceType": "CarePlan",
            "id": str(uuid.uuid5(_NAMESPACE, f"{case.uuid} measure")),
            "basedOn": [{"reference": f"CarePlan/{case.uuid}"}],
            "status": "active",
            "intent": "order",
            "subject": subject,
            "period": period,
            "activity": [{"detail": {"code": concept, "status": "in-progress"}}],
        }
        yield {
            "resourceType": "Encounter",
            "id": meeting,
            "status": "planned",
            "class": {"code": "HH"},
            "subject": subject,
            "period": {"start": f"{case.opened.year + 1}-06-01"},
        }
