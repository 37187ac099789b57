"""One adapter that keeps the contract, and many that break it in one way each. `meant` names the tests of the kit that
must see it, and no others may. Run by test_kit_bites.py; not collected by itself."""

from __future__ import annotations

import base64
import hashlib
import http.client
import itertools
import json
import logging
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Set
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta, timezone
from functools import cache
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

import hub
from hub.testing import AdapterConformance, Front

sys.path.insert(0, str(Path(__file__).parent))
from toy_source import ADVISER, CHILDREN, PARENT, ToySource, save

Row = dict[str, Any]
Make = Callable[[Row], hub.Record | None]
KINDS = {kind: {"name": kind} for kind in ("a", "b")}
log = logging.getLogger("toy")


class Good:
    """Keeps the contract."""

    meant = ""
    name = "toy"
    administration: str | None = "TOY"
    reads: Set[tuple[str, str]] = frozenset({("GET", "/records"), ("GET", "/health")})

    def __init__(self, settings: hub.SourceSettings) -> None:
        self.settings = settings
        self.kinds = set(settings.kinds)
        self.client = hub.ReadOnlyClient(str(settings.url), self.reads, timeout_seconds=settings.timeout_seconds)

    def presence(self, since: str | None) -> Iterator[hub.Page]:
        return self.pages(since, self.presence_of)

    def read(self, since: str | None, children: Set[str]) -> Iterator[hub.Page]:
        return self.pages(since, lambda row: self.case_of(row) if row["cpr"] in children else None)

    def health(self) -> hub.Health:
        try:
            self.client.send("GET", "health")
        except hub.TovholderError as error:
            return hub.Health(False, str(error))
        return hub.Health(True)

    def pages(self, since: str | None, make: Make) -> Iterator[hub.Page]:
        full, after = self.start(since)
        while True:
            rows, more = self.ask(after)
            found = [self.record(row, make) for row in rows]
            after = rows[-1]["seq"] if rows else after
            cursor = self.cursor(full and more, after, rows)
            records = tuple(record for record in found if record is not None)
            yield self.page(since, hub.Page(records, cursor, full and not more, found.count(None)))
            if not more:
                return

    def page(self, since: str | None, page: hub.Page) -> hub.Page:
        return page

    def start(self, since: str | None) -> tuple[bool, int]:
        """Whether this is a full read, and after which change it goes on."""
        word, _, after = (since or "").partition(":")
        return (word == "all", int(after)) if word in ("all", "new") else (True, 0)

    def cursor(self, full: bool, after: int, rows: list[Row]) -> str | None:
        return f"{'all' if full else 'new'}:{after}"

    def ask(self, after: int) -> tuple[list[Row], bool]:
        response = self.send(f"records?after={after}&size={self.settings.page_size}")
        try:
            answer = hub.json_value(response.content)
            return answer["rows"], answer["more"]
        except (TypeError, KeyError) as error:
            raise hub.TryAgain("the source answered with something else than records") from error

    def send(self, path: str) -> httpx.Response:
        return self.client.send("GET", path)

    def record(self, row: Row, make: Make) -> hub.Record | None:
        if not self.listed(row["kind"]):
            return None
        if row["gone"]:
            return hub.Gone(row["id"], self.time(row))
        try:
            date.fromisoformat(row["opened"])
        except ValueError:
            return self.bad(row)
        return make(row)

    def listed(self, kind: str) -> bool:
        return kind in self.kinds

    def bad(self, row: Row) -> hub.Record | None:
        return hub.Unreadable(f"change {row['seq']}", "opened is no date", json.dumps(row).encode(), row["id"])

    def time(self, row: Row) -> datetime:
        return datetime.fromisoformat(row["changed"])

    def presence_of(self, row: Row) -> hub.Record | None:
        return hub.Presence(row["id"], row["cpr"], hub.State(row["state"]), self.time(row))

    def case_of(self, row: Row) -> hub.Record | None:
        opened = date.fromisoformat(row["opened"])
        adviser = hub.StaffRecord("adviser", row["adviser"])
        return hub.CaseRecord(
            row["id"], row["cpr"], row["kind"], hub.State(row["state"]), opened, adviser=adviser, changed=self.time(row)
        )


# --- the contract's shape ---


class BadName(Good):
    meant = "test_is_an_adapter"
    name = "My Source"


