"""The command `tovholder`.

Exit codes: 0 all is well; 1 it could not be done, and the message says what to do; 2 the command was not understood;
3 it was done, and something waits for a person (a source without an answer, a record in quarantine).
"""

from __future__ import annotations

import asyncio
import csv
import gc
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.markup import escape

from hub import cli_backup, jobs
from hub import settings as settings_reader
from hub.access.askers import KeyCache
from hub.access.log import Asker
from hub.access.lookup import LookupQueue, Request
from hub.access.policy import PURPOSES
from hub.api import tokens
from hub.api.app import answer
from hub.cli import cover, from_sources, late, notices, of_letters
from hub.cli.base import NEEDS_A_PERSON, Json, context, err, out, print_json, read_settings, table_of
from hub.context import Context
from hub.contract import StaffRecord
from hub.coordination.staff import add_coordinator
from hub.demo import personas, show
from hub.demo import setup as demo_setup
from hub.doctor import examine
from hub.errors import NotAllowed, SettingsError, TovholderError
from hub.identity import parse
from hub.plugins import load as load_plugins
from hub.retention import forget as retention
from hub.settings import Settings
from hub.store import outage
from hub.store.database import Database
from hub.vault import make_keys
from hub.web import serving

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__, pretty_exceptions_enable=False)
plugins_app = typer.Typer(no_args_is_help=True, help="The installed plugins.")
coordinators_app = typer.Typer(no_args_is_help=True, help="Who coordinates.")
app.add_typer(plugins_app, name="plugins")
app.add_typer(coordinators_app, name="coordinators")
app.command()(cli_backup.backup)
app.command()(cli_backup.restore)
from_sources.add_to(app)
cover.add_to(coordinators_app)
notices.add_to(app)
of_letters.add_to(app)
late.add_to(of_letters.letters_app)


@app.command()
def migrate() -> None:
    """Bring the database to this version; make the keys if there are none."""
    settings = settings_reader.load()
    made = make_keys(settings.keys_folder)
    database = Database(settings)
    try:
        before, after = database.migrate()
    finally:
        database.close()
    out.print(f"schema {before or 'empty'} → {after}" if before != after else f"schema {after}: nothing to do")
    if made:
        out.print(f"keys made in {settings.keys_folder}: keep a copy of that folder apart from the database's backup")


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8000,
) -> None:
    """Serve the pages and the API until stopped."""
    with context(with_token=True, to_people=True) as ctx:
        serving.serve(ctx, host, port)


@app.command()
def worker(
    queue: Annotated[list[str], typer.Option(help="Queues to work on.")] = list(jobs.QUEUES),  # noqa: B006 - typer shows it, and hands out copies
    concurrency: Annotated[int, typer.Option(min=1, max=64)] = 2,
) -> None:
    """Work on jobs until stopped: letters, match, sync."""
    unknown = sorted(set(queue) - set(jobs.QUEUES))
    if unknown:
        raise typer.BadParameter(f"there is no queue {unknown[0]!r}; there are {', '.join(jobs.QUEUES)}")
    with context(with_token=jobs.MATCH in queue, to_people=True) as ctx:
        jobs.work(ctx, queue, concurrency)


@app.command()
def match(as_json: Json = False) -> None:
    """Read who is present where, find the target group, offer coordinators."""
    with context(with_token=True) as ctx:
        found, custody, placed = jobs.find_and_offer(ctx)
    if as_json:
        print_json({**asdict(found), "custody": [asdict(read) for read in custody], **asdict(placed)})
    else:
        from_sources.show_reads(found.reads, "Presences")
        out.print(f"in the target group {found.found} · offered now {placed.offered} · waiting {placed.waiting}")
    clean = all(read.clean for read in found.reads) and not any(
        read.failure or read.held or read.quarantined for read in custody
    )
    raise typer.Exit(0 if clean else NEEDS_A_PERSON)


@app.command()
def forget(as_json: Json = False) -> None:
    """Forget what the rules say may go, as every night: `[retention]` in the settings, docs/data-protection.md."""
    with context(with_token=False) as ctx:
        done = retention.forget(ctx)
    if as_json:
        print_json({"forgotten": done})
    else:
        table_of([{"rule": rule, "count": count} for rule, count in done.items()], "Forgotten")


@plugins_app.command("list")
def plugins_list(as_json: Json = False) -> None:
    """The installed plugins, and which the settings use."""
    loaded = load_plugins(read_settings())
    rows = [asdict(plugin) for plugin in loaded.loaded]
    if as_json:
        kinds = {"adapters": loaded.adapters, "channels": loaded.channels, "mailers": loaded.mailers}
        print_json({"plugins": rows} | {kind: sorted(names) for kind, names in kinds.items()})
    else:
        table_of(rows, "Plugins")


