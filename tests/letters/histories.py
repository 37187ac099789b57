"""Whatever happens, in whatever order, with crashes, retries, two workers and a clock that jumps: every event is in
exactly one letter or says why not, no letter is empty, each is in order, nobody hears of a child they have no custody
of and are not, and nothing unpleasant arrives in quiet hours.

A state machine of Hypothesis does to one town what sources, families, coordinators and operators do, by the product's
own functions on a real database. A few histories by default; 2,000 with the slow tests, in two files, which two
processes share; and as many longer ones with the long tests.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise
from typing import Any, ClassVar
from uuid import UUID, uuid4

import hypothesis
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert

from hub import Later, NotAllowed, State, TryAgain, consents, family, faults
from hub.cases import agreements, changes, events, hearing, holders, intake, kinds, reminders, transition
from hub.cases.kinds import KINDS
from hub.clock import today
from hub.context import Context
from hub.coordination import cover
from hub.letters import holding
from hub.letters.compose import compose_due
from hub.letters.content import NEWS, LetterContent
from hub.letters.delivery import deliver
from hub.letters.frozen import open_content
from hub.letters.render import Rendered
from hub.letters.templates import Templates
from hub.plugins import Plugins
from hub.store import tables
from hub.store.database import Database
from hub.store.people import open_key
from hub.vault import seal_json, unseal_json
from tests.letters.kept_town import EMIL, FATHER, GROWING, KARLA, MOTHER, OFFERED, UNCLE, KeptTown, light

pytestmark = pytest.mark.slow

DEADLINES = [date(2026, 11, 3), date(2026, 11, 6), date(2026, 11, 17), date(2026, 12, 1), date(2027, 1, 15)]
JUMPS = [timedelta(hours=h) for h in (1, 6, 24, 31, 24 * 3, 24 * 8, -2, -26, -24 * 10)]
TEMPLATES = Templates()


class Crash(BaseException):
    """A process that ends here, as by kill -9: what it had not committed is gone."""


class Moments(threading.local):
    """At which point of the program this thread dies."""

    at: str | None = None

    def point(self, name: str) -> None:
        if name == self.at:
            self.at = None
            raise Crash(name)


MOMENTS = Moments()


class Sends:
    """The town's channel, which notes what it was given since somebody looked."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.name = inner.name
        self.given: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def send(self, letter: Any, key: str) -> Any:
        self.given.add(key)
        return self.inner.send(letter, key)