class ReadsAnything(Good):
    meant = "test_is_an_adapter"
    reads = frozenset({("GET", "/*")})


class ConnectsWhenMade(Good):
    meant = "test_connects_to_nothing_when_it_is_made"

    def __init__(self, settings: hub.SourceSettings) -> None:
        super().__init__(settings)
        self.health()


@dataclass
class MutablePresence:
    source_id: str
    cpr: str
    state: hub.State
    changed: datetime
    diagnosis: str = "more than may be told"


class OwnMutableRecords(Good):
    meant = "test_gives_pages_with_records_of_the_contract"

    def presence_of(self, row: Row) -> Any:
        return MutablePresence(row["id"], row["cpr"], hub.State.OPEN, self.time(row))


class MutablePages(Good):
    meant = "test_gives_pages_with_records_of_the_contract"

    def page(self, since: str | None, page: hub.Page) -> hub.Page:
        return replace(page, records=list(page.records))


class CasesInPresence(Good):
    meant = "test_gives_the_records_that_were_asked_for"

    def presence_of(self, row: Row) -> hub.Record | None:
        return self.case_of(row)


class DashInNumber(Good):
    meant = "test_fields_hold_what_the_contract_says"

    def presence_of(self, row: Row) -> hub.Record | None:
        return hub.Presence(row["id"], f"{row['cpr'][:6]}-{row['cpr'][6:]}", hub.State.OPEN, self.time(row))


class TimeForDate(Good):
    meant = "test_fields_hold_what_the_contract_says"

    def case_of(self, row: Row) -> hub.Record | None:
        case = super().case_of(row)
        assert isinstance(case, hub.CaseRecord)
        return replace(case, opened=datetime(2026, 1, 1, tzinfo=UTC))


class WordForState(Good):
    meant = "test_fields_hold_what_the_contract_says"

    def presence_of(self, row: Row) -> hub.Record | None:
        return hub.Presence(row["id"], row["cpr"], row["state"], self.time(row))


class NaiveTimes(Good):
    meant = "test_times_are_aware_and_in_utc"

    def time(self, row: Row) -> datetime:
        return super().time(row).replace(tzinfo=None)


class DanishTimes(Good):
    meant = "test_times_are_aware_and_in_utc"

    def time(self, row: Row) -> datetime:
        return super().time(row).astimezone(timezone(timedelta(hours=1)))


# --- what may pass ---


class UnlistedKindPasses(Good):
    meant = "test_cases_are_of_listed_kinds"

    def listed(self, kind: str) -> bool:
        return super().listed(kind) or bool(self.kinds)


class EmptyListLetsAllPass(Good):
    meant = "test_nothing_passes_while_the_list_is_empty"

    def listed(self, kind: str) -> bool:
        return super().listed(kind) or not self.kinds


class GivesOtherChildren(Good):
    meant = "test_gives_only_the_children_asked_for"

    def read(self, since: str | None, children: Set[str]) -> Iterator[hub.Page]:
        return self.pages(since, self.case_of)


class GivesThreeChildrenAtMost(Good):
    meant = "test_gives_all_of_the_children_asked_for"

    def read(self, since: str | None, children: Set[str]) -> Iterator[hub.Page]:
        return super().read(since, set(sorted(children)[:3]))


# --- pages and cursors ---


class Doubles(Good):
    meant = "test_each_record_comes_once"

    def page(self, since: str | None, page: hub.Page) -> hub.Page:
        good = [record for record in page.records if isinstance(record, (hub.Presence, hub.CaseRecord))]
        return replace(page, records=(*page.records, *good[-1:]))


class NoCursorOnTheWay(Good):
    meant = "test_every_page_says_where_to_go_on test_source_that_leads_in_a_circle_is_left"

    def cursor(self, full: bool, after: int, rows: list[Row]) -> str | None:
        return None if full else super().cursor(full, after, rows)


class CompleteTooEarly(Good):
    meant = "test_full_read_is_complete_on_its_last_page_only"

    def page(self, since: str | None, page: hub.Page) -> hub.Page:
        return replace(page, complete=True) if since is None else page


class NeverComplete(Good):
    meant = "test_full_read_is_complete_on_its_last_page_only"

    def page(self, since: str | None, page: hub.Page) -> hub.Page:
        return replace(page, complete=False)


