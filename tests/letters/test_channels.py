"""By which channel a letter goes: the next where one cannot, never twice, and a person where nobody knows."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from hub import DeliveryStatus, Later, NotAllowed, Refused, SettingsError, TryAgain, Unsure
from hub.access.log import Asker
from hub.context import Context
from hub.doctor import examine
from hub.letters import policy, settle
from hub.letters.compose import compose_due
from hub.letters.delivery import deliver
from hub.letters.statuses import overdue, take_statuses
from hub.letters.stuck import stuck
from hub.letters.templates import Templates
from hub.settings import Letters
from hub.store import tables
from hub.testing.fakes import FakeChannel

pytestmark = pytest.mark.slow

KARLA, MOTHER = "0311164234", "0101804001"
OTHER, FATHER = "2003154444", "0101804002"
TEMPLATES = Templates()
BY = Asker("operator-1", "Olga Operatør", "operator")
FAILED, RETURNED, DELIVERED, SENT = (
    DeliveryStatus.FAILED, DeliveryStatus.RETURNED, DeliveryStatus.DELIVERED, DeliveryStatus.SENT,
)  # fmt: skip


class Ways:
    """The world with two channels: `first` by the world's own, and `second`."""

    def __init__(self, world: Any) -> None:
        self.world = world
        self.first, self.second = world.channel, FakeChannel("paper")
        self.letter = _letter(world, KARLA, MOTHER)
        self.ctx = self.with_letters(channels=("digital_post", "paper"))

    def with_letters(self, **values: Any) -> Context:
        world = self.world
        plugins = replace(world.ctx.plugins, channels={"digital_post": self.first, "paper": self.second})
        letters = Letters.model_validate(values)
        return replace(world.ctx, plugins=plugins, settings=world.ctx.settings.model_copy(update={"letters": letters}))

    def say(self, channel: FakeChannel, status: DeliveryStatus, **more: Any) -> None:
        self.world.clock.move(timedelta(minutes=1))
        channel.say(str(self.letter), status, self.world.clock.now(), **more)
        take_statuses(self.ctx)

    def row(self) -> tables.Letter:
        (row,) = self.world.rows(tables.Letter, tables.Letter.id == self.letter)
        return row

    def results(self) -> list[tuple[str, str]]:
        rows = sorted(self.world.rows(tables.Delivery), key=lambda row: row.attempt)
        return [(row.channel, row.result) for row in rows]

    def tasks(self) -> list[str]:
        return [task.kind for task in self.world.rows(tables.Task, tables.Task.done_at.is_(None))]


def _letter(world: Any, child: str, guardian: str) -> UUID:
    """A frozen letter to a guardian."""
    world.coordinators()
    world.present(child)
    world.custody(child, guardian)
    world.night()
    before = {row.id for row in world.rows(tables.Letter)}
    with world.ctx.database.begin() as session:
        session.execute(update(tables.Bundle).values(due_at=world.clock.now()))
    compose_due(world.ctx, TEMPLATES)
    (letter,) = {row.id for row in world.rows(tables.Letter)} - before
    return letter


@pytest.fixture
def ways(world) -> Ways:
    return Ways(world)


