"""The rules: what is forgotten, when, by which law, and who must have agreed. docs/data-protection.md says of each
table which of them empties it, and tests hold both against the database."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.orm import Session

from hub.context import Context
from hub.retention import people, rest, whole
from hub.settings import Retention

NOBODY = "nobody: the rule itself"
STORAGE = "GDPR art. 5(1)(e)"
ERASURE = f"{STORAGE} and 17(1)(a)"


@dataclass(frozen=True, slots=True)
class Rule:
    """`what` goes, `after` which time (its unit in the words; {} is the setting's value), of `tables`. `setting` is
    None where the time is the program's own. `agreed`: who must have said so first. `go` does it in one transaction and
    gives how many; None where people begin it."""

    name: str
    tables: tuple[str, ...]
    what: str
    after: str
    setting: str | None
    law: str
    go: Callable[[Context, Session], int] | None
    agreed: str = NOBODY

    def when(self, settings: Retention) -> str:
        """In words, with the value of a settings' section."""
        return self.after.format(getattr(settings, self.setting)) if self.setting else self.after


RULES: tuple[Rule, ...] = (
    Rule(
        "numbers",
        ("child", "former_number", "custody", "hears", "child_source"),
        "number and name of a child, who has custody and who else hears; the token and the answer stay, so that nobody "
        "is asked again",
        "{} days after a no, a withdrawal, an 18th birthday or a death, unless something about the child waits for "
        "somebody",
        "number_days",
        ERASURE,
        people.numbers,
    ),
    Rule(
        "left",
        ("child", "offer", "custody", "hears", "child_source", "former_number", "task"),
        "all of a child who was found and never written to; the key stays with the log",
        "{} days after leaving the target group",
        "left_days",
        ERASURE,
        people.left,
    ),
    Rule(
        "custody",
        ("custody", "hears"),
        "custody and mandates that have ended",
        "{} days after their end",
        "custody_days",
        STORAGE,
        people.custody,
    ),
    Rule(
        "guardians",
        ("guardian", "preference", "returned_mail"),
        "number and name of a guardian, and how they chose to be written to; the token stays, what they said and were "
        "told too",
        "the night after the last custody is forgotten ({} days after the end), unless something waits for them",
        "number_days",
        ERASURE,
        people.guardians,
    ),
    Rule("tasks", ("task",), "tasks that are done", "{} days after", "task_days", STORAGE, rest.tasks),
    Rule(
        "requests",
        ("rights_request", "task"),
        "what a family asked for, and the answer",
        "{} years after the answer",
        "case_years",
        f"{STORAGE}; art. 5(2): that it was answered must be shown",
        rest.requests,
    ),
    Rule(
        "statuses",
        ("delivery_status",),
        "statuses of letters that are none of the hub's",
        f"{rest.FOR_LOOKING_INTO.days} days",
        None,
        STORAGE,
        rest.statuses,
    ),
    Rule(
        "pointers",
        ("pointer",),
        "that it was said beside a letter, by e-mail or text message, that there is news",
        f"{rest.FOR_LOOKING_INTO.days} days",
        None,
        STORAGE,
        rest.pointers,
    ),
    Rule(
        "parts",
        ("letter_part",),
        "parts of letters that are journalised or go to nobody any more: what is left of them (their text went before)",
        "{} days after they were journalised, or after the letter",
        "task_days",
        STORAGE,
        rest.parts,
    ),
    Rule(
        "advisers",
        ("staff", "coordinator", "notice_choice", "person_key"),
        "advisers whom no case names, coordinators who are out and have no family; with their keys and choices",
        "{} days without use",
        "adviser_days",
        ERASURE,
        rest.advisers,
    ),
    Rule(
        "lookers",
        ("staff", "person_key"),
        "the key of a member of staff: who it was in entries of the log; the entries stay, and their proof",
        "{} years after the last entry",
        "log_years",
        f"{STORAGE}; art. 5(2) and 32 until then",
        rest.lookers,
    ),
    Rule(
        "days",
        ("rotating_key", "person_key"),
        "the key of a day: what was asked about nobody the hub knew; the entries stay, and their proof",
        "{} years",
        "log_years",
        f"{STORAGE}; art. 5(2) and 32 until then",
        rest.days,
    ),
    Rule(
        "strangers",
        ("person_key",),
        "the key of a child who was never written to",
        "{} years after the last entry about the child",
        "log_years",
        f"{STORAGE}; art. 5(2) and 32 until then",
        rest.strangers,
    ),
    Rule(
        "journals",
        (),
        "files of the journal",
        "as long as backups are kept ({} days; None: never)",
        "backup_days",
        STORAGE,
        rest.journals,
    ),
    Rule(
        "cases",
        whole.TABLES,
        "the whole case of a child: key, token, answers, events, the content of letters. A letter's hash and the "
        "entries of the log stay",
        "{} years after the end, and the log's years after the last entry about the child",
        "case_years",
        f"{ERASURE}; arkivloven § 8: by the archive decision in `retention.archive`",
        None,
        agreed="two different people (leader or auditor), after the letters are journalised",
    ),
)
