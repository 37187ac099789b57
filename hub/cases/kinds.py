"""What can happen that a family is to hear of: one table, and every rule about a kind of event reads it.

`python -m hub.cases.kinds > docs/events.md` writes the page. The order of the table is the order inside a letter: what
the reader must do first stands first.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from types import MappingProxyType
from typing import Literal

from hub.cases.deadlines import is_working_day
from hub.clock import DENMARK

LETTERS_LEAVE = time(8, 0)
"""When letters leave in the morning (Danish time)."""

Do = Literal["answer", "act", "call another", "note the date", "read"]
"""What the reader must do, the most pressing first."""
Latest = Callable[[date], datetime]
"""From the event's own date to the last moment at which its letter may leave."""


def before(day: date) -> datetime:
    """In the morning of the last working day before a date: a letter that leaves then is there in time."""
    day -= timedelta(days=1)
    while not is_working_day(day):
        day -= timedelta(days=1)
    return datetime.combine(day, LETTERS_LEAVE, DENMARK)


@dataclass(frozen=True, slots=True)
class EventKind:
    """A kind of event. `name` is for staff (Danish, English). `letter` is the kind of letter it opens, by its code in
    hub.letters.content, when nothing more important is told with it."""

    code: str
    name: tuple[str, str]
    letter: str
    do: Do = "read"
    waits: int | None = None
    """How long it waits for others (working days); None: the window of the settings."""
    urgent: bool = False
    """Neither quiet hours nor the number of letters a week hold it up."""
    latest: Latest | None = None
    """Its letter leaves no later, whatever else would have it wait."""
    unpleasant: bool = False
    """Does not arrive on Friday afternoon or before a day off, unless urgent."""
    owed: str | None = None
    """The rule by which somebody must tell the family. Where the hub cannot, the administration must."""
    by_source: bool | None = None
    """For news of a source: whether the source sends its own letter where nothing else was agreed. None: no source
    could."""
    reveals_place: bool = False
    """Can tell where the child lives: not told where anybody of the family is protected."""
    about: Literal["offer", "scheme", "case", "answer", "end"] = "case"
    """What must still be there for it to be told: an open offer; a coordinator; a coordinator and the case; nothing,
    since it tells the reader what they are said to have answered; nothing, since it tells that the scheme has ended."""


Spoke = Literal["for_reader", "by_reader"]
"""In a letter about an answer that a representative gave: the reader is who it was given for, or who gave it."""

OFFERED = "offered"
ASSIGNED = "assigned"
COORDINATOR_SUBSTITUTE = "coordinator_substitute"
COORDINATOR_BACK = "coordinator_back"
COORDINATOR_CHANGED = "coordinator_changed"
COORDINATOR_HANDED_OVER = "coordinator_handed_over"
APPLIED = "applied"
CASE_OPENED = "case_opened"
DECIDED = "decided"
CASE_CLOSED = "case_closed"
ADVISER_CHANGED = "adviser_changed"
DEADLINE_SET = "deadline_set"
DEADLINE_MOVED = "deadline_moved"
DEADLINE_POSTPONED = "deadline_postponed"
DEADLINE_NEAR = "deadline_near"
DEADLINE_AT_HAND = "deadline_at_hand"
DEADLINE_UNKEPT = "deadline_unkept"
DEADLINE_PASSED = "deadline_passed"
YES_GIVEN = "yes_given"
NO_GIVEN = "no_given"
CONSENT_GIVEN = "consent_given"
CONSENT_WITHDRAWN = "consent_withdrawn"
OFFICE_CLOSED = "office_closed"
OFFICE_OPENED = "office_opened"
OBJECTED = "objected"
YES_WITHDRAWN = "yes_withdrawn"
YES_ENDED = "yes_ended"
SCHEME_ENDED = "scheme_ended"
MOVED_AWAY = "moved_away"
TURNS_15 = "turns_15"
TURNS_16 = "turns_16"
TURNS_17_HALF = "turns_17_half"
TURNS_18 = "turns_18"

_LIMIT = "retssikkerhedsloven § 3, stk. 2"
_RECEIPT = "god forvaltningsskik: an application is acknowledged"

