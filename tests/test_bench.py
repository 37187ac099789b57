"""Each bench runs, measures what it says it measures, and leaves nothing behind. No test looks at a time."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from random import Random

import pytest

from bench import same_answer

ROOT = Path(__file__).parents[1]
SIDES = {
    "lookup": {"hub", "constant answer", "one transaction each"},
    "same_answer": {"unknown", "refused", "no coordinator", "closed", "shown"},
    "withdrawal": {"under load", "alone"},
    "sequencer": {
        *("queue", "one lookup per transaction", "sequencer alone", "a row each, in order", "a row each, in no order")
    },
    "letter": {"hub", "Typst alone"},
    "match": {"hub", "files and COPY", "nothing changed"},
    "read": {"hub", "files and COPY", "nothing changed"},
    "parts": set(),
    "demo": {"letters, from event to sent"},
    "growth": {
        f"{what}, {where}" for what in ("lookup", "log append", "match of a day") for where in ("town", "country")
    },
}


def bench(*words: str, temp: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"TMPDIR": str(temp)}
    return subprocess.run(
        [sys.executable, "-m", "bench", *words], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


def started_in(temp: Path) -> list[str]:
    """Processes that inherited this temp folder from the bench (seen on Linux only)."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it may end while it is looked at
            if f"TMPDIR={temp}".encode() in (process / "environ").read_bytes().split(b"\0"):
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", SIDES)
def test_bench_runs_every_side_and_leaves_nothing(name: str, tmp_path: Path) -> None:
    # A short path: the database's socket lies in the folder.
    with tempfile.TemporaryDirectory(prefix="tb-") as folder:
        temp = Path(folder)
        temp.chmod(0o755)
        done = bench(name, "--tiny", "--runs", "2", "--json", str(tmp_path / "found.json"), temp=temp)
        assert done.returncode == 0, done.stderr
        assert list(temp.iterdir()) == []
        assert started_in(temp) == []
    found = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))
    assert found["runs"] == 2
    (made,) = found["benches"]
    assert made["name"] == name
    assert set(made["sides"]) == SIDES[name]
    assert all(len(runs) == 2 and min(runs) > 0 for runs in made["sides"].values())
    assert made["ratios"] or made["parts_microseconds"] or made["notes"]
    for ratio in made["ratios"]:
        each = [a / b for a, b in zip(made["sides"][ratio["of"]], made["sides"][ratio["to"]], strict=True)]
        assert ratio["each"] == pytest.approx(each)
    assert made["title"] in done.stdout


def test_the_distance_of_two_distributions_is_the_largest_between_them() -> None:
    assert same_answer.ks([1, 2, 3, 4], [1, 2, 3, 4]) == 0
    assert same_answer.ks([1, 2], [3, 4]) == 1
    assert same_answer.ks([1, 2, 3, 4], [3, 4, 5, 6]) == 0.5
    assert same_answer.ks([1, 1, 1, 5], [1, 5, 5, 5]) == 0.5
    random = Random(1)

    def further(than: float) -> int:
        """How often two samples are further apart than chance makes them, of 60."""
        pairs = [([random.gauss(0) for _ in range(300)], [random.gauss(than) for _ in range(300)]) for _ in range(60)]
        return sum(same_answer.ks(*pair) > same_answer.chance(300, 300) for pair in pairs)

    assert further(0) <= 8  # 3 are to be expected
    assert further(0.5) == 60


def test_an_unknown_bench_is_refused_with_the_names_there_are(tmp_path: Path) -> None:
    done = bench("lokup", temp=tmp_path)
    assert done.returncode == 2
    assert "there is no bench 'lokup'" in done.stderr
    for name in SIDES:
        assert name in done.stderr


@pytest.mark.slow
def test_a_bench_that_is_stopped_leaves_nothing_either() -> None:
    with tempfile.TemporaryDirectory(prefix="tb-") as folder:
        temp = Path(folder)
        temp.chmod(0o755)
        running = subprocess.Popen(
            [sys.executable, "-m", "bench", "lookup"],
            cwd=ROOT,
            env=os.environ | {"TMPDIR": str(temp)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until = time.monotonic() + 60
        while not any("bench.lookup_client" in one for one in started_in(temp)) and time.monotonic() < until:
            time.sleep(0.02)
        assert any("bench.lookup_server" in one for one in started_in(temp)), "the bench never came so far"
        running.send_signal(signal.SIGTERM)  # a shell has whatever runs behind it ignore SIGINT
        assert running.wait(60) != 0
        assert list(temp.iterdir()) == []
        while started_in(temp) and time.monotonic() < until:
            time.sleep(0.02)
        assert started_in(temp) == []
