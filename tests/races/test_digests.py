"""What users of other digest engines lose or hear twice (the races that Novu's issues tell of), made to happen here:
every event ends in exactly one letter or with its reason, whoever composes, records, drops or dies at the same time."""

from __future__ import annotations

import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from threading import Barrier
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, OperationalError

from hub import Later, TryAgain, family, vault
from hub.cases import events, kinds
from hub.cases.sync import sync
from hub.letters.delivery import deliver, deliver_all
from hub.store import tables

pytestmark = pytest.mark.slow

KARLA, EMIL = "0311164234", "1405134321"
MOTHER, FATHER = "0101804001", "0101804002"


def tell(races, *whats: str, child: str = KARLA, only: UUID | None = None, kind: str = kinds.CASE_OPENED) -> int:
    """News about a child's case, in a transaction of its own."""
    world = races.world
    (case,) = world.rows(tables.Case, tables.Case.child_id == world.child(child))
    news = [events.News(kind, world.child(child), what, case.id, only) for what in whats]
    with races.ctx.database.begin() as session:
        return events.record(races.ctx, session, news)


def open_bundles(races) -> list[tables.Bundle]:
    return list(races.world.rows(tables.Bundle, tables.Bundle.composed_at.is_(None)))


class TestAnEventThatComesWhileItsBundleIsComposed:
    def test_right_before_its_commit_waits_for_the_next_letter(self, siblings, moments):
        tell(siblings, "first")
        siblings.due()
        with siblings.held(moments, "letters.composed", siblings.compose) as composed:
            told = siblings.go(tell, siblings, "second")
            siblings.waiting()  # for the bundle: it can neither get in nor be left out unseen
        assert (composed.result(60), told.result(60)) == (1, 1)
        assert sorted(siblings.ends().values()).count("waits") == 1
        siblings.write()
        assert "waits" not in siblings.ends().values()

    def test_right_after_its_commit_gets_a_bundle_of_its_own(self, siblings, moments):
        tell(siblings, "first")
        siblings.due()
        with siblings.held(moments, "letters.composed.committed", siblings.compose) as letters:
            assert tell(siblings, "second") == 1
        assert letters.result(60) == 1  # and the new one is not due yet
        (bundle,) = open_bundles(siblings)
        assert bundle.due_at > siblings.world.clock.now()
        assert sorted(siblings.ends().values()).count("waits") == 1

    def test_before_it_is_taken_is_in_the_letter(self, siblings):
        """It has got into the bundle and not committed: whoever composes leaves the bundle alone until it has."""
        tell(siblings, "first")
        siblings.due()
        with siblings.before_commit() as recording:
            told = siblings.go(tell, siblings, "second")
            recording.arrive()
            assert siblings.compose() == 0
            recording.go.set()
            assert told.result(60) == 1
        letters = len(siblings.letters())
        assert siblings.compose() == 1
        assert len(siblings.letters()) == letters + 1
        assert "waits" not in siblings.ends().values()

    def test_at_the_very_end_of_the_window_is_in_one_letter_or_the_next(self, siblings):
        """Recorded at the very moment the bundle is due, while two processes look for what is due."""
        for again in range(8):
            tell(siblings, f"first {again}")
            (bundle,) = open_bundles(siblings)
            siblings.world.clock.set(bundle.due_at)
            together = Barrier(3)

            def at_once(work, *arguments, together=together):
                together.wait()
                return work(*arguments)

            told = siblings.go(at_once, tell, siblings, f"second {again}")
            made = [siblings.go(at_once, siblings.compose) for _ in range(2)]
            assert told.result(60) == 1
            # None, when the bundle was being added to; then it is there a moment later, with both.
            assert sum(each.result(60) for each in made) <= 1
            assert len(open_bundles(siblings)) <= 1
            siblings.due()
            siblings.compose()
            assert "waits" not in siblings.ends().values()

    def test_that_must_no_longer_be_told_is_in_no_letter_that_leaves(self, siblings, moments):
        """A case goes (an adviser says "do not tell") when the letter that names it is written and not committed."""
        world = siblings.world
        tell(siblings, "decided")
        tell(siblings, "decided too", child=EMIL)
        siblings.due()
        with siblings.held(moments, "letters.composed", siblings.compose) as composed:
            world.sof.take_away("s1")
            sync(siblings.ctx)
        assert composed.result(60) == 1
        letter = siblings.newest().id
        assert "merudgifter" in siblings.says(letter)
        assert deliver(siblings.ctx, letter) == "withheld"
        again = siblings.write()
        assert "Socialforvaltningen" not in siblings.says(again)
        assert deliver(siblings.ctx, again) == "sent"
        assert list(siblings.ends().values()).count(f"why: {events.CASE_GONE}") == 1