class LosesRecordOnResume(Good):
    meant = "test_resumes_right_after_every_page"

    def start(self, since: str | None) -> tuple[bool, int]:
        full, after = super().start(since)
        return full, after + 1 if full and after else after


class RepeatsRecordOnResume(Good):
    meant = "test_resumes_right_after_every_page"

    def start(self, since: str | None) -> tuple[bool, int]:
        full, after = super().start(since)
        return full, after - 1 if full and after else after


class KeepsItsPlaceInMemory(Good):
    meant = "test_resumes_right_after_every_page test_source_that_leads_in_a_circle_is_left"

    def __init__(self, settings: hub.SourceSettings) -> None:
        super().__init__(settings)
        self.places: dict[str, tuple[bool, int]] = {}

    def cursor(self, full: bool, after: int, rows: list[Row]) -> str | None:
        place = f"place {len(self.places)}"
        self.places[place] = (full, after)
        return place

    def start(self, since: str | None) -> tuple[bool, int]:
        return self.places.get(since or "", (True, 0))


class CompleteTooEarlyOnResume(Good):
    meant = "test_resumes_right_after_every_page"

    def page(self, since: str | None, page: hub.Page) -> hub.Page:
        return replace(page, complete=True) if (since or "").startswith("all") else page


class LockedUntilRead(Good):
    meant = "test_can_be_left_in_the_middle"

    def __init__(self, settings: hub.SourceSettings) -> None:
        super().__init__(settings)
        self.lock = threading.Lock()

    def pages(self, since: str | None, make: Make) -> Iterator[hub.Page]:
        if not self.lock.acquire(blocking=False):
            raise hub.TryAgain("another read is under way")
        try:
            yield from super().pages(since, make)
        finally:
            self.lock.release()


class TakesUnknownCursorForTheEnd(Good):
    meant = "test_cursor_it_did_not_write_loses_nothing"

    def start(self, since: str | None) -> tuple[bool, int]:
        return super().start(since) if since is None or ":" in since else (False, 1000)


class FailsOnUnknownCursor(Good):
    meant = "test_cursor_it_did_not_write_loses_nothing"

    def start(self, since: str | None) -> tuple[bool, int]:
        return (True, 0) if since is None else ("all" in since, int(since.partition(":")[2]))


class CompleteWhenUnchanged(Good):
    meant = "test_unchanged_source_changes_nothing test_what_happens_while_it_is_read_comes_at_the_latest_next_time"

    def page(self, since: str | None, page: hub.Page) -> hub.Page:
        return page if page.records or page.ignored else replace(page, complete=True)


class ForgetsTombstones(Good):
    meant = "test_removed_is_gone_after_the_next_read"

    def record(self, row: Row, make: Make) -> hub.Record | None:
        return None if row["gone"] else super().record(row, make)


class MissesChanges(Good):
    meant = "test_changed_comes_with_the_next_read"

    def pages(self, since: str | None, make: Make) -> Iterator[hub.Page]:
        for page in super().pages(since, make):
            gone = tuple(record for record in page.records if isinstance(record, hub.Gone))
            yield replace(page, records=gone) if (since or "").startswith("new") else page


# --- bad records ---


class BadRecordStopsTheRun(Good):
    meant = "test_bad_record_stands_alone"

    def bad(self, row: Row) -> hub.Record | None:
        raise hub.GaveUp("a record cannot be read")


class DropsBadRecord(Good):
    meant = "test_bad_record_stands_alone"

    def bad(self, row: Row) -> hub.Record | None:
        return None


class BadRecordTakesItsPageAlong(Good):
    meant = "test_bad_record_stands_alone"

    def page(self, since: str | None, page: hub.Page) -> hub.Page:
        bad = tuple(record for record in page.records if isinstance(record, hub.Unreadable))
        return replace(page, records=bad) if bad else page


class BadRecordMovesAbout(Good):
    meant = "test_bad_record_says_where_and_why"
    numbers = itertools.count()

    def bad(self, row: Row) -> hub.Record | None:
        return hub.Unreadable(f"try {next(self.numbers)}", "opened is no date")


class BadRecordWithoutReason(Good):
    meant = "test_bad_record_says_where_and_why"

    def bad(self, row: Row) -> hub.Record | None:
        return hub.Unreadable("somewhere", "  ")


