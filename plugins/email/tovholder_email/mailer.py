"""E-mail by SMTP, one mail on a connection of its own, through the library `emails`.

Only its asynchronous way is used: it checks the server's certificate, which the other does not. Whatever the server
says for good refuses this mail only where it is about the mail (its recipient, its content); an answer about our own
access is a reason to try later.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import aiosmtplib
from emails.backend.response import SMTPResponse
from emails.backend.smtp.aio_backend import AsyncSMTPBackend
from emails.message import Message

from hub import Health, Later, Mail, Refused, SendResult, Sent, SettingsError, Unsure
from tovholder_email.settings import EmailSettings, is_address

SUBJECT_MAX = 200
_ABOUT_US = frozenset({530, 534, 535, 538})
"""Answers about our signing in, whatever they come to."""


class Email:
    """One object may be used from several threads."""

    name = "email"

    def __init__(self, settings: EmailSettings) -> None:
        """Raises SettingsError when a file that the settings name cannot be read."""
        self._settings = settings
        self._trust = _trust(settings.authorities) if settings.tls != "none" else None
        self._password = _password(settings.password_file) if settings.password_file else None

    def send(self, mail: Mail, key: str) -> SendResult:
        refused = _refused_unseen(mail, key)
        if refused:
            return refused
        return asyncio.run(self._send(mail, key))

    def health(self) -> Health:
        """Whether the server answers, with a certificate that holds, and lets us in. Sends nothing."""
        return asyncio.run(self._health())

    async def _send(self, mail: Mail, key: str) -> SendResult:
        settings = self._settings
        backend = _OneTry(self._connection())
        message_id = f"<{key}@{settings.sender.partition('@')[2]}>"
        message = Message(
            subject=mail.subject,
            text=mail.text,
            html=mail.html,
            mail_from=(settings.sender_name, settings.sender),
            mail_to=(None, mail.to),
            reply_to=settings.reply_to,
            message_id=message_id,
            headers={"Auto-Submitted": "auto-generated", "Content-Language": mail.language},
        )
        try:
            async with asyncio.timeout(settings.timeout_seconds):
                response = await message.send_async(smtp=backend)
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            return _broken_off(error, backend.handing_over)
        finally:
            await _close(backend)
        return _result(response, message_id)

    async def _health(self) -> Health:
        backend = _OneTry(self._connection())
        try:
            async with asyncio.timeout(self._settings.timeout_seconds):
                await backend.get_client()
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            return Health(False, _why(error))
        finally:
            await _close(backend)
        return Health(True, "the mail server answers")

    def _connection(self) -> dict[str, Any]:
        settings = self._settings
        signs_in = {"user": settings.user, "password": self._password} if settings.user else {}
        return signs_in | {
            "host": settings.host,
            "port": settings.port,
            "ssl": settings.tls == "tls",
            "tls": settings.tls == "starttls",
            "tls_context": self._trust,
            "timeout": settings.timeout_seconds,
            "local_hostname": settings.hello or socket.gethostname(),
        }


class _OneTry(AsyncSMTPBackend):
    """The library's own connection, without its second try: when the server breaks off after the mail was handed over,
    a second try is a second mail. The hub tries again, where that is safe."""

    def __init__(self, connection: dict[str, Any]) -> None:
        super().__init__(fail_silently=False, **connection)
        self.handing_over = False
        """Whether the mail itself may have left."""

    async def sendmail(
        self,
        from_addr: str,
        to_addrs: str | list[str],
        msg: Any,
        mail_options: list[str] | None = None,
        rcpt_options: list[str] | None = None,
    ) -> SMTPResponse | None:
        """An answer that refuses is an answer, and is given; what breaks off is raised."""
        client = await self.get_client()
        give_data = client._smtp.data

        async def data(*content: Any, **options: Any) -> aiosmtplib.SMTPResponse:
            self.handing_over = True
            return await give_data(*content, **options)

        client._smtp.data = data  # type: ignore[method-assign]  # the one place that knows how far a mail has come
        return await client.sendmail(from_addr, to_addrs, msg.as_bytes(), mail_options, rcpt_options)


async def _close(backend: _OneTry) -> None:
    # What the server says to our leaving changes nothing about the mail: an error here must not hide its answer.
    with suppress(aiosmtplib.SMTPException, OSError, TimeoutError):
        async with asyncio.timeout(2.0):
            await backend.close()


def _refused_unseen(mail: Mail, key: str) -> Refused | None:
    """What is refused before anybody is asked. No reason repeats what the mail says, or whom it is to."""
    if not is_address(mail.to):
        return Refused("the recipient's address is not one plain e-mail address; mend it")
    if not mail.subject.strip() or not mail.subject.isprintable() or len(mail.subject) > SUBJECT_MAX:
        return Refused(f"the subject must be one line of at most {SUBJECT_MAX} printable characters")
    if "=?" in mail.subject:
        # Whoever reads it would see what it is decoded to (RFC 2047), which may be anything.
        return Refused("the subject has =? in it, which mail readers decode; leave it out")
    if not mail.text.strip():
        return Refused("the mail has no text")
    try:
        UUID(key)
        (mail.subject + mail.text + (mail.html or "")).encode()
    except UnicodeEncodeError:
        return Refused("the mail holds a lone surrogate; remove it")
    except ValueError:
        return Refused("the key is not a UUID")
    return None


def _result(response: SMTPResponse | None, message_id: str) -> SendResult:
    if response is None:
        return Later("the mail was not given to the server")
    if response.success and not response.refused_recipients:
        return Sent(message_id)
    # The answer to the recipient stands with the recipient: the last one said may be the answer to what came after.
    code = next((code for code, _text in response.refused_recipients.values()), response.status_code) or 0
    said = f"the mail server answered {code} to {response.last_command or 'the connection'}"
    about_the_mail = response.last_command in ("rcpt", "data")
    if about_the_mail and 500 <= code < 600 and code not in _ABOUT_US:
        return Refused(said)
    return Later(said)


def _broken_off(error: Exception, handing_over: bool) -> SendResult:
    return Unsure(_why(error)) if handing_over else Later(_why(error))


def _why(error: Exception) -> str:
    """What happened, without what a server may have repeated of the mail."""
    for cause in (error, error.__cause__, error.__context__):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"the mail server's certificate does not hold: {cause.verify_message}"
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return f"the mail server answered {error.code} ({type(error).__name__})"
    return f"the mail server does not answer as it should ({type(error).__name__})"


def _trust(authorities: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=authorities)
    except (OSError, ValueError) as error:
        raise SettingsError(f"authorities cannot be used: give a PEM file ({type(error).__name__})") from error


def _password(file: Path) -> str:
    try:
        text = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"password_file cannot be read ({type(error).__name__})") from error
    if not text:
        raise SettingsError("password_file is empty")
    return text
