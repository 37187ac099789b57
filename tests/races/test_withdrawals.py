"""A family's no against everything that is under way: a letter before, while and after it is sent, a letter that is
composed, a lookup, a read of the sources. What the no can still stop is stopped; what has left is known to have
left."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from threading import Event
from typing import Any
from uuid import UUID

import pytest

from hub import Later, Refused, Sent, State, TryAgain, Unsure, consents, family
from hub.access.askers import KeyCache
from hub.access.log import Asker
from hub.access.lookup import Answer, LookupQueue, Request
from hub.cases import custody, events
from hub.cases.sync import sync
from hub.letters.delivery import deliver
from hub.store import tables

pytestmark = pytest.mark.slow

KARLA, EMIL = "0311164234", "1405134321"
GROWING = "0311084003"
"""18 on 3 November 2026, the day after the tests begin."""
MOTHER, FATHER = "0101804001", "0101804002"
STAFF = Asker("s-1", "Sanne Toft", "staff", "SOF")


@pytest.fixture
def news(siblings) -> UUID:
    """A frozen letter that tells of a case of each sibling."""
    world = siblings.world
    world.case(world.sof, "s1", KARLA, State.DECIDED)
    world.case(world.buf, "b1", EMIL, State.CLOSED)
    sync(siblings.ctx)
    return siblings.write()


def withdraw(races, child: str = KARLA) -> None:
    family.withdraw(races.ctx, races.world.child(child), races.world.by(MOTHER))


def about(races, letter: UUID) -> set[UUID]:
    return {row.child_id for row in races.world.rows(tables.LetterChild, tables.LetterChild.letter_id == letter)}


def rest_is_told(races) -> None:
    """What is left of the withheld letter is told in one other, about Emil alone; of Karla no more than the no."""
    letter = races.write()
    assert races.told_of(letter) == {races.world.child(EMIL)}
    assert deliver(races.ctx, letter) == "sent"
    assert "waits" not in races.ends().values()


class Hangs:
    """A platform that has a letter in its hands until it is told what to say."""

    def __init__(self, races) -> None:
        self.asked, self.go, self.answer = Event(), Event(), Sent("t")
        send = races.world.channel.send

        def hang(letter: Any, key: str) -> Any:
            self.asked.set()
            assert self.go.wait(60)
            races.world.channel.answers.append(self.answer)
            return send(letter, key)

        races.world.channel.send = hang

    def __enter__(self) -> Hangs:
        return self

    def __exit__(self, *_error: object) -> None:
        self.go.set()


class TestAgainstALetterOnItsWay:
    def test_before_it_is_begun_it_stays(self, siblings, news):
        withdraw(siblings)
        assert deliver(siblings.ctx, news) == "withheld"
        assert siblings.world.channel.tries == []
        rest_is_told(siblings)

    def test_between_begun_and_sent_it_stays_and_is_nobodys_task(self, siblings, news, moments):
        """That it is about to be sent has been written down and committed; nothing has left."""
        with siblings.held(moments, "letters.begun", deliver, siblings.ctx, news) as sending:
            withdraw(siblings)
        assert sending.result(60) == "withheld"
        assert siblings.world.channel.tries == []
        assert siblings.world.rows(tables.Delivery) == []
        assert siblings.tasks("letter_failed") == []
        rest_is_told(siblings)

    def test_while_it_is_handed_over_the_no_waits_for_nobody_and_the_letter_has_left(self, siblings, news):
        """The platform has it already: nothing can call it back. The family does not wait for the platform."""
        with Hangs(siblings) as platform:
            sending = siblings.go(deliver, siblings.ctx, news)
            assert platform.asked.wait(60)
            withdraw(siblings)
            assert siblings.letter(news).state == "frozen"  # the no is committed, and the letter under way still
            platform.go.set()
            assert sending.result(60) == "sent"
        assert siblings.letter(news).state == "sent"
        assert deliver(siblings.ctx, news) == "sent"
        assert len(siblings.world.channel.tries) == 1
        assert siblings.only_the_no_is_told()
        assert siblings.log_is_gapless()

    @pytest.mark.parametrize("answer", [Later("busy"), TryAgain("down")])
    def test_while_it_is_handed_over_and_not_taken_there_is_no_second_try(self, siblings, news, answer):
        with Hangs(siblings) as platform:
            platform.answer = answer
            sending = siblings.go(deliver, siblings.ctx, news)
            assert platform.asked.wait(60)
            withdraw(siblings)
            platform.go.set()
            with pytest.raises(TryAgain):
                sending.result(60)
        platform.answer = Sent("t")
        assert deliver(siblings.ctx, news) == "withheld"
        assert len(siblings.world.channel.tries) == 1
        rest_is_told(siblings)

    def test_while_it_is_handed_over_and_nobody_knows_a_person_looks(self, siblings, news):
        """A time-out after the platform may have taken it: neither a second try nor a second telling."""
        with Hangs(siblings) as platform:
            platform.answer = Unsure("time-out")
            sending = siblings.go(deliver, siblings.ctx, news)
            assert platform.asked.wait(60)
            withdraw(siblings)
            platform.go.set()
            with pytest.raises(TryAgain):
                sending.result(60)
        assert deliver(siblings.ctx, news) == "withheld"
        assert len(siblings.world.channel.tries) == 1
        assert [task.letter_id for task in siblings.tasks("letter_failed")] == [news]
        assert siblings.only_the_no_is_told()

    def test_while_it_is_handed_over_and_refused_it_is_a_task_like_any_other(self, siblings, news):
        with Hangs(siblings) as platform:
            platform.answer = Refused("no such recipient")
            sending = siblings.go(deliver, siblings.ctx, news)
            assert platform.asked.wait(60)
            withdraw(siblings)
            platform.go.set()
            assert sending.result(60) == "failed"
        assert [task.letter_id for task in siblings.tasks("letter_failed")] == [news]

    def test_handed_over_and_not_yet_written_down_it_has_left(self, siblings, news, moments):
        with siblings.held(moments, "letters.handed_over", deliver, siblings.ctx, news) as sending:
            withdraw(siblings)
        assert sending.result(60) == "sent"
        assert len(siblings.world.channel.taken) == 1

    def test_after_it_was_sent_it_stays_sent_and_no_other_follows(self, siblings, news):
        assert deliver(siblings.ctx, news) == "sent"
        withdraw(siblings)
        assert deliver(siblings.ctx, news) == "sent"
        assert siblings.only_the_no_is_told()
        assert "waits" not in siblings.ends().values()

    def test_two_workers_with_the_letter_and_a_no_in_between(self, siblings, news):
        """The second waits for the first, and finds the letter sent: it neither sends nor withholds it."""
        with Hangs(siblings) as platform:
            first = siblings.go(deliver, siblings.ctx, news)
            assert platform.asked.wait(60)
            second = siblings.go(deliver, siblings.ctx, news)
            siblings.waiting()
            withdraw(siblings)
            platform.go.set()
            assert (first.result(60), second.result(60)) == ("sent", "sent")
        assert len(siblings.world.channel.tries) == 1
        assert [row.result for row in siblings.world.rows(tables.Delivery)] == ["sent"]


def composed_while(siblings, moments, happens: Callable[[], object], *, waits: bool = False) -> UUID:
    """The letter about both children that is being composed while something happens to Karla's part of it. `waits`: it
    ends after the letter is composed."""
    world = siblings.world
    world.case(world.sof, "s1", KARLA, State.DECIDED)
    world.case(world.buf, "b1", EMIL, State.CLOSED)
    sync(siblings.ctx)
    siblings.due()
    with siblings.held(moments, "letters.composed", siblings.compose) as composed:
        happening = siblings.go(happens)
        siblings.waiting() if waits else happening.result(60)
    assert composed.result(60) == 1
    letter = siblings.newest().id
    happening.result(60)
    assert about(siblings, letter) == {world.child(KARLA), world.child(EMIL)}
    return letter


def lose_custody(siblings) -> None:
    world = siblings.world
    world.custody(KARLA, MOTHER, until=world.clock.now().date())
    custody.read_custody(siblings.ctx, {world.child(KARLA)})


class TestAgainstALetterThatIsComposed:
    def test_it_is_withheld_and_the_rest_told_once(self, siblings, moments):
        """What tells of the no goes into the same family's next letter, so it waits for the one that is composed."""
        letter = composed_while(siblings, moments, lambda: withdraw(siblings), waits=True)
        assert deliver(siblings.ctx, letter) == "withheld"
        rest_is_told(siblings)
        # Its case went with the yes, when the letter had been written.
        assert list(siblings.ends().values()).count(f"why: {events.CASE_GONE}") == 1

    def test_custody_lost_meanwhile_withholds_it_and_tells_the_rest_once(self, siblings, moments):
        """The worst of them: it would tell of a child whom the reader may not hear about any more."""
        letter = composed_while(siblings, moments, lambda: lose_custody(siblings))
        assert deliver(siblings.ctx, letter) == "withheld"
        assert siblings.world.channel.tries == []
        rest_is_told(siblings)

    def test_custody_lost_while_it_is_handed_over_ends_the_tries(self, siblings, news):
        with Hangs(siblings) as platform:
            platform.answer = Later("busy")
            sending = siblings.go(deliver, siblings.ctx, news)
            assert platform.asked.wait(60)
            lose_custody(siblings)
            platform.go.set()
            with pytest.raises(TryAgain):
                sending.result(60)
        platform.answer = Sent("t")
        assert deliver(siblings.ctx, news) == "withheld"
        rest_is_told(siblings)


