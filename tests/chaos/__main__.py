"""`make chaos`: a small town lives through some days while its processes are killed; afterwards all must be as if
nobody had pulled any plug.

`python -m tests.chaos` runs every fault point once and then kills at random; `--short` runs a few (as CI does);
`--only NAME` one of them, by its point or its number.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from hub import faults
from tests.chaos.check import Outcome, compare
from tests.chaos.crew import Crash, Crew, Full, Plan, Silent, Storm

SHORT = ("letters.handed_over", "sync.page.committed", "random 1")

DISK_MB = 400
"""The size of a disk that gets full: what a small town needs in its days, and not much more."""

A_CALM_RUN = 60.0
"""How long the days take where nobody pulls a plug and nothing else runs (seconds, two cores). Where they take longer
storms are as much slower, or no command would ever come to its end."""

TIMES = {"match": 2, "sync": 2, "letters": 3, "lookup": 3}
"""The how manieth time at a point a process dies, by the point's first word: in the middle, where one process comes by
more than once."""


ELSEWHERE = ("pointers", "notices")
"""Nobody in this town asks to be told beside a letter, and its case systems come for their notices themselves: who is
killed at these points is killed in tests/letters/test_killed.py and tests/races/test_notices.py."""


def plans(randoms: int) -> dict[str, Plan]:
    """What can go wrong, by name."""
    here = [point for point in faults.POINTS if point.partition(".")[0] not in ELSEWHERE]
    points: dict[str, Plan] = {point: Crash(point, TIMES.get(point.partition(".")[0], 1)) for point in here}
    storms: dict[str, Plan] = {f"random {n}": Storm(n) for n in range(1, randoms + 1)}
    more: dict[str, Plan] = {"disk full 1": Full(1), "disk full 2": Full(2), "no answer 1": Silent(1)}
    return points | storms | more


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--short", action="store_true", help="a few of them")
    parser.add_argument("--only", action="append", help="only this one; may be given again")
    parser.add_argument("--random", type=int, default=4, metavar="N", help="how many random storms")
    parser.add_argument("--children", type=int, default=120)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--days", type=int, default=4)
    given = parser.parse_args()
    chosen = plans(given.random)
    wanted = set(given.only or (SHORT if given.short else chosen))
    unknown = wanted - chosen.keys()
    if unknown:
        parser.error(f"there is no {sorted(unknown)[0]!r}; there are {', '.join(chosen)}")

    def live(plan: Plan | None) -> Outcome:
        with (
            tempfile.TemporaryDirectory(prefix="tov-") as folder,
            disk(Path(folder), own=isinstance(plan, Full)),
            Crew(Path(folder), given.children, given.workers, plan) as crew,
        ):
            crew.live(given.days)
            return crew.outcome()

    began = time.monotonic()
    calm = live(None)
    pace = max(1.0, (time.monotonic() - began) / A_CALM_RUN)
    failures = compare(calm, calm)
    say(f"nobody pulls a plug: {calm.summary()}  {time.monotonic() - began:.0f} s", failures)
    for name, plan in chosen.items():
        if name not in wanted:
            continue
        began = time.monotonic()
        outcome = live(replace(plan, pace=pace) if isinstance(plan, Storm) else plan)
        found = compare(calm, outcome)
        if isinstance(plan, Crash) and not outcome.killed:
            found.append("no process came by this point, so nothing was tried")
        say(f"{name}: killed {outcome.killed or 'nobody'}  {time.monotonic() - began:.0f} s", found)
        failures += found
    print("nothing lost, nothing doubled" if not failures else f"{len(failures)} things are wrong", flush=True)
    return 1 if failures else 0


@contextmanager
def disk(folder: Path, *, own: bool) -> Iterator[None]:
    """`own`: a file system of its own on the folder, which takes the right to mount one."""
    if not own:
        yield
        return
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m,mode=711", "none", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def say(what: str, failures: list[str]) -> None:
    print(("ok    " if not failures else "WRONG ") + what, flush=True)
    for failure in failures:
        print(f"      {failure}", flush=True)


if __name__ == "__main__":
    random.seed(0)
    sys.exit(main())
