"""A family takes its yes back while staff look children up: how long is the coordinator shown after that?

Somebody asks about the child over and over meanwhile. What is asked after the withdrawal is committed must never show
the coordinator: the bench stops if it does. What it measures is from the press of the button to the last answer that
did.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from statistics import median, quantiles
from uuid import UUID, uuid4

from sqlalchemy import insert, select

from bench import children
from bench.ground import Ground
from bench.lookup import HUB, Asked, server
from bench.measure import Result
from hub import family
from hub.api.tokens import issue
from hub.clock import SystemClock
from hub.context import Context
from hub.store import tables
from hub.vault import new_key, seal_json

GUARDIANS = 40
"""The children are of so many families."""


def run(runs: int, tell: Callable[[str], None], *, tiny: bool = False) -> Result:
    """`under load` and `alone`: withdrawals, one after the other, with and without lookups at the same time."""
    sizes = (
        {"children": 200, "clients": 8, "staff": 16, "withdrawals in a run": 4}
        if tiny
        else {"children": 3000, "clients": 32, "staff": 512, "withdrawals in a run": 40}
    )
    result = Result("withdrawal", "From a yes taken back to no longer shown", "withdrawals", sizes)
    tell("children and coordinators")
    sides = ("under load", "alone")
    took: dict[str, list[float]] = {side: [] for side in sides}
    shown: dict[str, list[float]] = {side: [] for side in sides}
    result.sides = {side: [] for side in sides}
    with Ground() as ground:
        key, jwks = ground.signing_key()
        settings = ground.settings(api={"jwks": jwks}, access={"children_an_hour": 100_000})
        with ground.context(settings, SystemClock()) as ctx, server(ground, settings) as port:
            numbers = children.settle(ctx, sizes["children"])
            count = sizes["withdrawals in a run"]
            theirs = _families(ctx, numbers[: (runs * len(sides) + 1) * count])
            asked = Asked(ctx, port, sizes["clients"], sizes["staff"], numbers[len(theirs) :], key)
            asked.ask(HUB, max(sizes["clients"] * 6, sizes["staff"]))
            token = issue(key, ctx.settings.api, ctx.clock, children.askers(1)[0], timedelta(hours=2))
            todo = iter(theirs)
            for turn in range(runs + 1):
                for side in sides if turn else ("alone",):  # the first is for warming up
                    tell(f"{side}, {turn} of {runs}")
                    with _load(asked) if side == "under load" else nullcontext():
                        found = [_withdraw(ctx, port, token, *next(todo)) for _ in range(count)]
                    if turn:
                        result.sides[side].append(count / sum(spent for spent, _last in found))
                        took[side] += [spent for spent, _last in found]
                        shown[side] += [last for _spent, last in found]
    result.compare("under load", "alone")
    for side in sides:
        result.notes[f"{side}: a withdrawal takes"] = _said(took[side])
        result.notes[f"{side}: shown for the last time after the press"] = _said(shown[side])
    return result


def _said(seconds: list[float]) -> str:
    p99 = quantiles(seconds, n=100, method="inclusive")[-1] if len(seconds) > 1 else seconds[0]
    return f"p50 {median(seconds) * 1000:.1f} ms, p99 {p99 * 1000:.1f} ms, at most {max(seconds) * 1000:.1f} ms"


@contextmanager
def _load(asked: Asked) -> Iterator[None]:
    """All callers look children up until this ends. Raises what they raise."""
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            asked.ask(HUB, len(asked.people) * 2)

    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(ask)
        time.sleep(1.0)  # the callers' process is up
        try:
            yield
        finally:
            over.set()
        asking.result()


def _withdraw(ctx: Context, port: int, token: str, number: str, child: UUID, guardian: UUID) -> tuple[float, float]:
    """How long the withdrawal took, and when after its beginning the coordinator was shown for the last time
    (seconds). Raises RuntimeError when a lookup that began after its end shows one."""
    answers: list[tuple[float, float, bool]] = []
    over = threading.Event()
    asker = threading.Thread(target=_ask_on, args=(port, token, number, answers, over))
    asker.start()
    while not answers:
        time.sleep(0.001)
    start = time.perf_counter()
    family.withdraw(ctx, child, family.Answerer(guardian, "page", "introduction/bench"))
    end = time.perf_counter()
    while answers[-1][0] <= end and asker.is_alive():
        time.sleep(0.001)
    over.set()
    asker.join()
    if not answers[0][2] or any(shows for sent, _came, shows in answers if sent > end):
        raise RuntimeError("a coordinator was not shown before, or still after the yes was taken back")
    last = max(came for _sent, came, shows in answers if shows)
    return end - start, max(last - start, 0.0)


def _ask_on(
    port: int, token: str, number: str, answers: list[tuple[float, float, bool]], over: threading.Event
) -> None:
    """Ask about one child until it is over; notes when each was sent and answered, and whether it showed somebody."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    body = json.dumps({"cpr": number, "purpose": "case"})
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    while not over.is_set():
        sent = time.perf_counter()
        connection.request("POST", HUB, body, headers)
        answer = connection.getresponse()
        said = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"a lookup was answered with {answer.status}")
        answers.append((sent, time.perf_counter(), b'"coordinator":null' not in said))
    connection.close()


def _families(ctx: Context, numbers: list[str]) -> list[tuple[str, UUID, UUID]]:
    """Give the children guardians and an accepted offer: number, child and guardian of each."""
    now = ctx.clock.now()
    with ctx.database.begin() as session:
        guardians = []
        for n in range(GUARDIANS):
            guardian, key_id, key = uuid4(), uuid4(), new_key()
            version, wrapped = ctx.keys.ring.wrap(key, str(key_id))
            session.execute(insert(tables.PersonKey).values(id=key_id, version=version, wrapped=wrapped))
            cpr = children.number(2_000_000 + n)
            fields = {"cpr": cpr, "name": "Signe Holm", "protected": False, "digital_post": None}
            token, sealed = ctx.keys.lookup_token(cpr), seal_json(key, fields, f"guardian:{guardian}")
            row = tables.Guardian(id=guardian, token=token, key_id=key_id, sealed=sealed)
            session.add(row)
            guardians.append(guardian)
        session.flush()
        by_token = {ctx.keys.lookup_token(number): number for number in numbers}
        assigned = select(tables.Child.id, tables.Child.token, tables.Assignment.coordinator_id)
        assigned = assigned.join(tables.Assignment, tables.Assignment.child_id == tables.Child.id)
        rows = session.execute(assigned.where(tables.Child.token.in_(by_token))).tuples().all()
        found: list[tuple[str, UUID, UUID]] = []
        for n, (child, token, coordinator) in enumerate(rows):
            guardian = guardians[n % GUARDIANS]
            found.append((by_token[token], child, guardian))
            offer = {"child_id": child, "coordinator_id": coordinator, "state": "accepted"}
            session.execute(insert(tables.Offer).values(**offer, found_at=now, offered_at=now, answered_at=now))
            custody = {"child_id": child, "guardian_id": guardian, "seen_at": now}
            session.execute(insert(tables.Custody).values(**custody))
    return found
