"""A notice by mail: over the product's own mailer to a real mail server."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from aiosmtpd.controller import Controller
from tovholder_email import Email, EmailSettings

from hub import StaffRecord, State
from hub.access.log import Asker
from hub.cases.sync import sync
from hub.notices import choices, hand_over
from hub.store import tables
from hub.store.people import open_key
from hub.vault import unseal_json
from tests.notices.conftest import KARLA, MOTHER, NEW, SANNE, Receiver


@dataclass
class Post:
    """What the mail server has been given, and how it answers the next."""

    mails: list[EmailMessage] = field(default_factory=list)
    to: list[str] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        parsed = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(parsed, EmailMessage)
        self.mails.append(parsed)
        self.to += envelope.rcpt_tos
        return self.answers.pop(0) if self.answers else "250 OK"


@pytest.fixture
def post(world: Any) -> Iterator[Post]:
    found = Post()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = Controller(found, hostname="127.0.0.1", port=port)
    server.start()
    mailer = Email(
        EmailSettings.model_validate(
            {
                "host": "127.0.0.1",
                "port": port,
                "sender": "tovholder@kommune.example",
                "sender_name": "Eksempel Kommune",
                "tls": "none",
            }
        )
    )
    plugins = replace(world.ctx.plugins, mailers={"email": mailer})
    settings = world.ctx.settings.model_copy(update={"mailer": "email"})
    world.ctx = replace(world.ctx, plugins=plugins, settings=settings)
    yield found
    server.stop()


def due(world: Any) -> hand_over.Handed:
    return hand_over.hand_over_due(world.ctx)


def of_sof(world: Any) -> list[tables.Handover]:
    mine = {row.id for row in world.rows(tables.Notice, tables.Notice.administration == "SOF")}
    return [row for row in world.rows(tables.Handover) if row.notice_id in mine]


def test_it_says_whom_to_call_and_which_case_and_nothing_of_the_child(world: Any, post: Post, karla: UUID) -> None:
    assert due(world).sent == 2
    assert sorted(post.to) == ["bo@kommune.example", "sanne@kommune.example"]
    (mail,) = [mail for mail in post.mails if "sanne@" in mail["To"]]
    (row,) = of_sof(world)
    assert mail["Message-ID"] == f"<{row.notice_id}@kommune.example>"
    text = next(part for part in mail.walk() if part.get_content_type() == "text/plain").get_content()
    for word in ("Barnet har fået en koordinator", "A-1", "Koordinator 0", "12340000", "2.11.2026"):
        assert word in text, word
    for word in (KARLA, MOTHER, "Karla", "Testvoksen", "merudgifter", "B-1"):
        assert word not in str(mail) + text, word
    assert "A-1" not in mail["Subject"]


def test_the_log_names_the_adviser_under_the_advisers_own_key(world: Any, post: Post, karla: UUID) -> None:
    due(world)
    (row,) = of_sof(world)
    (entry,) = world.rows(tables.LogEntry, tables.LogEntry.id == row.entry_id)
    with world.session() as session:
        staff = session.get_one(tables.Staff, session.get_one(tables.Notice, row.notice_id).adviser_id)
        assert entry.asker_key == staff.key_id
        asker = unseal_json(open_key(session, world.ctx.keys, staff.key_id), entry.asker, f"log-asker:{entry.id}")
    assert (asker["name"], asker["administration"], entry.child_id) == ("Sanne Toft", "SOF", karla)


def test_a_busy_server_is_asked_again_with_the_same_message_id(world: Any, post: Post, karla: UUID) -> None:
    post.answers = ["451 later", "451 later"]
    assert due(world).later == 2
    world.clock.move(timedelta(minutes=1))
    assert due(world).sent == 2
    assert len({mail["Message-ID"] for mail in post.mails}) == 2
    assert len(post.mails) == 4


def test_what_is_refused_for_good_is_dead_at_once(world: Any, post: Post, karla: UUID) -> None:
    post.answers = ["554 no", "554 no"]
    assert due(world).dead == 2
    with world.session() as session:
        assert {one.way for one in hand_over.dead(session)} == {"mail"}


def test_an_address_that_is_none_tells_nobody_and_breaks_nothing(world: Any, post: Post) -> None:
    world.accepted(KARLA, guardians=(MOTHER,))
    for n, address in enumerate(("a@b.example\r\nBcc: c@d.example", "nobody", None)):
        world.case(world.sof, f"A-{n}", KARLA, State.OPEN, adviser=StaffRecord(f"s{n}", "Sanne", address))
    sync(world.ctx)
    done = due(world)
    assert (done.sent, done.dead, done.withheld) == (0, 2, 1)
    assert post.mails == []


def test_no_adviser_gets_a_mail_in_a_trial(world: Any, post: Post, karla: UUID, tmp_path: Path) -> None:
    """Their addresses come from the sources, and are those of real people."""
    letters = world.ctx.settings.letters.model_copy(update={"trial": tmp_path / "trial.txt"})
    world.ctx = replace(world.ctx, settings=world.ctx.settings.model_copy(update={"letters": letters}))
    assert due(world).withheld == 2
    assert post.mails == []
    assert {row.reason for row in world.rows(tables.Handover)} == {hand_over.TRIAL}


def test_a_webhook_takes_the_place_of_a_mail(
    world: Any, post: Post, receiver: Receiver, with_notices: Callable[..., None], karla: UUID
) -> None:
    with_notices(webhooks={"sof": {"administration": "SOF", "url": receiver.url, "secrets": [NEW]}})
    due(world)
    assert (len(receiver.got), post.to) == (1, ["bo@kommune.example"])


@pytest.mark.parametrize(("way", "mails", "hooks"), [("mail", 1, 1), ("page", 0, 1), ("off", 0, 1)])
def test_what_an_adviser_chooses_is_about_mail_and_not_about_their_system(
    world: Any, post: Post, hooked: Receiver, way: choices.Way, mails: int, hooks: int
) -> None:
    world.accepted(KARLA, guardians=(MOTHER,))
    world.case(world.sof, "A-0", KARLA, State.CLOSED, adviser=SANNE)
    sync(world.ctx)
    choices.choose(world.ctx, Asker("sanne", "Sanne Toft", "staff", "SOF"), {"assigned": way})
    world.case(world.sof, "A-1", KARLA, State.OPEN, adviser=SANNE)
    sync(world.ctx)
    due(world)
    assert (len(post.mails), len(hooked.got)) == (mails, hooks)