class BadRecordTooLong(Good):
    meant = "test_bad_record_says_where_and_why"

    def bad(self, row: Row) -> hub.Record | None:
        return hub.Unreadable("somewhere", "opened is no date", b" " * (hub.RAW_LIMIT + 1))


# --- reads only: each does it where it asks for its health, so that nothing else is different ---


class UndeclaredRead(Good):
    meant = "test_sends_only_the_reads_it_declares"

    def health(self) -> hub.Health:
        health = super().health()
        if health.ok:
            following().get(f"{self.settings.url}statistics")
        return health


class DeclaredWrite(Good):
    meant = "test_sends_no_write"
    reads = Good.reads | {("PUT", "/seen")}

    def health(self) -> hub.Health:
        health = super().health()
        with suppress(hub.GaveUp):
            if health.ok:
                self.client.send("PUT", "seen")
        return health


class TalksToSomebodyElse(Good):
    meant = "test_talks_to_its_source_only"

    def health(self) -> hub.Health:
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", 9), timeout=0.1).close()
        return super().health()


@cache
def following() -> httpx.Client:
    return httpx.Client(follow_redirects=True)


OWN_CLIENT = (
    "test_is_not_led_elsewhere test_source_that_is_busy_is_asked_again_when_it_says test_lost_access_is_for_a_person "
    "test_zip_bomb_takes_no_memory test_answer_that_drips_is_given_up"
)
"""What an author must think of who does not use the hub's client."""


class LetsItselfBeLed(Good):
    meant = OWN_CLIENT

    def send(self, path: str) -> httpx.Response:
        try:
            response = following().get(f"{self.settings.url}{path}", timeout=self.timeout())
            response.raise_for_status()
        except httpx.HTTPError as error:
            raise hub.TryAgain("no answer from the source") from error
        return response

    def timeout(self) -> float:
        return self.settings.timeout_seconds


class NumberInAddress(Good):
    meant = "test_puts_no_number_or_name_in_an_address"

    def health(self) -> hub.Health:
        # No client that writes addresses into the log: that is another broken adapter's.
        connection = http.client.HTTPConnection("127.0.0.1", self.settings.url.port, timeout=0.2)
        with suppress(OSError, http.client.HTTPException):
            connection.request("GET", f"/records?after=0&size=1&cpr={CHILDREN[0][:6]}-{CHILDREN[0][6:]}")
            connection.getresponse().read()
        connection.close()
        return super().health()


# --- when the source is not well ---


class SwallowsDeadSource(Good):
    meant = "test_source_that_does_not_answer_is_told"

    def send(self, path: str) -> httpx.Response:
        try:
            return super().send(path)
        except hub.TryAgain as error:
            if any(word in str(error) for word in ("time limit", "all there", "429", "web page")):
                raise
            return httpx.Response(200, json={"rows": [], "more": False})


class SwallowsDeathOnTheWay(Good):
    meant = "test_source_that_does_not_answer_is_told"

    def send(self, path: str) -> httpx.Response:
        try:
            return super().send(path)
        except hub.TryAgain as error:
            if "after=0" in path or "web page" in str(error):
                raise
            return httpx.Response(200, json={"rows": [], "more": False})


class GivesUpWhereItShouldTryAgain(Good):
    meant = (
        "test_source_that_does_not_answer_is_told test_gives_up_waiting_in_time "
        "test_source_that_is_busy_is_asked_again_when_it_says"
    )

    def send(self, path: str) -> httpx.Response:
        try:
            return super().send(path)
        except hub.TryAgain as error:
            raise hub.GaveUp(str(error)) from error


class WaitsTooLong(LetsItselfBeLed):
    meant = f"test_gives_up_waiting_in_time {OWN_CLIENT}"

    def timeout(self) -> float:
        return 1.2


class TakesAnyPageForNoRecords(Good):
    meant = "test_answer_that_is_not_the_sources_is_not_taken_for_one"

    def ask(self, after: int) -> tuple[list[Row], bool]:
        try:
            return super().ask(after)
        except hub.TryAgain as error:
            if "web page" in str(error):
                return [], False
            raise


class HealthAlwaysGood(Good):
    meant = "test_health_says_when_the_source_does_not_answer"

    def health(self) -> hub.Health:
        return hub.Health(True)


