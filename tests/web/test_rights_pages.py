"""The buttons of the family page, the task list of staff, and a family's answer in three clicks."""

from __future__ import annotations

import html
import re
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import select

from hub import consents
from hub import family as acts
from hub.context import Context
from hub.store import tables
from tests.web.conftest import write_personas

IDA = "0311164234"


@pytest.fixture
def accepted(ctx: Context, town: Any, family: SimpleNamespace) -> SimpleNamespace:
    acts.accept(ctx, family.ida, acts.Answerer(family.mother, "page", "test"))
    town.case(family.ida, "sof_case", "32.18.04")
    return family


@pytest.fixture
def people(accepted: SimpleNamespace, browser: Any, another: Any) -> SimpleNamespace:
    """Mother, father, Sanne of SOF and Bo of BUF, each in a browser of their own."""
    found = SimpleNamespace(mother=browser, father=another(), sanne=another(), bo=another())
    found.mother.sign_in(f"guardian:{accepted.mother}")
    found.father.sign_in(f"guardian:{accepted.father}")
    found.sanne.sign_in("staff:s-1")
    found.bo.sign_in("staff:s-2")
    return found


def text(answer: Any) -> str:
    """What stands on a page."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", answer.text)).split())


def rows(ctx: Context, table: Any) -> list[Any]:
    with ctx.database.begin() as session:
        return list(session.execute(select(table)).scalars())


def say_wrong(people: SimpleNamespace, accepted: SimpleNamespace, ctx: Context, said: str = "Det er 12 uger.") -> None:
    (case,) = rows(ctx, tables.Case)
    done = people.mother.submit(
        "/familie", "/familie/spoerg", kind="rights_wrong", child=str(accepted.ida), case=str(case.id), text=said
    )
    assert done.status_code == 200
    assert "Et menneske læser det" in text(done)


def test_what_is_wrong_is_answered_by_a_person_and_read_by_who_asked_alone(
    people: SimpleNamespace, accepted: SimpleNamespace, ctx: Context
) -> None:
    say_wrong(people, accepted, ctx, "Datoen <b>passer</b> ikke.")
    page = text(people.mother.get("/familie"))
    assert "Det her er forkert: Dækning af merudgifter Datoen <b>passer</b> ikke." in page
    assert "Du får svar senest mandag den 16. november 2026." in page
    assert "En familie skriver, at noget er forkert" in text(people.sanne.get("/personale/opgaver"))
    assert "Der er ingen opgaver til dig" in text(people.bo.get("/personale/opgaver"))
    (task,) = rows(ctx, tables.Task)
    opened = text(people.sanne.get(f"/personale/opgaver/{task.id}"))
    assert "Datoen <b>passer</b> ikke." in opened
    assert "Anne Bæk Lund" in opened
    done = people.sanne.submit(
        f"/personale/opgaver/{task.id}", f"/personale/opgaver/{task.id}/svar", text="Du har ret. Vi har rettet det."
    )
    assert "Svaret er sendt til familiens side" in text(done)
    assert "Der er ingen opgaver til dig" in text(done)
    page = text(people.mother.get("/familie"))
    assert "En medarbejder, Socialforvaltningen: Du har ret. Vi har rettet det." in page
    assert "Sanne" not in page
    theirs = text(people.father.get("/familie"))
    for word in ("passer", "Du har ret", "Det har du skrevet"):
        assert word not in theirs


def test_the_task_list_names_nobody_and_opening_a_task_is_logged(
    people: SimpleNamespace, accepted: SimpleNamespace, ctx: Context
) -> None:
    say_wrong(people, accepted, ctx)
    listed = people.sanne.get("/personale/opgaver").text
    for word in (IDA, "Ida", "Anne", "merudgifter", "12 uger"):
        assert word not in listed
    before = [row for row in rows(ctx, tables.LogEntry) if row.kind == "duty"]
    (task,) = rows(ctx, tables.Task)
    people.sanne.get(f"/personale/opgaver/{task.id}")
    assert people.bo.get(f"/personale/opgaver/{task.id}").status_code == 404
    looks = [row.child_id for row in rows(ctx, tables.LogEntry) if row.kind == "duty"]
    assert before == []
    assert looks == [accepted.ida, None]


def test_an_objection_of_the_other_guardian_is_a_task_too(
    people: SimpleNamespace, accepted: SimpleNamespace, ctx: Context
) -> None:
    done = people.father.submit(
        "/familie", "/familie/spoerg", kind="rights_objection", child=str(accepted.ida), text="Ikke uden mig."
    )
    assert "Jeg gør indsigelse" in text(done)
    (task,) = rows(ctx, tables.Task)
    assert (task.kind, task.staff_id) == ("rights_objection", accepted.coordinator)


def test_an_objection_is_upheld_where_it_is_answered_and_the_family_reads_it_and_may_open_again(
    people: SimpleNamespace, accepted: SimpleNamespace, ctx: Context
) -> None:
    asked = {"kind": "rights_objection", "child": str(accepted.ida), "text": "Ikke Børne- og Ungdomsforvaltningen."}
    people.mother.submit("/familie", "/familie/spoerg", **asked)
    (task,) = rows(ctx, tables.Task)
    with ctx.database.begin() as session:
        row = session.get_one(tables.Task, task.id)
        row.staff_id, row.administration = None, "SOF"
    path = f"/personale/opgaver/{task.id}"
    assert "Får familien ret? Luk for:" in text(people.sanne.get(path))
    again = people.sanne.submit(path, f"{path}/svar", text="", **{"luk-BUF": "ja"})
    assert again.status_code == 422
    assert 'name="luk-BUF" value="ja" checked' in again.text
    assert rows(ctx, tables.Block) == []
    people.sanne.submit(path, f"{path}/svar", text="Du har ret.", **{"luk-BUF": "ja"})
    page = text(people.mother.get("/familie"))
    assert "Du har fået ret. Der er lukket for Børne- og Ungdomsforvaltningen." in page
    assert "Du har fået ret i din indsigelse, og der er lukket for Børne- og Ungdomsforvaltningen." in page
    assert "fået ret" not in text(people.father.get("/familie"))
    people.mother.submit("/familie", "/familie/valg", child=str(accepted.ida), choice="aabn", administration="BUF")
    assert "Du har fået ret i din indsigelse" not in text(people.mother.get("/familie"))
    assert [row.lifted_at is None for row in rows(ctx, tables.Block)] == [False]


def test_nothing_is_closed_in_the_name_of_whoever_has_lost_custody(
    people: SimpleNamespace, accepted: SimpleNamespace, ctx: Context
) -> None:
    people.mother.submit("/familie", "/familie/spoerg", kind="rights_objection", child=str(accepted.ida), text="Nej.")
    (task,) = rows(ctx, tables.Task)
    with ctx.database.begin() as session:
        row = session.get_one(tables.Task, task.id)
        row.staff_id, row.administration = None, "SOF"
        session.get_one(tables.Custody, (accepted.ida, accepted.mother)).until = ctx.clock.now().date()
    path = f"/personale/opgaver/{task.id}"
    again = people.sanne.submit(path, f"{path}/svar", text="Du har ret.", **{"luk-BUF": "ja"})
    assert again.status_code == 422
    assert "taler ikke længere for barnet, så du kan ikke lukke" in text(again)
    assert "Du har ret." in again.text
    people.sanne.submit(path, f"{path}/svar", text="Det er ikke længere dit.")
    assert rows(ctx, tables.Block) == []


def test_we_belong_is_reached_without_being_found(town: Any, ctx: Context, browser: Any) -> None:
    alone = town.guardian("1201881112", "Anne Bæk Lund")
    write_personas(ctx, alone)
    browser.sign_in(f"guardian:{alone}")
    assert "/familie/hoerer-til" in browser.get("/familie").text
    wrong = browser.submit("/familie/hoerer-til", "/familie/hoerer-til", cpr="0912", text="")
    assert wrong.status_code == 422
    assert "Et CPR-nummer har 10 cifre. Du har skrevet 4." in text(wrong)
    done = browser.submit("/familie/hoerer-til", "/familie/hoerer-til", cpr="091216-4321", text="Vi har to sager.")
    assert "Vi mener, vi hører til" in text(done)
    assert "0912164321" not in done.text
    (task,) = rows(ctx, tables.Task)
    assert task.kind == "rights_belong"


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "rights_wrong"},
        {"kind": "rights_wrong", "child": "x"},
        {"kind": "deadline_near"},
        {"kind": "rights_objection", "text": "x" * 2001},
    ],
)
def test_what_cannot_be_taken_is_said_so(
    people: SimpleNamespace, accepted: SimpleNamespace, ctx: Context, fields: dict[str, str]
) -> None:
    given = {"child": str(accepted.ida)} if "child" not in fields and len(fields) > 1 else {}
    done = people.mother.submit("/familie", "/familie/spoerg", **given, **fields)
    assert done.status_code == 409
    assert "Det er ikke sendt" in done.text
    assert rows(ctx, tables.RightsRequest) == []


def test_an_empty_answer_is_asked_for_again(people: SimpleNamespace, accepted: SimpleNamespace, ctx: Context) -> None:
    say_wrong(people, accepted, ctx)
    (task,) = rows(ctx, tables.Task)
    page = f"/personale/opgaver/{task.id}"
    again = people.sanne.submit(page, f"{page}/svar", text="  ")
    assert again.status_code == 422
    assert "Skriv svaret til familien" in again.text


@pytest.mark.parametrize(
    "path", ["/familie/spoerg", "/familie/hoerer-til", "/personale/registrer", "/personale/registrer/gem"]
)
def test_a_form_from_elsewhere_is_refused(people: SimpleNamespace, path: str) -> None:
    who = people.mother if path.startswith("/familie") else people.sanne
    done = who.post(path, data={"csrf": "guessed"}, headers={"Origin": who.origin})
    assert done.status_code == 403


def test_nobody_who_is_not_signed_in_is_let_in(browser: Any, ctx: Context) -> None:
    for path in ("/personale/opgaver", "/familie/hoerer-til"):
        assert browser.get(path, follow_redirects=False).headers["location"] == "/demo/login"


class TestThreeClicks:
    @pytest.fixture
    def sanne(self, family: SimpleNamespace, ctx: Context, browser: Any) -> Any:
        with ctx.database.begin() as session:
            child = session.get_one(tables.Child, family.ida)
            session.add(
                tables.Presence(
                    source="sof_case", reference=b"r", token=child.token, administration="SOF", state="open",
                    last_seen=ctx.clock.now(),
                )
            )  # fmt: skip
        browser.sign_in("staff:s-1")
        return browser

    def entry(self, page: str) -> str:
        found = re.search(r'name="lookup" value="([^"]+)"', page)
        assert found
        return found[1]

    def begin(self, browser: Any, cpr: str = IDA) -> tuple[str, Any]:
        entry = self.entry(browser.look_up(cpr).text)
        return entry, browser.submit("/personale", "/personale/registrer", lookup=entry)

    def test_from_the_lookups_answer_to_a_registered_yes(
        self, sanne: Any, family: SimpleNamespace, ctx: Context
    ) -> None:
        entry, form = self.begin(sanne)
        assert "Anne Bæk Lund" in form.text
        assert "Jens Kær" in form.text
        assert IDA not in form.text
        fields = {"guardian": str(family.mother), "said": "yes", "how": "phone", "evidence": "2026-17"}
        done = sanne.submit("/personale", "/personale/registrer/gem", lookup=entry, **fields)
        assert "Familiens svar er registreret" in text(done)
        (answer,) = rows(ctx, tables.Acceptance)
        assert (answer.answer, answer.how, answer.guardian_id) == ("yes", "phone", family.mother)
        assert b"2026-17" not in (answer.evidence or b"")

    def test_from_the_lookups_answer_to_an_administration_that_is_closed_and_a_consent_in_three_clicks(
        self, sanne: Any, family: SimpleNamespace, ctx: Context
    ) -> None:
        acts.accept(ctx, family.ida, acts.Answerer(family.mother, "page", "test"))
        entry, form = self.begin(sanne)
        said = {"guardian": str(family.father), "how": "meeting", "evidence": "2026-18"}
        assert "Luk for Børne- og Ungdomsforvaltningen" in text(form)
        assert "Den unge selv" not in text(form)
        for choice in ("close:BUF", "no_consent:SUF"):
            done = sanne.submit("/personale", "/personale/registrer/gem", lookup=entry, said=choice, **said)
            assert "Familiens svar er registreret" in text(done)
        (block,) = rows(ctx, tables.Block)
        assert (block.administration, block.how, block.guardian_id, block.language) == (
            "BUF", "meeting", family.father, "da",
        )  # fmt: skip
        assert re.fullmatch(r"meeting:[0-9a-f]{16}", block.text_version)
        assert block.registered_by is not None
        assert b"2026-18" not in block.sealed
        assert [row.withdrawn_at for row in rows(ctx, tables.Consent)] == [ctx.clock.now()]
        sanne.submit("/personale", "/personale/registrer/gem", lookup=entry, said="open:BUF", **said)
        sanne.submit("/personale", "/personale/registrer/gem", lookup=entry, said="consent:SUF", **said)
        assert [row.lifted_at for row in rows(ctx, tables.Block)] == [ctx.clock.now()]
        assert [row.guardian_id for row in rows(ctx, tables.Consent) if row.withdrawn_at is None] == [family.father]

    def test_the_form_is_the_same_whatever_has_been_closed_or_given(
        self, sanne: Any, family: SimpleNamespace, ctx: Context
    ) -> None:
        acts.accept(ctx, family.ida, acts.Answerer(family.mother, "page", "test"))
        entry, before = self.begin(sanne)
        speaker = consents.Speaker("guardian", "page", "test", "da", family.mother)
        consents.close(ctx, family.ida, "BUF", speaker)
        consents.take_back(ctx, family.ida, "SUF", speaker)
        after = sanne.submit("/personale", "/personale/registrer", lookup=entry)
        tokens = re.compile(r'name="csrf" value="[^"]+"')
        assert tokens.sub("", after.text) == tokens.sub("", before.text)

    def test_once_closed_for_their_own_administration_they_write_nothing_more_down(
        self, sanne: Any, family: SimpleNamespace, ctx: Context
    ) -> None:
        entry, _form = self.begin(sanne)
        fields = {"guardian": str(family.mother), "said": "close:SOF", "how": "phone", "evidence": "J-1"}
        assert sanne.submit("/personale", "/personale/registrer/gem", lookup=entry, **fields).status_code == 200
        again = sanne.submit("/personale", "/personale/registrer/gem", lookup=entry, **(fields | {"said": "open:SOF"}))
        assert again.status_code == 409
        assert "Anne" not in again.text

    @pytest.mark.parametrize("said", ["close:XYZ", "close:", "consent:SOF", "no_consent:SUF", "open"])
    def test_what_cannot_be_chosen_is_not_written_down(
        self, sanne: Any, family: SimpleNamespace, ctx: Context, said: str
    ) -> None:
        """Also not consent before there is a yes."""
        entry, _form = self.begin(sanne)
        fields = {"guardian": str(family.mother), "said": said, "how": "phone", "evidence": "J-1"}
        assert sanne.submit("/personale", "/personale/registrer/gem", lookup=entry, **fields).status_code == 409
        assert rows(ctx, tables.Block) == rows(ctx, tables.Consent) == []

    def test_a_young_person_answers_and_chooses_by_phone(
        self, sanne: Any, family: SimpleNamespace, town: Any, ctx: Context
    ) -> None:
        noor = town.child("0210104321")
        town.guardian("0808804444", "Pia Dam", noor)
        town.offer(noor, family.coordinator)
        town.case(noor, "sof_case", "32.18.04")
        entry, form = self.begin(sanne, "0210104321")
        assert "Den unge selv" in text(form)
        fields = {"guardian": "young", "how": "phone", "evidence": "J-1"}
        sanne.submit("/personale", "/personale/registrer/gem", lookup=entry, said="yes", **fields)
        sanne.submit("/personale", "/personale/registrer/gem", lookup=entry, said="close:BUF", **fields)
        assert [(row.capacity, row.child_id) for row in rows(ctx, tables.Block)] == [("young", noor)]
        answers = [(row.capacity, row.guardian_id, row.answer, row.how) for row in rows(ctx, tables.Acceptance)]
        assert answers == [("young", None, "yes", "phone")]

    def test_what_is_missing_is_said_and_the_rest_kept(self, sanne: Any) -> None:
        entry, _form = self.begin(sanne)
        again = sanne.submit("/personale", "/personale/registrer/gem", lookup=entry, said="yes", evidence="J-1")
        assert again.status_code == 422
        for problem in ("Vælg, hvem der har svaret.", "Vælg, hvordan svaret kom."):
            assert problem in again.text
        assert 'value="J-1"' in again.text

    def test_whoever_may_not_and_whoever_is_not_known_get_one_and_the_same_answer(self, sanne: Any) -> None:
        _entry, unknown = self.begin(sanne, "0912164321")
        broken = sanne.submit("/personale", "/personale/registrer", lookup="x")
        sanne.sign_in("staff:s-2")
        _entry, refused = self.begin(sanne)
        tokens = re.compile(r'name="csrf" value="[^"]+"')
        pages = {tokens.sub("", each.text) for each in (refused, unknown, broken)}
        assert len(pages) == 1
        assert {each.status_code for each in (refused, unknown, broken)} == {409}
