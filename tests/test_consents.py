"""Consent to health data, blocks and objections: who may say it, what it ends, and that it is obeyed at once."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from hub import NotAllowed, State, consents, family, mandates, reconcile, rights
from hub.access.askers import KeyCache
from hub.access.log import Asker
from hub.access.lookup import LookupQueue, Request
from hub.cases import health, match
from hub.cases.numbers import Changes, renumber
from hub.cases.sync import sync
from hub.identity import parse
from hub.store import home, tables
from hub.store.people import open_key
from hub.vault import unseal_json

KARLA, YOUNG = "0311164234", "0505104005"
"""Born 2016 and 2010."""
MOTHER, FATHER = "0101804001", "0101804002"
SOF, SUF = Asker("s-1", "Sanne Toft", "staff", "SOF"), Asker("s-3", "Sara Friis", "staff", "SUF")
REASON = "Skolen kan ikke få fat i dem"


@pytest.fixture
def apart(world: Any) -> Any:
    """A family in the scheme, of whom consent is asked apart from the yes."""
    access = world.ctx.settings.access.model_copy(update={"health_consent": "apart"})
    world.ctx = replace(world.ctx, settings=world.ctx.settings.model_copy(update={"access": access}))
    world.accepted(KARLA, guardians=(MOTHER, FATHER))
    return world


def speaker(world: Any, guardian: str = MOTHER, **more: Any) -> consents.Speaker:
    return consents.Speaker("guardian", "page", "consent/1", "da", world.guardian(guardian), **more)


def suf_cases(world: Any, child: str = KARLA) -> list[Any]:
    return list(
        world.rows(tables.Case, tables.Case.child_id == world.child(child), tables.Case.administration == "SUF")
    )


def shown(world: Any, asker: Asker, child: str = KARLA, reason: str | None = None) -> bool:
    async def ask() -> bool:
        queue = LookupQueue(world.ctx, KeyCache(world.ctx.database, world.ctx.keys, world.ctx.clock))
        writer = asyncio.create_task(queue.run())
        try:
            found = await queue.ask(Request(asker, world.ctx.keys.lookup_token(child), "case", reason))
            return found.value.coordinator is not None
        finally:
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)

    return asyncio.run(ask())


def said(world: Any) -> list[dict[str, Any]]:
    """What the log's newest entries about consents and blocks say, oldest first."""
    found = []
    for row in sorted(world.rows(tables.LogEntry), key=lambda row: row.seq):
        if row.kind in ("consent", "block"):
            with world.ctx.database.begin() as session:
                key = open_key(session, world.ctx.keys, row.subject_key)
            found.append(unseal_json(key, row.subject, f"log-subject:{row.id}"))
    return found


