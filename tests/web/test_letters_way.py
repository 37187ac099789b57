"""What a coordinator sees of their families' letters, and what a guardian chooses about their own."""

from __future__ import annotations

import html
import json
import re
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, update

from hub import DeliveryStatus, Refused, Unsure
from hub.context import Context
from hub.letters import preferences
from hub.letters.compose import compose_due
from hub.letters.delivery import deliver
from hub.letters.frozen import open_content
from hub.letters.preferences import Preferences
from hub.letters.statuses import take_statuses
from hub.letters.templates import Templates
from hub.store import tables
from hub.testing.fakes import FakeMailer, Texting
from tests.web.conftest import STAFF

pytestmark = pytest.mark.slow

ME = "Mette Holm Østergård"
CHOICES = "/familie/breve/valg"


@pytest.fixture
def ctx(ctx: Context) -> Context:
    channel, mailer = Texting(), FakeMailer()
    plugins = replace(ctx.plugins, channels={channel.name: channel}, mailers={mailer.name: mailer})
    return replace(ctx, plugins=plugins, settings=ctx.settings.model_copy(update={"mailer": "email"}))


@pytest.fixture
def people(ctx: Context, family: SimpleNamespace, browser: Any, another: Any) -> SimpleNamespace:
    """Ida's coordinator, another, one of staff and both parents, each in a browser; and a letter to the mother."""
    file = ctx.settings.demo.folder / "personas.json"
    known = json.loads(file.read_text())
    known["staff"] = [
        *STAFF,
        {"id": ME, "name": ME, "role": "coordinator"},
        {"id": "k-9", "name": "Kai Kold", "role": "coordinator"},
    ]
    file.write_text(json.dumps(known))
    found = SimpleNamespace(me=browser, other=another(), sanne=another(), mother=another(), father=another())
    for who, sign in (
        (found.me, f"staff:{ME}"), (found.other, "staff:k-9"), (found.sanne, "staff:s-1"),
        (found.mother, f"guardian:{family.mother}"), (found.father, f"guardian:{family.father}"),
    ):  # fmt: skip
        who.sign_in(sign)
    found.family, found.channel = family, ctx.plugins.channels["digital_post"]
    found.letter = write(ctx, family.mother)
    return found


def write(ctx: Context, guardian: UUID) -> UUID:
    with ctx.database.begin() as session:
        session.execute(update(tables.Bundle).values(due_at=ctx.clock.now()))
    compose_due(ctx, Templates())
    with ctx.database.session() as session:
        mine = select(tables.Letter.id).where(tables.Letter.guardian_id == guardian)
        return session.execute(mine.order_by(tables.Letter.frozen_at.desc()).limit(1)).scalar_one()


def text(answer: Any) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", answer.text)).split())


def say(ctx: Context, people: SimpleNamespace, status: DeliveryStatus, route: str = "digital") -> None:
    ctx.clock.move(timedelta(minutes=1))
    people.channel.say(str(people.letter), status, ctx.clock.now(), route=route)
    take_statuses(ctx)


