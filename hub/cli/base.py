"""What the commands share: the settings they run with, and how they say what came of it."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from hub import settings as settings_reader
from hub.access.log import Asker
from hub.context import Context, build
from hub.demo import setup as demo_setup
from hub.errors import SettingsError
from hub.settings import Settings

out = Console()
err = Console(stderr=True)
NEEDS_A_PERSON = 3
Json = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]


def read_settings() -> Settings:
    """The settings; where there are none, those of a demo that has been run here."""
    demo = Path(os.environ.get("TOVHOLDER_DATA") or "data") / demo_setup.TOWN / "tovholder.toml"
    plain = not any(os.environ.get(name) for name in ("TOVHOLDER_SETTINGS", "TOVHOLDER_DATABASE_URL"))
    if plain and not Path("tovholder.toml").exists() and demo.exists():
        err.print(f"[dim]with the demo's settings, {demo}[/]", highlight=False)
        return settings_reader.load({"TOVHOLDER_SETTINGS": str(demo)})
    return settings_reader.load()


@contextmanager
def context(*, with_token: bool, to_people: bool = False) -> Iterator[Context]:
    """`to_people`: for programs whose answers and letters people read. Raises SettingsError where these would be left
    without a number to call."""
    settings = read_settings()
    if to_people and settings.no_help:
        raise SettingsError(settings.no_help)
    ctx = build(settings, with_token=with_token)
    try:
        yield ctx
    finally:
        ctx.close()


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, default=_plain, ensure_ascii=False, indent=2) + "\n")


def table_of(rows: list[dict[str, Any]], title: str) -> None:
    table = Table(title=title, title_justify="left")
    for column in rows[0] if rows else ["nothing"]:
        table.add_column(column, overflow="fold")  # an id that is cut short cannot be given to the next command
    for row in rows:
        table.add_row(*("" if value is None else escape(str(value)) for value in row.values()))
    out.print(table)


def known_adapters(names: Iterable[str], adapters: Mapping[str, Any]) -> None:
    """Refuse a name that no adapter has."""
    unknown = sorted(set(names) - set(adapters))
    if unknown:
        raise typer.BadParameter(f"there is no adapter {unknown[0]!r}; there are {', '.join(adapters)}")


def operator() -> Asker:
    """Who runs a command: the account of this machine, which is what is known."""
    account = os.environ.get("SUDO_USER") or _account()
    return Asker(f"{account}@{socket.gethostname()}", account, "operator")


def _account() -> str:
    try:
        import pwd  # not on Windows

        return pwd.getpwuid(os.getuid()).pw_name
    except (ImportError, KeyError):
        return f"account {os.getuid() if hasattr(os, 'getuid') else 'unknown'}"
