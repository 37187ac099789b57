"""A source and a channel in memory that keep the contract, for tests and for trying a plugin's neighbours.

What they say is what the test puts in; they fail, hang or contradict themselves only when told to. They hold numbers in
the clear, so they are for fictitious people only.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass, field
from datetime import datetime

from hub.contract import (
    CaseRecord,
    DeliveryStatus,
    Gone,
    GuardianRecord,
    Health,
    Letter,
    Mail,
    Page,
    PersonRecord,
    Presence,
    Recipient,
    Record,
    SendResult,
    Sent,
    Status,
    StatusPage,
    Unreadable,
)
from hub.errors import TryAgain


@dataclass(slots=True)
class _Feed:
    """The records of one list, in the order they were changed. A cursor is `all/FROM/AFTER` within a full read that
    began when there were FROM changes (what is taken away after that is told), else `new/AFTER`."""

    changes: list[tuple[str, Record]] = field(default_factory=list)

    def put(self, record: Record) -> None:
        name = record.source_id if record.source_id is not None else f"nameless {len(self.changes)}"
        self.changes.append((name or "", record))

    def pages(self, since: str | None, size: int, keep: Callable[[Record], bool | None]) -> Iterator[Page]:
        """`keep` says True (pass on), False (not asked for) or None (of a kind that is not listed: counted)."""
        kind, *numbers = (since or f"all/{len(self.changes)}/0").split("/")
        full = kind == "all"
        began, after = (int(numbers[0]), int(numbers[1])) if full else (0, int(numbers[0]))
        end = len(self.changes)
        last = {name: position for position, (name, _record) in enumerate(self.changes)}
        rest = [
            (position, record)
            for position, (name, record) in enumerate(self.changes)
            if position >= after
            and last[name] == position
            and not (full and position < began and isinstance(record, Gone))
        ]
        while True:
            here, rest = rest[:size], rest[size:]
            answers = [(keep(record), record) for _position, record in here]
            reached = here[-1][0] + 1 if rest else end
            yield Page(
                tuple(record for answer, record in answers if answer),
                f"all/{began}/{reached}" if full and rest else f"new/{reached}",
                complete=full and not rest,
                ignored=sum(answer is None for answer, _record in answers),
            )
            if not rest:
                return


class FakeSource:
    """An adapter whose source is this object. `kinds` None lists every kind of case."""

    def __init__(
        self, name: str, administration: str | None, *, kinds: Set[str] | None = None, page_size: int = 2
    ) -> None:
        self.name, self.administration, self.kinds, self.page_size = name, administration, kinds, page_size
        self.reads: Set[tuple[str, str]] = frozenset()
        self.fail_at: int | None = None
        """The page (from 0) at whose place `error` is raised; None: none."""
        self.error: BaseException = TryAgain("the source does not answer")
        self.asked: list[tuple[str | None, Set[str]]] = []
        """Each read of cases: cursor and children."""
        self.looked_up: list[Set[str]] = []
        """Each time persons were asked for alone."""
        self._presences, self._records = _Feed(), _Feed()

    def put(self, *records: Record) -> None:
        """Make or change records, each by its `source_id`."""
        for record in records:
            if isinstance(record, Presence):
                self._presences.put(record)
            elif isinstance(record, CaseRecord | GuardianRecord | PersonRecord):
                self._records.put(record)
            else:
                self._presences.put(record)
                self._records.put(record)

    def take_away(self, source_id: str, *, tombstone: bool = True) -> None:
        """Let a record go: with a tombstone, or so that only a complete read shows it."""
        if tombstone:
            self.put(Gone(source_id))
            return
        for feed in (self._presences, self._records):
            feed.changes = [(name, Gone(name) if name == source_id else record) for name, record in feed.changes]

    def presence(self, since: str | None) -> Iterator[Page]:
        yield from self._failing(self._presences.pages(since, self.page_size, lambda record: True))

    def read(self, since: str | None, children: Set[str]) -> Iterator[Page]:
        self.asked.append((since, children))

        def keep(record: Record) -> bool | None:
            if isinstance(record, PersonRecord) or (isinstance(record, Unreadable) and record.cpr is not None):
                return record.cpr in children
            if isinstance(record, CaseRecord):
                if self.kinds is not None and record.kind not in self.kinds:
                    return None
                return record.cpr in children
            return record.child_cpr in children if isinstance(record, GuardianRecord) else True

        yield from self._failing(self._records.pages(since, self.page_size, keep))

    def persons(self, numbers: Set[str]) -> Iterator[Page]:
        self.looked_up.append(numbers)
        about = self._records.pages(
            None, self.page_size, lambda record: isinstance(record, PersonRecord) and record.cpr in numbers
        )
        yield from self._failing(about)

    def _failing(self, pages: Iterator[Page]) -> Iterator[Page]:
        for number, page in enumerate(pages):
            if number == self.fail_at:
                raise self.error
            yield page

    def health(self) -> Health:
        return Health(ok=self.fail_at is None)


class FakeChannel:
    """A channel that remembers what it was given. `answers` are given first, in order (an exception is raised); when
    there are none left every letter is taken."""

    def __init__(self, name: str = "digital_post", *, knows_keys: bool = True) -> None:
        self.name, self.knows_keys = name, knows_keys
        self.out_of_reach: set[str] = set()
        """Numbers it does not reach."""
        self.answers: deque[SendResult | BaseException] = deque()
        self.tries: list[tuple[str, Letter]] = []
        """Every call of `send`: key and letter."""
        self.taken: dict[str, Letter] = {}
        """What the other side has, by key: a key it knows already is no second letter."""
        self.said: list[Status | Unreadable] = []
        self.page_size = 2

    def reaches(self, recipient: Recipient) -> bool:
        return recipient.cpr not in self.out_of_reach

    def send(self, letter: Letter, key: str) -> SendResult:
        self.tries.append((key, letter))
        answer = self.answers.popleft() if self.answers else Sent(f"transmission-{len(self.tries)}")
        if isinstance(answer, BaseException):
            raise answer
        if isinstance(answer, Sent):
            self.taken.setdefault(key, letter)
        return answer

    def say(self, key: str, status: DeliveryStatus, time: datetime, *, route: str | None = None) -> None:
        """Let the channel say what became of a letter."""
        self.said.append(Status(key, status, time, route))

    def statuses(self, since: str | None) -> Iterator[StatusPage]:
        start = int(since or 0)
        for first in range(start, len(self.said), self.page_size):
            last = min(first + self.page_size, len(self.said))
            yield StatusPage(tuple(self.said[first:last]), str(last))

    def health(self) -> Health:
        return Health(ok=True)


class Texting(FakeChannel):
    """A channel that carries text messages too."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[tuple[Recipient, str, str]] = []
        """Each call of `point`: to whom, the text, the key."""

    def point(self, recipient: Recipient, text: str, key: str) -> SendResult:
        self.texts.append((recipient, text, key))
        return Sent(key)


class FakeMailer:
    """A mailer that remembers what it was given. `answers` as with FakeChannel."""

    def __init__(self, name: str = "email") -> None:
        self.name = name
        self.answers: deque[SendResult | BaseException] = deque()
        self.mails: list[tuple[Mail, str]] = []
        """Every call of `send`: the mail and its key."""

    def send(self, mail: Mail, key: str) -> SendResult:
        self.mails.append((mail, key))
        answer = self.answers.popleft() if self.answers else Sent(key)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def health(self) -> Health:
        return Health(ok=True)
