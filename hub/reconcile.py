"""What the journal knows and a restored database does not: take it in.

Families' answers are given again, and what was done with coordinators is done again, in their order and as of their own
time. Letters that the database has and that left are marked as sent; of letters it has never seen, what they told is
kept from being told again (`told`). Of those that may have arrived nobody knows: they are treated as told, and are a
person's task.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from hub import consents, family, journal, mandates
from hub.access import log
from hub.clock import SetClock
from hub.context import Context
from hub.coordination import replay
from hub.errors import NotAllowed
from hub.letters import delivery, policy
from hub.letters.frozen import open_content
from hub.store import tables, tasks
from hub.store.many import among
from hub.vault import CannotOpen

REMEMBER = timedelta(days=30)
"""How long what a lost letter told is kept from being told again: a source that is silent after the restore may show
the same change much later."""
UNSURE = "letter_unsure"
"""The kind of task of a letter that may have arrived."""


@dataclass(slots=True)
class Reconciled:
    """What the journal knew that the database did not."""

    sent: int = 0
    """Letters the database knows, which had left."""
    told: int = 0
    """Letters it does not know, which had left: what they told is not told again."""
    unsure: int = 0
    """Letters it does not know, which may have arrived: not told again either, and somebody's task."""
    answers: int = 0
    acts: int = 0
    """What was done with coordinators, and done again."""
    lost: list[str] = field(default_factory=list)
    """Why answers could not be given, and acts not be done again, one each."""


@dataclass(slots=True)
class _Trace:
    """What the journal says of one letter."""

    said: list[bytes] = field(default_factory=list)
    state: str = "composed"
    at: datetime | None = None
    doubt: bool = False
    """A try was broken off, or got no answer."""
    route: str | None = None
    transmission: str | None = None
    channel: str | None = None
    """Journals of 0.1 do not say it."""

    @property
    def sent(self) -> bool:
        return self.state == "sent"

    @property
    def unsure(self) -> bool:
        return not self.sent and (self.doubt or self.state in policy.MAY_HAVE_ARRIVED)


def _traces(entries: Iterable[journal.Entry]) -> dict[UUID, _Trace]:
    traces: dict[UUID, _Trace] = {}
    for entry in entries:
        fields = entry.fields
        if "composed" in fields:
            traces.setdefault(UUID(fields["composed"]), _Trace()).said = [bytes.fromhex(one) for one in fields["said"]]
        for letter in fields.get("begun", ()):
            trace = traces.setdefault(UUID(letter), _Trace())
            trace.doubt |= trace.state in policy.MAY_HAVE_ARRIVED
            _move(trace, policy.BEGUN, entry.at)
        if "letter" in fields:
            trace = traces.setdefault(UUID(fields["letter"]), _Trace())
            trace.channel = fields.get("channel", trace.channel)
            trace.route = fields.get("route", trace.route)
            trace.transmission = fields.get("transmission", trace.transmission)
            _move(trace, fields["result"], entry.at)
    return traces


def _move(trace: _Trace, state: str, at: datetime) -> None:
    if not trace.sent:  # two machines' clocks may differ, and sent is sent
        trace.state, trace.at = state, at


def reconcile(ctx: Context, folder: Path) -> Reconciled:
    """Take in what the journal in `folder` knows and this database does not. Doing it again changes nothing more.

    Raises JournalBroken."""
    with ctx.database.session() as session:
        since = session.execute(select(tables.Sender.since)).scalar_one()
    entries = [entry for entry in journal.read(folder, ctx.keys.ring) if entry.at >= since]
    result = Reconciled()
    _answers(ctx, entries, result)
    with ctx.database.begin() as session:
        _letters(ctx, session, _traces(entries), result)
    return result