class TestTheWay:
    def path(self, people: SimpleNamespace) -> str:
        return f"/personale/breve/{people.letter}"

    def test_the_list_names_nobody(self, ctx, people):
        page = text(people.me.get("/personale/breve"))
        assert "Tilbud om en koordinator" in page
        assert "Skrevet, men ikke sendt endnu" in page
        assert not [word for word in ("Anne", "Bæk", "Ida", "0311164234") if word in page]

    def test_tells_when_it_was_delivered_and_how(self, ctx, people):
        deliver(ctx, people.letter)
        say(ctx, people, DeliveryStatus.DELIVERED)
        page = text(people.me.get(self.path(people)))
        assert re.search(r"Leveret i Digital Post , .*kl\. \d", page), page
        assert "Taget imod (digital_post)" in page
        assert "Anne Bæk Lund" in page

    def test_tells_every_attempt_and_why(self, ctx, people):
        people.channel.answers.append(Refused("memo.invalid"))
        deliver(ctx, people.letter)
        page = text(people.me.get(self.path(people)))
        assert "Kom ikke frem" in page
        assert "Afvist (digital_post). Besked fra kanalen: memo.invalid" in page

    def test_opening_it_stands_in_the_log(self, ctx, people):
        before = entries(ctx)
        people.me.get(self.path(people))
        assert entries(ctx) == before + 1
        people.me.get("/personale/breve")
        assert entries(ctx) == before + 1, "the list names nobody, and is no look"

    @pytest.mark.parametrize("who", ["other", "sanne"])
    def test_is_nobody_elses_to_see(self, people, who):
        browser = getattr(people, who)
        answer = browser.get(self.path(people))
        assert answer.status_code == 404
        assert answer.text == browser.get(f"/personale/breve/{uuid4()}").text, "as one that there is not"
        assert "Tilbud om" not in text(browser.get("/personale/breve"))

    def test_not_even_mine_when_the_family_is_somebody_elses(self, ctx, people):
        with ctx.database.begin() as session:
            session.execute(update(tables.Offer).values(coordinator_id=None, state="waiting"))
        assert people.me.get(self.path(people)).status_code == 404


class TestWhatAPersonSays:
    @pytest.fixture
    def path(self, people) -> str:
        return f"/personale/breve/{people.letter}"

    def state(self, ctx, people) -> str:
        with ctx.database.session() as session:
            return session.get_one(tables.Letter, people.letter).state

    @pytest.mark.parametrize(("said", "state"), [("kom", "delivered"), ("kom-ikke", "frozen")])
    def test_settles_a_letter_in_doubt(self, ctx, people, path, said, state):
        people.channel.knows_keys = False
        people.channel.answers.append(Unsure("time-out"))
        deliver(ctx, people.letter)
        assert "Er brevet kommet frem?" in text(people.me.get(path))
        for stranger in (people.other, people.sanne):
            assert stranger.submit("/personale", path, said=said).status_code == 404
        assert self.state(ctx, people) == "unsure"
        assert people.me.submit(path, path, said=said).status_code == 200
        assert self.state(ctx, people) == state
        assert people.me.submit("/personale", path, said=said).status_code == 404, "once"

    def test_settles_one_whose_channel_should_have_told_by_now(self, ctx, clock, people, path):
        deliver(ctx, people.letter)
        assert "Er brevet kommet frem?" not in text(people.me.get(path))
        with ctx.database.begin() as session:
            session.get_one(tables.Letter, people.letter).state_due = clock.now() - timedelta(seconds=1)
        assert "Er brevet kommet frem?" in text(people.me.get(path))
        assert people.me.submit(path, path, said="kom-ikke").status_code == 200
        assert self.state(ctx, people) == "failed", "there is no other channel"

    def test_lets_paper_go_again(self, ctx, people, path):
        deliver(ctx, people.letter)
        with ctx.database.begin() as session:
            session.get_one(tables.Letter, people.letter).route = "print"
        say(ctx, people, DeliveryStatus.RETURNED, "print")
        page = text(people.me.get(path))
        assert "Kom retur" in page
        assert "Papir kommer retur fra adressen" in page
        people.me.submit(path, path, said="adresse")
        with ctx.database.session() as session:
            assert session.execute(select(tables.ReturnedMail)).all() == []

    def test_nonsense_does_nothing(self, ctx, people, path):
        assert people.me.submit("/personale", path, said="alt").status_code == 404


