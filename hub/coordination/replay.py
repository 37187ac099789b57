"""An act from the journal that a restored database has lost, done again."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import select

from hub.context import Context
from hub.coordination import cover, goodbye
from hub.errors import NotAllowed
from hub.store import tables
from hub.store.many import among


def do_again(ctx: Context, fields: Mapping[str, Any]) -> None:
    """As the journal has it; the context's clock shows when it was. Raises NotAllowed."""
    act, children = UUID(fields["act"]), _children(ctx, fields)
    match fields["does"]:
        case "away":
            until = date.fromisoformat(fields["until"]) if fields["until"] else None
            cover.go_away(ctx, fields["coordinator"], fields["substitute"], until, again=act)
        case "back":
            cover.come_back(ctx, fields["coordinator"], again=act)
        case "hand_over":
            cover.hand_over(ctx, fields["coordinator"], fields["to"], children, again=act)
        case "goodbye":
            for child in children or ():
                goodbye.say(ctx, child, fields["why"], again=act)
        case other:
            raise NotAllowed(f"this program does not know how to do {other} again")


def _children(ctx: Context, fields: Mapping[str, Any]) -> set[UUID] | None:
    if fields["children"] is None:
        return None
    tokens = [bytes.fromhex(token) for token in fields["children"]]
    with ctx.database.session() as session:
        found = set(session.execute(select(tables.Child.id).where(among(tables.Child.token, tokens))).scalars())
    if len(found) < len(tokens):
        raise NotAllowed("the sources have not shown all of the children again")
    return found
