"""What families ask for, and the answer by a person: to whom it goes, by when, who reads it, and that it is logged."""

from __future__ import annotations

import ast
import importlib
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, event, update

import hub
from hub import GuardianRecord, PersonRecord, StaffRecord, State, consents, family, registration, rights
from hub.access import log, marked
from hub.access.askers import asker_key, day_key
from hub.access.log import Asker
from hub.cases import custody, transition
from hub.cases.deadlines import add_working_days, answer_by, is_working_day
from hub.cases.sync import sync
from hub.coordination import tasklist
from hub.coordination.staff import add_coordinator
from hub.errors import NotAllowed
from hub.identity import parse
from hub.letters import statuses
from hub.letters.compose import compose_due
from hub.letters.delivery import deliver
from hub.letters.templates import Templates
from hub.reconcile import reconcile
from hub.settings import Rights, Settings
from hub.store import tables
from hub.store.people import open_key
from hub.vault import unseal_json
from hub.web.task_words import TASKS
from tests.test_family import entries

KARLA, UNKNOWN = "0311164234", "0912164321"
MOTHER, FATHER, STRANGER = "0101804001", "0101804002", "0101804003"
SOF = Asker("u-sof", "Sanne Toft", "staff", "SOF", "Handicap")
BUF = Asker("u-buf", "Bo Falk", "staff", "BUF", "Skole")
SUF = Asker("u-suf", "Sif Holm", "staff", "SUF", "Pleje")
MINE = Asker("k0", "Koordinator 0", "coordinator", None, None)
OTHER = Asker("k1", "Koordinator 1", "coordinator", None, None)


@pytest.fixture
def told(world):
    """Karla has a coordinator and a case in SOF; both parents have custody."""
    world.coordinators()
    world.accepted(KARLA, guardians=(MOTHER, FATHER))
    world.case(world.sof, "sof-1", KARLA, State.APPLIED)
    sync(world.ctx)
    with world.ctx.database.begin() as session:
        add_coordinator(world.ctx, session, StaffRecord("k1", "Koordinator 1"))
    return world


def ask(world, kind: rights.Kind = rights.OBJECTION, who: str = MOTHER, text: str = "Vi er imod.", **more) -> None:
    rights.ask(world.ctx, world.guardian(who), kind, world.child(KARLA), text, **more)


def spoken(world) -> consents.Speaker:
    return consents.Speaker("guardian", "page", "block/1", "da", world.guardian(MOTHER))


def close(world) -> None:
    consents.close(world.ctx, world.child(KARLA), "SOF", spoken(world))


def task(world) -> tables.Task:
    (found,) = world.rows(tables.Task, tables.Task.kind.in_(rights.KINDS))
    return found


def tasks_of(world, asker: Asker) -> list[str]:
    with world.session() as session:
        return [one.kind for one in tasklist.waiting(world.ctx, session, asker)[0]]


@pytest.mark.slow
class TestWhereItGoes:
    def test_what_is_wrong_with_a_case_goes_to_the_administration_of_its_source(self, told):
        (case,) = told.rows(tables.Case)
        ask(told, rights.WRONG, case_id=case.id)
        assert (task(told).administration, task(told).staff_id) == ("SOF", None)
        assert [tasks_of(told, one) for one in (SOF, BUF, MINE)] == [["rights_wrong"], [], []]

    def test_an_objection_goes_to_the_childs_coordinator_and_to_no_other(self, told):
        ask(told)
        assert [tasks_of(told, one) for one in (SOF, MINE, OTHER)] == [[], ["rights_objection"], []]
        assert tasks_of(told, replace(SOF, administration=None)) == [], "of staff of nowhere it is none"
        assert tasklist.look(told.ctx, OTHER, task(told).id).value is None

    def test_a_coordinators_substitute_has_the_tasks_while_they_are_away(self, told):
        ask(told)
        with told.ctx.database.begin() as session:
            away, there = session.query(tables.Coordinator).order_by(tables.Coordinator.number).all()
            away.away, away.substitute_id = True, there.staff_id
        assert tasks_of(told, OTHER) == ["rights_objection"]

    def test_without_a_coordinator_it_goes_where_the_settings_say_else_to_any_coordinator(self, told):
        rights.belong(told.ctx, told.guardian(MOTHER), parse(UNKNOWN), "")
        assert [tasks_of(told, one) for one in (MINE, OTHER, BUF)] == [["rights_belong"], ["rights_belong"], []]
        named = told.ctx.settings.model_copy(update={"rights": Rights(administration="BUF")})
        rights.belong(replace(told.ctx, settings=named), told.guardian(FATHER), parse(UNKNOWN), "")
        assert tasks_of(told, BUF) == ["rights_belong"]

    def test_the_settings_name_an_administration_there_is(self):
        with pytest.raises(ValueError, match="none of the administrations"):
            Settings.model_validate({"rights": {"administration": "SOF"}})

    @pytest.mark.parametrize("role", ["leader", "auditor", "operator", "guardian"])
    def test_other_roles_have_no_tasks(self, told, role):
        ask(told)
        assert tasks_of(told, replace(MINE, role=role, administration="SOF")) == []


