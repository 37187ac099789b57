"""The promises about what is kept, by looking at everything there is: every table and column, a dump, logs and jobs.

The town's run is the real one: its own processes, sources over HTTP, workers, a Digital Post.
"""

from __future__ import annotations

import io
import json
import re
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from sqlalchemy import make_url, select, text

from hub import Presence, StaffRecord, State
from hub.cases.sync import sync
from hub.demo import show
from hub.demo.kinds import LISTED_BUF, LISTED_SOF, LISTED_SUF, UNLISTED_BUF, UNLISTED_PREFIX, UNLISTED_SOF
from hub.letters.compose import compose_due
from hub.letters.delivery import deliver
from hub.letters.frozen import open_content
from hub.letters.statuses import take_statuses
from hub.letters.templates import Templates
from hub.settings import Settings
from hub.store import tables
from hub.store.place import programs
from hub.vault import CannotOpen, unseal, unseal_json

KARLA, ALONE = "0311164234", "1405134321"
MOTHER, FATHER = "0101804001", "0101804002"


def dump(url: str) -> str:
    """Everything in a database, as pg_dump writes it. `url` is one for SQLAlchemy, of a role that may see all."""
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    done = subprocess.run([programs() / "pg_dump", "--no-sync", plain], capture_output=True, check=True)
    return done.stdout.decode()


def owners_dump(ctx) -> str:
    with ctx.database.owner_engine() as engine:
        return dump(engine.url.render_as_string(hide_password=False))


def readable(dumped: str) -> str:
    """What somebody with the dump can read: its text without hexadecimal strings, and those as bytes."""
    blobs = [bytes.fromhex(found) for found in re.findall(r"\\\\x((?:[0-9a-f]{2})+)", dumped)]
    return re.sub(r"\\\\x[0-9a-f]+", "", dumped) + "\n".join(blob.decode("latin-1") for blob in blobs)


# Promise 11. Before a family has accepted: every table and every column that may hold anything at all, and why it says
# no more of a child than token, administration, open or applied, last seen. What is not here must be empty.
PRESENCE_ONLY = {"source", "reference", "token", "administration", "state", "last_seen"}
BEFORE_YES = {
    "presence": PRESENCE_ONLY,
    "source_state": {  # counts and times of a whole source, and the settings' own list of kinds
        "source", "purpose", "cursor", "began_at", "under_way", "full_at", "first_cursor", "kinds", "new_kinds",
        "blind_at", "answered_at", "failed_at", "failure", "failures", "next_try_at", "known_rows", "held_rows",
        "held_of", "held_at", "accepted_rows",
    },
    "person_key": {"id", "version", "wrapped", "destroyed_at"},
    "child": {"id", "token", "key_id", "sealed", "eligible", "same_as", "left_at"},  # sealed: the number alone
    "child_source": {"child_id", "source", "read_at"},  # that CPR has been asked
    "guardian": {"id", "token", "key_id", "sealed", "language"},  # whom the offer goes to
    "custody": {"child_id", "guardian_id", "since", "until", "seen_at"},
    "staff": {"id", "source", "reference", "administration", "key_id", "sealed", "seen_at"},  # coordinators
    "coordinator": {"staff_id", "number", "active", "away", "substitute_id", "away_until"},
    "offer": {
        "id", "child_id", "coordinator_id", "state", "why", "found_at", "offered_at", "answer_by", "reminded_at",
        "answered_at",
    },
    "bundle": {"id", "guardian_id", "opened_at", "due_at", "composed_at"},
    "event": {
        "id", "guardian_id", "child_id", "kind", "case_id", "once", "at", "bundle_id", "why_not", "seq", "day",
        "latest", "administration", "how", "spoke",
    },
    "letter": {
        "id", "bundle_id", "guardian_id", "kind", "language", "template_version", "content", "pdf", "sha256",
        "frozen_at", "state", "state_at", "state_due", "route", "tries", "channel", "why",
    },
    "letter_child": {"letter_id", "child_id"},
    "delivery": {"id", "letter_id", "channel", "attempt", "at", "result", "reason", "transmission", "try_again_at"},
    "log_head": {"id", "size"},
    "sender": {"id", "place", "since"},  # which database letters leave from
    "program_fit": {"revision"},  # which programs may work on it
    "alembic_version": {"version_num"},
}  # fmt: skip
QUEUE = "procrastinate_"
"""The job queue's own tables: arguments are ids only (tests/test_jobs.py), and looked at below."""


