"""Can whoever measures the time tell refused, unknown, no coordinator and closed apart? One caller, over HTTP.

The kinds take turns in an order drawn anew each round, so that what the machine does beside this falls on all alike.
Two kinds are compared by the Kolmogorov–Smirnov statistic: the largest distance between their distributions of time,
from 0 (the same) to 1 (they never overlap). What chance alone stays under in 19 of 20 cases is said beside it.
"""

from __future__ import annotations

import http.client
import json
import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from datetime import timedelta
from math import log, sqrt
from random import Random
from statistics import median, quantiles
from typing import Any

from sqlalchemy import insert, select, update

from bench import children
from bench.ground import Ground
from bench.lookup import HUB, server
from bench.measure import Result
from hub.access.log import Asker
from hub.api.tokens import issue
from hub.clock import SystemClock
from hub.context import Context
from hub.store import tables

HIDDEN = ("unknown", "refused", "no coordinator", "closed")
KINDS = (*HIDDEN, "shown")
_STAFF = dict(zip(KINDS, children.askers(len(KINDS)), strict=True))
"""One for each kind: how many children somebody has looked up already is no part of what is compared."""
_STRANGER = Asker("s-x", "Bo Falk Jepsen", "staff", "SUF", "Handicap, team 0")
"""Of an administration that has no case."""


def run(runs: int, tell: Callable[[str], None], *, tiny: bool = False) -> Result:
    """Each kind as a side; `unknown` is what the others are compared with."""
    sizes = {"children": 200 if tiny else 3000, "lookups of a kind in a run": 20 if tiny else 400}
    result = Result("same_answer", "Refused, unknown, none and closed by their time", "lookups", sizes)
    tell("children and coordinators")
    spent: dict[str, list[list[float]]] = {kind: [] for kind in KINDS}
    with Ground() as ground:
        key, jwks = ground.signing_key()
        named = {code: {"name": code} for code in ("SOF", "BUF", "SUF")}
        settings = ground.settings(api={"jwks": jwks}, administrations=named, access={"children_an_hour": 100_000})
        with ground.context(settings, SystemClock()) as ctx, server(ground, settings) as port:
            asked = _Asked(port, _numbers(ctx, sizes["children"]), _tokens(ctx, key))
            asked.once(10)
            for turn in range(1, runs + 1):
                tell(f"{turn} of {runs}")
                for kind, seconds in asked.once(sizes["lookups of a kind in a run"]).items():
                    spent[kind].append(seconds)
    result.sides = {kind: [1 / median(seconds) for seconds in each] for kind, each in spent.items()}
    for kind in KINDS[1:]:
        result.compare(kind, "unknown")
    everything = {kind: [one for seconds in each for one in seconds] for kind, each in spent.items()}
    for kind in KINDS:
        mine = everything[kind]
        said = f"median {median(mine) * 1e6:.0f} µs, p95 {quantiles(mine, n=20)[-1] * 1e6:.0f} µs"
        if kind != "unknown":
            distance = ks(mine, everything["unknown"])
            said += f"; distance from unknown {distance:.3f}, by chance {chance(len(mine), len(mine)):.3f}"
        result.notes[kind] = said
    return result


def ks(one: Sequence[float], other: Sequence[float]) -> float:
    """The two-sample Kolmogorov–Smirnov statistic."""
    a, b = sorted(one), sorted(other)
    return max(abs(bisect_right(a, x) / len(a) - bisect_right(b, x) / len(b)) for x in {*a, *b})


def chance(one: int, other: int, alpha: float = 0.05) -> float:
    """What the statistic of two samples of these sizes from one distribution stays under in all but `alpha` of cases
    (the usual approximation for large samples)."""
    return sqrt(-log(alpha / 2) / 2) * sqrt((one + other) / (one * other))


def _numbers(ctx: Context, count: int) -> dict[str, list[str]]:
    """Numbers by kind: the settled children in quarters, of which one has no coordinator and one has closed for the
    asker's administration; and as many that nobody has."""
    known = children.settle(ctx, count)
    quarter = len(known) // 4
    shown, refused, none, closed = (known[n * quarter : (n + 1) * quarter] for n in range(4))
    now = ctx.clock.now()
    with ctx.database.begin() as session:

        def rows(numbers: list[str]) -> list[Any]:
            tokens = [ctx.keys.lookup_token(one) for one in numbers]
            return list(session.execute(select(tables.Child.id).where(tables.Child.token.in_(tokens))).scalars())

        session.execute(update(tables.Assignment).where(tables.Assignment.child_id.in_(rows(none))).values(until=now))
        said = {"kind": "block", "capacity": "young", "how": "page", "text_version": "bench", "language": "da"}
        blocks = [
            said | {"child_id": child, "administration": "SOF", "sealed": b"", "since": now} for child in rows(closed)
        ]
        session.execute(insert(tables.Block), blocks)
    unknown = [children.number(count + n) for n in range(quarter)]
    return {"unknown": unknown, "refused": refused, "no coordinator": none, "closed": closed, "shown": shown}


def _tokens(ctx: Context, key: Any) -> dict[str, str]:
    def token(who: Asker) -> str:
        return issue(key, ctx.settings.api, ctx.clock, who, timedelta(hours=2))

    return {kind: token(_STRANGER if kind == "refused" else _STAFF[kind]) for kind in KINDS}


class _Asked:
    """One caller on a connection that stays open."""

    def __init__(self, port: int, numbers: dict[str, list[str]], tokens: dict[str, str]) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port)
        self._numbers, self._tokens = numbers, tokens
        self._random, self._asked = Random(1), 0

    def once(self, count: int) -> dict[str, list[float]]:
        """Ask so many of each kind, in turns; seconds each took. Raises RuntimeError when an answer is not as its kind
        should be."""
        spent: dict[str, list[float]] = {kind: [] for kind in KINDS}
        for _round in range(count):
            self._asked += 1
            for kind in self._random.sample(KINDS, len(KINDS)):
                numbers = self._numbers[kind]
                body = json.dumps({"cpr": numbers[self._asked * 7 % len(numbers)], "purpose": "case"})
                headers = {"Authorization": f"Bearer {self._tokens[kind]}", "Content-Type": "application/json"}
                start = time.perf_counter()
                self._connection.request("POST", HUB, body, headers)
                answer = self._connection.getresponse()
                said = answer.read()
                spent[kind].append(time.perf_counter() - start)
                if answer.status != 200 or (b'"coordinator":null' in said) is not (kind in HIDDEN):
                    raise RuntimeError(f"{kind} is not answered as it should: {answer.status}")
        return spent
