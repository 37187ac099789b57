"""A dry run: read everything a source gives and say what the hub would take, quarantine and ignore. Nothing is stored:
it needs no database, and has none. For whoever sets up a source that nobody has read before."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass, field
from functools import partial

from hub.cases import apart, sources
from hub.contract import Adapter, CaseRecord, Gone, GuardianRecord, Page, PersonRecord, Presence, Unreadable
from hub.errors import BadRecord, TovholderError
from hub.identity import parse
from hub.plugins import Plugins

EXAMPLES = 100
"""How many places are named, of those that could not be read."""


@dataclass(slots=True)
class Tried:
    """What one read of a source gave; counts of records."""

    pages: int = 0
    read: int = 0
    states: dict[str, int] = field(default_factory=dict)
    kinds: dict[str, int] = field(default_factory=dict)
    """By kind on the list. What is not on it never leaves the adapter, so only its number is known: `ignored`."""
    gone: int = 0
    ignored: int = 0
    not_asked: int = 0
    """About somebody the read was not for: the hub would not take them, and the adapter should not give them."""
    quarantined: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    places: list[dict[str, str]] = field(default_factory=list)
    """Where and why, of the first EXAMPLES."""
    whole: bool = False
    """Whether the read came to its end and said so."""
    failure: str | None = None

    def bad(self, position: str, reason: str) -> None:
        self.quarantined += 1
        self.reasons[reason] = self.reasons.get(reason, 0) + 1
        if len(self.places) < EXAMPLES:
            self.places.append({"position": position, "reason": reason})


@dataclass(slots=True)
class DryRun:
    """What a source would give: who is present (`presence`), and the cases or custodies of the children (`records`)."""

    source: str
    administration: str | None
    children: int = 0
    """How many children were asked about."""
    presence: Tried | None = None
    records: Tried | None = None

    @property
    def clean(self) -> bool:
        return all(
            tried is None or (tried.failure is None and not tried.quarantined and not tried.not_asked and tried.whole)
            for tried in (self.presence, self.records)
        )


def dry_run(plugins: Plugins, names: Iterable[str] = (), children: Set[str] = frozenset()) -> list[DryRun]:
    """Try the named sources (all when none is named), side by side. Their cases are asked for of every child they are
    present for, and of `children` (numbers); a source of custody is asked about those of all the others."""
    wanted = set(names) or set(plugins.adapters)
    asked = {name: adapter for name, adapter in plugins.adapters.items() if name in wanted}
    numbers = set(children)
    results = {name: DryRun(name, adapter.administration) for name, adapter in asked.items()}
    present = {name: adapter for name, adapter in asked.items() if adapter.administration is not None}
    of_each: dict[str, set[str]] = {name: set(numbers) for name in asked}

    def presences(name: str, adapter: Adapter) -> None:
        tried = results[name].presence = Tried()
        _read(tried, name, partial(adapter.presence, None), partial(_presence, tried, of_each[name]))

    def records(name: str, adapter: Adapter) -> None:
        mine = frozenset(of_each[name])
        results[name].children = len(mine)
        tried = results[name].records = Tried()
        _read(tried, name, partial(adapter.read, None, mine), partial(_record, tried, mine))

    _each(present, presences)
    for name in asked.keys() - present.keys():
        of_each[name].update(*of_each.values())
    _each(asked, records)
    return list(results.values())


def _each(adapters: dict[str, Adapter], act: Callable[[str, Adapter], None]) -> None:
    for _done in apart.side_by_side({name: partial(act, name, adapter) for name, adapter in adapters.items()}):
        pass


def _read(tried: Tried, name: str, ask: Callable[[], Iterable[Page]], take: Callable[[object, str], None]) -> None:
    try:
        for page in sources.pages(name, ask, ahead=True):
            tried.pages += 1
            tried.ignored += page.ignored
            tried.whole = page.complete
            for place, record in enumerate(page.records, 1):
                if isinstance(record, Unreadable):
                    tried.bad(record.position, record.reason)
                elif isinstance(record, Gone):
                    tried.gone += 1
                else:
                    take(record, f"page {tried.pages}, record {place}")
    except TovholderError as error:
        tried.failure = str(error)


def _presence(tried: Tried, numbers: set[str], record: object, position: str) -> None:
    if not isinstance(record, Presence):
        tried.not_asked += 1
    elif digits := _number(tried, record.cpr, position):
        _count(tried, tried.states, record.state.value)
        numbers.add(digits)


def _record(tried: Tried, children: Set[str], record: object, position: str) -> None:
    if isinstance(record, CaseRecord) and record.cpr in children:
        _count(tried, tried.states, record.state.value)
        tried.kinds[record.kind] = tried.kinds.get(record.kind, 0) + 1
    elif isinstance(record, GuardianRecord) and record.child_cpr in children:
        if _number(tried, record.guardian_cpr, position):
            _count(tried, tried.kinds, "custody")
    elif isinstance(record, PersonRecord) and record.cpr in children:
        _count(tried, tried.kinds, "person")
    else:
        tried.not_asked += 1


def _number(tried: Tried, given: str, position: str) -> str | None:
    """The number as the hub writes it; None, and why, where it is none that can be compared."""
    try:
        number = parse(given)
        if not number.matchable:
            raise BadRecord(f"a {number.kind} says nothing across systems; the source should give the CPR number")
    except BadRecord as error:
        tried.bad(position, str(error))
        return None
    return number.digits


def _count(tried: Tried, among: dict[str, int], what: str) -> None:
    tried.read += 1
    among[what] = among.get(what, 0) + 1
