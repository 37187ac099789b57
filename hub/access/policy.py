"""Who may see what, and why: one pure function over one table, no I/O.

`RULES` is the whole of it: what stands in no row is no. A row gives what it gives to whoever fulfils all of it, so that
one more role, relation, consent or switch never shows less. A block beats every row but those of the family itself and
of the auditor's view of the log; a plugin's no to a lookup beats them all. docs/access.md is made from this table.
"""

from __future__ import annotations

from collections.abc import Set
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

Role = Literal["staff", "coordinator", "leader", "auditor", "operator", "guardian", "young", "system", "source"]
ROLES: dict[Role, str] = {
    "staff": "a member of staff of an administration",
    "coordinator": "a coordinator, for their own families",
    "leader": "a team leader, for their own team",
    "auditor": "reads the access log, and not the children",
    "operator": "keeps the hub running: sources and counts, not people",
    "guardian": "somebody with custody, signed in as themselves",
    "young": "a young person from 15, signed in as themselves",
    "system": "the hub itself, where a rule and not a person acts",
    "source": "an administration's own system, with a token for its administration",
}

Relation = Literal[
    "case",
    "health-case",
    "elsewhere",
    "coordinator",
    "leads",
    "custody",
    "self",
    "office-task",
    "own-task",
    "known",
    "offered",
    "source",
    "health",
    "told",
]
RELATIONS: dict[Relation, str] = {
    "case": "their administration has an open case on the child",
    "health-case": "their administration, whose cases are health data, has an open case on the child",
    "elsewhere": "another administration has an open case on the child",
    "coordinator": "is the child's coordinator, or the substitute of one who is away",
    "leads": "leads the team of the child's coordinator, or of whoever looked",
    "custody": "has custody of the child today",
    "self": "is the child",
    "office-task": "a task about the child is their administration's",
    "own-task": "a task about the child is theirs as coordinator, or as the substitute of one who is away; also one of "
    "an administration that the family has closed for, and one that is nobody's",
    "known": "their administration has something open or applied for on the child",
    "offered": "is the coordinator offered to the family or whom it has, or the substitute of one who is away",
    "source": "reads an administration's system",
    "health": "reads the system of an administration whose cases are health data",
    "told": "has been told by a notice who the child's coordinator is",
}

Consent = Literal["accepted", "health"]
CONSENTS: dict[Consent, str] = {
    "accepted": "the family's yes: without it there is no coordinator to see",
    "health": "consent to the health data of that administration",
}

Switch = Literal["one_authority", "health_presence"]
SWITCHES: dict[Switch, str] = {
    "one_authority": "whether the municipality's administrations count as one authority (forvaltningsloven § 28)",
    "health_presence": "the ground on which it is read that a child has something open with health, before any consent",
}
"""What a lawyer can turn in `[access]` of the settings; each is off until then."""

BASES = {
    "case": "Din forvaltning har en åben sag om barnet",
    "one-authority": "En anden forvaltning har en åben sag om barnet, og kommunen regnes for én myndighed",
    "coordinator": "Du er barnets koordinator",
    "leads": "Du leder koordinatorens hold",
    "reason": "Skriftlig begrundelse; bliver gennemgået",
    "custody": "Forældremyndighed over barnet",
    "own": "Dine egne oplysninger",
    "duty": "En opgave om barnet er din eller din forvaltnings",
    "registration": "Familiens svar skal skrives ned",
    "audit": "Kontrol af loggen",
    "review": "Gennemgang af et opslag med begrundelse",
    "retention": "Opbevaringstiden er gået",
    "operations": "Drift",
    "match": "Om barnet har noget i to forvaltninger",
    "scheme": "Familien har sagt ja tak",
    "notice": "Sagens rådgiver får besked om barnets koordinator",
    "ended": "En tidligere besked om koordinatoren gælder ikke længere",
    "journal": "Forvaltningen journaliserer sin del af et brev",
    "no-reason": "Ingen sag og ingen begrundelse",
    "no-relation": "Ikke barnets familie eller hold",
    "no-assignment": "Ingen koordinator at vise",
    "no-consent": "Intet samtykke til helbredsoplysninger",
    "no-purpose": "Formålet er ikke på listen",
    "no-role": "Rollen må ikke slå op",
    "no-ground": "Kommunen har ikke slået denne adgang til",
    "blocked": "Familien har lukket for forvaltningen",
    "narrowed": "Kommunens egne regler siger nej",
    "pace": "Så mange børn på en time, at der skal en grund til eller ventes",
    "unreadable": "Oplysningen kunne ikke åbnes",
}
"""The codes that stand in the log, of a yes and of a no, and what families read."""

