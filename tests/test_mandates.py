"""Mandates: who may give one and to whom, who hears by it, what a representative says, and that it ends at once."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import delete, select, text

from hub import NotAllowed, PersonRecord, consents, family, mandates, reconcile, registration, rights
from hub.access import log
from hub.access.askers import asker_key, day_key
from hub.access.log import Asker
from hub.cases import custody, hearing, transition
from hub.cases.numbers import Changes, renumber
from hub.clock import today
from hub.identity import parse
from hub.letters.compose import compose_due
from hub.letters.delivery import deliver
from hub.letters.frozen import open_content
from hub.letters.templates import Templates
from hub.store import tables
from hub.store.people import open_key
from hub.vault import unseal_json

pytestmark = pytest.mark.slow

KARLA, YOUNG, EIGHTEEN = "0311164234", "0505104005", "0311084003"
"""Born 2016 and 2010, and one who turns 18 on 3 November 2026, the day after the tests begin."""
MOTHER, FATHER, RITA, OTHER = "0101804001", "0101804002", "0101754100", "0101754101"
SOF = Asker("s-1", "Sanne Toft", "staff", "SOF")


def given(principal: Any = None, number: str = RITA, **more: Any) -> mandates.Mandate:
    values = {"instead": False, "past_18": False, "until": None, "evidence": "J-1"} | more
    return mandates.Mandate(principal, parse(number), values.pop("name", "Rita Repræsentant"), **values)


def give(world: Any, child: str = KARLA, principal: str | None = MOTHER, **more: Any) -> Any:
    whose = world.guardian(principal) if principal is not None else None
    mandates.give(world.ctx, world.child(child), given(whose, **more), SOF)
    return next(iter(lasting(world)))


def lasting(world: Any) -> list[Any]:
    mine = (tables.Hears.capacity == "representative", tables.Hears.holds(today(world.clock)))
    return [row.id for row in world.rows(tables.Hears, *mine)]


def heard_by(world: Any, child: str = KARLA) -> set[str]:
    """The numbers of those who hear of a child today."""
    numbers = (MOTHER, FATHER, RITA, OTHER, YOUNG, EIGHTEEN)
    known = {world.guardian(number): number for number in numbers if has(world, number)}
    with world.session() as session:
        found = hearing.of_children(session, [world.child(child)], today(world.clock))
    return {known[person] for person in found.get(world.child(child), [])}


def has(world: Any, number: str) -> bool:
    return bool(world.rows(tables.Guardian, tables.Guardian.token == world.ctx.keys.lookup_token(number)))


def waits_for(world: Any, number: str) -> set[str]:
    """The kinds of what waits for a letter to somebody."""
    mine = (tables.Event.guardian_id == world.guardian(number), tables.Event.bundle_id.is_not(None))
    return {row.kind for row in world.rows(tables.Event, *mine)}


@pytest.fixture
def joint(world: Any) -> Any:
    """Karla, with a coordinator; both her parents have custody. And a young person, of the mother alone."""
    world.accepted(KARLA, guardians=(MOTHER, FATHER))
    world.accepted(YOUNG, guardians=(MOTHER,))
    return world


class TestGive:
    def test_is_sealed_kept_with_its_proof_and_in_the_log(self, joint: Any) -> None:
        row = joint.rows(tables.Hears, tables.Hears.id == give(joint))[0]
        assert (row.principal_id, row.instead, row.since) == (joint.guardian(MOTHER), False, today(joint.clock))
        with joint.session() as session:
            key = open_key(session, joint.ctx.keys, session.get_one(tables.Child, joint.child(KARLA)).key_id)
            assert unseal_json(key, row.sealed, f"hears:{row.id}") == {"evidence": "J-1"}
            entry = max(joint.rows(tables.LogEntry), key=lambda each: each.seq)
            said = unseal_json(key, entry.subject, f"log-subject:{entry.id}")
            asker = unseal_json(
                open_key(session, joint.ctx.keys, entry.asker_key), entry.asker, f"log-asker:{entry.id}"
            )
        assert (entry.kind, entry.child_id, said["mandate"]) == ("mandate", joint.child(KARLA), "given")
        assert asker["name"] == "Sanne Toft"

    def test_a_second_between_the_same_two_takes_the_place_of_the_first(self, joint: Any) -> None:
        first = give(joint)
        second = give(joint, instead=True)
        assert lasting(joint) == [second] != [first]

    @pytest.mark.parametrize(
        ("principal", "more", "why"),
        [
            (FATHER, {"number": FATHER}, "their own"),
            (FATHER, {"number": "0311104234"}, "adult"),
            (FATHER, {"past_18": True}, "own mandate"),
            (FATHER, {"until": date(2026, 11, 2)}, "over"),
            (FATHER, {"name": " "}, "name"),
            (FATHER, {"name": "x" * 101}, "name"),
            (None, {}, "15"),
        ],
    )
    def test_what_is_no_mandate_is_refused(self, joint: Any, principal: str | None, more: Any, why: str) -> None:
        with pytest.raises(NotAllowed, match=why):
            give(joint, KARLA, principal, **more)
        assert lasting(joint) == []

    def test_only_whoever_has_custody_today_gives_one(self, joint: Any) -> None:
        with pytest.raises(NotAllowed, match="custody"):
            give(joint, YOUNG, FATHER)

    def test_nobody_gives_one_when_the_child_is_18(self, world: Any) -> None:
        world.accepted(EIGHTEEN)
        world.clock.move(timedelta(days=1))
        with pytest.raises(NotAllowed, match="18"):
            give(world, EIGHTEEN, MOTHER)


class TestHears:
    def test_also_or_instead_and_only_in_place_of_whose_it_is(self, joint: Any) -> None:
        give(joint, KARLA, FATHER)
        assert heard_by(joint) == {MOTHER, FATHER, RITA}
        give(joint, KARLA, FATHER, instead=True)
        assert heard_by(joint) == {MOTHER, RITA}
        assert heard_by(joint, YOUNG) == {MOTHER, YOUNG}

    def test_in_place_of_the_young_person_alone(self, joint: Any) -> None:
        give(joint, YOUNG, None, instead=True)
        assert heard_by(joint, YOUNG) == {MOTHER, RITA}

    def test_what_waits_moves_with_it_and_back(self, joint: Any) -> None:
        assert waits_for(joint, FATHER) == {"offered", "assigned"}
        mandate = give(joint, KARLA, FATHER, instead=True)
        assert (waits_for(joint, FATHER), waits_for(joint, RITA)) == (set(), {"offered", "assigned"})
        mandates.take_back(joint.ctx, mandate, joint.child(KARLA), SOF)
        assert (waits_for(joint, FATHER), waits_for(joint, RITA)) == ({"offered", "assigned"}, set())
        mandates.take_back(joint.ctx, mandate, joint.child(KARLA), SOF)  # twice is once

    def test_a_letter_ready_for_a_guardian_leaves_and_one_ready_for_a_former_representative_does_not(
        self, joint: Any
    ) -> None:
        def ready() -> list[Any]:
            with joint.ctx.database.begin() as session:
                session.execute(text("UPDATE bundle SET due_at = '2000-01-01' WHERE composed_at IS NULL"))
            compose_due(joint.ctx, Templates())
            return list(joint.rows(tables.Letter, tables.Letter.state == "frozen"))

        ready()
        mandate = give(joint, KARLA, FATHER)
        joint.night()
        (theirs,) = [row for row in ready() if row.guardian_id == joint.guardian(RITA)]
        mandates.take_back(joint.ctx, mandate, joint.child(KARLA), SOF)
        states = {row.guardian_id: deliver(joint.ctx, row.id) for row in joint.rows(tables.Letter)}
        assert states[joint.guardian(FATHER)] == "sent"
        assert states[theirs.guardian_id] == "withheld"
        why = {row.why_not for row in joint.rows(tables.Event, tables.Event.guardian_id == joint.guardian(RITA))}
        ready()
        assert [row.guardian_id for row in ready()] == []
        assert why == {None}

    def test_it_ends_with_the_custody_it_stands_on(self, joint: Any) -> None:
        give(joint, KARLA, FATHER)
        joint.custody(KARLA, FATHER, until=date(2026, 11, 2))
        custody.read_custody(joint.ctx, {joint.child(KARLA)})
        assert heard_by(joint) == {MOTHER}

    def test_and_on_its_last_day(self, joint: Any) -> None:
        give(joint, KARLA, FATHER, until=date(2026, 11, 4))
        joint.clock.move(timedelta(days=1))
        assert RITA in heard_by(joint)
        joint.clock.move(timedelta(days=1))
        assert RITA not in heard_by(joint)

    def test_past_18_the_scheme_goes_on_until_it_is_over(self, world: Any) -> None:
        world.accepted(EIGHTEEN, guardians=(MOTHER,))
        give(world, EIGHTEEN, None, past_18=True, until=date(2026, 12, 1))
        world.clock.move(timedelta(days=1))
        assert family.come_of_age(world.ctx) == 0
        world.clock.move(timedelta(days=40))
        assert family.come_of_age(world.ctx) == 1
        assert [row.state for row in world.rows(tables.Offer)] == ["grown"]

    @pytest.mark.parametrize("past_18", [True, False])
    def test_at_18_the_young_persons_letter_alone_says_whether_the_coordinator_stays(self, world: Any, past_18) -> None:
        world.accepted(EIGHTEEN, guardians=(MOTHER,))
        world.night()
        give(world, EIGHTEEN, None, past_18=past_18)
        transition.remind(world.ctx)
        with world.ctx.database.begin() as session:
            session.execute(text("UPDATE bundle SET due_at = opened_at"))
        compose_due(world.ctx, Templates())
        told = {}
        with world.session() as session:
            for row in session.execute(select(tables.Letter)).scalars():
                content = open_content(session, world.ctx.keys, row)["fragment"]
                told[row.guardian_id] = told.get(row.guardian_id, "") + content
        assert ("har du stadig din koordinator" in told[world.guardian(EIGHTEEN)]) == past_18
        assert ("Derfor stopper koordinatoren" in told[world.guardian(EIGHTEEN)]) != past_18
        assert "voksen og bestemmer selv" in told[world.guardian(MOTHER)]
        assert "stopper koordinatoren" not in told[world.guardian(MOTHER)]

    def test_the_mandate_goes_on_with_the_childs_other_row(self, joint: Any) -> None:
        give(joint, KARLA, FATHER)
        other = "0311164242"
        joint.present(other)
        joint.custody(other, FATHER)
        joint.night()
        goes = joint.child(other)
        mandate = lasting(joint)[0]
        with joint.ctx.database.begin() as session:
            changes = Changes()
            stays = renumber(joint.ctx, session, joint.child(KARLA), parse(other), changes)
            log.append(session, changes.entries)
        row = joint.rows(tables.Hears, tables.Hears.id == mandate)[0]
        assert (row.child_id, stays) == (joint.child(other), joint.child(other)) != (goes, goes)
        with joint.session() as session:
            key = open_key(session, joint.ctx.keys, session.get_one(tables.Child, row.child_id).key_id)
        assert unseal_json(key, row.sealed, f"hears:{row.id}") == {"evidence": "J-1"}


class TestYoung:
    def test_their_row_follows_name_and_number(self, joint: Any) -> None:
        joint.cpr.put(PersonRecord(YOUNG, YOUNG, name="Noor Dam"))
        joint.night()
        joint.night()
        assert self.fields(joint, YOUNG) == {"cpr": YOUNG, "name": "Noor Dam", "protected": False, "digital_post": None}
        before, new = joint.guardian(YOUNG), "0505104021"
        joint.present(new)
        joint.custody(new, MOTHER)
        joint.cpr.put(PersonRecord(YOUNG, YOUNG, current=new, name="Noor Dam"))
        custody.read_custody(joint.ctx, {joint.child(YOUNG)})
        joint.night()
        assert joint.guardian(new) == before
        assert self.fields(joint, new)["cpr"] == new
        assert len(joint.rows(tables.Hears)) == 1

    def fields(self, world: Any, number: str) -> dict[str, Any]:
        with world.session() as session:
            row = session.get_one(tables.Guardian, world.guardian(number))
            return unseal_json(open_key(session, world.ctx.keys, row.key_id), row.sealed, f"guardian:{row.id}")

    def test_a_young_parent_is_still_the_guardian_they_are(self, world: Any) -> None:
        """Of 16, with custody of a child, and offered a coordinator themselves."""
        world.accepted(KARLA, guardians=(YOUNG,))
        world.accepted(YOUNG, guardians=(MOTHER,))
        assert heard_by(world) == {YOUNG}
        assert heard_by(world, YOUNG) == {MOTHER, YOUNG}
        with world.session() as session:
            heard = hearing.of_persons(session, [world.guardian(YOUNG)], today(world.clock))
        assert heard == {world.guardian(YOUNG): {world.child(KARLA): "guardian", world.child(YOUNG): "young"}}


class TestSpeaks:
    """Staff write down what a representative says, in the say of the one whose mandate it is."""

    def origin(self, world: Any, child: str) -> registration.Origin:
        with world.ctx.database.begin() as session:
            entry = log.seal_entry(
                at=world.clock.now(), kind="lookup", child_id=world.child(child), asker=SOF,
                asker_key=asker_key(session, world.ctx.keys, SOF), subject={},
                subject_key=day_key(session, world.ctx.keys, today(world.clock)),
            )  # fmt: skip
            log.append(session, [entry])
        return registration.Origin("lookup", entry.id)

    def test_the_form_names_them_and_whose_the_mandate_is(self, joint: Any) -> None:
        mandate = give(joint, KARLA, FATHER, instead=True)
        form = registration.open_form(joint.ctx, SOF, self.origin(joint, KARLA)).value
        assert form is not None
        assert form.mandates == (
            registration.FormMandate(
                mandate, "Rita Repræsentant", joint.guardian(RITA), joint.guardian(FATHER), True, False, None
            ),
        )

    def test_a_withdrawal_counts_as_the_principals(self, joint: Any) -> None:
        mandate, place = give(joint, KARLA, FATHER), self.origin(joint, KARLA)
        registration.register(joint.ctx, SOF, place, None, "withdrawn", "phone", "J-2", mandate_id=mandate)
        (row,) = joint.rows(tables.Acceptance, tables.Acceptance.answer == "withdrawn")
        assert (row.capacity, row.guardian_id) == ("representative", joint.guardian(FATHER))

    def test_what_one_parents_representative_closes_no_other_representative_opens(self, joint: Any) -> None:
        """Nor swallows; and the parent whose say it is can open it again, also when the mandate is over."""
        place = self.origin(joint, KARLA)
        mandate = {MOTHER: give(joint, KARLA, MOTHER)}
        mandates.give(joint.ctx, joint.child(KARLA), given(joint.guardian(FATHER), OTHER), SOF)
        mandate[FATHER] = next(each for each in lasting(joint) if each != mandate[MOTHER])

        def say(whose: str, what: str) -> None:
            told = registration.Told(None, "phone", "t", "da", mandate[whose])
            registration.choose(joint.ctx, SOF, place, what, "BUF", told, "J-2")

        def closed() -> set[UUID | None]:
            return {row.guardian_id for row in joint.rows(tables.Block, tables.Block.lifted_at.is_(None))}

        say(MOTHER, "close")
        say(FATHER, "close")
        assert closed() == {joint.guardian(MOTHER), joint.guardian(FATHER)}
        say(FATHER, "open")
        assert closed() == {joint.guardian(MOTHER)}
        say(FATHER, "open")
        assert closed() == {joint.guardian(MOTHER)}
        mandates.take_back(joint.ctx, mandate[MOTHER], joint.child(KARLA), SOF)
        mother = consents.Speaker("guardian", "page", "t", "da", joint.guardian(MOTHER))
        consents.open_again(joint.ctx, joint.child(KARLA), "BUF", mother)
        assert closed() == set()

    def test_by_a_guardians_mandate_nobody_consents_for_a_young_person(self, joint: Any) -> None:
        place = self.origin(joint, YOUNG)
        mothers = give(joint, YOUNG, MOTHER)
        told = registration.Told(None, "phone", "t", "da", mothers)
        with pytest.raises(NotAllowed, match="15"):
            registration.choose(joint.ctx, SOF, place, "consent", "SUF", told, "J-2")
        registration.choose(joint.ctx, SOF, place, "close", "BUF", told, "J-2")
        mandates.give(joint.ctx, joint.child(YOUNG), given(None, OTHER), SOF)
        own = next(each for each in lasting(joint) if each != mothers)
        registration.choose(joint.ctx, SOF, place, "consent", "SUF", replace(told, mandate_id=own), "J-3")
        assert [row.capacity for row in joint.rows(tables.Consent, tables.Consent.child_id == joint.child(YOUNG))] == [
            "representative"
        ]

    @pytest.mark.parametrize("who", ["guardian", "young", "representative"])
    def test_an_objection_is_the_task_that_the_page_makes(self, joint: Any, who: str) -> None:
        mandate = give(joint, YOUNG, MOTHER) if who == "representative" else None
        guardian = joint.guardian(MOTHER) if who == "guardian" else None
        registration.object_(joint.ctx, SOF, self.origin(joint, YOUNG), guardian, "phone", "J-4", mandate_id=mandate)
        (task,) = joint.rows(tables.Task, tables.Task.kind == rights.OBJECTION)
        assert task.staff_id == joint.rows(tables.Assignment)[0].coordinator_id
        (request,) = joint.rows(tables.RightsRequest)
        whose = {"guardian": MOTHER, "young": YOUNG, "representative": RITA}[who]
        assert request.guardian_id == joint.guardian(whose)

    def test_a_mandate_of_another_child_or_one_taken_back_says_nothing(self, joint: Any) -> None:
        mandate = give(joint, KARLA, FATHER)
        with pytest.raises(NotAllowed, match="no such mandate"):
            registration.register(
                joint.ctx, SOF, self.origin(joint, YOUNG), None, "withdrawn", "phone", "J", mandate_id=mandate
            )
        mandates.take_back(joint.ctx, mandate, joint.child(KARLA), SOF)
        with pytest.raises(NotAllowed, match="no such mandate"):
            registration.register(
                joint.ctx, SOF, self.origin(joint, KARLA), None, "withdrawn", "phone", "J", mandate_id=mandate
            )


def test_mandates_and_a_young_persons_answer_come_back_after_a_restore(world: Any, tmp_path: Any) -> None:
    folder = tmp_path / "journal"
    folder.mkdir()
    world.coordinators()
    world.present(YOUNG)
    world.custody(YOUNG, MOTHER)
    world.night()
    ctx = world.ctx = replace(world.ctx, settings=world.ctx.settings.model_copy(update={"journal": folder}))
    place = world.rows(tables.Offer)[0].coordinator_id
    ended = give(world, YOUNG, MOTHER, instead=True)
    mandates.take_back(ctx, ended, world.child(YOUNG), SOF)
    kept = give(world, YOUNG, None, until=date(2027, 1, 1), past_18=True)
    family.accept(ctx, world.child(YOUNG), family.Answerer(None, "page", "t"))
    for secret in (RITA, "Repræsentant", "J-1"):
        assert secret.encode() not in next(folder.iterdir()).read_bytes()
    with ctx.database.begin() as session:  # as it was before
        session.execute(delete(tables.Hears).where(tables.Hears.capacity == "representative"))
        for table in (tables.Acceptance, tables.Consent, tables.Assignment):
            session.execute(delete(table))
        offer = session.query(tables.Offer).one()
        offer.state, offer.coordinator_id, offer.answered_at = "offered", place, None
        session.add(tables.Sender(id=1, place="x", since=ctx.clock.now() - timedelta(hours=1)))
    result = reconcile.reconcile(ctx, folder)
    assert (result.answers, result.lost) == (4, [])
    assert [row.state for row in world.rows(tables.Offer)] == ["accepted"]
    assert {row.id: row.ended_at is None for row in world.rows(tables.Hears, tables.Hears.capacity != "young")} == {
        ended: False,
        kept: True,
    }
    assert reconcile.reconcile(ctx, folder).answers == 0, "doing it again changes nothing"