class TestHealth:
    def test_without_consent_no_case_of_health_is_asked_for_nor_kept(self, apart: Any) -> None:
        apart.case(apart.suf, "h1", KARLA)
        apart.case(apart.sof, "s1", KARLA)
        sync(apart.ctx)
        assert suf_cases(apart) == []
        assert apart.suf.asked == []
        assert len(apart.rows(tables.Case)) == 1
        assert not shown(apart, SUF)

    def test_with_consent_they_are_read_and_are_a_basis(self, apart: Any) -> None:
        apart.case(apart.suf, "h1", KARLA)
        consents.give(apart.ctx, apart.child(KARLA), "SUF", speaker(apart))
        sync(apart.ctx)
        assert len(suf_cases(apart)) == 1
        assert shown(apart, SUF)

    def test_what_is_taken_back_is_forgotten_in_the_same_transaction(self, apart: Any) -> None:
        apart.case(apart.suf, "h1", KARLA, State.APPLIED)
        apart.case(apart.sof, "s1", KARLA)
        consents.give(apart.ctx, apart.child(KARLA), "SUF", speaker(apart))
        sync(apart.ctx)
        apart.case(apart.suf, "h1", KARLA, State.DECIDED)
        sync(apart.ctx)
        assert [event.why_not for event in apart.events("decided")] == [None, None]  # one for each guardian, waiting
        assert [event.guardian_id for event in apart.events("consent_given")] == [apart.guardian(MOTHER)]
        consents.take_back(apart.ctx, apart.child(KARLA), "SUF", speaker(apart, FATHER))  # anybody's no
        assert suf_cases(apart) == []
        assert len(apart.rows(tables.Case)) == 1
        assert {event.why_not for event in apart.events("decided")} == {health.NO_CONSENT}
        (told,) = apart.events("consent_withdrawn")  # of whoever said so, and nobody else
        assert (told.guardian_id, told.administration, told.why_not) == (apart.guardian(FATHER), "SUF", None)
        assert not shown(apart, SUF)
        sync(apart.ctx)
        assert suf_cases(apart) == []
        assert [each["answer"] for each in said(apart)] == ["given", "withdrawn"]

    def test_a_page_that_comes_after_the_no_brings_nothing_back(self, apart: Any) -> None:
        apart.case(apart.suf, "h1", KARLA)
        consents.give(apart.ctx, apart.child(KARLA), "SUF", speaker(apart))
        read = apart.suf.read

        def late(since: Any, children: Any) -> Any:
            consents.take_back(apart.ctx, apart.child(KARLA), "SUF", speaker(apart))
            yield from read(since, children)

        apart.suf.read = late
        sync(apart.ctx, ["suf"])
        assert suf_cases(apart) == []

    def test_consent_that_has_run_out_ends_what_was_read_by_it(self, apart: Any) -> None:
        apart.case(apart.suf, "h1", KARLA)
        until = apart.clock.now() + timedelta(days=30)
        consents.give(apart.ctx, apart.child(KARLA), "SUF", speaker(apart), until)
        sync(apart.ctx)
        assert consents.run_out(apart.ctx) == 0
        apart.clock.move(timedelta(days=30))
        assert not shown(apart, SUF)
        assert consents.run_out(apart.ctx) == 1
        assert suf_cases(apart) == []
        assert said(apart)[-1]["answer"] == "run out"

    def test_consent_with_the_yes_goes_with_the_yes(self, world: Any) -> None:
        world.accepted(KARLA, guardians=(MOTHER,))
        world.case(world.suf, "h1", KARLA)
        sync(world.ctx)
        assert len(suf_cases(world)) == 1
        family.withdraw(world.ctx, world.child(KARLA), world.by(MOTHER))
        assert [row.withdrawn_at for row in world.rows(tables.Consent)] == [world.clock.now()]

    def test_without_a_named_ground_not_even_presence_is_read(self, world: Any) -> None:
        access = world.ctx.settings.access.model_copy(update={"health_presence": " "})
        ctx = replace(world.ctx, settings=world.ctx.settings.model_copy(update={"access": access}))
        world.present(KARLA, world.sof, world.suf)
        match.match(ctx)
        assert {row.source for row in world.rows(tables.Presence)} == {"sof"}
        match.match(world.ctx)
        assert {row.source for row in world.rows(tables.Presence)} == {"sof", "suf"}
        assert [row.eligible for row in world.rows(tables.Child)] == [True]
        match.match(ctx)  # the ground is taken away: what was read by it is gone
        assert {row.source for row in world.rows(tables.Presence)} == {"sof"}
        assert [row.eligible for row in world.rows(tables.Child)] == [False]
        match.match(world.ctx)
        assert [row.eligible for row in world.rows(tables.Child)] == [True]

    def test_a_consent_holds_through_its_last_day_in_danish_time(self, apart: Any) -> None:
        last = date(2026, 12, 3)
        consents.give(apart.ctx, apart.child(KARLA), "SUF", speaker(apart), consents.through(last))
        [row] = apart.rows(tables.Consent)
        assert row.until == datetime(2026, 12, 3, 23, 0, tzinfo=UTC)
        assert consents.last_day(row.until) == last
        with pytest.raises(NotAllowed, match="over already"):
            consents.give(apart.ctx, apart.child(KARLA), "SUF", speaker(apart), apart.clock.now())


