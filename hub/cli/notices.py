"""The commands about notices: `notices dead`, `notices replay`."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

import typer

from hub.cli.base import NEEDS_A_PERSON, Json, context, out, print_json, table_of
from hub.notices import hand_over

app = typer.Typer(no_args_is_help=True, help="Notices to staff.")


def add_to(main: typer.Typer) -> None:
    main.add_typer(app, name="notices")


@app.command()
def dead(as_json: Json = False) -> None:
    """The notices that no receiver took, with what it said last. Exit code 3 when there are any."""
    with context(with_token=False) as ctx, ctx.database.begin() as session:
        found = [asdict(one) for one in hand_over.dead(session)]
    if as_json:
        print_json(found)
    elif found:
        table_of(found, "Dead notices")
        out.print("Once the receiver answers again: tovholder notices replay", highlight=False)
    else:
        out.print("no notice is dead")
    raise typer.Exit(NEEDS_A_PERSON if found else 0)


@app.command()
def replay(
    notice: Annotated[str | None, typer.Argument(help="One notice, by its id. Without it: all that are dead.")] = None,
    way: Annotated[str | None, typer.Option(help="Of this way alone: mail, or webhook/NAME.")] = None,
    since: Annotated[
        datetime | None, typer.Option(help="With --way: also what was sent of what happened since then (UTC).")
    ] = None,
) -> None:
    """Hand over again, with the same ids. Whether each may still be told is looked at again."""
    try:
        wanted = UUID(notice) if notice is not None else None
    except ValueError:
        raise typer.BadParameter("the id of a notice is a UUID, as `notices dead` shows it") from None
    with context(with_token=False) as ctx, ctx.database.begin() as session:
        count = hand_over.replay(
            session,
            ctx.clock.now(),
            notice=wanted,
            way=way,
            since=since.replace(tzinfo=UTC) if since is not None else None,
        )
    out.print(f"{count} will be handed over again by the next job (within a minute, where a worker runs)")
