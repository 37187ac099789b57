"""A notice leaves when it may, with its entry in the log first; once, as its receiver sees it, whatever happens."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, update

from hub import NotAllowed, StaffRecord, State, consents, family
from hub.cases.sync import sync
from hub.errors import SettingsError
from hub.notices import facts, hand_over, record
from hub.settings import Settings, Webhook
from hub.store import tables
from hub.store.people import open_key
from hub.vault import unseal_json
from tests.notices.conftest import KARLA, MOTHER, NEW, OLD, SANNE, Receiver

pytestmark = pytest.mark.slow


def due(world: Any) -> hand_over.Handed:
    return hand_over.hand_over_due(world.ctx)


def rows(world: Any) -> list[tables.Handover]:
    return list(world.rows(tables.Handover))


def entries(world: Any) -> list[tables.LogEntry]:
    return list(world.rows(tables.LogEntry, tables.LogEntry.kind == "notice"))


def said(world: Any, child: UUID, entry: tables.LogEntry) -> Any:
    with world.session() as session:
        key = open_key(session, world.ctx.keys, session.get_one(tables.Child, child).key_id)
    return unseal_json(key, entry.subject, f"log-subject:{entry.id}")


def closed(world: Any) -> None:
    consents.close(world.ctx, world.child(KARLA), "SOF", speaker(world))


def speaker(world: Any) -> consents.Speaker:
    return consents.Speaker("guardian", "page", "text-1", "da", world.guardian(MOTHER))


def withdrawn(world: Any) -> None:
    family.withdraw(world.ctx, world.child(KARLA), world.by(MOTHER))


def case_taken_away(world: Any) -> None:
    world.sof.take_away("A-1")
    sync(world.ctx)


def case_closed(world: Any) -> None:
    world.case(world.sof, "A-1", KARLA, State.CLOSED, adviser=SANNE)
    sync(world.ctx)


class TestWebhook:
    def test_it_is_a_cloud_event_about_the_coordinator_and_the_advisers_own_case(
        self, world: Any, hooked: Receiver, karla: UUID
    ) -> None:
        assert due(world).sent == 1
        (got,) = hooked.got
        assert got.headers["content-type"] == "application/cloudevents+json; charset=utf-8"
        event = json.loads(got.body)
        assert event == {
            "specversion": "1.0",
            "id": got.headers["webhook-id"],
            "source": "urn:tovholder:12345678",
            "type": "tovholder.coordinator.assigned",
            "subject": "A-1",
            "time": "2026-11-02T07:00:00Z",
            "datacontenttype": "application/json",
            "data": {
                "administration": "SOF",
                "case": {"source": "sof", "id": "A-1"},
                "coordinator": {"name": "Koordinator 0", "phone": "12340000", "email": None},
                "since": "2026-11-02T07:00:00Z",
                "until": None,
                "substitute": None,
            },
        }

    def test_nothing_of_the_child_or_its_family_leaves(self, world: Any, hooked: Receiver, karla: UUID) -> None:
        due(world)
        out = hooked.got[0].body.decode() + str(hooked.got[0].headers)
        for word in (KARLA, MOTHER, "Karla", "Testvoksen", "merudgifter", "help", "B-1", str(karla)):
            assert word not in out, word

    def test_both_secrets_sign_while_one_is_replaced(self, world: Any, hooked: Receiver, karla: UUID) -> None:
        due(world)
        (got,) = hooked.got
        signed = f"{got.headers['webhook-id']}.{got.headers['webhook-timestamp']}.".encode() + got.body
        for secret, one in zip((NEW, OLD), got.headers["webhook-signature"].split(), strict=True):
            wanted = hmac.new(base64.b64decode(secret[6:]), signed, hashlib.sha256).digest()
            assert one == "v1," + base64.b64encode(wanted).decode()

    def test_the_entry_is_there_before_it_leaves(self, world: Any, hooked: Receiver, karla: UUID) -> None:
        seen = []
        hooked.act = lambda: seen.append(len(entries(world)))
        due(world)
        assert seen == [1]
        (entry,) = entries(world)
        assert entry.child_id == karla
        subject = said(world, karla, entry)
        assert {name: subject[name] for name in ("see", "basis", "shown", "way", "kind")} == {
            "see": True, "basis": "notice", "shown": ["coordinator"], "way": "webhook/sof", "kind": "assigned",
        }  # fmt: skip

    def test_told_is_told_once(self, world: Any, hooked: Receiver, karla: UUID) -> None:
        due(world)
        world.clock.move(timedelta(days=1))
        due(world)
        assert (len(hooked.got), len(entries(world))) == (1, 1)

    def test_an_end_is_told_when_the_cases_are_gone(self, world: Any, hooked: Receiver, karla: UUID) -> None:
        due(world)
        world.clock.move(timedelta(hours=1))
        withdrawn(world)
        due(world)
        event = json.loads(hooked.got[-1].body)
        assert (event["type"], event["subject"]) == ("tovholder.coordinator.ended", "A-1")
        assert (event["data"]["since"], event["data"]["until"]) == (None, "2026-11-02T08:00:00Z")
        assert "withdrawn" not in hooked.got[-1].body.decode()

    def test_a_substitute_is_told_with_whom_to_call(self, world: Any, hooked: Receiver, karla: UUID) -> None:
        due(world)
        world.clock.move(timedelta(hours=1))
        other = world.coordinators(2)[1]
        with world.ctx.database.begin() as session:
            first = session.execute(select(tables.Assignment.coordinator_id)).scalar_one()
            mine = tables.Coordinator.staff_id == first
            session.execute(update(tables.Coordinator).where(mine).values(away=True, substitute_id=other))
            record.changed(session, world.clock.now(), "substitute", record.of_coordinator(session, first))
        due(world)
        data = json.loads(hooked.got[-1].body)["data"]
        assert (data["coordinator"]["name"], data["substitute"]["name"]) == ("Koordinator 0", "Koordinator 1")

    def test_redirects_are_not_followed(self, world: Any, hooked: Receiver, karla: UUID) -> None:
        hooked.answers, hooked.more = [307], {"location": "http://127.0.0.1:1/elsewhere"}
        assert due(world).later == 1
        assert len(hooked.got) == 1
        assert "redirects are not followed" in (rows(world)[0].reason or "")

    @pytest.mark.parametrize(
        "url",
        [
            "http://sof.example/advis",
            "https://user@sof.example/",
            "https://sof.example/?to=1",
            "ftp://sof.example/",
            "",
        ],
    )
    def test_only_https_and_this_machine_itself(self, url: str) -> None:
        with pytest.raises(ValueError, match="url"):
            Webhook.model_validate({"administration": "SOF", "url": url, "secrets": [NEW]})

    @pytest.mark.parametrize("secret", ["", "whsec_", "whsec_!!!", "whsec_" + base64.b64encode(b"short").decode()])
    def test_a_secret_that_protects_nothing_is_refused(self, secret: str) -> None:
        with pytest.raises(ValueError, match="24 to 64 random bytes"):
            Webhook.model_validate({"administration": "SOF", "url": "https://sof.example/", "secrets": [secret]})

    def test_a_secret_is_in_no_text_of_the_settings(self) -> None:
        hook = {"administration": "SOF", "url": "https://sof.example/", "secrets": [NEW]}
        made = Settings.model_validate(
            {"administrations": {"SOF": {"name": "Socialforvaltningen"}}, "notices": {"webhooks": {"sof": hook}}}
        )
        assert NEW not in repr(made)

    def test_an_administration_nobody_knows_is_refused(self) -> None:
        hook = {"administration": "XYZ", "url": "https://sof.example/", "secrets": [NEW]}
        with pytest.raises((ValueError, SettingsError), match="none of the"):
            Settings.model_validate({"notices": {"webhooks": {"sof": hook}}})


class TestWhatForbids:
    @pytest.mark.parametrize(
        ("happens", "why"),
        [
            (closed, facts.CLOSED),
            (withdrawn, record.ENDED),
            (case_taken_away, facts.CASE_GONE),
            (case_closed, facts.CASE_GONE),
        ],
    )
    def test_what_happens_before_it_leaves_is_obeyed_and_the_reason_kept(
        self, world: Any, hooked: Receiver, karla: UUID, happens: Any, why: str
    ) -> None:
        happens(world)
        assert due(world).sent == 0
        assert hooked.got == []
        assert entries(world) == []
        (notice,) = world.rows(tables.Notice, tables.Notice.administration == "SOF")
        assert notice.why_not == why
        assert [(row.state, row.reason) for row in rows(world)] == [("withheld", why)]

    def test_what_happens_between_two_tries_is_obeyed_too(self, world: Any, hooked: Receiver, karla: UUID) -> None:
        hooked.answers = [503]
        due(world)
        closed(world)
        world.clock.move(timedelta(hours=1))
        due(world)
        assert len(hooked.got) == 1
        assert rows(world)[0].state == "withheld"

    def test_a_closed_administration_does_not_hear_of_the_end(self, world: Any, hooked: Receiver, karla: UUID) -> None:
        due(world)
        closed(world)
        withdrawn(world)
        due(world)
        assert len(hooked.got) == 1

    def test_health_is_told_with_consent_alone(self, world: Any, receiver: Receiver, with_notices: Any) -> None:
        with_notices(webhooks={"suf": {"administration": "SUF", "url": receiver.url, "secrets": [NEW]}})
        (child,) = world.accepted(KARLA, guardians=(MOTHER,))
        world.case(world.suf, "C-1", KARLA, State.OPEN, adviser=StaffRecord("su", "Su"))
        sync(world.ctx)
        with world.ctx.database.begin() as session:  # taken back by a program that knows of no notices
            session.execute(update(tables.Consent).values(withdrawn_at=world.clock.now()))
        due(world)
        assert receiver.got == []
        assert {row.why_not for row in world.rows(tables.Notice)} == {"no-consent"}
        assert child is not None

    def test_a_copy_of_the_database_tells_nobody(self, world: Any, hooked: Receiver, karla: UUID) -> None:
        from hub.store import home

        with world.ctx.database.begin() as session:
            home.hold(session, world.clock.now())
        assert due(world) == hand_over.Handed()
        assert hooked.got == []


class TestAgain:
    def test_what_is_not_taken_comes_again_with_the_same_id_and_one_entry(
        self, world: Any, hooked: Receiver, karla: UUID
    ) -> None:
        hooked.answers = [500, 503]
        for _try in range(3):
            due(world)
            world.clock.move(timedelta(minutes=10))
        assert len({got.headers["webhook-id"] for got in hooked.got}) == 1
        assert len({got.body for got in hooked.got}) == 1, "the same bytes"
        assert len({got.headers["webhook-timestamp"] for got in hooked.got}) == 3, "signed anew"
        assert (len(hooked.got), len(entries(world))) == (3, 1)
        assert [row.state for row in rows(world)] == ["sent"]

    def test_not_before_its_time(self, world: Any, hooked: Receiver, karla: UUID) -> None:
        hooked.answers = [503]
        due(world)
        due(world)
        assert len(hooked.got) == 1

    def test_no_sooner_than_the_receiver_asks(self, world: Any, hooked: Receiver, karla: UUID) -> None:
        hooked.answers, hooked.more = [429], {"retry-after": "3600"}
        due(world)
        assert rows(world)[0].next_at >= world.clock.now() + timedelta(seconds=3600)

    def test_waits_grow_and_vary(self) -> None:
        waits = [[hand_over.wait(tries) for _ in range(50)] for tries in range(1, 12)]
        assert all(max(before) < min(after) for before, after in pairwise(waits[:6]))
        assert all(len(set(each)) > 1 for each in waits)
        assert sum(hand_over.WAITS) > 3 * 24 * 3600

    def test_after_the_last_try_it_is_dead_until_it_is_replayed(
        self, world: Any, hooked: Receiver, karla: UUID
    ) -> None:
        hooked.answers = [500] * (len(hand_over.WAITS) + 1)
        for _try in range(len(hand_over.WAITS) + 3):
            due(world)
            world.clock.move(timedelta(days=2))
        assert len(hooked.got) == len(hand_over.WAITS) + 1
        with world.session() as session:
            (dead,) = hand_over.dead(session)
        assert (dead.way, dead.kind, dead.reason) == ("webhook/sof", "assigned", "answered 500")
        with world.ctx.database.begin() as session:
            assert hand_over.replay(session, world.clock.now(), notice=dead.notice) == 1
        assert due(world).sent == 1
        assert len({got.headers["webhook-id"] for got in hooked.got}) == 1

    def test_what_was_sent_since_can_be_had_once_more(self, world: Any, hooked: Receiver, karla: UUID) -> None:
        due(world)
        with world.ctx.database.begin() as session:
            since = world.clock.now() - timedelta(hours=1)
            with pytest.raises(NotAllowed, match="--way"):
                hand_over.replay(session, world.clock.now(), since=since)
            assert hand_over.replay(session, world.clock.now(), way="webhook/sof", since=since) == 1
        due(world)
        assert len({got.headers["webhook-id"] for got in hooked.got}) == 1
        assert len(hooked.got) == 2

    def test_a_way_that_the_settings_no_longer_have(
        self, world: Any, hooked: Receiver, karla: UUID, with_notices: Any
    ) -> None:
        hooked.answers = [503]
        due(world)
        with_notices()
        world.clock.move(timedelta(hours=1))
        due(world)
        assert [(row.state, row.reason) for row in rows(world)] == [("withheld", hand_over.NO_WAY)]
        assert {row.why_not for row in world.rows(tables.Notice)} == {None}, "it may be told by another"

    def test_nobody_listens(self, world: Any, with_notices: Any, karla: UUID) -> None:
        hook = {"administration": "SOF", "url": "http://127.0.0.1:1/", "secrets": [NEW]}
        with_notices(webhooks={"sof": hook})
        assert due(world).later == 1
        assert (rows(world)[0].reason or "").startswith("no answer")

    def test_a_receiver_that_hangs_is_left(
        self, world: Any, hooked: Receiver, karla: UUID, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It has received: the same id tells it so when it comes again."""
        import threading

        from hub.notices import webhook

        monkeypatch.setattr(webhook, "TIMEOUT", 0.3)
        go = threading.Event()
        hooked.act = lambda: go.wait(20) and None
        assert due(world).later == 1
        assert rows(world)[0].reason == "no answer within the time limit"
        go.set()
        world.clock.move(timedelta(hours=1))
        assert due(world).sent == 1
        assert len({got.headers["webhook-id"] for got in hooked.got}) == 1
        assert len(hooked.got) == 2


class TestPurge:
    def test_what_is_over_is_forgotten_and_what_a_later_notice_follows_is_not(
        self, world: Any, hooked: Receiver, karla: UUID
    ) -> None:
        due(world)
        world.clock.move(timedelta(days=100))
        assert hand_over.purge(world.ctx) == 0, "the case is there: its coordinator may still change"
        withdrawn(world)
        due(world)
        world.clock.move(timedelta(days=100))
        gone = [hand_over.purge(world.ctx) for _night in range(2)]
        assert sum(gone) == 3, "BUF's, which had no way, and SOF's two"
        assert world.rows(tables.Notice) == []
        assert len(entries(world)) == 2