class TestTwoAtOnce:
    def test_two_events_in_one_second_are_one_letter(self, siblings):
        """With no bundle open yet: eight processes make one, and each finds its place in it (novu#2569)."""
        together = Barrier(8)

        def go(n: int) -> int:
            together.wait()
            return tell(siblings, f"news {n}")

        assert sum(each.result(60) for each in [siblings.go(go, n) for n in range(8)]) == 8
        assert len(open_bundles(siblings)) == 1
        letter = siblings.write()
        assert list(siblings.ends().values()).count("waits") == 0
        (bundle,) = siblings.world.rows(tables.Bundle, tables.Bundle.id == siblings.letter(letter).bundle_id)
        assert len(siblings.world.rows(tables.Event, tables.Event.bundle_id == bundle.id)) == 8

    def test_two_workers_compose_the_same_bundle_once(self, siblings, moments):
        tell(siblings, "news")
        siblings.due()
        before = len(siblings.letters()), len(siblings.jobs())
        with siblings.held(moments, "letters.composed", siblings.compose) as first:
            assert siblings.compose() == 0  # it does not wait either: other bundles are its work
        assert first.result(60) == 1
        assert siblings.compose() == 0
        assert (len(siblings.letters()), len(siblings.jobs())) == (before[0] + 1, before[1] + 1)

    def test_guardians_never_share_a_bundle_nor_wait_for_each_other_for_ever(self, races):
        """Many processes tell the same parents of the same children, each in another order (novu#2698, novu#3893)."""
        world = races.world
        children = [world.number(n) for n in range(1, 5)]
        world.accepted(*children, guardians=(MOTHER, FATHER))
        for n, child in enumerate(children):
            world.case(world.sof, f"s{n}", child)
        sync(races.ctx)
        races.due()
        races.compose()
        cases = {row.child_id: row.id for row in world.rows(tables.Case)}
        together = Barrier(6)

        def go(n: int) -> int:
            mine = sorted(cases, reverse=n % 2 == 1)
            news = [events.News(kinds.CASE_OPENED, child, f"{n}", cases[child]) for child in mine]
            together.wait()
            with races.ctx.database.begin() as session:
                return events.record(races.ctx, session, news)

        assert sum(each.result(60) for each in [races.go(go, n) for n in range(6)]) == 6 * 4 * 2
        bundles = {row.id: row.guardian_id for row in open_bundles(races)}
        assert sorted(bundles.values()) == sorted([world.guardian(MOTHER), world.guardian(FATHER)])
        for event in world.events("case_opened"):
            assert bundles[event.bundle_id] == event.guardian_id

    def test_the_same_news_from_two_processes_is_told_once_and_makes_no_empty_letter(self, siblings):
        """The second had looked before the first committed, and finds its events taken when it adds them."""
        with siblings.before_commit() as recording:
            first = siblings.go(tell, siblings, "news")
            recording.arrive()
            second = siblings.go(tell, siblings, "news")
            siblings.waiting()
            recording.go.set()
            assert (first.result(60), second.result(60)) == (1, 0)
        siblings.write()
        siblings.due()
        assert siblings.compose() == 0
        assert open_bundles(siblings) == []

    def test_the_same_news_while_its_letter_is_composed_is_neither_doubled_nor_an_empty_letter(self, siblings, moments):
        tell(siblings, "news")
        siblings.due()
        with siblings.held(moments, "letters.composed", siblings.compose) as composed:
            assert tell(siblings, "news") == 0
        assert composed.result(60) == 1
        assert open_bundles(siblings) == []


class TestTwoWindows:
    def test_urgent_news_takes_along_what_waits_and_what_comes_after_waits_its_own_time(self, siblings):
        """Two windows in one flow (novu#2699): the shorter one ends both, and opens none behind it."""
        world = siblings.world
        tell(siblings, "slow")
        tell(siblings, "urgent", kind=kinds.COORDINATOR_SUBSTITUTE)
        (bundle,) = open_bundles(siblings)
        world.clock.set(bundle.due_at)
        assert siblings.compose() == 1
        tell(siblings, "after")
        (later,) = open_bundles(siblings)
        assert later.due_at - world.clock.now() > timedelta(days=2)
        assert siblings.compose() == 0

    def test_the_legal_latest_moment_is_kept_when_both_are_told_at_once(self, siblings):
        together = Barrier(2)

        def go(what: str, kind: str) -> int:
            together.wait()
            return tell(siblings, what, kind=kind)

        for n in range(5):
            told = [siblings.go(go, f"{n}", kind) for kind in (kinds.CASE_OPENED, kinds.COORDINATOR_SUBSTITUTE)]
            assert [each.result(60) for each in told] == [1, 1]
            (bundle,) = open_bundles(siblings)
            assert bundle.due_at == events.due_at(
                siblings.world.clock.now(), kinds.KINDS[kinds.COORDINATOR_SUBSTITUTE].waits
            )
            siblings.write()


