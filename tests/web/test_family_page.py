"""The family page: a guardian's own children, and nothing about anybody else."""

from __future__ import annotations

import hashlib
import re
from datetime import date, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from hub import family as acts
from hub.clock import SetClock
from hub.context import Context
from hub.letters.compose import compose_due
from hub.letters.templates import Templates
from hub.store import tables

NAME = "Mette Holm Østergård"
ALL = ("sof_case", "buf_case", "suf_cura")


@pytest.fixture
def mother(family: SimpleNamespace, browser: Any) -> Any:
    browser.sign_in(f"guardian:{family.mother}")
    return browser


@pytest.fixture
def father(family: SimpleNamespace, another: Any) -> Any:
    browser = another()
    browser.sign_in(f"guardian:{family.father}")
    return browser


@pytest.fixture
def accepted(ctx: Context, town: Any, family: SimpleNamespace) -> SimpleNamespace:
    acts.accept(ctx, family.ida, acts.Answerer(family.mother, "page", "test"))
    town.name(family.ida, "Ida Bæk Lund")
    town.has_read(family.ida, *ALL)
    for name in ALL:
        town.answered(name)
    return family


def letter(ctx: Context, clock: SetClock, guardian: UUID, state: str = "delivered") -> tables.Letter:
    """The receipt, composed and frozen by the hub itself, then moved on to a state."""
    clock.move(timedelta(days=2))
    compose_due(ctx, Templates())
    with ctx.database.begin() as session:
        row = session.execute(select(tables.Letter).where(tables.Letter.guardian_id == guardian)).scalar_one()
        row.state, row.route = state, "digital"
        return row


def own_entries(ctx: Context) -> list[UUID | None]:
    with ctx.database.begin() as session:
        rows = select(tables.LogEntry.child_id).where(tables.LogEntry.kind == "own").order_by(tables.LogEntry.seq)
        return list(session.execute(rows).scalars())


def test_before_acceptance_a_child_has_no_name(mother: Any) -> None:
    page = mother.get("/familie").text
    assert "Vil du have en koordinator for dit barn født i 2016?" in page
    assert f"<strong>{NAME}</strong>" in page
    assert "mandag den 16. november 2026" in page
    assert "0311" not in page


def test_two_unnamed_children_of_one_year_can_be_told_apart(
    family: SimpleNamespace, mother: Any, town: Any, ctx: Context
) -> None:
    other = town.child("0912164321")
    with ctx.database.begin() as session:
        session.add(tables.Custody(child_id=other, guardian_id=family.mother, seen_at=ctx.clock.now()))
    town.offer(other, family.coordinator)
    page = mother.get("/familie").text
    assert "dit barn født 3. november 2016?" in page
    assert "dit barn født 9. december 2016?" in page


def test_ja_tak_gives_a_coordinator(family: SimpleNamespace, mother: Any, ctx: Context) -> None:
    answer = mother.submit("/familie", "/familie/svar", child=str(family.ida), answer="ja")
    assert answer.url.path == "/familie"
    assert "Tak for dit ja" in answer.text
    assert "Din koordinator" in answer.text
    assert '<a href="tel:12340001">12 34 00 01</a>' in answer.text
    assert "Ja tak" not in answer.text
    assert "Tak for dit ja" not in mother.get("/familie").text, "said once"
    with ctx.database.begin() as session:
        row = session.execute(select(tables.Acceptance)).scalar_one()
        assert (row.guardian_id, row.answer, row.how) == (family.mother, "yes", "page")
        assert re.fullmatch("page:da:[0-9a-f]{16}", row.text_version)