@coordinators_app.command("import")
def coordinators_import(file: Annotated[Path, typer.Argument(exists=True, dir_okay=False)]) -> None:
    """Read coordinators from a CSV file with the columns id, name, phone, email, and unit, administration where leaders
    are to see their own team's families. `id` is the one they sign in with. Doing it again renews them."""
    with context(with_token=False) as ctx, file.open(encoding="utf-8-sig", newline="") as handle:
        reader = csv.DictReader(handle)
        if not {"id", "name"} <= set(reader.fieldnames or []):
            raise SettingsError(f"{file}: the first line must name the columns id, name, phone, email")
        with ctx.database.begin() as session:
            rows = list(reader)
            for row in rows:
                record = StaffRecord(
                    row["id"],
                    row["name"],
                    row.get("email") or None,
                    row.get("phone") or None,
                    row.get("unit") or None,
                )
                add_coordinator(ctx, session, record, row.get("administration") or None)
    out.print(f"{len(rows)} coordinators")


@app.command()
def doctor(as_json: Json = False) -> None:
    """Is everything there and answering? Sources, channels, database, log, letters that wait too long."""
    with context(with_token=False) as ctx:
        checks = examine(ctx)
    if as_json:
        print_json([asdict(check) for check in checks])
    else:
        table_of([{"what": c.what, "ok": "yes" if c.ok else "NO", "detail": c.detail} for c in checks], "Health")
    raise typer.Exit(0 if all(check.ok for check in checks) else NEEDS_A_PERSON)


As = Annotated[str, typer.Option("--as", metavar="STAFF", help="Id of the member of staff who asks.")]


@app.command(context_settings={"allow_extra_args": True})
def lookup(
    command: typer.Context,
    staff: As,
    purpose: Annotated[str, typer.Option(help="coordination, case or contact.")],
    reason: Annotated[str | None, typer.Option(help="Written reason, where there is no case.")] = None,
) -> None:
    """Who is a child's coordinator? Reads the number from standard input, never from the command line."""
    if command.args:  # click's own refusal would repeat the number
        raise typer.BadParameter("the number is read from standard input; the command line takes none")
    if purpose not in PURPOSES:
        raise typer.BadParameter(f"use one of {', '.join(sorted(PURPOSES))}", param_hint="--purpose")
    number = parse(sys.stdin.readline().strip())
    with context(with_token=True) as ctx:
        asker = _staff(ctx.settings, staff)
        request = Request(asker, ctx.keys.lookup_token(number.digits), purpose, reason)
        disclosure = asyncio.run(_ask(ctx, request))
        print_json(answer(disclosure, ctx.settings.municipality.phone).model_dump(mode="json"))


async def _ask(ctx: Context, request: Request) -> Any:
    cache = KeyCache(ctx.database, ctx.keys, ctx.clock)
    queue = LookupQueue(ctx, cache, ensure=ctx.database.ensure)
    writer = asyncio.create_task(queue.run())
    try:
        return await queue.ask(request)
    finally:
        writer.cancel()
        await asyncio.gather(writer, return_exceptions=True)


@app.command()
def token(staff: As) -> None:
    """A bearer token for the API, in the demo only."""
    settings = read_settings()
    if settings.demo is None:
        raise NotAllowed("tokens are the municipality's own issuer's to give; this command exists in the demo only")
    key = demo_setup.signing_key(settings.demo.folder)
    sys.stdout.write(tokens.issue(key, settings.api, settings.clock, _staff(settings, staff)) + "\n")


def _staff(settings: Settings, staff: str) -> Asker:
    """The member of staff by id: in the demo from its personas."""
    if settings.demo is None:
        raise NotAllowed("outside the demo staff sign in; this command exists in the demo only")
    known = personas.staff(settings.demo.folder)
    if staff not in known:
        raise NotAllowed(f"there is no member of staff {staff!r}; there are {', '.join(known)}")
    return known[staff]


@app.command()
def demo(
    serve_after: Annotated[bool, typer.Option("--serve/--no-serve", help="Serve the pages.")] = True,
    as_json: Json = False,
    children: Annotated[int, typer.Option(min=50, max=100_000, help="Children with a service in SOF.")] = 6075,
    seed: Annotated[int, typer.Option(help="Another seed, another town.")] = 1,
    port: Annotated[int, typer.Option(help="Port of the pages.")] = 8000,
) -> None:
    """Run a whole town: three source systems, Digital Post, ten working days; then serve the pages."""
    result = show.run(
        settings_reader.load(), children=children, seed=seed, port=port if serve_after else None, console=err
    )
    if as_json:
        print_json(result.numbers)
    else:
        result.show(out)
    if serve_after:
        result.stay(err)
    else:
        result.close()


def guarded(run: Callable[[], None]) -> None:
    """Run, and turn the hub's own errors into a message and an exit code."""
    try:
        run()
    except TovholderError as error:
        _refuse(str(error), error)
    except outage.Unavailable as error:
        said = outage.why(error)
        if said is None:
            raise
        _refuse(f"{said}{'' if said.endswith('?') else '.'} Run this again when it answers", error)


def _refuse(said: str, error: BaseException) -> NoReturn:
    # The text may hold brackets (a path, a list), and must stay one line for whoever reads it by program.
    err.print(f"[bold red]tovholder:[/] {escape(said)}", highlight=False, soft_wrap=True)
    raise SystemExit(1) from error


def main() -> None:
    # Rows come by the thousand and nearly all go again by themselves: looking for circles among them every 700 was four
    # to eight percent of the processor's time.
    gc.set_threshold(20_000, 20, 20)
    guarded(app)


if __name__ == "__main__":
    main()
