"""Your choices: what a parent, or a young person from 15, takes back, closes and opens holds at the next look of
anybody, and nobody else's choice is ever seen."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from datetime import date
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import delete, select, update

from hub import consents, rights
from hub import family as acts
from hub.access.log import Asker
from hub.cases import events, hearing, kinds
from hub.clock import SetClock
from hub.context import Context
from hub.letters.compose import compose_due
from hub.letters.templates import Templates
from hub.store import tables
from hub.store.people import open_key
from hub.vault import unseal_json
from tests.web.conftest import write_personas

pytestmark = pytest.mark.slow

IDA, YOUNG = "0311164234", "0210104321"
NAME = "Mette Holm Østergård"
SUF = "Sundheds- og Omsorgsforvaltningen"


@pytest.fixture
def ctx(ctx: Context) -> Context:
    """Consent is asked apart from the yes."""
    access = ctx.settings.access.model_copy(update={"health_consent": "apart"})
    return replace(ctx, settings=ctx.settings.model_copy(update={"access": access}))


@pytest.fixture
def people(ctx: Context, town: Any, family: SimpleNamespace, browser: Any, another: Any) -> SimpleNamespace:
    """Ida has a coordinator and a case in each of two administrations; her parents, and staff, each in a browser of
    their own."""
    acts.accept(ctx, family.ida, acts.Answerer(family.mother, "page", "test"))
    town.name(family.ida, "Ida Bæk Lund")
    town.case(family.ida, "sof_case", "32.18.04")
    town.case(family.ida, "buf_case", "101011", "open")
    found = SimpleNamespace(mother=another(), father=another(), office=browser, ida=family.ida)
    found.mother.sign_in(f"guardian:{family.mother}")
    found.father.sign_in(f"guardian:{family.father}")
    return found


def text(answer: Any) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", answer.text)).split())


def choose(browser: Any, child: Any, choice: str, administration: str = "", page: str = "/familie") -> Any:
    fields = {"administration": administration} if administration else {}
    return browser.submit(page, f"{page}/valg", child=str(child), choice=choice, **fields)


SANNE, BO = "staff:s-1", "staff:s-2"


def look_up(people: SimpleNamespace, who: str, cpr: str = IDA) -> Any:
    people.office.sign_in(who)
    return people.office.look_up(cpr)


def sees(people: SimpleNamespace, who: str, cpr: str = IDA) -> bool:
    return NAME in look_up(people, who, cpr).text


def rows(ctx: Context, table: Any) -> list[Any]:
    with ctx.database.begin() as session:
        return list(session.execute(select(table)).scalars())


def test_a_yes_taken_back_is_gone_at_the_next_lookup_and_the_next_page(people: SimpleNamespace) -> None:
    page = text(people.mother.get("/familie"))
    for word in (
        "breve fra os, der ikke er sendt endnu",
        "breve, som loven kræver",
        "stopper koordinatoren også for dem",
    ):
        assert word in page, "what ends and what does not is said before"
    assert sees(people, SANNE)
    done = choose(people.mother, people.ida, "tilbage")
    assert not sees(people, SANNE)
    assert "Du har taget dit ja tilbage" in text(done)
    assert "Du har sagt, at du ikke vil have en koordinator længere" in text(done)
    for browser in (people.mother, people.father):
        after = text(browser.get("/familie"))
        for word in (NAME, "Det er i gang", "merudgifter"):
            assert word not in after
    assert "Du har taget" not in text(people.mother.get("/familie")), "it is said once"


def test_the_other_guardian_is_not_told_who_took_the_yes_back(people: SimpleNamespace) -> None:
    choose(people.father, people.ida, "tilbage")
    hers = text(people.mother.get("/familie"))
    assert "taget dit ja tilbage" not in hers
    assert "ikke vil have en koordinator længere" not in hers
    assert "Der er ikke et åbent tilbud" in hers


def test_closed_for_an_administration_its_staff_get_the_one_answer_until_it_is_opened(people: SimpleNamespace) -> None:
    assert sees(people, SANNE)
    assert sees(people, BO)
    done = choose(people.mother, people.ida, "luk", "BUF")
    assert "Du har lukket for Børne- og Ungdomsforvaltningen. Det gælder fra nu af." in text(done)
    assert sees(people, SANNE)
    unknown = look_up(people, BO, "0311164250")
    refused = look_up(people, BO)
    own = re.compile(r'(name="(csrf|lookup)" value=")[^"]+|<code>[^<]+|\d+ novem[a-z]+ \d+')
    assert own.sub("", refused.text) == own.sub("", unknown.text)
    choose(people.mother, people.ida, "aabn", "BUF")
    assert sees(people, BO)


def test_what_one_guardian_closes_and_gives_the_other_never_sees(people: SimpleNamespace) -> None:
    tokens = re.compile(r'name="csrf" value="[^"]+"')
    before = tokens.sub("", people.father.get("/familie").text)
    choose(people.mother, people.ida, "luk", "BUF")
    choose(people.mother, people.ida, "samtykke", "SUF")
    assert tokens.sub("", people.father.get("/familie").text) == before
    hers = text(people.mother.get("/familie"))
    assert "Du har lukket for Børne- og Ungdomsforvaltningen." in hers
    assert f"Du har sagt ja til, at vi læser om sager hos {SUF}." in hers


def test_closed_by_both_it_is_open_when_both_have_opened(people: SimpleNamespace) -> None:
    for who in (people.mother, people.father):
        choose(who, people.ida, "luk", "SOF")
    choose(people.mother, people.ida, "aabn", "SOF")
    assert not sees(people, SANNE)
    choose(people.father, people.ida, "aabn", "SOF")
    assert sees(people, SANNE)


def test_a_consent_is_kept_with_its_text_and_language_and_taken_back_by_either(
    people: SimpleNamespace, ctx: Context, town: Any
) -> None:
    people.mother.get("/familie?sprog=en")
    done = choose(people.mother, people.ida, "samtykke", "SUF")
    assert "You have said yes to our reading about cases at the Health and Care Administration" in text(done)
    (given,) = rows(ctx, tables.Consent)
    assert (given.how, given.capacity, given.language) == ("page", "guardian", "en")
    assert re.fullmatch(r"page:en:[0-9a-f]{16}", given.text_version)
    town.case(people.ida, "suf_cura", "care")
    assert "Pleje og genoptræning" in text(people.father.get("/familie"))
    said = choose(people.father, people.ida, "intet-samtykke", "SUF")
    assert "Vi læser ikke mere om sager hos" in text(said)
    for browser in (people.father, people.mother):
        assert "Pleje og genoptræning" not in text(browser.get("/familie?sprog=da"))


@pytest.mark.parametrize(
    ("choice", "administration"),
    [
        ("luk", "XYZ"),
        ("aabn", "XYZ"),
        ("luk", ""),
        ("samtykke", "SOF"),
        ("intet-samtykke", "SOF"),
        ("andet", "SOF"),
        ("", ""),
    ],
)
def test_what_cannot_be_chosen_is_not_taken(
    people: SimpleNamespace, ctx: Context, choice: str, administration: str
) -> None:
    done = choose(people.mother, people.ida, choice, administration)
    assert done.status_code == 409
    assert "Dit valg er ikke gemt" in done.text
    assert rows(ctx, tables.Block) == rows(ctx, tables.Consent) == []


@pytest.mark.parametrize("choice", ["tilbage", "luk", "aabn", "samtykke", "intet-samtykke"])
def test_another_child_an_unknown_and_a_former_one_are_one_and_the_same_answer(
    people: SimpleNamespace, ctx: Context, town: Any, choice: str
) -> None:
    theirs, former, forgotten = (town.child(cpr) for cpr in ("1405134321", "0912164321", "1012164322"))
    with ctx.database.begin() as session:
        session.get_one(tables.Child, former).same_as = theirs
        session.get_one(tables.PersonKey, session.get_one(tables.Child, forgotten).key_id).wrapped = None
    town.end_custody(people.ida, rows(ctx, tables.Guardian)[0].id)
    done = [
        choose(people.mother, child, choice, "" if choice == "tilbage" else "SUF")
        for child in (theirs, former, forgotten, uuid4(), "x")
    ]
    assert {each.status_code for each in done} == {409}
    tokens = re.compile(r'name="csrf" value="[^"]+"')
    assert len({tokens.sub("", each.text) for each in done}) == 1
    assert rows(ctx, tables.Block) == rows(ctx, tables.Consent) == []


@pytest.mark.parametrize("path", ["/familie/valg", "/familie/mig/valg"])
def test_a_form_from_elsewhere_chooses_nothing(people: SimpleNamespace, ctx: Context, young: Any, path: str) -> None:
    who = people.mother if path == "/familie/valg" else young.browser
    fields = {"child": str(people.ida), "choice": "luk", "administration": "SOF"}
    for token, origin in (("guessed", who.origin), (who.token("/familie"), "https://elsewhere.example"), ("", "")):
        done = who.post(path, data=fields | {"csrf": token}, headers={"Origin": origin} if origin else {})
        assert done.status_code == 403
    assert rows(ctx, tables.Block) == []


@pytest.mark.parametrize("path", ["/familie/valg", "/familie/mig", "/familie/mig/valg"])
def test_nobody_but_the_person_is_let_in(people: SimpleNamespace, path: str) -> None:
    people.office.sign_in(SANNE)
    ask = people.office.get if path == "/familie/mig" else people.office.post
    assert ask(path, follow_redirects=False).headers["location"] == "/demo/login"
    if "mig" in path:
        ask = people.mother.get if path == "/familie/mig" else people.mother.post
        assert ask(path, follow_redirects=False).headers["location"] == "/demo/login"


def test_choices_of_several_children_name_the_child(people: SimpleNamespace, ctx: Context, town: Any) -> None:
    emil = town.child("1405134321")
    guardian = next(row.guardian_id for row in rows(ctx, tables.Acceptance))
    with ctx.database.begin() as session:
        session.add(tables.Custody(child_id=emil, guardian_id=guardian, seen_at=ctx.clock.now()))
    town.offer(emil, rows(ctx, tables.Coordinator)[0].staff_id)
    page = people.mother.get("/familie").text
    labels = re.findall(r'name="child" value="([^"]+)">\s*<input type="hidden" name="choice" value="luk">', page)
    assert set(labels) == {str(people.ida), str(emil)}
    assert "Ja, luk (Ida)" in text(people.mother.get("/familie"))


@pytest.fixture
def young(ctx: Context, town: Any, people: SimpleNamespace, another: Any) -> SimpleNamespace:
    """Somebody of 16 with a coordinator, signed in as themselves; their guardian too."""
    child = town.child(YOUNG)
    guardian = town.guardian("0808804444", "Pia Dam", child)
    town.offer(child, rows(ctx, tables.Coordinator)[0].staff_id)
    acts.accept(ctx, child, acts.Answerer(guardian, "page", "test"))
    town.name(child, "Noor Dam")
    town.case(child, "sof_case", "27.21.16", deadline=date(2026, 11, 20))
    known = [row.id for row in rows(ctx, tables.Guardian)]
    write_personas(ctx, *known, young=[child])
    found = SimpleNamespace(child=child, browser=another(), guardian=another())
    found.browser.sign_in(f"young:{child}")
    found.guardian.sign_in(f"guardian:{guardian}")
    return found


class TestYoung:
    def test_their_own_page_shows_coordinator_and_cases_and_is_in_the_log_as_theirs(
        self, young: SimpleNamespace, ctx: Context
    ) -> None:
        page = text(young.browser.get("/familie"))
        for word in ("Din egen side", NAME, "Aflastning uden for hjemmet", "fredag den 20. november 2026"):
            assert word in page
        for word in ("merudgifter", "Ida", "Pia", "Dine breve", "jeg hører til", YOUNG):
            assert word not in page
        last = max((row for row in rows(ctx, tables.LogEntry) if row.kind == "own"), key=lambda row: row.seq)
        with ctx.database.begin() as session:
            child = session.get_one(tables.Child, young.child)
            key = open_key(session, ctx.keys, child.key_id)
        assert (last.child_id, last.asker_key, last.subject_key) == (young.child, child.key_id, child.key_id)
        assert unseal_json(key, last.asker, f"log-asker:{last.id}")["role"] == "young"
        subject = unseal_json(key, last.subject, f"log-subject:{last.id}")
        assert subject["basis"] == "own"
        assert {"coordinator", "cases"} <= set(subject["shown"])

    def test_what_they_close_and_give_is_theirs_and_no_guardian_sees_it(
        self, young: SimpleNamespace, people: SimpleNamespace, ctx: Context
    ) -> None:
        assert sees(people, SANNE, YOUNG)
        done = choose(young.browser, young.child, "luk", "SOF", "/familie/mig")
        assert "Du har lukket for Socialforvaltningen. Det gælder fra nu af." in text(done)
        assert not sees(people, SANNE, YOUNG)
        choose(young.browser, young.child, "samtykke", "SUF", "/familie/mig")
        assert {row.capacity for row in (*rows(ctx, tables.Block), *rows(ctx, tables.Consent))} == {"young"}
        assert "Du har sagt ja" in text(young.browser.get("/familie/mig"))
        theirs = text(young.guardian.get("/familie"))
        for word in ("Du har lukket", "Du har sagt ja"):
            assert word not in theirs
        choose(young.browser, young.child, "aabn", "SOF", "/familie/mig")
        assert sees(people, SANNE, YOUNG)

    @pytest.mark.parametrize("about_case", [True, False])
    def test_they_ask_and_read_the_answer_and_no_guardian_does(
        self, young: SimpleNamespace, people: SimpleNamespace, ctx: Context, about_case: bool
    ) -> None:
        (case,) = [row for row in rows(ctx, tables.Case) if row.child_id == young.child]
        kind = "rights_wrong" if about_case else "rights_objection"
        asked = {"kind": kind, "child": str(people.ida), "text": "Det passer ikke."} | (
            {"case": str(case.id)} if about_case else {}
        )
        page = text(young.browser.submit("/familie/mig", "/familie/mig/spoerg", **asked))
        assert "Et menneske læser det" in page
        assert "Det passer ikke." in page
        (task,) = [row for row in rows(ctx, tables.Task) if row.kind == kind]
        assert (task.child_id, task.administration) == (young.child, "SOF" if about_case else None)
        last = max((row for row in rows(ctx, tables.LogEntry) if row.kind == "rights"), key=lambda row: row.seq)
        with ctx.database.begin() as session:
            child = session.get_one(tables.Child, young.child)
            asker = unseal_json(open_key(session, ctx.keys, child.key_id), last.asker, f"log-asker:{last.id}")
        assert (last.child_id, asker["role"], asker["id"]) == (young.child, "young", str(young.child))
        with ctx.database.begin() as session:
            session.get_one(tables.Task, task.id).administration = "SOF"
        rights.answer(ctx, task.id, Asker("s-1", "Sanne Toft", "staff", "SOF"), "Vi har rettet det.")
        page = text(young.browser.get("/familie/mig"))
        assert "En medarbejder, Socialforvaltningen: Vi har rettet det." in page
        theirs = text(young.guardian.get("/familie"))
        for word in ("passer ikke", "har rettet", "Det har du skrevet"):
            assert word not in theirs

    def test_what_a_guardian_has_asked_is_not_theirs_to_read(self, young: SimpleNamespace) -> None:
        asked = {"kind": "rights_objection", "child": str(young.child), "text": "Kun fra mig."}
        assert "Kun fra mig." in text(young.guardian.submit("/familie", "/familie/spoerg", **asked))
        assert "Kun fra mig." not in text(young.browser.get("/familie/mig"))

    def test_a_case_of_another_child_is_none_of_theirs(
        self, young: SimpleNamespace, people: SimpleNamespace, town: Any, ctx: Context
    ) -> None:
        other = next(row for row in rows(ctx, tables.Case) if row.child_id == people.ida)
        done = young.browser.submit("/familie/mig", "/familie/mig/spoerg", kind="rights_wrong", case=str(other.id))
        assert done.status_code == 409
        assert [row for row in rows(ctx, tables.Task) if row.kind == "rights_wrong"] == []

    def test_how_they_are_written_to_is_their_own_choice(self, young: SimpleNamespace, ctx: Context) -> None:
        path = "/familie/mig/breve/valg"
        assert '<option value="da" lang="da" selected>' in young.browser.get(path).text
        done = young.browser.submit(path, path, large_print="ja", interpreter="arabisk", language="en")
        assert "Vi har gemt dit valg" in text(done)
        assert '<option value="en" lang="en" selected>' in young.browser.get(path).text
        assert 'name="large_print" value="ja" checked' in young.browser.get(path).text
        assert 'name="large_print" value="ja" checked' not in young.guardian.get("/familie/breve/valg").text
        with ctx.database.begin() as session:
            own = hearing.young_person(session, young.child)
        assert [row.guardian_id for row in rows(ctx, tables.Preference)] == [own]

    def test_a_consent_can_have_a_last_day(self, young: SimpleNamespace, ctx: Context) -> None:
        said = {"child": str(young.child), "choice": "samtykke", "administration": "SUF"}
        for wrong in ("2026-11-01", "i morgen"):
            done = young.browser.submit("/familie/mig", "/familie/mig/valg", until=wrong, **said)
            assert (done.status_code, "Vælg en dag, der ikke er gået." in text(done)) == (422, True)
        assert rows(ctx, tables.Consent) == []
        done = young.browser.submit("/familie/mig", "/familie/mig/valg", until="2026-12-03", **said)
        assert "Dit ja gælder til og med 3. december 2026." in text(done)

    def test_they_see_no_guardians_choice(self, young: SimpleNamespace) -> None:
        choose(young.guardian, young.child, "luk", "BUF")
        assert "Du har lukket" in text(young.guardian.get("/familie"))
        assert "Du har lukket" not in text(young.browser.get("/familie/mig"))

    def test_their_form_reaches_no_other_child(
        self, young: SimpleNamespace, people: SimpleNamespace, ctx: Context
    ) -> None:
        choose(young.browser, people.ida, "luk", "SOF", "/familie/mig")
        assert [row.child_id for row in rows(ctx, tables.Block)] == [young.child]

    def test_they_take_the_yes_back_whoever_gave_it_and_nobody_is_told_who(
        self, young: SimpleNamespace, people: SimpleNamespace
    ) -> None:
        assert "Koordinatoren stopper også for dem" in text(young.browser.get("/familie/mig"))
        done = choose(young.browser, young.child, "tilbage", "", "/familie/mig")
        assert "Du har taget dit ja tilbage" in text(done)
        assert not sees(people, SANNE, YOUNG)
        theirs = text(young.guardian.get("/familie"))
        assert NAME not in theirs
        assert "Du har sagt, at du ikke vil" not in theirs

    @pytest.mark.parametrize(("answer", "state", "said"), [
        ("ja", "accepted", "Nu har du en koordinator"), ("nej", "declined", "Vi har skrevet dit nej ned"),
    ])  # fmt: skip
    def test_they_answer_the_offer_on_their_own_page(
        self, young: SimpleNamespace, ctx: Context, answer: str, state: str, said: str
    ) -> None:
        self.offer_again(young, ctx)
        page = text(young.browser.get("/familie/mig"))
        assert "Vil du have en koordinator?" in page
        assert "dine sager" in page
        assert "dit barns" not in page
        assert said in text(young.browser.submit("/familie/mig", "/familie/mig/svar", answer=answer))
        (offer,) = [row for row in rows(ctx, tables.Offer) if row.child_id == young.child]
        assert offer.state == state
        (last,) = [row for row in rows(ctx, tables.Acceptance) if row.child_id == young.child]
        assert (last.capacity, last.guardian_id) == ("young", None)
        assert re.fullmatch(r"page:da:[0-9a-f]{16}", last.text_version)
        again = young.browser.submit("/familie/mig", "/familie/mig/svar", answer="ja")
        assert again.status_code == (200 if answer == "ja" else 409)

    def test_where_a_guardian_must_say_yes_they_may_say_no(self, young: SimpleNamespace, ctx: Context) -> None:
        self.offer_again(young, ctx)
        object.__setattr__(ctx.settings.access, "young_accepts", False)
        page = text(young.browser.get("/familie/mig"))
        assert "Ja tak" not in page
        assert "Du kan selv sige nej" in page
        assert young.browser.submit("/familie/mig", "/familie/mig/svar", answer="ja").status_code == 409
        assert young.browser.submit("/familie/mig", "/familie/mig/svar", answer="nej").status_code == 200

    def offer_again(self, young: SimpleNamespace, ctx: Context) -> None:
        """As it was before anybody answered."""
        with ctx.database.begin() as session:
            for table in (tables.Acceptance, tables.Assignment, tables.Case):
                session.execute(delete(table).where(table.child_id == young.child))
            session.execute(
                update(tables.Offer)
                .where(tables.Offer.child_id == young.child)
                .values(state="offered", answered_at=None)
            )

    def test_their_letters_are_theirs_and_the_guardians_the_guardians(
        self, young: SimpleNamespace, people: SimpleNamespace, ctx: Context
    ) -> None:
        """Read as the database lets them: neither's page opens the other's letter."""
        with ctx.database.begin() as session:
            hearing.keep_young(ctx, session, [young.child])
            events.record(ctx, session, [events.News(kinds.ASSIGNED, young.child, "again")])
            session.execute(update(tables.Bundle).values(due_at=ctx.clock.now()))
        compose_due(ctx, Templates())
        with ctx.database.begin() as session:
            session.execute(update(tables.Letter).values(state="delivered", route="digital"))
        links = {
            who: re.findall(rf'href="({at}/breve/[0-9a-f-]{{36}})"', browser.get(at).text)
            for who, at, browser in (
                ("young", "/familie/mig", young.browser),
                ("guardian", "/familie", young.guardian),
            )
        }
        assert [len(each) for each in links.values()] == [1, 1]
        mine, theirs = links["young"][0], links["guardian"][0]
        assert "Noor" in text(young.browser.get(mine))
        assert young.browser.get(f"{mine}/brev.pdf").content.startswith(b"%PDF")
        assert "Dine breve" in text(young.browser.get("/familie/mig"))
        for path in (theirs.replace("/familie/", "/familie/mig/"), mine.replace("/familie/mig/", "/familie/")):
            browser = young.browser if "mig" in path else young.guardian
            for end in ("", "/brev.pdf"):
                assert browser.get(path + end).status_code == 404
        assert people.mother.get(theirs).status_code == 404

    def test_from_15_a_guardian_does_not_consent_for_them(self, young: SimpleNamespace) -> None:
        page = text(young.guardian.get("/familie"))
        assert "Den unge er fyldt 15 år og siger selv ja" in page
        assert "Ja, læs om sager" not in page
        assert choose(young.guardian, young.child, "samtykke", "SUF").status_code == 409

    def test_before_15_and_from_18_there_is_nothing(
        self, young: SimpleNamespace, people: SimpleNamespace, ctx: Context, another: Any, clock: SetClock
    ) -> None:
        write_personas(ctx, young=[people.ida, young.child])
        child = another()
        child.sign_in(f"young:{people.ida}")
        refused = child.get("/familie/mig")
        assert refused.status_code == 403
        assert NAME not in refused.text
        clock.set(clock.now().replace(year=2028))
        assert NAME not in young.browser.get("/familie/mig").text
        assert choose_raw(young, "luk").status_code == 409


def choose_raw(young: SimpleNamespace, choice: str) -> Any:
    """A choice from a page that was opened before."""
    token = young.browser.token("/demo/login")
    data = {"csrf": token, "choice": choice, "administration": "SOF"}
    return young.browser.post("/familie/mig/valg", data=data, headers={"Origin": young.browser.origin})


def test_a_consent_taken_back_while_a_page_is_read_is_obeyed(
    people: SimpleNamespace, ctx: Context, town: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hub.access import own
    from hub.web import family_page

    guardian = next(row.guardian_id for row in rows(ctx, tables.Acceptance))
    speaker = consents.Speaker("guardian", "page", "test", "da", guardian)
    consents.give(ctx, people.ida, "SUF", speaker)
    town.case(people.ida, "suf_cura", "care")
    reads = []

    def reader(session: Any, children: Any) -> Any:
        found, shown = family_page.read_page(ctx, family_page.Words("da", ctx.clock.now()), guardian, session, children)
        if not reads:
            consents.take_back(ctx, people.ida, "SUF", speaker)
        reads.append(len(found.cases))
        return found, shown

    page = own.read(ctx.database, ctx.keys, ctx.clock, guardian, reader).value
    assert reads == [3, 2]
    assert len(page.cases) == 2
