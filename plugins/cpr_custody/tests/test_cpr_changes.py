"""What changes in CPR as the days go by, as the next read tells it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2 as httpx
import pytest
from lxml import etree
from tovholder_cpr_custody import CprAdapter, CprSettings

import hub
from hub.clock import SetClock
from hub.demo.model import Custody, PersonChange, Town
from hub.demo.servers import cpr

pytestmark = pytest.mark.slow

TODAY, LATER = date(2026, 1, 5), date(2026, 1, 12)
NEW = "0101159995"
"""The number Anna gets."""
Changes = dict[str, tuple[PersonChange, ...]]
Reads = Callable[[set[str]], dict[str, Any]]


@pytest.fixture
def told(town: Town, clock: SetClock, serve: Callable[[Any], str], tmp_path: Path) -> Iterator[Callable[..., Reads]]:
    """Serves the town with changes and custodies of the test's own. Gives a function that reads some children: over
    HTTP, and the same from a folder of the service's answers, which must say the same."""
    made: list[CprAdapter] = []

    def make(changes: Changes | None = None, custody: dict[str, tuple[Custody, ...]] | None = None) -> Reads:
        changed = replace(town, changes=changes or {}, custody={**town.custody, **(custody or {})})
        url = serve(cpr.app(changed, clock))
        numbers = {*town.people, NEW, "0808759995"}
        made.append(CprAdapter(CprSettings(url=url)))

        def read(children: set[str]) -> dict[str, Any]:
            records = [record for page in made[-1].read(None, children) for record in page.records]
            folder = tmp_path / str(clock.now().date())
            folder.mkdir(exist_ok=True)
            for number in numbers:
                save(url, number, folder)
            files = CprAdapter(CprSettings(folder=folder)).read(None, children)
            assert [record for page in files for record in page.records] == records
            return {
                "persons": {r.cpr: r for r in records if isinstance(r, hub.PersonRecord)},
                "guardians": {(r.child_cpr, r.guardian_cpr): r for r in records if isinstance(r, hub.GuardianRecord)},
                "unreadable": [r.reason for r in records if isinstance(r, hub.Unreadable)],
            }

        return read

    yield make
    for adapter in made:
        adapter.close()


def save(url: str, number: str, folder: Path) -> None:
    body = (
        '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body>'
        '<PersonLookupRequest xmlns="http://serviceplatformen.dk/xml/wsdl/soap11/CPR/PersonBaseDataExtended/4/">'
        f'<PNR xmlns="http://serviceplatformen.dk/xml/schemas/cpr/PNR/1/">{number}</PNR>'
        "</PersonLookupRequest></e:Body></e:Envelope>"
    )
    response = httpx.post(url + cpr.PATH, content=body.encode())
    if response.status_code == 200:
        (folder / f"{number}.xml").write_bytes(response.content)


def later(clock: SetClock) -> None:
    clock.move(timedelta(days=7))


class TestNumbers:
    def test_a_childs_new_number_is_told_and_everything_goes_on(
        self, told: Callable[..., Reads], clock: SetClock, who: SimpleNamespace
    ) -> None:
        read = told({who.anna: (PersonChange(LATER, number=NEW),)})
        before = read({who.anna})
        assert before["persons"][who.anna].current == who.anna
        later(clock)
        after = read({who.anna})
        assert after["persons"][who.anna].current == NEW
        assert after["persons"][who.anna].name == "Anna Sofie Prøve"
        assert after["guardians"].keys() == {(who.anna, who.mum), (who.anna, who.dad)}
        assert read({NEW})["guardians"].keys() == {(NEW, who.mum), (NEW, who.dad)}

    def test_who_is_asked_for_by_both_numbers_is_told_by_both(
        self, told: Callable[..., Reads], clock: SetClock, who: SimpleNamespace
    ) -> None:
        read = told({who.anna: (PersonChange(TODAY, number=NEW),)})
        found = read({who.anna, NEW})
        assert {record.current for record in found["persons"].values()} == {NEW}
        assert len(found["guardians"]) == 4

    def test_a_guardians_new_number_is_theirs_whichever_the_child_is_with(
        self, told: Callable[..., Reads], clock: SetClock, who: SimpleNamespace
    ) -> None:
        aunt_now = "0808759995"
        read = told({who.aunt: (PersonChange(LATER, number=aunt_now),)})
        assert read({who.cille})["guardians"].keys() == {(who.cille, who.aunt)}
        later(clock)
        found = read({who.cille})
        assert found["guardians"].keys() == {(who.cille, aunt_now)}
        assert found["guardians"][who.cille, aunt_now].guardian_name == "Tante Ågård"

    def test_persons_alone_tell_it_too(
        self, town: Town, clock: SetClock, serve: Callable[[Any], str], who: SimpleNamespace
    ) -> None:
        changed = replace(town, changes={who.aunt: (PersonChange(TODAY, number="0808759995"),)})
        adapter = CprAdapter(CprSettings(url=serve(cpr.app(changed, clock)), page_size=1))
        pages = list(adapter.persons({who.aunt, who.mum, who.nobody}))
        adapter.close()
        assert [page.complete for page in pages] == [False, False, True]
        records = [record for page in pages for record in page.records]
        now = {record.cpr: record.current for record in records if isinstance(record, hub.PersonRecord)}
        assert now == {who.aunt: "0808759995", who.mum: who.mum}
        assert [record.cpr for record in records if isinstance(record, hub.Unreadable)] == [who.nobody]


