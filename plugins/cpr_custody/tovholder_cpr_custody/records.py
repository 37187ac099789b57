"""What CPR's answers about a child and its guardians come to as records."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import date

import hub
from tovholder_cpr_custody.person import Custody, Person
from tovholder_cpr_custody.wire import Answer

_MOST_NUMBERS = 4
"""How many numbers of one person are followed; more is an error in the register."""


def current(number: str, answers: Mapping[str, Answer]) -> Answer:
    """What holds for the person who is asked for by this number: the answer about the number they have now."""
    seen: list[str] = []
    at = number
    while len(seen) < _MOST_NUMBERS and at not in seen:
        found = answers.get(at)
        if not isinstance(found, Person):
            if found is None and seen:
                return hub.Unreadable("", "CPR does not know the number that it says a person has now")
            return found
        if found.current == at:
            return found
        seen.append(at)
        at = found.current
    return hub.Unreadable("", "CPR says by turns that each of two numbers is the one that holds: look in CPR")


def new_number(answer: Answer) -> list[str]:
    """The other number that a person has now, if there is one."""
    return [answer.current] if isinstance(answer, Person) and answer.current != answer.number else []


def holders(child: Answer) -> list[str]:
    """Whom to look up: each holder once, in the order CPR gives them."""
    if not isinstance(child, Person):
        return []
    return list(dict.fromkeys(custody.holder for custody in child.custody if custody.holder is not None))


def person(number: str, answers: Mapping[str, Answer], place: int) -> hub.Record:
    """The person asked for by this number, alone. `place` says which of those asked for it was."""
    found = current(number, answers)
    if isinstance(found, Person):
        return hub.PersonRecord(_id("person", number), number, found.number, found.name, found.protected, found.dead)
    position = f"person {place} of those asked for"
    if found is None:
        return hub.Unreadable(position, "CPR does not know this number", number.encode(), cpr=number)
    return hub.Unreadable(position, found.reason, found.raw or number.encode(), cpr=number)


def custodies(number: str, answers: Mapping[str, Answer], place: int) -> list[hub.Record]:
    """A child and all who have custody of it. Custody nobody can be written to about is Unreadable."""
    records = [person(number, answers, place)]
    child = current(number, answers)
    if not isinstance(child, Person):
        return records
    position = f"person {place} of those asked for"
    if any(custody.holder is None for custody in child.custody):
        reason = "custody is held by somebody for whom CPR gives no number"
        records.append(hub.Unreadable(position, reason, number.encode(), cpr=number))
    # One holder may stand there by a former and by the present number.
    by_now: dict[str, list[Custody]] = {}
    for nth, holder in enumerate(holders(child), start=1):
        found = current(holder, answers)
        if isinstance(found, Person):
            by_now.setdefault(found.number, []).extend(each for each in child.custody if each.holder == holder)
            continue
        reason = "CPR does not know the number of a custody holder" if found is None else f"a holder: {found.reason}"
        raw = b"" if found is None else found.raw
        records.append(hub.Unreadable(f"{position}, holder {nth}", reason, raw or number.encode(), cpr=number))
    for holder, spans in by_now.items():
        guardian = current(holder, answers)
        if isinstance(guardian, Person):
            records += _guardian(number, guardian, _merged(spans))
    return records


def _merged(spans: list[Custody]) -> Custody:
    """CPR keeps ended custody: of several with one person the one that lasts counts, else the one that ended last."""
    return max(spans, key=lambda span: (span.until is None, span.until or date.min, span.since or date.min))


def _guardian(number: str, guardian: Person, custody: Custody) -> list[hub.Record]:
    """Whoever is dead has no custody after that day; none that is told of when CPR gives no day."""
    until = custody.until
    if guardian.dead:
        if guardian.died is None:
            return []
        until = guardian.died if until is None else min(until, guardian.died)
    return [
        hub.GuardianRecord(
            source_id=_id(number, guardian.number),
            child_cpr=number,
            guardian_cpr=guardian.number,
            guardian_name=guardian.name,
            since=custody.since,
            until=until,
            protected=guardian.protected,
            digital_post=guardian.digital_post,
        )
    ]


def _id(*parts: str) -> str:
    """Not a number in the clear even here; the hub keeps only a keyed digest of it."""
    return hashlib.sha256("/".join(parts).encode()).hexdigest()
