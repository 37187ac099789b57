"""Two machines, one municipality: separate data folders, one PostgreSQL. Processes that serve and processes that work
come and go, one of them killed; every letter is one letter, and every answer has its entry."""

from __future__ import annotations

import itertools
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from uuid import UUID

import httpx2 as httpx
import pytest
from sqlalchemy import text

from hub import State, vault
from hub.access.log import Asker
from hub.api import tokens
from hub.cases.sync import sync
from hub.clock import SystemClock
from hub.settings import Api
from hub.store import queue, tables

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
FAMILIES = 24
STAFF = Asker("s-1", "Sanne Toft", "staff", "SOF")

WORKER = """
import sys, time
from datetime import date
from pathlib import Path
from hub import jobs, vault
from hub.clock import SystemClock
from hub.context import Context
from hub.contract import Sent
from hub.plugins import Plugins
from hub.settings import Letters, Settings, Worker
from hub.store.database import Database
from hub.testing.fakes import FakeChannel

url, data, taken = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])

class Channel(FakeChannel):
    def send(self, letter, key):
        with taken.open("a") as file:
            file.write(key + "\\n")
        time.sleep(0.05)  # as long as a platform takes, so that others meet this one at work
        return Sent("t")

# All is the hub's to tell, and nothing waits for next week.
letters = Letters(most_a_week=9, agreements={"*": date(2026, 1, 1)})
settings = Settings(database_url=url, data=data, letters=letters, worker=Worker(heartbeat_seconds=3))
ctx = Context(settings, SystemClock(), Database(settings), vault.load_keys(settings.keys_folder, with_token=False),
              Plugins((), {}, {"digital_post": Channel()}, {}))
jobs.work(ctx, [jobs.LETTERS], 2)
"""


