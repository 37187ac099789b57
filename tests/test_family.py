"""The acts of a family: one transaction each, obeyed by whatever comes after, and in the log."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from threading import Barrier, Thread

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import delete, update

from hub import PersonRecord, StaffRecord, consents, family
from hub.access.log import Asker
from hub.cases import custody, events, kinds
from hub.cases.sync import sync
from hub.coordination import silence
from hub.errors import NotAllowed
from hub.letters.compose import compose_due
from hub.letters.delivery import deliver
from hub.letters.templates import Templates
from hub.store import tables
from hub.store.people import open_key
from hub.vault import unseal_json

KARLA, EMIL = "0311164234", "1405134321"
MOTHER, FATHER, STRANGER = "0101804001", "0101804002", "0101804003"
CLERK = Asker("u-1", "Sanne Toft", "coordinator", None, "Handicap")


@pytest.fixture
def offered(world):
    """Karla, offered a coordinator; her mother has custody, and so has her father."""
    world.coordinators()
    world.present(KARLA)
    world.custody(KARLA, MOTHER, FATHER)
    world.present(EMIL)
    world.custody(EMIL, STRANGER)
    world.night()
    return world


def offer(world, child: str = KARLA) -> tables.Offer:
    return world.rows(tables.Offer, tables.Offer.child_id == world.child(child))[0]


def entries(world) -> list[dict[str, object]]:
    """The log, opened."""
    found = []
    with world.session() as session:
        for row in world.rows(tables.LogEntry):
            asker = unseal_json(open_key(session, world.ctx.keys, row.asker_key), row.asker, f"log-asker:{row.id}")
            subject = unseal_json(
                open_key(session, world.ctx.keys, row.subject_key), row.subject, f"log-subject:{row.id}"
            )
            found.append({"seq": row.seq, "kind": row.kind, "child": row.child_id, "asker": asker, **subject})
    return sorted(found, key=lambda entry: entry["seq"])


class TestAccept:
    def test_makes_the_reserved_place_an_assignment_tells_each_guardian_and_is_logged(self, offered):
        place = offer(offered).coordinator_id
        offered.accept(KARLA, MOTHER)
        (assignment,) = offered.rows(tables.Assignment)
        assert (assignment.coordinator_id, assignment.until) == (place, None)
        assert offer(offered).state == "accepted"
        (answer,) = offered.rows(tables.Acceptance)
        assert (answer.answer, answer.how, answer.text_version) == ("yes", "page", "introduction/test")
        assert answer.guardian_id == offered.guardian(MOTHER)
        assert {e.guardian_id for e in offered.events("assigned")} == {
            offered.guardian(MOTHER),
            offered.guardian(FATHER),
        }
        (entry,) = entries(offered)
        assert entry["asker"]["role"] == "guardian"
        assert (entry["kind"], entry["child"], entry["answer"]) == ("acceptance", offered.child(KARLA), "yes")

    def test_a_second_yes_changes_nothing(self, offered):
        offered.accept(KARLA, MOTHER)
        before = offer(offered).answered_at
        offered.clock.move(timedelta(days=1))
        offered.accept(KARLA, MOTHER)
        offered.accept(KARLA, FATHER)
        assert (
            len(offered.rows(tables.Assignment)) == len(offered.rows(tables.Acceptance)) == len(entries(offered)) == 1
        )
        assert offer(offered).answered_at == before

    def test_two_parents_at_the_same_moment_are_one_yes(self, offered):
        together, errors = Barrier(2), []

        def answer(who: str) -> None:
            together.wait()
            try:
                offered.accept(KARLA, who)
            except BaseException as error:  # noqa: BLE001 - the thread's error is the test's
                errors.append(error)

        threads = [Thread(target=answer, args=(who,)) for who in (MOTHER, FATHER)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
        assert len(offered.rows(tables.Assignment)) == len(entries(offered)) == 1

    def test_a_yes_on_the_phone_names_who_wrote_it_down(self, offered):
        by = replace(offered.by(MOTHER), how="phone", registered_by=CLERK)
        family.accept(offered.ctx, offered.child(KARLA), by)
        (answer,) = offered.rows(tables.Acceptance)
        (clerk,) = offered.rows(tables.Staff, tables.Staff.source == "login")
        assert answer.registered_by == clerk.id
        (entry,) = entries(offered)
        assert entry["asker"]["name"] == "Sanne Toft"
        assert entry["how"] == "phone"

    def test_names_are_known_only_from_now_on(self, offered):
        offered.accept(KARLA, MOTHER)
        offered.night()
        with offered.session() as session:
            row = session.get_one(tables.Child, offered.child(KARLA))
            opened = unseal_json(open_key(session, offered.ctx.keys, row.key_id), row.sealed, f"child:{row.id}")
            other = session.get_one(tables.Child, offered.child(EMIL))
            unnamed = unseal_json(open_key(session, offered.ctx.keys, other.key_id), other.sealed, f"child:{other.id}")
        assert opened["name"] == "Karla Testbarn"
        assert unnamed == {"cpr": EMIL}

    @pytest.mark.parametrize("state", ["declined", "withdrawn", "lapsed", "waiting", "grown"])
    def test_needs_an_open_offer(self, offered, state):
        with offered.ctx.database.begin() as session:
            row = session.get_one(tables.Offer, offer(offered).id)
            row.state, row.coordinator_id = state, None
        with pytest.raises(NotAllowed):
            offered.accept(KARLA, MOTHER)
        assert offered.rows(tables.Assignment) == []
        assert entries(offered) == []

    def test_a_child_that_is_18_today_is_not_answered_for(self, world):
        """Between midnight and the night's run the guardians' say has ended all the same."""
        child = "0311084003"
        world.coordinators()
        world.present(child)
        world.custody(child, MOTHER)
        world.night()
        world.clock.move(timedelta(days=1))
        with pytest.raises(NotAllowed):
            world.accept(child, MOTHER)
        assert world.rows(tables.Assignment) == []


class TestCustody:
    @pytest.mark.parametrize("act", [family.accept, family.decline, family.withdraw])
    def test_only_a_guardian_of_the_child_answers(self, offered, act):
        if act is family.withdraw:
            offered.accept(KARLA, MOTHER)
        count = len(entries(offered))
        with pytest.raises(NotAllowed, match="custody"):
            act(offered.ctx, offered.child(KARLA), offered.by(STRANGER))
        assert len(entries(offered)) == count
        assert offer(offered).state in ("offered", "accepted")

    @pytest.mark.parametrize("act", [family.accept, family.decline, family.withdraw])
    def test_and_only_with_custody_today(self, offered, act):
        """`until` is the first day without."""
        if act is family.withdraw:
            offered.accept(KARLA, MOTHER)
        offered.custody(KARLA, FATHER, until=date(2026, 11, 2))
        custody.read_custody(offered.ctx, {offered.child(KARLA)})
        with pytest.raises(NotAllowed):
            act(offered.ctx, offered.child(KARLA), offered.by(FATHER))

    def test_custody_that_begins_tomorrow_does_not_count_today(self, offered):
        with offered.ctx.database.begin() as session:
            key = (offered.child(KARLA), offered.guardian(FATHER))
            session.get_one(tables.Custody, key).since = date(2026, 11, 3)
        with pytest.raises(NotAllowed):
            offered.accept(KARLA, FATHER)
        offered.clock.move(timedelta(days=1))
        offered.accept(KARLA, FATHER)

    def test_an_unknown_child_is_refused_like_one_without_an_offer(self, offered):
        with pytest.raises(NotAllowed) as unknown:
            family.accept(offered.ctx, offered.guardian(MOTHER), offered.by(MOTHER))
        assert MOTHER not in str(unknown.value)


class TestDecline:
    def test_frees_the_place_ends_what_waits_and_is_logged(self, offered):
        family.decline(offered.ctx, offered.child(EMIL), offered.by(STRANGER))
        row = offer(offered, EMIL)
        assert (row.state, row.coordinator_id) == ("declined", None)
        mine = [e for e in offered.events("offered") if e.child_id == offered.child(EMIL)]
        assert {e.why_not for e in mine} == {"the family said no"}
        assert {e.bundle_id for e in mine} == {None}
        (entry,) = entries(offered)
        assert (entry["answer"], entry["capacity"]) == ("no", "guardian")

    def test_a_second_no_changes_nothing(self, offered):
        for _again in range(2):
            family.decline(offered.ctx, offered.child(KARLA), offered.by(MOTHER))
        assert len(offered.rows(tables.Acceptance)) == len(entries(offered)) == 1
        for _again in range(2):
            family.decline(offered.ctx, offered.child(EMIL), offered.by(STRANGER))
        assert len(offered.rows(tables.Acceptance)) == len(entries(offered)) == 2


@pytest.mark.slow
class TestOneNoOfTwo:
    """A guardian's no is that guardian's: the offer stays open for the other."""

    @pytest.fixture
    def refused(self, offered):
        family.decline(offered.ctx, offered.child(KARLA), offered.by(MOTHER))
        return offered

    def test_the_place_stays_and_what_waited_for_whoever_said_it_ends(self, refused):
        row = offer(refused)
        assert row.state == "offered"
        assert row.coordinator_id is not None
        waits = {e.guardian_id: e.why_not for e in refused.events("offered") if e.child_id == refused.child(KARLA)}
        assert waits == {refused.guardian(MOTHER): "the guardian said no to the offer", refused.guardian(FATHER): None}

    def test_the_others_yes_gives_a_coordinator_and_both_hear_of_it(self, refused):
        refused.accept(KARLA, FATHER)
        assert offer(refused).state == "accepted"
        told = {e.guardian_id for e in refused.events("assigned")}
        assert told == {refused.guardian(MOTHER), refused.guardian(FATHER)}

    def test_the_others_no_ends_the_offer(self, refused):
        family.decline(refused.ctx, refused.child(KARLA), refused.by(FATHER))
        assert (offer(refused).state, offer(refused).coordinator_id) == ("declined", None)
        assert [entry["answer"] for entry in entries(refused)] == ["no", "no"]

    def test_whoever_said_no_may_change_their_mind_while_the_offer_is_open(self, refused):
        refused.accept(KARLA, MOTHER)
        assert offer(refused).state == "accepted"

    def test_only_the_other_is_reminded(self, refused):
        compose_due(refused.ctx, Templates())
        refused.clock.move(timedelta(days=20))
        assert silence.follow_up(refused.ctx).reminded == 2
        compose_due(refused.ctx, Templates())
        about = {link.letter_id for link in refused.rows(tables.LetterChild) if link.child_id == refused.child(KARLA)}
        to = [row.guardian_id for row in refused.rows(tables.Letter) if row.id in about]
        assert to == [refused.guardian(FATHER)] * 2

    def test_an_offer_that_was_ready_for_whoever_said_no_does_not_leave(self, offered):
        compose_due(offered.ctx, Templates())
        family.decline(offered.ctx, offered.child(KARLA), offered.by(MOTHER))
        states = {row.guardian_id: deliver(offered.ctx, row.id) for row in offered.rows(tables.Letter)}
        assert states[offered.guardian(MOTHER)] == "withheld"
        assert states[offered.guardian(FATHER)] == "sent"
        compose_due(offered.ctx, Templates())
        assert len(offered.rows(tables.Letter)) == 3  # nothing is told again in another

    def test_without_the_other_nobody_is_left_to_say_yes(self, offered):
        offered.custody(KARLA, FATHER, until=date(2026, 11, 2))
        custody.read_custody(offered.ctx, {offered.child(KARLA)})
        family.decline(offered.ctx, offered.child(KARLA), offered.by(MOTHER))
        assert offer(offered).state == "declined"

    @hypothesis_settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(answers=st.lists(st.tuples(st.sampled_from((MOTHER, FATHER)), st.booleans()), max_size=6))
    def test_it_ends_as_the_first_yes_or_the_last_no(self, answers, shared_offer):
        """Whatever is said in which order: a yes gives the coordinator, and only two noes end the offer."""
        world, reset = shared_offer
        reset()
        noes: set[str] = set()
        expected = "offered"
        for who, says_yes in answers:
            act = family.accept if says_yes else family.decline
            try:
                act(world.ctx, world.child(KARLA), world.by(who))
            except NotAllowed:
                assert expected == ("declined" if says_yes else "accepted")
            else:
                if expected == "offered":
                    noes |= set() if says_yes else {who}
                    expected = "accepted" if says_yes else "declined" if len(noes) == 2 else "offered"
            assert offer(world).state == expected


@pytest.fixture
def shared_offer(offered):
    """The same offer again and again, as if nobody had answered it."""
    place = offer(offered).coordinator_id

    def reset() -> None:
        with offered.ctx.database.begin() as session:
            for table in (tables.Assignment, tables.Acceptance, tables.Consent):
                session.execute(delete(table))
            session.execute(
                update(tables.Offer)
                .where(tables.Offer.child_id == offered.child(KARLA))
                .values(state="offered", coordinator_id=place, answered_at=None)
            )

    return offered, reset


class TestYoung:
    CHILD, FOURTEEN = "0211114003", "0311114003"
    """15 today, and tomorrow."""

    @pytest.fixture
    def young(self, world):
        world.coordinators()
        for child in (self.CHILD, self.FOURTEEN):
            world.present(child)
            world.custody(child, MOTHER, FATHER)
        world.night()
        return world

    @pytest.fixture
    def with_guardian(self, young):
        access = young.ctx.settings.access.model_copy(update={"young_accepts": False})
        young.ctx = replace(young.ctx, settings=young.ctx.settings.model_copy(update={"access": access}))
        return young

    BY = family.Answerer(None, "page", "young/test")

    def test_their_yes_is_enough_and_is_theirs_in_the_log(self, young):
        family.accept(young.ctx, young.child(self.CHILD), self.BY)
        assert offer(young, self.CHILD).state == "accepted"
        (answer,) = young.rows(tables.Acceptance)
        assert (answer.capacity, answer.guardian_id, answer.answer) == ("young", None, "yes")
        entry = entries(young)[-1]
        assert (entry["asker"]["role"], entry["asker"]["id"]) == ("young", str(young.child(self.CHILD)))

    def test_their_yes_holds_consent_and_a_guardians_does_not(self, young):
        family.accept(young.ctx, young.child(self.CHILD), young.by(MOTHER))
        assert young.rows(tables.Consent) == []
        family.accept(young.ctx, young.child(self.FOURTEEN), young.by(MOTHER))
        assert [row.capacity for row in young.rows(tables.Consent)] == ["guardian"]
        young.clock.move(timedelta(days=1))
        family.withdraw(young.ctx, young.child(self.FOURTEEN), self.BY)
        assert offer(young, self.FOURTEEN).state == "withdrawn"

    def test_their_no_ends_the_offer_for_all(self, young):
        family.decline(young.ctx, young.child(self.CHILD), self.BY)
        assert offer(young, self.CHILD).state == "declined"
        with pytest.raises(NotAllowed):
            young.accept(self.CHILD, MOTHER)

    def test_the_guardians_noes_leave_the_offer_to_them(self, young):
        for who in (MOTHER, FATHER):
            family.decline(young.ctx, young.child(self.CHILD), young.by(who))
        assert offer(young, self.CHILD).state == "offered"
        family.accept(young.ctx, young.child(self.CHILD), self.BY)
        assert offer(young, self.CHILD).state == "accepted"

    def test_where_a_lawyer_says_so_a_guardian_says_yes_and_they_say_no(self, with_guardian):
        child = with_guardian.child(self.CHILD)
        with pytest.raises(NotAllowed, match="young_accepts"):
            family.accept(with_guardian.ctx, child, self.BY)
        for who in (MOTHER, FATHER):
            family.decline(with_guardian.ctx, child, with_guardian.by(who))
        assert offer(with_guardian, self.CHILD).state == "declined"

    @pytest.mark.parametrize("act", [family.accept, family.decline, family.withdraw])
    def test_the_day_before_15_they_have_no_say(self, young, act):
        with pytest.raises(NotAllowed, match="15"):
            act(young.ctx, young.child(self.FOURTEEN), self.BY)
        assert young.rows(tables.Acceptance) == []


class TestOwedByLaw:
    """What an authority must tell is told by the administration, when the family has said no to the hub."""

    @pytest.fixture
    def going(self, offered):
        offered.accept(KARLA, MOTHER)
        for source, case in ((offered.sof, "sof-1"), (offered.buf, "buf-1"), (offered.suf, "suf-1")):
            offered.case(source, case, KARLA, adviser=StaffRecord(case, f"Adviser {case}"))
        sync(offered.ctx)
        return offered

    def tell(self, world, administration: str, kind: str) -> None:
        (case,) = world.rows(tables.Case, tables.Case.administration == administration)
        with world.ctx.database.begin() as session:
            news = events.News(kind, case.child_id, f"{case.id}", case.id)
            assert events.record(world.ctx, session, [news]) == 2

    def owed(self, world) -> list[tuple[str | None, object]]:
        found = world.rows(tables.Task, tables.Task.kind == "letter_owed", tables.Task.done_at.is_(None))
        assert all(row.case_id is None and row.child_id == world.child(KARLA) for row in found)
        assert all(row.staff_id is not None for row in found)
        return sorted((row.administration, row.due) for row in found)

    def test_a_withdrawal_gives_back_what_waits_and_nothing_else(self, going):
        self.tell(going, "SOF", "applied")
        self.tell(going, "BUF", "deadline_unkept")
        self.tell(going, "SUF", kinds.DEADLINE_NEAR)
        family.withdraw(going.ctx, going.child(KARLA), going.by(MOTHER))
        day = date(2026, 11, 2)
        assert self.owed(going) == [("BUF", day), ("SOF", day)]
        assert {row.why_not for row in going.events("applied")} == {"the family took its yes back"}

    def test_and_what_is_in_a_letter_that_has_not_left(self, going):
        self.tell(going, "SOF", "applied")
        going.clock.move(timedelta(days=7))
        compose_due(going.ctx, Templates())
        assert self.owed(going) == []
        family.withdraw(going.ctx, going.child(KARLA), going.by(MOTHER))
        assert [administration for administration, _due in self.owed(going)] == ["SOF"]
        letters = [row.id for row in going.rows(tables.Letter)]
        assert {deliver(going.ctx, letter) for letter in letters} == {"withheld", "sent"}  # Emil's leaves
        assert len(self.owed(going)) == 1

    def test_and_not_what_the_family_has_been_told(self, going):
        self.tell(going, "SOF", "applied")
        going.clock.move(timedelta(days=7))
        compose_due(going.ctx, Templates())
        for row in going.rows(tables.Letter):
            deliver(going.ctx, row.id)
        family.withdraw(going.ctx, going.child(KARLA), going.by(MOTHER))
        assert self.owed(going) == []

    def test_a_consent_to_health_data_taken_back_gives_back_that_administrations(self, going):
        for administration in ("SOF", "SUF"):
            self.tell(going, administration, "applied")
        by = consents.Speaker("guardian", "page", "test", "da", going.guardian(MOTHER))
        consents.take_back(going.ctx, going.child(KARLA), "SUF", by)
        assert [administration for administration, _due in self.owed(going)] == ["SUF"]

    def test_a_case_that_must_no_longer_be_told_gives_back_its_own(self, going):
        for administration in ("SOF", "BUF"):
            self.tell(going, administration, "applied")
        going.sof.take_away("sof-1")
        sync(going.ctx)
        assert [administration for administration, _due in self.owed(going)] == ["SOF"]

    def test_coming_of_age_gives_back_and_a_death_does_not(self, world):
        for child, says in (("0311084003", 1), (KARLA, 0)):
            world.accepted(child)
            world.case(world.sof, f"case-{child}", child, adviser=StaffRecord("s", "S"))
            sync(world.ctx)
            (case,) = world.rows(tables.Case, tables.Case.child_id == world.child(child))
            with world.ctx.database.begin() as session:
                news = events.News("applied", case.child_id, "x", case.id)
                events.record(world.ctx, session, [news])
            if says:
                world.clock.move(timedelta(days=1))
                family.come_of_age(world.ctx)
            else:
                world.cpr.put(PersonRecord(KARLA, KARLA, dead=True))
                custody.read_custody(world.ctx, {world.child(KARLA)})
        owed = world.rows(tables.Task, tables.Task.kind == "letter_owed")
        assert [row.child_id for row in owed] == [world.child("0311084003")]

    def test_is_no_way_to_take_a_yes_back(self, offered):
        offered.accept(KARLA, MOTHER)
        with pytest.raises(NotAllowed):
            family.decline(offered.ctx, offered.child(KARLA), offered.by(MOTHER))


class TestWithdraw:
    @pytest.fixture
    def going(self, offered):
        """Karla in the scheme, with a case and news that wait for a letter."""
        offered.accept(KARLA, MOTHER)
        offered.case(offered.sof, "sof-1", KARLA)
        sync(offered.ctx)
        offered.case(offered.sof, "sof-2", KARLA)
        sync(offered.ctx)
        assert len(offered.events("case_opened")) == 2  # one for each parent
        return offered

    def test_ends_assignment_waiting_events_and_case_index_in_one_transaction(self, going):
        family.withdraw(going.ctx, going.child(KARLA), going.by(FATHER))
        (assignment,) = going.rows(tables.Assignment)
        assert assignment.until == going.clock.now()
        assert going.rows(tables.Case) == []
        assert offer(going).state == "withdrawn"
        mine = going.rows(tables.Event, tables.Event.child_id == going.child(KARLA))
        waited = {e.why_not for e in mine if e.kind not in ("yes_withdrawn", "yes_ended")}
        assert waited == {"the family took its yes back"}
        assert {e.kind: e.guardian_id for e in mine if e.why_not is None} == {
            "yes_withdrawn": going.guardian(FATHER),
            "yes_ended": going.guardian(MOTHER),  # not by whose word
        }
        assert entries(going)[-1]["answer"] == "withdrawn"

    def test_nothing_of_it_happens_when_the_log_cannot_be_written(self, going, admin):
        """The entry is part of the transaction: no entry, no act."""
        before = len(entries(going))
        with going.ctx.database.owner_engine() as engine, engine.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE log_entry ADD CONSTRAINT full_disk CHECK (seq < 1)")
        with pytest.raises(Exception, match="full_disk"):
            family.withdraw(going.ctx, going.child(KARLA), going.by(MOTHER))
        assert offer(going).state == "accepted"
        assert len(going.rows(tables.Case)) == 2
        assert len(entries(going)) == before
        assert [e for e in going.events("case_opened") if e.bundle_id is None] == []

    def test_the_next_read_asks_no_more_and_stores_nothing(self, going):
        family.withdraw(going.ctx, going.child(KARLA), going.by(MOTHER))
        asked = len(going.sof.asked)
        sync(going.ctx)
        assert len(going.sof.asked) == asked
        assert going.rows(tables.Case) == []

    def test_a_letter_already_frozen_is_withheld(self, going):
        going.clock.move(timedelta(days=7))
        compose_due(going.ctx, Templates())
        letters = going.rows(tables.Letter)
        about = [
            link.letter_id for link in going.rows(tables.LetterChild, tables.LetterChild.child_id == going.child(KARLA))
        ]
        assert about
        family.withdraw(going.ctx, going.child(KARLA), going.by(MOTHER))
        for letter in letters:
            assert deliver(going.ctx, letter.id) == ("withheld" if letter.id in about else "sent")
        assert not {str(each) for each in about} & going.channel.taken.keys()

    def test_frees_the_place(self, going):
        family.withdraw(going.ctx, going.child(KARLA), going.by(MOTHER))
        assert offer(going).coordinator_id is None

    def test_needs_a_yes(self, offered):
        with pytest.raises(NotAllowed):
            family.withdraw(offered.ctx, offered.child(KARLA), offered.by(MOTHER))

    def test_a_second_withdrawal_changes_nothing(self, going):
        family.withdraw(going.ctx, going.child(KARLA), going.by(MOTHER))
        count = len(entries(going))
        family.withdraw(going.ctx, going.child(KARLA), going.by(FATHER))
        assert len(entries(going)) == count


class TestComeOfAge:
    CHILD = "0311084003"
    """Born 3 November 2008."""

    @pytest.fixture
    def grown(self, world):
        world.accepted(self.CHILD, EMIL, guardians=(MOTHER,))
        world.case(world.sof, "sof-1", self.CHILD)
        world.case(world.sof, "sof-2", EMIL)
        sync(world.ctx)
        return world

    def test_ends_the_scheme_at_danish_midnight_and_not_before(self, grown):
        grown.clock.set(grown.clock.now().replace(hour=22, minute=59))  # 23:59 on the 2nd in Denmark
        assert family.come_of_age(grown.ctx) == 0
        grown.clock.move(timedelta(minutes=1))
        assert family.come_of_age(grown.ctx) == 1
        row = offer(grown, self.CHILD)
        assert (row.state, row.coordinator_id) == ("grown", None)
        (kept,) = grown.rows(tables.Assignment, tables.Assignment.until.is_(None))
        assert kept.child_id == grown.child(EMIL)
        assert {case.child_id for case in grown.rows(tables.Case)} == {grown.child(EMIL)}
        assert entries(grown)[-1]["asker"]["role"] == "system"
        assert entries(grown)[-1]["child"] == grown.child(self.CHILD)

    def test_happens_once(self, grown):
        grown.clock.move(timedelta(days=1))
        assert [family.come_of_age(grown.ctx), family.come_of_age(grown.ctx)] == [1, 0]

    def test_a_letter_frozen_the_day_before_stays_at_home(self, grown):
        """Also when nobody has run the night's work yet: 18 is 18."""
        grown.clock.set(grown.clock.now().replace(hour=22, minute=59))
        with grown.ctx.database.begin() as session:
            for bundle in session.query(tables.Bundle):
                bundle.due_at = grown.clock.now()
        compose_due(grown.ctx, Templates())
        grown.clock.move(timedelta(minutes=1))
        letters = grown.rows(tables.Letter)
        assert {row.guardian_id for row in letters} == {grown.guardian(MOTHER), grown.guardian(self.CHILD)}
        assert [deliver(grown.ctx, row.id) for row in letters] == ["withheld", "withheld"]
        assert grown.channel.tries == []


def test_the_log_is_gapless_and_names_nobody_in_the_clear(offered):
    offered.accept(KARLA, MOTHER)
    family.decline(offered.ctx, offered.child(EMIL), offered.by(STRANGER))
    family.withdraw(offered.ctx, offered.child(KARLA), offered.by(MOTHER))
    rows = offered.rows(tables.LogEntry)
    assert sorted(row.seq for row in rows) == [0, 1, 2]
    clear = json.dumps([[str(getattr(row, c.name)) for c in tables.LogEntry.__table__.columns] for row in rows])
    for secret in (KARLA, EMIL, MOTHER, STRANGER, "Testbarn", "Testvoksen"):
        assert secret not in clear
