"""The demo's ten days with all their processes: each stage in seconds, and letters the whole way to "sent", raw."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from bench.measure import Result

_ROOT = Path(__file__).parents[1]


def run(runs: int, tell: Callable[[str], None], *, tiny: bool = False) -> Result:
    """`tovholder demo`, from an empty folder each time. Nothing is run beside it."""
    children = 60 if tiny else 1500
    result = Result("demo", "Ten days of a town, all processes", "letters", {"children in SOF": children})
    found = []
    for turn in range(1, runs + 1):
        tell(f"{turn} of {runs}")
        found.append(_ten_days(children))
    result.sides["letters, from event to sent"] = [one["letters"] / one["seconds"]["letters"] for one in found]
    result.sizes["letters"] = found[0]["letters"]
    for stage in found[0]["seconds"]:
        each = sorted(one["seconds"][stage] for one in found)
        result.notes[stage] = f"{median(each):.1f} s ({each[0]:.1f} to {each[-1]:.1f})"
    result.notes["most memory of one process"] = f"{max(one['peak_mb'] for one in found):.0f} MB"
    return result


def _ten_days(children: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="tov-") as folder:
        done = subprocess.run(
            [sys.executable, "-m", "hub.cli", "demo", "--no-serve", "--json", "--children", str(children)],
            cwd=_ROOT,
            env=os.environ | {"TOVHOLDER_DATA": folder},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    said: dict[str, Any] = json.loads(done.stdout)
    return said
