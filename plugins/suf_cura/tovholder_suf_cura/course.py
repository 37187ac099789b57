"""A citizen's course: what all reports about it that have been read say together.

A report holds what has changed since the one before it (KL's Gateway guide: an unchanged plan is not in it), reports
come in no order, and a part with an id seen before takes the place of what was known of it. So what a plan's absence
from a report means is: nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime

import hub
from tovholder_suf_cura.fhir import DENMARK
from tovholder_suf_cura.parts import CONTACT, PLAN, REQUEST, VOID, Part
from tovholder_suf_cura.report import Report
from tovholder_suf_cura.settings import CARE

ENDED = {"completed", "revoked", VOID}
"""Of CarePlan.status and ServiceRequest.status; what else there is (draft, active, on-hold, unknown) is open."""
UNDER_WAY = {"arrived", "triaged", "in-progress", "onleave"}
"""Of Encounter.status."""
_PASSING = "urn:"


@dataclass(slots=True)
class Course:
    latest: Report
    parts: dict[tuple[str, str], tuple[datetime, Part]] = field(default_factory=dict)

    def take(self, report: Report) -> None:
        if report.time >= self.latest.time:
            self.latest = report
        for part in report.parts:
            known = self.parts.get((part.kind, part.id))
            if known is None or known[0] <= report.time:
                self.parts[part.kind, part.id] = (report.time, part)

    @property
    def changed(self) -> datetime:
        return self.latest.time

    def presence(self) -> hub.Presence | hub.Gone | None:
        """None when the reports say nothing of a course."""
        told = self.case()
        if isinstance(told, hub.CaseRecord) and told.state is not hub.State.CLOSED:
            return hub.Presence(told.source_id, told.cpr, told.state, self.changed)
        return None if told is None else hub.Gone(told.source_id, self.changed)

    def case(self) -> hub.CaseRecord | hub.Gone | None:
        """Open while a plan is, or a contact is under way or still to come; applied for while there is only a request;
        closed when plans (or requests alone) were and have ended, or the citizen has died; gone when it was a mistake,
        or was only contacts. None when there is nothing of it."""
        live = sorted(self._live(), key=lambda part: part.id)
        plans = [part for part in live if part.kind == PLAN]
        asked = [part for part in live if part.kind == REQUEST]
        going = [part for part in plans or asked if part.status not in ENDED]
        ahead = [part for part in live if part.kind == CONTACT and self._is_ahead(part)]
        source_id = self.latest.citizen
        if not self.latest.active or (self.parts and not plans and not asked and not ahead):
            return hub.Gone(source_id, self.changed)
        if not plans and not asked and not ahead:
            return None
        is_open = bool(going or ahead) and not self.latest.died
        begun = [part.begins[0] for part in plans or asked if part.begins is not None]
        return hub.CaseRecord(
            source_id=source_id,
            cpr=self.latest.cpr,
            kind=CARE,
            state=self._state(is_open, bool(plans or ahead)),
            opened=min(begun, default=None),
            closed=None if is_open else self._closed(plans or asked),
            follow_up=self._next(ahead) if is_open else None,
            adviser=self._adviser(going or plans or asked, ahead),
            changed=self.changed,
        )

    def _state(self, is_open: bool, granted: bool) -> hub.State:
        if not is_open:
            return hub.State.CLOSED
        return hub.State.OPEN if granted else hub.State.APPLIED

    def _live(self) -> Iterator[Part]:
        """What is no mistake. Parts that have no id, only a message's own address, are those of the latest message
        that has such: the next one calls them by another."""
        passing = max((time for time, part in self.parts.values() if part.id.startswith(_PASSING)), default=None)
        for time, part in self.parts.values():
            if part.status != VOID and (time == passing or not part.id.startswith(_PASSING)):
                yield part

    def merge(self, old: Course) -> None:
        """Take over what is known of one whose place this citizen has taken."""
        for key, (time, part) in old.parts.items():
            known = self.parts.get(key)
            if known is None or known[0] < time:
                self.parts[key] = (time, part)

    @property
    def _day(self) -> date:
        return self.changed.astimezone(DENMARK).date()

    def _closed(self, plans: list[Part]) -> date:
        """The last plan's end; of somebody who has died the plans' ends are what had been planned."""
        ends = [] if self.latest.died else [plan.ends for plan in plans if plan.ends is not None]
        return max(ends, default=self._day)

    def _is_ahead(self, part: Part) -> bool:
        """Nobody need report that a planned contact has taken place, so one before the latest report is over."""
        if part.status == "planned":
            return part.begins is None or part.begins[1] >= self._day
        return part.status in UNDER_WAY

    def _adviser(self, plans: list[Part], ahead: list[Part]) -> hub.StaffRecord | None:
        """The newest word on it, a plan's before a contact's."""
        for parts in (plans, ahead):
            named = [part for part in parts if part.adviser is not None]
            if named:
                return max(named, key=lambda part: self.parts[part.kind, part.id][0]).adviser
        return None

    def _next(self, ahead: list[Part]) -> date | None:
        """The next planned contact whose day is known: a month alone is no appointment. One of the report's own day
        that the report does not speak of has most likely just taken place, and counts only when there is no other."""
        days = [
            (first == self._day and self.parts[part.kind, part.id][0] < self.changed, first)
            for part in ahead
            if part.status == "planned" and part.begins is not None
            for first, last in [part.begins]
            if first == last
        ]
        return min(days)[1] if days else None
