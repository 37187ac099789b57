"""Compose the letters that are due: one bundle, one letter, frozen with its job in one commit.

What a letter says is read at this moment, so that it is never older than its date. A bundle of which nothing may be
told any more makes no letter.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from uuid import uuid4

from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.context import Context
from hub.letters.frozen import freeze
from hub.letters.gather import gather
from hub.letters.render import render
from hub.letters.templates import Templates
from hub.store import queue, tables

SEND_WITHIN = timedelta(days=1)
"""A frozen letter that has not been handed over by then is somebody's task."""


@dataclass(slots=True)
class Composed:
    letters: int = 0
    empty: int = 0


def compose_due(ctx: Context, templates: Templates) -> Composed:
    """Make a letter of every bundle that is due. Several processes may do so at once: each takes other bundles."""
    result = Composed()
    while True:
        with ctx.database.begin() as session:
            bundle = session.execute(
                select(tables.Bundle)
                .where(tables.Bundle.composed_at.is_(None), tables.Bundle.due_at <= ctx.clock.now())
                .order_by(tables.Bundle.due_at)
                .limit(1)
                .with_for_update(skip_locked=True)
            ).scalar_one_or_none()
            if bundle is None:
                return result
            if _compose(ctx, session, templates, bundle):
                result.letters += 1
            else:
                result.empty += 1


def _compose(ctx: Context, session: Session, templates: Templates, bundle: tables.Bundle) -> bool:
    now = ctx.clock.now()
    bundle.composed_at = now
    gathered = gather(ctx, session, bundle)
    if gathered is None:
        return False
    rendered = render(gathered.content, templates)
    letter_id = uuid4()
    content, pdf = freeze(letter_id, rendered, gathered.coordinator, gathered.keys)
    session.add(
        tables.Letter(
            id=letter_id,
            bundle_id=bundle.id,
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
    session.flush()
    session.add_all(tables.LetterChild(letter_id=letter_id, child_id=child) for child in gathered.children)
    session.flush()
    queue.defer(session, queue.DELIVER, letter_id=str(letter_id))
    return True