class TestByWhen:
    def test_ten_working_days_by_the_settings(self, told):
        ask(told)
        assert task(told).due == date(2026, 11, 16)

    @given(st.dates(date(2020, 1, 1), date(2040, 12, 31)), st.integers(1, 30))
    def test_never_later_than_a_month_and_always_a_working_day(self, asked, days):
        due = answer_by(asked, days)
        assert is_working_day(due)
        assert asked < due <= add_working_days(asked, days)
        assert (due.year - asked.year) * 12 + due.month - asked.month <= 1
        assert due.month == asked.month or due.day <= asked.day

    def test_a_month_after_the_31st_is_the_last_of_a_shorter_month(self):
        assert answer_by(date(2026, 10, 31), 30) == date(2026, 11, 30)
        assert answer_by(date(2027, 1, 31), 30) == date(2027, 2, 26)  # the 28th is a Sunday


class TestWhoMayAsk:
    def test_only_a_guardian_with_custody_today(self, told):
        told.cpr.put(GuardianRecord(f"{KARLA}/{FATHER}", KARLA, FATHER, until=date(2026, 11, 2)))
        custody.read_custody(told.ctx, {told.child(KARLA)})
        with pytest.raises(NotAllowed, match="custody"):
            ask(told, who=FATHER)

    def test_nobody_for_somebody_who_is_18(self, told):
        told.clock.move(timedelta(days=9 * 365))
        with pytest.raises(NotAllowed, match="18"):
            ask(told)

    def test_about_the_childs_own_cases_alone(self, told):
        other = "1405134321"
        told.accepted(other, guardians=(STRANGER,))
        told.case(told.sof, "sof-2", other)
        sync(told.ctx)
        (case,) = told.rows(tables.Case, tables.Case.child_id == told.child(other))
        with pytest.raises(NotAllowed, match="no such case"):
            ask(told, rights.WRONG, case_id=case.id)

    def test_the_same_words_on_one_day_are_one_request(self, told):
        ask(told)
        ask(told)
        assert len(told.rows(tables.RightsRequest)) == 1
        ask(told, text="Noget andet.")
        assert len(told.rows(tables.RightsRequest)) == 2

    def test_so_many_wait_and_no_more(self, told):
        for number in range(rights.OPEN_AT_MOST):
            ask(told, text=str(number))
        with pytest.raises(NotAllowed, match="call"):
            ask(told, text="one more")

    def test_a_text_that_is_too_long_is_refused(self, told):
        with pytest.raises(NotAllowed, match="characters"):
            ask(told, text="x" * (rights.TEXT_AT_MOST + 1))