class TestWhoMaySay:
    def test_given_twice_is_given_once(self, apart: Any) -> None:
        for _time in range(2):
            consents.give(apart.ctx, apart.child(KARLA), "SUF", speaker(apart))
            consents.close(apart.ctx, apart.child(KARLA), "BUF", speaker(apart))
        assert (len(apart.rows(tables.Consent)), len(apart.rows(tables.Block)), len(said(apart))) == (1, 1, 2)

    @pytest.mark.parametrize(
        ("change", "why"),
        [
            ({"guardian_id": None}, "is named where a guardian speaks"),
            ({"guardian_id": uuid4()}, "custody"),
            ({"capacity": "young"}, "nowhere else"),
            ({"capacity": "young", "guardian_id": None}, "from 15"),
            ({"capacity": "representative", "guardian_id": None, "representative": "Bo Lind"}, "mandate"),
            ({"how": "phone"}, "registered"),
        ],
    )
    def test_who_has_no_say(self, apart: Any, change: dict[str, Any], why: str) -> None:
        by = replace(speaker(apart), **change)
        for act in (consents.give, consents.take_back, consents.close, consents.open_again):
            with pytest.raises(NotAllowed, match=why):
                act(apart.ctx, apart.child(KARLA), "SUF", by)
        assert apart.rows(tables.Consent) == apart.rows(tables.Block) == []

    def test_without_custody_today_there_is_no_say(self, apart: Any) -> None:
        with apart.ctx.database.begin() as session:
            for row in session.query(tables.Custody):
                row.until = apart.clock.now().date()
        with pytest.raises(NotAllowed, match="custody"):
            consents.close(apart.ctx, apart.child(KARLA), "SOF", speaker(apart))

    def test_from_15_the_young_person_consents_and_closes(self, apart: Any) -> None:
        apart.accepted(YOUNG, guardians=(MOTHER,))
        child = apart.child(YOUNG)
        with pytest.raises(NotAllowed, match="from 15"):
            consents.give(apart.ctx, child, "SUF", speaker(apart))
        own = consents.Speaker("young", "page", "consent/1", "da")
        consents.give(apart.ctx, child, "SUF", own)
        consents.close(apart.ctx, child, "SOF", own)
        assert not shown(apart, SOF, YOUNG, REASON)
        consents.open_again(apart.ctx, child, "SOF", own)
        assert shown(apart, SOF, YOUNG, REASON)

    def test_a_representative_is_registered_with_name_and_mandate_sealed(self, apart: Any) -> None:
        by = consents.Speaker(
            "representative", "paper", "c/1", "da", representative="Bo Lind", evidence="Sag 17", registered_by=SOF
        )
        with apart.ctx.database.begin() as session:
            consents.uphold(apart.ctx, session, apart.child(KARLA), "SUF", by)
        [row] = apart.rows(tables.Block)
        assert (row.kind, row.capacity, row.guardian_id, row.registered_by is not None) == (
            "objection",
            "representative",
            None,
            True,
        )
        assert b"Lind" not in row.sealed
        with apart.ctx.database.begin() as session:
            key = open_key(session, apart.ctx.keys, session.get_one(tables.Child, row.child_id).key_id)
        opened = unseal_json(key, row.sealed, f"block:{row.id}")
        assert opened == {"evidence": "Sag 17", "representative": "Bo Lind"}

    def test_only_administrations_there_are_and_health_where_it_is(self, apart: Any) -> None:
        with pytest.raises(NotAllowed, match="no administration XYZ"):
            consents.close(apart.ctx, apart.child(KARLA), "XYZ", speaker(apart))
        with pytest.raises(NotAllowed, match="does not name SOF"):
            consents.give(apart.ctx, apart.child(KARLA), "SOF", speaker(apart))


