"""From frozen to delivered: once, the very bytes, whatever the channel says and in whatever order."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, update

from hub import DeliveryStatus, GaveUp, Later, Refused, SettingsError, State, TryAgain, Unreadable, Unsure, family
from hub.cases.custody import read_custody
from hub.cases.sync import sync
from hub.letters.compose import compose_due
from hub.letters.delivery import deliver, deliver_all
from hub.letters.frozen import open_content, open_pdf
from hub.letters.statuses import overdue, state_of, take_statuses
from hub.letters.templates import Templates
from hub.plugins import Plugins
from hub.store import tables
from hub.testing.fakes import FakeChannel

KARLA, EMIL = "0311164234", "1405134321"
OTHER = "2003154444"
MOTHER, FATHER = "0101804001", "0101804002"
TEMPLATES = Templates()
SENT, RECEIVED, DELIVERED = DeliveryStatus.SENT, DeliveryStatus.RECEIVED, DeliveryStatus.DELIVERED
FAILED, RETURNED, UNKNOWN = DeliveryStatus.FAILED, DeliveryStatus.RETURNED, DeliveryStatus.UNKNOWN


@pytest.fixture
def frozen(world) -> UUID:
    """One frozen letter: Karla's and Emil's mother is told that there is a coordinator, and what their cases are."""
    world.accepted(KARLA, EMIL, guardians=(MOTHER,))
    world.night()
    world.case(world.sof, "s1", KARLA, State.APPLIED)
    world.case(world.buf, "b1", EMIL)
    sync(world.ctx)
    return write(world)


def write(world) -> UUID:
    """Compose what waits; the letter that came of it."""
    before = {row.id for row in world.rows(tables.Letter)}
    with world.ctx.database.begin() as session:
        session.execute(update(tables.Bundle).values(due_at=world.clock.now()))
    compose_due(world.ctx, TEMPLATES)
    (letter,) = {row.id for row in world.rows(tables.Letter)} - before
    return letter


def state(world, letter: UUID) -> str:
    (row,) = world.rows(tables.Letter, tables.Letter.id == letter)
    return row.state


def tasks(world) -> list[tables.Task]:
    return list(world.rows(tables.Task))


class TestSending:
    def test_sends_the_very_bytes_that_were_frozen(self, world, frozen):
        with world.session() as session:
            row = session.get_one(tables.Letter, frozen)
            pdf = open_pdf(session, world.ctx.keys, row)
            html = open_content(session, world.ctx.keys, row)["html"]
        assert deliver(world.ctx, frozen) == "sent"
        ((key, letter),) = world.channel.tries
        assert key == str(frozen)
        assert UUID(key).version == 4
        assert letter.pdf == pdf
        assert hashlib.sha256(letter.pdf).digest() == row.sha256
        assert letter.html == html
        assert letter.recipient.cpr == MOTHER
        assert letter.created == row.frozen_at

    def test_is_neutral_outside(self, world, frozen):
        """Title, file name and calendar name no child, kind of case, administration or disability."""
        deliver(world.ctx, frozen)
        letter = world.channel.taken[str(frozen)]
        outside = " ".join([letter.title, letter.file_name, *(action.label for action in letter.actions)]).casefold()
        for word in ("karla", "testbarn", "merudgifter", "socialforvaltningen", "handicap", KARLA, MOTHER):
            assert word not in outside

    def test_sends_once(self, world, frozen):
        assert [deliver(world.ctx, frozen), deliver(world.ctx, frozen)] == ["sent", "sent"]
        assert len(world.channel.tries) == 1
        (attempt,) = world.rows(tables.Delivery)
        assert (attempt.result, attempt.transmission, attempt.attempt) == ("sent", "transmission-1", 1)

    def test_two_workers_with_the_same_letter_send_it_once(self, world, frozen):
        """A job that was taken up again while its first worker was only slow."""
        with ThreadPoolExecutor(4) as pool:
            assert set(pool.map(lambda _n: deliver(world.ctx, frozen), range(4))) == {"sent"}
        assert len(world.channel.tries) == 1

    @pytest.mark.parametrize("answer", [Later("busy", 7.0), Unsure("time-out"), TryAgain("down", after_seconds=7.0)])
    def test_a_retry_keeps_the_key(self, world, frozen, answer):
        world.channel.answers += [answer, answer]
        for _try in range(2):
            with pytest.raises(TryAgain) as error:
                deliver(world.ctx, frozen)
            assert error.value.after_seconds == (None if isinstance(answer, Unsure) else 7.0)
            assert state(world, frozen) == "frozen"
        assert deliver(world.ctx, frozen) == "sent"
        assert {key for key, _letter in world.channel.tries} == {str(frozen)}
        assert len({letter for _key, letter in world.channel.tries}) == 1  # the same bytes at every try
        assert [row.attempt for row in sorted(world.rows(tables.Delivery), key=lambda row: row.attempt)] == [1, 2, 3]
        assert len(world.channel.taken) == 1

    def test_an_error_names_the_letter_and_nobody(self, world, frozen):
        world.channel.answers.append(Unsure("time-out"))
        with pytest.raises(TryAgain) as error:
            deliver(world.ctx, frozen)
        assert str(frozen) in str(error.value)
        assert MOTHER not in str(error.value)

    @pytest.mark.parametrize("answer", [Refused("no such recipient"), GaveUp("no such recipient")])
    def test_a_refusal_is_the_coordinators_task(self, world, frozen, answer):
        world.channel.answers.append(answer)
        assert deliver(world.ctx, frozen) == "failed"
        (coordinator,) = world.rows(tables.Coordinator)
        (task,) = tasks(world)
        assert (task.kind, task.letter_id, task.staff_id) == ("letter_failed", frozen, coordinator.staff_id)
        (attempt,) = world.rows(tables.Delivery)
        assert attempt.reason == "no such recipient"
        assert deliver(world.ctx, frozen) == "failed"  # and is not sent again
        assert len(world.channel.tries) == 1

    def test_a_fault_in_the_channel_leaves_the_letter_frozen(self, world, frozen):
        world.channel.answers.append(ZeroDivisionError())
        with pytest.raises(ZeroDivisionError):
            deliver(world.ctx, frozen)
        assert state(world, frozen) == "frozen"
        assert deliver(world.ctx, frozen) == "sent"

    def test_one_that_must_wait_holds_up_no_other(self, world, frozen):
        """Letters that share a job: the others go, and only what is left is tried again, after the longest wait."""
        world.present(OTHER)
        world.custody(OTHER, FATHER)
        world.night()
        other = write(world)
        world.channel.answers += [Later("busy", 7.0), Later("busy", 90.0)]
        with pytest.raises(TryAgain) as error:
            deliver_all(world.ctx, [frozen, other])
        assert error.value.after_seconds == 90.0
        world.channel.answers += [Later("busy", 7.0)]
        with pytest.raises(TryAgain):
            deliver_all(world.ctx, [frozen, other])
        assert {state(world, frozen), state(world, other)} == {"frozen", "sent"}
        deliver_all(world.ctx, [frozen, other])
        assert {state(world, frozen), state(world, other)} == {"sent"}
        assert len(world.channel.taken) == 2
        assert len(world.channel.tries) == 5

    def test_a_fault_with_one_holds_up_no_other_and_is_not_silent(self, world, frozen):
        world.present(OTHER)
        world.custody(OTHER, FATHER)
        world.night()
        other = write(world)
        world.channel.answers.append(ZeroDivisionError())
        with pytest.raises(ZeroDivisionError):
            deliver_all(world.ctx, [frozen, other])
        assert (state(world, frozen), state(world, other)) == ("frozen", "sent")

    def test_without_the_channel_the_settings_name_says_so(self, world, frozen):
        letters = world.ctx.settings.letters.model_copy(update={"channel": "pigeon"})
        ctx = replace(world.ctx, settings=world.ctx.settings.model_copy(update={"letters": letters}))
        with pytest.raises(SettingsError, match="pigeon"):
            deliver(ctx, frozen)
        assert state(world, frozen) == "frozen"


class TestWithheld:
    """What must not go any more stays; what else the letter told is told in another."""

    def again(self, world) -> tables.Letter:
        """The letter that is written instead."""
        letter = write(world)
        assert deliver(world.ctx, letter) == "sent"
        return world.rows(tables.Letter, tables.Letter.id == letter)[0]

    def about(self, world, letter: UUID) -> set[UUID]:
        return {link.child_id for link in world.rows(tables.LetterChild, tables.LetterChild.letter_id == letter)}

    def test_when_custody_of_one_of_the_children_is_lost(self, world, frozen):
        world.custody(KARLA, MOTHER, until=date(2026, 11, 2))
        read_custody(world.ctx, {world.child(KARLA)})
        assert deliver(world.ctx, frozen) == "withheld"
        assert world.channel.tries == []
        again = self.again(world)
        assert self.about(world, again.id) == {world.child(EMIL)}
        with world.session() as session:
            said = open_content(session, world.ctx.keys, session.get_one(tables.Letter, again.id))["fragment"]
        assert "merudgifter" in said  # Emil's case, and only his
        ends = {(e.child_id, e.why_not) for e in world.rows(tables.Event, tables.Event.kind == "assigned")}
        assert ends == {(world.child(KARLA), "the guardian no longer has custody"), (world.child(EMIL), None)}

    def test_when_the_yes_is_taken_back(self, world, frozen):
        family.withdraw(world.ctx, world.child(KARLA), world.by(MOTHER))
        assert deliver(world.ctx, frozen) == "withheld"
        again = self.again(world)
        told = {(e.child_id, e.kind) for e in world.rows(tables.Event, tables.Event.bundle_id == again.bundle_id)}
        assert {kind for child, kind in told if child == world.child(KARLA)} == {"yes_withdrawn"}
        assert world.child(EMIL) in {child for child, _kind in told}

    def test_when_a_case_it_names_must_no_longer_be_told(self, world, frozen):
        """An adviser says "do not tell" while the letter waits for a channel that is down: the worst letter of all."""
        world.channel.answers.append(Later("down"))
        with pytest.raises(TryAgain):
            deliver(world.ctx, frozen)
        world.sof.take_away("s1")
        sync(world.ctx)
        assert deliver(world.ctx, frozen) == "withheld"
        again = self.again(world)
        with world.session() as session:
            said = open_content(session, world.ctx.keys, session.get_one(tables.Letter, again.id))["fragment"]
        assert "Socialforvaltningen" not in said
        assert "Børne- og Ungdomsforvaltningen" in said

    def test_when_somebody_it_is_about_has_been_forgotten(self, world, frozen):
        with world.ctx.database.begin() as session:
            key = session.get_one(tables.Child, world.child(KARLA)).key_id
            session.get_one(tables.PersonKey, key).wrapped = None
        assert deliver(world.ctx, frozen) == "withheld"
        assert self.about(world, self.again(world).id) == {world.child(EMIL)}

    def test_once_and_for_all(self, world, frozen):
        """Who takes part again gets a new letter, not an old one."""
        family.withdraw(world.ctx, world.child(KARLA), world.by(MOTHER))
        deliver(world.ctx, frozen)
        with world.ctx.database.begin() as session:
            coordinator = session.execute(select(tables.Coordinator.staff_id)).scalar_one()
            session.execute(update(tables.Offer).values(state="offered", coordinator_id=coordinator))
        assert deliver(world.ctx, frozen) == "withheld"
        assert world.channel.tries == []

    def test_with_nothing_left_of_it_no_other_tells_it(self, world, frozen):
        """What is told after both yeses are taken back is that, and nothing else."""
        for child in (KARLA, EMIL):
            family.withdraw(world.ctx, world.child(child), world.by(MOTHER))
        deliver(world.ctx, frozen)
        again = self.again(world)
        told = world.rows(tables.Event, tables.Event.bundle_id == again.bundle_id)
        assert {event.kind for event in told} == {"yes_withdrawn"}
        assert {event.bundle_id for event in world.rows(tables.Event, tables.Event.kind == "assigned")} == {None}

    @pytest.mark.parametrize("answer", [Unsure("time-out"), KeyboardInterrupt()], ids=["time-out", "broken off"])
    def test_what_may_have_arrived_is_not_told_twice(self, world, frozen, answer):
        """The try before timed out, or its process ended: nobody knows whether the family has it. A person looks."""
        world.channel.answers.append(answer)
        with pytest.raises((TryAgain, KeyboardInterrupt)):
            deliver(world.ctx, frozen)
        family.withdraw(world.ctx, world.child(KARLA), world.by(MOTHER))
        assert deliver(world.ctx, frozen) == "withheld"
        waiting = world.rows(tables.Bundle, tables.Bundle.composed_at.is_(None))
        told = world.rows(tables.Event, tables.Event.bundle_id.in_([bundle.id for bundle in waiting]))
        assert {event.kind for event in told} == {"yes_withdrawn"}, "of the letter itself nothing is told again"
        (task,) = tasks(world)
        assert task.letter_id == frozen


class TestStatuses:
    @pytest.fixture
    def sent(self, world, frozen) -> UUID:
        deliver(world.ctx, frozen)
        return frozen

    def say(self, world, letter: UUID, *statuses: DeliveryStatus) -> None:
        """One after the other, a minute apart."""
        for status in statuses:
            world.clock.move(timedelta(minutes=1))
            world.channel.say(str(letter), status, world.clock.now())

    def test_move_the_letter_on(self, world, sent):
        self.say(world, sent, RECEIVED)
        take_statuses(world.ctx)
        assert state(world, sent) == "received"
        self.say(world, sent, DELIVERED)
        assert take_statuses(world.ctx).new == 1
        assert state(world, sent) == "delivered"
        assert tasks(world) == []

    def test_out_of_order_the_furthest_counts(self, world, sent):
        self.say(world, sent, DELIVERED, RECEIVED, SENT, UNKNOWN)
        take_statuses(world.ctx)
        assert state(world, sent) == "delivered"

    def test_twice_is_once(self, world, sent):
        self.say(world, sent, DELIVERED)
        world.channel.said *= 3
        taken = take_statuses(world.ctx)
        assert (taken.new, taken.unknown) == (1, 0)
        world.channel.said.append(world.channel.said[0])
        assert take_statuses(world.ctx).new == 0
        assert len(world.rows(tables.DeliveryStatus)) == 1

    @pytest.mark.parametrize("late", [FAILED, RETURNED])
    def test_a_late_failure_counts_and_is_one_task(self, world, sent, late):
        """Delivered, they said, and then it came back."""
        self.say(world, sent, RECEIVED, DELIVERED)
        take_statuses(world.ctx)
        self.say(world, sent, late)
        take_statuses(world.ctx)
        assert state(world, sent) == late.value
        self.say(world, sent, DELIVERED, late)
        take_statuses(world.ctx)
        assert state(world, sent) == late.value
        assert len(tasks(world)) == 1

    def test_before_our_own_sending_is_confirmed_they_wait(self, world, frozen):
        """The answer to the sending was lost; the channel had it all the same, and says so first."""
        world.channel.answers.append(Unsure("time-out"))
        with pytest.raises(TryAgain):
            deliver(world.ctx, frozen)
        self.say(world, frozen, DELIVERED)
        take_statuses(world.ctx)
        assert state(world, frozen) == "frozen"
        assert deliver(world.ctx, frozen) == "delivered"
        assert len(world.channel.taken) == 1

    def test_of_a_letter_that_was_refused_after_an_earlier_try_arrived(self, world, frozen):
        world.channel.answers += [Unsure("time-out"), Refused("has it already")]
        with pytest.raises(TryAgain):
            deliver(world.ctx, frozen)
        deliver(world.ctx, frozen)
        self.say(world, frozen, DELIVERED)
        take_statuses(world.ctx)
        assert state(world, frozen) == "delivered"

    def test_about_letters_not_ours_are_kept(self, world, sent):
        for key in (str(uuid4()), "not even a uuid", ""):
            world.channel.say(key, DELIVERED, world.clock.now())
        taken = take_statuses(world.ctx)
        assert (taken.new, taken.unknown) == (3, 3)
        assert {row.letter_id for row in world.rows(tables.DeliveryStatus)} == {None}
        assert state(world, sent) == "sent"

    def test_with_the_key_in_capitals_are_ours(self, world, sent):
        world.channel.say(str(sent).upper(), DELIVERED, world.clock.now())
        take_statuses(world.ctx)
        assert state(world, sent) == "delivered"

    def test_that_cannot_be_read_are_kept_apart_and_stop_nothing(self, world, sent):
        world.channel.said.append(Unreadable("receipt 1", "no status code", b"<receipt/>"))
        self.say(world, sent, DELIVERED)
        taken = take_statuses(world.ctx)
        assert (taken.quarantined, taken.new) == (1, 1)
        assert state(world, sent) == "delivered"

    def test_are_asked_for_from_where_the_last_page_ended(self, world, sent):
        """Each page and its cursor are one transaction: after a failure nothing is lost and nothing counted twice."""
        self.say(world, sent, RECEIVED, UNKNOWN, DELIVERED)
        asked: list[str | None] = []
        statuses = world.channel.statuses

        def broken(since):
            asked.append(since)
            yield next(iter(statuses(since)))
            raise TryAgain("no answer")

        world.channel.statuses = broken
        with pytest.raises(TryAgain):
            take_statuses(world.ctx)
        assert state(world, sent) == "received"
        world.channel.statuses = statuses
        assert take_statuses(world.ctx).new == 1
        assert state(world, sent) == "delivered"

    def test_a_channel_that_does_not_answer_hides_no_other(self, world, sent):
        other = FakeChannel("paper")
        other.statuses = _no_answer
        channels = {"paper": other, **world.ctx.plugins.channels}
        plugins = world.ctx.plugins
        ctx = replace(world.ctx, plugins=Plugins((), plugins.adapters, channels, plugins.sections))
        self.say(world, sent, DELIVERED)
        with pytest.raises(TryAgain):
            take_statuses(ctx)
        assert state(world, sent) == "delivered"
        (row,) = world.rows(
            tables.SourceState, tables.SourceState.source == "paper", tables.SourceState.purpose == "statuses"
        )
        assert row.failure == "no answer"


def _no_answer(since):
    raise TryAgain("no answer")
    yield


STATUS = st.tuples(st.datetimes(timezones=st.just(UTC)), st.sampled_from(DeliveryStatus))


@given(st.lists(STATUS, max_size=8), st.randoms(use_true_random=False))
def test_where_a_letter_stands_does_not_depend_on_the_order_it_is_said_in(said, shuffler):
    again = list(said)
    shuffler.shuffle(again)
    assert state_of(again) == state_of(said) == state_of(said + said)


@given(st.lists(STATUS, min_size=1, max_size=8))
def test_a_letter_never_stands_better_than_the_worst_that_was_said(said):
    found = state_of(said)
    codes = {status for _time, status in said}
    assert found in codes
    if codes & {FAILED, RETURNED}:
        assert found in (FAILED, RETURNED)
    else:
        order = [UNKNOWN, SENT, RECEIVED, DELIVERED]
        assert found == max(codes, key=order.index)


def test_nothing_said_is_no_state():
    assert state_of([]) is None


class TestOverdue:
    def test_a_letter_nobody_says_anything_about_becomes_a_task_once(self, world, frozen):
        deliver(world.ctx, frozen)
        assert overdue(world.ctx) == 0
        world.clock.move(timedelta(days=8))
        assert [overdue(world.ctx), overdue(world.ctx)] == [1, 1]
        assert len(tasks(world)) == 1

    def test_so_does_one_that_has_not_been_sent_for_a_day(self, world, frozen):
        world.clock.move(timedelta(days=1, seconds=1))
        assert overdue(world.ctx) == 1

    @pytest.mark.parametrize("status", [DELIVERED, FAILED])
    def test_what_has_come_to_its_end_is_nobodys_task_for_being_old(self, world, frozen, status):
        deliver(world.ctx, frozen)
        world.channel.say(str(frozen), status, world.clock.now())
        take_statuses(world.ctx)
        world.clock.move(timedelta(days=80))
        assert overdue(world.ctx) == 0


def test_times_of_statuses_are_kept_as_the_channel_says_them(world, frozen):
    deliver(world.ctx, frozen)
    told = datetime(2026, 11, 2, 8, 30, tzinfo=UTC)
    world.channel.say(str(frozen), DELIVERED, told, route="print")
    take_statuses(world.ctx)
    (row,) = world.rows(tables.DeliveryStatus)
    assert (row.time, row.route, row.channel) == (told, "print", "digital_post")