class TestRetries:
    """A retry merges with itself and the batch is never sent (novu#12373)."""

    def test_of_a_composing_that_was_broken_off_make_the_letter_with_all_of_it(self, siblings, moments):
        tell(siblings, "one", "two", "three")
        siblings.due()
        before = len(siblings.letters()), siblings.jobs()
        moments.fail("letters.composed", OperationalError("COMMIT", {}, Exception("server closed the connection")))
        with pytest.raises(OperationalError):
            siblings.compose()
        assert (len(siblings.letters()), siblings.jobs()) == before
        tell(siblings, "four")
        assert siblings.compose() == 1
        letter = siblings.newest()
        assert len(siblings.world.rows(tables.Event, tables.Event.bundle_id == letter.bundle_id)) == 4
        siblings.ends()

    def test_of_a_letter_that_is_withheld_lose_nothing_of_what_it_told(self, siblings):
        """Its events go into the guardian's open bundle once, also when the job comes again."""
        tell(siblings, "news")
        tell(siblings, "other news", child=EMIL)
        letter = siblings.write()
        family.withdraw(siblings.ctx, siblings.world.child(KARLA), siblings.world.by(MOTHER))
        assert [deliver(siblings.ctx, letter) for _again in range(3)] == ["withheld"] * 3
        assert list(siblings.ends().values()).count("waits") == 1
        again = siblings.write()
        assert deliver(siblings.ctx, letter) == "withheld"
        assert deliver(siblings.ctx, again) == "sent"
        assert "waits" not in siblings.ends().values()
        assert len(siblings.world.channel.taken) == 1

    def test_of_a_letter_that_is_withheld_by_several_workers_at_once_tell_it_again_or_ask_a_person(self, siblings):
        """A try that another worker has begun, and not yet come to, looks like one that was broken off: then a person
        is asked, and nothing is told twice. In no case is it forgotten."""
        tell(siblings, "news")
        tell(siblings, "other news", child=EMIL)
        letter = siblings.write()
        family.withdraw(siblings.ctx, siblings.world.child(KARLA), siblings.world.by(MOTHER))
        states = [each.result(60) for each in [siblings.go(deliver, siblings.ctx, letter) for _ in range(4)]]
        assert states == ["withheld"] * 4
        assert siblings.world.channel.tries == []
        assert list(siblings.ends().values()).count("waits") == 1 - len(siblings.tasks("letter_failed"))

    def test_of_a_withheld_letter_meet_the_next_bundle_while_it_is_composed(self, siblings, moments):
        tell(siblings, "news", child=EMIL)
        tell(siblings, "news of Karla")
        letter = siblings.write()
        family.withdraw(siblings.ctx, siblings.world.child(KARLA), siblings.world.by(MOTHER))
        tell(siblings, "more", child=EMIL)
        siblings.due()
        with siblings.held(moments, "letters.composed", siblings.compose) as composed:
            withheld = siblings.go(deliver, siblings.ctx, letter)
            siblings.waiting()
        assert withheld.result(60) == "withheld"
        # What is told again waits, or was written at once where the composer came by once more.
        assert composed.result(60) + list(siblings.ends().values()).count("waits") == 2
        siblings.due()
        siblings.compose()
        assert "waits" not in siblings.ends().values()

    def test_of_a_job_with_several_letters_leave_out_those_that_have_left(self, siblings):
        world = siblings.world
        tell(siblings, "news")
        world.present("2003154444")
        world.custody("2003154444", FATHER)
        world.night()
        siblings.due()
        siblings.compose()
        frozen = [row.id for row in siblings.letters() if row.state == "frozen"]
        assert len(frozen) == 3
        world.channel.answers += [Later("busy")]
        for _again in range(2):
            try:
                deliver_all(siblings.ctx, frozen)
            except TryAgain:
                continue
        assert {row.state for row in siblings.letters()} == {"sent"}
        assert len(world.channel.tries) == len(frozen) + 1