LOOKUP = frozenset(PURPOSES)
_STAFF: frozenset[Role] = frozenset({"staff", "coordinator", "leader"})
_TASK = "databeskyttelsesforordningen art. 6(1)(e) and 9(2)*"
_ANSWERABLE = "databeskyttelsesforordningen art. 5(2) and 32"
_WORKERS: frozenset[Role] = frozenset({"staff", "coordinator"})
_DUTY = f"{_TASK}; of what a family asks art. 12(3), 16 and 21; of deadlines retssikkerhedsloven § 3"
_TELLS = f"{_TASK}; barnets lov; forvaltningsloven § 28"
_JOURNAL = f"{_TASK}; offentlighedsloven § 15"
_TELLING: frozenset[Role] = frozenset({"staff", "source"})
_ANSWER = f"{_TASK}; forvaltningsloven § 7: an answer may come by phone, paper or in a meeting"


@dataclass(frozen=True, slots=True)
class Rule:
    """One row: who may see, and why. `purposes`: one is asked for. `needs`: consents, all of them. `despite_block`: a
    block does not close it. `review`: the look is put before a leader. `switch`: off until a lawyer turns it on."""

    roles: frozenset[Role]
    relation: Relation | None
    purposes: frozenset[str]
    basis: str
    law: str
    needs: frozenset[Consent] = frozenset()
    reason: bool = False
    despite_block: bool = False
    review: bool = False
    switch: Switch | None = None


_YES: frozenset[Consent] = frozenset({"accepted"})
_HEALTH: frozenset[Consent] = frozenset({"accepted", "health"})

RULES: tuple[Rule, ...] = (
    Rule(frozenset({"coordinator"}), "coordinator", LOOKUP, "coordinator", f"{_TASK}; barnets lov", _YES),
    Rule(frozenset({"leader"}), "leads", LOOKUP, "leads", _TASK, _YES),
    Rule(_STAFF, "case", LOOKUP, "case", f"{_TASK}; barnets lov; forvaltningsloven § 28", _YES),
    Rule(
        _STAFF,
        "health-case",
        LOOKUP,
        "case",
        "databeskyttelsesforordningen art. 6(1)(e) and 9(2)(a); forvaltningsloven § 28",
        _HEALTH,
    ),
    Rule(
        _STAFF,
        "elsewhere",
        LOOKUP,
        "one-authority",
        f"{_TASK}; forvaltningsloven § 28 does not apply within one authority",
        _YES,
        switch="one_authority",
    ),
    Rule(_STAFF, None, LOOKUP, "reason", f"{_TASK}; forvaltningsloven § 28", _YES, reason=True, review=True),
    Rule(
        frozenset({"guardian"}),
        "custody",
        frozenset({"own"}),
        "custody",
        "databeskyttelsesforordningen art. 15; the custody that CPR shows",
        despite_block=True,
    ),
    Rule(
        frozenset({"young"}),
        "self",
        frozenset({"own"}),
        "own",
        "databeskyttelsesforordningen art. 15; from 15 as lov om Digital Post § 3 has it",
        despite_block=True,
    ),
    Rule(_WORKERS, "office-task", frozenset({"task"}), "duty", _DUTY),
    Rule(frozenset({"coordinator"}), "own-task", frozenset({"task"}), "duty", _DUTY),
    Rule(_WORKERS, "known", frozenset({"registration"}), "registration", _ANSWER),
    Rule(frozenset({"coordinator"}), "offered", frozenset({"registration"}), "registration", _ANSWER),
    Rule(_TELLING, "case", frozenset({"notice"}), "notice", _TELLS, _YES),
    Rule(
        _TELLING,
        "health-case",
        frozenset({"notice"}),
        "notice",
        "databeskyttelsesforordningen art. 6(1)(e) and 9(2)(a); forvaltningsloven § 28",
        _HEALTH,
    ),
    Rule(_TELLING, "told", frozenset({"notice"}), "ended", f"{_TASK}; art. 5(1)(d): what was told is put right"),
    Rule(frozenset({"source"}), "case", frozenset({"journal"}), "journal", _JOURNAL, _YES),
    Rule(
        frozenset({"source"}),
        "health-case",
        frozenset({"journal"}),
        "journal",
        "databeskyttelsesforordningen art. 6(1)(e) and 9(2)(a); offentlighedsloven § 15",
        _HEALTH,
    ),
    Rule(frozenset({"auditor"}), None, frozenset({"log"}), "audit", _ANSWERABLE, despite_block=True),
    Rule(frozenset({"auditor"}), None, frozenset({"review"}), "review", _ANSWERABLE, despite_block=True),
    Rule(frozenset({"leader"}), "leads", frozenset({"review"}), "review", _ANSWERABLE),
    Rule(
        frozenset({"leader", "auditor"}),
        None,
        frozenset({"forget"}),
        "retention",
        "databeskyttelsesforordningen art. 5(1)(e); arkivloven § 8; nobody is named",
    ),
    Rule(frozenset({"operator"}), None, frozenset({"health"}), "operations", f"{_ANSWERABLE}; nobody is named"),
    Rule(
        frozenset({"operator"}),
        None,
        frozenset({"record"}),
        "operations",
        f"{_ANSWERABLE}; a record that cannot be read may name anybody",
        reason=True,
    ),
    Rule(
        frozenset({"operator"}),
        None,
        frozenset({"template"}),
        "operations",
        f"{_ANSWERABLE}; nobody is named, and whoever drafts a text is not who approves it",
    ),
    Rule(frozenset({"system"}), "source", frozenset({"presence"}), "match", f"{_TASK}; barnets lov"),
    Rule(
        frozenset({"system"}),
        "health",
        frozenset({"presence"}),
        "match",
        "the ground that the setting names",
        switch="health_presence",
    ),
    Rule(frozenset({"system"}), "source", frozenset({"cases"}), "scheme", f"{_TASK}; barnets lov", _YES),
    Rule(
        frozenset({"system"}),
        "health",
        frozenset({"cases"}),
        "scheme",
        "databeskyttelsesforordningen art. 6(1)(e) and 9(2)(a)",
        _HEALTH,
    ),
)


