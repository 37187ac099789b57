"""After a restore: bring a database that is behind what has happened up to it, and only then let letters leave.

A restored database is of the moment of its backup. Letters have left since, and families have answered. The journal
(hub.journal) knows both: answers are given again, letters that left are marked as sent, and what they told is not told
again. Where the journal is lost too, nothing that waits is told by letter: a person asks the family instead.
"""

from __future__ import annotations

import getpass
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select, update
from sqlalchemy.orm import Session

from hub import context, jobs
from hub.access import log, whole
from hub.access.askers import asker_key, day_key
from hub.cases import custody, sources, sync
from hub.clock import today
from hub.context import Context
from hub.errors import GaveUp, NotAllowed, TovholderError
from hub.letters import statuses
from hub.letters.compose import BATCH as LETTERS
from hub.reconcile import Reconciled, doubt, reconcile
from hub.settings import Settings
from hub.store import backup, home, keys_apart, queue, tables, tasks
from hub.store.database import Database
from hub.vault import load_keys

NOT_KNOWN = "may have been told between the backup and the restore: somebody asks the family"
ASK, LOST_ANSWER = "ask_what_was_told", "answer_lost"
"""Kinds of task: events nobody knows whether they were told, and an answer that could not be given again."""


def read_log(connection: Connection) -> backup.Log:
    found = whole.state(connection)
    return backup.Log(size=found.size, sha256=found.sha256)


def back_up(settings: Settings, folder: Path) -> tuple[Path, backup.Manifest]:
    """A backup in `folder`: where, and what is in it. Raises GaveUp, NotAllowed, SettingsError, SchemaError."""
    keys_apart.refuse_beside_keys(folder)
    keys = load_keys(settings.keys_folder, with_token=True)
    database = Database(settings)
    try:
        database.check()
        now = settings.clock.now()
        with database.begin() as session:
            # So that the dump says where letters leave from, also before the first has: its copy then sends none.
            home.claim(session, now)
        with database.owner_engine() as owner:
            return backup.make(owner, folder, now, read_log, keys_apart.fingerprints(keys))
    finally:
        database.close()


@dataclass(frozen=True, slots=True)
class Restored:
    manifest: backup.Manifest
    schema_revision: str
    journal: Reconciled | None


def restore(settings: Settings, folder: Path) -> Restored:
    """Put the backup in `folder` into the settings' empty database; letters stay on hold until `resume`.

    Raises, before anything is changed: BadBackup, OtherKeys, SchemaError (of a newer program), NotAllowed (the database
    is not empty)."""
    manifest = backup.read(folder)
    keys = load_keys(settings.keys_folder, with_token=True)
    keys_apart.check(keys, manifest.keys, settings.keys_folder)
    database = Database(settings)
    try:
        with database.owner_engine() as owner:
            backup.load(owner, folder, manifest, read_log)
        _before, revision = database.migrate()
    finally:
        database.close()
    ctx = context.build(settings, with_token=True)
    try:
        with ctx.database.begin() as session:
            what = {"backup": manifest.made_at.isoformat(), "size": manifest.log.size, "sha256": manifest.log.sha256}
            _write_down(ctx, session, "restored", what)
        found = reconcile(ctx, settings.journal) if settings.journal is not None else None
    finally:
        ctx.close()
    return Restored(manifest, revision, found)


def hold(ctx: Context) -> None:
    """Let no letter leave until `resume`: for a copy that the hub cannot tell from the original."""
    with ctx.database.begin() as session:
        home.hold(session, ctx.clock.now())
        _write_down(ctx, session, "held", {})


def _write_down(ctx: Context, session: Session, kind: str, what: dict[str, Any]) -> None:
    """What an operator did with the database, in the access log: the log says itself where it was set back."""
    now = ctx.clock.now()
    entry = log.seal_entry(
        at=now,
        kind=kind,
        child_id=None,
        asker=log.SYSTEM,
        asker_key=asker_key(session, ctx.keys, log.SYSTEM),
        subject=what | {"operator": getpass.getuser()},
        subject_key=day_key(session, ctx.keys, today(ctx.clock)),
    )
    log.append(session, [entry])


@dataclass(frozen=True, slots=True)
class Resumed:
    silent: list[str]
    """Sources and channels that did not answer just now, with the reason."""
    journal: Reconciled | None
    ended: int
    """Events that nobody knows whether they were told: a person asks."""
    frozen: int
    """Letters that were ready when the backup was made, and leave now with their old keys."""