@pytest.fixture
def before(world):
    """Karla has been offered a coordinator, the letter has been delivered; another child is in one administration."""
    world.coordinators()
    world.sof.put(Presence("sof-1", KARLA, State.APPLIED))
    world.buf.put(Presence("buf-1", KARLA, State.OPEN), Presence("buf-2", ALONE, State.OPEN))
    world.case(
        world.sof, "sof-1", KARLA, State.APPLIED, opened=date(2026, 10, 1), adviser=StaffRecord("a", "Åse Rådgiver")
    )
    world.custody(KARLA, MOTHER, FATHER)
    world.custody(ALONE, MOTHER)
    world.night()
    sync(world.ctx)
    compose_due(world.ctx, Templates())
    for letter in world.rows(tables.Letter):
        deliver(world.ctx, letter.id)
    take_statuses(world.ctx)
    return world


class TestLittleBeforeYes:
    def test_every_table_that_holds_anything_is_one_that_may(self, before):
        with before.session() as session:
            columns: dict[str, set[str]] = {}
            for table, column in session.execute(
                text("SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'")
            ):
                columns.setdefault(table, set()).add(column)
            held = {
                table
                for table in columns
                if not table.startswith(QUEUE)
                and session.execute(text(f'SELECT EXISTS (SELECT FROM "{table}")')).scalar_one()
            }
        assert held - {"alembic_version"} <= BEFORE_YES.keys(), "something new is kept of children before their yes"
        for table in held:
            assert columns[table] == BEFORE_YES[table], f"{table} has other columns: say here what they hold"
        assert {"child", "offer", "letter", "guardian"} <= held  # the test has seen an offered child

    def test_what_is_sealed_of_a_child_is_the_number_alone(self, before):
        with before.session() as session:
            keys = before.ctx.keys
            (child,) = before.rows(tables.Child)
            wrapped = session.get_one(tables.PersonKey, child.key_id)
            key = keys.ring.unwrap(wrapped.version, wrapped.wrapped, str(wrapped.id))
            assert unseal_json(key, child.sealed, f"child:{child.id}") == {"cpr": KARLA}

    def test_the_letter_names_neither_child_nor_case_nor_administration(self, before):
        with before.session() as session:
            for letter in session.execute(select(tables.Letter)).scalars():
                said = json.dumps(open_content(session, before.ctx.keys, letter), ensure_ascii=False)
                for word in ("Karla", "Testbarn", KARLA, "merudgifter", "Socialforvaltningen", "Åse"):
                    assert word not in said, word

    def test_events_before_the_yes_are_offers_about_no_case(self, before):
        assert {(event.kind, event.case_id) for event in before.rows(tables.Event)} == {("offered", None)}

    def test_of_a_child_in_one_administration_there_is_one_row_with_a_token(self, before):
        token = before.ctx.keys.lookup_token(ALONE).hex()
        lines = [line for line in owners_dump(before.ctx).splitlines() if token in line]
        assert len(lines) == 1
        assert lines[0].split("\t")[:1] == ["buf"]
        assert before.cpr.asked == [(None, frozenset({KARLA}))]  # and nobody has asked CPR about it

    def test_no_case_is_read_and_nobody_who_works_on_one_is_known(self, before):
        assert before.sof.asked == []
        assert {row.source for row in before.rows(tables.Staff)} == {"coordinators"}

    def test_a_dump_has_nobodys_number_or_name(self, before):
        found = readable(owners_dump(before.ctx))
        for secret in (KARLA, ALONE, MOTHER, FATHER, "Testbarn", "Testvoksen", "Koordinator 0", "Rådgiver"):
            assert secret not in found, secret

    def test_that_a_dump_would_be_seen_through_if_it_had(self, before):
        """The search itself finds what is there: a number as text, as bytes, in a job's arguments."""
        with before.ctx.database.begin() as session:
            session.execute(text("UPDATE source_state SET failure = :said"), {"said": f"no answer about {KARLA}"})
            session.execute(text("UPDATE guardian SET sealed = :said"), {"said": b"Vera Testvoksen"})
            session.execute(text("UPDATE procrastinate_jobs SET args = jsonb_build_object('cpr', '0101804002')"))
        found = readable(owners_dump(before.ctx))
        assert all(secret in found for secret in (KARLA, "Vera Testvoksen", FATHER))


