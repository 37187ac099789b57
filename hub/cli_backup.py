"""`tovholder backup` and `tovholder restore` (docs/operations.md)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from hub import context, recovery
from hub import settings as settings_reader
from hub.reconcile import Reconciled
from hub.store import keys_apart

NEEDS_A_PERSON = 3
out = Console()


def _say(text: str) -> None:
    out.print(escape(text), highlight=False, soft_wrap=True)


def backup(
    folder: Annotated[Path | None, typer.Argument(help="Where backups of the data are kept.")] = None,
    keys: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Copy the keys there: apart from the data.")
    ] = None,
) -> None:
    """Back up the data, or the keys, or both, each to a folder of its own; the hub may run meanwhile."""
    if folder is None and keys is None:
        raise typer.BadParameter("name a folder for the data, or one for the keys with --keys, or both")
    if folder is not None and keys is not None and _nested(folder, keys):
        raise typer.BadParameter("data and keys must not lie in the same folder, nor one within the other")
    settings = settings_reader.load()
    if keys is not None:
        _say(f"keys: {keys_apart.copy(settings.keys_folder, keys, settings.clock.now())}")
    if folder is not None:
        done, manifest = recovery.back_up(settings, folder)
        size = sum(file.bytes for file in manifest.files.values())
        _say(
            f"data: {done} ({size / 2**20:.1f} MB, {manifest.log.size} log entries, schema {manifest.schema_revision})"
        )


def _nested(one: Path, other: Path) -> bool:
    one, other = one.resolve(), other.resolve()
    return one == other or one in other.parents or other in one.parents


def restore(
    folder: Annotated[Path | None, typer.Argument(help="The backup: a folder tovholder-….")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Bring the restored database up to now, and let letters leave from it.")
    ] = False,
    hold: Annotated[
        bool, typer.Option("--hold", help="Let no letter leave: this is a copy that looks like the original.")
    ] = False,
    journal_lost: Annotated[
        bool, typer.Option("--journal-lost", help="With --resume: tell nothing that waits; coordinators ask.")
    ] = False,
    nothing_lost: Annotated[
        bool, typer.Option("--nothing-lost", help="With --resume: nothing left after the backup; I vouch for it.")
    ] = False,
) -> None:
    """Restore a backup into an empty database. Letters stay on hold until `tovholder restore --resume`."""
    if sum((folder is not None, resume, hold)) != 1:
        raise typer.BadParameter("say one of: the folder of a backup, --resume, --hold")
    if ((journal_lost or nothing_lost) and not resume) or (journal_lost and nothing_lost):
        raise typer.BadParameter("--journal-lost and --nothing-lost go with --resume, one of them")
    settings = settings_reader.load()
    if folder is not None:
        restored = recovery.restore(settings, folder)
        made = restored.manifest
        _say(f"restored the backup of {made.made_at:%Y-%m-%d %H:%M} UTC, schema {restored.schema_revision}")
        _say(f"access log: {made.log.size} entries, the same as were backed up; what was logged after it is lost")
        _tell(restored.journal, last=False)
        _say("letters are on hold. See that the old hub sends no more, then: tovholder restore --resume")
        return
    ctx = context.build(settings, with_token=True)
    try:
        if hold:
            recovery.hold(ctx)
            _say("letters are on hold until: tovholder restore --resume")
            return
        resumed = recovery.resume(ctx, journal_lost=journal_lost, nothing_lost=nothing_lost)
    finally:
        ctx.close()
    for silent in resumed.silent:
        _say(f"no answer from {silent}")
    _tell(resumed.journal, last=True)
    if resumed.ended:
        _say(f"{resumed.ended} events are not told by letter: their coordinators have a task each child")
    _say(f"letters leave from here again; {resumed.frozen} that were ready leave with their old keys")
    people = resumed.silent or resumed.ended or (resumed.journal and (resumed.journal.unsure or resumed.journal.lost))
    raise typer.Exit(NEEDS_A_PERSON if people else 0)


def _tell(found: Reconciled | None, *, last: bool) -> None:
    """What the journal knew. `last`: what could not be done now will not be."""
    if found is None:
        return
    _say(f"journal: {found.sent} letters had left, {found.told} more of which only the journal knows")
    _say(f"journal: {found.answers} answers of families given again")
    if found.acts:
        _say(f"journal: {found.acts} times coordinators were away, back, or changed, or said goodbye: done again")
    if found.unsure:
        _say(f"journal: {found.unsure} letters may have arrived: not told again, a task each")
    if found.lost and not last:
        _say(f"journal: {len(found.lost)} of them wait until the sources have been read (--resume)")
    for why in found.lost if last else ():
        _say(f"journal: not given again, a task each: {why}")