class TestWhatIsKept:
    def test_what_is_written_is_sealed_under_the_childs_key(self, told):
        ask(told)
        (row,) = told.rows(tables.RightsRequest)
        with told.session() as session:
            key_id = session.get_one(tables.Child, told.child(KARLA)).key_id
            said = unseal_json(open_key(session, told.ctx.keys, row.key_id), row.sealed, f"rights:{row.id}")
        assert row.key_id == key_id
        assert said == {"text": "Vi er imod."}

    def test_we_belong_about_a_child_that_is_not_theirs_or_not_known_is_one_and_the_same(self, told):
        """Sealed under the guardian's own key: whether the hub knows the child cannot be told from it."""
        for number in (UNKNOWN, KARLA):
            told.present("1405134321")
            told.custody("1405134321", STRANGER)
            told.night()
            rights.belong(told.ctx, told.guardian(STRANGER), parse(number), "")
        with told.session() as session:
            key_id = session.get_one(tables.Guardian, told.guardian(STRANGER)).key_id
        rows = told.rows(tables.RightsRequest)
        assert {(row.child_id, row.key_id) for row in rows} == {(None, key_id)}
        assert {row.child_id for row in told.rows(tables.Task, tables.Task.kind == rights.BELONG)} == {None}

    def test_asking_is_an_entry_by_the_guardian_about_the_child(self, told):
        ask(told)
        entry = entries(told)[-1]
        assert (entry["kind"], entry["asked"], entry["child"]) == ("rights", "rights_objection", told.child(KARLA))
        assert entry["asker"] == {
            "id": str(told.guardian(MOTHER)), "name": "", "role": "guardian", "administration": None, "unit": None,
        }  # fmt: skip

    def test_goes_on_with_a_child_that_gets_another_number(self, told):
        ask(told)
        told.cpr.put(PersonRecord(KARLA, KARLA, current=UNKNOWN, name="Karla Testbarn"))
        told.present(UNKNOWN)
        told.custody(UNKNOWN, MOTHER)
        told.night()
        custody.read_custody(told.ctx, {row.id for row in told.rows(tables.Child)})
        assert task(told).done_at is None
        assert tasklist.look(told.ctx, MINE, task(told).id).value.number == UNKNOWN


@pytest.mark.slow
class TestAnswer:
    def test_is_sealed_with_role_and_administration_ends_the_task_and_is_logged(self, told):
        (case,) = told.rows(tables.Case)
        ask(told, rights.WRONG, case_id=case.id)
        rights.answer(told.ctx, task(told).id, SOF, " Det er rettet. ")
        (row,) = told.rows(tables.RightsRequest)
        with told.session() as session:
            given = unseal_json(open_key(session, told.ctx.keys, row.key_id), row.answer, f"answer:{row.id}")
        assert given == {"text": "Det er rettet.", "role": "staff", "administration": "SOF"}
        assert row.answered_at == task(told).done_at == told.clock.now()
        entry = entries(told)[-1]
        assert (entry["kind"], entry["answered"], entry["asker"]["name"]) == ("rights", "rights_wrong", "Sanne Toft")

    def test_once(self, told):
        ask(told)
        rights.answer(told.ctx, task(told).id, MINE, "Ja.")
        with pytest.raises(NotAllowed, match="done"):
            rights.answer(told.ctx, task(told).id, MINE, "Nej.")

    @pytest.mark.parametrize("who", [SOF, BUF, OTHER, replace(MINE, role="auditor")])
    def test_by_whose_task_it_is_alone(self, told, who):
        ask(told)
        with pytest.raises(NotAllowed):
            rights.answer(told.ctx, task(told).id, who, "Ja.")
        assert task(told).done_at is None

    @pytest.mark.parametrize("text", ["", "  \n", "x" * (rights.TEXT_AT_MOST + 1)])
    def test_says_something_and_not_too_much(self, told, text):
        ask(told)
        with pytest.raises(NotAllowed, match="characters"):
            rights.answer(told.ctx, task(told).id, MINE, text)

    def test_a_request_is_not_done_by_saying_so(self, told):
        ask(told)
        with pytest.raises(NotAllowed, match="saying so"):
            rights.finish(told.ctx, task(told).id, MINE)