class HealthRaises(Good):
    meant = "test_health_says_when_the_source_does_not_answer"

    def health(self) -> hub.Health:
        self.client.send("GET", "health")
        return hub.Health(True)


class HealthAlwaysBad(Good):
    meant = "test_health_is_good_when_all_is_well"

    def health(self) -> hub.Health:
        return replace(super().health(), ok=False, detail="perhaps")


class NeverRecovers(Good):
    meant = "test_reads_again_when_the_source_is_back"
    failure: hub.TryAgain | None = None

    def send(self, path: str) -> httpx.Response:
        if self.failure is not None:
            raise hub.TryAgain("the source did not answer the last time")
        try:
            return super().send(path)
        except hub.TryAgain as error:
            self.failure = error
            raise


class ForgetsHowLongToWait(Good):
    meant = "test_source_that_is_busy_is_asked_again_when_it_says"

    def send(self, path: str) -> httpx.Response:
        try:
            return super().send(path)
        except hub.TryAgain as error:
            raise hub.TryAgain(str(error)) from error


class TakesNoAccessForNoRecords(Good):
    meant = "test_access_that_ran_out_is_renewed_or_told test_lost_access_is_for_a_person"

    def send(self, path: str) -> httpx.Response:
        try:
            return super().send(path)
        except hub.GaveUp as error:
            if path == "health" or "401" not in str(error):
                raise
            return httpx.Response(200, json={"rows": [], "more": False})


class AsksOnWithoutAccess(Good):
    meant = "test_lost_access_is_for_a_person"

    def send(self, path: str) -> httpx.Response:
        for _ in range(10):
            with suppress(hub.GaveUp):
                return super().send(path)
        return super().send(path)


# --- when the source means harm ---


class FallsIntoDepths(Good):
    meant = "test_hostile_answer_is_told_or_does_nothing"

    def ask(self, after: int) -> tuple[list[Row], bool]:
        answer = self.send(f"records?after={after}&size={self.settings.page_size}")
        try:
            return answer.json()["rows"], answer.json()["more"]
        except (ValueError, KeyError) as error:
            raise hub.TryAgain("the source answered with something else than records") from error


class GoesRoundInCircles(Good):
    meant = "test_source_that_leads_in_a_circle_is_left"

    def ask(self, after: int) -> tuple[list[Row], bool]:
        rows, more = super().ask(after)
        while more and rows[-1]["seq"] <= after:
            rows, more = super().ask(after)
        return rows, more


# --- when the source changes while it is read ---


class CountsPlaces(Good):
    """Asks for the rows from the nth on: when one moves to the end, those after it slide over the edge of the page."""

    meant = "test_what_happens_while_it_is_read_comes_at_the_latest_next_time"

    def pages(self, since: str | None, make: Make) -> Iterator[hub.Page]:
        full, start = self.start(since)
        if not full:
            yield from super().pages(since, make)
            return
        more = True
        while more:
            rows, _ = self.ask(0)
            some, more = rows[start : start + 2], start + 2 < len(rows)
            found = [self.record(row, make) for row in some]
            start += 2
            cursor = f"all:{start}" if more else f"new:{rows[-1]['seq']}"
            yield hub.Page(tuple(record for record in found if record is not None), cursor, not more)

    def send(self, path: str) -> httpx.Response:
        return super().send(path.replace("records?after=0&size=2", "records?after=0&size=100"))


# --- no number and no name where none may be ---


class NumberInLog(Good):
    meant = "test_logs_hold_no_number_and_no_name"

    def case_of(self, row: Row) -> hub.Record | None:
        log.debug("a case of %s-%s", row["cpr"][:6], row["cpr"][6:])
        return super().case_of(row)


class NamePrinted(Good):
    meant = "test_logs_hold_no_number_and_no_name"

    def bad(self, row: Row) -> hub.Record | None:
        print(f"cannot read the case that {row['parent']} has asked about")
        return super().bad(row)


class NumberInCursor(Good):
    meant = "test_cursors_hold_no_number_and_no_name"

    def cursor(self, full: bool, after: int, rows: list[Row]) -> str | None:
        return f"{super().cursor(full, after, rows)}:{rows[-1]['cpr'] if rows else ''}"

    def start(self, since: str | None) -> tuple[bool, int]:
        return super().start(since.rpartition(":")[0] if since and ":" in since else since)