@pytest.fixture
def told(world):
    """A family in the scheme; SOF has a case of a listed kind and one that must not be told."""
    world.accepted(KARLA, guardians=(MOTHER,))
    world.case(world.sof, "listed", KARLA, State.APPLIED)
    secret = StaffRecord("secret", "Hemmelig Sagsbehandler")
    for number in range(3):
        world.case(world.sof, f"X-{number}", KARLA, kind="concern", adviser=secret)
    return world


@pytest.mark.parametrize("careless", [False, True])
def test_a_case_of_an_unlisted_kind_leaves_no_trace_anywhere(told, careless):
    """Neither in a table nor in a letter, opened; also when the plugin forgets its own list."""
    if careless:
        told.sof.kinds = None
    sync(told.ctx)
    told.case(told.sof, "X-1", KARLA, State.DECIDED, kind="concern", deadline=date(2026, 11, 30))
    told.case(told.sof, "listed", KARLA, State.DECIDED)
    sync(told.ctx)
    with told.ctx.database.begin() as session:
        session.execute(text("UPDATE bundle SET due_at = '2026-01-01'"))
    assert compose_due(told.ctx, Templates()).letters == 1
    deliver(told.ctx, told.rows(tables.Letter)[0].id)
    found = owners_dump(told.ctx) + opened(told.ctx)
    listed = told.ctx.keys.refer("sof", "listed").hex()
    assert listed in found  # the search finds what is there
    for number in range(3):
        assert told.ctx.keys.refer("sof", f"X-{number}").hex() not in found
    assert told.ctx.keys.refer("sof", "secret").hex() not in found
    for word in ("concern", "Hemmelig", "X-0", "X-1", "X-2"):
        assert word not in found, word
    assert len(told.rows(tables.Case)) == 1


def opened(ctx) -> str:
    """Everything that is sealed in a database, opened: letters, cases, people, quarantine, log."""
    said: list[str] = []
    with ctx.database.session() as session:
        keys = {
            row.id: ctx.keys.ring.unwrap(row.version, row.wrapped, str(row.id))
            for row in session.execute(select(tables.PersonKey)).scalars()
            if row.wrapped is not None
        }
        child_keys = {row.id: row.key_id for row in session.execute(select(tables.Child)).scalars()}
        for child in session.execute(select(tables.Child)).scalars():
            said.append(unseal(keys[child.key_id], child.sealed, f"child:{child.id}").decode())
        for guardian in session.execute(select(tables.Guardian)).scalars():
            said.append(unseal(keys[guardian.key_id], guardian.sealed, f"guardian:{guardian.id}").decode())
        for staff in session.execute(select(tables.Staff)).scalars():
            said.append(unseal(keys[staff.key_id], staff.sealed, f"staff:{staff.key_id}").decode())
        for case in session.execute(select(tables.Case)).scalars():
            said.append(unseal(keys[child_keys[case.child_id]], case.sealed, f"case:{case.id}").decode())
        for kept in session.execute(select(tables.Quarantine)).scalars():
            said.append(unseal(keys[kept.key_id], kept.sealed, f"quarantine:{kept.key_id}").decode(errors="replace"))
        for letter in session.execute(select(tables.Letter)).scalars():
            said.append(json.dumps(open_content(session, ctx.keys, letter), ensure_ascii=False))
        for entry in session.execute(select(tables.LogEntry)).scalars():
            said.append(unseal(keys[entry.asker_key], entry.asker, f"log-asker:{entry.id}").decode())
            said.append(unseal(keys[entry.subject_key], entry.subject, f"log-subject:{entry.id}").decode())
    return "\n".join(said)


