"""Looks that are about no one child: a record in quarantine, which may name anybody, and the looks that wait for a
review. Each is a look like any other: by the policy, and with its entry durable before it is shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TypeVar, cast

from sqlalchemy.orm import Session

from hub.access import duty
from hub.access.log import Asker, Disclosure
from hub.access.policy import REASON_AT_LEAST, Decision, Question, decide
from hub.clock import Clock
from hub.errors import NotAllowed
from hub.store.database import Database
from hub.vault import Keys

KIND = "record"

T = TypeVar("T")


def look(
    database: Database, keys: Keys, clock: Clock, asker: Asker, reason: str, shown: str, opener: Callable[[Session], T]
) -> Disclosure[T]:
    """What `opener` reads, released only after its entry is durable. `shown` says in the log which record it was.

    Raises NotAllowed without the role or a reason worth the name, LogUnavailable when the log cannot be written."""
    decision = decide(Question(asker.roles, KIND, reason=reason))
    if not decision.see:
        raise NotAllowed(
            f"say in at least {REASON_AT_LEAST} characters why the record must be seen: it stands in the log"
            if decision.basis == "no-reason"
            else "only an operator may see a record that could not be read"
        )
    return show(
        database,
        keys,
        clock,
        asker,
        KIND,
        decision,
        lambda session: (opener(session), [shown]),
        reason=reason.strip(),
        begin=database.begin,  # the machine's own account, which may name anybody: no page reads quarantine
    )


def show(
    database: Database,
    keys: Keys,
    clock: Clock,
    asker: Asker,
    kind: str,
    decision: Decision,
    opener: Callable[[Session], tuple[T, Sequence[str]]],
    *,
    reason: str | None = None,
    begin: Callable[[], AbstractContextManager[Session]] | None = None,
) -> Disclosure[T]:
    """What `opener` reads, released only after its entry is durable. It gives the value, and codes of what is shown.
    `begin` as of hub.access.duty.

    Raises NotAllowed when the decision is no, LogUnavailable when the log cannot be written."""
    if not decision.see:
        raise NotAllowed("this is not yours to see")

    def found(session: Session) -> duty.Found[T]:
        value, shown = opener(session)
        return duty.Found(value, None, None, shown, decision.basis)

    look = duty.look(database, keys, clock, asker, kind, found, kind=kind, said={"reason": reason}, begin=begin)
    return cast("Disclosure[T]", look)  # `found` never says no