class NumberHashedInCursor(NumberInCursor):
    def cursor(self, full: bool, after: int, rows: list[Row]) -> str | None:
        digest = hashlib.sha256(rows[-1]["cpr"].encode()).hexdigest()[:20] if rows else ""
        return f"{Good.cursor(self, full, after, rows)}:{digest}"


class NumberInBase64Cursor(NumberInCursor):
    def cursor(self, full: bool, after: int, rows: list[Row]) -> str | None:
        return base64.urlsafe_b64encode(str(super().cursor(full, after, rows)).encode()).decode().rstrip("=")

    def start(self, since: str | None) -> tuple[bool, int]:
        if since is None or " " in since:
            return True, 0
        return super().start(base64.urlsafe_b64decode(since + "=" * (-len(since) % 4)).decode())


class NumberInError(Good):
    meant = "test_errors_hold_no_number_and_no_name"

    def send(self, path: str) -> httpx.Response:
        try:
            return super().send(path)
        except hub.TryAgain as error:
            raise hub.TryAgain(f"no answer about {CHILDREN[0]}", after_seconds=error.after_seconds) from error


class NumberInCauseOfError(Good):
    meant = "test_errors_hold_no_number_and_no_name"

    def send(self, path: str) -> httpx.Response:
        try:
            return super().send(path)
        except hub.TryAgain as error:
            raise hub.TryAgain("no answer", after_seconds=error.after_seconds) from LookupError(CHILDREN[0])


class NumberInHealth(Good):
    meant = "test_errors_hold_no_number_and_no_name"

    def health(self) -> hub.Health:
        return replace(super().health(), detail=f"asked about {CHILDREN[0]}")


class NumberInPosition(Good):
    meant = "test_positions_hold_no_number_and_no_name"

    def bad(self, row: Row) -> hub.Record | None:
        return hub.Unreadable(f"case of {row['cpr']}", "opened is no date")


class NameInReason(Good):
    meant = "test_positions_hold_no_number_and_no_name"

    def bad(self, row: Row) -> hub.Record | None:
        return hub.Unreadable(f"change {row['seq']}", f"ask {row['adviser']}")


KIT = AdapterConformance
BROKEN = [
    thing
    for thing in list(globals().values())
    if isinstance(thing, type) and issubclass(thing, Good) and thing is not Good
]


class TestAdapters(AdapterConformance):
    @pytest.fixture
    def source(self) -> ToySource:
        return ToySource()

    @pytest.fixture(params=[Good, *BROKEN], ids=lambda broken: broken.__name__)
    def make_adapter(self, request: pytest.FixtureRequest, front: Front) -> Callable[..., Good]:
        def make(**settings: Any) -> Good:
            given = {"url": front.url, "kinds": KINDS, "page_size": 2} | settings
            adapter: Good = request.param(hub.SourceSettings.model_validate(given))
            return adapter

        return make

    @pytest.fixture
    def kinds(self) -> Set[str]:
        return set(KINDS)

    @pytest.fixture
    def children(self) -> Set[str]:
        return frozenset(CHILDREN)

    @pytest.fixture
    def secrets(self) -> Set[str]:
        return {PARENT, ADVISER}

    @pytest.fixture
    def spoil(self, source: ToySource) -> Callable[[], None]:
        return source.spoil

    @pytest.fixture
    def remove(self, source: ToySource) -> Callable[[], None]:
        return lambda: source.set("case-2", gone=True)

    @pytest.fixture
    def change(self, source: ToySource) -> Callable[[], None]:
        return lambda: source.set("case-0", changed="2026-03-03T08:00:00+00:00", adviser="Ole Præst Holm")

    @pytest.fixture
    def short(self) -> float:
        return 0.05

    @pytest.fixture
    def time_limit(self) -> float:
        return 1.0


# --- from a folder ---


