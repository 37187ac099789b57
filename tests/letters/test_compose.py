"""One letter: every event ends in exactly one, or with a reason why not; frozen with its job in one commit."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from threading import Barrier, Event
from uuid import UUID

import pytest
from procrastinate.exceptions import ConnectorException
from sqlalchemy import select, text, update

from hub import GuardianRecord, PersonRecord, StaffRecord, State, family
from hub.cases import events, kinds
from hub.cases.custody import read_custody
from hub.cases.sync import sync
from hub.letters.compose import compose_due
from hub.letters.content import NEWS, LetterKind
from hub.letters.delivery import deliver
from hub.letters.filling import ANSWERS, CHANGES, GOODBYES, TURNS
from hub.letters.frozen import open_content, open_pdf
from hub.letters.stuck import stuck
from hub.letters.templates import Templates
from hub.store import tables
from hub.store.database import Database
from hub.vault import CannotOpen

KARLA, EMIL = "0311164234", "1405134321"
GROWING = "0311084003"
"""18 on 3 November 2026, the day after the tests begin."""
MOTHER, FATHER = "0101804001", "0101804002"
TEMPLATES = Templates()


@pytest.fixture
def town(world):
    """Two siblings in the scheme, whose parents have had their first letters, with a case in each administration."""
    world.accepted(KARLA, EMIL, guardians=(MOTHER, FATHER))
    world.night()
    for n, source in enumerate((world.sof, world.buf, world.suf)):
        world.case(
            source, f"case {n}", KARLA, State.APPLIED, opened=date(2026, 10, 12), adviser=StaffRecord("a", "Åse")
        )
    sync(world.ctx)
    due(world)
    compose_due(world.ctx, TEMPLATES)
    world.clock.move(timedelta(hours=1))
    return world


def due(world) -> None:
    """What waits is due now."""
    with world.ctx.database.begin() as session:
        session.execute(update(tables.Bundle).values(due_at=world.clock.now()))


def jobs(database: Database) -> list[dict[str, str]]:
    """The arguments of the jobs that deliver, in order."""
    with database.session() as session:
        return list(
            session.execute(
                text("SELECT args FROM procrastinate_jobs WHERE task_name = 'deliver' ORDER BY id")
            ).scalars()
        )


def letters(world, guardian: str | None = None) -> list[tables.Letter]:
    rows = world.rows(tables.Letter)
    return [row for row in rows if guardian is None or row.guardian_id == world.guardian(guardian)]


def said(world, letter: tables.Letter) -> str:
    with world.session() as session:
        return open_content(session, world.ctx.keys, session.get_one(tables.Letter, letter.id))["fragment"]


def ends(world) -> dict[UUID, str]:
    """Each event's end: the letter it is in, the reason why not, or that it waits still. Fails on any other."""
    composed = {row.bundle_id for row in world.rows(tables.Letter)}
    waiting = {row.id for row in world.rows(tables.Bundle, tables.Bundle.composed_at.is_(None))}
    found = {}
    for event in world.rows(tables.Event):
        ways = [
            ("letter", event.bundle_id in composed),
            (f"why: {event.why_not}", event.why_not is not None),
            ("waits", event.bundle_id in waiting),
        ]
        true = [name for name, so in ways if so]
        assert len(true) == 1, (event.kind, true)
        found[event.id] = true[0]
    return found


def last(world, guardian: str = MOTHER) -> tables.Letter:
    return max(letters(world, guardian), key=lambda row: row.frozen_at)