@dataclass(frozen=True, slots=True)
class Question:
    """What the policy is asked: who, in which relations, for what, and what the family has said.

    Roles, purposes and consents that are on no list are as if they were not there."""

    roles: Set[str]
    purpose: str
    relations: Set[Relation] = frozenset()
    consents: Set[Consent] = frozenset()
    reason: str | None = None
    blocked: bool = False
    """The family has closed for the administration that asks."""
    narrowed: bool = False
    """A plugin says no."""


@dataclass(frozen=True, slots=True)
class Decision:
    see: bool
    basis: str
    """The code that stands in the log."""
    review: bool = False


_GAPS = ("no-role", "no-purpose", "no-relation", "no-ground", "no-assignment", "no-consent", "blocked", "no-reason")
"""Why a row does not give, in the order in which it is looked at. Of several rows the one that came furthest counts."""


def decide(question: Question, switches: Set[str] = frozenset()) -> Decision:
    """See or not, and the basis that is logged: of the first row that gives, else why the nearest does not. `switches`
    are those the settings have turned on."""
    if question.narrowed:
        return Decision(False, "narrowed")
    nearest = 0
    for rule in RULES:
        gap = _gap(rule, question, switches)
        if gap is None:
            return Decision(True, rule.basis, rule.review)
        nearest = max(nearest, _GAPS.index(gap))
    return Decision(False, _GAPS[nearest])


def _gap(rule: Rule, question: Question, switches: Set[str]) -> str | None:
    """What is missing, first things first."""
    if rule.roles.isdisjoint(question.roles):
        return "no-role"
    if question.purpose not in rule.purposes:
        return "no-purpose"
    if rule.relation is not None and rule.relation not in question.relations:
        return "no-relation"
    if rule.switch is not None and rule.switch not in switches:
        return "no-ground"
    if not rule.needs <= question.consents:
        return "no-consent" if "accepted" in question.consents else "no-assignment"
    if question.blocked and not rule.despite_block:
        return "blocked"
    if rule.reason and len((question.reason or "").strip()) < REASON_AT_LEAST:
        return "no-reason"
    return None
