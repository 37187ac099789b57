"""E-mail against real mail servers: once, sealed, and true about what became of it."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from tovholder_email import Email, EmailSettings
from tovholder_email.settings import is_address

import hub

from .conftest import PASSWORD, Post, Serve

TO = "vera.testvoksen@example.com"
MAIL = hub.Mail(TO, "Nyt på din side", "Der er nyt på din side.\n", "<p>Der er <b>nyt</b> på din side.</p>")


def new_key() -> str:
    return str(uuid.uuid4())


class TestMail:
    def test_is_a_mailer_and_no_channel(self, mailer: Email) -> None:
        """A letter cannot be handed to it: no content goes by plain e-mail."""
        assert isinstance(mailer, hub.Mailer)
        assert not isinstance(mailer, hub.Channel)

    def test_arrives_with_its_headers(self, mailer: Email, post: Post) -> None:
        key = new_key()
        assert mailer.send(MAIL, key) == hub.Sent(f"<{key}@eksempel.example>")
        (mail,) = post.mails
        assert post.to == [TO]
        assert mail["Subject"] == "Nyt på din side"
        assert mail["From"] == "Eksempel Kommune <koordinator@eksempel.example>"
        assert mail["To"] == TO
        assert mail["Message-ID"] == f"<{key}@eksempel.example>"
        assert mail["Auto-Submitted"] == "auto-generated"
        assert mail["Content-Language"] == "da"
        assert mail["Date"].datetime is not None

    def test_says_the_same_as_text_and_as_html(self, mailer: Email, post: Post) -> None:
        mailer.send(MAIL, new_key())
        (mail,) = post.mails
        text, html = mail.get_body(("plain",)), mail.get_body(("html",))
        assert text is not None
        assert html is not None
        assert text.get_content().strip() == MAIL.text.strip()
        assert html.get_content().strip() == MAIL.html
        assert list(mail.iter_attachments()) == []

    def test_may_be_text_alone(self, mailer: Email, post: Post) -> None:
        mailer.send(hub.Mail(TO, "Nyt", "Kun tekst: æøå"), new_key())
        (mail,) = post.mails
        assert mail.get_body(("html",)) is None
        assert "æøå" in mail.get_body(("plain",)).get_content()  # type: ignore[union-attr]

    def test_answers_go_where_the_settings_say(self, serve: Serve, post: Post) -> None:
        Email(serve(reply_to="svar@eksempel.example")).send(MAIL, new_key())
        assert post.mails[0]["Reply-To"] == "svar@eksempel.example"

    def test_one_mail_is_one_recipient(self, mailer: Email, post: Post) -> None:
        """Of two, the server refuses one: that is said of that one alone, and neither sees the other's address."""
        post.answer_rcpt["gone@example.com"] = "550 no such user"
        answers = [mailer.send(hub.Mail(to, MAIL.subject, MAIL.text), new_key()) for to in ("gone@example.com", TO)]
        assert [type(answer) for answer in answers] == [hub.Refused, hub.Sent]
        assert post.to == [TO]


