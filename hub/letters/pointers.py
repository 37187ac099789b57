"""Beside a letter: that there is news, to whoever asked to be told so, by e-mail or by text message (NemSMS).

It says nothing of whom or what the letter is about, and has no link: whoever gets used to signing in from a link in a
mail signs in from anybody's. It is owed in the transaction that marks the letter as sent, and sent by a job of its own.
What may have arrived is not sent again: the letter is what counts, and a second "there is news" would be untrue.
"""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid5

from procrastinate.types import JSONValue
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from hub import faults
from hub.context import Context
from hub.contract import Later, Mail, Points, Recipient, Refused, SendResult, Sent
from hub.errors import GaveUp, TryAgain
from hub.letters import preferences
from hub.store import queue, tables
from hub.store.people import find_key
from hub.vault import unseal_json

EMAIL, SMS = "email", "sms"
WITHIN = timedelta(days=1)
"""Older news is no news: by then it is given up."""
_TEXTS = {
    "da": (
        "Nyt fra {name}",
        "Der er nyt til dig fra {name}.\n\n"
        "Gå selv ind på kommunens hjemmeside, og log ind på din side, eller læs brevet i Digital Post.\n\n"
        "Vi skriver ikke, hvad det handler om, i en mail. Derfor er der heller ikke et link her.\n"
        "Du kan slå mailen fra på din side.\n",
        "Der er nyt til dig fra {name}. Se din side eller Digital Post.",
    ),
    "en": (
        "News from {name}",
        "There is news for you from {name}.\n\n"
        "Go to the municipality’s website yourself and sign in to your page, or read the letter in Digital Post.\n\n"
        "We do not write what it is about in an e-mail. That is why there is no link here either.\n"
        "You can turn this e-mail off on your page.\n",
        "There is news for you from {name}. See your page or Digital Post.",
    ),
}
SMS_AT_MOST = 150


def texts(language: str, municipality: str) -> tuple[str, str, str]:
    """Subject and text of the e-mail, and the text message. The municipality's name is shortened where the message
    would be too long. Danish where there is no text in a language."""
    subject, mail, sms = _TEXTS.get(language, _TEXTS["da"])
    room = SMS_AT_MOST - len(sms.format(name=""))
    return subject.format(name=municipality), mail.format(name=municipality), sms.format(name=municipality[:room])


def owe(ctx: Context, session: Session, letter: tables.Letter, preference: tables.Preference | None) -> None:
    """The letter has been sent: whoever asked for it is told that there is news, in the same commit as the job."""
    if preference is None:
        return
    key = find_key(session, ctx.keys, session.get_one(tables.Guardian, letter.guardian_id).key_id)
    if key is None:
        return
    chosen = preferences.read(key, preference)
    ways = [way for way, wanted in ((EMAIL, chosen.email), (SMS, chosen.sms)) if wanted]
    if not ways:
        return
    rows = [{"letter_id": letter.id, "way": way, "state": "waiting", "at": ctx.clock.now(), "tries": 0} for way in ways]
    session.execute(insert(tables.Pointer).on_conflict_do_nothing(), rows)
    asked: list[dict[str, JSONValue]] = [{"letter_id": str(letter.id), "way": way} for way in ways]
    queue.defer(session, queue.POINT, asked, queue=queue.NOTICES)


def point(ctx: Context, letter_id: UUID, way: str) -> str:
    """Say that there is news, once; gives the pointer's state. Raises TryAgain when it is to be tried later."""
    with ctx.database.begin() as session:
        row = _locked(session, letter_id, way)
        if row is None or row.state not in ("waiting", "begun"):
            return "gone" if row is None else row.state
        if row.state == "begun":
            # A try was broken off: it may have arrived.
            row.state, row.at = "unsure", ctx.clock.now()
            return row.state
        row.state, row.at, row.tries = "begun", ctx.clock.now(), row.tries + 1
    faults.point("pointers.begun")
    with ctx.database.begin() as session:
        row = _locked(session, letter_id, way)
        if row is None or row.state != "begun":
            return "gone" if row is None else row.state
        result = _send(ctx, session, letter_id, way)
        faults.point("pointers.handed_over")
        now = ctx.clock.now()
        if isinstance(result, Later) and now - session.get_one(tables.Letter, letter_id).state_at > WITHIN:
            result = Refused(f"given up: {result.reason}")
        row.state = {Sent: "sent", Refused: "refused", Later: "waiting"}.get(type(result), "unsure")
        row.at, row.reason = now, None if isinstance(result, Sent) else result.reason
        state = row.state
    if isinstance(result, Later):
        raise TryAgain(f"the pointer of letter {letter_id}: {result.reason}", after_seconds=result.after_seconds)
    return state


def _locked(session: Session, letter_id: UUID, way: str) -> tables.Pointer | None:
    pointer = tables.Pointer
    return session.execute(
        select(pointer).where(pointer.letter_id == letter_id, pointer.way == way).with_for_update()
    ).scalar_one_or_none()


def _send(ctx: Context, session: Session, letter_id: UUID, way: str) -> SendResult:
    letter = session.get_one(tables.Letter, letter_id)
    guardian = session.get_one(tables.Guardian, letter.guardian_id)
    preference = session.get(tables.Preference, letter.guardian_id)
    key = find_key(session, ctx.keys, guardian.key_id)
    chosen = preferences.read(key, preference) if key is not None and preference is not None else preferences.NONE
    subject, text, sms = texts(letter.language, ctx.settings.municipality.name)
    try:
        if way == EMAIL and chosen.email is not None:
            mailer = ctx.plugins.mailers.get(ctx.settings.mailer or "")
            if mailer is None:
                return Refused("the settings name no mailer")
            return mailer.send(Mail(chosen.email, subject, text, language=letter.language), str(letter_id))
        if way == SMS and chosen.sms and key is not None:
            channel = ctx.plugins.channels.get(letter.channel or "")
            if not isinstance(channel, Points):
                return Refused("the channel carries no text messages")
            fields = unseal_json(key, guardian.sealed, f"guardian:{guardian.id}")
            return channel.point(Recipient(fields["cpr"], ""), sms, str(key_of(letter_id)))
    except TryAgain as error:
        return Later(str(error), error.after_seconds)
    except GaveUp as error:
        return Refused(str(error))
    return Refused("they no longer want it")


def key_of(letter_id: UUID) -> UUID:
    """The key of a letter's text message: another than the letter's, the same at every try, and a UUID version 4 in
    form (Digital Post takes no other)."""
    made = uuid5(letter_id, SMS)
    return UUID(int=made.int & ~(0xF << 76) | (4 << 76))