class TestTasks:
    def test_opening_one_is_a_look_with_its_entry(self, told):
        told.night()  # the name is asked for after the yes
        ask(told)
        opened = tasklist.look(told.ctx, MINE, task(told).id)
        assert (opened.value.name, opened.value.number, opened.value.said) == ("Karla Testbarn", KARLA, "Vi er imod.")
        entry = entries(told)[-1]
        assert (entry["kind"], entry["child"], entry["see"]) == ("duty", told.child(KARLA), True)
        assert entry["shown"] == ["task:rights_objection", "name", "number", "guardian", "request"]

    def test_opening_another_ones_shows_nothing_and_is_logged_too(self, told):
        ask(told)
        assert tasklist.look(told.ctx, OTHER, task(told).id).value is None
        entry = entries(told)[-1]
        assert (entry["kind"], entry["child"], entry["see"], entry["shown"]) == ("duty", None, False, [])

    @pytest.mark.parametrize("about", [{"administration": "SOF"}, {}], ids=["review", "auditor's"])
    def test_what_is_about_an_entry_of_the_log_is_nobodys_task_here(self, told, about):
        """A look that waits for its review, or that the auditor must know of: colleagues neither see whom it was about
        nor settle it."""
        told.night()
        columns = {"kind": marked.KIND, "once": b"x", "child_id": told.child(KARLA), "made_at": told.clock.now()}
        with told.ctx.database.begin() as session:
            session.add(tables.Task(**columns, **about, entry_id=uuid4()))
        (one,) = told.rows(tables.Task)
        for who in (SOF, MINE):
            assert tasks_of(told, who) == []
            assert tasklist.look(told.ctx, who, one.id).value is None
            with pytest.raises(NotAllowed):
                rights.finish(told.ctx, one.id, who)
            place = registration.Origin("task", one.id)
            assert registration.open_form(told.ctx, who, place).value is None

    def test_a_closed_administration_opens_none_and_the_coordinator_has_them_instead(self, told):
        (case,) = told.rows(tables.Case)
        ask(told, rights.WRONG, case_id=case.id)
        one = task(told).id
        assert tasklist.look(told.ctx, SOF, one).value is not None
        close(told)
        assert [tasks_of(told, who) for who in (SOF, MINE, OTHER)] == [[], ["rights_wrong"], []]
        assert tasklist.look(told.ctx, SOF, one).value is None
        assert (entries(told)[-1]["basis"], entries(told)[-1]["see"]) == ("blocked", False)
        with pytest.raises(NotAllowed):
            rights.answer(told.ctx, one, SOF, "Ja.")
        assert tasklist.look(told.ctx, MINE, one).value.said == "Vi er imod."
        consents.open_again(told.ctx, told.child(KARLA), "SOF", spoken(told))
        assert [tasks_of(told, who) for who in (SOF, MINE)] == [["rights_wrong"], []]

    def test_without_a_coordinator_any_has_those_of_a_closed_administration(self, told):
        (case,) = told.rows(tables.Case)
        ask(told, rights.WRONG, case_id=case.id)
        close(told)
        family.withdraw(told.ctx, told.child(KARLA), told.by(MOTHER))
        assert [tasks_of(told, who) for who in (SOF, MINE, OTHER)] == [[], ["rights_wrong"], ["rights_wrong"]]

    def test_every_kind_of_task_has_plain_words(self):
        kinds = set()
        for path in Path(hub.__file__).parent.rglob("*.py"):
            written = path.read_text(encoding="utf-8")
            tree = ast.parse(written if "tasks.put(" in written else "")
            for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
                if ast.unparse(call.func) != "tasks.put" or path.name in ("rights.py", "transition.py", "statuses.py"):
                    continue
                if path.name in ("reviews.py", "pace.py"):  # about an entry of the log: on no list of tasks, see below
                    continue
                name = path.relative_to(Path(hub.__file__).parent).with_suffix("").as_posix().replace("/", ".")
                module = importlib.import_module(f"hub.{name}")
                kinds.add(eval(ast.unparse(call.args[3]), vars(module)))
        assert len(kinds) >= 6, "the test looks in the wrong place"
        chosen = {*rights.KINDS, transition.BEGINS, transition.PLAN, statuses.FAILED_LETTER, statuses.UNSURE_LETTER}
        assert kinds | chosen == TASKS.keys()

    def test_nobody_with_custody_stands_on_the_coordinators_list_until_somebody_has(self, told):
        told.custody(KARLA, MOTHER, FATHER, until=date(2026, 11, 2))
        custody.read_custody(told.ctx, {told.child(KARLA)})
        assert tasks_of(told, MINE) == ["no_guardian"]
        (one,) = told.rows(tables.Task, tables.Task.kind == "no_guardian")
        with pytest.raises(NotAllowed, match="saying so"):
            rights.finish(told.ctx, one.id, MINE)

    def test_a_task_that_needs_no_answer_is_done_once_and_logged(self, told):
        with told.ctx.database.begin() as session:
            session.add(
                tables.Task(
                    kind="deadline_near", once=b"x", administration="SOF", child_id=told.child(KARLA),
                    made_at=told.clock.now(),
                )
            )  # fmt: skip
        (one,) = told.rows(tables.Task)
        rights.finish(told.ctx, one.id, SOF)
        assert entries(told)[-1]["done"] == "deadline_near"
        with pytest.raises(NotAllowed):
            rights.finish(told.ctx, one.id, SOF)