def _answers(ctx: Context, entries: Sequence[journal.Entry], result: Reconciled) -> None:
    """Give lost answers and do lost acts again, in their order, each as of its own time."""
    given = [entry for entry in entries if "answer" in entry.fields or "act" in entry.fields]
    with ctx.database.session() as session:
        act_ids = [UUID(entry.fields["act"]) for entry in given if "act" in entry.fields]
        acts_done = set(session.execute(select(tables.Act.id).where(among(tables.Act.id, act_ids))).scalars())
        ids = [UUID(entry.fields["answer"]) for entry in given if "answer" in entry.fields]
        known = {
            found
            for table in (tables.Acceptance, tables.Consent, tables.Block, tables.Hears)
            for found in session.execute(select(table.id).where(among(table.id, ids))).scalars()
        }
        over = (among(tables.Hears.id, ids), tables.Hears.ended_at.is_not(None))
        taken_back = set(session.execute(select(tables.Hears.id).where(*over)).scalars())
    acts = {"yes": family.accept, "no": family.decline, "withdrawn": family.withdraw}
    for entry in given:
        fields = entry.fields
        then = replace(ctx, clock=SetClock(entry.at))
        if "act" in fields:
            if UUID(fields["act"]) not in acts_done:
                _act(then, fields, result)
            continue
        answer = UUID(fields["answer"])
        ends_mandate = fields["says"] == "mandate_ended"
        if answer in (taken_back if ends_mandate else known):
            continue
        with ctx.database.session() as session:
            child = _by_token(session, tables.Child, fields["child"])
            guardian = _by_token(session, tables.Guardian, fields["guardian"]) if fields["guardian"] else None
            spoke = _by_token(session, tables.Guardian, fields["spoke"]) if fields.get("spoke") else None
        if child is None or (guardian is None and fields["guardian"]):
            result.lost.append(f"answer {answer}: the sources have not shown the child again, or not its guardian")
            continue
        try:
            # Of a consent that was taken back the journal says "withdrawn" too, and of which administration.
            if fields["says"] in ("mandate", "mandate_ended"):
                mandates.do_again(then, child, guardian, fields)
            elif "administration" in fields:
                consents.again(then, child, guardian, fields, spoke)
            else:
                acts[fields["says"]](then, child, _answerer(guardian, fields, spoke))
            result.answers += 1
        except (NotAllowed, CannotOpen) as error:
            result.lost.append(f"answer {answer}: {error}")


def _act(then: Context, fields: dict[str, Any], result: Reconciled) -> None:
    try:
        replay.do_again(then, fields)
        result.acts += 1
    except NotAllowed as error:
        result.lost.append(f"{fields['does']} {fields['act']}: {error}")


def _answerer(guardian: UUID | None, fields: dict[str, Any], spoke: UUID | None) -> family.Answerer:
    """Journals of 0.1 say neither language nor evidence."""
    who = fields["registered_by"]
    return family.Answerer(
        guardian,
        fields["how"],
        fields["text"],
        log.Asker(**who) if who else None,
        fields.get("language", "da"),
        fields.get("evidence"),
        again=UUID(fields["answer"]),
        representative=fields.get("representative"),
        representative_id=spoke,
    )


def _by_token(session: Session, table: type[tables.Child] | type[tables.Guardian], token: str) -> UUID | None:
    return session.execute(select(table.id).where(table.token == bytes.fromhex(token))).scalar_one_or_none()


def _letters(ctx: Context, session: Session, traces: dict[UUID, _Trace], result: Reconciled) -> None:
    frozen = {
        letter.id: letter
        for letter in session.execute(
            select(tables.Letter).where(tables.Letter.state == "frozen").order_by(tables.Letter.id).with_for_update()
        ).scalars()
    }
    known = set(session.execute(select(tables.Letter.id).where(among(tables.Letter.id, traces))).scalars())
    told: set[bytes] = set()
    for letter_id, trace in traces.items():
        if letter_id in known:
            letter = frozen.get(letter_id)
            if letter is not None and trace.sent and trace.at is not None:
                delivery.had_left(ctx, session, letter, trace.at, trace.channel, trace.route, trace.transmission)
                result.sent += 1
            elif letter is not None and trace.unsure:
                doubt(session, letter, trace.at or ctx.clock.now(), trace.channel or ctx.settings.letters.in_order[0])
        elif trace.sent or trace.unsure:
            told.update(trace.said)
            result.told += trace.sent
            result.unsure += trace.unsure
            if trace.unsure:
                tasks.put(session, ctx.keys, ctx.clock.now(), UNSURE, {str(letter_id): {}})
    if told:
        rows = [{"said": said, "until": ctx.clock.now() + REMEMBER} for said in sorted(told)]
        session.execute(insert(tables.Told).on_conflict_do_nothing(), rows)
    for letter in frozen.values():
        if letter.state == "frozen" and told & _said(ctx, session, letter):
            # It was withheld after the backup, and another letter told what of it could still be told.
            delivery.withhold(ctx, session, letter)


def _said(ctx: Context, session: Session, letter: tables.Letter) -> set[bytes]:
    try:
        return {bytes.fromhex(one) for one in open_content(session, ctx.keys, letter)["said"]}
    except CannotOpen:
        return set()  # somebody it is about has been forgotten: it will be withheld when its turn comes


def doubt(session: Session, letter: tables.Letter, at: datetime, channel: str) -> None:
    """A try that the database does not know, and of which nobody knows whether it arrived. The letter is sent again
    with its key, where the channel knows keys; else, or should it have to be withheld instead, a person looks."""
    unsure = (tables.Delivery.letter_id == letter.id, tables.Delivery.result.in_(policy.MAY_HAVE_ARRIVED))
    if session.execute(select(tables.Delivery.id).where(*unsure).limit(1)).first() is None:
        letter.tries += 1
        attempt = {"letter_id": letter.id, "channel": channel, "attempt": letter.tries, "at": at}
        session.add(tables.Delivery(**attempt, result=policy.BEGUN))
