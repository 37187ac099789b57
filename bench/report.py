"""The figures as tables."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from bench.measure import Result, Spread


def show(console: Console, machine: dict[str, str], runs: int, results: list[Result]) -> None:
    """Machine, ratios with the figures they are of, and single steps."""
    about = Table(show_header=False, box=None, title=f"Median of {runs} (least to most)", title_justify="left")
    for name, value in machine.items():
        about.add_row(name, value)
    console.print(about)
    for result in results:
        sizes = ", ".join(f"{size:,} {name}" for name, size in result.sizes.items())
        unit = f", {result.unit} per second" if result.unit else ""
        console.print(f"\n[bold]{result.name}[/]  {result.title}{unit}\n{sizes}")
        if result.ratios:
            console.print(_ratios(result))
        compared = {name for ratio in result.ratios for name in (ratio.of, ratio.to)}
        for name, each in result.sides.items():
            if name not in compared:
                console.print(f"  {name}: {_rate(Spread.of(each))} a second")
        for name, note in result.notes.items():
            console.print(f"  {name}: {note}")
        if result.parts:
            console.print(_parts(result))


def _ratios(result: Result) -> Table:
    table = Table()
    table.add_column("what", no_wrap=True)
    table.add_column("a second", justify="right", no_wrap=True)
    table.add_column("beside it", no_wrap=True)
    table.add_column("a second", justify="right", no_wrap=True)
    table.add_column("ratio", justify="right", no_wrap=True)
    table.add_column("to reach", justify="right", no_wrap=True)
    for ratio in result.ratios:
        table.add_row(
            ratio.of,
            _rate(Spread.of(result.sides[ratio.of])),
            ratio.to,
            _rate(Spread.of(result.sides[ratio.to])),
            f"[bold]{_figure(ratio.spread.median)}[/] ({_figure(ratio.spread.min)} to {_figure(ratio.spread.max)})",
            "" if ratio.reach is None else f"≥ {ratio.reach:g}",
        )
    return table


def _parts(result: Result) -> Table:
    table = Table("step", box=None)
    table.add_column("µs", justify="right")
    for name, microseconds in result.parts.items():
        table.add_row(name, f"{microseconds:,.1f}")
    return table


def _rate(spread: Spread) -> str:
    return f"{spread.median:,.0f} ({spread.min:,.0f} to {spread.max:,.0f})"


def _figure(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"
