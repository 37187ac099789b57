"""The commands about sources: `sync`, and `quarantine`."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.padding import Padding
from rich.text import Text

from hub.access import records
from hub.cases import guard, quarantine, retry, sources
from hub.cases import sync as syncing
from hub.cases.dry_run import DryRun, Tried, dry_run
from hub.cases.match import match
from hub.cases.sources import Read
from hub.cli.base import (
    NEEDS_A_PERSON,
    Json,
    context,
    err,
    known_adapters,
    operator,
    out,
    print_json,
    read_settings,
    table_of,
)
from hub.identity import parse
from hub.plugins import load as load_plugins

quarantine_app = typer.Typer(no_args_is_help=True, help="Records that could not be read.")
Source = Annotated[str | None, typer.Option("--source", help="Of this source only.")]
Adapters = Annotated[list[str] | None, typer.Argument(help="Adapters to read; all when none is named.")]


def add_to(app: typer.Typer) -> None:
    app.command()(sync)
    app.add_typer(quarantine_app, name="quarantine")


def sync(
    adapters: Adapters = None,
    as_json: Json = False,
    dry: Annotated[
        bool, typer.Option("--dry-run", help="Read everything, say what would come of it, store nothing.")
    ] = False,
    children: Annotated[
        Path | None,
        typer.Option(help="With --dry-run: ask about the numbers in this file too, one a line; - is standard input."),
    ] = None,
    accept: Annotated[
        str | None,
        typer.Option(metavar="SOURCE", help="What this held source shows now is right: read it, and end the rest."),
    ] = None,
) -> None:
    """Read the cases of the children whose family has said yes.

    A source that is named is asked even if it has just failed; else it is left alone until its next try. With
    --dry-run every source is read from the beginning, also for children nobody has asked yet, and only counts come of
    it: no database is needed, and nothing is stored.

    Exit code 0 only when nothing needs a person; 3 when something does: a source without an answer, a record in
    quarantine, a source that shows so few records that nothing was ended (--accept); 1 when it could not be done."""
    if dry:
        _dry(adapters or [], children, as_json=as_json)
    if children is not None:
        raise typer.BadParameter("--children goes with --dry-run: a sync asks about the children of the scheme")
    named = [*(adapters or []), *([accept] if accept is not None else [])]
    with context(with_token=accept is not None) as ctx:
        known_adapters(named, ctx.plugins.adapters)
        presences: list[Read] = []
        if accept is not None:
            with ctx.database.begin() as session:
                accepted = guard.accept(session, accept)
            if sources.PRESENCE in accepted:
                presences = match(ctx, [accept]).reads
        results = syncing.sync(ctx, named)
    needs = not all(read.clean for read in [*results, *presences])
    if as_json:
        said = {"needs_a_person": needs, "sources": [asdict(read) for read in results]}
        print_json(said | ({"presences": [asdict(read) for read in presences]} if accept is not None else {}))
    else:
        if presences:
            show_reads(presences, "Presences")
        show_reads(results, "Cases")
        if results and not any(read.children for read in results):
            err.print(
                "No family has said yes yet, so no case was asked for. `--dry-run` shows what a source would give."
            )
    raise typer.Exit(NEEDS_A_PERSON if needs else 0)


def show_reads(reads: list[Read], title: str) -> None:
    """What came of reads, as a table, and what a person should know of each."""
    counts = ("read", "changed", "gone", "events", "ignored", "quarantined", "in_quarantine")
    table_of([{"source": read.source} | {name: getattr(read, name) for name in counts} for read in reads], title)
    for read in reads:
        since = f"no answer since {_time(read.stale_since)}: " if read.stale_since else ""
        notes = [read.held, read.failure and f"{since}{read.failure} (next try {_time(read.next_try_at)})"]
        notes.append("another process reads it now" if read.busy else None)
        notes.append(
            f"{read.unsure} not shown, and kept: an unreadable record may be one of them" if read.unsure else None
        )
        notes += [f"{count} in quarantine: {reason}" for reason, count in sorted(read.reasons.items())]
        for note in notes:
            if note:
                out.print(f"{read.source}: {note}", highlight=False, markup=False, soft_wrap=True)


def _time(when: Any) -> str:
    return when.isoformat(timespec="minutes") if when is not None else "at once"


def _dry(adapters: list[str], file: Path | None, *, as_json: bool) -> None:
    plugins = load_plugins(read_settings())
    known_adapters(adapters, plugins.adapters)
    results = dry_run(plugins, adapters, _numbers(file))
    needs = not all(result.clean for result in results)
    if as_json:
        print_json({"dry_run": True, "needs_a_person": needs, "sources": [asdict(result) for result in results]})
    else:
        table_of([_row(result, what, tried) for result in results for what, tried in _tries(result)], "Dry run")
        for result in results:
            for what, tried in _tries(result):
                unsaid = "the source does not say that this is all: nothing would be taken for gone"
                for note in [
                    tried.failure,
                    None if tried.whole or tried.failure else unsaid,
                    *(f"{n} unreadable: {reason}" for reason, n in sorted(tried.reasons.items())),
                ]:
                    if note:
                        out.print(f"{result.source} {what}: {note}", highlight=False, markup=False, soft_wrap=True)
    raise typer.Exit(NEEDS_A_PERSON if needs else 0)


def _tries(result: DryRun) -> list[tuple[str, Tried]]:
    named = [("presence", result.presence), ("custody" if result.administration is None else "cases", result.records)]
    return [(name, tried) for name, tried in named if tried is not None]


def _row(result: DryRun, what: str, tried: Tried) -> dict[str, Any]:
    counts = ("pages", "read", "gone", "ignored", "not_asked", "quarantined")
    kinds = " · ".join(f"{kind} {count}" for kind, count in sorted((tried.kinds or tried.states).items()))
    return (
        {"source": result.source, "what": what} | {name: getattr(tried, name) for name in counts} | {"of them": kinds}
    )


def _numbers(file: Path | None) -> set[str]:
    """The numbers in a file. What is none is refused by its line, and not repeated."""
    if file is None:
        return set()
    if str(file) != "-" and not file.is_file():
        raise typer.BadParameter(f"{file} is no file", param_hint="--children")
    lines = (sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8-sig")).splitlines()
    return {parse(line.strip()).digits for line in lines if line.strip()}


def _tell(kept: Iterable[quarantine.Kept]) -> None:
    """A few lines each: a table as narrow as a terminal would cut off the ids that `show` and `retry` want."""
    for one in kept:
        place, reason = (printable(words.encode()) for words in (one.position, one.reason))
        out.print(f"{one.id}  {one.source}: {place}", markup=False, highlight=False, soft_wrap=True)
        out.print(Padding(Text(reason), (0, 0, 0, 4), expand=False))
        left = f", left it {one.resolved_at:%Y-%m-%d %H:%M}" if one.resolved_at is not None else ""
        met = f"met {one.times} × from {one.first_seen:%Y-%m-%d %H:%M} to {one.last_seen:%Y-%m-%d %H:%M}{left} (UTC)"
        out.print(Padding(Text(met), (0, 0, 1, 4), expand=False))


@quarantine_app.command("list")
def quarantine_list(
    source: Source = None,
    resolved: Annotated[bool, typer.Option("--resolved", help="Also what has left it and is not yet deleted.")] = False,
    as_json: Json = False,
) -> None:
    """What waits, of which source, where and why. Nothing of what stands in the records.

    Exit code 3 when anything waits."""
    with context(with_token=False) as ctx, ctx.database.session() as session:
        found = quarantine.find(session, source=source, resolved=resolved)
    if as_json:
        print_json({"records": [asdict(record) for record in found]})
    else:
        _tell(found)
    raise typer.Exit(NEEDS_A_PERSON if any(record.resolved_at is None for record in found) else 0)


@quarantine_app.command("show")
def quarantine_show(
    record: Annotated[UUID, typer.Argument(help="Its id, as `list` shows it.")],
    reason: Annotated[str, typer.Option(help="Why you must see it. It stands in the access log.")],
    as_json: Json = False,
) -> None:
    """Show one record as it came. It may hold anybody's personal data: the look is written in the access log first.

    Who looked is the account of this machine that runs the command, not a name somebody types: whoever can run it has
    the keys at hand anyway, and what stands in the log should be what is known."""
    with context(with_token=False) as ctx:
        disclosure = records.look(
            ctx.database,
            ctx.keys,
            ctx.clock,
            operator(),
            reason,
            f"quarantine:{record}",
            lambda session: quarantine.open_raw(session, ctx.keys, record),
        )
    kept, raw = disclosure.value
    text = printable(raw)
    if as_json:
        print_json(asdict(kept) | {"record": text, "entry": disclosure.entry})
    else:
        err.print(f"{kept.source} {kept.purpose}, {kept.position}: {kept.reason}", markup=False, highlight=False)
        err.print(f"written in the access log as {disclosure.entry}", highlight=False)
        sys.stdout.write(text + "\n")


def printable(raw: bytes) -> str:
    """A record for a terminal: what could steer it (escape sequences, other control characters) is spelt out."""
    text = raw.decode("utf-8", errors="backslashreplace")
    return "".join(c if c in "\n\t" or c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


@quarantine_app.command("retry")
def quarantine_retry(
    ids: Annotated[list[UUID] | None, typer.Argument(metavar="[ID]...", help="Records, as `list` shows them.")] = None,
    source: Source = None,
    as_json: Json = False,
) -> None:
    """Ask the sources again, now, when a record has been mended there or the plugin has been updated.

    What is sealed here is never put in: a source is read in full, and what it says now is taken up. Exit code 3 when
    any of the records still cannot be read."""
    if not ids and source is None:
        raise typer.BadParameter("name records, or a source with --source")
    with context(with_token=True) as ctx:
        reads, after = retry.retry(ctx, retry.chosen(ctx, ids or [], source))
    left = [record for record in after if record.resolved_at is None]
    if as_json:
        print_json({"reads": [asdict(read) for read in reads], "records": [asdict(record) for record in after]})
    else:
        _tell(after)
        for read in reads:
            if read.failure:
                err.print(f"{read.source}: {read.failure}", markup=False, highlight=False)
        out.print(f"{len(after) - len(left)} read after all, {len(left)} still in quarantine")
    raise typer.Exit(NEEDS_A_PERSON if left or any(read.failure for read in reads) else 0)
