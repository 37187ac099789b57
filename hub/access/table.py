"""The table of who may see what, as a page: `python -m hub.access.table > docs/access.md`."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from hub.access.policy import (
    BASES,
    CONSENTS,
    LOOKUP,
    PURPOSES,
    REASON_AT_LEAST,
    RELATIONS,
    ROLES,
    RULES,
    SWITCHES,
    Rule,
)
from hub.settings import Access

_HEAD = f"""# Who may see what, and why

This page is made from the table the program decides by (`RULES` in [hub/access/policy.py](../hub/access/policy.py));
a test fails when the two differ. It is made to be read, corrected and signed by the municipality's lawyer.

**What stands in no row is no.** Somebody sees when they fulfil all of one row; the first that gives is the basis that
is written in the access log, before anything is shown. No gives its basis there too, and one and the same answer
outside.

- **No yes, nothing to see.** A coordinator is assigned when the family says yes, and gone in the transaction in which
  it takes the yes back.
- **A closed administration sees nothing**, whatever else holds. Only rows marked *open* are not closed: the family's
  own view, and the auditor's view of the log. Somebody whose administration the hub does not know is shut out as soon
  as any is, unless they are the child's own coordinator.
- **A reason is at least {REASON_AT_LEAST} characters**, and such a look is put before the leader of whoever looked.
  After {Access().review_working_days} working days (a setting) it is late, and the auditor's.
- **A plugin (`narrow_access`) can take a lookup away, and give none.** About tasks, registrations and notices it is not
  asked.
- **Rows with a switch are no until a lawyer turns it on** in `[access]` of the settings.
"""

_PURPOSES = {
    "a lookup": "who the child's coordinator is, for one of: " + "; ".join(sorted(PURPOSES)),
    "own": "the family's own page: coordinator, cases, letters",
    "task": "a task opened: the child, who asks, what is to be done",
    "registration": "the names of those with custody, to write down an answer by phone, paper or in a meeting",
    "log": "the access log",
    "review": "a look with a reason, after it has happened",
    "forget": "how many whole cases may be forgotten; it takes two different people",
    "health": "whether systems answer; counts, no people",
    "record": "one record in quarantine, as it came",
    "template": "the letters' texts: to draft, approve and publish them",
    "notice": "who the child's coordinator is, told to the adviser of a case, with its id at its source",
    "journal": "what a letter says of the administration's own cases, for its case system to journalise",
    "presence": "that a child has something open or applied for, to compare administrations",
    "cases": "which cases a child has, who works on them and where they stand",
}


def page() -> str:
    """The whole page, in Markdown."""
    parts = [
        _HEAD,
        _table(
            "The table",
            (
                "Who",
                "Who must be",
                "For",
                "The family has given",
                "Reason",
                "Closed",
                "Basis in the log",
                "Law",
                "Switch",
            ),
            map(_row, RULES),
        ),
        "\\* Which letter of art. 9(2) each row leans on is for the municipality's lawyer to name before it is used.\n",
        _pairs("Who", ROLES.items()),
        _pairs("What they must be to the child", RELATIONS.items()),
        _pairs("For what", _PURPOSES.items()),
        _pairs("What the family has given", CONSENTS.items()),
        _pairs("Switches", ((f"`{name}`", f"{text}; off at first") for name, text in SWITCHES.items())),
        _pairs("What stands in the log, and what families read", ((f"`{code}`", text) for code, text in BASES.items())),
    ]
    return "\n".join(parts)


def _row(rule: Rule) -> tuple[str, ...]:
    purposes = {"a lookup"} if rule.purposes == LOOKUP else rule.purposes
    return (
        _some(rule.roles),
        rule.relation or "anybody",
        _some(purposes),
        _some(rule.needs) or "–",
        ("written, reviewed" if rule.review else "written") if rule.reason else "–",
        "open" if rule.despite_block else "closed",
        f"`{rule.basis}`",
        rule.law,
        f"`{rule.switch}`" if rule.switch else "–",
    )


def _some(words: Iterable[str]) -> str:
    return ", ".join(sorted(words))


def _table(title: str, head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(cells) + " |" for cells in (head, tuple("---" for _ in head), *rows)]
    return f"## {title}\n\n" + "\n".join(lines) + "\n"


def _pairs(title: str, pairs: Iterable[tuple[str, str]]) -> str:
    return _table(title, ("", "means"), pairs)


if __name__ == "__main__":
    sys.stdout.write(page())
