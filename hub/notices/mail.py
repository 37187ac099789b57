"""One notice by mail, to the adviser's own address at work, through the mailer of the settings.

It holds the coordinator's name, phone and mail, and the number of the adviser's own case; nothing of the child. Its key
is the notice's id, which becomes the Message-ID: a mail sent twice is one to whoever looks.
"""

from __future__ import annotations

from hub.clock import DENMARK
from hub.context import Context
from hub.contract import Mail, Mailer
from hub.notices.facts import Card, Fact
from hub.notices.kinds import WORDS

SUBJECT = "Nyt om koordinatoren på en af dine sager"
"""Neutral: a subject is seen by whoever passes the screen."""


def mailer(ctx: Context) -> Mailer | None:
    """What carries mail here; None where the settings name nothing that is there."""
    return ctx.plugins.mailers.get(ctx.settings.mailer or "")


def mail_of(fact: Fact, to: Card) -> Mail:
    """The mail, in Danish. The address is the mailer's to refuse."""
    return Mail(to=to.email or "", subject=SUBJECT, text=text(fact))


def text(fact: Fact) -> str:
    lines = [f"{WORDS[fact.kind][0]}.", "", f"Din sag: {_line(fact.case)} (fra {_line(fact.source)})"]
    who = "Koordinatoren var" if fact.until is not None else "Koordinator"
    lines.append(f"{who}: {_called(fact.coordinator)}")
    if fact.since is not None:
        lines.append(f"Siden: {fact.since.astimezone(DENMARK):%-d.%-m.%Y}")
    if fact.until is not None:
        lines.append(f"Indtil: {fact.until.astimezone(DENMARK):%-d.%-m.%Y}")
    if fact.substitute is not None:
        lines.append(f"Stedfortræder: {_called(fact.substitute)}")
    lines += ["", "Du vælger selv, hvad du får mail om, på siden Advis i Tovholder. Svar ikke på denne mail.", ""]
    return "\n".join(lines)


def _called(card: Card) -> str:
    return ", ".join(_line(part) for part in (card.name, card.phone, card.email) if part)


def _line(said: str) -> str:
    """As one line: a name holds no line of the mail's own."""
    return " ".join(said.split())
