"""The demo: ten working days of a town, with the hub's own processes around it.

The source systems, Digital Post, the pages and two workers are processes of their own, as in a municipality; this one
moves the time, lets families answer, and starts each night's match and sync.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from sqlalchemy import select, text

from hub import family, jobs
from hub.cases import events, reminders, transition
from hub.cases.deadlines import is_working_day
from hub.clock import DENMARK, FileClock
from hub.context import Context, build
from hub.contract import StaffRecord
from hub.coordination.staff import add_coordinator
from hub.demo import numbers, people, personas, setup
from hub.demo.answers import answer_of
from hub.demo.case_systems import CaseSystems
from hub.demo.model import Town
from hub.demo.servers import run as servers
from hub.demo.town_file import save
from hub.errors import GaveUp, NotAllowed
from hub.identity import YOUNG, parse
from hub.settings import Settings
from hub.store import queue, tables

DAYS = 10
_PR_SET_PDEATHSIG = 1
WORKERS = 2
"""That write and send letters; one more reads cases."""


@dataclass
class Show:
    """A demo that is running or has run."""

    settings: Settings
    town: Town
    ctx: Context
    console: Console
    processes: list[subprocess.Popen[bytes]]
    systems: list[servers.Running]
    port: int | None
    seconds: dict[str, float] = field(default_factory=dict)
    numbers: dict[str, Any] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)
    case_systems: CaseSystems = field(init=False)

    def __post_init__(self) -> None:
        self.case_systems = CaseSystems(self.ctx)

    @property
    def clock(self) -> FileClock:
        assert isinstance(self.settings.clock, FileClock)  # noqa: S101 - the demo's settings have no other
        return self.settings.clock

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count a stage's time (seconds); a stage that comes every day adds up."""
        start = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - start

    def close(self) -> None:
        """Stop everything, letters in flight first."""
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(timeout=25)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for system in self.systems:
            system.stop()
        self.ctx.close()

    def stay(self, console: Console) -> None:
        """Serve until stopped with Ctrl-C."""
        console.print(f"\nThe pages stay at [bold]http://127.0.0.1:{self.port}/[/]. Stop with Ctrl-C.")
        try:
            signal.pause()
        except (KeyboardInterrupt, SystemExit):
            console.print("Stopping …")
        finally:
            self.close()

    def show(self, console: Console) -> None:
        """The numbers as a table, and what to try next."""
        table = Table(title="Ten working days in Tovby", title_justify="left", show_header=False)
        for name, value in self.numbers.items():
            shown = " · ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else str(value)
            table.add_row(name.replace("_", " "), shown)
        console.print(table)
        folder = self.settings.demo.folder if self.settings.demo else Path()
        people = personas.staff(folder)
        staff = next(iter(people.values()))
        child = personas.examples(folder)[0]
        console.print(f"\nLetters as Digital Post has them: {folder / 'digital_post'}", highlight=False)
        console.print("Ask who a child's coordinator is (the number comes on standard input):", highlight=False)
        console.print(
            f"  echo {child} | .venv/bin/tovholder lookup --as {staff.id} --purpose coordination",
            highlight=False,
            soft_wrap=True,
        )


def run(settings: Settings, *, children: int, seed: int, port: int | None, console: Console) -> Show:
    """Run the ten days. `port` None: without pages. Raises NotAllowed, GaveUp with what went wrong."""
    signal.signal(signal.SIGTERM, _stop)
    show = _prepare(settings, children, seed, port, console)
    try:
        _live(show)
    except BaseException:
        show.close()
        raise
    return show


def _stop(*_: object) -> None:
    """Somebody stops the demo: as with Ctrl-C, everything it has started is stopped too."""
    raise SystemExit(128 + signal.SIGTERM)


