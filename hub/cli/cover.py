"""The commands about coordinators who are away, are back, or hand families over: `tovholder coordinators away` …"""

from __future__ import annotations

import sys
from datetime import datetime
from typing import Annotated
from uuid import UUID

import typer
from sqlalchemy import select

from hub.cli.base import context, out
from hub.context import Context
from hub.coordination import cover
from hub.coordination import goodbye as farewell
from hub.errors import NotAllowed
from hub.identity import parse
from hub.store import tables

Who = Annotated[str, typer.Argument(metavar="ID", help="The coordinator's id in the list that was imported.")]


def add_to(app: typer.Typer) -> None:
    app.command()(away)
    app.command()(back)
    app.command("hand-over")(hand_over)
    app.command()(goodbye)


def away(
    coordinator: Who,
    substitute: Annotated[str, typer.Option(metavar="ID", help="Who answers for them.")],
    until: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The last day away, where it is known.")
    ] = None,
) -> None:
    """Somebody answers for a coordinator for a while; the families get a letter."""
    with context(with_token=False) as ctx:
        children = cover.go_away(ctx, coordinator, substitute, until.date() if until else None)
    out.print(f"{children} children have a substitute for their coordinator")


def back(coordinator: Who) -> None:
    """The coordinator answers again; the families get a letter, unless they have not heard of a substitute yet."""
    with context(with_token=False) as ctx:
        children = cover.come_back(ctx, coordinator)
    out.print(f"{children} children have their coordinator back")


def hand_over(
    coordinator: Who,
    to: Annotated[str, typer.Option(metavar="ID", help="Who coordinates from now on.")],
    one: Annotated[
        bool, typer.Option("--child", help="Only the family of a child, whose number is read from standard input.")
    ] = False,
) -> None:
    """Give a coordinator's families to another; the families get a letter."""
    number = parse(sys.stdin.readline().strip()) if one else None
    with context(with_token=one) as ctx:
        children = {_child(ctx, number.digits)} if number is not None else None
        moved = cover.hand_over(ctx, coordinator, to, children)
    out.print(f"{moved} children have another coordinator")


def goodbye(
    moved: Annotated[
        bool, typer.Option("--moved", help="Another municipality answers for the child; else there is nothing left.")
    ] = False,
) -> None:
    """End the scheme for a child, whose number is read from standard input; the family gets a letter."""
    number = parse(sys.stdin.readline().strip())
    with context(with_token=True) as ctx:
        farewell.say(ctx, _child(ctx, number.digits), "moved" if moved else "closed")
    out.print("The scheme has ended for the child, and the family is told")


def _child(ctx: Context, digits: str) -> UUID:
    with ctx.database.session() as session:
        token = ctx.keys.lookup_token(digits)
        found = session.execute(select(tables.Child.id).where(tables.Child.token == token)).scalar_one_or_none()
    if found is None:
        raise NotAllowed("the hub knows no child of that number")
    return found