PROCESS = """
import sys
from pathlib import Path
from datetime import datetime
from hub import vault
from hub.clock import SetClock
from hub.context import Context
from hub.letters.compose import compose_due
from hub.letters.templates import Templates
from hub.plugins import Plugins
from hub.settings import Settings
from hub.store.database import Database

url, keys, now = sys.argv[1:]
settings = Settings(database_url=url)
ctx = Context(settings, SetClock(datetime.fromisoformat(now)), Database(settings),
              vault.load_keys(Path(keys), with_token=False), Plugins((), {}, {}, {}))
print(compose_due(ctx, Templates()).letters)
"""


class TestDeath:
    @pytest.fixture
    def keys(self, tmp_path: Path) -> vault.Keys:
        """Keys in a folder, so that another process has the same."""
        vault.make_keys(tmp_path / "keys")
        return vault.load_keys(tmp_path / "keys", with_token=True)

    @pytest.mark.parametrize("point", ["letters.composed", "letters.composed.committed"])
    def test_between_composing_and_sending_loses_no_digest(self, siblings, tmp_path, point):
        """kill -9 right before the commit, and right after it."""
        tell(siblings, "one", "two")
        siblings.due()
        before = set(siblings.jobs())
        url = siblings.ctx.database.app_url.set(drivername="postgresql").render_as_string(hide_password=False)
        dead = subprocess.run(
            [sys.executable, "-c", PROCESS, url, str(tmp_path / "keys"), siblings.world.clock.now().isoformat()],
            env={"TOVHOLDER_CRASH": point},
            capture_output=True,
            text=True,
            check=False,
        )
        assert dead.returncode == -9, dead.stderr
        assert siblings.compose() == (1 if point == "letters.composed" else 0)
        (letter,) = set(siblings.jobs()) - before
        assert deliver(siblings.ctx, UUID(letter)) == "sent"
        assert "waits" not in siblings.ends().values()


def test_a_crowd_of_tellers_composers_and_droppers_loses_and_doubles_nothing(races):
    """Twelve threads at once: news of six families is told, twice each; bundles fall due and are composed by three;
    cases vanish, letters are sent, and some families take their yes back."""
    world = races.world
    world.coordinators(2)
    children = {world.number(n): (f"010180{4100 + n}", f"010180{4200 + n}") for n in range(1, 7)}
    for child, guardians in children.items():
        world.accepted(child, guardians=guardians)
        for n in range(3):
            world.case(world.sof, f"{child}/{n}", child)
    sync(races.ctx)
    races.due()
    races.compose()
    cases = list(world.rows(tables.Case))
    stays = {world.child(child) for child in list(children)[:4]}

    def teller(n: int) -> None:
        chance = random.Random(n // 2)  # two of them tell the same
        for step in range(12):
            case = chance.choice(cases)
            news = events.News(
                chance.choice([kinds.CASE_OPENED, kinds.APPLIED]), case.child_id, f"{n // 2}/{step}", case.id
            )
            with suppress(IntegrityError), races.ctx.database.begin() as session:  # a case that has gone is none
                events.record(races.ctx, session, [news])

    def composer(_n: int) -> None:
        for _step in range(6):
            races.due()
            races.compose()

    def sender(_n: int) -> None:
        for _step in range(4):
            for letter in races.letters(tables.Letter.state == "frozen"):
                deliver(races.ctx, letter.id)

    def dropper(n: int) -> None:
        chance = random.Random(n)
        for case in chance.sample([case for case in cases if case.child_id in stays], 4):
            with races.ctx.database.begin() as session:
                events.drop_waiting(session, events.CASE_GONE, case=case.id)
                session.execute(text("DELETE FROM case_index WHERE id = :id"), {"id": case.id})

    def leaver(_n: int) -> None:
        for child in list(children)[4:]:
            family.withdraw(races.ctx, world.child(child), world.by(children[child][0]))

    works = [teller] * 4 + [composer] * 3 + [sender] * 2 + [dropper, leaver]
    with ThreadPoolExecutor(len(works)) as pool:
        for done in [pool.submit(work, n) for n, work in enumerate(works)]:
            done.result(100)
    for _again in range(3):  # what was withheld is told in another
        races.due()
        races.compose()
        for letter in races.letters(tables.Letter.state == "frozen"):
            deliver(races.ctx, letter.id)
    ends = races.ends()
    assert "waits" not in ends.values()
    assert {row.state for row in races.letters()} <= {"sent", "withheld"}
    assert len(world.channel.taken) == len(races.letters(tables.Letter.state == "sent"))
    assert len(world.channel.tries) == len(world.channel.taken)
    assert races.log_is_gapless()
