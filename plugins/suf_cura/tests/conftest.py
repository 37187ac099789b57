"""A small town made by hand, its Cura on 127.0.0.1, and the same reports as a folder."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import uvicorn
from tovholder_suf_cura import SufAdapter, SufSettings

from hub.clock import SetClock
from hub.contract import State
from hub.demo.model import Person, Town, TownCase, Version, Worker
from hub.demo.servers import suf
from hub.demo.servers.suf_files import Way, write

NOW = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
ELDERLY = 20
KINDS = {"care": {"name": "Pleje og træning"}}

# Fictitious numbers. Anna's course is open, with a contact to come and her mother in the report. Bo's closes in three
# days. Cille, protected, has one that turns out a mistake in six. Dan's begins in nine. Twenty old people have courses.
ANNA, BO, CILLE, DAN = "0101159994", "0202129993", "0303109992", "0404139991"
MUM = "0404859990"
NURSE = Worker(
    "7a3f0e55-7d0d-4b9e-8a64-0c1d6a6f2b10", "Nora Lund Sygeplejerske", "nora@example.dk", "12345678", "SUF", "A"
)


def _course(number: int, child: str, *versions: Version, follow_up: date | None = None) -> TownCase:
    uuid = f"00000000-0000-4000-8000-{number:012}"
    return TownCase(uuid, str(number), "SUF", "care", child, date(2025, 3, number % 28 + 1), versions, follow_up)


def _version(days: int, state: State, adviser: str | None = None, gone: bool = False) -> Version:
    return Version(NOW + timedelta(days=days), state, adviser, gone)


@pytest.fixture(scope="session")
def _clock() -> SetClock:
    return SetClock(NOW)


@pytest.fixture
def clock(_clock: SetClock) -> Iterator[SetClock]:
    """The town's time, which a test may move: set back afterwards."""
    yield _clock
    _clock.set(NOW)


@pytest.fixture(scope="session")
def town() -> Town:
    people = [
        Person(ANNA, "Anna", "Prøve", "Prøvevej 1", "9999", "Prøveby"),
        Person(BO, "Bo", "Øst", "Prøvevej 2", "9999", "Prøveby"),
        Person(CILLE, "Cille", "Ågård", "Hemmelig Vej 3", "9999", "Prøveby", protected=True),
        Person(DAN, "Dan", "Prøve", "Prøvevej 4", "9999", "Prøveby"),
        Person(MUM, "Mette", "Prøve", "Prøvevej 1", "9999", "Prøveby"),
    ]
    courses = (
        _course(1, ANNA, _version(-90, State.OPEN, NURSE.uuid), follow_up=date(2026, 2, 2)),
        _course(2, BO, _version(-60, State.OPEN), _version(3, State.CLOSED)),
        _course(3, CILLE, _version(-45, State.APPLIED, NURSE.uuid), _version(6, State.OPEN, gone=True)),
        _course(4, DAN, _version(9, State.DECIDED, NURSE.uuid)),
        *(_course(10 + n, f"0101{30 + n}099{n % 10}", _version(-100 - n, State.OPEN)) for n in range(ELDERLY)),
    )
    return Town(
        1, NOW, {p.cpr: p for p in people}, {}, {ANNA: (MUM,)}, {"SUF": courses}, {NURSE.uuid: NURSE}, (), {}
    )  # fmt: skip


@pytest.fixture
def who() -> SimpleNamespace:
    """The numbers of the town's children and one parent by name, `ids` of their courses, and the nurse."""
    ids = {child: f"00000000-0000-4000-8000-{n:012}" for n, child in enumerate([ANNA, BO, CILLE, DAN], start=1)}
    return SimpleNamespace(
        anna=ANNA, bo=BO, cille=CILLE, dan=DAN, mum=MUM, ids=ids, children=frozenset(ids), nurse=NURSE, start=NOW
    )


@contextmanager
def running(app: Any) -> Iterator[str]:
    """An ASGI application on a free port of 127.0.0.1, in a thread; gives its address."""
    # With the protocol named, asyncio turns Nagle's algorithm off; without, each answer waits 40 ms for an ACK.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off", access_log=False))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        end = time.monotonic() + 10
        while not server.started:
            assert time.monotonic() < end, "the server did not start"
            time.sleep(0.005)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(10)


Serve = Callable[[Any], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts ASGI applications; all are stopped after the test."""
    with ExitStack() as stack:
        yield lambda app: stack.enter_context(running(app))


@pytest.fixture(scope="session")
def url(town: Town, _clock: SetClock) -> Iterator[str]:
    """The address of the town's Cura."""
    with running(suf.app(town, _clock)) as address:
        yield address


Dump = Callable[..., None]


@pytest.fixture(scope="session")
def dump(town: Town, _clock: SetClock) -> Dump:
    """Puts what the town's Cura says now into a folder, as deliveries of several reports if no other way is given."""

    def put(place: Path, way: Way = Way.DELIVERIES) -> None:
        write(town, _clock, place, way)

    return put


@pytest.fixture
def folder(dump: Dump, tmp_path: Path) -> Path:
    """The reports of the town's start as files."""
    dump(tmp_path / "cura")
    return tmp_path / "cura"


Make = Callable[..., SufAdapter]


@pytest.fixture
def over_http(url: str) -> Iterator[Make]:
    """Makes adapters that read over HTTP; settings may be given."""
    made: list[SufAdapter] = []

    def make(**settings: Any) -> SufAdapter:
        made.append(SufAdapter(SufSettings(**{"url": url, "kinds": KINDS} | settings)))
        return made[-1]

    yield make
    for adapter in made:
        adapter.close()


@pytest.fixture
def from_folder(folder: Path) -> Make:
    """Makes adapters that read the folder; settings may be given."""
    return lambda **settings: SufAdapter(SufSettings(**{"folder": folder, "kinds": KINDS} | settings))


@pytest.fixture
def standards() -> Path:
    root = Path(__file__).parents[3]
    place = Path(os.environ.get("TOVHOLDER_STANDARDS", root.parent / "shared" / "standards"))
    if not place.is_dir():
        pytest.skip("the standards folder is not here; set TOVHOLDER_STANDARDS")
    return place
