"""`tovholder letters`: what is late on its way to a family, and what a person says became of a letter."""

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
    """What is late between an event and a journalised letter: since when, whose it is, what to do. Exit code 3 when
    anything is."""
    with context(with_token=False) as ctx:
        found = late.stuck(ctx)
    if as_json:
        print_json([asdict(one) for one in found])
    elif found:
        columns = ("what", "id", "state", "channel", "since", "owner", "tries", "reason", "what_to_do")
        table_of([{name: getattr(one, name) for name in columns} for one in found], "Late")
    else:
        out.print("nothing is late")
    raise typer.Exit(NEEDS_A_PERSON if found else 0)


def settle(
    letter: Annotated[UUID, typer.Argument(help="The letter's id, as `stuck` shows it.")],
    arrived: Annotated[
        bool,
        typer.Option(
            "--arrived/--not-arrived",
            help="Whether the recipient has it. If not: one in doubt is sent again, one that its channel took goes by "
            "the next channel, or is the coordinator's task.",
        ),
    ],
) -> None:
    """Say what became of a letter that nobody can tell of (state unsure), or that its channel should have told of by
    now. It stands in the access log."""
    with context(with_token=False) as ctx:
        if arrived:
            settling.arrived(ctx, letter, operator())
            said = "kept as delivered"
        elif settling.not_arrived(ctx, letter, operator()) == "failed":
            said = "no channel is left: it is the coordinator's task"
        else:
            said = "it is sent again"
    out.print(said)
