"""`python -m bench [NAME…] [--runs 5] [--json FILE]`."""

from __future__ import annotations

import argparse
import json
import signal
from pathlib import Path

from rich.console import Console

from bench import demo, growth, letter, lookup, match, parts, read, same_answer, sequencer, withdrawal
from bench.machine import describe
from bench.measure import Result
from bench.report import show

WIDTH = 130
"""Characters to a line where the tables go to a file."""
BENCHES = {
    "lookup": lookup.run,
    "same_answer": same_answer.run,
    "withdrawal": withdrawal.run,
    "sequencer": sequencer.run,
    "letter": letter.run,
    "match": match.run,
    "read": read.run,
    "parts": parts.run,
    "demo": demo.run,
    "growth": growth.run,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Speed, as ratios to what runs beside it.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which: {', '.join(BENCHES)} (all of them)")
    parser.add_argument("--runs", type=int, default=5, help="how often each side runs (5)")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    parser.add_argument("--tiny", action="store_true", help="so small that it only shows that it works")
    given = parser.parse_args()
    unknown = sorted(set(given.names) - set(BENCHES))
    if unknown:
        parser.error(f"there is no bench {unknown[0]!r}; there are {', '.join(BENCHES)}")
    if given.runs < 1:
        parser.error("--runs: at least 1")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # told to stop, it cleans up as for Ctrl-C
    machine = describe()
    results: list[Result] = []
    progress = Console(stderr=True)
    with progress.status("") as status:
        for name in given.names or BENCHES:

            def tell(what: str, name: str = name) -> None:
                status.update(f"{name}: {what}")

            results.append(BENCHES[name](given.runs, tell, tiny=given.tiny))
    if given.json is not None:
        found = {"machine": machine, "runs": given.runs, "benches": [result.as_json() for result in results]}
        given.json.write_text(json.dumps(found, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    out = Console()
    show(out if out.is_terminal else Console(width=WIDTH), machine, given.runs, results)


if __name__ == "__main__":
    main()