class TestEveryEvent:
    def test_ends_in_one_letter_to_each_guardian(self, town):
        town.clock.move(timedelta(days=1))
        before = len(letters(town))
        town.case(town.sof, "case 0", KARLA, State.DECIDED)
        town.case(town.buf, "new", EMIL)
        sync(town.ctx)
        due(town)
        result = compose_due(town.ctx, TEMPLATES)
        assert (result.letters, result.empty, result.unwritable) == (2, 0, 0)
        assert len(letters(town)) == before + 2
        assert "waits" not in ends(town).values()

    def test_waits_until_its_bundle_is_due(self, town):
        town.case(town.buf, "new", EMIL)
        sync(town.ctx)
        assert compose_due(town.ctx, TEMPLATES).letters == 0
        assert "waits" in ends(town).values()

    def test_or_has_a_reason_when_custody_has_ended_meanwhile(self, town):
        town.case(town.buf, "new", EMIL)
        sync(town.ctx)
        town.custody(EMIL, FATHER, until=date(2026, 11, 2))
        read_custody(town.ctx, {town.child(EMIL)})
        due(town)
        result = compose_due(town.ctx, TEMPLATES)
        assert (result.letters, result.empty) == (1, 1)  # the mother's, and nothing for the father
        (event,) = [e for e in town.events("case_opened") if e.guardian_id == town.guardian(FATHER)]
        assert "custody" in (event.why_not or "")
        ends(town)

    def test_or_when_the_offer_has_been_answered_before_the_letter_left(self, world):
        world.coordinators()
        world.present(KARLA)
        world.custody(KARLA, MOTHER)
        world.night()
        world.accept(KARLA, MOTHER)
        due(world)
        compose_due(world.ctx, TEMPLATES)
        assert sorted(ends(world).values()) == ["letter", "why: the offer was answered before the letter left"]
        (letter,) = letters(world)
        assert letter.kind == "receipt"

    def test_or_when_the_child_has_turned_18(self, world):
        """Also before the night's run has seen the birthday: what is composed on the day says nothing of the child."""
        world.accepted(GROWING, EMIL, guardians=(MOTHER,))
        world.case(world.sof, "s1", GROWING)
        sync(world.ctx)
        world.case(world.sof, "s2", GROWING)
        world.case(world.sof, "s3", EMIL)
        sync(world.ctx)
        world.clock.move(timedelta(days=1))
        due(world)
        compose_due(world.ctx, TEMPLATES)
        for letter in letters(world):
            about = world.rows(tables.LetterChild, tables.LetterChild.letter_id == letter.id)
            assert world.child(GROWING) not in {link.child_id for link in about}
        told = ends(world)
        mine = world.rows(tables.Event, tables.Event.child_id == world.child(GROWING))
        assert all(told[event.id].startswith("why") for event in mine)

    def test_or_when_its_case_is_gone_while_the_letter_was_written(self, town):
        """The row of the case went after the event; nothing is left to tell."""
        town.case(town.buf, "new", EMIL)
        sync(town.ctx)
        with town.ctx.database.begin() as session:
            session.execute(text("DELETE FROM case_index WHERE child_id = :child"), {"child": town.child(EMIL)})
        due(town)
        compose_due(town.ctx, TEMPLATES)
        assert {ends(town)[e.id] for e in town.events("case_opened")} == {"why: the source no longer shows the case"}