class TestLife:
    def test_a_dead_guardian_has_no_custody_after_that_day(
        self, told: Callable[..., Reads], clock: SetClock, who: SimpleNamespace
    ) -> None:
        read = told({who.mum: (PersonChange(LATER, status=90),)})
        assert read({who.anna})["guardians"][who.anna, who.mum].until is None
        later(clock)
        found = read({who.anna})["guardians"]
        assert found[who.anna, who.mum].until == LATER
        assert found[who.anna, who.dad].until is None

    def test_a_dead_child_is_dead(self, told: Callable[..., Reads], clock: SetClock, who: SimpleNamespace) -> None:
        read = told({who.anna: (PersonChange(LATER, status=90),)})
        assert not read({who.anna})["persons"][who.anna].dead
        later(clock)
        assert read({who.anna})["persons"][who.anna].dead

    @pytest.mark.parametrize("status", [70, 80])
    def test_who_has_emigrated_or_disappeared_keeps_custody(
        self, status: int, told: Callable[..., Reads], who: SimpleNamespace
    ) -> None:
        """Custody goes on abroad; whether a letter reaches them is the channel's to say."""
        found = told({who.mum: (PersonChange(TODAY, status=status),)})({who.anna})
        assert found["guardians"][who.anna, who.mum].until is None
        assert found["unreadable"] == []


class TestProtection:
    def test_it_begins_and_ends(self, told: Callable[..., Reads], clock: SetClock, who: SimpleNamespace) -> None:
        begins, ends = LATER, LATER + timedelta(days=7)
        read = told(
            {
                who.dad: (PersonChange(begins, protected=True), PersonChange(ends, protected=False)),
                who.anna: (PersonChange(begins, protected=True), PersonChange(ends, protected=False)),
            }
        )
        seen = []
        for _week in range(3):
            found = read({who.anna})
            seen.append((found["persons"][who.anna].protected, found["guardians"][who.anna, who.dad].protected))
            assert not found["guardians"][who.anna, who.mum].protected
            later(clock)
        assert seen == [(False, False), (True, True), (False, False)]

    def test_names_and_digital_post_are_as_they_are_now(
        self, told: Callable[..., Reads], clock: SetClock, who: SimpleNamespace
    ) -> None:
        changes = {who.dad: (PersonChange(LATER, digital_post=True, last="Nytnavn"),)}
        read = told(changes | {who.mum: (PersonChange(LATER, digital_post=False),)})
        before = read({who.anna})["guardians"]
        later(clock)
        after = read({who.anna})["guardians"]
        assert (before[who.anna, who.dad].digital_post, after[who.anna, who.dad].digital_post) == (False, True)
        assert (before[who.anna, who.mum].digital_post, after[who.anna, who.mum].digital_post) == (True, False)
        assert after[who.anna, who.dad].guardian_name == "Lars Nytnavn"


class TestCustody:
    def test_it_can_begin_and_end_on_days_that_are_known_before(
        self, told: Callable[..., Reads], who: SimpleNamespace
    ) -> None:
        decided = (
            Custody(who.bo, who.lone, "mor", date(2012, 2, 2), until=LATER, told=TODAY),
            Custody(who.bo, who.aunt, "anden", LATER, told=TODAY),
        )
        found = told(custody={who.bo: decided})({who.bo})["guardians"]
        assert (found[who.bo, who.lone].since, found[who.bo, who.lone].until) == (date(2012, 2, 2), LATER)
        assert (found[who.bo, who.aunt].since, found[who.bo, who.aunt].until) == (LATER, None)

    def test_a_child_can_have_two_holders_who_are_no_parents(
        self, told: Callable[..., Reads], who: SimpleNamespace
    ) -> None:
        held = tuple(Custody(who.dan, holder, "anden", TODAY) for holder in (who.aunt, who.lone))
        assert told(custody={who.dan: held})({who.dan})["guardians"].keys() == {
            (who.dan, who.aunt),
            (who.dan, who.lone),
        }

    def test_or_nobody(self, told: Callable[..., Reads], who: SimpleNamespace) -> None:
        found = told(custody={who.dan: ()})({who.dan})
        assert (found["guardians"], found["unreadable"]) == ({}, [])
        assert found["persons"].keys() == {who.dan}


def test_all_of_it_is_valid(
    schema: etree.XMLSchema,
    town: Town,
    clock: SetClock,
    serve: Callable[[Any], str],
    who: SimpleNamespace,
    tmp_path: Path,
) -> None:
    """What the town says of changes is what the real service may say."""
    changes: Changes = {
        who.anna: (PersonChange(TODAY, number=NEW, protected=True), PersonChange(TODAY, protected=False)),
        who.mum: (PersonChange(TODAY, status=90),),
        who.dad: (PersonChange(TODAY, status=80, last="Nytnavn", digital_post=True),),
    }
    held = (Custody(who.bo, who.lone, "mor", date(2012, 2, 2), until=LATER, told=TODAY),)
    changed = replace(town, changes=changes, custody={**town.custody, who.bo: held})
    url = serve(cpr.app(changed, clock))
    for number in (*town.people, NEW):
        save(url, number, tmp_path)
    files = list(tmp_path.glob("*.xml"))
    assert len(files) == len(town.people) + 1
    for file in files:
        envelope = etree.fromstring(file.read_bytes())
        schema.assertValid(etree.fromstring(etree.tostring(envelope[0][0])))
