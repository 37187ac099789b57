"""A backup: a folder with PostgreSQL's own dump of one moment, and a manifest that says what it must hold.

    tovholder-20261102T070000Z/      0700; files 0600
        database.dump                pg_dump's custom format: pg_restore reads it without this program
        manifest.json                made when, by which version, schema, counts, the log's digest, checksums

The dump and all that the manifest says are of one snapshot, taken while the hub works on. The folder gets its name
last, when everything is on the disk and has been read back: a backup that was broken off never looks whole. No key is
in it: see `hub.store.keys_apart`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError
from sqlalchemy import Connection, Engine, func, select, table, text

from hub.errors import GaveUp, NotAllowed, SchemaError
from hub.store import programs, schema

DUMP, MANIFEST = "database.dump", "manifest.json"
PREFIX = "tovholder-"


class BadBackup(GaveUp):
    """This is no backup, or not a whole one."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class File(_Part):
    bytes: int
    sha256: str


class Log(_Part):
    size: int
    sha256: str


class Manifest(_Part):
    """What a backup must hold. Times are UTC."""

    format: Literal[1] = 1
    made_at: datetime
    program: str
    schema_revision: str
    server: str
    pg_dump: str
    log: Log
    tables: dict[str, int]
    """Rows of each table."""
    keys: dict[str, str]
    """Fingerprints of the keys that open it (hub.store.keys_apart)."""
    files: dict[str, File]


ReadLog = Callable[[Connection], Log]
"""Reads the whole access log in the connection's transaction; raises when it is not whole."""


def make(
    owner: Engine, folder: Path, now: datetime, read_log: ReadLog, keys: Mapping[str, str]
) -> tuple[Path, Manifest]:
    """Make a backup in `folder` (made if it is not there), named by the time; gives where, and its manifest.

    `owner` may read all tables. Raises GaveUp: disk full, no right to write, no pg_dump that fits, a log that is not
    whole; then nothing is left that looks like a backup."""
    done = folder / f"{PREFIX}{now:%Y%m%dT%H%M%SZ}"
    part = folder / f".{done.name}.part"
    with _as_message(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if done.exists():
            raise BadBackup(f"{done} is there already; try again in a second")
        part.mkdir(mode=0o700)
        try:
            manifest = _write(owner, part, now, read_log, keys)
            part.rename(done)
            _sync(folder)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
    return done, manifest


@contextmanager
def _as_message(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise GaveUp(
            f"the backup cannot be written to {folder}: {error.strerror}. Nothing was left there; free space or name "
            "another folder"
        ) from error


def _write(owner: Engine, part: Path, now: datetime, read_log: ReadLog, keys: Mapping[str, str]) -> Manifest:
    with owner.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        connection.execute(text("SET TRANSACTION READ ONLY"))
        connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        snapshot = connection.execute(text("SELECT pg_export_snapshot()")).scalar_one()
        server = connection.execute(text("SHOW server_version")).scalar_one()
        revision = schema.current(connection)
        if revision is None:
            raise SchemaError("the database is empty: there is nothing to back up")
        program = programs.fitting("pg_dump", int(server.split(".")[0]))
        arguments = ["--format=custom", "--compress=1", f"--snapshot={snapshot}", f"--file={part / DUMP}"]
        programs.run(program, arguments, owner.url)
        log, tables = read_log(connection), _counts(connection)
    programs.run(programs.fitting("pg_restore", program.major), ["--list", str(part / DUMP)])
    manifest = Manifest(
        made_at=now,
        program=version("tovholder"),
        schema_revision=revision,
        server=server,
        pg_dump=program.version,
        log=log,
        tables=tables,
        keys=dict(keys),
        files={DUMP: _describe(part / DUMP)},
    )
    handle = os.open(part / MANIFEST, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(manifest.model_dump_json(indent=2) + "\n")
    for path in (part / DUMP, part / MANIFEST, part):
        _sync(path)
    return manifest


def _counts(connection: Connection) -> dict[str, int]:
    names = connection.execute(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")).scalars()
    return {name: connection.execute(select(func.count()).select_from(table(name))).scalar_one() for name in names}


def _describe(path: Path) -> File:
    with path.open("rb") as file:
        return File(bytes=path.stat().st_size, sha256=hashlib.file_digest(file, "sha256").hexdigest())


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read(folder: Path) -> Manifest:
    """The manifest of a backup whose files are whole. Raises BadBackup with what is wrong, and SchemaError when the
    backup is of a newer program."""
    path = folder / MANIFEST
    try:
        manifest = Manifest.model_validate_json(path.read_bytes())
        for name, expected in manifest.files.items():
            if _describe(folder / name) != expected:
                raise BadBackup(f"{folder / name} is not what was backed up (size or checksum): use another backup")
    except FileNotFoundError as error:
        missing = Path(error.filename).name
        within = [path.name for path in folder.glob(f"{PREFIX}*") if (path / MANIFEST).exists()]
        hint = f"; within it are {', '.join(sorted(within))}: name one" if within else ""
        raise BadBackup(f"{folder} is no whole backup: {missing} is missing{hint}") from error
    except OSError as error:
        raise BadBackup(f"{error.filename} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, wrong["loc"]))
        raise BadBackup(f"{path} is no manifest this program reads: {where}: {wrong['msg']}") from error
    if DUMP not in manifest.files:
        raise BadBackup(f"{path} names no {DUMP}")
    schema.refuse_newer(manifest.schema_revision, "the backup")
    return manifest


def load(owner: Engine, folder: Path, manifest: Manifest, read_log: ReadLog) -> None:
    """Put a backup into an empty database, and compare what came of it with the manifest. All of it or nothing.

    `owner` may make tables and roles. Raises NotAllowed when the database is not empty, GaveUp when PostgreSQL refuses
    or something differs."""
    with owner.connect() as connection:
        server = connection.execute(text("SHOW server_version")).scalar_one()
        held = connection.execute(text(_OBJECTS)).scalar_one()
    if held:
        raise NotAllowed(
            f"the database {owner.url.database!r} is not empty, and a restore overwrites nothing: make an empty one "
            "and name it in TOVHOLDER_DATABASE_URL; for the embedded one move the folder `postgres` away from its data "
            "folder (docs/operations.md)"
        )
    program = programs.fitting("pg_restore", int(server.split(".")[0]), at_least=int(manifest.pg_dump.split(".")[0]))
    with owner.begin() as connection:
        schema.make_roles(connection)
    programs.run(program, ["--single-transaction", "--exit-on-error", str(folder / DUMP)], owner.url)
    with owner.connect() as connection:
        found, log = _counts(connection), read_log(connection)
    differs = sorted(name for name in found | manifest.tables if found.get(name) != manifest.tables.get(name))
    if differs:
        raise BadBackup(f"after restoring, {differs[0]} has not the rows that were backed up: use another backup")
    if log != manifest.log:
        raise BadBackup("after restoring, the access log is not the one that was backed up: use another backup")
    with owner.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))


_OBJECTS = """
SELECT (SELECT count(*) FROM pg_class c WHERE c.relnamespace = n.oid) +
       (SELECT count(*) FROM pg_proc p WHERE p.pronamespace = n.oid)
FROM pg_namespace n WHERE n.nspname = 'public'
"""
