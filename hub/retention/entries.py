"""What stands in the access log of what was forgotten: how many, by which rule. Nothing personal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from hub.access import log
from hub.access.askers import asker_key, day_key
from hub.access.log import SYSTEM, Asker, SealedEntry
from hub.clock import today
from hub.context import Context

KIND = "forgotten"
"""What an entry about something forgotten, or to be, is called in the access log."""


def entry(
    ctx: Context, session: Session, what: Mapping[str, Any], child_id: UUID | None = None, by: Asker = SYSTEM
) -> SealedEntry:
    """Sealed under the key of the day: the child's own may be gone. To be added last."""
    return log.seal_entry(
        at=ctx.clock.now(),
        kind=KIND,
        child_id=child_id,
        asker=by,
        asker_key=asker_key(session, ctx.keys, by),
        subject={"purpose": KIND} | dict(what),
        subject_key=day_key(session, ctx.keys, today(ctx.clock)),
    )
