"""KL's reports of social services (FFB): FHIR R4 bundles, one or more about a citizen, also bundles of bundles.

A case is a plan: a CarePlan that is not `basedOn` another one. What it gives are the CarePlans based on it; their codes
tell its kind. A ServiceRequest with no plan of its case number beside it is a case that is applied for. Conditions,
goals, observations and assessments are not looked at: they are what the case is about, and stay here.

Source: KL's implementation guide for FFB reporting (http://fhir.kl.dk/ffbreporting), and its examples.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import hub
from tovholder_sof_case.entry import DENMARK, Standing, bare_number, case_id

_CPR = "urn:oid:1.2.208.176.1.2"
_CASE_NUMBER = "municipalityCaseNumber"
_FOLLOW_UP = "follow-up-date-extension"
_PLAN = {
    "draft": hub.State.APPLIED,
    "active": hub.State.OPEN,
    "on-hold": hub.State.OPEN,
    "completed": hub.State.CLOSED,
    "revoked": hub.State.CLOSED,
}
_REQUEST = {**_PLAN, "draft": hub.State.APPLIED, "active": hub.State.APPLIED, "on-hold": hub.State.APPLIED}
_MISTAKE = "entered-in-error"
_DEEPEST = 5
"""How many bundles may stand in each other."""
ANY = "FFB"
"""The word under which all of a municipality's FFB cases can be listed, where a kind needs not be told."""


def is_bundle(value: Any) -> bool:
    return isinstance(value, Mapping) and value.get("resourceType") == "Bundle"


def made_at(bundle: Any) -> datetime | None:
    """When the newest in a bundle was made (UTC)."""
    times = [_moment(each.get("timestamp")) for each in _bundles(bundle)]
    return max((time for time in times if time is not None), default=None)


def cases_in(bundle: Any, today: date) -> Iterator[FfbCase]:
    """The cases in a bundle and those in it, in the order in which they were made."""
    found = list(_bundles(bundle))
    beginning = datetime.min.replace(tzinfo=UTC)
    for each in sorted(found, key=lambda each: _moment(each.get("timestamp")) or beginning):
        yield from _cases(_Report(each), today)


def _bundles(bundle: Any, depth: int = 0) -> Iterator[Mapping[str, Any]]:
    if not is_bundle(bundle):
        return
    if depth == _DEEPEST:
        raise hub.TryAgain(f"FHIR bundles nested deeper than {_DEEPEST}")
    yield bundle
    for entry in _list(bundle.get("entry")):
        if isinstance(entry, Mapping):
            yield from _bundles(entry.get("resource"), depth + 1)


class _Report:
    """The resources of one bundle, and what they refer to."""

    def __init__(self, bundle: Mapping[str, Any]) -> None:
        self.made = _moment(bundle.get("timestamp"))
        self.resources: list[Mapping[str, Any]] = []
        self._known: dict[str, Mapping[str, Any]] = {}
        for entry in _list(bundle.get("entry")):
            resource = entry.get("resource") if isinstance(entry, Mapping) else None
            if not isinstance(resource, Mapping) or is_bundle(resource):
                continue
            self.resources.append(resource)
            self._known[f"{resource.get('resourceType')}/{resource.get('id')}"] = resource
            if isinstance(entry.get("fullUrl"), str):
                self._known[entry["fullUrl"]] = resource

    def of_type(self, name: str) -> Iterator[Mapping[str, Any]]:
        return (each for each in self.resources if each.get("resourceType") == name)

    def find(self, reference: Any) -> Mapping[str, Any] | None:
        """What a Reference points at; absolute addresses by their end, versions left out."""
        target = reference.get("reference") if isinstance(reference, Mapping) else None
        if not isinstance(target, str):
            return None
        target = target.partition("/_history/")[0]
        return self._known.get(target) or self._known.get("/".join(target.split("/")[-2:]))


