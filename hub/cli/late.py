"""`tovholder letters`: which are late, and what a person says became of one."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated
from uuid import UUID

import typer

from hub.cli.base import NEEDS_A_PERSON, Json, context, operator, out, print_json, table_of
from hub.letters import settle as settling
from hub.letters import stuck as late


def add_to(letters: typer.Typer) -> None:
    letters.command()(stuck)
    letters.command()(settle)


def stuck(as_json: Json = False) -> None:
    """Which letters are late, since when, whose it is, and what to do. Exit code 3 when any is."""
    with context(with_token=False) as ctx:
        found = late.stuck(ctx)
    if as_json:
        print_json([asdict(one) for one in found])
    elif found:
        columns = ("letter", "state", "channel", "since", "owner", "tries", "reason", "what_to_do")
        table_of([{name: getattr(one, name) for name in columns} for one in found], "Late")
    else:
        out.print("no letter is late")
    raise typer.Exit(NEEDS_A_PERSON if found else 0)


def settle(
    letter: Annotated[UUID, typer.Argument(help="The letter's id, as `stuck` shows it.")],
    arrived: Annotated[
        bool, typer.Option("--arrived/--not-arrived", help="Whether the recipient has it. If not, it is sent again.")
    ],
) -> None:
    """Say what became of a letter that nobody can tell of (state unsure). It stands in the access log."""
    with context(with_token=False) as ctx:
        (settling.arrived if arrived else settling.not_arrived)(ctx, letter, operator())
    out.print("kept as delivered" if arrived else "it is sent again")
