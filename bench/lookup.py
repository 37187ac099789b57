"""Lookups through the whole of it: HTTP, token, policy, sealing and a durable entry, many callers at once."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import Any
from uuid import uuid4

from sqlalchemy import select

from bench import children
from bench.ground import Ground
from bench.lookup_server import CONSTANT, ONE_BY_ONE
from bench.measure import Result, alternate
from hub.api.tokens import issue
from hub.clock import SystemClock
from hub.context import Context
from hub.settings import Settings
from hub.store import tables

HUB = "/api/v1/lookups"
PATHS = {"hub": HUB, "constant answer": CONSTANT, "one transaction each": ONE_BY_ONE}
_SHOWN = '"coordinator":{"name":"Mette Holm'
_ROOT = Path(__file__).parents[1]


def run(runs: int, tell: Callable[[str], None], *, tiny: bool = False) -> Result:
    """`hub` against the same route answering a constant, and against a transaction for each lookup."""
    sizes = (
        {"children": 200, "clients": 8, "staff": 16, "lookups in a run": 100, "one by one": 40}
        if tiny
        else {"children": 3000, "clients": 32, "staff": 512, "lookups in a run": 2000, "one by one": 500}
    )
    result = Result("lookup", "A lookup over HTTP, with token, policy and durable entry", "lookups", sizes)
    tell("children and coordinators")
    with Ground() as ground:
        key, jwks = ground.signing_key()
        settings = ground.settings(api={"jwks": jwks}, access={"children_an_hour": 1000})
        with ground.context(settings, SystemClock()) as ctx, server(ground, settings) as port:
            numbers = children.settle(ctx, sizes["children"])
            asked = Asked(ctx, port, sizes["clients"], sizes["staff"], numbers, key)
            for path in PATHS.values():
                asked.ask(
                    path, max(sizes["clients"] * 6, sizes["staff"])
                )  # connections, prepared statements and keys at hand
            asked.spent.clear()
            count = {path: sizes["one by one" if path == ONE_BY_ONE else "lookups in a run"] for path in PATHS.values()}
            sides = {name: lambda path=path: asked.ask(path, count[path]) for name, path in PATHS.items()}
            result.sides = alternate(runs, sides, tell)
            asked.check_log()
    result.compare("hub", "constant answer", reach=0.4)
    result.compare("hub", "one transaction each", reach=3)
    for name, path in PATHS.items():
        p50, p99 = (median(run[which] for run in asked.spent[path]) * 1000 for which in ("p50", "p99"))
        result.notes[f"{name}: a caller waits"] = f"p50 {p50:.1f} ms, p99 {p99:.1f} ms"
    return result


class Asked:
    """Sends lookups from a client process, and keeps count of those that must stand in the log."""

    def __init__(self, ctx: Context, port: int, clients: int, staff: int, numbers: list[str], key: Any) -> None:
        # Many, each with a few children in the hour, as it is in a municipality.
        self.people = people = children.askers(staff)
        self._ctx, self.entries, self._sent = ctx, _entries(ctx), 0
        self._given = {
            "port": port,
            "clients": clients,
            "tokens": [issue(key, ctx.settings.api, ctx.clock, who, timedelta(hours=2)) for who in people],
            # Not in order: neighbours in the table are not neighbours in a batch.
            "bodies": [json.dumps({"cpr": n, "purpose": "case"}) for n in sorted(numbers, key=lambda n: n[::-1])],
            "expect": _SHOWN,
        }
        self.spent: dict[str, list[dict[str, float]]] = {}

    def ask(self, path: str, count: int) -> float:
        """Send so many; lookups per second. Raises RuntimeError unless each shows a coordinator."""
        given = self._given | {"path": path, "count": count, "first": self._sent}
        self._sent += count
        done = subprocess.run(
            [sys.executable, "-m", "bench.lookup_client"],
            input=json.dumps(given),
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            cwd=_ROOT,
            timeout=300,
        )
        said = json.loads(done.stdout)
        if said["statuses"] != {"right": count}:
            raise RuntimeError(f"{path} does not answer as it should: {said['statuses']}")
        if path != CONSTANT:
            self.entries += count
        self.spent.setdefault(path, []).append(said)
        return count / float(said["seconds"])

    def check_log(self) -> None:
        """Each lookup has its entry; a fast one without would be no lookup."""
        if _entries(self._ctx) != self.entries:
            raise RuntimeError(f"the log holds {_entries(self._ctx)} entries, {self.entries} lookups were answered")


def _entries(ctx: Context) -> int:
    with ctx.database.session() as session:
        return session.execute(select(tables.LogHead.size)).scalar_one()


@contextmanager
def server(ground: Ground, settings: Settings) -> Iterator[int]:
    """The server's process on a free port. It listens before it is ready, so the first request waits for it."""
    file = ground.files / f"settings-{uuid4().hex}.json"
    file.write_text(settings.model_dump_json(), encoding="utf-8")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(512)
        port: int = listener.getsockname()[1]
        server = subprocess.Popen(
            [sys.executable, "-m", "bench.lookup_server", str(file), "--fd", str(listener.fileno())],
            stdin=subprocess.PIPE,
            pass_fds=[listener.fileno()],
            cwd=_ROOT,
            start_new_session=True,
        )
    try:
        yield port
    finally:
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        if server.stdin is not None:
            server.stdin.close()
