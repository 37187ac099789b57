"""The letters' texts over time: drafted by one person, approved by another, published from a moment on, taken back.

A text is a file of the templates by its name. What has been published wins over the municipality's folder and over the
product. Rows are added and never changed, by the database's own rights; every step stands in the access log, with who
took it. A letter keeps the version it was written with (`letter.template_version`), whatever is published later.
"""

from __future__ import annotations

import difflib
import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar
from uuid import UUID, uuid4

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from hub.access import records
from hub.access.log import Asker
from hub.access.policy import Question, decide
from hub.context import Context
from hub.errors import NotAllowed, SettingsError
from hub.letters.lint import Finding
from hub.letters.lint_templates import lint_templates
from hub.letters.templates import Templates, check_name
from hub.store import tables
from hub.store.people import open_keys
from hub.vault import unseal_json

KIND = "template"
"""Of an entry in the access log, and the purpose the policy is asked for."""
T = TypeVar("T")


class NoSuchVersion(NotAllowed):
    """There is no such version of a letter's text."""


class NotPlain(NotAllowed):
    """The text breaks rules that a letter must keep: mend it and draft it again."""

    def __init__(self, findings: list[Finding]) -> None:
        self.findings = findings
        said = "; ".join(f"{one.file}:{one.line}: {one.rule}: {one.message}" for one in findings[:5])
        super().__init__(f"the text breaks rules that a letter must keep: {said}")


@dataclass(frozen=True, slots=True)
class Version:
    """A text that was drafted. `approved_at` and `since` are None until it is approved and published; `since` is the
    latest moment it was published from (UTC). `…_by`: the name of who took that step last, None also where the log has
    forgotten them. `current`: letters are written with it now."""

    id: UUID
    name: str
    sha256: str
    drafted_at: datetime
    drafted_by: str | None
    approved_at: datetime | None
    approved_by: str | None
    since: datetime | None
    published_by: str | None
    current: bool


def draft(ctx: Context, asker: Asker, name: str, text: str) -> UUID:
    """Keep a text, to be approved by somebody else; the id of the version. The same text of the same name drafted again
    is the same version. Raises SettingsError where it cannot be read as a template, NotAllowed, LogUnavailable."""
    check_name(Path(name))
    if Path(name).name != name:
        raise SettingsError(f"{name}: a letter's text is called like overdue.da.md, without a folder")

    def keep(session: Session) -> UUID:
        Templates(ctx.settings.letters.folder, current(session, ctx.clock.now()) | {name: text})
        digest = hashlib.sha256(text.encode()).digest()
        known = session.execute(
            select(tables.Template.id).where(tables.Template.name == name, tables.Template.sha256 == digest)
        ).scalar_one_or_none()
        if known is not None:
            return known
        row = tables.Template(
            id=uuid4(), name=name, text=text, sha256=digest, drafted_at=ctx.clock.now(), drafter=_who(ctx, asker)
        )
        session.add(row)
        return row.id

    return _logged(ctx, asker, keep, lambda made: f"drafted:{name}:{made}")


def approve(ctx: Context, asker: Asker, version: UUID) -> None:
    """Say that a text is good: by another person than who drafted it, and only where the check finds nothing that
    fails. Raises NotAllowed, NoSuchVersion, NotPlain, LogUnavailable."""

    def step(session: Session) -> tables.Template:
        row = _find(session, version)
        if row.drafter == _who(ctx, asker):
            raise NotAllowed("another person approves than the one who drafted")
        with_it = Templates(ctx.settings.letters.folder, current(session, ctx.clock.now()) | {row.name: row.text})
        fails = [one for one in lint_templates(with_it, row.name if row.name.endswith(".md") else None) if one.fails]
        if fails:
            raise NotPlain(fails)
        _step(ctx, session, asker, row.name, row.id, "approved", None)
        return row

    _logged(ctx, asker, step, lambda row: f"approved:{row.name}:{version}")