@pytest.fixture
def offered(world):
    world.coordinators()
    world.present(KARLA)
    world.custody(KARLA, MOTHER, FATHER)
    world.night()
    return world


def origin(world, asker: Asker, child: str = KARLA, at=None) -> registration.Origin:
    """A lookup by this asker, as the page leaves one."""
    with world.ctx.database.begin() as session:
        row = session.query(tables.Child).filter_by(token=world.ctx.keys.lookup_token(child)).one_or_none()
        entry = log.seal_entry(
            at=at or world.clock.now(), kind="lookup", child_id=row.id if row else None, asker=asker,
            asker_key=asker_key(session, world.ctx.keys, asker), subject={},
            subject_key=day_key(session, world.ctx.keys, world.clock.now().date()),
        )  # fmt: skip
        log.append(session, [entry])
    return registration.Origin("lookup", entry.id)


def register(world, asker: Asker, said: registration.Said = "yes", who: str = MOTHER, evidence="J-17", **more) -> None:
    place = more.pop("origin", None) or origin(world, asker)
    registration.register(world.ctx, asker, place, world.guardian(who), said, "phone", evidence)


class TestRegistration:
    @pytest.mark.parametrize("asker", [SOF, BUF, MINE], ids=["SOF", "BUF", "coordinator"])
    def test_staff_with_something_open_and_the_coordinator_may(self, offered, asker):
        form = registration.open_form(offered.ctx, asker, origin(offered, asker)).value
        assert {guardian for guardian, _name in form.guardians} == {offered.guardian(MOTHER), offered.guardian(FATHER)}
        assert form.answers == ("yes", "no")
        register(offered, asker)
        (answer,) = offered.rows(tables.Acceptance)
        assert (answer.answer, answer.how, answer.guardian_id) == ("yes", "phone", offered.guardian(MOTHER))
        with offered.session() as session:
            child = session.get_one(tables.Child, offered.child(KARLA))
            key = open_key(session, offered.ctx.keys, child.key_id)
            assert unseal_json(key, answer.evidence, f"acceptance:{answer.id}") == {"evidence": "J-17"}
        assert entries(offered)[-1]["asker"]["id"] == asker.id

    @pytest.mark.parametrize(
        "asker",
        [SUF, OTHER, replace(SOF, role="leader"), replace(SOF, role="auditor"), replace(SOF, administration=None)],
    )
    def test_nobody_else_may_nor_learns_anything(self, offered, asker):
        with offered.ctx.database.begin() as session:
            add_coordinator(offered.ctx, session, StaffRecord("k1", "Koordinator 1"))
        place = origin(offered, asker)
        assert registration.open_form(offered.ctx, asker, place).value is None
        entry = entries(offered)[-1]
        assert (entry["kind"], entry["see"], entry["child"]) == ("duty", False, None)
        with pytest.raises(NotAllowed):
            register(offered, asker, origin=place)
        assert offered.rows(tables.Acceptance) == []

    def test_nobody_of_a_closed_administration_may_and_the_coordinator_may(self, offered):
        close(offered)
        assert registration.open_form(offered.ctx, SOF, origin(offered, SOF)).value is None
        assert entries(offered)[-1]["basis"] == "blocked"
        with pytest.raises(NotAllowed):
            register(offered, SOF)
        assert registration.open_form(offered.ctx, BUF, origin(offered, BUF)).value is not None
        register(offered, MINE)
        assert [row.answer for row in offered.rows(tables.Acceptance)] == ["yes"]

    def test_from_an_own_lookup_of_today_alone(self, offered):
        theirs = origin(offered, BUF)
        old = origin(offered, SOF, at=offered.clock.now() - timedelta(hours=9))
        unknown = origin(offered, SOF, UNKNOWN)
        for place in (theirs, old, unknown):
            assert registration.open_form(offered.ctx, SOF, place).value is None

    def test_no_asks_the_database_the_same_whether_there_is_a_child_or_not(self, offered):
        """Else whoever has looked up a number, and was refused, would tell by the time whether it is known."""
        asked: list[list[str]] = []

        def note(_connection, _cursor, statement, *_rest) -> None:
            asked[-1].append(statement)

        close(offered)
        places = [origin(offered, asker, child) for asker in (SUF, SOF) for child in (KARLA, UNKNOWN)]
        registration.open_form(offered.ctx, SUF, places[0])  # who they are is known from here on
        registration.open_form(offered.ctx, SOF, places[0])
        event.listen(offered.ctx.database.engine, "before_cursor_execute", note)
        try:
            for place, asker in zip(places, (SUF, SUF, SOF, SOF), strict=True):
                asked.append([])
                assert registration.open_form(offered.ctx, asker, place).value is None
        finally:
            event.remove(offered.ctx.database.engine, "before_cursor_execute", note)
        refused, unknown, closed, _unknown = asked
        assert refused == unknown == closed
        assert len(refused) > 5

    def test_from_a_task_of_ones_own(self, offered):
        ask(offered)
        place = registration.Origin("task", task(offered).id)
        assert registration.open_form(offered.ctx, MINE, place).value is not None
        assert registration.open_form(offered.ctx, SOF, place).value is None

    def test_only_whoever_has_custody_today_can_have_answered(self, offered):
        offered.present("1405134321")
        offered.custody("1405134321", STRANGER)
        offered.night()
        with pytest.raises(NotAllowed, match="custody"):
            register(offered, SOF, who=STRANGER)

    @pytest.mark.parametrize("evidence", ["", "  ", "x" * 201])
    def test_not_without_where_the_proof_is(self, offered, evidence):
        with pytest.raises(NotAllowed, match="proof"):
            register(offered, SOF, evidence=evidence)

    def test_a_withdrawal_ends_the_assignment_at_once(self, offered):
        register(offered, SOF)
        assert registration.open_form(offered.ctx, SOF, origin(offered, SOF)).value.answers == ("withdrawn",)
        register(offered, SOF, "withdrawn", FATHER)
        assert [row.until for row in offered.rows(tables.Assignment)] == [offered.clock.now()]

    def test_the_evidence_is_in_the_journal_and_given_again_after_a_restore(self, offered, tmp_path):
        folder = tmp_path / "journal"
        folder.mkdir()
        ctx = replace(offered.ctx, settings=offered.ctx.settings.model_copy(update={"journal": folder}))
        place = offered.rows(tables.Offer)[0].coordinator_id
        registration.register(ctx, SOF, origin(offered, SOF), offered.guardian(MOTHER), "no", "paper", "J-18")
        assert b"J-18" not in next(folder.iterdir()).read_bytes()
        with ctx.database.begin() as session:  # as it was before the answer
            session.execute(delete(tables.Acceptance))
            session.execute(update(tables.Offer).values(state="offered", coordinator_id=place, answered_at=None))
            session.add(tables.Sender(id=1, place="x", since=ctx.clock.now() - timedelta(hours=1)))
        assert reconcile(ctx, folder).answers == 1
        (answer,) = offered.rows(tables.Acceptance)
        with offered.session() as session:
            key = open_key(session, ctx.keys, session.get_one(tables.Child, offered.child(KARLA)).key_id)
        assert unseal_json(key, answer.evidence, f"acceptance:{answer.id}") == {"evidence": "J-18"}

    def test_the_text_they_answered_is_that_of_the_letter_they_had(self, offered):
        compose_due(offered.ctx, Templates())
        (letter,) = offered.rows(tables.Letter, tables.Letter.guardian_id == offered.guardian(MOTHER))
        deliver(offered.ctx, letter.id)
        register(offered, SOF)
        assert offered.rows(tables.Acceptance)[0].text_version == f"phone:{letter.template_version}"


def test_an_answer_without_evidence_keeps_none(offered):
    family.accept(offered.ctx, offered.child(KARLA), offered.by(MOTHER))
    assert [row.evidence for row in offered.rows(tables.Acceptance)] == [None]


def test_a_request_about_a_case_that_must_no_longer_be_told_does_not_tell_it_either(told):
    (case,) = told.rows(tables.Case)
    ask(told, rights.WRONG, case_id=case.id)
    assert tasklist.look(told.ctx, SOF, task(told).id).value.case == "dækning af merudgifter"
    told.sof.take_away("sof-1")
    sync(told.ctx)
    opened = tasklist.look(told.ctx, SOF, task(told).id).value
    assert (opened.case, opened.said) == (None, "Vi er imod.")