def test_nej_tak_ends_the_offer_of_whoever_says_it_and_of_both_when_both_have(
    family: SimpleNamespace, mother: Any, father: Any, ctx: Context
) -> None:
    answer = mother.submit("/familie", "/familie/svar", child=str(family.ida), answer="nej")
    assert "Vi har skrevet dit nej ned" in answer.text
    assert "Du har sagt nej tak" in answer.text
    assert NAME not in answer.text
    assert "Ja tak" not in answer.text

    def state() -> str:
        with ctx.database.begin() as session:
            return session.execute(select(tables.Offer.state)).scalar_one()

    assert state() == "offered"
    assert "Ja tak" in father.get("/familie").text
    hers = re.sub('name="csrf" value="[^"]+"', "", mother.get("/familie").text)
    father.submit("/familie", "/familie/svar", child=str(family.ida), answer="nej")
    assert state() == "declined"
    assert hers == re.sub('name="csrf" value="[^"]+"', "", mother.get("/familie").text), "what he answered is his"


def test_an_answer_too_late_is_not_saved_and_says_so(family: SimpleNamespace, mother: Any, ctx: Context) -> None:
    data = {"csrf": mother.token("/familie"), "child": str(family.ida), "answer": "ja"}
    with ctx.database.begin() as session:
        offer = session.execute(select(tables.Offer)).scalar_one()
        offer.state, offer.coordinator_id = "lapsed", None
    answer = mother.post("/familie/svar", data=data, headers={"Origin": mother.origin})
    assert answer.status_code == 409
    assert "Dit svar er ikke gemt" in answer.text


def test_an_answer_for_no_child_or_that_is_none_is_refused(family: SimpleNamespace, mother: Any) -> None:
    for child, said in (("", "ja"), ("x", "ja"), (str(uuid4()), "ja"), (str(family.ida), "måske")):
        assert mother.submit("/familie", "/familie/svar", child=child, answer=said).status_code == 409


def test_an_answer_for_a_child_of_others_is_refused(
    family: SimpleNamespace, mother: Any, town: Any, ctx: Context
) -> None:
    other = town.child("1405134321")
    town.guardian("0101801114", "Et andet menneske", other)
    town.offer(other, family.coordinator)
    assert mother.submit("/familie", "/familie/svar", child=str(other), answer="ja").status_code == 409
    with ctx.database.begin() as session:
        assert session.execute(select(tables.Acceptance)).first() is None


def test_nothing_of_the_other_guardian_is_shown(family: SimpleNamespace, mother: Any, father: Any) -> None:
    mother.submit("/familie", "/familie/svar", child=str(family.ida), answer="nej")
    page = father.get("/familie").text
    assert "Vil du have en koordinator for" in page
    for word in ("sagt nej", "Anne", "Bæk Lund"):
        assert word not in page


def test_the_other_guardian_sees_the_coordinator_but_not_the_answer(accepted: SimpleNamespace, father: Any) -> None:
    page = father.get("/familie").text
    assert NAME in page
    for word in ("Anne", "dit ja", "sagt ja"):
        assert word not in page


def test_cases_of_all_administrations_stand_by_what_comes_first(
    accepted: SimpleNamespace, mother: Any, town: Any, clock: SetClock
) -> None:
    today = clock.now().date()
    town.case(accepted.ida, "suf_cura", "care", "open")
    town.case(accepted.ida, "buf_case", "101011", "open", follow_up=today + timedelta(days=3), adviser="Bo Falk")
    town.case(accepted.ida, "sof_case", "32.18.04", deadline=today + timedelta(days=9), adviser="Sanne Toft")
    town.case(accepted.ida, "sof_case", "27.21.16", deadline=today - timedelta(days=1))
    town.case(accepted.ida, "sof_case", "32.18.04", "closed")
    page = mother.get("/familie").text
    headings = re.findall(r"<h3>(.*?)</h3>", page)
    assert headings == [
        "Aflastning uden for hjemmet",
        "Plads på specialskole",
        "Dækning af merudgifter",
        "Pleje og genoptræning",
    ]
    assert "Svaret er forsinket. Du skulle have haft svar senest søndag den 1. november 2026" in page
    assert "Du skal have svar senest onsdag den 11. november 2026" in page
    assert "Opfølgning torsdag den 5. november 2026" in page
    for name in ("Socialforvaltningen", "Børne- og Ungdomsforvaltningen", "Sundheds- og Omsorgsforvaltningen"):
        assert name in page
    assert "Sanne Toft" in page
    assert "Kystskolen" not in page, "an adviser's unit can tell where a child is"
    assert not re.search(r"\b(SOF|BUF|SUF)\b", re.sub(r'value="\w+"', "", page)), "what a form sends nobody reads"


