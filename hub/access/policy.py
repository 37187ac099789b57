"""Who may see who a child's coordinator is, and why: one pure function over a table, no I/O.

The first rules: staff of an administration that has an open case on the child may see, and the
case is the basis; other staff may see when they write a reason, and that is marked. Without a family's acceptance there
is no assignment, so there is nothing to see. Everything else is no.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PURPOSES = {
    "coordination": "Samordne hjælpen til barnet",
    "case": "Arbejde på barnets sag",
    "contact": "Få fat i koordinatoren",
}
"""What a lookup may be for: code and what families read."""

REASON_AT_LEAST = 10
"""Characters in a written reason: fewer say nothing."""

Relation = Literal["case", "none"]


@dataclass(frozen=True, slots=True)
class Question:
    """What the policy is asked: who by relation, for what, and what the family has said."""

    role: str
    relation: Relation
    purpose: str
    reason: str | None
    assigned: bool
    """Whether the child has an active assignment: there is none without the family's yes."""


@dataclass(frozen=True, slots=True)
class Decision:
    see: bool
    basis: str
    """The code that stands in the log."""


BASES = {
    "case": "Din forvaltning har en åben sag om barnet",
    "reason": "Skriftlig begrundelse; bliver gennemgået",
    "no-reason": "Ingen sag og ingen begrundelse",
    "no-assignment": "Ingen koordinator at vise",
    "no-purpose": "Formålet er ikke på listen",
    "no-role": "Rollen må ikke slå op",
    "unreadable": "Oplysningen kunne ikke åbnes",
}


def decide(question: Question) -> Decision:
    """See or not, and the basis that is logged."""
    if question.role not in ("staff", "coordinator"):
        return Decision(False, "no-role")
    if question.purpose not in PURPOSES:
        return Decision(False, "no-purpose")
    if not question.assigned:
        return Decision(False, "no-assignment")
    if question.relation == "case":
        return Decision(True, "case")
    if question.reason is not None and len(question.reason.strip()) >= REASON_AT_LEAST:
        return Decision(True, "reason")
    return Decision(False, "no-reason")
