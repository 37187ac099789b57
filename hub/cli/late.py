"""`tovholder letters`: what is late of them, and what a person says became of one."""

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
    """What is late of letters, bundles and parts: since when, whose it is, and what to do. Exit code 3 when any is."""
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
        bool, typer.Option("--arrived/--not-arrived", help="Whether the recipient has it. If not, it goes on.")
    ],
) -> None:
    """Say what became of a letter that nobody can tell of (state unsure), or of which its channel should have told by
    now. One that did not arrive is sent again, or by the next channel, or is a task. It stands in the access log."""
    with context(with_token=False) as ctx:
        if arrived:
            settling.arrived(ctx, letter, operator())
            out.print("kept as delivered")
        elif settling.not_arrived(ctx, letter, operator()) == "frozen":
            out.print("it is sent again, by the next channel if its own had taken it")
        else:
            out.print("no other channel is left: it is a task for the coordinator")