class TestClosing:
    def test_a_closed_administration_sees_nothing_and_the_others_do(self, apart: Any) -> None:
        child = apart.child(KARLA)
        consents.close(apart.ctx, child, "SOF", speaker(apart))
        buf = replace(SOF, id="s-2", administration="BUF")
        assert not shown(apart, SOF, reason=REASON)
        assert shown(apart, buf, reason=REASON)
        for unknown in (None, "Socialforvaltningen", "sof"):
            assert not shown(apart, replace(SOF, administration=unknown), reason=REASON), unknown
        coordinator = Asker("k0", "Koordinator 0", "coordinator")
        assert shown(apart, coordinator)  # of no administration, and the family's own

    def test_what_both_have_closed_is_open_when_both_have_opened_it(self, apart: Any) -> None:
        child = apart.child(KARLA)
        for who in (MOTHER, FATHER):
            consents.close(apart.ctx, child, "SOF", speaker(apart, who))
        consents.open_again(apart.ctx, child, "SOF", speaker(apart, FATHER))
        assert not shown(apart, SOF, reason=REASON)
        consents.open_again(apart.ctx, child, "SOF", speaker(apart, MOTHER))
        assert shown(apart, SOF, reason=REASON)
        assert [each["answer"] for each in said(apart)] == ["block", "block", "lifted", "lifted"]

    def test_it_holds_for_the_child_by_its_new_number(self, apart: Any) -> None:
        """Two rows turn out to be one child: what was closed on the one that goes is closed on the one that stays."""
        goes, new = apart.child(KARLA), "0311164242"
        apart.present(new)
        apart.custody(new, MOTHER)
        apart.night()
        consents.close(apart.ctx, apart.child(new), "SOF", speaker(apart))
        gone = apart.child(new)
        with apart.ctx.database.begin() as session:
            changes = Changes()
            renumber(apart.ctx, session, goes, parse(new), changes)
        [row] = apart.rows(tables.Block)
        assert changes.merged == {gone: goes}
        assert row.child_id == goes
        assert not shown(apart, SOF, new, REASON)
        with apart.ctx.database.begin() as session:
            key = open_key(session, apart.ctx.keys, session.get_one(tables.Child, row.child_id).key_id)
        assert unseal_json(key, row.sealed, f"block:{row.id}") == {"evidence": None, "representative": None}


class TestObjecting:
    """GDPR art. 21: a person decides, and what they decide holds from the transaction of the answer."""

    DECIDES = Asker("k0", "Koordinator 0", "coordinator")

    def object_(self, world: Any, who: str = MOTHER, kind: rights.Kind = rights.OBJECTION) -> UUID:
        rights.ask(world.ctx, world.guardian(who), kind, world.child(KARLA), "De skal ikke se det.")
        (task,) = world.rows(tables.Task, tables.Task.kind == kind)
        task_id: UUID = task.id
        return task_id

    def test_one_that_is_upheld_closes_at_once_in_the_name_of_whoever_objected(self, apart: Any) -> None:
        task = self.object_(apart)
        assert shown(apart, SOF, reason=REASON)
        rights.answer(apart.ctx, task, self.DECIDES, "Du har ret.", ["SOF"])
        assert not shown(apart, SOF, reason=REASON)
        [row] = apart.rows(tables.Block)
        assert (row.kind, row.administration, row.capacity) == ("objection", "SOF", "guardian")
        assert row.guardian_id == apart.guardian(MOTHER)
        assert row.registered_by is not None
        [entry] = apart.rows(tables.LogEntry, tables.LogEntry.kind == "block")
        with apart.session() as session:
            decided = unseal_json(
                open_key(session, apart.ctx.keys, entry.asker_key), entry.asker, f"log-asker:{entry.id}"
            )
        assert decided["name"] == "Koordinator 0"
        assert [each["answer"] for each in said(apart)] == ["objection"]
        consents.open_again(apart.ctx, apart.child(KARLA), "SOF", speaker(apart, FATHER))
        assert not shown(apart, SOF, reason=REASON), "it is not the other's to open"
        consents.open_again(apart.ctx, apart.child(KARLA), "SOF", speaker(apart))
        assert shown(apart, SOF, reason=REASON)

    def test_one_that_is_not_upheld_closes_nothing(self, apart: Any) -> None:
        rights.answer(apart.ctx, self.object_(apart), self.DECIDES, "Loven giver dem ret til det.")
        assert apart.rows(tables.Block) == []

    def test_nothing_but_an_objection_closes_and_only_administrations_there_are(self, apart: Any) -> None:
        wrong = self.object_(apart, kind=rights.WRONG)
        with pytest.raises(NotAllowed, match="only an objection"):
            rights.answer(apart.ctx, wrong, self.DECIDES, "Ja.", ["SOF"])
        objection = self.object_(apart)
        with pytest.raises(NotAllowed):
            rights.answer(apart.ctx, objection, self.DECIDES, "Ja.", ["SOF", "XYZ"])
        assert apart.rows(tables.Block) == []
        assert {row.done_at for row in apart.rows(tables.Task, tables.Task.kind.in_(rights.KINDS))} == {None}

    def test_in_the_name_of_nobody_who_has_lost_custody(self, apart: Any) -> None:
        """All or nothing: the answer waits too, until it is given without closing."""
        task = self.object_(apart)
        with apart.ctx.database.begin() as session:
            held = session.get_one(tables.Custody, (apart.child(KARLA), apart.guardian(MOTHER)))
            held.until = apart.clock.now().date()
        with pytest.raises(rights.NoSay):
            rights.answer(apart.ctx, task, self.DECIDES, "Ja.", ["SOF"])
        assert [row.answered_at for row in apart.rows(tables.RightsRequest)] == [None]
        assert apart.rows(tables.Block) == []
        rights.answer(apart.ctx, task, self.DECIDES, "Det er ikke længere dit at sige.")

    def test_a_representatives_is_of_the_one_whose_mandate_it_is(self, apart: Any) -> None:
        given = mandates.Mandate(apart.guardian(MOTHER), parse("0101754100"), "Rita", False, False, None, "J-1")
        mandates.give(apart.ctx, apart.child(KARLA), given, SOF)
        rights.ask(
            apart.ctx,
            apart.guardian("0101754100"),
            rights.OBJECTION,
            apart.child(KARLA),
            "Nej.",
            registered=rights.Registered(SOF, "phone", apart.guardian(MOTHER), apart.guardian("0101754100")),
        )
        (task,) = apart.rows(tables.Task, tables.Task.kind == rights.OBJECTION)
        rights.answer(apart.ctx, task.id, self.DECIDES, "Ja.", ["SOF"])
        [row] = apart.rows(tables.Block)
        assert (row.capacity, row.guardian_id) == ("representative", apart.guardian(MOTHER))
        consents.open_again(apart.ctx, apart.child(KARLA), "SOF", speaker(apart))
        assert shown(apart, SOF, reason=REASON)