class Machine:
    """A data folder of its own with the municipality's keys, and the processes that run on it."""

    def __init__(self, folder: Path, keys: Path, api: Api, url: str, taken: Path) -> None:
        self.data, self._url, self._taken = folder / "data", url, taken
        shutil.copytree(keys, self.data / "keys")
        settings = '[municipality]\nphone = "70 10 20 30"\n'
        settings += f'[api]\nissuer = "{api.issuer}"\naudience = "{api.audience}"\njwks = "{api.jwks}"\n'
        self._settings = folder / "tovholder.toml"
        self._settings.write_text(settings)
        self._log = (folder / "log").open("ab")
        self.processes: list[subprocess.Popen[bytes]] = []

    def _start(self, *words: str) -> subprocess.Popen[bytes]:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("TOVHOLDER_")} | {
            "TOVHOLDER_DATABASE_URL": self._url,
            "TOVHOLDER_DATA": str(self.data),
            "TOVHOLDER_SETTINGS": str(self._settings),
        }
        process = subprocess.Popen([sys.executable, *words], stdout=self._log, stderr=self._log, env=environment)
        self.processes.append(process)
        return process

    def work(self) -> subprocess.Popen[bytes]:
        return self._start("-c", WORKER, self._url, str(self.data), str(self._taken))

    def serve(self) -> tuple[subprocess.Popen[bytes], str]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        return self._start("-m", "hub.cli", "serve", "--port", str(port)), f"http://127.0.0.1:{port}"

    def stop(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()
        self._log.close()


class Askers:
    """Staff who ask all the time, whichever machine answers."""

    def __init__(self, numbers: list[str], key: object, api: Api) -> None:
        self.entries: Counter[UUID] = Counter()
        self.servers: dict[str, int] = {}
        """Who is asked, and how many answers it has given."""
        self._numbers, self._token = numbers, tokens.issue(key, api, SystemClock(), STAFF)
        self._over, self._lock = threading.Event(), threading.Lock()
        self._threads = [threading.Thread(target=self._ask, args=(n,), daemon=True) for n in range(4)]

    def _ask(self, n: int) -> None:
        chance = random.Random(n)
        with httpx.Client(timeout=20.0, trust_env=False) as client:
            while not self._over.wait(0.01):
                with self._lock:
                    server = chance.choice(sorted(self.servers)) if self.servers else None
                if server is None:
                    continue
                question = {"cpr": chance.choice(self._numbers), "purpose": "case"}
                # A server that is being stopped answers nothing: then it has shown nothing either.
                with suppress(httpx.HTTPError):
                    answer = client.post(
                        f"{server}/api/v1/lookups", json=question, headers={"Authorization": f"Bearer {self._token}"}
                    )
                    if answer.status_code == 200:
                        with self._lock:
                            self.entries[UUID(json.loads(answer.content)["entry"])] += 1
                            if server in self.servers:
                                self.servers[server] += 1

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(60)


@pytest.fixture
def keys(tmp_path: Path) -> vault.Keys:
    """Keys in a folder, so that other processes have the same."""
    vault.make_keys(tmp_path / "keys")
    return vault.load_keys(tmp_path / "keys", with_token=True)


@pytest.fixture
def signing(tmp_path: Path):
    key = tokens.make_key()
    jwks = tmp_path / "jwks.json"
    jwks.write_text(json.dumps({"keys": [key.as_dict(private=False)]}))
    return key, Api(issuer="https://login.kommune.example", audience="tovholder", jwks=jwks)


@pytest.fixture
def machines(races, tmp_path, signing) -> Iterator[tuple[Machine, Machine]]:
    url = races.ctx.database.app_url.set(drivername="postgresql").render_as_string(hide_password=False)
    made = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        made.append(Machine(tmp_path / name, tmp_path / "keys", signing[1], url, tmp_path / "taken"))
    yield tuple(made)
    for machine in made:
        machine.stop()


def test_share_one_municipality_while_processes_come_and_go(races, machines, signing, tmp_path):
    world, (one, two) = races.world, machines
    children = [world.number(n) for n in range(1, FAMILIES + 1)]
    world.coordinators(2)
    for n, child in enumerate(children):
        world.accepted(child, guardians=(f"010180{4100 + n}",))
        world.case(world.sof, f"s{n}", child, State.APPLIED)
    world.night()
    sync(races.ctx)

    def letters_are_due() -> None:
        """Each family's news is due, and both machines are told to look."""
        with races.ctx.database.begin() as session:
            session.execute(text("UPDATE bundle SET due_at = '2026-01-01', opened_at = '2026-01-01'"))
            for _worker in range(4):
                queue.defer(session, "compose")

    def all_sent() -> bool:
        with world.session() as session:
            waiting = session.execute(text("SELECT count(*) FROM bundle WHERE composed_at IS NULL")).scalar_one()
        return waiting == 0 and {row.state for row in races.letters()} == {"sent"}

    def up(url: str) -> None:
        def answers() -> bool:
            with suppress(httpx.HTTPError):
                return httpx.get(f"{url}/health", trust_env=False).status_code == 200
            return False

        races.wait_for(answers)
        with askers._lock:
            askers.servers[url] = 0

    def down(url: str) -> None:
        with askers._lock:
            del askers.servers[url]

    def asked(url: str) -> None:
        """Until this one has answered some."""
        races.wait_for(lambda: askers.servers[url] >= 20)

    askers = Askers(children, *signing)
    askers.start()
    try:
        # Two and two.
        workers = [one.work(), two.work()]
        (first, first_url), (second, second_url) = one.serve(), two.serve()
        up(first_url)
        up(second_url)
        letters_are_due()
        asked(first_url)
        asked(second_url)
        races.wait_for(all_sent)
        # A third of each comes while all are at work, and the first go, as they are asked to.
        states = itertools.cycle([State.DECIDED, State.CLOSED])
        for n, child in enumerate(children):
            world.case(world.sof, f"s{n}", child, next(states))
        sync(races.ctx)
        letters_are_due()
        _third, third_url = two.serve()
        workers.append(two.work())
        up(third_url)
        first.send_signal(signal.SIGTERM)
        workers[0].send_signal(signal.SIGTERM)
        assert workers[0].wait(60) == 0
        first.wait(60)
        down(first_url)
        asked(third_url)
        races.wait_for(all_sent)
        graceful = Counter((tmp_path / "taken").read_text().split())
        # One of each is killed in the middle of it, and another starts on the first machine.
        for n, child in enumerate(children):
            world.case(world.buf, f"b{n}", child)
        sync(races.ctx)
        letters_are_due()
        before = len(races.letters())
        races.wait_for(lambda: len((tmp_path / "taken").read_text().split()) > sum(graceful.values()))
        workers[1].kill()
        second.kill()
        down(second_url)
        workers.append(one.work())
        _fourth, fourth_url = one.serve()
        up(fourth_url)
        asked(fourth_url)
        races.wait_for(all_sent)
    finally:
        askers.stop()

    letters = races.letters()
    assert before <= len(letters)
    assert len(letters) == 3 * FAMILIES  # receipt, news, more news: one each
    assert set(graceful.values()) == {1}  # whoever is asked to stop has brought its letters to their end
    taken = Counter((tmp_path / "taken").read_text().split())
    assert taken.keys() == {str(row.id) for row in letters}
    twice = {key for key, count in taken.items() if count > 1}
    assert len(twice) <= 2  # in the hands of the one that was killed: again with the same key
    tries = {str(row.id): row.tries for row in letters}
    assert all(tries[key] >= taken[key] for key in taken)
    assert "waits" not in races.ends().values()
    lookups = {row.id for row in world.rows(tables.LogEntry, tables.LogEntry.kind == "lookup")}
    assert askers.entries.keys() <= lookups
    assert set(askers.entries.values()) == {1}
    assert races.log_is_gapless()
    assert all(process.poll() is None for process in workers[2:])
