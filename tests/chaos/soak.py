"""`make soak`: does any process grow? A town lives day after day on a fast clock, its pages are read and its children
looked up, and the memory of every process is looked at all the while.

`python -m tests.chaos.soak --minutes 60 --json FILE`. A process is flat when it holds no more in the last quarter of
its time than in the second (the first is for warming up), but for a twentieth and a few MB. A command that ends is
looked at by its greatest size, run after run.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import sys
import tempfile
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import httpx2 as httpx

from tests.chaos.crew import Crew

EVERY = 0.5
"""Seconds between two looks."""
SHARE, ROOM = 1.05, 4.0
"""How much more than before is still flat: a twentieth, and so many MB."""
COMMANDS = ("match", "sync")


@dataclass
class Memory:
    """What the processes held, in MB: memory of their own, without what they share with others (the code, and
    PostgreSQL's buffers)."""

    looks: dict[tuple[str, int], list[float]] = field(default_factory=lambda: defaultdict(list))
    order: list[tuple[str, int]] = field(default_factory=list)

    def look(self, crew: Crew) -> None:
        for name, pid in crew.running():
            held = own_mb(pid)
            if held is not None:
                if (name, pid) not in self.looks:
                    self.order.append((name, pid))
                self.looks[name, pid].append(held)

    def report(self, least: int) -> dict[str, dict[str, float | int]]:
        """By name: the middle of the second quarter and of the last, over looks at a process that was there for at
        least so many of them; of commands that end, over the greatest of each run."""
        found: dict[str, dict[str, float | int]] = {}
        for command in COMMANDS:
            runs = [max(self.looks[key]) for key in self.order if key[0] == command]
            if len(runs) >= 8:
                found[command] = _compared(runs)
        for number, key in enumerate(self.order):
            if key[0] not in COMMANDS and len(self.looks[key]) >= least:
                found[f"{key[0]} ({number})"] = _compared(self.looks[key])
        return found


def _compared(looks: list[float]) -> dict[str, float | int]:
    quarter = len(looks) // 4
    before, after = median(looks[quarter : 2 * quarter]), median(looks[-quarter:])
    return {
        "looks": len(looks),
        "before_mb": round(before, 1),
        "after_mb": round(after, 1),
        "most_mb": round(max(looks), 1),
        "flat": after <= before * SHARE + ROOM,
    }


def own_mb(pid: int) -> float | None:
    """Memory that is the process's alone (Linux); None when it has ended meanwhile."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) / 1024
    return None


class Reader:
    """A guardian who opens the family page and every letter on it, again and again."""

    def __init__(self, crew: Crew) -> None:
        self.pages = 0
        self._crew, self._over = crew, threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._thread.join(30)

    def _read(self) -> None:
        base = f"http://127.0.0.1:{self._crew.port}"
        while not self._over.wait(1.0):
            with (
                contextlib.suppress(httpx.HTTPError),
                httpx.Client(base_url=base, timeout=20.0, trust_env=False) as web,
            ):
                self._visit(web, base)

    def _visit(self, web: httpx.Client, base: str) -> None:
        choice = web.get("/demo/login").text
        who = re.search(r'value="(guardian:[^"]+)"', choice)
        csrf = re.search(r'name="csrf" value="([^"]+)"', choice)
        if who is None or csrf is None:
            return
        web.post("/demo/login", data={"who": who[1], "csrf": csrf[1]}, headers={"Origin": base})
        page = web.get("/familie")
        self.pages += page.status_code == 200
        for address in re.findall(r'href="(/familie/breve/[^"]+)"', page.text)[:10]:
            self.pages += web.get(address).status_code == 200


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--children", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    memory, until = Memory(), time.monotonic() + given.minutes * 60
    with (
        tempfile.TemporaryDirectory(prefix="tov-") as folder,
        Crew(Path(folder), given.children, given.workers, None, fortnights=60) as crew,
    ):
        over = threading.Event()

        def watch() -> None:
            while not over.wait(EVERY):
                memory.look(crew)

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        reader, day, days = Reader(crew), crew.town.start, 0
        while time.monotonic() < until:
            day = crew.day(day, first=days == 0)
            crew.show_personas()
            days += 1
            if days % 10 == 0:
                print(f"{days} days, {reader.pages} pages, {len(crew.asked.entries)} lookups", flush=True)
        reader.stop()
        over.set()
        watcher.join()
        outcome = crew.outcome()
    found = memory.report(least=int(given.minutes * 60 / EVERY / 4))
    lived = {"minutes": given.minutes, "days": days, "children": given.children, "pages": reader.pages}
    print(f"{days} days · {outcome.summary()} · pages {reader.pages}")
    for name, sizes in found.items():
        said = "flat " if sizes["flat"] else "GROWS"
        print(f"{said} {name}: {sizes['before_mb']} MB, then {sizes['after_mb']} (most {sizes['most_mb']})")
    if given.json is not None:
        given.json.write_text(json.dumps({"lived": lived, "processes": found}, indent=1) + "\n", encoding="utf-8")
    for failure in outcome.wrong:
        print(f"WRONG {failure}")
    return 1 if outcome.wrong or not all(sizes["flat"] for sizes in found.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
