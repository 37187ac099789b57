"""PostgreSQL without installing it: for the demo, the tests and one small machine.

The first process that needs the database starts a keeper (`hub/store/keeper.py`), which starts the server; the keeper
stops it when the last process that uses it has gone, however it went. File locks in the data folder say who is there,
and the kernel drops a lock when its process ends, so that no list of processes can be wrong:

    pg.start    held alone while a process looks whether there is a keeper, and starts one
    pg.users    shared by every process that uses the server; the keeper waits to have it alone
    pg.keeper   held alone by the keeper; also tells its state, the socket's folder and the keeper's process number

The cluster lies in `postgres`, its log in `postgres.log`. There is no TCP: who may enter the socket's folder, may
connect as anyone; that is the user who started it (and root). See `hub/store/place.py` for what happens as root.
Needs Linux or macOS. The wheel has no ICU and no OpenSSL: no pgcrypto and no Danish collation.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from hub.errors import TryAgain
from hub.store import keeper
from hub.store.place import SERVER_SETTINGS, CannotStart, User, reachable_programs, reaches, server_user, socket_folder

if sys.platform != "win32":
    import fcntl

ADMIN = keeper.ADMIN
"""The superuser of the cluster: migrations, backups."""
DATABASE = keeper.DATABASE
START_SECONDS = 60.0
NEW_CLUSTER_MEGABYTES = 100
LOG_BYTES = 10 * 2**20
"""The log is put aside (as postgres.log.1) at the next start when it is longer."""


class Embedded:
    """A share in the server of one data folder, until `close()` or the end of the process."""

    def __init__(self, data: Path) -> None:
        """Start the server of `data` if it does not run. `data` is made (0700; by root 0711) if it is not there.

        Raises CannotStart (a person must look: no right to write, disk full, wrong version, …) or TryAgain (it took
        longer than 60 seconds).
        """
        if sys.platform == "win32":
            raise CannotStart("The embedded PostgreSQL needs Linux or macOS; name a server in TOVHOLDER_DATABASE_URL.")
        self.data = data.absolute()
        self.socket = Path()
        """The folder of the socket."""
        self._users: int | None = None
        try:
            _make_folder(self.data)
            self.data = self.data.resolve()
            self.ensure()
        except OSError as error:
            self.close()
            raise CannotStart(
                f"The embedded PostgreSQL cannot use {error.filename or self.data}: {error.strerror}. "
                f"Let this user write in {self.data} (was it first started as root?), free space on its disk, "
                "or name another folder in TOVHOLDER_DATA."
            ) from error
        except BaseException:
            self.close()
            raise

    def ensure(self) -> None:
        """Start the keeper again if it was killed. Cheap when it is there; call it when connecting fails."""
        until = time.monotonic() + START_SECONDS
        with _held(self.data / "pg.start", fcntl.LOCK_EX, until):
            if self._users is None:
                self._users = _take(self.data / "pg.users", fcntl.LOCK_SH, until)
            _wait_for_keeper(self.data, until)
            self.socket = Path(_state(self.data)[1])

    def url(self, user: str, database: str = DATABASE) -> str:
        """For SQLAlchemy: `postgresql+psycopg://USER@/DATABASE?host=FOLDER`."""
        who, what, where = (quote(part, safe="") for part in (user, database, str(self.socket)))
        return f"postgresql+psycopg://{who}@/{what}?host={where}"

    def conninfo(self, user: str, database: str = DATABASE) -> str:
        """For psycopg, psql and pg_dump: `host='FOLDER' user='USER' dbname='DATABASE'`."""
        parts = {"host": str(self.socket), "user": user, "dbname": database}
        escaped = {key: value.replace("\\", "\\\\").replace("'", "\\'") for key, value in parts.items()}
        return " ".join(f"{key}='{value}'" for key, value in escaped.items())

    def close(self) -> None:
        """Give up the share; the keeper stops the server when this was the last. May be called twice."""
        users, self._users = self._users, None
        if users is not None:
            os.close(users)  # not LOCK_UN: a forked child that uses the server keeps its share

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def start(data: Path) -> Embedded:
    """The server of `data`, started if it does not run; see `Embedded`."""
    return Embedded(data)


def _make_folder(data: Path) -> None:
    """Root makes the folder for whom the folder above belongs to, so that this user can start without root later."""
    if data.exists():
        return
    data.parent.mkdir(parents=True, exist_ok=True)
    data.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, exist_ok=True)
    _give_to_owner_of(data.parent, data)


def _give_to_owner_of(folder: Path, path: Path) -> None:
    if os.geteuid() == 0:
        owner = folder.stat()
        os.chown(path, owner.st_uid, owner.st_gid)


def _open(path: Path) -> int:
    new = not path.exists()
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    if new:
        _give_to_owner_of(path.parent, path)
    return descriptor


def _take(path: Path, how: int, until: float) -> int:
    """An open file on which the lock `how` is held. Raises TryAgain when others hold it too long."""
    descriptor = _open(path)
    try:
        while not keeper.try_lock(descriptor, how):
            if time.monotonic() > until:
                raise TryAgain(f"Another process holds {path} for more than {START_SECONDS:.0f} seconds.")
            time.sleep(0.01)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


@contextlib.contextmanager
def _held(path: Path, how: int, until: float) -> Iterator[None]:
    descriptor = _take(path, how, until)
    try:
        yield
    finally:
        os.close(descriptor)


def _state(data: Path) -> list[str]:
    """What the keeper says: its state, the socket's folder, its process number."""
    lines = (data / "pg.keeper").read_bytes().rstrip(b"\0").decode(errors="surrogateescape").split("\n")
    return lines if len(lines) == 3 else ["starting", "", ""]


