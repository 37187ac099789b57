"""Compose the letters that are due: one bundle, one letter, frozen with its job in one commit.

What a letter says is read at this moment, so that it is never older than its date. A bundle of which nothing may be
told any more makes no letter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import structlog
from sqlalchemy import ColumnElement, and_, delete, or_, select
from sqlalchemy.orm import Session

from hub import faults, journal
from hub.cases import events, unsent
from hub.context import Context
from hub.errors import GaveUp
from hub.letters.content import LetterContent
from hub.letters.frozen import freeze
from hub.letters.gather import Held, gather
from hub.letters.parts import parts_of
from hub.letters.render import Rendered, render
from hub.letters.statuses import SEND_WITHIN
from hub.letters.templates import Templates
from hub.store import home, queue, tables, tasks

log = structlog.get_logger()
Renderer = Callable[[LetterContent, Templates], Rendered]
"""As hub.letters.render.render: raises what it raises."""

BATCH = 20
"""How many letters share a transaction, and the job that sends them: what they are gathered from is read once for all
of them, and a job costs about as much as the statements of a letter."""
CLOCKS_DIFFER = timedelta(hours=2)
"""Longer than the clocks of two machines differ."""
LONGEST_WAIT = timedelta(days=60)
"""Longer than any bundle waits for others, with all that may hold it up."""
UNWRITABLE = "letter_unwritable"


@dataclass(slots=True)
class Composed:
    letters: int = 0
    empty: int = 0
    """Bundles of which nothing may be told any more."""
    unwritable: int = 0
    held: int = 0
    """Bundles whose letter is not to leave yet."""


def compose_due(ctx: Context, templates: Templates, renderer: Renderer = render) -> Composed:
    """Make a letter of every bundle that is due. Several processes may do so at once: each takes other bundles.
    `renderer` makes of content what is frozen and sent.

    Raises OnHold where letters may not leave from this database."""
    result = Composed()
    with ctx.database.begin() as session:
        home.check(session, ctx.clock.now())
        session.execute(delete(tables.Told).where(tables.Told.until < ctx.clock.now()))
    while True:
        with ctx.database.begin() as session:
            bundles = (
                session.execute(
                    select(tables.Bundle)
                    .where(tables.Bundle.composed_at.is_(None), _due(ctx.clock.now()))
                    .order_by(tables.Bundle.due_at)
                    .limit(BATCH)
                    .with_for_update(skip_locked=True)
                )
                .scalars()
                .all()
            )
            if not bundles:
                return result
            _compose(ctx, session, templates, renderer, bundles, result)
            faults.point("letters.composed")
        faults.point("letters.composed.committed")


def _due(now: datetime) -> ColumnElement[bool]:
    """Also what was opened well after now, or is due later than anything waits, by a clock that was wrong: it would
    else wait until then."""
    bundle = tables.Bundle
    return or_(
        bundle.due_at <= now,
        bundle.opened_at > now + CLOCKS_DIFFER,
        and_(bundle.due_at > now + LONGEST_WAIT, bundle.due_at < events.NEVER),
    )


def _compose(
    ctx: Context,
    session: Session,
    templates: Templates,
    renderer: Renderer,
    bundles: Sequence[tables.Bundle],
    result: Composed,
) -> None:
    now = ctx.clock.now()
    letters: list[tables.Letter] = []
    links: list[tables.LetterChild] = []
    parts: list[tables.LetterPart] = []
    said: list[dict[str, Any]] = []
    for bundle_id, gathered in gather(ctx, session, bundles).items():
        bundle = session.get_one(tables.Bundle, bundle_id)
        if isinstance(gathered, Held):
            bundle.due_at, bundle.opened_at = gathered.until or events.NEVER, min(bundle.opened_at, now)
            result.held += 1
            continue
        bundle.composed_at = now
        if gathered is None:
            result.empty += 1
            continue
        try:
            if isinstance(gathered, ValueError):
                raise gathered
            rendered = renderer(gathered.content, templates)
            letter_id = uuid4()
            theirs = parts_of(ctx, session, letter_id, gathered, templates)
        except (GaveUp, ValueError) as error:
            # Nobody's letter holds up another's: a person looks at this one, and its events stay with the bundle.
            result.unwritable += 1
            # What GaveUp says is without the letter's words; what a value says may not be.
            cause = str(error) if isinstance(error, GaveUp) else type(error).__name__
            log.warning("a letter could not be written", bundle=str(bundle_id), cause=cause)
            tasks.put(session, ctx.keys, now, UNWRITABLE, {str(bundle_id): {}})
            unsent.by_letter(ctx, session, bundle_id)
            continue
        content, pdf = freeze(letter_id, rendered, gathered)
        letters.append(
            tables.Letter(
                id=letter_id,
                bundle_id=bundle_id,
                guardian_id=bundle.guardian_id,
                kind=gathered.content.kind.value,
                language=rendered.language,
                template_version=rendered.template_version,
                content=content,
                pdf=pdf,
                sha256=bytes.fromhex(rendered.sha256),
                frozen_at=now,
                state="frozen",
                state_at=now,
                state_due=now + SEND_WITHIN,
                tries=0,
            )
        )
        parts += theirs
        links += [tables.LetterChild(letter_id=letter_id, child_id=child) for child in gathered.children]
        said.append({"composed": str(letter_id), "said": [digest.hex() for digest in gathered.said]})
    session.add_all(letters)
    session.flush()
    session.add_all([*links, *parts])
    session.flush()
    if letters:
        queue.defer(session, queue.DELIVER, [{"letter_ids": [str(letter.id) for letter in letters]}])
    journal.write(ctx, *said)
    result.letters += len(letters)
