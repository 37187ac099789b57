"""What a bench gives back, and how its sides take turns."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any

Side = Callable[[], float]
"""Runs once and says how many there were a second."""


@dataclass(frozen=True, slots=True)
class Spread:
    """The middle of several runs, the least and the most."""

    median: float
    min: float
    max: float

    @classmethod
    def of(cls, runs: list[float]) -> Spread:
        return cls(median(runs), min(runs), max(runs))


@dataclass(frozen=True, slots=True)
class Ratio:
    """One side's speed as a share of another's in the same turn. `reach` is what it is to come to, None where nothing
    is said."""

    of: str
    to: str
    each: list[float]
    reach: float | None = None

    @property
    def spread(self) -> Spread:
        return Spread.of(self.each)


@dataclass(slots=True)
class Result:
    """What one bench found. `sides` are things per second, run by run; `notes` what else is to be known beside them;
    `parts` how long single steps take (microseconds)."""

    name: str
    title: str
    unit: str
    sizes: dict[str, int]
    sides: dict[str, list[float]] = field(default_factory=dict)
    ratios: list[Ratio] = field(default_factory=list)
    notes: dict[str, str] = field(default_factory=dict)
    parts: dict[str, float] = field(default_factory=dict)

    def compare(self, of: str, to: str, reach: float | None = None) -> None:
        """Add the ratio of two sides, turn by turn."""
        each = [one / other for one, other in zip(self.sides[of], self.sides[to], strict=True)]
        self.ratios.append(Ratio(of, to, each, reach))

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "title": self.title,
            "unit": f"{self.unit} per second",
            "sizes": self.sizes,
            "sides": self.sides,
            "ratios": [
                {"of": r.of, "to": r.to, "reach": r.reach, "median": r.spread.median, "each": r.each}
                for r in self.ratios
            ],
            "notes": self.notes,
            "parts_microseconds": self.parts,
        }


def alternate(runs: int, sides: Mapping[str, Side], tell: Callable[[str], None]) -> dict[str, list[float]]:
    """Let the sides take turns, A B A B, so that what the machine does beside this falls on all of them alike."""
    found: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(1, runs + 1):
        for name, side in sides.items():
            tell(f"{name}, {turn} of {runs}")
            gc.collect()  # what one side left behind is not the next one's to sweep
            found[name].append(side())
    return found
