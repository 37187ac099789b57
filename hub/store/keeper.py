"""The keeper: a small process that starts PostgreSQL for the processes that use it, watches it, and stops it.

Started by `hub.store.embedded` by its path, so it imports nothing but the standard library. Arguments: the plan (JSON,
made by `hub.store.embedded`) and the number of the pipe on which it says how the start went: "ready", "refused"
and why, or nothing when there is a keeper already. Its own messages go to `postgres.log`.

If the keeper itself is killed, Linux sends the server SIGINT (fast shutdown), because the server has asked for that
with PR_SET_PDEATHSIG. Other systems cannot: there the server stays until the next keeper finds and stops it.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

if sys.platform != "win32":
    import fcntl

LINUX = sys.platform.startswith("linux")
ADMIN = "tovholder_admin"
DATABASE = "tovholder"
STATE_BYTES = 1024
TICK = 0.2
STOPPING = ((signal.SIGINT, 10.0), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 10.0))
"""How a server is stopped, and how long each may take (seconds). Fast shutdown rolls back what is open. The others lose
nothing either, the next start recovers from the log; they are needed because PostgreSQL 18 does not end on SIGINT when
that comes early in the recovery after a crash of one of its processes (seen with 18.6)."""
_prctl: Callable[[int, int], int] | None = ctypes.CDLL(None).prctl if LINUX else None


class Refused(Exception):
    """The server cannot start; the message goes to the person who started it."""


def try_lock(descriptor: int, how: int) -> bool:
    """Take a flock without waiting. False when others hold it."""
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def servers_in(folder: Path) -> dict[int, bool]:
    """The PostgreSQL processes that work in `folder`, each with whether it is the postmaster.

    Read from the processes themselves, never from postmaster.pid: after a crash its number may be another program's.
    Elsewhere than on Linux only the postmaster is found.
    """
    if not LINUX:
        listed = subprocess.run(["/bin/ps", "-axww", "-o", "pid=,command="], capture_output=True, text=True, check=True)
        lines = (line.strip().partition(" ") for line in listed.stdout.splitlines())
        return {int(pid): True for pid, _, command in lines if f"/postgres -D {folder} -c " in command}
    try:
        wanted = folder.stat()
    except FileNotFoundError:
        return {}
    found = {}
    for process in Path("/proc").iterdir():
        # A process may end while it is looked at, and those of other users are closed to us.
        with contextlib.suppress(OSError):
            is_postgres = process.name.isdigit() and (process / "comm").read_bytes() == b"postgres\n"
            if is_postgres and os.path.samestat((process / "cwd").stat(), wanted):
                found[int(process.name)] = not (process / "cmdline").read_bytes().startswith(b"postgres:")
    return found


class Keeper:
    """One run: from taking `pg.keeper` to the server's end."""

    def __init__(self, plan: Mapping[str, Any], keeper_lock: int, users_lock: int, log: int) -> None:
        self.data = Path(plan["data"])
        self.cluster = self.data / "postgres"
        self.programs = Path(plan["programs"])
        self.settings: dict[str, str] = plan["settings"]
        self.socket = Path(plan["socket"])
        self.user: dict[str, Any] = {}
        if plan["uid"] is not None:
            self.user = {"user": plan["uid"], "group": plan["gid"], "extra_groups": []}
        self.by_handle = bool(plan["by_handle"])
        self.keeper_lock, self.users_lock, self.log = keeper_lock, users_lock, log
        self.log_start = os.fstat(log).st_size
        self.server: subprocess.Popen[bytes] | None = None
        self.told_to_stop = False
        signal.signal(signal.SIGTERM, self.stop_soon)
        signal.signal(signal.SIGINT, self.stop_soon)

    def run(self, ready: Callable[[], None]) -> None:
        """Start the server, call `ready`, keep it up while it is used, stop it. Raises Refused when it cannot start."""
        try:
            self.note("starting")
            self.clear(self.cluster)
            if self.cluster.exists():
                self.check_version()
            else:
                self.make_cluster()
            self.start_first()
            ready()
            while self.in_use():
                time.sleep(TICK)
                if self.server is None or self.server.poll() is not None:
                    self.start_again()
        finally:
            self.stop()

    def stop_soon(self, *_: object) -> None:
        self.told_to_stop = True

    def note(self, state: str) -> None:
        """Tell others. Always the same size: overwriting needs no room on a full disk."""
        text = os.fsencode(f"{state}\n{self.socket}\n{os.getpid()}")
        os.pwrite(self.keeper_lock, text.ljust(STATE_BYTES, b"\0"), 0)

    def say(self, text: str) -> None:
        # On a full disk there is no log; that is no reason to let the server go.
        with contextlib.suppress(OSError):
            os.write(self.log, f"{time.strftime('%F %T', time.gmtime())} UTC [{os.getpid()}] keeper: {text}\n".encode())

    def in_use(self) -> bool:
        """Whether anyone uses the server. When not, the users' lock is ours: who comes now waits for our end.

        False also when the data folder was deleted, or the keeper was told to stop.
        """
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat((self.data / "pg.keeper").stat(), os.fstat(self.keeper_lock)):
                return not self.told_to_stop and not try_lock(self.users_lock, fcntl.LOCK_EX)
        return False

    def spawn(
        self, command: list[str], folder: Path, arguments: list[str], death: int, stdin: int = subprocess.DEVNULL
    ) -> subprocess.Popen[bytes]:
        """Start `command -D folder arguments` as the server's user; it gets the signal `death` if the keeper dies."""
        # A user who may not pass a closed folder above can still work in `folder` through a handle that root opened.
        handle = os.open(folder, os.O_RDONLY) if self.by_handle else None
        keeper = os.getpid()

        def die_with_keeper() -> None:
            # Called after setgroups, setgid and setuid: a change of user would clear the request.
            if _prctl is not None:
                _prctl(1, death)  # PR_SET_PDEATHSIG
            if os.getppid() != keeper:
                os._exit(1)

        try:
            return subprocess.Popen(  # noqa: S603 - the programs of the wheel
                [
                    str(self.programs / command[0]),
                    *command[1:],
                    "-D",
                    str(folder) if handle is None else f"/proc/self/fd/{handle}",
                    *arguments,
                ],
                cwd="/",
                env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
                stdin=stdin,
                stdout=self.log,
                stderr=self.log,
                pass_fds=() if handle is None else (handle,),
                preexec_fn=die_with_keeper,  # one thread only
                **self.user,
            )
        finally:
            if handle is not None:
                os.close(handle)

    def reason(self) -> str:
        """Why the server did not start, from what was added to its log."""
        added = os.pread(self.log, 2**16, self.log_start).decode(errors="replace").splitlines()
        telling = [line for line in added if any(word in line for word in ("FATAL", "PANIC", "error:", "could not"))]
        words = " / ".join((telling or added)[-3:]) or "it did not say why"
        free = shutil.disk_usage(self.data).free
        return words + (f"; only {free // 2**20} MB are free on the disk" if free < 32 * 2**20 else "")

    # -- the cluster

    def make_cluster(self) -> None:
        """initdb beside its place, then rename: a cluster that is there is complete."""
        new = self.data / "pg.new"
        self.clear(new)
        if new.exists():
            shutil.rmtree(new)
        new.mkdir(mode=0o700)
        if self.user:
            os.chown(new, self.user["user"], self.user["group"])
        self.say("makes a new cluster")
        # Builtin locale: sorts by code point, the same on every system and after every update of the system.
        locale = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        rights = [f"--username={ADMIN}", "--auth-local=trust", "--auth-host=reject"]
        self.finish(self.spawn(["initdb"], new, [*locale, *rights, "--no-instructions"], signal.SIGKILL))
        alone = self.spawn(["postgres", "--single"], new, ["template1"], signal.SIGKILL, stdin=subprocess.PIPE)
        self.finish(alone, f"CREATE DATABASE {DATABASE};\n".encode())
        new.rename(self.cluster)
        folder = os.open(self.data, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)

    def finish(self, process: subprocess.Popen[bytes], words: bytes | None = None) -> None:
        process.communicate(words)
        if process.returncode != 0:
            raise Refused(f"A new database cannot be made in {self.data}: {self.reason()}.")

    def check_version(self) -> None:
        """The server says this itself, but not which versions."""
        try:
            made_by = (self.cluster / "PG_VERSION").read_text().strip()
        except FileNotFoundError:
            raise Refused(f"{self.cluster} is not a PostgreSQL cluster; move it away, then start again.") from None
        asked = [str(self.programs / "postgres"), "-V"]
        ours = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split()[-1]  # noqa: S603 - the wheel's
        if ours.split(".")[0] != made_by:
            raise Refused(
                f"The database in {self.cluster} was made by PostgreSQL {made_by}, this is {ours}. "
                f"Save it with the pg_dump of version {made_by}, move the folder away and load it again."
            )

    # -- the server

    def clear(self, folder: Path) -> None:
        """Wait until no server of an earlier keeper works in `folder`, then take away what it left.

        A server that did not stop by itself is told to, after looking that it is one: a number is never enough.
        """
        if LINUX:
            _wait_while_in(folder, 5)  # the kernel has told it to stop when its keeper died
        for how, seconds in STOPPING:
            for number in (number for number, is_postmaster in servers_in(folder).items() if is_postmaster):
                self.say(f"stops a server that was left over ({number})")
                _signal(number, folder, how)
            _wait_while_in(folder, seconds)
        if found := servers_in(folder):
            raise Refused(f"A PostgreSQL server (process {min(found)}) works in {folder} and does not stop.")
        # No server works here, so these are old, and the number in them may be anyone's by now. PostgreSQL would refuse
        # to start if that is a process of the same user, or if a file is half written.
        for left in (folder / "postmaster.pid", *self.socket.glob(".s.PGSQL.*")):
            left.unlink(missing_ok=True)

    def start_server(self) -> bool:
        """Start the server and wait until it takes connections; False when it ended, or is slow and no one waits."""
        self.clear(self.cluster)
        self.log_start = os.fstat(self.log).st_size
        socket = str(self.socket).replace('"', '""')
        settings = self.settings | {"unix_socket_directories": f'"{socket}"'}
        arguments = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        self.server = self.spawn(["postgres"], self.cluster, arguments, signal.SIGINT)
        # Also for users who left meanwhile: to stop it in the middle is what PostgreSQL does worst.
        until = time.monotonic() + 30
        while self.server.poll() is None and (time.monotonic() < until or self.in_use()):
            if self.is_ready(self.server.pid):
                self.note("ready")
                return True
            time.sleep(0.01)
        return False

    def is_ready(self, number: int) -> bool:
        """As pg_ctl sees it: first line the process, eighth its state."""
        try:
            lines = (self.cluster / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and lines[0] == str(number) and lines[7].strip() == "ready"

    def start_first(self) -> None:
        until = time.monotonic() + 15
        while not self.start_server():
            why = self.reason()
            # Processes of a killed server go by themselves, and hold its shared memory until they have.
            if time.monotonic() > until or not self.in_use() or "still in use" not in why:
                raise Refused(f"PostgreSQL does not start in {self.cluster}: {why}.")
            time.sleep(TICK)

    def start_again(self) -> None:
        """The server ended under its users: try until it is back or they are gone."""
        wait = TICK
        while self.in_use():
            self.note("starting again")
            self.say("the server ended; starts it again")
            try:
                if self.start_server():
                    return
            except (Refused, OSError) as error:
                self.say(str(error))
            time.sleep(wait)
            wait = min(2 * wait, 5)

    def stop(self) -> None:
        for how, seconds in STOPPING:
            if self.server is None or self.server.poll() is not None:
                break
            self.server.send_signal(how)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.server.wait(seconds)
        if self.socket.parent != self.data:
            # In the temp folder; what cannot be removed does no harm there.
            with contextlib.suppress(OSError):
                self.socket.rmdir()


def _wait_while_in(folder: Path, seconds: float) -> None:
    until = time.monotonic() + seconds
    while servers_in(folder) and time.monotonic() < until:
        time.sleep(0.03)


def _signal(number: int, folder: Path, how: signal.Signals) -> None:
    """Send `how` to the postmaster `number` of `folder`, and to no other process that has got its number."""
    with contextlib.suppress(ProcessLookupError):
        if not LINUX:
            os.kill(number, how)
            return
        handle = os.pidfd_open(number)
        try:
            if servers_in(folder).get(number):  # looked at again, now that the handle cannot mean another process
                signal.pidfd_send_signal(handle, how)
        finally:
            os.close(handle)


def main(plan: Mapping[str, Any], pipe: int) -> None:
    """Become the keeper of the plan's data folder until its last user has gone."""
    if os.fork():
        os._exit(0)  # whoever starts a keeper should not have to reap it
    os.chdir("/")
    os.umask(0o077)
    os.set_inheritable(pipe, False)
    open_pipe = [pipe]

    def tell(text: str) -> None:
        # Who asked may be gone; others use the server then, or it stops at once.
        with contextlib.suppress(OSError):
            for number in open_pipe:
                os.write(number, text.encode(errors="replace"))
                os.close(number)
        open_pipe.clear()

    data = Path(plan["data"])
    try:
        keeper_lock = os.open(data / "pg.keeper", os.O_RDWR)  # the lower number: let go first if we are killed
        if not try_lock(keeper_lock, fcntl.LOCK_EX):
            return
        users_lock = os.open(data / "pg.users", os.O_RDWR)
        log = os.open(data / "postgres.log", os.O_RDWR | os.O_APPEND)
        os.dup2(log, 2)
        Keeper(plan, keeper_lock, users_lock, log).run(lambda: tell("ready\n"))
    except (Refused, OSError) as error:
        tell(f"refused\n{error}")
        with contextlib.suppress(OSError):  # as in say(): there may be no room for it
            os.write(2, f"keeper: {error}\n".encode(errors="replace"))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), int(sys.argv[2]))
