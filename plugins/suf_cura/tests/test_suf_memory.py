"""How much memory a read takes: it follows the number of citizens, not of bytes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

MB = 1024 * 1024
CITIZENS = 2_000
_MEASURE = """
import resource, sys
from pathlib import Path
import hub
from tovholder_suf_cura import SufAdapter, SufSettings

adapter = SufAdapter(SufSettings(folder=Path(sys.argv[1]), kinds={"care": {"name": "Pleje"}}))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
records = [record for page in adapter.presence(None) for record in page.records]
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(sum(isinstance(record, hub.Presence) for record in records), len(records), (after - before) // 1024)
"""


def report(number: int) -> dict[str, Any]:
    """A report of about 20 KB, nearly all of it about health, as real ones are."""
    name, at = f"0000{number:04}-0000-4000-8000-000000000000", {"system": "urn:oid:1.2.208.176.1.2"}
    about = {"reference": f"Patient/{name}"}
    health = [
        {"resourceType": "Observation", "id": f"o{n}", "subject": about, "valueString": "Opdigtet " * 100}
        for n in range(20)
    ]  # fmt: skip
    resources = [
        {"resourceType": "Patient", "id": name, "identifier": [at | {"value": f"0101{number:06}"}]},
        {"resourceType": "CarePlan", "id": f"plan-{number}", "status": "active", "subject": about,
         "period": {"start": "2025-01-01"}},
        {"resourceType": "Encounter", "id": f"e-{number}", "status": "planned", "subject": about,
         "period": {"start": "2026-04-01"}},
        *health,
    ]  # fmt: skip
    outer = {"resourceType": "Bundle", "type": "collection", "timestamp": "2026-01-01T08:00:00Z"}
    return outer | {"entry": [{"resource": one} for one in resources]}


def by_line(size: int) -> Iterator[bytes]:
    ready = [json.dumps(report(number)).encode() + b"\n" for number in range(CITIZENS)]
    for number in range(size // len(ready[0])):
        yield ready[number % CITIZENS]


def delivery(size: int) -> Iterator[bytes]:
    """A bundle of bundles, all of it one line."""
    ready = [json.dumps({"resource": report(number)}).encode() for number in range(CITIZENS)]
    yield b'{"resourceType":"Bundle","type":"collection","entry":[' + ready[0]
    for number in range(size // len(ready[0])):
        yield b"," + ready[number % CITIZENS]
    yield b"]}"


def answer_with_delivery(size: int) -> Iterator[bytes]:
    yield b'{"resourceType":"Bundle","type":"searchset","entry":[{"resource":'
    yield from delivery(size)
    yield b"}]}"


def bulk(size: int) -> Iterator[bytes]:
    """Single resources by line."""
    ready = [b"".join(json.dumps(entry["resource"]).encode() + b"\n" for entry in report(number)["entry"])
             for number in range(CITIZENS)]  # fmt: skip
    for number in range(size // len(ready[0])):
        yield ready[number % CITIZENS]


def long_text(size: int) -> Iterator[bytes]:
    """One value as long as the file, in a report that is read all the same."""
    whole = json.dumps(report(1)).encode()
    yield b'{"text":"'
    for _ in range(size // MB):
        yield b"x" * MB
    yield b'",' + whole[1:]


def long_report(size: int) -> Iterator[bytes]:
    """One report as long as the file."""
    yield json.dumps(report(1)).encode()[:-2]
    one = b"," + json.dumps({"resource": {"resourceType": "CarePlan", "id": "p", "status": "active"}}).encode()
    for _ in range(size // (1000 * len(one))):
        yield one * 1000
    yield b"]}"


def bad_lines(size: int) -> Iterator[bytes]:
    for _ in range(size // (10 * 100_000)):
        yield b"{nothing}\n" * 100_000


Shape = Callable[[int], Iterator[bytes]]
SHAPES: dict[Shape, tuple[int, int]] = {
    by_line: (CITIZENS, CITIZENS),
    delivery: (CITIZENS, CITIZENS),
    answer_with_delivery: (CITIZENS, CITIZENS),
    bulk: (CITIZENS, CITIZENS),
    long_text: (1, 1),
    long_report: (0, 1),
    bad_lines: (0, 101),
}
"""Presences and records that each gives."""
MOST = 60
"""What a read may take beside the program itself (MB), also where the file is 2 GB."""


def measure(shape: Shape, size: int, folder: Path) -> tuple[tuple[int, int], int]:
    """Presences and records, and by how much the process grew (MB)."""
    with (folder / "large.json").open("wb") as file:
        file.writelines(shape(size))
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, str(folder)], capture_output=True, text=True, check=True, timeout=1_500
    )
    present, records, grown = map(int, done.stdout.split())
    return (present, records), grown


@pytest.mark.parametrize(
    "shape", [shape if shape is by_line else pytest.param(shape, marks=pytest.mark.slow) for shape in SHAPES]
)
def test_memory_stays_flat(shape: Shape, tmp_path: Path) -> None:
    found, grown = measure(shape, 100 * MB if shape in (long_text, long_report) else 48 * MB, tmp_path)
    assert found == SHAPES[shape]
    assert grown < MOST


@pytest.mark.long
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("shape", [delivery])
def test_memory_stays_flat_over_two_gigabytes(shape: Shape, tmp_path: Path) -> None:
    try:
        found, grown = measure(shape, 2 * 1024 * MB, tmp_path)
    finally:
        (tmp_path / "large.json").unlink()
    assert found == SHAPES[shape]
    assert grown < MOST