class TestOneLetter:
    def test_says_all_children_and_all_administrations_at_once(self, town):
        town.case(town.sof, "case 0", KARLA, State.DECIDED, adviser=StaffRecord("a", "Åse"))
        town.case(town.suf, "new", EMIL)
        town.case(town.buf, "case 1", KARLA, State.CLOSED)
        sync(town.ctx)
        town.clock.move(timedelta(days=5))
        compose_due(town.ctx, TEMPLATES)
        text = said(town, last(town))
        for name in ("Socialforvaltningen", "Børne- og Ungdomsforvaltningen", "Sundheds- og Omsorgsforvaltningen"):
            assert name in text
        for code in ("SOF", "BUF", "SUF"):
            assert code not in text

    def test_is_about_the_guardians_own_children_only(self, world):
        """Half siblings: the one parent hears nothing of the other's child."""
        world.accepted(KARLA, guardians=(MOTHER, FATHER))
        world.accepted(EMIL, guardians=(MOTHER,))
        world.night()
        for source_id, child in (("s1", KARLA), ("s2", EMIL)):
            world.case(world.sof, source_id, child, kind="relief" if child == EMIL else "help")
        sync(world.ctx)
        world.case(world.sof, "s1", KARLA, State.CLOSED)
        world.case(world.sof, "s2", EMIL, State.CLOSED, kind="relief")
        sync(world.ctx)
        due(world)
        compose_due(world.ctx, TEMPLATES)
        assert "aflastning" in said(world, last(world, MOTHER))
        assert "aflastning" not in said(world, last(world, FATHER))
        about = world.rows(tables.LetterChild, tables.LetterChild.letter_id == last(world, FATHER).id)
        assert {link.child_id for link in about} == {world.child(KARLA)}

    def test_before_the_yes_names_no_child_and_no_case(self, world):
        world.coordinators()
        world.present(KARLA)
        world.custody(KARLA, MOTHER)
        world.night()
        compose_due(world.ctx, TEMPLATES)
        (letter,) = letters(world)
        assert letter.kind == "introduction"
        text = said(world, letter)
        assert "Karla" not in text
        assert "2016" in text
        assert KARLA[6:] not in text

    def test_tells_of_a_source_that_is_silent(self, town):
        town.case(town.buf, "new", EMIL)
        town.suf.fail_at = 0
        sync(town.ctx)
        due(town)
        compose_due(town.ctx, TEMPLATES)
        assert "Sundheds- og Omsorgsforvaltningen" in said(town, last(town))

    def test_reads_what_stands_at_the_moment_it_is_written(self, town):
        """A date that moved twice while the letter waited is told as it is now."""
        for day in (15, 22):
            town.case(town.sof, "case 0", KARLA, State.APPLIED, deadline=date(2027, 1, day))
            sync(town.ctx)
        due(town)
        compose_due(town.ctx, TEMPLATES)
        assert "22. januar 2027" in said(town, last(town))
        assert "15. januar 2027" not in said(town, last(town))

    def test_is_in_the_guardians_language(self, town):
        with town.ctx.database.begin() as session:
            session.get_one(tables.Guardian, town.guardian(MOTHER)).language = "en"
        town.case(town.buf, "new", EMIL)
        sync(town.ctx)
        due(town)
        compose_due(town.ctx, TEMPLATES)
        assert "the Children and Youth Administration" in said(town, last(town, MOTHER))
        assert "Børne- og Ungdomsforvaltningen" in said(town, last(town, FATHER))


class TestFrozen:
    def test_the_row_has_the_hash_of_the_bytes_and_the_version_of_the_template(self, town):
        for letter in letters(town):
            with town.session() as session:
                pdf = open_pdf(session, town.ctx.keys, session.get_one(tables.Letter, letter.id))
            assert pdf.startswith(b"%PDF")
            assert hashlib.sha256(pdf).digest() == letter.sha256
            assert letter.template_version
            assert letter.id.version == 4

    def test_opens_only_while_all_it_is_about_are_remembered(self, town):
        """The guardian and each of the children: one forgotten, and nobody opens it again."""
        (letter,) = letters(town, MOTHER)
        with town.session() as session:
            guardian = session.get_one(tables.Guardian, letter.guardian_id).key_id
            children = list(
                session.execute(
                    select(tables.Child.key_id).join(tables.LetterChild, tables.LetterChild.child_id == tables.Child.id)
                    .where(tables.LetterChild.letter_id == letter.id)
                ).scalars()
            )  # fmt: skip
        assert len(children) == 2
        for key in (guardian, *children):
            with town.session() as session:
                row = session.get_one(tables.Letter, letter.id)
                open_content(session, town.ctx.keys, row)
                session.get_one(tables.PersonKey, key).wrapped = None
                session.flush()
                with pytest.raises(CannotOpen):
                    open_content(session, town.ctx.keys, row)
                with pytest.raises(CannotOpen):
                    open_pdf(session, town.ctx.keys, row)
                session.rollback()

    def test_cannot_be_moved_to_another_letters_row(self, town):
        mine, theirs = letters(town, MOTHER)[0], letters(town, FATHER)[0]
        with town.session() as session:
            row = session.get_one(tables.Letter, mine.id)
            row.content = session.get_one(tables.Letter, theirs.id).content
            with pytest.raises(CannotOpen):
                open_content(session, town.ctx.keys, row)
            session.rollback()


