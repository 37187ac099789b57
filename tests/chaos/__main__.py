"""`make chaos`: a small town lives through some days while its processes are killed; afterwards all must be as if
nobody had pulled any plug.

`python -m tests.chaos` runs every fault point once and then kills at random; `--short` runs a few (as CI does);
`--only NAME` one of them, by its point or its number.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from hub import faults
from tests.chaos.check import Outcome, compare
from tests.chaos.crew import Crash, Crew, Storm

SHORT = ("letters.handed_over", "sync.page.committed", "random 1")

TIMES = {"match": 2, "sync": 2, "letters": 3, "lookup": 3}
"""The how manieth time at a point a process dies, by the point's first word: in the middle, where one process comes by
more than once."""


def plans(randoms: int) -> dict[str, Crash | Storm]:
    """What can go wrong, by name."""
    points: dict[str, Crash | Storm] = {
        point: Crash(point, TIMES.get(point.partition(".")[0], 1)) for point in faults.POINTS
    }
    return points | {f"random {n}": Storm(n) for n in range(1, randoms + 1)}


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

    def live(plan: Crash | Storm | None) -> Outcome:
        with (
            tempfile.TemporaryDirectory(prefix="tov-") as folder,
            Crew(Path(folder), given.children, given.workers, plan) as crew,
        ):
            crew.live(given.days)
            return crew.outcome()

    began = time.monotonic()
    calm = live(None)
    failures = compare(calm, calm)
    say(f"nobody pulls a plug: {calm.summary()}  {time.monotonic() - began:.0f} s", failures)
    for name, plan in chosen.items():
        if name not in wanted:
            continue
        began = time.monotonic()
        outcome = live(plan)
        found = compare(calm, outcome)
        say(f"{name}: killed {outcome.killed or 'nobody'}  {time.monotonic() - began:.0f} s", found)
        failures += found
    print("nothing lost, nothing doubled" if not failures else f"{len(failures)} things are wrong", flush=True)
    return 1 if failures else 0


def say(what: str, failures: list[str]) -> None:
    print(("ok    " if not failures else "WRONG ") + what, flush=True)
    for failure in failures:
        print(f"      {failure}", flush=True)


if __name__ == "__main__":
    random.seed(0)
    sys.exit(main())
