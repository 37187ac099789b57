"""What a person says of a letter that nobody can tell what became of, and of an address that paper came back from.

Asked for where a channel does not know keys: sending again on a guess may be a second letter. Each answer stands in the
access log with who gave it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from hub.access import log
from hub.access.askers import asker_key, day_key
from hub.access.log import Asker
from hub.clock import today
from hub.context import Context
from hub.errors import NotAllowed
from hub.letters import statuses
from hub.letters.statuses import UNSURE, move
from hub.store import tables

ENTRY = "letter"
"""The kind of the entry in the access log."""


def arrived(ctx: Context, letter_id: UUID, by: Asker) -> None:
    """The recipient has the letter: one that nobody can tell of, or of which the channel should have told by now and
    has not. Raises NotAllowed when that is not in doubt."""
    with ctx.database.begin() as session:
        letter = _in_doubt(session, letter_id, ctx.clock.now())
        move(letter, "delivered", ctx.clock.now())
        statuses.settled(session, letter)
        _log(ctx, session, by, {"letter": str(letter_id), "said": "arrived"})


def not_arrived(ctx: Context, letter_id: UUID, by: Asker) -> str:
    """The recipient does not have the letter. One that nobody can tell of is sent again; one that its channel took, and
    of which it should have told by now, goes by the next channel, or is a task where there is none: to the same one
    again would be nothing new. Gives the letter's state. Raises NotAllowed when that is not in doubt."""
    with ctx.database.begin() as session:
        letter = _in_doubt(session, letter_id, ctx.clock.now())
        if letter.state == UNSURE:
            statuses.did_not_arrive(session, letter)
            statuses.go_again(ctx, session, letter)
        else:
            statuses.failed(ctx, session, letter)
        if letter.state == "frozen":
            statuses.done(session, letter, [statuses.UNSURE_LETTER, statuses.FAILED_LETTER])
        _log(ctx, session, by, {"letter": str(letter_id), "said": "not arrived"})
        return letter.state


def paper_again(ctx: Context, guardian_id: UUID, by: Asker) -> None:
    """The address has been put right: letters may go there on paper again. Raises NotAllowed when none came back."""
    with ctx.database.begin() as session:
        row = session.execute(
            delete(tables.ReturnedMail)
            .where(tables.ReturnedMail.guardian_id == guardian_id)
            .returning(tables.ReturnedMail.letter_id)
        ).scalar_one_or_none()
        if row is None:
            raise NotAllowed("no paper has come back from this address, or somebody has said already that it is right")
        _log(ctx, session, by, {"letter": str(row), "said": "address put right"})


def _in_doubt(session: Session, letter_id: UUID, now: datetime) -> tables.Letter:
    letter = session.execute(
        select(tables.Letter).where(tables.Letter.id == letter_id).with_for_update()
    ).scalar_one_or_none()
    if letter is None or not statuses.in_doubt(letter, now):
        raise NotAllowed("there is no such letter, or what became of it is known, or the channel may still tell")
    return letter


def _log(ctx: Context, session: Session, by: Asker, what: Mapping[str, str]) -> None:
    """The entry, taken last: the log's head orders it against every look."""
    entry = log.seal_entry(
        at=ctx.clock.now(),
        kind=ENTRY,
        child_id=None,
        asker=by,
        asker_key=asker_key(session, ctx.keys, by),
        subject=dict(what),
        subject_key=day_key(session, ctx.keys, today(ctx.clock)),
    )
    log.append(session, [entry])