class Histories(RuleBasedStateMachine):
    town: ClassVar[KeptTown]
    ctx: Context
    listed: ClassVar[str] = "buf"
    """The source that goes on writing itself in half of the histories."""
    half: ClassVar[bool | None] = None
    """In which half these are; None: in either."""

    @initialize(by_source=st.booleans(), most=st.integers(1, 3))
    def begin(self, by_source: bool, most: int) -> None:
        by_source = by_source if self.half is None else self.half
        town = self.town
        town.back()
        world, self.clock = town.world, town.clock
        self.channel = Sends(world.channel)
        agreed: dict[str, Any] = {"*": date(2026, 1, 1)} | ({self.listed: "source"} if by_source else {})
        letters = town.ctx.settings.letters.model_copy(update={"agreements": agreed, "most_a_week": most})
        plugins: Plugins = replace(town.ctx.plugins, channels={world.channel.name: self.channel})
        settings = town.ctx.settings.model_copy(update={"letters": letters})
        self.ctx = replace(town.ctx, settings=settings, plugins=plugins)
        self.database: Database = self.ctx.database
        self.children = {number: world.child(number) for number in (KARLA, EMIL, GROWING, OFFERED)}
        self.guardians = {number: world.guardian(number) for number in (MOTHER, FATHER, UNCLE)}
        self.told_by: dict[UUID, int] = {}
        """How much each letter says: a frozen one never changes."""
        MOMENTS.at = None

    # -- what happens

    @rule(
        number=st.sampled_from([KARLA, EMIL, GROWING]),
        source=st.sampled_from(["sof", "buf"]),
        state=st.sampled_from([None, State.APPLIED, State.APPLIED, State.OPEN, State.DECIDED, State.CLOSED]),
        deadline=st.sampled_from(DEADLINES),
        adviser=st.booleans(),
    )
    def a_source_changes_a_case(
        self, number: str, source: str, state: State | None, deadline: date, *, adviser: bool
    ) -> None:
        """As sync keeps it: the row, and what of it is news. None: it must no longer be told."""
        child = self.children[number]
        with self.database.begin() as session:
            mine = (tables.Case.child_id == child, tables.Case.source == source)
            row = session.execute(select(tables.Case).where(*mine)).scalar_one_or_none()
            assigned = (tables.Assignment.child_id == child, tables.Assignment.until.is_(None))
            if session.execute(select(tables.Assignment.id).where(*assigned)).first() is None:
                return
            if state is None:
                if row is not None:
                    intake.forget(self.ctx, session, source, {row.reference})
                return
            key = open_key(session, self.ctx.keys, session.get_one(tables.Child, child).key_id)
            case_id = row.id if row is not None else uuid4()
            old = unseal_json(key, row.sealed, f"case:{case_id}") if row is not None else None
            ends = deadline if state in (State.APPLIED, State.OPEN) else None
            new = {"kind": "help", "state": state.value, "opened": None, "closed": None, "follow_up": None}
            new["deadline"] = ends.isoformat() if ends is not None else None
            values = {
                "is_open": state is not State.CLOSED,
                "deadline": ends,
                "sealed": seal_json(key, new, f"case:{case_id}"),
                "digest": uuid4().bytes,
            }
            fixed = {
                "id": case_id, "child_id": child, "source": source, "reference": uuid4().bytes,
                "administration": source.upper(), "seen_at": self.clock.now(),
            }  # fmt: skip
            if row is None:
                session.execute(insert(tables.Case).values(**fixed, **values))
            else:
                session.execute(update(tables.Case).where(tables.Case.id == case_id).values(**values))
            news = changes.news_of(child, case_id, old, new, adviser and old is not None, today(self.clock))
            events.record(self.ctx, session, [replace(item, source=source) for item in news])

    @rule()
    def deadlines_are_looked_at(self) -> None:
        reminders.remind(self.ctx)

    @rule()
    def ages_are_looked_at(self) -> None:
        family.come_of_age(self.ctx)
        transition.remind(self.ctx)

    @rule(who=st.sampled_from(["k0", "k1", "k2"]), other=st.sampled_from(["k0", "k1", "k2", None]))
    def a_coordinator_is_away_or_back(self, who: str, other: str | None) -> None:
        with suppress(NotAllowed):
            if other is None:
                cover.come_back(self.ctx, who)
            else:
                cover.go_away(self.ctx, who, other)

    @rule(
        who=st.sampled_from(["k0", "k1", "k2"]),
        to=st.sampled_from(["k0", "k1", "k2"]),
        number=st.sampled_from([KARLA, EMIL, None]),
    )
    def a_coordinator_hands_over(self, who: str, to: str, number: str | None) -> None:
        with suppress(NotAllowed):
            cover.hand_over(self.ctx, who, to, {self.children[number]} if number is not None else None)

    @rule(
        number=st.sampled_from([KARLA, EMIL, OFFERED]),
        guardian=st.sampled_from([MOTHER, FATHER]),
        act=st.sampled_from(["yes", "no", "withdrawn", "given", "taken back"]),
    )
    def a_family_says_something(self, number: str, guardian: str, act: str) -> None:
        child, who = self.children[number], self.guardians[guardian]
        by = family.Answerer(who, "page", "introduction/test")
        speaker = consents.Speaker("guardian", "page", "consent/test", "da", who)
        with suppress(NotAllowed):
            match act:
                case "yes":
                    family.accept(self.ctx, child, by)
                case "no":
                    family.decline(self.ctx, child, by)
                case "withdrawn":
                    family.withdraw(self.ctx, child, by)
                case "given":
                    consents.give(self.ctx, child, "SUF", speaker)
                case _:
                    consents.take_back(self.ctx, child, "SUF", speaker)

    @rule(
        number=st.sampled_from([KARLA, EMIL, OFFERED]),
        guardian=st.sampled_from([MOTHER, FATHER, UNCLE]),
        has=st.booleans(),
    )
    def custody_begins_or_ends(self, number: str, guardian: str, *, has: bool) -> None:
        row = {"child_id": self.children[number], "guardian_id": self.guardians[guardian]}
        until = None if has else today(self.clock)
        with self.database.begin() as session:
            made = insert(tables.Custody).values(**row, since=None, until=until, seen_at=self.clock.now())
            session.execute(
                made.on_conflict_do_update(index_elements=["child_id", "guardian_id"], set_={"until": until})
            )
            holders.settle(self.ctx, session)

    @rule(by=st.sampled_from(JUMPS))
    def the_clock_moves(self, by: timedelta) -> None:
        self.clock.move(by)

    # -- what the workers do

    @rule(
        crash=st.sampled_from([None, None, None, "letters.composed", "letters.composed.committed"]),
        workers=st.integers(1, 2),
    )
    def letters_are_composed(self, crash: str | None, workers: int) -> None:
        """By one worker or two at once, of which the first may die."""
        if workers == 1:
            self._compose(crash)
            return
        together = threading.Barrier(2)

        def work(at: str | None) -> None:
            together.wait(30)
            self._compose(at)

        with ThreadPoolExecutor(2) as pool:
            for done in [pool.submit(work, at) for at in (crash, None)]:
                done.result(60)

    def _compose(self, crash: str | None) -> None:
        MOMENTS.at = crash
        with suppress(Crash):
            compose_due(self.ctx, TEMPLATES, self._render)
        MOMENTS.at = None

    def _render(self, content: LetterContent, templates: Templates) -> Rendered:
        self._in_order(content)
        return light(content, templates)

    @rule(
        crash=st.sampled_from([None, None, "letters.begun", "letters.handed_over", "letters.sent"]),
        busy=st.integers(0, 1),
    )
    def letters_are_sent(self, crash: str | None, busy: int) -> None:
        """Each by a job of its own, which comes again when it was broken off."""
        self.town.world.channel.answers.extend([Later("busy", 60.0)] * busy)
        with self.database.session() as session:
            frozen = session.execute(select(tables.Letter.id).where(tables.Letter.state == "frozen")).scalars().all()
        self.channel.given.clear()
        for letter in frozen:
            MOMENTS.at, crash = crash, None
            with suppress(Crash, TryAgain):
                deliver(self.ctx, letter)
        MOMENTS.at = None
        self._arrived_in_time()

    # -- what must be so

    @invariant()
    def every_event_has_one_end(self) -> None:
        if not hasattr(self, "ctx"):
            return
        with self.database.session() as session:
            letters = {row.bundle_id: row for row in session.execute(select(tables.Letter)).scalars()}
            waiting = set(
                session.execute(select(tables.Bundle.id).where(tables.Bundle.composed_at.is_(None))).scalars()
            )
            asked = set(session.execute(select(tables.Task.letter_id)).scalars())
            told: dict[UUID, list[tables.Event]] = {}
            for event in session.execute(select(tables.Event)).scalars():
                letter = letters.get(event.bundle_id) if event.bundle_id else None
                ways = [
                    letter is not None and (letter.state != "withheld" or letter.id in asked),
                    event.why_not is not None,
                    event.bundle_id in waiting,
                ]
                assert sum(ways) == 1, (event.kind, event.why_not, ways)
                if letter is not None:
                    told.setdefault(letter.id, []).append(event)
                    assert letter.guardian_id == event.guardian_id
            mine: dict[UUID, set[UUID]] = {}
            for link in session.execute(select(tables.LetterChild)).scalars():
                mine.setdefault(link.letter_id, set()).add(link.child_id)
            for letter in letters.values():
                if letter.state == "withheld" and letter.id not in told:
                    continue  # what it told is told again, or says why not
                about = told.get(letter.id, [])
                assert about, "an empty letter"
                assert {event.child_id for event in about} <= mine[letter.id]
                if letter.id not in self.told_by:
                    self.told_by[letter.id] = len(open_content(session, self.ctx.keys, letter)["said"])
                assert self.told_by[letter.id] == len(about)
            empty = waiting - set(session.execute(select(tables.Event.bundle_id)).scalars())
            assert not {b for b in empty if self._opened_for_nothing(session, b)}

    @staticmethod
    def _opened_for_nothing(session: Any, bundle: UUID) -> bool:
        """A bundle that waits without events is one whose events have all ended, and never one that had none."""
        guardian = session.get_one(tables.Bundle, bundle).guardian_id
        return session.execute(select(tables.Event.id).where(tables.Event.guardian_id == guardian)).first() is None

    @staticmethod
    def _in_order(content: LetterContent) -> None:
        """Not empty, and what the reader must do first stands first: of the children, and of a child's cases. Two kinds
        may have the same words; so what stands earlier may at its best be no later than the next at its worst."""
        assert content.offers or content.children or content.answers or content.goodbye, "an empty letter"
        last = len(KINDS)
        places = {news: [kinds.RANK[code] for code, told in NEWS.items() if told is news] for news in NEWS.values()}
        of_children = []
        for child in content.children:
            of_cases = [[place for code in case.news[:1] for place in places[code]] or [last] for case in child.cases]
            assert all(min(one) <= max(other) for one, other in pairwise(of_cases))
            of_children.append(of_cases[0] if of_cases else [last])
        assert all(min(one) <= max(other) for one, other in pairwise(of_children))

    def _arrived_in_time(self) -> None:
        """Nothing unpleasant in quiet hours, unless urgent or at its latest moment; and only about children whom the
        reader has custody of at that moment, or from 15 is."""
        now = self.clock.now()
        with self.database.session() as session:
            for key in self.channel.given:
                letter = session.get_one(tables.Letter, UUID(key))
                about = session.execute(
                    select(tables.Event).where(tables.Event.bundle_id == letter.bundle_id)
                ).scalars().all()  # fmt: skip
                if any(KINDS[event.kind].unpleasant for event in about) and holding.is_quiet(now):
                    urgent = any(KINDS[event.kind].urgent for event in about)
                    assert urgent or any(event.latest is not None and event.latest <= now for event in about)
                links = select(tables.LetterChild.child_id).where(tables.LetterChild.letter_id == letter.id)
                for child in session.execute(links).scalars():
                    hears = hearing.hears(child, letter.guardian_id, today(self.clock))
                    assert session.execute(select(hears)).scalar_one(), "of a child that is not theirs"
        assert len(self.town.world.channel.taken) <= len(set(self.town.world.channel.taken))

    def _waits(self) -> bool:
        """Whether anything may yet be told without more happening."""
        due = select(tables.Bundle.id).where(tables.Bundle.composed_at.is_(None), tables.Bundle.due_at < events.NEVER)
        frozen = select(tables.Letter.id).where(tables.Letter.state == "frozen")
        with self.database.session() as session:
            return session.execute(select(due.exists() | frozen.exists())).scalar_one()

    def teardown(self) -> None:
        """When all is quiet for long enough, nothing waits but what a source tells itself."""
        if not hasattr(self, "ctx"):
            return
        self.town.world.channel.answers.clear()
        with self.database.session() as session:
            newest = session.execute(select(tables.Bundle.opened_at)).scalars().all()
        self.clock.set(max([self.clock.now(), *newest]))
        for _again in range(12):
            self.clock.set((self.clock.now() + timedelta(days=8)).replace(hour=10))
            self._compose(None)
            self.letters_are_sent(None, 0)
            if not self._waits():
                break
        self.every_event_has_one_end()
        with self.database.session() as session:
            left = session.execute(
                select(tables.Event, tables.Case.source)
                .join(tables.Bundle, tables.Bundle.id == tables.Event.bundle_id)
                .outerjoin(tables.Case, tables.Case.id == tables.Event.case_id)
                .where(tables.Bundle.composed_at.is_(None))
            ).all()
            frozen = session.execute(select(tables.Letter.id).where(tables.Letter.state == "frozen")).all()
        for event, source in left:
            assert not agreements.hub_sends(self.ctx.settings, event.kind, source, today(self.clock)), event.kind
        assert not frozen


def run(town: KeptTown, monkeypatch: pytest.MonkeyPatch, examples: int, steps: int, half: bool | None = None) -> None:
    monkeypatch.setattr(faults, "point", MOMENTS.point)
    machine = type("Machine", (Histories,), {"town": town, "half": half})
    run_state_machine_as_test(
        machine,
        settings=hypothesis.settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(hypothesis.HealthCheck),
        ),
    )