class GoodFolder:
    """Keeps the contract. Reads lines of JSON; a file ends with "end"."""

    meant = ""
    name = "toy_folder"
    administration: str | None = "TOY"
    reads: Set[tuple[str, str]] = frozenset()

    def __init__(self, settings: hub.SourceSettings) -> None:
        self.settings = settings
        assert settings.folder is not None
        self.folder = settings.folder

    def lines(self) -> Iterator[Any]:
        for path in hub.files(self.folder, "*.jsonl"):
            text = path.read_text(encoding="utf-8", errors="replace")
            if not text.endswith('"end"'):
                self.cut_short()
            for number, line in enumerate(text.splitlines(), start=1):
                try:
                    row = hub.json_value(line)
                    if row != "end":
                        date.fromisoformat(row["opened"])
                        yield row
                except (ValueError, hub.TryAgain):
                    yield hub.Unreadable(f"{path.name}, line {number}", "no record", line.encode())

    def cut_short(self) -> None:
        raise hub.TryAgain("a file lacks its end")

    def pages(self, since: str | None, make: Make) -> Iterator[hub.Page]:
        rows = [row for row in self.lines() if isinstance(row, hub.Unreadable) or row["kind"] in self.settings.kinds]
        start = int(since) if since and since.isdigit() else 0
        for place in range(start, len(rows), 2):
            some = [row if isinstance(row, hub.Unreadable) else make(row) for row in rows[place : place + 2]]
            more = place + 2 < len(rows)
            cursor = str(place + 2) if more else None
            yield hub.Page(tuple(record for record in some if record is not None), cursor, not more)
        if start >= len(rows):
            yield hub.Page((), None, complete=True)

    def presence(self, since: str | None) -> Iterator[hub.Page]:
        return self.pages(since, lambda row: hub.Presence(row["id"], row["cpr"], hub.State.OPEN))

    def read(self, since: str | None, children: Set[str]) -> Iterator[hub.Page]:
        def case(row: Row) -> hub.Record | None:
            if row["cpr"] not in children:
                return None
            return hub.CaseRecord(row["id"], row["cpr"], row["kind"], hub.State(row["state"]))

        return self.pages(since, case)

    def health(self) -> hub.Health:
        there = self.folder.is_dir()
        return hub.Health(there, "" if there else "the folder is not there")


class MarksFilesAsRead(GoodFolder):
    meant = "test_changes_nothing_in_its_folder"

    def lines(self) -> Iterator[Any]:
        yield from super().lines()
        (self.folder / "read.txt").touch()


class MissingFolderIsEmpty(GoodFolder):
    meant = "test_missing_folder_is_told"

    def lines(self) -> Iterator[Any]:
        return super().lines() if self.folder.is_dir() else iter(())


class CutFileIsWhole(GoodFolder):
    meant = "test_file_cut_short_is_not_taken_for_the_whole test_hostile_answer_is_told_or_does_nothing"

    def cut_short(self) -> None:
        pass


class AsksOverHttpToo(GoodFolder):
    meant = "test_talks_to_its_source_only"

    def health(self) -> hub.Health:
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", 9), timeout=0.1).close()
        return super().health()


BROKEN_FOLDERS = [MarksFilesAsRead, MissingFolderIsEmpty, CutFileIsWhole, AsksOverHttpToo]


class TestFolders(AdapterConformance):
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        save(tmp_path / "source")
        return tmp_path / "source"

    @pytest.fixture(params=[GoodFolder, *BROKEN_FOLDERS], ids=lambda broken: broken.__name__)
    def make_adapter(self, request: pytest.FixtureRequest, folder: Path) -> Callable[..., GoodFolder]:
        def make(**settings: Any) -> GoodFolder:
            given = {"folder": folder, "kinds": KINDS} | settings
            adapter: GoodFolder = request.param(hub.SourceSettings.model_validate(given))
            return adapter

        return make

    @pytest.fixture
    def kinds(self) -> Set[str]:
        return set(KINDS)

    @staticmethod
    def edit(folder: Path, old: str, new: str) -> None:
        for path in folder.glob("*.jsonl"):
            path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")

    @pytest.fixture
    def spoil(self, folder: Path) -> Callable[[], None]:
        return lambda: self.edit(folder, '"2026-01-02"', '"yesterday"')

    @pytest.fixture
    def remove(self, folder: Path) -> Callable[[], None]:
        return lambda: self.edit(folder, '"case-2", "cpr": "0306129993", "kind": "a"', '"case-2", "kind": "none"')

    @pytest.fixture
    def change(self, folder: Path) -> Callable[[], None]:
        return lambda: self.edit(folder, '"case-0"', '"case-new"')