def resume(ctx: Context, *, journal_lost: bool = False, nothing_lost: bool = False) -> Resumed:
    """Bring a restored database up to now, and let letters leave from it.

    What became of letters is asked of the channel, and all sources are read; then the journal is taken in. With
    `journal_lost` all that waits to be told ends here instead, each child's coordinator with a task; then every source
    must have answered, or what it has yet to show would be told. `nothing_lost`: the operator vouches that nothing left
    after the backup (the hub was stopped and moved).

    Raises NotAllowed when letters are not on hold, or there is no journal and nothing was said of it; GaveUp when a
    source did not answer and had to."""
    folder = ctx.settings.journal
    with ctx.database.session() as session:
        if not home.held(session):
            raise NotAllowed("letters are not on hold: there is nothing to resume")
    if folder is None and not (journal_lost or nothing_lost):
        raise NotAllowed(
            "the settings name no journal, so nobody knows which letters left after the backup. If there is one, name "
            "it; else --journal-lost: nothing that waits is told by letter, and coordinators ask; or, if nothing can "
            "have left since, --nothing-lost"
        )
    use = folder if not (journal_lost or nothing_lost) else None
    first = reconcile(ctx, use) if use is not None else None  # answers first: who said no is not read about
    silent = _catch_up(ctx)
    if journal_lost and silent:
        raise GaveUp(
            f"letters stay on hold, because what has been told is unknown until all have answered: {silent[0]}"
        )
    found = reconcile(ctx, use) if use is not None else None  # and of children whom the sources show only now
    if first is not None and found is not None:
        found.sent += first.sent
        found.answers += first.answers
        found.acts += first.acts
    with ctx.database.begin() as session:
        if found is not None:
            tasks.put(session, ctx.keys, ctx.clock.now(), LOST_ANSWER, {why: {} for why in found.lost})
        ended = _ask_instead(ctx, session) if journal_lost else 0
        frozen = session.execute(select(tables.Letter.id).where(tables.Letter.state == "frozen")).scalars().all()
        ids = list(map(str, frozen))
        for part in (ids[start : start + LETTERS] for start in range(0, len(ids), LETTERS)):
            queue.defer(session, queue.DELIVER, [{"letter_ids": list(part)}])
        home.release(session, ctx.clock.now())
        _write_down(ctx, session, "resumed", {"journal": use is not None, "journal_lost": journal_lost})
    return Resumed(silent, found, ended, len(frozen))


def _catch_up(ctx: Context) -> list[str]:
    """Ask the channel and read every source; gives who did not answer."""
    silent = []
    try:
        statuses.take_statuses(ctx)
    except TovholderError as error:
        silent.append(str(error))
    found, read, _placed = jobs.find_and_offer(ctx)
    reads: list[sources.Read | custody.CustodyRead] = [*found.reads, *read, *sync.sync(ctx, ctx.plugins.adapters)]
    silent += [f"{one.source}: {one.failure}" for one in reads if one.failure]
    return silent


def _ask_instead(ctx: Context, session: Session) -> int:
    """All that waits to be told ends, with the reason, and each child's coordinator asks. A letter that was ready is
    sent again with its key; if it has to be withheld, a person looks at that too. Gives how many events."""
    waiting = select(tables.Bundle.id).where(tables.Bundle.composed_at.is_(None))
    children = (
        session.execute(
            update(tables.Event)
            .where(tables.Event.bundle_id.in_(waiting))
            .values(bundle_id=None, why_not=NOT_KNOWN)
            .returning(tables.Event.child_id)
        )
        .scalars()
        .all()
    )
    staff = {
        row.child_id: row.coordinator_id
        for row in session.execute(
            select(tables.Offer.child_id, tables.Offer.coordinator_id).where(tables.Offer.child_id.in_(set(children)))
        )
    }
    now = ctx.clock.now()
    about = {f"{child}:{now}": {"child_id": child, "staff_id": staff.get(child)} for child in set(children)}
    tasks.put(session, ctx.keys, now, ASK, about)
    for letter in session.execute(select(tables.Letter).where(tables.Letter.state == "frozen")).scalars().all():
        doubt(session, letter, now, ctx.settings.letters.in_order[0])
    return len(children)