_TABLE = (
    EventKind(
        OFFERED,
        ("Tilbud om en koordinator", "Offer of a coordinator"),
        "introduction",
        "answer",
        waits=0,
        about="offer",
    ),
    EventKind(
        DEADLINE_UNKEPT,
        ("Svaret kommer ikke til tiden, og der er ingen ny dato", "No answer in time, and no new date"),
        "overdue",
        "act",
        waits=0,
        urgent=True,
        latest=before,
        unpleasant=True,
        owed=_LIMIT,
        by_source=True,
    ),
    EventKind(
        DEADLINE_PASSED,
        ("En frist er overskredet", "A deadline has passed"),
        "overdue",
        "act",
        waits=1,
        unpleasant=True,
        owed=_LIMIT,
        by_source=True,
    ),
    EventKind(
        TURNS_18,
        ("Barnet bliver 18 år", "The child turns 18"),
        "transition",
        "act",
        latest=before,
        about="scheme",
    ),
    EventKind(
        TURNS_15,
        ("Barnet bliver 15 år", "The child turns 15"),
        "transition",
        "act",
        latest=before,
        about="scheme",
    ),
    EventKind(
        ASSIGNED, ("Koordinator tildelt", "Coordinator assigned"), "receipt", "call another", waits=1, about="scheme"
    ),
    EventKind(
        COORDINATOR_CHANGED,
        ("Ny koordinator", "Another coordinator"),
        "coordinator",
        "call another",
        about="scheme",
    ),
    EventKind(
        COORDINATOR_HANDED_OVER,
        ("Koordinatoren har givet familien videre", "The coordinator has handed the family over"),
        "coordinator",
        "call another",
        about="scheme",
    ),
    EventKind(
        COORDINATOR_SUBSTITUTE,
        ("Koordinatoren er væk og har en afløser", "The coordinator is away and has a substitute"),
        "coordinator",
        "call another",
        waits=1,
        about="scheme",
    ),
    EventKind(
        COORDINATOR_BACK,
        ("Koordinatoren er tilbage", "The coordinator is back"),
        "coordinator",
        "call another",
        about="scheme",
    ),
    EventKind(
        DEADLINE_POSTPONED,
        ("En frist er rykket til en senere dag", "A deadline has been put off"),
        "overdue",
        "note the date",
        latest=before,
        unpleasant=True,
        owed=_LIMIT,
        by_source=True,
    ),
    EventKind(
        DEADLINE_AT_HAND,
        ("En frist er meget tæt på", "A deadline is at hand"),
        "deadlines",
        "note the date",
        waits=2,
        latest=before,
        by_source=True,
    ),
    EventKind(
        DEADLINE_NEAR,
        ("En frist er tæt på", "A deadline is near"),
        "deadlines",
        "note the date",
        waits=1,
        latest=before,
        by_source=True,
    ),
    EventKind(
        DEADLINE_MOVED,
        ("En frist er rykket til en tidligere dag", "A deadline has been moved forward"),
        "deadlines",
        "note the date",
        by_source=True,
    ),
    EventKind(DEADLINE_SET, ("Der er sat en frist", "A deadline is set"), "deadlines", "note the date", by_source=True),
    EventKind(DECIDED, ("Afgørelse sendt", "Decision sent"), "deadlines", unpleasant=True, by_source=True),
    EventKind(APPLIED, ("Ansøgning modtaget", "Application received"), "deadlines", owed=_RECEIPT, by_source=True),
    EventKind(CASE_OPENED, ("Sag åbnet", "Case opened"), "deadlines", by_source=False),
    EventKind(CASE_CLOSED, ("Sag lukket", "Case closed"), "deadlines", unpleasant=True, by_source=False),
    EventKind(ADVISER_CHANGED, ("Ny sagsbehandler", "Another adviser"), "deadlines", by_source=False),
    EventKind(TURNS_16, ("Barnet er fyldt 16 år", "The child is 16"), "transition", about="scheme"),
    EventKind(TURNS_17_HALF, ("Barnet er 17½ år", "The child is 17½"), "transition", about="scheme"),
    EventKind(YES_GIVEN, ("Et ja er skrevet ned", "A yes was written down"), "withdrawn", about="answer"),
    EventKind(NO_GIVEN, ("Et nej er skrevet ned", "A no was written down"), "withdrawn", about="answer"),
    EventKind(CONSENT_GIVEN, ("Samtykke givet", "Consent given"), "withdrawn", about="answer"),
    EventKind(CONSENT_WITHDRAWN, ("Samtykke trukket tilbage", "Consent withdrawn"), "withdrawn", about="answer"),
    EventKind(
        OFFICE_CLOSED, ("Lukket for en forvaltning", "Closed for an administration"), "withdrawn", about="answer"
    ),
    EventKind(OFFICE_OPENED, ("Åbnet for en forvaltning", "Opened an administration"), "withdrawn", about="answer"),
    EventKind(OBJECTED, ("En indsigelse er skrevet ned", "An objection was written down"), "withdrawn", about="answer"),
    EventKind(
        YES_WITHDRAWN, ("Familien har trukket sit ja tilbage", "The family's yes withdrawn"), "withdrawn", about="end"
    ),
    EventKind(
        MOVED_AWAY,
        ("Barnet er flyttet til en anden kommune", "The child has moved to another municipality"),
        "goodbye",
        unpleasant=True,
        reveals_place=True,
        about="end",
    ),
    EventKind(
        YES_ENDED, ("Ja'et gælder ikke længere", "The yes holds no longer"), "goodbye", unpleasant=True, about="end"
    ),
    EventKind(SCHEME_ENDED, ("Ordningen er slut", "The scheme has ended"), "goodbye", unpleasant=True, about="end"),
)

