"""A small town, the hub's own processes around it, and whoever kills them.

Workers and the pages are started again when they die, as a service manager would; commands are run again until they
come to their end, as cron would. The data folder is the town's own, so that its PostgreSQL and keeper can be killed
too.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar, Union
from uuid import UUID

import httpx2 as httpx
import tomlkit
from rich.console import Console
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from hub.api import tokens
from hub.clock import FileClock
from hub.context import build
from hub.contract import StaffRecord
from hub.coordination.staff import add_coordinator
from hub.demo import people, personas, setup, show
from hub.demo.case_systems import CaseSystems
from hub.demo.servers import run as servers
from hub.demo.servers.trouble import make_trouble
from hub.demo.town_file import save
from hub.errors import TovholderError
from hub.settings import Settings, load
from hub.store import queue
from tests.chaos.check import Asked, Outcome, look

T = TypeVar("T")
Plan = Union["Crash", "Storm", "Full", "Silent"]
PATIENCE = 120.0
"""How long a step may take (seconds); it takes a few, and the recovery of a killed worker about as many."""
TRIES = 12
"""How often a command is run again; at most one of its runs is killed at a point, and few in a storm."""
HEARTBEAT = 3


@dataclass(frozen=True)
class Crash:
    """Die at a named point, the n-th time: one process of each kind does."""

    point: str
    times: int


@dataclass(frozen=True)
class Storm:
    """kill -9 of whatever comes by, at random moments; `pace` times as far apart as on a quick machine."""

    seed: int
    pace: float = 1.0


@dataclass(frozen=True)
class Full:
    """The disk that the town is on is full now and then, for as long as it takes to notice."""

    seed: int


@dataclass(frozen=True)
class Silent:
    """Digital Post takes letters, and at times its answer does not come through: cut off, or late."""

    seed: int


class Crew:
    """The town and its processes. Leaves nothing running."""

    def __init__(
        self,
        folder: Path,
        children: int,
        workers: int,
        plan: Plan | None,
        *,
        fortnights: int = 1,
        elsewhere: Mapping[str, Path] | None = None,
    ) -> None:
        """`elsewhere`: processes, by name, that run another program than this one, from the checkout in a folder."""
        self.folder, self.plan, self._workers = folder, plan, workers
        self._elsewhere = elsewhere or {}
        self.killed: Counter[str] = Counter()
        self.asked = Asked()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._doomed = {"worker 1", "serve", "match", "sync"} if isinstance(plan, Crash) else set()
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []
        settings = Settings(data=folder)
        self.place = setup.fresh_folder(settings)
        self.town = people.draw(1, children, fortnights)
        save(self.town, self.place)
        FileClock(self.place / "clock").set(self.town.start)
        self._systems = [servers.launch(name, self.place) for name in servers.NAMES]
        urls = {system.name: system.url for system in self._systems}
        setup.write_settings(self.place, settings, self.town, urls)
        with (self.place / "tovholder.toml").open("a") as file:
            file.write(f"\n[worker]\nheartbeat_seconds = {HEARTBEAT}\n")
        self.settings = load({"TOVHOLDER_SETTINGS": str(self.place / "tovholder.toml")})
        setup.fresh_database(self.settings).close()
        for system in self._systems:
            servers.wait(system)
        self.ctx = build(self.settings, with_token=True)
        self.show = show.Show(self.settings, self.town, self.ctx, Console(quiet=True), [], self._systems, None)
        with self.ctx.database.begin() as session:
            for worker in self.town.coordinators:
                add_coordinator(self.ctx, session, StaffRecord(worker.uuid, worker.name, worker.email, worker.phone))
        personas.introduce(self.ctx, self.town)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        # By HTTP, as case systems do: `serve` is killed while they journalise.
        self.show.case_systems = CaseSystems(self.ctx, f"http://127.0.0.1:{self.port}")

    def __enter__(self) -> Self:
        for name in (*(f"worker {n + 1}" for n in range(self._workers)), "serve"):
            self._start(name)
        self._thread(self._supervise)
        self._thread(self._ask)
        if isinstance(self.plan, Storm):
            self._thread(self._storm)
        if isinstance(self.plan, Full):
            self._thread(self._fill)
        if isinstance(self.plan, Silent):
            self._thread(self._silence)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._calm()
        for process in self._processes.values():
            process.send_signal(signal.SIGTERM)
        for process in self._processes.values():
            try:
                process.wait(25)
            except subprocess.TimeoutExpired:
                process.kill()
        for system in self._systems:
            system.stop()
        self.ctx.close()
        if kind is None:
            self._nothing_left()

    def _thread(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _calm(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(20)

    # -- the days

    def live(self, days: int) -> None:
        """Match and offers, then days of letters, answers, statuses and nights; and a last morning of letters."""
        day = self.town.start
        for number in range(days + 1):
            day = self.day(day, first=number == 0)

    def day(self, day: datetime, *, first: bool = False) -> datetime:
        """One working day, from letters to the night's match; the first begins with one. Gives the next."""
        clock = self.show.clock
        self._insist(lambda: clock.set(setup.at(day, 6)))
        if first:
            self._night(day)
        self._insist(lambda: clock.set(setup.at(day, 7, 5)))
        self._jobs("compose", times=self._workers)
        self._insist(lambda: clock.set(setup.at(day, 11)))
        self._insist(lambda: show._answers(self.show, day))
        self._insist(lambda: clock.set(setup.at(day, 15)))
        self._jobs("statuses")
        self._jobs("notices", queue.NOTICES)
        self._insist(self.show.case_systems.read_on)
        self._insist(lambda: clock.set(setup.at(day, 20)))
        if not first:
            self._night(day)
        return show._next(day)

    def _night(self, day: datetime) -> None:
        self._run("match")
        self._run("sync")
        self._jobs("remind")

    def _run(self, command: str) -> None:
        """A command, again and again until it comes to its end."""
        for _ in range(TRIES):
            process = self._start(command)
            code = process.wait(PATIENCE)
            if code in (0, 3):
                if code == 0 or "busy" not in self._said(command):
                    return
            else:
                self._note(command, code)
        raise AssertionError(f"{command} does not come to its end: see {self._log(command).read_text()[-2000:]}")

    def _said(self, command: str) -> str:
        return self._log(command).read_text(errors="replace")[-3000:]

    def _jobs(self, task: str, where: str = "letters", *, times: int = 1) -> None:
        """Defer a job and wait until the workers have nothing left."""

        def defer() -> None:
            with self.ctx.database.begin() as session:
                for _ in range(times):
                    queue.defer(session, task, queue=where)

        def left() -> int:
            with self.ctx.database.begin() as session:
                waiting = text("SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing')")
                return int(session.execute(waiting).scalar_one())

        self._insist(defer)
        deadline = time.monotonic() + PATIENCE
        while self._insist(left):
            if time.monotonic() > deadline:
                raise AssertionError(f"{task}: the workers have not come to the end of their jobs")
            time.sleep(0.05)

    def _insist(self, work: Callable[[], T]) -> T:
        """What this process itself asks of the database, again when that was away."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return work()
            except (OperationalError, TovholderError, OSError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    # -- processes

    def _log(self, name: str) -> Path:
        return self.place / f"{name.replace(' ', '-')}.log"

    def _worker(self, name: str) -> list[str]:
        """The release before has no queue for notices, and none of their jobs."""
        queues = ["letters"] if name in self._elsewhere else ["letters", "notices"]
        return ["worker", *(word for queue in queues for word in ("--queue", queue))]

    def _start(self, name: str) -> subprocess.Popen[bytes]:
        words = {"serve": ["serve", "--port", str(self.port)], "match": ["match", "--json"], "sync": ["sync", "--json"]}
        environment = {k: v for k, v in os.environ.items() if not k.startswith("TOVHOLDER_")}
        environment["TOVHOLDER_SETTINGS"] = str(self.place / "tovholder.toml")
        if name in self._doomed and isinstance(self.plan, Crash):
            environment["TOVHOLDER_CRASH"] = f"{self.plan.point}:{self.plan.times}"
        if program := self._elsewhere.get(name):
            environment |= at(program) | {"TOVHOLDER_SETTINGS": str(self._settings_for(program))}
        with self._log(name).open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "hub.cli", *words.get(name, self._worker(name))],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
            )
        with self._lock:
            self._processes[name] = process
        return process

    def _settings_for(self, program: Path) -> Path:
        """The town's settings without what that program does not know yet: an operator adds it when all are new."""
        asked = (
            "import json; from hub.settings import Settings; print(json.dumps({name: sorted(getattr(field.annotation, "
            "'model_fields', {})) for name, field in Settings.model_fields.items()}))"
        )
        known = json.loads(said_by(program, asked))
        values = tomlkit.parse((self.place / "tovholder.toml").read_text())
        for name in list(values):
            if name not in known:
                del values[name]
            elif known[name] and isinstance(values[name], dict):
                for key in [key for key in values[name] if key not in known[name]]:
                    del values[name][key]
        file = self.place / "tovholder-former.toml"
        file.write_text(tomlkit.dumps(values))
        return file

    def _note(self, name: str, code: int) -> None:
        if code == -signal.SIGKILL:
            self._doomed.discard(name)  # once: the first run of a kind may not come to the point at all
            self.killed[name.split()[0]] += 1

    def _supervise(self) -> None:
        """Start again what has died, as a service manager does."""
        while not self._over.wait(0.1):
            for name, process in list(self._processes.items()):
                if name.startswith(("worker", "serve")) and process.poll() is not None:
                    self._note(name, process.returncode)
                    self._start(name)

    def _storm(self) -> None:
        plan = self.plan
        assert isinstance(plan, Storm)
        chance = random.Random(plan.seed)
        while not self._over.wait(plan.pace * chance.uniform(0.5, 4.0)):
            kind = chance.choice(["worker", "worker", "serve", "match", "sync", "keeper", "postgres", "backend"])
            with self._lock:
                ours = [p.pid for n, p in self._processes.items() if n.startswith(kind) and p.poll() is None]
            found = ours or self._of_the_database(kind)
            if found:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(chance.choice(sorted(found)), signal.SIGKILL)
                    if kind not in ("worker", "serve", "match", "sync"):
                        self.killed[kind] += 1

    def _fill(self) -> None:
        """Fill the disk, hold it, and make room again."""
        plan = self.plan
        assert isinstance(plan, Full)
        chance = random.Random(plan.seed)
        ballast = self.folder / "ballast"
        while not self._over.wait(chance.uniform(4.0, 10.0)):
            try:
                with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
                    while not self._over.is_set():
                        file.write(b"\0" * 65536)
                self.killed["room"] += 1
                self._over.wait(chance.uniform(0.5, 3.0))
            finally:
                ballast.unlink(missing_ok=True)

    def _silence(self) -> None:
        """Let the platform's answers be cut off, and be heard again."""
        plan = self.plan
        assert isinstance(plan, Silent)
        chance = random.Random(plan.seed)
        while not self._over.wait(chance.uniform(0.3, 1.5)):
            make_trouble(self.place, {"digital_post": "cut"})
            self.killed["answers"] += 1
            self._over.wait(chance.uniform(0.2, 0.8))
            make_trouble(self.place, {})

    def _of_the_database(self, kind: str) -> list[int]:
        """The processes of this town's own PostgreSQL: its keeper, its postmaster, its backends."""
        keepers = [pid for pid, words in _processes() if "keeper.py" in words and str(self.folder) in words]
        # By who started it: of a closed folder it is told by a number, not by its name.
        postmasters = [pid for keeper in keepers for pid in _children(keeper)]
        if kind == "keeper":
            return keepers
        if kind == "postgres":
            return postmasters
        if kind == "backend":
            return [pid for parent in postmasters for pid in _children(parent)]
        return []

    def show_personas(self) -> None:
        """Let those sign in to the pages who have something to see there by now."""
        self._insist(lambda: personas.introduce(self.ctx, self.town))

    def running(self) -> list[tuple[str, int]]:
        """What runs now, by what it is: the hub's own processes, the town's systems, and the database's."""
        with self._lock:
            found = [(name, process.pid) for name, process in self._processes.items() if process.poll() is None]
        found += [(f"town: {system.name}", system.process.pid) for system in self._systems]
        for kind in ("keeper", "postgres", "backend"):
            found += [(kind, pid) for pid in self._of_the_database(kind)]
        return found

    def _nothing_left(self) -> None:
        deadline = time.monotonic() + 20
        while left := [words for _pid, words in _processes() if str(self.folder) in words]:
            if time.monotonic() > deadline:
                raise AssertionError(f"still running: {left}")
            time.sleep(0.1)

    # -- somebody asks, all the time

    def _ask(self) -> None:
        chance = random.Random(7)
        key = setup.signing_key(self.place)
        staff = list(personas.staff(self.place).values())
        children = sorted(self.town.custody)[:50]
        with httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=10.0, trust_env=False) as client:
            while not self._over.wait(0.1):
                token = tokens.issue(key, self.settings.api, self.settings.clock, chance.choice(staff))
                question = {"cpr": chance.choice(children), "purpose": "coordination", "reason": "ringer til familien"}
                with contextlib.suppress(httpx.HTTPError):
                    answer = client.post("/api/v1/lookups", json=question, headers={"Authorization": f"Bearer {token}"})
                    if answer.status_code == 200:
                        self.asked.entries.add(UUID(json.loads(answer.content)["entry"]))

    def outcome(self) -> Outcome:
        """How it stands; nobody asks or kills any more."""
        self._calm()

        def count() -> Outcome:
            with self.ctx.database.session() as session:
                return look(session, self.place / "digital_post", self.asked)

        found = self._insist(count)
        found.killed = ", ".join(f"{kind} {times}" for kind, times in sorted(self.killed.items()))
        return found


def at(program: Path) -> dict[str, str]:
    """What a process needs in its environment to run the program, and the plugins, of a checkout in this folder. Safe
    path: else `-m` would find the program of the folder it is started in first."""
    folders = (program, *sorted((program / "plugins").iterdir()))
    return {"PYTHONPATH": os.pathsep.join(map(str, folders)), "PYTHONSAFEPATH": "1"}


def said_by(program: Path, code: str) -> str:
    """What a line of Python prints when it is run with the program of a checkout in this folder."""
    done = subprocess.run([sys.executable, "-c", code], env=at(program), capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _processes() -> list[tuple[int, str]]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it may end while it is looked at
            words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            found.append((int(process.name), words))
    return found


def _children(parent: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{parent}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += map(int, task.read_text().split())
    return found
