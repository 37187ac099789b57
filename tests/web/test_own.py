"""A guardian's own look: an entry per child, durable before anything is shown, and never more than may be seen now."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

import hub
from hub import family as acts
from hub.access import own
from hub.access.log import Disclosure
from hub.access.lookup import LogUnavailable
from hub.clock import SetClock
from hub.context import Context
from hub.errors import NotAllowed
from hub.store import tables
from hub.store.people import open_key
from hub.vault import unseal_json


def look(ctx: Context, guardian: UUID, reader: own.Reader[Any]) -> Disclosure[Any]:
    return own.read(ctx.database, ctx.keys, ctx.clock, guardian, reader)


def everything(_session: Session, children: Mapping[UUID, own.OwnChild]) -> tuple[set[UUID], own.Shown]:
    return set(children), dict.fromkeys(children, ("offer",))


def entries(ctx: Context) -> list[tables.LogEntry]:
    with ctx.database.begin() as session:
        return list(session.execute(select(tables.LogEntry).order_by(tables.LogEntry.seq)).scalars())


def test_each_child_shown_has_its_entry_under_its_own_key(family: SimpleNamespace, town: Any, ctx: Context) -> None:
    emil = town.child("1405134321")
    with ctx.database.begin() as session:
        session.add(tables.Custody(child_id=emil, guardian_id=family.mother, seen_at=ctx.clock.now()))
    disclosure = look(ctx, family.mother, everything)
    assert disclosure.value == {family.ida, emil}
    logged = entries(ctx)
    assert {entry.child_id for entry in logged} == {family.ida, emil}
    assert disclosure.entry == logged[0].id
    with ctx.database.begin() as session:
        for entry in logged:
            assert entry.kind == "own"
            asker = unseal_json(open_key(session, ctx.keys, entry.asker_key), entry.asker, f"log-asker:{entry.id}")
            assert asker["id"] == str(family.mother)
            assert asker["role"] == "guardian"
            assert entry.asker_key == session.get_one(tables.Guardian, family.mother).key_id
            assert entry.child_id is not None
            assert entry.subject_key == session.get_one(tables.Child, entry.child_id).key_id
            subject = unseal_json(
                open_key(session, ctx.keys, entry.subject_key), entry.subject, f"log-subject:{entry.id}"
            )
            assert subject == {"purpose": "own", "see": True, "basis": "custody", "shown": ["offer"]}


def test_a_look_that_shows_nothing_is_logged_about_no_child(family: SimpleNamespace, ctx: Context) -> None:
    disclosure = look(ctx, family.mother, lambda _session, _children: (None, {}))
    assert disclosure.value is None
    (entry,) = entries(ctx)
    assert entry.child_id is None
    with ctx.database.begin() as session:
        key = open_key(session, ctx.keys, entry.subject_key)
        assert unseal_json(key, entry.subject, f"log-subject:{entry.id}")["see"] is False


@pytest.mark.parametrize("column", ["until", "since"])
def test_custody_that_has_ended_or_not_begun_shows_nothing(family: SimpleNamespace, ctx: Context, column: str) -> None:
    day = ctx.clock.now().date()
    with ctx.database.begin() as session:
        row = session.get_one(tables.Custody, (family.ida, family.mother))
        setattr(row, column, day if column == "until" else day.replace(day=day.day + 1))
    assert look(ctx, family.mother, everything).value == set()
    assert look(ctx, family.father, everything).value == {family.ida}


def test_access_ends_at_midnight_before_the_18th_birthday(
    family: SimpleNamespace, ctx: Context, clock: SetClock
) -> None:
    clock.set(datetime(2034, 11, 2, 22, 59, tzinfo=UTC))  # 23.59 in Denmark, Ida is 17
    assert look(ctx, family.mother, everything).value == {family.ida}
    clock.set(datetime(2034, 11, 2, 23, 0, tzinfo=UTC))
    assert look(ctx, family.mother, everything).value == set()


def test_a_reader_cannot_show_a_child_it_was_not_given(family: SimpleNamespace, town: Any, ctx: Context) -> None:
    other = town.child("1405134321")
    with pytest.raises(NotAllowed):
        look(ctx, family.mother, lambda _session, _children: ("secret", {other: ["name"]}))
    assert entries(ctx) == []


def test_somebody_unknown_is_not_allowed(ctx: Context) -> None:
    with pytest.raises(NotAllowed):
        look(ctx, uuid4(), everything)


def test_custody_lost_while_the_page_is_read_is_obeyed(family: SimpleNamespace, town: Any, ctx: Context) -> None:
    reads = []

    def reader(session: Session, children: Mapping[UUID, own.OwnChild]) -> tuple[set[UUID], own.Shown]:
        reads.append(set(children))
        if len(reads) == 1:
            town.end_custody(family.ida, family.mother)  # another transaction, committed before the head is taken
        return everything(session, children)

    assert look(ctx, family.mother, reader).value == set()
    assert reads == [{family.ida}, set()]
    assert [entry.child_id for entry in entries(ctx)] == [None], "the first try left nothing behind"


def test_a_withdrawal_while_the_page_is_read_is_obeyed(family: SimpleNamespace, ctx: Context) -> None:
    by = acts.Answerer(family.mother, "page", "test")
    acts.accept(ctx, family.ida, by)
    reads: list[str] = []

    def reader(session: Session, children: Mapping[UUID, own.OwnChild]) -> tuple[str, own.Shown]:
        state = session.execute(select(tables.Offer.state)).scalar_one()
        if not reads:
            acts.withdraw(ctx, family.ida, by)
        reads.append(state)
        return state, dict.fromkeys(children, ("offer",))

    assert look(ctx, family.mother, reader).value == "withdrawn"
    assert reads == ["accepted", "withdrawn"]
    assert [entry.kind for entry in entries(ctx)] == ["acceptance", "acceptance", "own"]


def test_what_changes_without_end_shows_nothing(family: SimpleNamespace, ctx: Context) -> None:
    states = iter(["waiting", "lapsed"] * 10)

    def reader(session: Session, children: Mapping[UUID, own.OwnChild]) -> tuple[set[UUID], own.Shown]:
        with ctx.database.begin() as other:
            offer = other.execute(select(tables.Offer)).scalar_one()
            offer.state, offer.coordinator_id = next(states), None
        return everything(session, children)

    with pytest.raises(LogUnavailable):
        look(ctx, family.mother, reader)
    assert entries(ctx) == []


def test_without_a_log_there_is_no_disclosure(family: SimpleNamespace, ctx: Context, admin: Any) -> None:
    admin(f"ALTER DATABASE {ctx.database.app_url.database} SET default_transaction_read_only = on")
    ctx.database.engine.dispose()
    with pytest.raises(LogUnavailable):
        look(ctx, family.mother, everything)


def test_only_the_access_package_makes_a_disclosure() -> None:
    """A Disclosure made elsewhere could be shown before its entry is durable."""
    root = Path(hub.__file__).parent
    makers = {
        path.relative_to(root).parts[0]
        for path in root.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and "Disclosure" in (getattr(node.func, "id", ""), getattr(node.func, "attr", ""))
    }
    assert makers == {"access"}