def _wait_for_keeper(data: Path, until: float) -> None:
    """Until a keeper says that its server takes connections; starts one as long as there is none."""
    tries = 0
    while True:
        descriptor = _open(data / "pg.keeper")
        try:
            alone = keeper.try_lock(descriptor, fcntl.LOCK_SH)
        finally:
            os.close(descriptor)
        if alone and tries == 5:
            raise CannotStart(
                f"The keeper of the embedded PostgreSQL ends without a word; see {data / 'postgres.log'}."
            )
        if alone:
            tries += 1
            _start_keeper(data, until)
        elif _state(data)[0] == "ready":
            return
        elif time.monotonic() > until:
            raise TryAgain(
                f"The embedded PostgreSQL does not take connections ({_state(data)[0]}); see {data / 'postgres.log'}."
            )
        else:
            time.sleep(0.02)


def _start_keeper(data: Path, until: float) -> None:
    """Start a keeper and wait for its first word. Raises CannotStart with what it says."""
    plan = _plan(data, server_user(data))
    log = data / "postgres.log"
    if log.exists() and log.stat().st_size > LOG_BYTES:
        log.rename(data / "postgres.log.1")
    os.close(_open(log))
    ours, its = os.pipe()
    try:
        # By its path, without site packages: the keeper stays for long and should stay small. A short environment:
        # keys that are in ours are none of its business.
        kept = ("PATH", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
        subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-I", "-S", keeper.__file__, json.dumps(plan), str(its)],
            env={name: os.environ[name] for name in kept if name in os.environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=(its,),
            check=False,
        )
    finally:
        os.close(its)
    said = b""
    try:
        while select.select([ours], [], [], max(0, until - time.monotonic()))[0]:
            if not (part := os.read(ours, 4096)):
                break
            said += part
        else:
            seconds = f"{START_SECONDS:.0f} seconds"
            raise TryAgain(f"The embedded PostgreSQL is not ready after {seconds}; see {data / 'postgres.log'}.")
    finally:
        os.close(ours)
    word, _, message = said.decode(errors="replace").partition("\n")
    if word == "refused":
        raise CannotStart(message)


def _plan(data: Path, user: User | None) -> dict[str, object]:
    free, needed = shutil.disk_usage(data).free // 2**20, NEW_CLUSTER_MEGABYTES
    if not (data / "postgres").exists() and free < needed:
        raise CannotStart(
            f"The disk of {data} is full: {free} MB free, a new database needs {needed} MB. "
            "Free space, or name another folder in TOVHOLDER_DATA."
        )
    reached = reaches((data / "postgres").resolve(), user)
    if not reached and not keeper.LINUX:
        raise CannotStart(
            f"The server's user (number {user.uid if user else os.geteuid()}) cannot reach {data}; "
            "start as an ordinary user, or open the folders above it (chmod o+x)."
        )
    return {
        "data": str(data),
        "programs": str(reachable_programs(user)),
        "socket": str(socket_folder(data, user)),
        "settings": SERVER_SETTINGS,
        "uid": user.uid if user else None,
        "gid": user.gid if user else None,
        "by_handle": not reached,
    }
