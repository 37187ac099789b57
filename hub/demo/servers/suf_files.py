"""What the town's Cura delivers as files, in the ways such systems do: reports, deliveries of several reports (a bundle
of bundles), a report to a line, and single resources by kind to a line (as a FHIR Bulk Data export).
"""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path

from hub.clock import Clock
from hub.demo.model import Town
from hub.demo.servers.suf import Cura, Resource

_TOGETHER = 7
"""Reports in one delivery, and in one file of lines."""


class Way(StrEnum):
    """A way to deliver."""

    REPORTS = "reports"
    DELIVERIES = "deliveries"
    LINES = "lines"
    BULK = "bulk"


def write(town: Town, clock: Clock, folder: Path, way: Way) -> None:
    """Put what Cura says at the clock's time into a folder, in place of what was there."""
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    cura = Cura(town, clock)
    reports = [cura.report(case, version) for _, case, version in cura.changed()]
    parts = [reports[first : first + _TOGETHER] for first in range(0, len(reports), _TOGETHER)]
    match way:
        case Way.REPORTS:
            files = {f"{number:04}.json": [one] for number, one in enumerate(reports, start=1)}
        case Way.DELIVERIES:
            files = {f"{number:04}.json": [_delivery(some)] for number, some in enumerate(parts, start=1)}
        case Way.LINES:
            files = {f"{number:04}.ndjson": some for number, some in enumerate(parts, start=1)}
        case Way.BULK:
            files = _by_kind(reports)
    for name, documents in files.items():
        lines = [json.dumps(one, ensure_ascii=False) + "\n" for one in documents]
        (folder / name).write_text("".join(lines), encoding="utf-8")


def _delivery(reports: list[Resource]) -> Resource:
    entries = [{"fullUrl": f"https://cura.example.dk/fhir/Bundle/{one['id']}", "resource": one} for one in reports]
    return {"resourceType": "Bundle", "type": "collection", "timestamp": reports[-1]["timestamp"], "entry": entries}


def _by_kind(reports: list[Resource]) -> dict[str, list[Resource]]:
    found: dict[str, dict[str, Resource]] = {}
    for report in reports:
        for entry in report["entry"]:
            resource = entry["resource"]
            meta = {**resource.get("meta", {}), "lastUpdated": report["timestamp"]}
            kind = str(resource["resourceType"])
            found.setdefault(f"{kind}.ndjson", {})[resource["id"]] = {**resource, "meta": meta}
    return {name: list(resources.values()) for name, resources in found.items()}
