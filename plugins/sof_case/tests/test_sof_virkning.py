"""Registrations and Virkning: what holds now, what has held, what will hold, and when to look again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree
from tovholder_sof_case import SofAdapter, SofSettings
from tovholder_sof_case.sag import Sag

import hub
from hub.clock import SetClock

Adapting = Callable[..., SofAdapter]
NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
PAST, SOON = "2026-02-05T00:00:00.000+01:00", "2026-03-20T00:00:00.000+01:00"
EARLY, FOR_EVER = "2026-01-05T00:00:00.000+01:00", "9999-12-31T23:59:59.999-05:00"


@pytest.fixture
def clock() -> SetClock:
    return SetClock(NOW)


@pytest.fixture
def at(tmp_path: Path, clock: SetClock) -> Adapting:
    def adapter(*sager: str) -> SofAdapter:
        (tmp_path / "a.xml").write_text(f"<Sager>{''.join(sager)}</Sager>", encoding="utf-8")
        kinds = {"32.18.04": {"name": "x"}, "32.18.12": {"name": "y"}}
        return SofAdapter(SofSettings.model_validate({"folder": tmp_path, "kinds": kinds}), clock.now)

    return adapter


def one(adapter: SofAdapter, make: Any, since: str | None = None) -> tuple[hub.Record, hub.Page]:
    (page,) = adapter.read(since, {make.CHILD})
    (record,) = page.records
    return record, page


def test_what_begins_later_holds_later(at: Adapting, make: Any, clock: SetClock) -> None:
    """A new adviser from the 20th: the old one until then. Nothing is registered on the day; the next read finds it."""
    actors = make.actor("Gammel Rådgiver", until=SOON) + make.actor("Ny Rådgiver", since=SOON)
    adapter = at(make.sag(actors=actors))
    record, page = one(adapter, make)
    assert isinstance(record, hub.CaseRecord)
    assert record.adviser is not None
    assert record.adviser.name == "Gammel Rådgiver"
    (nothing,) = adapter.read(page.cursor, {make.CHILD})
    assert (nothing.records, nothing.complete) == ((), False)
    clock.set(datetime(2026, 3, 20, tzinfo=UTC))
    record, page = one(adapter, make, nothing.cursor)
    assert isinstance(record, hub.CaseRecord)
    assert record.adviser is not None
    assert (record.adviser.name, page.complete) == ("Ny Rådgiver", True)
    (nothing,) = adapter.read(page.cursor, {make.CHILD})
    assert nothing.records == ()


def test_case_that_will_be_closed_is_not_closed_yet(at: Adapting, make: Any, clock: SetClock) -> None:
    steps = make.step("Opstaaet", EARLY, SOON) + make.step("Afsluttet", SOON)
    adapter = at(make.sag(steps=steps))
    record, page = one(adapter, make)
    assert isinstance(record, hub.CaseRecord)
    assert (record.state, record.closed) == (hub.State.APPLIED, None)
    clock.set(datetime(2026, 3, 21, tzinfo=UTC))
    record, _page = one(adapter, make, page.cursor)
    assert isinstance(record, hub.CaseRecord)
    assert (record.state, record.closed) == (hub.State.CLOSED, date(2026, 3, 20))


def test_what_holds_until_a_day_holds_until_then(at: Adapting, make: Any) -> None:
    """An end in the future is no end yet, also where nothing is registered to come after it."""
    record, _page = one(at(make.sag(parts=make.part(until=SOON), classes=make.klasse(until=SOON))), make)
    assert isinstance(record, hub.CaseRecord)


@pytest.mark.parametrize("until", [None, FOR_EVER])
def test_infinity_in_both_spellings(at: Adapting, make: Any, until: str | None) -> None:
    steps = make.step("Opstaaet", EARLY, PAST) + make.step("Afgjort", PAST, until)
    record, _page = one(at(make.sag(steps=steps)), make)
    assert isinstance(record, hub.CaseRecord)
    assert (record.state, record.opened) == (hub.State.DECIDED, date(2026, 1, 5))


def test_always_until_now_has_no_first_day(at: Adapting, make: Any) -> None:
    """GraenseIndikator as FraTidspunkt: since ever."""
    step = make.step("Opstaaet", EARLY)
    always = step.replace(
        f"<d:TidsstempelDatoTid>{EARLY}</d:TidsstempelDatoTid>", "<d:GraenseIndikator>true</d:GraenseIndikator>"
    )
    record, _page = one(at(make.sag(steps=always)), make)
    assert isinstance(record, hub.CaseRecord)
    assert (record.state, record.opened) == (hub.State.APPLIED, None)


def test_case_registered_ahead_of_time_is_told(at: Adapting, make: Any) -> None:
    record, _page = one(at(make.sag(steps=make.step("Opstaaet", SOON), parts=make.part(since=SOON))), make)
    assert isinstance(record, hub.CaseRecord)
    assert record.opened == date(2026, 3, 20)


def test_what_has_ended_does_not_hold(at: Adapting, make: Any) -> None:
    record, _page = one(at(make.sag(classes=make.klasse(until=PAST))), make)
    assert isinstance(record, hub.Unreadable)
    assert "Primær klasse that holds" in record.reason


def test_secrecy_counts_before_it_begins_and_until_it_ends(at: Adapting, make: Any, clock: SetClock) -> None:
    held = make.properties(exempt=True, since=SOON)
    assert isinstance(one(at(make.sag(properties=held)), make)[0], hub.Gone)
    adapter = at(make.sag(properties=make.properties(exempt=True, until=SOON)))
    record, page = one(adapter, make)
    assert isinstance(record, hub.Gone)
    clock.set(datetime(2026, 3, 20, tzinfo=UTC))
    assert isinstance(one(adapter, make, page.cursor)[0], hub.CaseRecord)


def test_clock_behind_the_index_is_put_right(at: Adapting, make: Any, clock: SetClock) -> None:
    """What began when it was registered holds, though our own clock is slow."""
    clock.set(datetime(2020, 1, 1, tzinfo=UTC))
    actors = make.actor("Gammel Rådgiver", until=PAST) + make.actor("Ny Rådgiver", since=PAST)
    record, _page = one(at(make.sag(actors=actors)), make)
    assert isinstance(record, hub.CaseRecord)
    assert record.adviser is not None
    assert record.adviser.name == "Ny Rådgiver"


def test_of_several_registrations_the_newest_counts_whatever_it_leaves_out(at: Adapting, make: Any) -> None:
    old = make.registration(time="2026-02-10T00:00:00Z", actors=make.actor())
    new = make.registration(time="2026-02-11T00:00:00Z")
    record, _page = one(at(make.sag(new, old)), make)
    assert isinstance(record, hub.CaseRecord)
    assert (record.adviser, record.changed) == (None, datetime(2026, 2, 11, tzinfo=UTC))


_DAYS = st.integers(0, 400)


@given(times=st.lists(st.tuples(_DAYS, st.none() | _DAYS), min_size=1, max_size=6), today=_DAYS)
def test_of_relations_with_one_role_the_newest_that_holds(times: list[tuple[int, int | None]], today: int) -> None:
    """Else the first to come; else none."""
    from_day = datetime(2024, 1, 1, tzinfo=UTC)

    def when(day: int) -> str:
        return f"<d:TidsstempelDatoTid>{(from_day + timedelta(days=day)).isoformat()}</d:TidsstempelDatoTid>"

    parts = "".join(
        "<Sagspart><g:Virkning><d:FraTidspunkt>"
        + when(since)
        + "</d:FraTidspunkt><d:TilTidspunkt>"
        + ("<d:GraenseIndikator>true</d:GraenseIndikator>" if until is None else when(until))
        + "</d:TilTidspunkt></g:Virkning><g:Rolle><d:UUIDIdentifikator>d839f26a-d4d1-4441-b2d6-3dbbb12a9404"
        f"</d:UUIDIdentifikator></g:Rolle><g:ReferenceID><d:URNIdentifikator>urn:oio:cpr-nr:{since:010}"
        "</d:URNIdentifikator></g:ReferenceID></Sagspart>"
        for since, until in times
    )
    element = etree.fromstring(
        '<Sag xmlns="urn:oio:sts:sagdok:sag:6" xmlns:d="urn:oio:sagdok:3.0.0"'
        ' xmlns:g="urn:oio:sts:generelledefinitioner:6"><Registrering><RelationListe>'
        f"{parts}</RelationListe></Registrering></Sag>"
    )
    lasting = [since for since, until in times if until is None or until > today]
    expected = max((since for since in lasting if since <= today), default=min(lasting, default=None))
    settings = SofSettings.model_validate({"url": "http://localhost/"})
    sag = Sag(element, settings, from_day + timedelta(days=today))
    assert sag.person == (None if expected is None else f"{expected:010}")
    later = [day for each in times for day in each if day is not None and day > today]
    assert sag.due == (from_day + timedelta(days=min(later)) if later else None)