def test_a_follow_up_that_is_over_is_left_out(
    accepted: SimpleNamespace, mother: Any, town: Any, clock: SetClock
) -> None:
    town.case(accepted.ida, "sof_case", "32.18.04", "open", follow_up=clock.now().date() - timedelta(days=1))
    assert "Opfølgning" not in mother.get("/familie").text


def test_cases_of_a_child_without_acceptance_are_not_shown(family: SimpleNamespace, mother: Any, town: Any) -> None:
    town.case(family.ida, "sof_case", "32.18.04", deadline=date(2026, 12, 1))
    assert "merudgifter" not in mother.get("/familie").text.lower()


def test_a_silent_source_is_never_no_case(accepted: SimpleNamespace, mother: Any, town: Any, clock: SetClock) -> None:
    clock.move(timedelta(days=1))
    town.answered("sof_case")
    town.failed("buf_case")
    page = mother.get("/familie").text
    assert (
        "<strong>Børne- og Ungdomsforvaltningen</strong> har ikke svaret siden kl. 08.00 den 2. november 2026" in page
    )
    assert "Der kan være noget, som ikke står her" in page
    assert "Socialforvaltningen: svarede i dag kl. 08.00" in page


def test_a_source_not_read_for_this_child_yet_is_told(accepted: SimpleNamespace, mother: Any, ctx: Context) -> None:
    with ctx.database.begin() as session:
        session.delete(session.get_one(tables.ChildSource, (accepted.ida, "suf_cura")))
    assert "Vi er ved at hente sager fra Sundheds- og Omsorgsforvaltningen" in mother.get("/familie").text


def test_lost_custody_shows_nothing_from_the_next_look(
    accepted: SimpleNamespace, mother: Any, town: Any, ctx: Context, clock: SetClock
) -> None:
    sent = letter(ctx, clock, accepted.mother)
    assert NAME in mother.get("/familie").text
    town.end_custody(accepted.ida, accepted.mother)
    page = mother.get("/familie").text
    assert "Vi har ikke noget at vise dig her" in page
    for word in (NAME, "Ida", "Nyt til dig"):
        assert word not in page
    assert mother.get(f"/familie/breve/{sent.id}").status_code == 404
    assert mother.get(f"/familie/breve/{sent.id}/brev.pdf").status_code == 404


def test_reading_the_page_is_an_entry_per_child(accepted: SimpleNamespace, mother: Any, ctx: Context) -> None:
    before = len(own_entries(ctx))
    mother.get("/familie")
    assert own_entries(ctx)[before:] == [accepted.ida]


def test_a_letter_is_listed_read_and_opened_as_it_was_frozen(
    accepted: SimpleNamespace, mother: Any, ctx: Context, clock: SetClock
) -> None:
    sent = letter(ctx, clock, accepted.mother)
    page = mother.get("/familie").text
    assert "Nyt til dig fra kommunen" in page
    assert "Leveret i din Digital Post" in page
    read = mother.get(f"/familie/breve/{sent.id}").text
    assert "<h1>Du har fået en koordinator</h1>" in read
    assert read.count("<h1") == 1
    pdf = mother.get(f"/familie/breve/{sent.id}/brev.pdf")
    assert pdf.headers["content-type"] == "application/pdf"
    assert pdf.headers["cache-control"] == "no-store"
    assert pdf.headers["content-disposition"] == 'inline; filename="brev-fra-kommunen.pdf"'
    assert hashlib.sha256(pdf.content).digest() == sent.sha256
    assert own_entries(ctx)[-2:] == [accepted.ida, accepted.ida], "reading it and opening it are looks too"