@dataclass(slots=True)
class FfbCase:
    """A plan with what is based on it, or a request."""

    resource: Mapping[str, Any]
    measures: list[Mapping[str, Any]]
    report: _Report
    today: date
    superseded: bool = False
    """Whether it is a request that has become a plan."""
    orphan: bool = False
    """Whether it is a measure whose plan does not stand in the same bundle."""

    @property
    def number(self) -> str | None:
        if self.orphan:
            raise hub.BadRecord("the plan that a CarePlan is based on does not stand in the same bundle")
        citizen = self.report.find(self.resource.get("subject"))
        if citizen is None:
            raise hub.BadRecord("whom it is about (subject) does not stand in the same bundle")
        for identifier in _list(citizen.get("identifier")):
            if isinstance(identifier, Mapping) and identifier.get("system") == _CPR:
                return bare_number(_text(identifier.get("value")))
        return None

    @property
    def words(self) -> Sequence[str]:
        codes = [code for each in self.measures for code in _activity_codes(each)]
        return (*codes, *_codes(self.resource.get("code")), ANY)

    @property
    def gone(self) -> bool:
        citizen = self.report.find(self.resource.get("subject"))
        erased = citizen is not None and citizen.get("active") is False
        return self.superseded or erased or self.resource.get("status") == _MISTAKE

    @property
    def hidden(self) -> bool:
        """Whether it is marked "very restricted" (v3-Confidentiality V)."""
        meta = self.resource.get("meta")
        labels = _list(meta.get("security")) if isinstance(meta, Mapping) else []
        return any(isinstance(each, Mapping) and each.get("code") == "V" for each in labels)

    def source_id(self, kind: str | None) -> str:
        number = _case_number(self.resource)
        if self.orphan:
            plan = next((_text(each.get("reference")) for each in _list(self.resource.get("basedOn"))
                         if isinstance(each, Mapping)), None)  # fmt: skip
            return case_id((plan or "").rpartition("/")[2])
        if self._is_request and number is not None:
            return case_id(f"{number}/request")
        return case_id(_text(self.resource.get("id")) or "")

    def standing(self) -> Standing:
        states = _REQUEST if self._is_request else _PLAN
        state = states.get(_text(self.resource.get("status")) or "")
        if state is None:
            raise hub.BadRecord("the status is none that a CarePlan or ServiceRequest has in FHIR R4")
        if self.resource.get("intent") == "proposal" and state is not hub.State.CLOSED:
            state = hub.State.APPLIED
        period = self.resource.get("period")
        period = period if isinstance(period, Mapping) else {}
        start, end = _day(period.get("start")), _day(period.get("end"))
        opened = start or _day(self.resource.get("authoredOn"))
        if state is hub.State.OPEN and end is not None and end < self.today:
            state = hub.State.CLOSED
        if state is hub.State.CLOSED:
            return Standing(state, opened=opened, closed=end, changed=self.report.made)
        until = None if end is None or state is not hub.State.OPEN else end + timedelta(days=1)
        if state is hub.State.OPEN and start is not None and start > self.today:
            state, until = hub.State.DECIDED, start
        return Standing(state, opened=opened, follow_up=self._follow_up(), changed=self.report.made, until=until)

    def skeleton(self) -> bytes:
        status = _text(self.resource.get("status")) or ""
        return json.dumps({"type": self.resource.get("resourceType"), "status": status[:40]}).encode()

    @property
    def _is_request(self) -> bool:
        return self.resource.get("resourceType") == "ServiceRequest"

    def _follow_up(self) -> date | None:
        """The first day of the planned Encounter that the plan points at."""
        for extension in _extensions(self.resource, _FOLLOW_UP):
            meeting = self.report.find(extension.get("valueReference"))
            period = meeting.get("period") if meeting is not None and meeting.get("status") == "planned" else None
            if isinstance(period, Mapping):
                return _day(period.get("start"))
        return None


def _cases(report: _Report, today: date) -> Iterator[FfbCase]:
    plans, measures = list[Mapping[str, Any]](), list[Mapping[str, Any]]()
    for each in report.of_type("CarePlan"):
        (measures if _list(each.get("basedOn")) else plans).append(each)
    numbers = {_case_number(plan) for plan in plans} - {None}
    for plan in plans:
        given = [each for each in measures if any(report.find(base) is plan for base in _list(each.get("basedOn")))]
        yield FfbCase(plan, [each for each in given if each.get("status") != _MISTAKE], report, today)
    for each in measures:
        if not any(report.find(base) is not None for base in _list(each.get("basedOn"))):
            yield FfbCase(each, [], report, today, orphan=True)
    for request in report.of_type("ServiceRequest"):
        yield FfbCase(request, [], report, today, superseded=_case_number(request) in numbers)
    # A request that this bundle does not repeat, and that was told from an earlier one.
    told = {_case_number(request) for request in report.of_type("ServiceRequest")}
    for plan in plans:
        number = _case_number(plan)
        if number is not None and number not in told:
            told.add(number)
            request = {"resourceType": "ServiceRequest", "extension": plan["extension"], "subject": plan.get("subject")}
            yield FfbCase(request, [], report, today, superseded=True)


def _case_number(resource: Mapping[str, Any]) -> str | None:
    for extension in _extensions(resource, _CASE_NUMBER):
        for inner in _list(extension.get("extension")):
            identifier = inner.get("valueIdentifier") if isinstance(inner, Mapping) else None
            if isinstance(identifier, Mapping) and (value := _text(identifier.get("value"))):
                return value
    return None


def _extensions(resource: Mapping[str, Any], ending: str) -> Iterator[Mapping[str, Any]]:
    """Those whose address ends so: each of KL's guides has an address of its own for them."""
    for each in _list(resource.get("extension")):
        if isinstance(each, Mapping) and (_text(each.get("url")) or "").casefold().endswith(ending.casefold()):
            yield each


def _activity_codes(plan: Mapping[str, Any]) -> Iterator[str]:
    for activity in _list(plan.get("activity")):
        detail = activity.get("detail") if isinstance(activity, Mapping) else None
        if isinstance(detail, Mapping):
            yield from _codes(detail.get("code"))


def _codes(concept: Any) -> Iterator[str]:
    for coding in _list(concept.get("coding")) if isinstance(concept, Mapping) else []:
        if isinstance(coding, Mapping) and (code := _text(coding.get("code"))):
            yield code


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _day(value: Any) -> date | None:
    """The Danish date of a FHIR dateTime; None for nothing, and for a year or a month alone."""
    text = _text(value)
    if text is None or len(text) < 10:
        return None
    try:
        found = datetime.fromisoformat(text)
        return (found.astimezone(DENMARK) if found.tzinfo else found).date()
    except (ValueError, OverflowError) as error:
        raise hub.BadRecord("a date is not of the form YYYY-MM-DD") from error


def _moment(value: Any) -> datetime | None:
    text = _text(value)
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
        return found.astimezone(UTC) if found.tzinfo else None
    except (ValueError, OverflowError):
        return None