class TestAgainstASyncUnderWay:
    def test_a_page_that_comes_after_the_no_brings_nothing_back(self, siblings):
        """The source was asked about the child before, and answers after."""
        world = siblings.world
        world.case(world.sof, "s1", KARLA, State.DECIDED)
        asked, go = Event(), Event()
        read = world.sof.read

        def slow(since, children):
            asked.set()
            assert go.wait(60)
            yield from read(since, children)

        world.sof.read = slow
        syncing = siblings.go(sync, siblings.ctx, ["sof"])
        assert asked.wait(60)
        withdraw(siblings)
        go.set()
        syncing.result(60)
        assert world.rows(tables.Case, tables.Case.child_id == world.child(KARLA)) == []
        assert list(siblings.ends().values()).count("waits") == 0

    def test_a_page_that_is_about_to_commit_is_taken_away_again(self, siblings):
        world = siblings.world
        world.case(world.sof, "s2", KARLA)
        with siblings.before_commit("INSERT INTO case_index") as page:
            syncing = siblings.go(sync, siblings.ctx, ["sof"])
            page.arrive()
            leaving = siblings.go(withdraw, siblings)
            siblings.waiting()
            page.go.set()
            syncing.result(60)
            leaving.result(60)
        assert world.rows(tables.Case, tables.Case.child_id == world.child(KARLA)) == []
        assert list(siblings.ends().values()).count("waits") == 0

    def test_a_page_that_moves_a_case_from_the_child_and_a_no_do_not_wait_for_each_other(self, siblings):
        """The case stood on the wrong sibling. The page takes it from her before it has what tells her family; the no
        has that, and wants her cases."""
        world = siblings.world
        world.case(world.sof, "s1", KARLA)
        sync(siblings.ctx, ["sof"])
        siblings.due()
        siblings.compose()
        world.case(world.sof, "s1", EMIL)
        with siblings.after_statement("DELETE FROM case_index") as page:
            syncing = siblings.go(sync, siblings.ctx, ["sof"])
            page.arrive()
            leaving = siblings.go(withdraw, siblings)
            siblings.waiting()
            page.go.set()
            syncing.result(60)
            leaving.result(60)
        assert {row.child_id for row in world.rows(tables.Case)} == {world.child(EMIL)}