class TestSealed:
    @pytest.mark.parametrize("tls", ["starttls", "tls"])
    def test_by_a_certificate_that_holds(self, serve: Serve, post: Post, tls: str) -> None:
        mailer = Email(serve(named="127.0.0.1", tls=tls))
        assert type(mailer.send(MAIL, new_key())) is hub.Sent
        assert len(post.mails) == 1
        assert mailer.health().ok

    @pytest.mark.parametrize("tls", ["starttls", "tls"])
    @pytest.mark.parametrize(("name", "trusted"), [("127.0.0.1", False), ("elsewhere.example", True)])
    def test_a_bad_certificate_gets_no_mail(self, serve: Serve, post: Post, tls: str, name: str, trusted: bool) -> None:
        """Self-signed by nobody we know, or another's: whoever sits between would read it all. The way of the library
        that is not asynchronous hands it over."""
        mailer = Email(serve(named=name, trusted=trusted, tls=tls))
        answer = mailer.send(MAIL, new_key())
        assert type(answer) is hub.Later
        assert "certificate" in answer.reason
        assert post.mails == []
        health = mailer.health()
        assert not health.ok
        assert "certificate" in health.detail

    def test_a_server_without_starttls_gets_no_mail(
        self, serve: Serve, post: Post, certificates: dict[str, tuple[Path, Path]]
    ) -> None:
        """Somebody between who takes STARTTLS out of the answer gets nothing by it."""
        mailer = Email(serve(tls="starttls", authorities=certificates["127.0.0.1"][0]))
        assert type(mailer.send(MAIL, new_key())) is hub.Later
        assert post.mails == []

    def test_without_a_seal_only_on_this_machine(self) -> None:
        values = {"host": "smtp.example.com", "sender": "a@example.com", "sender_name": "A"}
        assert EmailSettings.model_validate(values).tls == "starttls"
        with pytest.raises(ValidationError, match="on this machine"):
            EmailSettings.model_validate(values | {"tls": "none"})

    def test_signs_in(self, serve: Serve, post: Post) -> None:
        assert type(Email(serve(named="127.0.0.1", password=PASSWORD)).send(MAIL, new_key())) is hub.Sent

    def test_a_wrong_password_is_no_verdict_on_the_mail(self, serve: Serve, post: Post) -> None:
        mailer = Email(serve(named="127.0.0.1", password="wrong"))
        answer = mailer.send(MAIL, new_key())
        assert type(answer) is hub.Later
        assert "535" in answer.reason
        assert not mailer.health().ok
        assert post.mails == []


class TestWhatBecameOfIt:
    @pytest.mark.parametrize("code", [550, 551, 553])
    def test_refused_for_good_is_refused(self, mailer: Email, post: Post, code: int) -> None:
        post.answer_rcpt[TO] = f"{code} {TO} is unknown"
        answer = mailer.send(MAIL, new_key())
        assert type(answer) is hub.Refused
        assert TO not in answer.reason
        assert str(code) in answer.reason

    def test_content_refused_for_good_is_refused(self, mailer: Email, post: Post) -> None:
        post.answer_data = "554 looks like spam"
        assert type(mailer.send(MAIL, new_key())) is hub.Refused

    @pytest.mark.parametrize("where", ["answer_data", "rcpt", "answer_mail"])
    def test_not_now_is_later(self, mailer: Email, post: Post, where: str) -> None:
        if where == "rcpt":
            post.answer_rcpt[TO] = "450 greylisted"
        else:
            setattr(post, where, "451 not now")
        assert type(mailer.send(MAIL, new_key())) is hub.Later
        assert post.mails == []

    def test_our_own_address_refused_is_no_verdict_on_the_mail(self, mailer: Email, post: Post) -> None:
        post.answer_mail = "553 sender not allowed"
        assert type(mailer.send(MAIL, new_key())) is hub.Later

    def test_a_server_that_breaks_off_after_the_mail_gets_it_once(self, mailer: Email, post: Post) -> None:
        """The library would send it again by itself: two mails."""
        post.breaks_off_after_data = True
        assert type(mailer.send(MAIL, new_key())) is hub.Unsure
        assert post.tries == 1

    def test_a_server_that_hangs_after_the_mail_is_unsure(self, serve: Serve, post: Post) -> None:
        post.hangs_at = "data"
        assert type(Email(serve(timeout_seconds=0.5)).send(MAIL, new_key())) is hub.Unsure
        assert post.tries == 1

    @pytest.mark.parametrize("where", ["ehlo", "rcpt"])
    def test_a_server_that_hangs_before_the_mail_is_later(self, serve: Serve, post: Post, where: str) -> None:
        post.hangs_at = where
        mailer = Email(serve(timeout_seconds=0.5))
        assert type(mailer.send(MAIL, new_key())) is hub.Later
        assert post.tries == 0
        assert mailer.health().ok is (where == "rcpt")

    def test_nobody_there_is_later(self, serve: Serve) -> None:
        mailer = Email(serve().model_copy(update={"port": 1}))
        assert type(mailer.send(MAIL, new_key())) is hub.Later
        assert not mailer.health().ok


HEADERS_LIKE = st.sampled_from(["\r\nBcc: spy@example.com", "\nX: y", "\r\n\r\n<p>", "{{ 7*7 }}", "=?utf-8?q?=0ABcc?="])
TEXTS = st.text(max_size=60) | st.tuples(st.text(max_size=20), HEADERS_LIKE, st.text(max_size=20)).map("".join)