class TestTheNextChannel:
    def test_takes_what_the_first_refuses(self, ways):
        ways.first.answers.append(Refused("exempt"))
        assert deliver(ways.ctx, ways.letter) == "sent"
        assert ways.results() == [("digital_post", "refused"), ("paper", "sent")]
        assert (ways.row().channel, ways.tasks()) == ("paper", [])
        assert ways.second.tries[0][0] == str(ways.letter)

    def test_takes_whom_the_first_does_not_reach(self, ways):
        ways.first.out_of_reach.add(MOTHER)
        assert deliver(ways.ctx, ways.letter) == "sent"
        assert ways.first.tries == []
        assert len(ways.second.taken) == 1

    def test_takes_what_failed_on_its_way(self, ways):
        deliver(ways.ctx, ways.letter)
        ways.say(ways.first, FAILED)
        assert (ways.row().state, ways.row().channel) == ("frozen", "paper")
        assert deliver(ways.ctx, ways.letter) == "sent"
        assert (len(ways.first.taken), len(ways.second.taken), ways.tasks()) == (1, 1, [])

    def test_and_then_what_the_first_still_says_moves_it_no_more(self, ways):
        deliver(ways.ctx, ways.letter)
        ways.say(ways.first, FAILED)
        deliver(ways.ctx, ways.letter)
        ways.say(ways.first, FAILED)
        assert ways.row().state == "sent"
        ways.say(ways.second, DELIVERED)
        assert ways.row().state == "delivered"

    def test_does_not_take_what_may_have_arrived_by_the_first(self, ways):
        """It timed out, and then it was refused: as a second letter, perhaps."""
        ways.first.answers += [Unsure("time-out"), Refused("has it already")]
        with pytest.raises(TryAgain):
            deliver(ways.ctx, ways.letter)
        assert deliver(ways.ctx, ways.letter) == "failed"
        assert ways.second.tries == []
        assert ways.tasks() == ["letter_failed"]

    def test_does_not_take_what_was_delivered_and_failed_afterwards(self, ways):
        deliver(ways.ctx, ways.letter)
        ways.say(ways.first, DELIVERED)
        ways.say(ways.first, FAILED)
        assert ways.row().state == "failed"
        assert ways.tasks() == ["letter_failed"]

    def test_after_the_last_it_is_the_coordinators_task(self, ways):
        ways.first.answers.append(Refused("exempt"))
        ways.second.answers.append(Refused("no address"))
        assert deliver(ways.ctx, ways.letter) == "failed"
        assert ways.results() == [("digital_post", "refused"), ("paper", "refused")]
        assert ways.tasks() == ["letter_failed"]

    def test_one_that_is_busy_is_waited_for(self, ways):
        """A channel that is down for an hour is no reason to print."""
        ways.first.answers.append(Later("busy", 90.0))
        with pytest.raises(TryAgain):
            deliver(ways.ctx, ways.letter)
        (attempt,) = ways.world.rows(tables.Delivery)
        assert attempt.try_again_at == ways.world.clock.now() + timedelta(seconds=90)
        assert (ways.row().channel, ways.second.tries) == ("digital_post", [])

    def test_is_the_first_again_where_the_settings_no_longer_name_it(self, ways):
        ways.first.answers.append(Later("busy"))
        with pytest.raises(TryAgain):
            deliver(ways.ctx, ways.letter)
        assert deliver(ways.with_letters(channel="paper"), ways.letter) == "sent"
        assert ways.row().channel == "paper"

    def test_the_old_setting_names_the_only_one(self):
        assert Letters.model_validate({"channel": "pigeon"}).in_order == ("pigeon",)
        assert Letters().in_order == ("digital_post",)
        with pytest.raises(ValueError, match="not both"):
            Letters.model_validate({"channel": "a", "channels": ["b"]})
        with pytest.raises(ValueError, match="twice"):
            Letters.model_validate({"channels": ["b", "b"]})

    def test_without_one_that_the_settings_name_nothing_leaves(self, ways):
        with pytest.raises(SettingsError, match="pigeon"):
            deliver(ways.with_letters(channels=("digital_post", "pigeon")), ways.letter)
        assert ways.first.tries == []


class TestPaperThatCameBack:
    @pytest.fixture
    def returned(self, ways) -> Ways:
        deliver(ways.ctx, ways.letter)
        ways.say(ways.first, DELIVERED, route="print")
        with ways.ctx.database.begin() as session:
            session.get_one(tables.Letter, ways.letter).route = "print"
        ways.say(ways.first, RETURNED, route="print")
        return ways

    def test_is_a_task_and_goes_by_no_other_channel(self, returned):
        assert returned.row().state == "returned"
        assert returned.tasks() == ["letter_failed"]
        assert returned.second.tries == []

    def next_letter(self, ways) -> UUID:
        ways.letter = _letter(ways.world, OTHER, MOTHER)
        return ways.letter

    def test_stops_paper_to_the_same_person(self, returned):
        deliver(returned.ctx, self.next_letter(returned))
        assert returned.first.tries[-1][1].paper is False
        assert returned.first.tries[0][1].paper is True

    def test_stops_it_for_nobody_else(self, returned):
        deliver(returned.ctx, _letter(returned.world, OTHER, FATHER))
        assert returned.first.tries[-1][1].paper is True

    def test_until_somebody_says_that_the_address_is_right(self, returned):
        guardian = returned.world.guardian(MOTHER)
        settle.paper_again(returned.ctx, guardian, BY)
        deliver(returned.ctx, self.next_letter(returned))
        assert returned.first.tries[-1][1].paper is True
        with pytest.raises(NotAllowed):
            settle.paper_again(returned.ctx, guardian, BY)
        assert "letter" in {row.kind for row in returned.world.rows(tables.LogEntry)}

    def test_what_came_back_from_digital_post_stops_no_paper(self, ways):
        deliver(ways.ctx, ways.letter)
        ways.say(ways.first, RETURNED, route="digital")
        assert ways.world.rows(tables.ReturnedMail) == []


