"""One notice by mail, to the adviser's own address at work.

It holds the coordinator's name, phone and mail, and the number of the adviser's own case; nothing of the child. Its
Message-ID is made of the notice's id, so that a mail sent twice is one to whoever looks.
"""

from __future__ import annotations

import smtplib
import ssl
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP

from hub.clock import DENMARK
from hub.errors import GaveUp, TryAgain
from hub.notices.facts import Card, Fact
from hub.notices.kinds import WORDS
from hub.settings import Mail

TIMEOUT = 20.0
"""So long the server has for each answer (seconds)."""
_SUBJECT = "Nyt om en koordinator på en af dine sager"
"""Neutral: a subject is seen by whoever passes the screen."""


def message(fact: Fact, to: Card, settings: Mail, municipality: str) -> EmailMessage:
    """The mail. Raises GaveUp when the adviser's address is none."""
    found = EmailMessage(policy=SMTP)
    try:
        found["From"] = Address(municipality, addr_spec=settings.sender)
        found["To"] = Address(addr_spec=to.email or "")
        found["Subject"] = _SUBJECT
        domain = settings.sender.rpartition("@")[2]
        found["Message-ID"] = f"<{fact.id}@{domain}>"
    except (ValueError, MessageError, IndexError) as error:
        raise GaveUp("the adviser's mail address is none") from error
    found["Date"] = fact.at
    found["Auto-Submitted"] = "auto-generated"
    found["X-Auto-Response-Suppress"] = "All"
    found.set_content(text(fact))
    return found


def text(fact: Fact) -> str:
    """What it says, in Danish."""
    lines = [f"{WORDS[fact.kind][0]}.", "", f"Din sag: {_line(fact.case)} ({_line(fact.source)})", ""]  # type: ignore[index]  # kinds are checked by the database
    who = "Koordinatoren var" if fact.until is not None else "Koordinator"
    lines += [f"{who}: {_called(fact.coordinator)}"]
    if fact.since is not None:
        lines.append(f"Siden: {fact.since.astimezone(DENMARK):%-d.%-m.%Y}")
    if fact.until is not None:
        lines.append(f"Indtil: {fact.until.astimezone(DENMARK):%-d.%-m.%Y}")
    if fact.substitute is not None:
        lines.append(f"Stedfortræder: {_called(fact.substitute)}")
    lines += ["", "Du kan vælge, hvad du vil have besked om, på Tovholders side Advis.", "Svar ikke på denne mail.", ""]
    return "\n".join(lines)


def _called(card: Card) -> str:
    return ", ".join(_line(part) for part in (card.name, card.phone, card.email) if part)


def _line(said: str) -> str:
    """As one line: a name holds no line of the mail's own."""
    return " ".join(said.split())


def send(mail: EmailMessage, settings: Mail) -> None:
    """Give it to the server. The certificate is checked; without TLS only on this machine. Raises TryAgain, GaveUp."""
    context = ssl.create_default_context(cafile=str(settings.ca) if settings.ca else None)
    try:
        with _connected(settings, context) as server:
            if settings.user is not None and settings.password is not None:
                server.login(settings.user, settings.password.get_secret_value())
            server.send_message(mail)
    except smtplib.SMTPRecipientsRefused as error:
        # One recipient: its answer says whether another try can help (RFC 5321, 4.2.1).
        code = next(iter(error.recipients.values()))[0]
        raise (GaveUp if code >= 500 else TryAgain)(f"the mail server refuses the recipient ({code})") from error
    except smtplib.SMTPResponseException as error:
        raise TryAgain(f"the mail server answers {error.smtp_code}") from error
    except smtplib.SMTPNotSupportedError as error:
        raise TryAgain("the mail server offers no STARTTLS, or no way to sign in") from error
    except (smtplib.SMTPException, OSError) as error:
        raise TryAgain(f"the mail server does not answer as it should: {type(error).__name__}") from error


def _connected(settings: Mail, context: ssl.SSLContext) -> smtplib.SMTP:
    if settings.tls == "tls":
        return smtplib.SMTP_SSL(settings.host, settings.port, timeout=TIMEOUT, context=context)
    server = smtplib.SMTP(settings.host, settings.port, timeout=TIMEOUT)
    if settings.tls == "starttls":
        try:
            server.starttls(context=context)
        except BaseException:
            server.close()
            raise
    return server