class TestAgainstALookup:
    """A withdrawal against a lookup stands in tests/access/test_lookup.py; here are the family's other acts."""

    async def _queue(self, races, work):
        ctx = races.ctx
        queue = LookupQueue(ctx, KeyCache(ctx.database, ctx.keys, ctx.clock))
        writer = asyncio.create_task(queue.run())
        try:
            return await work(queue)
        finally:
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)

    def ask_during(self, races, child: str, act) -> tuple[Answer, Answer]:
        """What a lookup shows before an act, and what one shows that waits while the act commits."""
        request = Request(STAFF, races.ctx.keys.lookup_token(child), "coordination", "Skolen kan ikke få fat i dem")

        async def work(queue):
            before = await queue.ask(request)
            with races.before_commit("UPDATE log_head") as committing:
                acting = races.go(act)
                await asyncio.to_thread(committing.arrive)
                asked = asyncio.create_task(queue.ask(request))
                await asyncio.to_thread(races.waiting)
                assert not asked.done()
                committing.go.set()
                await asyncio.wrap_future(acting)
                return before.value, (await asked).value

        return asyncio.run(self._queue(races, work))

    def test_a_yes_that_commits_while_a_lookup_waits_is_shown(self, races):
        world = races.world
        world.coordinators()
        world.present(KARLA)
        world.custody(KARLA, MOTHER)
        world.night()
        before, after = self.ask_during(races, KARLA, lambda: world.accept(KARLA, MOTHER))
        assert (before.coordinator, after.coordinator is not None) == (None, True)
        assert races.log_is_gapless()

    def test_an_18th_birthday_that_is_obeyed_while_a_lookup_waits_shows_nothing(self, races):
        world = races.world
        world.accepted(GROWING, guardians=(MOTHER,))
        world.clock.set(world.clock.now().replace(day=3))

        def come_of_age() -> None:
            assert family.come_of_age(races.ctx) == 1

        before, after = self.ask_during(races, GROWING, come_of_age)
        assert (before.coordinator is not None, after.coordinator) == (True, None)
        assert races.log_is_gapless()

    def test_an_administration_that_is_closed_while_a_lookup_waits_is_shown_nothing(self, races):
        world = races.world
        world.accepted(KARLA, guardians=(MOTHER,))
        by = consents.Speaker("guardian", "page", "block/test", "da", world.guardian(MOTHER))

        def close() -> None:
            consents.close(races.ctx, world.child(KARLA), "SOF", by)

        before, after = self.ask_during(races, KARLA, close)
        assert (before.coordinator is not None, after.coordinator) == (True, None)
        consents.open_again(races.ctx, world.child(KARLA), "SOF", by)
        assert self.ask_during(races, KARLA, close)[0].coordinator is not None
        assert races.log_is_gapless()
