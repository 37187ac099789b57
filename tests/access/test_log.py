"""The access log: gapless, sealed in two parts, and nothing is shown without it."""

from __future__ import annotations

import ast
import asyncio
import hashlib
import inspect
import json
import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, get_type_hints
from uuid import RFC_4122, UUID, uuid4

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

import hub
from hub import family
from hub.access import log
from hub.access.askers import KeyCache, asker_key, day_key
from hub.access.log import Asker, Disclosure, SealedEntry, envelope, seal_entry
from hub.access.lookup import Answer
from hub.api.app import answer
from hub.clock import SetClock
from hub.context import Context
from hub.store import tables
from hub.store.people import open_key
from hub.vault import CannotOpen, unseal_json

SOURCE = Path(hub.__file__).parent

entries = st.builds(
    SealedEntry,
    id=st.uuids(),
    at=st.datetimes(timezones=st.just(UTC), min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1)),  # noqa: DTZ001 - hypothesis adds the zone
    kind=st.text(max_size=20),
    child_id=st.none() | st.uuids(),
    asker_key=st.uuids(),
    asker=st.binary(max_size=40),
    subject_key=st.uuids(),
    subject=st.binary(max_size=40),
)


@given(st.integers(0, 2**63 - 1), entries)
def test_an_envelope_is_canonical(seq: int, entry: SealedEntry) -> None:
    made = envelope(seq, 1, entry)
    assert made.isascii()
    assert made == json.dumps(json.loads(made), sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()
    assert made == envelope(seq, 1, replace(entry))
    assert set(json.loads(made)) == {f.name for f in fields(entry)} - {"child_id"} | {"seq", "v", "child"}


@given(entries, st.integers(-12, 12))
def test_an_envelope_is_the_same_wherever_the_clock_hangs(entry: SealedEntry, hours: int) -> None:
    elsewhere = replace(entry, at=entry.at.astimezone(timezone(timedelta(hours=hours))))
    assert envelope(0, 1, elsewhere) == envelope(0, 1, entry)


@given(st.integers(0, 2**40), st.integers(0, 2**40), entries, entries)
def test_any_field_changes_the_envelope(seq: int, other_seq: int, entry: SealedEntry, other: SealedEntry) -> None:
    made = envelope(seq, 1, entry)
    assert made != envelope(seq, 2, entry)
    assert (made == envelope(other_seq, 1, entry)) is (seq == other_seq)
    for field in fields(SealedEntry):
        value = getattr(other, field.name)
        changed = replace(entry, **{field.name: value})
        assert (envelope(seq, 1, changed) == made) is (value == getattr(entry, field.name)), field.name


@given(entries, st.data())
def test_one_bit_of_a_sealed_part_changes_the_envelope(entry: SealedEntry, data: st.DataObject) -> None:
    for part in ("asker", "subject"):
        sealed = bytearray(getattr(entry, part) or b"x")
        entry = replace(entry, **{part: bytes(sealed)})
        sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        assert envelope(0, 1, replace(entry, **{part: bytes(sealed)})) != envelope(0, 1, entry)


def test_an_envelope_stays_as_it_is_written_today() -> None:
    """Leaves of a tree are made of these bytes: what they are may only change with the version."""
    entry = SealedEntry(
        UUID(int=1),
        datetime(2026, 11, 2, 7, 0, 0, 5, tzinfo=UTC),
        "lookup",
        None,
        UUID(int=2),
        b"a",
        UUID(int=3),
        b"s",
    )
    assert envelope(7, 1, entry) == (
        b'{"asker":"' + hashlib.sha256(b"a").hexdigest().encode() + b'",'
        b'"asker_key":"00000000-0000-0000-0000-000000000002","at":"2026-11-02T07:00:00.000005+00:00","child":null,'
        b'"id":"00000000-0000-0000-0000-000000000001","kind":"lookup","seq":7,'
        b'"subject":"' + hashlib.sha256(b"s").hexdigest().encode() + b'",'
        b'"subject_key":"00000000-0000-0000-0000-000000000003","v":1}'
    )


def test_an_envelope_read_back_from_the_database_is_the_one_that_was_sealed(ctx: Context) -> None:
    entry = sealed(ctx)
    with ctx.database.begin() as session:
        log.append(session, [entry])
    with ctx.database.begin() as session:
        row = session.query(tables.LogEntry).one()
        again = SealedEntry(**{field.name: getattr(row, field.name) for field in fields(SealedEntry)})
        assert envelope(row.seq, row.version, again) == envelope(0, log.VERSION, entry)


def sealed(ctx: Context, asker: Asker = log.SYSTEM, kind: str = "lookup") -> SealedEntry:
    with ctx.database.begin() as session:
        return seal_entry(
            at=ctx.clock.now(),
            kind=kind,
            child_id=None,
            asker=asker,
            asker_key=asker_key(session, ctx.keys, asker),
            subject={"purpose": "case"},
            subject_key=day_key(session, ctx.keys, ctx.clock.now().date()),
        )


def test_the_sequence_has_no_gap_under_threads_rollbacks_and_a_queue(ctx: Context, town: Any) -> None:
    child = town.child()
    before = len(town.log())
    sealed(ctx)  # the asker's and the day's key, so that the threads meet at the head and nowhere else

    def append(seed: int) -> int:
        rng, added = random.Random(seed), 0
        for _round in range(15):
            mine = [sealed(ctx) for _ in range(rng.randint(1, 3))]
            try:
                with ctx.database.begin() as session:
                    log.append(session, mine)
                    if rng.random() < 0.3:
                        raise ZeroDivisionError
            except ZeroDivisionError:
                continue
            added += len(mine)
        return added

    async def look_up() -> int:
        async with town.queue() as queue:
            for _round in range(10):
                await asyncio.gather(*(queue.ask(town.request(child)) for _ in range(20)))
        return 200

    with ThreadPoolExecutor(5) as pool:
        threads = [pool.submit(append, seed) for seed in range(4)]
        lookups = pool.submit(asyncio.run, look_up())
        added = sum(thread.result() for thread in threads) + lookups.result()
    rows = town.log()
    assert [row.seq for row in rows] == list(range(before + added))
    with ctx.database.begin() as session:
        assert session.get_one(tables.LogHead, 1).size == len(rows)


def test_what_was_shown_agrees_with_the_order_of_the_log(ctx: Context, town: Any) -> None:
    """Families say yes and take it back while many look up. Replay the log: a lookup shows a coordinator exactly when
    the last answer before it was a yes."""
    children = [town.child(accepted=False, case_in=None) for _ in range(8)]
    shown: dict[UUID, bool] = {}
    some_shown = threading.Event()

    def answer_twice(mine: list[Any]) -> None:
        for child in mine:
            family.accept(ctx, child.id, child.answerer)
        assert some_shown.wait(20)
        for child in mine:
            family.withdraw(ctx, child.id, child.answerer)

    async def look_up() -> None:
        async with town.queue() as queue:
            families = asyncio.gather(*(asyncio.to_thread(answer_twice, children[i::4]) for i in range(4)))
            while not families.done():
                asked = await asyncio.gather(
                    *(queue.ask(town.request(child, reason="Hvem er koordinator nu?")) for child in children)
                )
                shown.update((each.entry, each.value.coordinator is not None) for each in asked)
                if any(shown.values()):
                    some_shown.set()
            await families

    asyncio.run(look_up())
    said_yes: dict[UUID, bool] = {}
    for row in town.log():
        if row.kind == "acceptance":
            said_yes[row.child_id] = town.open(row, "subject")["answer"] == "yes"
        elif row.kind == "lookup":
            assert shown[row.id] is said_yes.get(row.child_id, False), row.seq
    assert any(shown.values())


def test_the_two_parts_open_with_their_own_keys_only(ctx: Context, town: Any) -> None:
    child = town.child()
    town.ask(town.request(child))
    row = town.log()[-1]
    with ctx.database.begin() as session:
        child_key_id = session.get_one(tables.Child, child.id).key_id
        keys = {part: open_key(session, ctx.keys, getattr(row, f"{part}_key")) for part in ("asker", "subject")}
        guardian_key = open_key(session, ctx.keys, session.get_one(tables.Guardian, child.guardian).key_id)
    assert row.subject_key == child_key_id
    assert row.asker_key != row.subject_key
    for part, other in (("asker", "subject"), ("subject", "asker")):
        assert unseal_json(keys[part], getattr(row, part), f"log-{part}:{row.id}")
        for wrong in (keys[other], guardian_key):
            with pytest.raises(CannotOpen):
                unseal_json(wrong, getattr(row, part), f"log-{part}:{row.id}")


def test_parts_cannot_be_moved_between_entries(ctx: Context, town: Any) -> None:
    """Two entries of one asker about one child have the same keys: only the entry's id tells them apart."""
    child = town.child()
    town.ask(town.request(child), town.request(child))
    first, second = town.log()[-2:]
    with ctx.database.begin() as session:
        key = open_key(session, ctx.keys, first.subject_key)
    assert first.subject_key == second.subject_key
    with pytest.raises(CannotOpen):
        unseal_json(key, first.subject, f"log-subject:{second.id}")


def test_forgetting_the_child_keeps_the_proof_about_the_asker(ctx: Context, town: Any) -> None:
    child = town.child()
    town.ask(town.request(child))
    row = town.log()[-1]
    with ctx.database.begin() as session:
        session.get_one(tables.PersonKey, row.subject_key).wrapped = None
    with pytest.raises(CannotOpen):
        town.open(row, "subject")
    assert town.open(row, "asker")["id"] == "s-1"


def test_names_and_reasons_stand_nowhere_in_the_clear(ctx: Context, town: Any) -> None:
    child = town.child()
    town.ask(town.request(child, reason="Skolen har mistet nummeret", case="S-2026-17"))
    with psycopg.connect(ctx.database.conninfo) as connection:
        stored = b"".join(
            line
            for table in ("log_entry", "staff", "person_key", "child", "rotating_key")
            for line in connection.cursor().copy(f"COPY {table} TO STDOUT").__enter__()
        )
    for secret in ("Sanne", "Skolen", "S-2026-17", "team Nord", child.cpr, "Mette"):
        assert secret.encode() not in stored
        assert secret.encode().hex().encode() not in stored  # bytea is written as hex


def test_one_key_per_asker_however_many_come_first_at_once(ctx: Context) -> None:
    newcomer = Asker("s-77", "Bo Falk", "staff", "BUF")
    caches = [KeyCache(ctx.database, ctx.keys, ctx.clock) for _ in range(6)]  # as many processes
    with ThreadPoolExecutor(6) as pool:
        pairs = list(pool.map(lambda cache: cache.fetch(newcomer), caches))
    assert len(set(pairs)) == 1


def test_the_days_key_is_another_tomorrow_and_goes_by_danish_midnight(ctx: Context, clock: SetClock) -> None:
    clock.set(datetime(2026, 11, 2, 22, 59, tzinfo=UTC))
    cache = KeyCache(ctx.database, ctx.keys, clock)
    _mine, today = cache.fetch(log.SYSTEM)
    assert cache.known(log.SYSTEM) is not None
    clock.move(timedelta(minutes=1))  # midnight in Denmark
    assert cache.known(log.SYSTEM) is None
    _mine, tomorrow = cache.fetch(log.SYSTEM)
    assert today != tomorrow


def test_keys_are_kept_for_an_hour_only(ctx: Context, clock: SetClock) -> None:
    cache = KeyCache(ctx.database, ctx.keys, clock)
    cache.fetch(log.SYSTEM)
    clock.move(timedelta(minutes=59))
    assert cache.known(log.SYSTEM) is not None
    clock.move(timedelta(minutes=2))
    assert cache.known(log.SYSTEM) is None


def calls(tree: ast.AST, name: str) -> list[int]:
    """The lines on which something of this name is called, however it was imported."""
    called = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    return [
        node.lineno
        for node in called
        for function in [node.func.value if isinstance(node.func, ast.Subscript) else node.func]
        if getattr(function, "id", getattr(function, "attr", None)) == name
    ]


def renamed(tree: ast.AST, name: str) -> list[int]:
    """The lines on which it gets another name, by which it could be called unseen."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            found += [node.lineno for alias in node.names if alias.name == name and alias.asname not in (None, name)]
        elif isinstance(node, ast.Assign) and getattr(node.value, "id", getattr(node.value, "attr", None)) == name:
            found.append(node.lineno)
    return found


def test_only_the_access_package_makes_a_disclosure() -> None:
    made, hidden = {}, {}
    for path in [*SOURCE.rglob("*.py"), *(SOURCE.parent / "plugins").rglob("tovholder_*/*.py")]:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if lines := calls(tree, "Disclosure"):
            made[path.relative_to(SOURCE.parent).as_posix()] = lines
        if lines := renamed(tree, "Disclosure"):
            hidden[path] = lines
    assert made, "the test looks in the wrong place"
    assert {Path(path).parent.as_posix() for path in made} == {"hub/access"}
    assert hidden == {}


@pytest.mark.parametrize(
    "code",
    [
        "Disclosure(1, 2)",
        "log.Disclosure(1, 2)",
        "hub.access.log.Disclosure(value=1, entry=2)",
        "Disclosure[Answer](1, 2)",
        "def f():\n    return [Disclosure(x, y) for x in z]",
    ],
)
def test_the_search_for_disclosures_would_find_one(code: str) -> None:
    assert calls(ast.parse(code), "Disclosure")


@pytest.mark.parametrize("code", ["from hub.access.log import Disclosure as D", "make = log.Disclosure"])
def test_the_search_for_disclosures_would_find_another_name(code: str) -> None:
    assert renamed(ast.parse(code), "Disclosure")


def test_the_answer_of_the_api_is_made_of_a_disclosure() -> None:
    first = next(iter(inspect.signature(answer).parameters))
    assert get_type_hints(answer)[first] == Disclosure[Answer]


def test_a_disclosure_does_not_change() -> None:
    made = Disclosure("x", uuid4())
    with pytest.raises(AttributeError):
        made.value = "y"


def test_an_append_that_fails_takes_nothing(ctx: Context, town: Any, as_owner: Callable[[str], None]) -> None:
    as_owner("REVOKE INSERT ON log_entry FROM tovholder_app")
    child = town.child(accepted=False)
    with pytest.raises(Exception, match="permission denied"):
        family.accept(ctx, child.id, child.answerer)
    with ctx.database.begin() as session:
        assert session.query(tables.Assignment).count() == 0
        assert session.query(tables.Acceptance).count() == 0
        assert session.get_one(tables.LogHead, 1).size == 0


@given(st.integers(0, 250_000_000_000_000), st.integers(1, 10**6))
def test_ids_stand_in_the_order_of_their_times_and_are_of_version_7(milliseconds: int, later: int) -> None:
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
    first = log.new_id(at)
    assert (first.version, first.variant) == (7, RFC_4122)
    assert abs((first.int >> 80) - milliseconds) <= 1
    assert first < log.new_id(at + timedelta(milliseconds=later + 1))
    assert log.new_id(at) != first