def _end_with_demo() -> None:
    """In a process that is being started: end when the demo ends, however it ends (Linux; elsewhere `close` does)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _prepare(settings: Settings, children: int, seed: int, port: int | None, console: Console) -> Show:
    start = time.monotonic()
    folder = setup.fresh_folder(settings)
    console.print(f"Drawing a town of {children:,} children from seed {seed} …")
    town = people.draw(seed, children)
    save(town, folder)
    FileClock(folder / "clock").set(town.start)
    systems: list[servers.Running] = []
    processes: list[subprocess.Popen[bytes]] = []
    try:
        systems = [servers.launch(name, folder) for name in servers.NAMES]
        urls = {system.name: system.url for system in systems}
        demo = setup.write_settings(folder, settings, town, urls)
        setup.fresh_database(demo).close()
        if port is not None:
            processes.append(_start(demo, "serve", "--port", str(port)))
        processes += [_start(demo, "worker", "--queue", jobs.LETTERS, "--queue", jobs.NOTICES) for _ in range(WORKERS)]
        processes.append(_start(demo, "worker", "--queue", jobs.MATCH))
        for system in systems:
            servers.wait(system)
        ctx = build(demo, with_token=True)
    except BaseException:
        for process in processes:
            process.kill()
        for system in systems:
            system.stop()
        raise
    show = Show(demo, town, ctx, console, processes, systems, port)
    show.seconds["prepare"] = time.monotonic() - start
    with ctx.database.begin() as session:
        for worker in town.coordinators:
            record = StaffRecord(worker.uuid, worker.name, worker.email, worker.phone, worker.unit)
            add_coordinator(ctx, session, record, worker.administration)
    personas.introduce(show.ctx, show.town)
    if port is not None:
        console.print(f"The pages: [bold]http://127.0.0.1:{port}/[/] (already while the days go by)")
    return show


def _start(settings: Settings, *words: str) -> subprocess.Popen[bytes]:
    """One of the hub's own processes, as an operator would start it."""
    if settings.demo is None:
        raise NotAllowed("only the demo starts processes by itself")
    log = (settings.demo.folder / f"{words[0]}.log").open("ab")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TOVHOLDER_")}
    environment["TOVHOLDER_SETTINGS"] = str(settings.demo.folder / "tovholder.toml")
    return subprocess.Popen(  # noqa: S603 - our own program and our own words
        [sys.executable, "-m", "hub.cli", *words],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        env=environment,
        preexec_fn=_end_with_demo,
    )


def _live(show: Show) -> None:
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[doing]}"),
        TimeElapsedColumn(),
        console=show.console,
        transient=not show.console.is_terminal,
    ) as progress:
        bar = progress.add_task("Ten working days", total=DAYS + 1, doing="")
        day = show.town.start
        for number in range(DAYS + 1):

            def doing(what: str, on: datetime = day) -> None:
                progress.update(bar, doing=f"{on.astimezone(DENMARK):%A %-d %B}: {what}")

            _day(show, day, number, doing)
            progress.advance(bar)
            day = _next(day)
        progress.update(bar, doing="")
    _finish(show)


def _next(day: datetime) -> datetime:
    day += timedelta(days=1)
    while not is_working_day(day.astimezone(DENMARK).date()):
        day += timedelta(days=1)
    return day


def _day(show: Show, day: datetime, number: int, doing: Any) -> None:
    """One working day: morning letters, answers at noon, delivery statuses, and the night's match and sync."""
    ctx = show.ctx
    show.clock.set(setup.at(day, 6))
    family.come_of_age(ctx)
    if number == 0:
        doing("match and offers")
        _night(show, doing)
    show.clock.set(setup.at(day, 7, 5))
    doing("letters")
    with show.stage("letters"):
        _compose(show)
    show.clock.set(setup.at(day, 11))
    doing("families answer, and Digital Post says what became of the letters")
    _defer(show, "statuses", jobs.LETTERS)
    with show.stage("answers"):
        _answers(show, day)
    with show.stage("statuses"):
        _wait_for_workers(show)
    doing("advisers hear of coordinators, and case systems journalise")
    with show.stage("case systems"):
        _defer(show, "notices", jobs.NOTICES)
        show.case_systems.read_on()
        _wait_for_workers(show)
    show.clock.set(setup.at(day, 20))
    if number:
        _night(show, doing)
    personas.introduce(show.ctx, show.town)


