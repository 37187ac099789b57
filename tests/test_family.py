"""The acts of a family: one transaction each, obeyed by whatever comes after, and in the log."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from threading import Barrier, Thread

import pytest

from hub import family
from hub.access.log import Asker
from hub.cases import custody
from hub.cases.sync import sync
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
        family.decline(offered.ctx, offered.child(KARLA), offered.by(MOTHER))
        row = offer(offered)
        assert (row.state, row.coordinator_id) == ("declined", None)
        mine = [e for e in offered.events("offered") if e.child_id == offered.child(KARLA)]
        assert {e.why_not for e in mine} == {"the family said no"}
        assert {e.bundle_id for e in mine} == {None}
        (entry,) = entries(offered)
        assert entry["answer"] == "no"

    def test_a_second_no_changes_nothing(self, offered):
        for who in (MOTHER, FATHER):
            family.decline(offered.ctx, offered.child(KARLA), offered.by(who))
        assert len(offered.rows(tables.Acceptance)) == len(entries(offered)) == 1

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
        waited = {e.why_not for e in mine if e.kind not in ("yes_withdrawn", "scheme_ended")}
        assert waited == {"the family took its yes back"}
        assert {e.kind: e.guardian_id for e in mine if e.why_not is None} == {
            "yes_withdrawn": going.guardian(FATHER),
            "scheme_ended": going.guardian(MOTHER),  # not by whose word
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
        (letter,) = grown.rows(tables.Letter)
        assert deliver(grown.ctx, letter.id) == "withheld"
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