KINDS: Mapping[str, EventKind] = MappingProxyType({kind.code: kind for kind in _TABLE})
"""Every kind of event, by its code, in the order in which a letter tells them."""
RANK: Mapping[str, int] = MappingProxyType({code: number for number, code in enumerate(KINDS)})
"""Where each kind stands in a letter."""
ANSWERS = frozenset(code for code, kind in KINDS.items() if kind.letter == "withdrawn")
"""What tells the reader an answer of their own. It is theirs alone: no other hears it in their place, and nothing that
ends meanwhile takes it from them, so that an answer they never gave is seen."""
OPENS = ("receipt", "introduction", "overdue", "transition", "coordinator", "goodbye", "withdrawn", "deadlines")
"""What a letter opens with when it tells several things: the first of these."""
TURNS: Mapping[str, tuple[int, int]] = MappingProxyType(
    {TURNS_15: (15, 0), TURNS_16: (16, 0), TURNS_17_HALF: (17, 6), TURNS_18: (18, 0)}
)
"""The age (years, months) of each step towards adult life."""

_BEGINNING = """\
# Events

Written by `python -m hub.cases.kinds > docs/events.md` from the table in `hub/cases/kinds.py`. Each event ends in
exactly one letter to each guardian whom it concerns, or with a recorded reason why not. The order is that inside a
letter.

- **waits**: working days in which it gathers others; *window* is `letters.window_working_days` of the settings.
- **at the latest**: the morning of the last working day before the event's own date (the deadline, the birthday; of a
  deadline that was put off, the date it had before). No later, whatever the window, quiet hours or the number of
  letters a week say.
- **urgent**: leaves at once, also in quiet hours and beyond the number of letters a week.
- **unpleasant**: not on Friday after 14, on the day before a day off, or on a day off (Danish time).
- **who sends**: what holds where `letters.agreements` says nothing. News that the source sends itself makes no letter
  of the hub's own; the next letter lists it.
- **owed**: what somebody must tell by a rule. What the hub should send and cannot (nobody with custody is known, the
  letter cannot be written or does not arrive) is the administration's task at once, owed or not.

What contradicts itself while it waits is told as what it came to (`hub/letters/fold.py`): a date that moved twice is
told once, what was near and then decided is decided, a substitute who came and went is nothing. What is folded away
says so: `folded into deadline_moved`.

```toml
[letters]
window_working_days = 3     # how long events wait for each other
most_a_week = 2             # letters to one person in seven days, unless urgent
warn_working_days = [10, 3] # before a deadline

[letters.agreements]        # by source (the adapter's name), and * for every source
sof = 2027-01-01            # the hub writes about all of its news from that day on
buf = "source"              # it goes on writing itself about everything
"*" = { decided = "source", deadline_unkept = 2027-01-01 }  # kind by kind
```
"""


def page() -> str:
    """The whole page."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield _BEGINNING
    heads = [
        "event",
        "code",
        "the reader must",
        "waits",
        "at the latest",
        "urgent",
        "unpleasant",
        "opens",
        "who sends",
        "owed",
        "place",
    ]
    yield f"| {' | '.join(heads)} |"
    yield "|---" * len(heads) + "|"
    for kind in KINDS.values():
        waits = "window" if kind.waits is None else "at once" if kind.waits == 0 else str(kind.waits)
        sends = "the hub" if not kind.by_source else "the source"
        cells = (
            kind.name[1],
            f"`{kind.code}`",
            kind.do,
            waits,
            "before the day" if kind.latest else "",
            "yes" if kind.urgent else "",
            "yes" if kind.unpleasant else "",
            kind.letter,
            sends,
            kind.owed or "",
            "reveals it: where somebody is protected, a task for the coordinator" if kind.reveals_place else "",
        )
        yield f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.stdout.write(page())