@pytest.mark.slow
class TestRowAndJob:
    def test_are_in_one_commit(self, town):
        assert {one for args in jobs(town.ctx.database) for one in args["letter_ids"]} == {
            str(row.id) for row in letters(town)
        }

    def test_a_rollback_leaves_neither(self, town):
        """The commit itself fails: no letter, no job, and the bundle waits as before."""
        town.case(town.buf, "new", EMIL)
        sync(town.ctx)
        due(town)
        before = (len(letters(town)), len(jobs(town.ctx.database)))
        with town.ctx.database.owner_engine() as engine, engine.begin() as connection:
            connection.exec_driver_sql(
                "ALTER TABLE procrastinate_jobs ADD CONSTRAINT full_disk CHECK (id < 1) NOT VALID"
            )
        with pytest.raises(ConnectorException):
            compose_due(town.ctx, TEMPLATES)
        assert (len(letters(town)), len(jobs(town.ctx.database))) == before
        assert "waits" in ends(town).values()
        with town.ctx.database.owner_engine() as engine, engine.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE procrastinate_jobs DROP CONSTRAINT full_disk")
        assert compose_due(town.ctx, TEMPLATES).letters == 2

    def test_two_workers_at_once_make_no_letter_twice(self, world):
        world.coordinators(2)
        for n in range(30):
            world.present(world.number(n))
            world.custody(world.number(n), f"010180{4100 + n}")
        world.night()
        together = Barrier(3)

        def work(_n: int) -> int:
            together.wait()
            return compose_due(world.ctx, TEMPLATES).letters

        with ThreadPoolExecutor(3) as pool:
            made = list(pool.map(work, range(3)))
        assert sum(made) == len(letters(world)) == 30
        assert len({row.bundle_id for row in letters(world)}) == 30
        assert sorted(one for args in jobs(world.ctx.database) for one in args["letter_ids"]) == sorted(
            str(row.id) for row in letters(world)
        )
        ends(world)

    def test_news_that_arrives_while_the_letter_is_written_waits_for_the_next(self, town):
        """The bundle's row is locked by whoever composes: the news is neither lost nor told twice."""
        town.case(town.buf, "new", EMIL)
        sync(town.ctx)
        due(town)
        composing, told = Event(), Event()

        class Slow(Templates):
            def find(self, kind, language):
                composing.set()
                told.wait(timeout=1)
                return super().find(kind, language)

        with ThreadPoolExecutor(2) as pool:
            letter = pool.submit(compose_due, town.ctx, Slow())
            composing.wait(timeout=10)
            town.case(town.sof, "case 0", KARLA, State.DECIDED)
            news = pool.submit(sync, town.ctx, ["sof"])
            assert letter.result(timeout=20).letters == 2
            assert sum(result.events for result in news.result(timeout=20)) == 2
        assert sorted(ends(town)[e.id] for e in town.events("decided")) == ["waits", "waits"]
        due(town)
        compose_due(town.ctx, TEMPLATES)
        assert "waits" not in ends(town).values()


