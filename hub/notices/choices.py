"""How an adviser wants to be told: of each kind of thing by mail, on their page alone, or not at all.

Who signs in is the adviser whose id at the source is the one they sign in with (as with coordinators); whoever is known
there by another id is told by the default, and chooses nothing here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from hub.access.log import Asker
from hub.context import Context
from hub.errors import NotAllowed
from hub.notices.kinds import KINDS, Kind
from hub.notices.mail import mailer
from hub.store import tables
from hub.store.many import among

Way = Literal["mail", "page", "off"]


def rows_of(ctx: Context, session: Session, asker: Asker) -> list[UUID]:
    """The rows of whoever signs in, as their administration's sources name them."""
    references = {name: ctx.keys.refer(name, asker.id) for name in ctx.plugins.adapters}
    if asker.administration is None or not references:
        return []
    found = session.execute(
        select(tables.Staff.id, tables.Staff.source, tables.Staff.reference).where(
            tables.Staff.administration == asker.administration,
            among(tables.Staff.reference, references.values()),
        )
    ).all()
    return [row.id for row in found if references.get(row.source) == row.reference]


def by_default(ctx: Context, administration: str | None) -> Way:
    """How somebody is told who has chosen nothing: by the first way there is. A webhook of their administration's own
    system takes the place of a mail."""
    hooked = any(hook.administration == administration for hook in ctx.settings.notices.webhooks.values())
    return "mail" if mailer(ctx) is not None and not hooked else "page"


def chosen(ctx: Context, session: Session, asker: Asker, staff: Sequence[UUID]) -> dict[Kind, Way]:
    """Of each kind how they are told now."""
    choice = tables.NoticeChoice
    rows = session.execute(select(choice.kind, choice.way).where(among(choice.staff_id, staff))).all()
    said = {row.kind: row.way for row in rows}
    default = by_default(ctx, asker.administration)
    return {kind: said.get(kind, default) for kind in KINDS}


def of(ctx: Context, asker: Asker) -> tuple[list[UUID], dict[Kind, Way]]:
    """The rows of whoever signs in, and how they are told."""
    with ctx.database.begin() as session:
        staff = rows_of(ctx, session, asker)
        return staff, chosen(ctx, session, asker, staff)


def choose(ctx: Context, asker: Asker, ways: Mapping[Kind, Way]) -> None:
    """From now on. Raises NotAllowed for somebody who is no adviser of a case that is read here."""
    with ctx.database.begin() as session:
        staff = rows_of(ctx, session, asker)
        if not staff:
            raise NotAllowed("only an adviser of a case chooses how to be told")
        made = insert(tables.NoticeChoice)
        session.execute(
            made.on_conflict_do_update(index_elements=["staff_id", "kind"], set_={"way": made.excluded.way}),
            [{"staff_id": row, "kind": kind, "way": way} for row in staff for kind, way in ways.items()],
        )