def publish(ctx: Context, asker: Asker, version: UUID, since: datetime | None = None) -> datetime:
    """Write letters with an approved text from a moment on (UTC; now where none is given, and never earlier). Raises
    NotAllowed where nobody has approved it, NoSuchVersion, SettingsError where it does not fit what is published then,
    LogUnavailable."""
    now = ctx.clock.now()
    since = max(now, since or now)

    def step(session: Session) -> tables.Template:
        row = _find(session, version)
        if not _approved(session, version):
            raise NotAllowed("nobody has approved this text: another person than who drafted it does")
        Templates(ctx.settings.letters.folder, current(session, since) | {row.name: row.text})
        _step(ctx, session, asker, row.name, row.id, "published", since)
        return row

    _logged(ctx, asker, step, lambda row: f"published:{row.name}:{version}:{since.isoformat()}")
    return since


def roll_back(ctx: Context, asker: Asker, name: str, since: datetime | None = None) -> UUID | None:
    """Take back what is published of a name, from a moment on (UTC; now where none is given): the version before it
    holds again, or what was shipped, which is None. Raises NotAllowed where nothing is published, LogUnavailable."""
    now = ctx.clock.now()
    since = max(now, since or now)

    def step(session: Session) -> UUID | None:
        steps = _published(session, name, since)
        if not steps or steps[0].template_id is None:
            raise NotAllowed(f"nothing of {name} is published then, so there is nothing to take back")
        before = _before(steps)
        _step(ctx, session, asker, name, before, "published" if before else "shipped", since)
        return before

    return _logged(ctx, asker, step, lambda before: f"rolled back:{name}:{before or 'shipped'}:{since.isoformat()}")


def versions(ctx: Context, asker: Asker, name: str | None = None) -> list[Version]:
    """All that was drafted, newest first; of one name where it is given. Raises NotAllowed."""
    _may(asker)
    with ctx.database.begin() as session:
        now = ctx.clock.now()
        found = select(tables.Template)
        rows = session.execute(found.where(tables.Template.name == name) if name else found).scalars().all()
        steps = session.execute(select(tables.TemplateStep).order_by(tables.TemplateStep.seq)).scalars().all()
        people = _people(ctx, session)
        holds = {one: _published(session, one, now) for one in {row.name for row in rows}}
    approved = {step.template_id: step for step in steps if step.step == "approved"}
    out = [step for step in steps if step.since is not None]
    published = {step.template_id: step for step in sorted(out, key=lambda step: step.since or step.at)}
    made = []
    for row in rows:
        seen, last = approved.get(row.id), published.get(row.id)
        made.append(
            Version(
                row.id, row.name, row.sha256.hex(),
                row.drafted_at, people.get(row.drafter),
                seen.at if seen else None, people.get(seen.who) if seen else None,
                last.since if last else None, people.get(last.who) if last else None,
                current=bool(holds[row.name]) and holds[row.name][0].template_id == row.id,
            )
        )  # fmt: skip
    return sorted(made, key=lambda one: one.drafted_at, reverse=True)


def text_of(ctx: Context, asker: Asker, version: UUID) -> tuple[str, str]:
    """Name and text of a version. Raises NotAllowed, NoSuchVersion."""
    _may(asker)
    with ctx.database.begin() as session:
        row = _find(session, version)
        return row.name, row.text


def diff(ctx: Context, asker: Asker, version: UUID, against: UUID | None = None) -> str:
    """What a version changes, as a unified diff: against another version, or against what letters are written with now.
    Raises NotAllowed, NoSuchVersion."""
    name, text = text_of(ctx, asker, version)
    if against is not None:
        before, label = text_of(ctx, asker, against)[1], str(against)
    else:
        with ctx.database.begin() as session:
            published = current(session, ctx.clock.now())
        before, label = Templates(ctx.settings.letters.folder, published).texts.get(name, ""), "now"
    return "".join(
        difflib.unified_diff(
            before.splitlines(keepends=True), text.splitlines(keepends=True), f"{name} ({label})", f"{name} ({version})"
        )
    )