def test_a_letter_also_about_a_child_no_longer_theirs_is_gone(
    accepted: SimpleNamespace, mother: Any, town: Any, ctx: Context, clock: SetClock
) -> None:
    emil = town.child("1405134321")
    with ctx.database.begin() as session:
        session.add(tables.Custody(child_id=emil, guardian_id=accepted.mother, seen_at=clock.now()))
    town.offer(emil, accepted.coordinator)
    sent = letter(ctx, clock, accepted.mother)
    assert "Nyt til dig" in mother.get("/familie").text
    assert own_entries(ctx)[-2:] == sorted([accepted.ida, emil]), "it is about both"
    town.end_custody(emil, accepted.mother)
    page = mother.get("/familie").text
    assert "Din koordinator" in page
    assert "Nyt til dig" not in page
    assert mother.get(f"/familie/breve/{sent.id}").status_code == 404


@pytest.mark.parametrize("state", ["frozen", "withheld"])
def test_a_letter_that_has_not_left_is_not_shown(
    accepted: SimpleNamespace, mother: Any, ctx: Context, clock: SetClock, state: str
) -> None:
    held = letter(ctx, clock, accepted.mother, state)
    assert "Nyt til dig" not in mother.get("/familie").text
    assert mother.get(f"/familie/breve/{held.id}").status_code == 404


def test_the_other_guardians_letter_is_not_there(
    accepted: SimpleNamespace, mother: Any, father: Any, ctx: Context, clock: SetClock
) -> None:
    sent = letter(ctx, clock, accepted.mother)
    for path in (f"/familie/breve/{sent.id}", f"/familie/breve/{sent.id}/brev.pdf"):
        answer = father.get(path)
        assert answer.status_code == 404
        assert "Tak" not in answer.text
    assert own_entries(ctx)[-1] is None, "the refused look is logged"
    assert str(sent.id) not in father.get("/familie").text


def test_who_waits_sees_why(family: SimpleNamespace, mother: Any, ctx: Context) -> None:
    with ctx.database.begin() as session:
        offer = session.execute(select(tables.Offer)).scalar_one()
        offer.state, offer.coordinator_id = "waiting", None
        offer.why = "no place: every coordinator has a full caseload"
    page = mother.get("/familie").text
    assert "Du står på venteliste" in page
    assert "når der er plads" in page


def test_without_a_log_the_page_shows_nothing(
    accepted: SimpleNamespace, mother: Any, ctx: Context, admin: Any, clock: SetClock
) -> None:
    sent = letter(ctx, clock, accepted.mother)
    admin(f"ALTER DATABASE {ctx.database.app_url.database} SET default_transaction_read_only = on")
    ctx.database.engine.dispose()
    for path in ("/familie", f"/familie/breve/{sent.id}", f"/familie/breve/{sent.id}/brev.pdf"):
        answer = mother.get(path)
        assert answer.status_code == 503
        assert "derfor viser vi ingenting" in answer.text
        assert NAME not in answer.text
        assert "Ida" not in answer.text


def test_staff_have_no_family_page(family: SimpleNamespace, browser: Any) -> None:
    browser.sign_in("staff:s-1")
    assert browser.get("/familie", follow_redirects=False).status_code == 303


def test_a_guardian_who_reads_english_gets_english(family: SimpleNamespace, browser: Any, ctx: Context) -> None:
    with ctx.database.begin() as session:
        session.get_one(tables.Guardian, family.mother).language = "en"
    page = browser.sign_in(f"guardian:{family.mother}").text
    assert '<html lang="en">' in page
    assert "your child born in 2016" in page
    answer = browser.submit("/familie", "/familie/svar", child=str(family.ida), answer="ja")
    assert "Thank you for your yes" in answer.text
    with ctx.database.begin() as session:
        assert session.execute(select(tables.Acceptance.text_version)).scalar_one().startswith("page:en:")
