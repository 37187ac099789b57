"""Beside a letter, to whoever asked for it: that there is news. Once, and without a word of what or whom about."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, update

from hub import GaveUp, Later, Refused, TryAgain, Unsure
from hub.letters import preferences
from hub.letters.compose import compose_due
from hub.letters.delivery import deliver
from hub.letters.pointers import WITHIN, key_of, point, texts
from hub.letters.preferences import Preferences, choose
from hub.letters.templates import Templates
from hub.store import tables
from hub.testing.fakes import FakeMailer, Texting

pytestmark = pytest.mark.slow

KARLA, MOTHER, FATHER = "0311164234", "0101804001", "0101804002"
ADDRESS = "vera.testvoksen@example.com"


@pytest.fixture
def told(world: Any) -> Any:
    """The world with a mailer, a channel that carries texts, and a letter to each of Karla's parents."""
    mailer, channel = FakeMailer(), Texting()
    world.channel = channel
    plugins = replace(world.ctx.plugins, channels={channel.name: channel}, mailers={"email": mailer})
    world.ctx = replace(world.ctx, plugins=plugins, settings=world.ctx.settings.model_copy(update={"mailer": "email"}))
    world.mailer = mailer
    world.coordinators()
    world.present(KARLA)
    world.custody(KARLA, MOTHER, FATHER)
    world.night()
    with world.ctx.database.begin() as session:
        session.execute(update(tables.Bundle).values(due_at=world.clock.now()))
    compose_due(world.ctx, Templates())
    return world


def letter_to(world: Any, guardian: str) -> UUID:
    with world.session() as session:
        return session.execute(
            select(tables.Letter.id).where(tables.Letter.guardian_id == world.guardian(guardian))
        ).scalar_one()


def jobs(world: Any) -> list[dict[str, str]]:
    with world.session() as session:
        rows = session.connection().exec_driver_sql(
            "SELECT args FROM procrastinate_jobs WHERE task_name = 'point' ORDER BY id"
        )
        return [row.args for row in rows]


class TestWhoAskedForIt:
    def test_is_told_by_mail(self, told):
        choose(told.ctx, told.guardian(MOTHER), Preferences(email=ADDRESS))
        letter = letter_to(told, MOTHER)
        deliver(told.ctx, letter)
        assert jobs(told) == [{"letter_id": str(letter), "way": "email"}]
        assert point(told.ctx, letter, "email") == "sent"
        ((mail, key),) = told.mailer.mails
        assert (mail.to, key) == (ADDRESS, str(letter))

    def test_is_told_by_text_under_a_key_of_its_own(self, told):
        choose(told.ctx, told.guardian(MOTHER), Preferences(sms=True))
        letter = letter_to(told, MOTHER)
        deliver(told.ctx, letter)
        assert point(told.ctx, letter, "sms") == "sent"
        ((recipient, _text, key),) = told.channel.texts
        assert recipient.cpr == MOTHER
        assert key == str(key_of(letter)) != str(letter)
        assert UUID(key).version == 4

    def test_and_nobody_else(self, told):
        """One parent's choice and address never reach the other."""
        choose(told.ctx, told.guardian(MOTHER), Preferences(email=ADDRESS, sms=True))
        deliver(told.ctx, letter_to(told, FATHER))
        assert jobs(told) == []
        assert point(told.ctx, letter_to(told, FATHER), "email") == "gone"
        assert told.mailer.mails == []

    def test_not_before_the_letter_has_left(self, told):
        choose(told.ctx, told.guardian(MOTHER), Preferences(email=ADDRESS))
        told.channel.answers.append(Later("busy"))
        with pytest.raises(TryAgain):
            deliver(told.ctx, letter_to(told, MOTHER))
        assert jobs(told) == []

    def test_not_when_they_have_changed_their_mind(self, told):
        guardian, letter = told.guardian(MOTHER), letter_to(told, MOTHER)
        choose(told.ctx, guardian, Preferences(email=ADDRESS))
        deliver(told.ctx, letter)
        choose(told.ctx, guardian, preferences.NONE)
        assert told.rows(tables.Preference) == []
        assert point(told.ctx, letter, "email") == "refused"
        assert told.mailer.mails == []


