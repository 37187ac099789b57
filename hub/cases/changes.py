"""What the hub keeps of a case, and what of a change is worth telling its family."""

from __future__ import annotations

import hmac
from dataclasses import asdict
from datetime import date
from typing import Any
from uuid import UUID, uuid4

from hub.cases import kinds
from hub.cases.deadlines import published_deadline
from hub.cases.events import News
from hub.contract import CaseRecord, State
from hub.reading import SourceSettings
from hub.vault import Keys


def case_fields(record: CaseRecord, deadline: date | None) -> dict[str, str | None]:
    """What is sealed of a case: its id at the source, for notices and the journal of that source's administration; a
    kind from the list, a state, dates."""
    return {
        "source_id": record.source_id,
        "kind": record.kind,
        "state": record.state.value,
        "opened": _text(record.opened),
        "closed": _text(record.closed),
        "follow_up": _text(record.follow_up),
        "deadline": _text(deadline),
    }


def _text(day: date | None) -> str | None:
    return day.isoformat() if day is not None else None


def digest_of(keys: Keys, record: CaseRecord) -> bytes:
    """Equal for two versions of a case that say the same."""
    # `changed` is left out: a source may touch a case without changing anything the hub knows of it.
    fields = {name: value for name, value in asdict(record).items() if name != "changed"}
    return hmac.digest(keys.reference, repr(fields).encode(), "sha256")


def deadline_of(record: CaseRecord, section: Any) -> date | None:
    """The case's own deadline, else the published one; none once there is a decision."""
    if record.state in (State.DECIDED, State.CLOSED):
        return None
    if record.deadline is not None:
        return record.deadline
    kinds = section.kinds if isinstance(section, SourceSettings) else {}
    return published_deadline(record.opened, kinds.get(record.kind)) if record.state is State.APPLIED else None


def news_of(
    child: UUID, case: UUID, old: dict[str, Any] | None, new: dict[str, Any], changed_adviser: bool, day: date
) -> list[News]:
    """What a change is worth telling. `what` names the case, the new value and the day: a source that goes back and
    forth within a day is told once, and what changes back later is news again."""
    if old is None:
        kind = kinds.APPLIED if new["state"] == State.APPLIED else kinds.CASE_OPENED
        return [News(kind, child, str(case), case)]
    told = []
    if old["state"] != new["state"]:
        if new["state"] == State.CLOSED:
            told.append(News(kinds.CASE_CLOSED, child, f"{case}:{day}", case))
        elif old["state"] == State.APPLIED:
            told.append(News(kinds.DECIDED, child, f"{case}:{day}", case))
    if changed_adviser:
        told.append(News(kinds.ADVISER_CHANGED, child, f"{case}:{uuid4()}", case))
    if new["deadline"] is not None and old["deadline"] != new["deadline"]:
        before = date.fromisoformat(old["deadline"]) if old["deadline"] else None
        kind = moved(before, date.fromisoformat(new["deadline"]))
        told.append(News(kind, child, f"{case}:{new['deadline']}:{day}", case, day=before))
    return told


def moved(before: date | None, now: date) -> str:
    """What it is called that a case has another deadline."""
    if before is None:
        return kinds.DEADLINE_SET
    return kinds.DEADLINE_POSTPONED if now > before else kinds.DEADLINE_MOVED