def test_what_a_restored_database_has_lost_is_said_again(apart: Any, tmp_path: Path) -> None:
    """All that families gave and closed after the backup, in order; doing it twice changes nothing more."""
    settings = apart.ctx.settings.model_copy(update={"journal": tmp_path})
    ctx, child = replace(apart.ctx, settings=settings), apart.child(KARLA)
    with ctx.database.begin() as session:
        home.check(session, apart.clock.now())
    rights.ask(ctx, apart.guardian(FATHER), rights.OBJECTION, child, "Nej.")
    (task,) = apart.rows(tables.Task, tables.Task.kind == rights.OBJECTION)
    rights.answer(ctx, task.id, Asker("k0", "Koordinator 0", "coordinator"), "Ja.", ["SUF"])
    acts = [(consents.give, "SUF"), (consents.close, "SOF"), (consents.close, "BUF"), (consents.open_again, "BUF")]
    for act, administration in acts:
        apart.clock.move(timedelta(minutes=1))
        act(ctx, child, administration, speaker(apart))
    with ctx.database.begin() as session:
        session.query(tables.Consent).delete()
        session.query(tables.Block).delete()
    for _time in range(2):
        found = reconcile.reconcile(ctx, tmp_path)
        assert found.lost == []
        assert len(said(apart)) == 10  # the five that were, and the five that are said again
        assert [(row.administration, row.withdrawn_at) for row in apart.rows(tables.Consent)] == [("SUF", None)]
        assert {(row.kind, row.administration): row.lifted_at is None for row in apart.rows(tables.Block)} == {
            ("objection", "SUF"): True,
            ("block", "SOF"): True,
            ("block", "BUF"): False,
        }
        assert all(row.registered_by for row in apart.rows(tables.Block, tables.Block.kind == "objection"))