class TestAChannelThatKnowsNoKeys:
    @pytest.fixture
    def ways(self, world) -> Ways:
        ways = Ways(world)
        ways.first.knows_keys = False
        return ways

    @pytest.fixture
    def unsure(self, ways) -> Ways:
        ways.first.answers.append(Unsure("time-out"))
        assert deliver(ways.ctx, ways.letter) == "unsure"
        return ways

    def test_is_never_asked_again_blindly(self, unsure):
        for _try in range(3):
            assert deliver(unsure.ctx, unsure.letter) == "unsure"
        assert len(unsure.first.tries) == 1
        assert unsure.second.tries == []

    @pytest.mark.parametrize("end", [KeyboardInterrupt(), SystemExit()])
    def test_nor_after_a_try_that_was_broken_off(self, ways, end):
        """The process ended between the sending and its answer."""
        ways.first.answers.append(end)
        with pytest.raises(type(end)):
            deliver(ways.ctx, ways.letter)
        assert deliver(ways.ctx, ways.letter) == "unsure"
        assert len(ways.first.tries) == 1
        assert ways.results() == [("digital_post", "begun")]

    @pytest.mark.parametrize(("said", "state"), [(SENT, "sent"), (DELIVERED, "delivered")])
    def test_a_status_settles_it(self, unsure, said, state):
        unsure.world.clock.move(timedelta(days=2))
        overdue(unsure.ctx)
        assert unsure.tasks() == ["letter_unsure"]
        unsure.say(unsure.first, said)
        assert unsure.row().state == state
        assert unsure.tasks() == []

    def test_a_status_that_came_first_settles_it(self, ways):
        ways.first.answers.append(KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            deliver(ways.ctx, ways.letter)
        ways.say(ways.first, DELIVERED)
        assert deliver(ways.ctx, ways.letter) == "delivered"
        assert len(ways.first.tries) == 1

    def test_a_status_that_it_failed_sends_it_by_the_next(self, unsure):
        unsure.say(unsure.first, FAILED)
        assert deliver(unsure.ctx, unsure.letter) == "sent"
        assert unsure.results() == [("digital_post", "lost"), ("paper", "sent")]

    def test_a_person_may_say_that_it_arrived(self, unsure):
        settle.arrived(unsure.ctx, unsure.letter, BY)
        assert unsure.row().state == "delivered"
        assert deliver(unsure.ctx, unsure.letter) == "delivered"
        assert len(unsure.first.tries) == 1

    def test_a_person_may_say_that_it_did_not(self, unsure):
        unsure.world.clock.move(timedelta(days=2))
        overdue(unsure.ctx)
        settle.not_arrived(unsure.ctx, unsure.letter, BY)
        assert unsure.tasks() == []
        assert deliver(unsure.ctx, unsure.letter) == "sent"
        assert unsure.results() == [("digital_post", "lost"), ("digital_post", "sent")]

    @pytest.mark.parametrize("act", [settle.arrived, settle.not_arrived])
    def test_a_person_is_asked_only_where_it_is_in_doubt(self, ways, act):
        deliver(ways.ctx, ways.letter)
        with pytest.raises(NotAllowed):
            act(ways.ctx, ways.letter, BY)
        assert ways.row().state == "sent"

    def test_one_whose_channel_should_have_told_by_now_may_be_said_to_have_arrived(self, ways):
        deliver(ways.ctx, ways.letter)
        ways.world.clock.move(timedelta(days=8))
        settle.arrived(ways.ctx, ways.letter, BY)
        assert ways.row().state == "delivered"

    def test_and_where_it_did_not_it_goes_by_the_next_and_then_is_a_task(self, ways):
        """Never by the same again: its channel has it, and knows its key."""
        deliver(ways.ctx, ways.letter)
        ways.world.clock.move(timedelta(days=8))
        overdue(ways.ctx)
        assert ways.tasks() == ["letter_failed"]
        assert settle.not_arrived(ways.ctx, ways.letter, BY) == "frozen"
        assert (ways.row().channel, ways.tasks()) == ("paper", [])
        with pytest.raises(NotAllowed):
            settle.not_arrived(ways.ctx, ways.letter, BY)  # it is under way again
        assert deliver(ways.ctx, ways.letter) == "sent"
        assert (len(ways.first.tries), len(ways.second.taken)) == (1, 1)
        ways.say(ways.first, DELIVERED)
        assert ways.row().state == "sent", "what the channel says that had it moves it no more"
        ways.world.clock.move(timedelta(days=8))
        assert settle.not_arrived(ways.ctx, ways.letter, BY) == "failed"
        assert ways.tasks() == ["letter_failed"], "also where it had been one before"
        assert deliver(ways.ctx, ways.letter) == "failed"
        assert (len(ways.first.tries), len(ways.second.tries)) == (1, 1)
        assert len(ways.world.rows(tables.LogEntry, tables.LogEntry.kind == settle.ENTRY)) == 2, "with who said it"


ANSWERS = st.sampled_from(["sent", "later", "unsure", "refused", "killed"])


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(first=st.lists(ANSWERS, max_size=4), second=st.lists(ANSWERS, max_size=3), knows=st.booleans())
def test_no_answer_of_any_channel_makes_two_letters(fresh_ways, first, second, knows):
    """Whatever the channels answer, and wherever a process ends: by what the other sides have, there is one letter."""
    ways = fresh_ways(knows)
    there: list[str] = []
    made = {
        "later": Later("busy"), "unsure": Unsure("time-out"), "refused": Refused("no"), "killed": KeyboardInterrupt(),
    }  # fmt: skip
    for channel, answers in ((ways.first, first), (ways.second, second)):
        channel.answers.clear()
        channel.answers += [made[answer] for answer in answers if answer != "sent"]
        send = channel.send

        def arriving(letter, key, channel=channel, send=send):
            # The worst case: what timed out or was broken off did arrive. A side that knows keys takes it once.
            answer = channel.answers[0] if channel.answers else None
            arrives = answer is None or isinstance(answer, Unsure | KeyboardInterrupt)
            if arrives and not (channel.knows_keys and (channel.name, key) in there):
                there.append((channel.name, key))
            return send(letter, key)

        channel.send = arriving
    for _try in range(9):
        try:
            deliver(ways.ctx, ways.letter)
        except (TryAgain, KeyboardInterrupt):
            continue
    assert len(there) <= 1
    assert ways.row().state in ("sent", "unsure", "failed")


@pytest.fixture
def fresh_ways(world):
    """As `ways`, with the one letter as if nothing had been tried."""
    ways = Ways(world)

    def again(knows: bool) -> Ways:
        ways.first, ways.second = FakeChannel(knows_keys=knows), FakeChannel("paper", knows_keys=knows)
        ways.ctx = ways.with_letters(channels=("digital_post", "paper"))
        with world.ctx.database.begin() as session:
            session.execute(tables.Delivery.__table__.delete())
            session.execute(tables.Task.__table__.delete())
            session.execute(update(tables.Letter).values(state="frozen", channel=None, tries=0))
        return ways

    return again


class TestATrial:
    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        file = tmp_path / "trial.txt"
        file.write_text(f"# ourselves\n{FATHER[:6]}-{FATHER[6:]}  # Farhad\n\n")
        file.chmod(0o600)
        return file

    def test_a_letter_to_anybody_else_comes_to_no_channel(self, ways, file):
        assert deliver(ways.with_letters(trial=file), ways.letter) == "withheld"
        assert (ways.first.tries, ways.world.rows(tables.Delivery)) == ([], [])
        assert ways.row().why == "trial"
        assert ways.tasks() == []
        assert ways.world.rows(tables.Bundle, tables.Bundle.composed_at.is_(None)) == [], "and is not told again"

    def test_a_letter_to_one_of_the_file_goes(self, ways, file):
        letter = _letter(ways.world, OTHER, FATHER)
        assert deliver(ways.with_letters(trial=file), letter) == "sent"

    @pytest.mark.parametrize(("text", "said"), [("not a number\n", "line 1"), ("0101804001\n9999999999\n", "line 2")])
    def test_a_line_that_is_no_number_stops_all_letters(self, ways, file, text, said):
        file.write_text(text)
        with pytest.raises(SettingsError, match=said) as error:
            deliver(ways.with_letters(trial=file), ways.letter)
        assert not any(part in str(error.value) for part in ("not a number", "9999999999"))
        assert ways.first.tries == []

    def test_a_missing_file_stops_all_letters(self, ways, tmp_path):
        with pytest.raises(SettingsError, match="cannot be read"):
            deliver(ways.with_letters(trial=tmp_path / "none.txt"), ways.letter)
        assert ways.first.tries == []

    def test_an_empty_file_is_nobody(self, ways, file):
        file.write_text("# nobody yet\n")
        assert deliver(ways.with_letters(trial=file), ways.letter) == "withheld"

    def test_a_file_that_anybody_may_read_is_refused(self, ways, file):
        file.chmod(0o644)
        with pytest.raises(SettingsError, match="chmod"):
            deliver(ways.with_letters(trial=file), ways.letter)


class TestStuck:
    def test_nothing_is_late_while_everything_is_in_time(self, ways):
        assert stuck(ways.ctx) == []
        deliver(ways.ctx, ways.letter)
        ways.world.clock.move(timedelta(days=6))
        assert stuck(ways.ctx) == []

    @pytest.mark.parametrize(
        ("answer", "state", "owner", "after"),
        [
            (Later("busy"), "frozen", "operator", timedelta(days=1, seconds=1)),
            (Unsure("time-out"), "unsure", "coordinator", timedelta(days=1, seconds=1)),
            (None, "sent", "operator", timedelta(days=7, seconds=1)),
        ],
    )
    def test_each_state_has_a_deadline_and_an_owner(self, ways, answer, state, owner, after):
        ways.first.knows_keys = False
        if answer is not None:
            ways.first.answers.append(answer)
        with suppress(TryAgain):
            deliver(ways.ctx, ways.letter)
        ways.world.clock.move(after)
        (found,) = stuck(ways.ctx)
        assert (found.id, found.state, found.owner, found.channel) == (ways.letter, state, owner, "digital_post")
        assert (found.tries, found.reason) == (1, None if answer is None else answer.reason)
        assert found.what_to_do
        overdue(ways.ctx)
        assert len(stuck(ways.ctx)) == 1, "its task makes it no second"

    def test_a_bundle_that_nobody_composes_is_the_operators(self, ways):
        ways.world.present(OTHER)
        ways.world.custody(OTHER, FATHER)
        ways.world.night()
        (bundle,) = ways.world.rows(tables.Bundle, tables.Bundle.composed_at.is_(None))
        ways.world.clock.move(timedelta(hours=2))
        assert stuck(ways.ctx) == []
        ways.world.clock.move(timedelta(seconds=1))
        (found,) = stuck(ways.ctx)
        assert (found.what, found.id, found.owner, found.since) == ("bundle", bundle.id, "operator", bundle.due_at)
        unwell = {check.what: check.detail for check in examine(ways.ctx) if not check.ok}
        assert unwell["bundles"] == "1 are due, and no worker has written their letter"
        compose_due(ways.ctx, TEMPLATES)
        assert stuck(ways.ctx) == []
        assert "bundles" not in {check.what for check in examine(ways.ctx) if not check.ok}

    def test_a_letter_that_failed_is_late_when_nobody_has_followed_it_up(self, ways):
        ways.first.answers.append(Refused("no"))
        ways.second.answers.append(Refused("no address"))
        deliver(ways.ctx, ways.letter)
        assert stuck(ways.ctx) == []
        ways.world.clock.move(timedelta(days=2, seconds=1))
        (found,) = stuck(ways.ctx)
        with ways.world.session() as session:
            (coordinator,) = session.execute(select(tables.Offer.coordinator_id)).scalars()
        assert (found.state, found.owner, found.staff) == ("failed", "coordinator", coordinator)
        assert found.reason == "no address"
        with ways.ctx.database.begin() as session:
            session.execute(update(tables.Task).values(done_at=ways.world.clock.now()))
        assert stuck(ways.ctx) == []

    def test_a_part_that_no_case_system_has_acknowledged_is_the_administrations(self, ways):
        deliver(ways.ctx, ways.letter)
        ways.say(ways.first, DELIVERED)
        (child,) = {link.child_id for link in ways.world.rows(tables.LetterChild)}
        part = {"letter_id": ways.letter, "child_id": child, "sha256": b"", "position": 1, "due": date(2026, 11, 9)}
        with ways.ctx.database.begin() as session:
            session.add(tables.LetterPart(id=(part_id := uuid4()), administration="BUF", **part))
        ways.world.clock.set(datetime(2026, 11, 9, 22, 0, tzinfo=UTC))  # the last hour of that day in Denmark
        assert stuck(ways.ctx) == []
        ways.world.clock.set(datetime(2026, 11, 9, 23, 0, tzinfo=UTC))
        (found,) = stuck(ways.ctx)
        assert (found.what, found.id, found.owner) == ("part", part_id, "BUF")
        with ways.ctx.database.begin() as session:
            session.get_one(tables.LetterPart, part_id).journalised_at = ways.world.clock.now()
        assert stuck(ways.ctx) == []


def test_what_follows_a_channel():
    order = ("a", "b", "c")
    assert [policy.following(order, name) for name in ("a", "b", "c", "gone", None)] == ["b", "c", None, None, None]