def current(session: Session, at: datetime) -> dict[str, str]:
    """The published texts that hold at a moment (UTC), by name; without names of which the shipped text holds."""
    step = tables.TemplateStep
    newest = (
        select(step.name, step.template_id)
        .distinct(step.name)
        .where(step.since <= at)
        .order_by(step.name, step.since.desc(), step.seq.desc())
        .subquery()
    )
    rows = session.execute(
        select(tables.Template.name, tables.Template.text).join(newest, newest.c.template_id == tables.Template.id)
    )
    return {row.name: row.text for row in rows}


class Book:
    """The templates that letters are written with, read again when something else has been published."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._read: tuple[Mapping[str, str], Templates] | None = None

    def now(self) -> Templates:
        with self._ctx.database.begin() as session:
            published = current(session, self._ctx.clock.now())
        if self._read is None or self._read[0] != published:
            self._read = published, Templates(self._ctx.settings.letters.folder, published)
        return self._read[1]


def _find(session: Session, version: UUID) -> tables.Template:
    row = session.get(tables.Template, version)
    if row is None:
        raise NoSuchVersion
    return row


def _approved(session: Session, version: UUID) -> bool:
    step = tables.TemplateStep
    found = select(step.seq).where(step.template_id == version, step.step == "approved").limit(1)
    return session.execute(found).scalar_one_or_none() is not None


def _published(session: Session, name: str, at: datetime) -> list[tables.TemplateStep]:
    """What held of a name until a moment, the latest first."""
    step = tables.TemplateStep
    found = select(step).where(step.name == name, step.since <= at).order_by(step.since.desc(), step.seq.desc())
    return list(session.execute(found).scalars())


def _before(steps: list[tables.TemplateStep]) -> UUID | None:
    """What held before the first of these, once what was taken back since is left out."""
    held: list[UUID | None] = [None]
    for step in reversed(steps):
        if step.template_id in held:
            # Gone back to: what came after it was taken back.
            del held[held.index(step.template_id) + 1 :]
        else:
            held.append(step.template_id)
    return held[-2]


def _step(
    ctx: Context, session: Session, asker: Asker, name: str, version: UUID | None, what: str, since: datetime | None
) -> None:
    who, now = _who(ctx, asker), ctx.clock.now()
    newest = session.execute(select(func.max(tables.TemplateStep.seq))).scalar() or 0
    values = {"name": name, "template_id": version, "step": what, "at": now, "since": since, "who": who}
    session.add(tables.TemplateStep(seq=newest + 1, **values))


def _who(ctx: Context, asker: Asker) -> bytes:
    """Stands for a person, so that two can be told apart without saying who they are; the log says that."""
    return hmac.digest(ctx.keys.reference, f"template:{asker.who}".encode(), "sha256")[:16]


def _people(ctx: Context, session: Session) -> dict[bytes, str]:
    """The names of those who have worked with the texts, by what stands for them, as they were called last."""
    entry = tables.LogEntry
    # No child: that is what the index finds them by in a long log.
    found = select(entry.id, entry.asker_key, entry.asker).where(entry.child_id.is_(None), entry.kind == KIND)
    entries = session.execute(found.order_by(entry.seq)).all()
    keys = open_keys(session, ctx.keys, {one.asker_key for one in entries})
    known = (unseal_json(keys[e.asker_key], e.asker, f"log-asker:{e.id}") for e in entries if e.asker_key in keys)
    return {_who(ctx, asker): asker.name for asker in (Asker(**fields) for fields in known)}


def _may(asker: Asker) -> None:
    if not decide(Question(asker.roles, KIND)).see:
        raise NotAllowed("only an operator may work with the letters' texts")


def _logged(ctx: Context, asker: Asker, act: Callable[[Session], T], say: Callable[[T], str]) -> T:
    """Do it, with its entry in the same transaction."""
    _may(asker)

    def opener(session: Session) -> tuple[T, list[str]]:
        done = act(session)
        session.flush()
        return done, [say(done)]

    decision = decide(Question(asker.roles, KIND))
    # Not as the asker: texts are in no family's rows, and no page reads them.
    begin = ctx.database.begin
    return records.show(ctx.database, ctx.keys, ctx.clock, asker, KIND, decision, opener, begin=begin).value
