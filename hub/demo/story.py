"""What happens in the town's cases in the ten working days of the story."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta

from hub.contract import State
from hub.demo.cases import Cases, Draft, at_work
from hub.demo.families import Child
from hub.demo.kinds import CLUB, LISTED_BUF

SHARES = {
    "decided": 0.05,
    "several": 0.01,  # new people in two cases on one day
    "opened": 0.04,
    "adviser": 0.05,
    "closed": 0.02,
    "gone": 0.003,
    "concern": 0.007,  # a new case of a kind that must not be told
}
"""To what share of the children each thing happens; each child has at most one of them."""
_CONCERN = "27.24.00"


def working_days(start: date) -> list[date]:
    """The ten working days from `start` (a Monday without public holidays in its two weeks)."""
    return [start + timedelta(days=7 * week + day) for week in range(2) for day in range(5)]


def tell(cases: Cases, children: Sequence[Child]) -> None:
    """Adds what happens to the cases of `children`: each thing at least once where there are children enough."""
    left = list(children)
    cases.random.shuffle(left)
    days = working_days(cases.today)
    for thing, share in SHARES.items():
        wanted = max(round(share * len(children)), 1)
        rest: list[Child] = []
        for child in left:
            if wanted and _can(cases, child, thing):
                _happen(cases, child, thing, cases.random.choice(days))
                wanted -= 1
            else:
                rest.append(child)
        left = rest


def _active(cases: Cases, child: Child) -> list[Draft]:
    return [draft for draft in cases.drafts[child.cpr] if draft.listed and draft.active]


def _undecided(cases: Cases, child: Child) -> list[Draft]:
    return [draft for draft in _active(cases, child) if draft.last.state is State.APPLIED]


def _can(cases: Cases, child: Child, thing: str) -> bool:
    if thing == "decided":
        return bool(_undecided(cases, child))
    if thing == "opened":
        return child.place.group not in ((), ("BUF",))
    return len(_active(cases, child)) > (thing == "several")


def _happen(cases: Cases, child: Child, thing: str, day: date) -> None:
    random, active = cases.random, _active(cases, child)
    match thing:
        case "decided":
            # Granted help goes on; what was refused, or paid once, is only decided.
            draft = random.choice(_undecided(cases, child))
            adviser = draft.last.adviser or cases.adviser(child).uuid
            cases.write(draft, random.choice((State.OPEN, State.DECIDED, State.DECIDED)), adviser, day)
        case "several":
            active.sort(key=lambda draft: draft.administration)
            for draft in (active[0], active[-1]):
                _new_adviser(cases, draft, day)
        case "opened":
            _open(cases, child, day)
        case "adviser":
            _new_adviser(cases, random.choice(active), day)
        case "closed":
            draft = random.choice(active)
            cases.write(draft, State.CLOSED, draft.last.adviser, day)
        case "gone":
            draft = random.choice(active)
            draft.versions.append(replace(draft.last, changed=at_work(random, day), gone=True))
        case "concern":
            draft = Draft("SOF", _CONCERN, child.cpr, day, listed=False)
            cases.write(draft, State.APPLIED, random.choice(cases.staff.concerns).uuid, day)


def _new_adviser(cases: Cases, draft: Draft, day: date) -> None:
    others = [worker.uuid for worker in cases.pool(draft) if worker.uuid != draft.last.adviser]
    cases.write(draft, draft.last.state, cases.random.choice(others), day)


def _open(cases: Cases, child: Child, day: date) -> None:
    """A new case in an administration where the child has one already, so that nobody enters the target group."""
    groups = child.place.group
    has_club = any(LISTED_BUF[d.kind].name == CLUB for d in _active(cases, child) if d.administration == "BUF")
    where = cases.random.choice(groups)
    if where == "SUF":
        cases.care(child.cpr, day)
    elif where == "BUF" and not has_club and child.born.year + 10 <= day.year:
        cases.club(child, day)
    elif "SOF" in groups:
        draft = Draft("SOF", cases.kind(child), child.cpr, day)
        named = cases.random.random() < 0.5
        cases.write(draft, State.APPLIED, cases.adviser(child).uuid if named else None, day)
        later = [other for other in working_days(cases.today) if other > day]
        if not named and later:
            cases.write(draft, State.APPLIED, cases.adviser(child).uuid, later[min(2, len(later) - 1)])