@pytest.mark.slow
class TestNobodysLetterHoldsUpAnothers:
    @pytest.mark.parametrize("name", ["", "   ", "\u202e\u200b", "Æ" * 500, "<script>#panic()</script> $x$ @a"])
    def test_whatever_a_source_calls_people(self, world, name):
        world.coordinators()
        for child, guardian in ((KARLA, MOTHER), (EMIL, FATHER)):
            world.present(child)
            world.custody(child, guardian)
        world.cpr.put(PersonRecord(KARLA, KARLA, name=name), GuardianRecord("x", KARLA, MOTHER, guardian_name=name))
        world.night()
        world.accept(KARLA, MOTHER)
        world.night()
        world.case(world.sof, "s1", KARLA, adviser=StaffRecord("a", name, None, name))
        sync(world.ctx)
        due(world)
        result = compose_due(world.ctx, TEMPLATES)
        assert result.letters + result.unwritable == 2
        assert len(letters(world, FATHER)) == 1

    def test_a_letter_that_cannot_be_written_is_a_persons_task(self, world):
        """Its coordinator has no name any more; the others' letters leave, and nothing is lost without a trace."""
        world.accepted(KARLA, guardians=(MOTHER,))
        world.present(EMIL)
        world.custody(EMIL, FATHER)
        world.night()
        with world.ctx.database.begin() as session:
            card = session.execute(select(tables.Staff).where(tables.Staff.source == "coordinators")).scalar_one()
            session.get_one(tables.PersonKey, card.key_id).wrapped = None
        due(world)
        result = compose_due(world.ctx, TEMPLATES)
        assert result.unwritable == 1
        (task,) = world.rows(tables.Task)
        assert task.kind == "letter_unwritable"
        assert [(late.what, late.id, late.owner) for late in stuck(world.ctx)] == [("task", task.id, "operator")]
        with world.ctx.database.begin() as session:
            session.execute(update(tables.Task).values(done_at=world.clock.now()))
        assert stuck(world.ctx) == []
        assert result.letters == len(letters(world)) == 1

    def test_a_guardian_who_has_been_forgotten_stops_nobody(self, town):
        town.case(town.buf, "new", EMIL)
        sync(town.ctx)
        due(town)
        with town.ctx.database.begin() as session:
            key = session.get_one(tables.Guardian, town.guardian(FATHER)).key_id
            session.get_one(tables.PersonKey, key).wrapped = None
        result = compose_due(town.ctx, TEMPLATES)
        assert result.letters == 1
        assert "waits" not in ends(town).values()

    def test_a_child_that_has_been_forgotten_is_left_out(self, town):
        town.case(town.buf, "new", EMIL)
        town.case(town.buf, "other", KARLA)
        sync(town.ctx)
        due(town)
        with town.ctx.database.begin() as session:
            key = session.get_one(tables.Child, town.child(EMIL)).key_id
            session.get_one(tables.PersonKey, key).wrapped = None
        assert compose_due(town.ctx, TEMPLATES).letters == 2
        about = town.rows(tables.LetterChild, tables.LetterChild.letter_id == last(town).id)
        assert {link.child_id for link in about} == {town.child(KARLA)}
        ends(town)


def test_a_family_that_takes_its_yes_back_hears_that_and_nothing_more(town):
    """One letter to each for both children: to who said so, that it has been written down; to the other, who must not
    learn whose word it was, that there is no coordinator any more."""
    town.case(town.buf, "new", EMIL)
    sync(town.ctx)
    for child in (KARLA, EMIL):
        family.withdraw(town.ctx, town.child(child), town.by(MOTHER))
    due(town)
    assert compose_due(town.ctx, TEMPLATES).letters == 2
    assert (last(town, MOTHER).kind, last(town, FATHER).kind) == ("withdrawn", "goodbye")
    assert {deliver(town.ctx, last(town, who).id) for who in (MOTHER, FATHER)} == {"sent"}
    for who in (MOTHER, FATHER):
        assert "merudgifter" not in said(town, last(town, who))
    assert {ends(town)[event.id] for event in town.events("case_opened")} == {"why: the family took its yes back"}
    town.case(town.buf, "newer", EMIL)
    sync(town.ctx)
    due(town)
    assert compose_due(town.ctx, TEMPLATES).letters == 0


def test_events_of_one_guardian_never_reach_anothers_letter(town):
    town.case(town.buf, "new", EMIL)
    sync(town.ctx)
    due(town)
    compose_due(town.ctx, TEMPLATES)
    owner = {row.bundle_id: row.guardian_id for row in letters(town)}
    for event in town.rows(tables.Event, tables.Event.bundle_id.is_not(None)):
        assert owner[event.bundle_id] == event.guardian_id


def test_no_kind_of_event_is_forgotten_by_the_letters():
    """Each has its words, or is what the letter opens with."""
    told = [NEWS.keys(), CHANGES.keys(), TURNS.keys(), ANSWERS.keys(), GOODBYES.keys(), {kinds.OFFERED, kinds.ASSIGNED}]
    assert set().union(*told) == kinds.KINDS.keys()
    assert sum(map(len, told)) == len(kinds.KINDS)
    assert set(events.ABOUT_CASES) == NEWS.keys()
    assert {kind.letter for kind in kinds.KINDS.values()} == set(LetterKind) == set(kinds.OPENS)
    assert TURNS.keys() == kinds.TURNS.keys()
