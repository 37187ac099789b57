"""The crash runs in their short form; `make chaos` runs all of them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_nothing_is_lost_or_doubled_when_processes_are_killed():
    done = subprocess.run(
        [sys.executable, "-m", "tests.chaos", "--short", "--children", "80", "--days", "3"],
        cwd=ROOT,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.rstrip().endswith("nothing lost, nothing doubled")
    assert "killed nobody" not in done.stdout, done.stdout