@dataclass
class Run:
    """A town that has had its ten days, while its database still runs."""

    show: show.Show
    data: Path
    dumped: str
    opened: str


def run(data: Path) -> show.Show:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        console = Console(file=io.StringIO())
        return show.run(Settings(data=data), children=60, seed=7, port=None, console=console)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    data = tmp_path_factory.mktemp("town")
    done = run(data)
    try:
        yield Run(done, data, owners_dump(done.ctx), opened(done.ctx))
    finally:
        done.close()


@pytest.mark.slow
@pytest.mark.timeout(400)
class TestTheTown:
    def test_counts_what_it_says_and_it_adds_up(self, town):
        numbers: dict[str, Any] = town.show.numbers
        whole = {
            "eligible", "coordinators", "offered", "accepted", "declined", "silent", "waiting", "events", "letters",
            "delivered", "printed", "failed", "quarantined",
        }  # fmt: skip
        assert whole | {"children", "events_per_letter", "seconds", "peak_mb"} <= numbers.keys()
        assert all(isinstance(numbers[name], int) and numbers[name] >= 0 for name in whole)
        json.dumps(numbers)
        assert numbers["children"]["SOF"] == 60
        assert numbers["eligible"] == sum(numbers["children"][pair] for pair in ("SOF+BUF", "SOF+SUF"))
        assert numbers["offered"] == numbers["accepted"] + numbers["declined"] + numbers["silent"]
        assert numbers["offered"] + numbers["waiting"] <= numbers["eligible"]
        assert numbers["accepted"] > 0
        ended = numbers["delivered"] + numbers["printed"] + numbers["failed"]
        assert numbers["letters"] == ended + numbers["on_the_way"] + numbers["withheld"]
        assert all(seconds >= 0 for seconds in numbers["seconds"].values())

    def test_silent_families_are_those_whose_offer_has_no_answer(self, town):
        with town.show.ctx.database.session() as session:
            answered = set(session.execute(select(tables.Acceptance.child_id)).scalars())
            offered = set(
                session.execute(select(tables.Offer.child_id).where(tables.Offer.offered_at.is_not(None))).scalars()
            )
        assert len(offered - answered) == town.show.numbers["silent"]
        assert answered <= offered

    def test_every_letter_is_in_digital_post_once_or_printed(self, town):
        assert town.show.settings.demo is not None
        kept = list((town.show.settings.demo.folder / "digital_post").glob("*.xml"))
        numbers = town.show.numbers
        assert len(kept) == numbers["letters"] - numbers["failed"] - numbers["withheld"]

    def test_every_event_ends_in_one_letter_or_a_reason_or_waits(self, town):
        with town.show.ctx.database.session() as session:
            letters = set(session.execute(select(tables.Letter.bundle_id)).scalars())
            open_ = select(tables.Bundle.id).where(tables.Bundle.composed_at.is_(None))
            waiting = set(session.execute(open_).scalars())
            for event in session.execute(select(tables.Event)).scalars():
                ways = [event.bundle_id in letters, event.bundle_id in waiting, event.why_not is not None]
                assert sum(ways) == 1

    def test_dump_has_none_of_the_towns_numbers_or_full_names(self, town):
        self.hides(town, readable(town.dumped))

    def test_nor_have_the_logs(self, town):
        logs = [*town.data.rglob("*.log")]
        assert {"worker.log", "postgres.log"} <= {log.name for log in logs}
        self.hides(town, "\n".join(log.read_text(encoding="utf-8", errors="replace") for log in logs))

    def test_nor_have_the_jobs(self, town):
        with town.show.ctx.database.session() as session:
            jobs = session.execute(text("SELECT task_name, args::text, queueing_lock, lock FROM procrastinate_jobs"))
            self.hides(town, "\n".join(str(tuple(row)) for row in jobs))

    def hides(self, town: Run, found: str) -> None:
        people = town.show.town.people.values()
        assert len(people) > 100
        for person in people:
            assert person.cpr not in found
            assert f"{person.cpr[:6]}-{person.cpr[6:]}" not in found
            assert person.name not in found
        for worker in town.show.town.workers.values():
            assert worker.name not in found
            assert worker.email not in found

    def test_unlisted_cases_have_left_no_trace(self, town):
        """By number, kind, uuid, reference: neither in the dump nor in what it holds when opened."""
        cases = [case for cases in town.show.town.cases.values() for case in cases]
        unlisted = [case for case in cases if case.number.startswith(UNLISTED_PREFIX)]
        assert len(unlisted) > 5
        # A kind is a few digits, which stand in a key or a time by chance: it is looked for as a word of its own.
        everything = readable(town.dumped) + town.opened
        plain = re.sub(r"\b[0-9a-f]{8}-[0-9a-f-]{27}\b", "", re.sub(r"\\\\x[0-9a-f]+", "", town.dumped)) + town.opened
        references = {
            town.show.ctx.keys.refer(source, name).hex()
            for source in town.show.ctx.plugins.adapters
            for case in unlisted
            for name in (case.uuid, case.number)
        }
        assert not [reference for reference in references if reference in town.dumped]
        for case in unlisted:
            assert case.uuid not in everything
            assert case.number not in everything
        assert UNLISTED_PREFIX + "20" not in everything
        for code, name in (UNLISTED_SOF | UNLISTED_BUF).items():
            assert not re.search(rf"(?<![\w.-]){re.escape(code)}(?![\w.-])", plain), code
            assert name not in everything
        # Of children with nothing but such cases not even a token is kept.
        listed = {case.child for case in cases if not case.number.startswith(UNLISTED_PREFIX)}
        hidden = {case.child for case in unlisted} - listed
        assert hidden
        with town.show.ctx.database.session() as session:
            tokens = set(session.execute(select(tables.Presence.token)).scalars())
        assert not {town.show.ctx.keys.lookup_token(child) for child in hidden} & tokens

    def test_listed_kinds_are_there_so_the_search_sees(self, town):
        assert any(f'"kind":"{kind}"' in town.opened for kind in (LISTED_SOF | LISTED_BUF | LISTED_SUF))

    def test_what_digital_post_has_names_no_unlisted_kind(self, town):
        assert town.show.settings.demo is not None
        for file in (town.show.settings.demo.folder / "digital_post").glob("*.xml"):
            said = file.read_text(encoding="utf-8")
            assert not [name for name in (UNLISTED_SOF | UNLISTED_BUF).values() if name in said]
            assert UNLISTED_PREFIX + "20" not in said

    def test_same_seed_same_counts(self, town, tmp_path):
        again = run(tmp_path)
        try:
            measured = {"seconds", "peak_mb"}
            first = {name: value for name, value in town.show.numbers.items() if name not in measured}
            assert {name: value for name, value in again.numbers.items() if name not in measured} == first
        finally:
            again.close()


def test_a_destroyed_key_leaves_nothing_to_open(before):
    (child,) = before.rows(tables.Child)
    with before.ctx.database.begin() as session:
        session.get_one(tables.PersonKey, child.key_id).wrapped = None
    with before.session() as session, pytest.raises(CannotOpen):
        open_content(session, before.ctx.keys, session.execute(select(tables.Letter)).scalars().first())