@pytest.mark.parametrize("language", ["da", "en", "ar"])
def test_says_nothing_of_what_or_whom(told, language):
    said = " ".join(texts(language, "Havneby Kommune")).casefold()
    words = ("karla", "testbarn", "handicap", "koordinator", "coordinator", "sag ", "socialforvaltning", KARLA, MOTHER)
    assert not [word for word in words if word in said]
    assert "http" not in said, "no link to sign in by"
    assert "havneby kommune" in said


class TestOnce:
    @pytest.fixture
    def letter(self, told) -> UUID:
        choose(told.ctx, told.guardian(MOTHER), Preferences(email=ADDRESS))
        letter = letter_to(told, MOTHER)
        deliver(told.ctx, letter)
        return letter

    def test_however_often_the_job_runs(self, told, letter):
        assert [point(told.ctx, letter, "email") for _ in range(3)] == ["sent"] * 3
        assert len(told.mailer.mails) == 1

    @pytest.mark.parametrize("answer", [Unsure("time-out"), KeyboardInterrupt()], ids=["time-out", "broken off"])
    def test_what_may_have_arrived_is_not_said_again(self, told, letter, answer):
        told.mailer.answers.append(answer)
        with suppress(KeyboardInterrupt):
            point(told.ctx, letter, "email")
        assert point(told.ctx, letter, "email") == "unsure"
        assert len(told.mailer.mails) == 1

    @pytest.mark.parametrize("answer", [Later("busy", 60.0), TryAgain("down", after_seconds=60.0)])
    def test_not_now_is_tried_again_with_the_same_key_for_a_day(self, told, letter, answer):
        told.mailer.answers += [answer, answer, answer]
        for _ in range(2):
            with pytest.raises(TryAgain) as error:
                point(told.ctx, letter, "email")
            assert error.value.after_seconds == 60.0
            assert ADDRESS not in str(error.value)
        told.clock.move(WITHIN + timedelta(seconds=1))
        assert point(told.ctx, letter, "email") == "refused"
        assert {key for _mail, key in told.mailer.mails} == {str(letter)}

    @pytest.mark.parametrize("answer", [Refused("unknown address"), GaveUp("unknown address")])
    def test_a_refusal_ends_it_and_leaves_the_letter_alone(self, told, letter, answer):
        told.mailer.answers.append(answer)
        assert point(told.ctx, letter, "email") == "refused"
        (row,) = told.rows(tables.Pointer)
        assert row.reason == "unknown address"
        assert [one.state for one in told.rows(tables.Letter, tables.Letter.id == letter)] == ["sent"]

    def test_without_a_mailer_nothing_is_sent(self, told, letter):
        ctx = replace(told.ctx, settings=told.ctx.settings.model_copy(update={"mailer": None}))
        assert point(ctx, letter, "email") == "refused"


class TestPreferences:
    def test_are_sealed(self, told):
        choose(told.ctx, told.guardian(MOTHER), Preferences(True, "arabisk", ADDRESS, True))
        (row,) = told.rows(tables.Preference)
        assert ADDRESS.encode() not in row.sealed
        assert b"arabisk" not in row.sealed

    def test_are_changed_and_taken_back(self, told):
        guardian = told.guardian(MOTHER)
        for chosen in (Preferences(large_print=True), Preferences(interpreter="arabisk"), preferences.NONE):
            choose(told.ctx, guardian, chosen)
        assert told.rows(tables.Preference) == []

    @pytest.mark.parametrize(
        "wrong", [Preferences(interpreter="min mor"), Preferences(email="a@b, c@d.dk"), Preferences(email="a\n@b.dk")]
    )
    def test_that_cannot_be_are_refused(self, told, wrong):
        with pytest.raises(ValueError, match="is no"):
            choose(told.ctx, told.guardian(MOTHER), wrong)
        assert told.rows(tables.Preference) == []