class TestNothingSlipsIn:
    """Names and subjects with header syntax in them are only text, or are refused."""

    @pytest.mark.parametrize(
        "to",
        [
            "a@example.com, b@example.com",
            "a@example.com\r\nBcc: b@example.com",
            "Vera <a@example.com>",
            "",
            "a",
            "a@b",
            "<a@example.com>",
            "a@example.com>",
            "a b@example.com",
            "æ@example.com",
            "a@example.com\n",
            "a@@example.com",
            "a@" + "b" * 250 + ".dk",
            "a@-example.com",
            '"a"@example.com',
            "a@[127.0.0.1]",
        ],
    )
    def test_only_one_plain_address_is_one(self, mailer: Email, post: Post, to: str) -> None:
        answer = mailer.send(hub.Mail(to, "Nyt", "Nyt"), new_key())
        assert type(answer) is hub.Refused
        assert "example.com" not in answer.reason
        assert post.tries == 0

    @settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(subject=TEXTS, text=TEXTS)
    def test_a_subject_and_a_text_are_only_text(self, mailer: Email, post: Post, subject: str, text: str) -> None:
        post.mails.clear()
        post.to.clear()
        answer = mailer.send(hub.Mail(TO, subject, text), new_key())
        if isinstance(answer, hub.Sent):
            (mail,) = post.mails
            assert post.to == [TO]
            known = {
                "content-type", "mime-version", "date", "message-id", "auto-submitted", "content-language", "subject",
                "from", "to", "x-peer", "x-mailfrom", "x-rcptto",
            }  # fmt: skip
            assert {name.lower() for name in mail} <= known
            assert str(mail["Subject"]).split() == subject.split()
        else:
            assert type(answer) is hub.Refused
            assert post.mails == []

    @given(st.text(max_size=300))
    def test_an_address_has_no_line_and_no_second_one(self, text: str) -> None:
        if is_address(text):
            assert text.count("@") == 1
            assert text.isascii()
            assert text.isprintable()
            assert not set(text) & set(' ,;:<>()[]"\\')

    def test_a_subject_that_readers_would_decode_is_refused(self, mailer: Email, post: Post) -> None:
        """`=?utf-8?q?=0ABcc?=` is plain ASCII, and read as something else."""
        assert type(mailer.send(hub.Mail(TO, "Nyt =?utf-8?q?=0ABcc=3A?=", "Nyt"), new_key())) is hub.Refused
        assert post.tries == 0

    def test_a_key_is_a_uuid(self, mailer: Email, post: Post) -> None:
        assert type(mailer.send(MAIL, "x>\r\nBcc: spy@example.com")) is hub.Refused
        assert post.tries == 0

    def test_a_sender_name_is_one_line(self) -> None:
        values = {"host": "localhost", "sender": "a@example.com", "tls": "none"}
        with pytest.raises(ValidationError, match="one line"):
            EmailSettings.model_validate(values | {"sender_name": "A\r\nBcc: spy@example.com"})


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"user": "a"}, "user and password_file go together"),
        ({"sender": "Kommunen <a@example.com>"}, "one plain address"),
        ({"reply_to": "nobody"}, "one plain address"),
        ({"unknown": 1}, "Extra inputs"),
    ],
)
def test_settings_that_cannot_be_are_refused(values: dict[str, object], said: str) -> None:
    base = {"host": "smtp.example.com", "sender": "a@example.com", "sender_name": "A"}
    with pytest.raises(ValidationError, match=said):
        EmailSettings.model_validate(base | values)


def test_a_password_that_cannot_be_read_stops_at_start(tmp_path: Path) -> None:
    values = {"host": "smtp.example.com", "sender": "a@example.com", "sender_name": "A", "user": "a"}
    with pytest.raises(hub.SettingsError, match="password_file"):
        Email(EmailSettings.model_validate(values | {"password_file": tmp_path / "missing"}))
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(hub.SettingsError, match="empty"):
        Email(EmailSettings.model_validate(values | {"password_file": tmp_path / "empty"}))