def _night(show: Show, doing: Any) -> None:
    """A worker reads the cases of those who have said yes, while this process looks for those who can be asked. Custody
    comes after both: who is told of a case is who has it then, so that each run of a town ends alike."""
    ctx = show.ctx
    doing("match, and the cases of those who have said yes")
    _defer(show, "sync", jobs.MATCH)
    with show.stage("match"):
        found = jobs.find(ctx)
    with show.stage("sync"):
        _wait_for_workers(show)
    doing("custody and offers")
    with show.stage("offers"):
        _custody, placed = jobs.offer(ctx)
        reminders.remind(ctx)
        transition.remind(ctx)
    if "eligible" not in show.numbers:
        with ctx.database.session() as session:
            show.numbers["children"] = numbers.children(session)
        show.numbers["eligible"] = found.found
        show.numbers["waiting_at_first"] = placed.waiting
    failing = select(tables.SourceState.source, tables.SourceState.failure).where(tables.SourceState.failures > 0)
    with ctx.database.session() as session:
        for source, failure in session.execute(failing.distinct()):
            show.console.print(f"[yellow]{source} does not answer:[/] {failure}", highlight=False)


def _defer(show: Show, job: str, name: str, times: int = 1) -> None:
    with show.ctx.database.begin() as session:
        queue.defer(session, job, [{}] * times, queue=name)


def _compose(show: Show) -> None:
    """Let the workers compose and send what is due, and wait until the queue is empty."""
    _defer(show, "compose", jobs.LETTERS, WORKERS)
    _wait_for_workers(show)


def _wait_for_workers(show: Show) -> None:
    waiting = text("SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing')")
    while True:
        with show.ctx.database.begin() as session:
            left = session.execute(waiting).scalar_one()
        if not left:
            return
        for process in show.processes:
            if process.poll() is not None:
                raise GaveUp(f"a process of the demo ended with {process.returncode}; its log is in the town's folder")
        time.sleep(0.1)


def _answers(show: Show, day: datetime) -> None:
    """The families whose day it is answer, each in a transaction of its own."""
    ctx, today = show.ctx, day.astimezone(DENMARK).date()
    tokens = {ctx.keys.lookup_token(cpr): cpr for cpr in show.town.custody}
    with ctx.database.session() as session:
        rows = session.execute(
            select(tables.Offer.child_id, tables.Offer.offered_at, tables.Child.token)
            .join(tables.Child, tables.Child.id == tables.Offer.child_id)
            .where(tables.Offer.state == "offered")
        ).all()
        guardians = dict(session.execute(select(tables.Guardian.token, tables.Guardian.id)).tuples().all())
        custody = events.guardians_of(session, {row.child_id for row in rows}, today)
        offered_by = select(tables.Letter.guardian_id, tables.Letter.template_version)
        texts = dict(session.execute(offered_by.where(tables.Letter.kind == "introduction")).tuples().all())
    clerk = personas.clerk(show.town)

    def answer(row: Any) -> None:
        offered = row.offered_at.astimezone(DENMARK).date()
        given = answer_of(show.town, tokens[row.token], today)
        if given is None or given.answer == "silent" or _working_days(offered, today) < given.after:
            return
        if parse(tokens[row.token]).is_adult(today):
            return  # nobody answers for them any more, and the night ends the offer
        guardian = guardians.get(ctx.keys.lookup_token(given.guardian))
        if guardian is None or not texts.keys() >= set(custody[row.child_id]):
            return  # nobody answers a letter that has not come
        text = f"introduction:{texts[guardian]}"
        writes = None if given.how == "page" else clerk
        if given.answer == "yes":
            family.accept(ctx, row.child_id, family.Answerer(guardian, given.how, text, writes))
            return
        # A family's no is the no of everybody who could say yes.
        young = [None] if parse(tokens[row.token]).age(today) >= YOUNG else []
        for each in (*custody[row.child_id], *young):
            family.decline(ctx, row.child_id, family.Answerer(each, given.how, text, writes))

    for row in sorted(rows, key=lambda row: tokens[row.token]):
        answer(row)


def _working_days(start: Any, end: Any) -> int:
    return sum(is_working_day(start + timedelta(days=n)) for n in range(1, (end - start).days + 1))


def _finish(show: Show) -> None:
    ctx = show.ctx
    with ctx.database.session() as session:
        show.numbers |= numbers.story(session)
    show.seconds["total"] = time.monotonic() - show.began + show.seconds["prepare"]
    show.numbers["seconds"] = {name: round(seconds, 1) for name, seconds in show.seconds.items()}
    show.numbers["peak_mb"] = numbers.peak_mb(numbers.here())