class TestPreferences:
    def chosen(self, ctx, guardian) -> Preferences:
        with ctx.database.session() as session:
            row = session.get(tables.Preference, guardian)
            key = preferences.open_key(session, ctx.keys, session.get_one(tables.Guardian, guardian).key_id)
            return preferences.NONE if row is None else preferences.read(key, row)

    def test_are_kept_and_shown_again(self, ctx, people):
        ways = {"by_email": "ja", "email": " vera@example.com ", "sms": "ja"}
        answer = people.mother.submit(CHOICES, CHOICES, large_print="ja", interpreter="arabisk", **ways)
        assert "Vi har gemt dit valg" in text(answer)
        wanted = Preferences(True, "arabisk", "vera@example.com", True)
        assert self.chosen(ctx, people.family.mother) == wanted
        assert 'value="vera@example.com"' in people.mother.get(CHOICES).text
        assert '<option value="arabisk" selected>' in people.mother.get(CHOICES).text

    def test_never_reach_the_other_parent(self, ctx, people):
        people.mother.submit(CHOICES, CHOICES, interpreter="arabisk", by_email="ja", email="vera@example.com")
        pages = people.father.get(CHOICES).text + people.father.get("/familie").text
        assert "vera@example.com" not in pages
        assert 'arabisk" selected' not in pages
        assert self.chosen(ctx, people.family.father) == preferences.NONE

    def test_a_tick_taken_away_takes_the_address_away(self, ctx, people):
        people.mother.submit(CHOICES, CHOICES, by_email="ja", email="vera@example.com")
        people.mother.submit(CHOICES, CHOICES, email="vera@example.com")
        assert self.chosen(ctx, people.family.mother) == preferences.NONE

    @pytest.mark.parametrize("email", ["", "vera", "a@b.dk, c@d.dk", "a@b.dk\r\nBcc: c@d.dk"])
    def test_an_address_that_is_none_is_said_where_it_stands(self, ctx, people, email):
        answer = people.mother.submit(CHOICES, CHOICES, by_email="ja", email=email, large_print="ja")
        assert answer.status_code == 422
        assert "Skriv din mailadresse" in text(answer)
        assert 'aria-describedby="email-problem"' in answer.text
        assert 'name="large_print" value="ja" checked' in answer.text, "what was chosen is still there"
        assert self.chosen(ctx, people.family.mother) == preferences.NONE

    def test_a_language_that_is_not_on_the_list_is_refused(self, ctx, people):
        assert people.mother.submit(CHOICES, CHOICES, interpreter="klingon").status_code == 422

    def test_the_language_of_the_letters_is_chosen_for_oneself(self, ctx, people):
        assert '<option value="da" lang="da" selected>Dansk</option>' in people.mother.get(CHOICES).text
        people.mother.submit(CHOICES, CHOICES, language="pl")
        assert '<option value="pl" lang="pl" selected>Polski</option>' in people.mother.get(CHOICES).text
        with ctx.database.session() as session:
            told = {who: session.get_one(tables.Guardian, getattr(people.family, who)) for who in ("mother", "father")}
        assert {who: row.language for who, row in told.items()} == {"mother": "pl", "father": "da"}

    def test_a_language_that_letters_are_not_written_in_is_refused(self, ctx, people):
        answer = people.mother.submit(CHOICES, CHOICES, language="tlh", large_print="ja")
        assert answer.status_code == 422
        assert 'aria-describedby="language-problem"' in answer.text
        assert self.chosen(ctx, people.family.mother) == preferences.NONE

    def test_go_into_the_letter_of_whoever_chose(self, ctx, town, people):
        people.mother.submit(CHOICES, CHOICES, interpreter="arabisk", language="en")
        coordinator, noor = people.family.coordinator, town.child("1405134321")
        with ctx.database.begin() as session:
            for guardian in (people.family.mother, people.family.father):
                session.add(tables.Custody(child_id=noor, guardian_id=guardian, seen_at=ctx.clock.now()))
        ctx.clock.move(timedelta(minutes=1))
        town.offer(noor, coordinator)
        said = {}
        for who in ("mother", "father"):
            letter = write(ctx, getattr(people.family, who))
            with ctx.database.session() as session:
                said[who] = open_content(session, ctx.keys, session.get_one(tables.Letter, letter))["fragment"]
        assert "Arabic" in said["mother"], "in the language of her letters"
        assert "rabi" not in said["father"]


def entries(ctx: Context) -> int:
    with ctx.database.session() as session:
        return len(session.execute(select(tables.LogEntry.id)).all())
