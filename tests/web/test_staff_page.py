"""The staff page: who is the coordinator, and nothing before the log has it."""

from __future__ import annotations

import re
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, text

from hub import family as acts
from hub.access.policy import PURPOSES
from hub.clock import SetClock
from hub.context import Context
from hub.errors import BadRecord
from hub.identity import parse
from hub.store import tables
from hub.web import words

NAME = "Mette Holm Østergård"
NEUTRAL = "Vi kan ikke vise en koordinator"
IDA = "0311164234"


@pytest.fixture
def staff(family: SimpleNamespace, browser: Any) -> Any:
    browser.sign_in("staff:s-1")
    return browser


@pytest.fixture
def accepted(ctx: Context, town: Any, family: SimpleNamespace) -> SimpleNamespace:
    acts.accept(ctx, family.ida, acts.Answerer(family.mother, "phone", "test"))
    town.case(family.ida, "sof_case", "32.18.04")
    return family


def entries(ctx: Context, kind: str = "lookup") -> list[tables.LogEntry]:
    with ctx.database.begin() as session:
        return list(session.execute(select(tables.LogEntry).where(tables.LogEntry.kind == kind)).scalars())


def main_of(page: str) -> str:
    """What a page says, without what is different every time."""
    found = re.search(r"<main.*</main>", page, re.S)
    assert found
    return re.sub(r'<code>.*?</code>|<input type="hidden"[^>]*>', "", found[0])


def test_staff_with_a_case_see_the_coordinator(accepted: SimpleNamespace, staff: Any, ctx: Context) -> None:
    answer = staff.look_up(IDA)
    assert answer.status_code == 200
    heading = re.search(r"<h1.*?</h1>", answer.text, re.S)
    assert heading
    assert "Koordinator:" in heading[0]
    assert NAME in heading[0]
    assert '<a href="tel:12340001">12 34 00 01</a>' in answer.text
    assert '<a href="mailto:mette.holm@kommune.example">' in answer.text
    assert "siden 2. november 2026" in answer.text
    assert "70 10 20 30" in answer.text
    logged = entries(ctx)
    assert [str(entry.id) for entry in logged] == re.findall(r"<code>(.*?)</code>", answer.text)


def test_a_substitute_is_named_while_the_coordinator_is_away(
    accepted: SimpleNamespace, staff: Any, ctx: Context, town: Any
) -> None:
    other = town.coordinator("Karim Aziz", "12340002")
    with ctx.database.begin() as session:
        row = session.get_one(tables.Coordinator, accepted.coordinator)
        row.away, row.substitute_id = True, other
    assert "Karim Aziz" in staff.look_up(IDA).text


def test_a_dash_or_spaces_make_no_difference(accepted: SimpleNamespace, staff: Any) -> None:
    assert NAME in staff.look_up("031116-4234").text
    assert NAME in staff.look_up(" 031116 4234 ").text


def test_without_a_case_a_written_reason_is_needed(accepted: SimpleNamespace, browser: Any) -> None:
    browser.sign_in("staff:s-2")
    assert NEUTRAL in browser.look_up(IDA).text
    assert NAME in browser.look_up(IDA, reason="Barnet begynder hos os i morgen").text


def test_refused_unknown_and_none_look_alike(accepted: SimpleNamespace, browser: Any, town: Any, ctx: Context) -> None:
    town.child("0311164242")  # known to the hub, without a coordinator, born on the same day
    browser.sign_in("staff:s-2")
    pages = {main_of(browser.look_up(cpr).text) for cpr in (IDA, "0311164242", "0311164250")}
    assert len(pages) == 1
    assert NEUTRAL in pages.pop()
    assert len(entries(ctx)) == 3


def test_the_number_stands_in_no_answer_and_no_address(accepted: SimpleNamespace, staff: Any) -> None:
    for answer in (staff.look_up(IDA), staff.look_up("0311164250")):
        assert answer.url.path == "/personale"
        assert not answer.url.query
        assert "164234" not in answer.text
        assert "164250" not in answer.text
        assert "3. november 2016" in answer.text, "the birthday lets the caseworker see a slip of the finger"


def test_every_source_says_how_fresh_it_is(accepted: SimpleNamespace, staff: Any, town: Any, clock: SetClock) -> None:
    town.answered("sof_case")
    town.answered("buf_case")
    clock.move(timedelta(hours=1, minutes=40))
    town.failed("buf_case")
    said = main_of(staff.look_up(IDA).text)
    assert "<strong>Socialforvaltningen:</strong> svarede i dag kl. 08.00" in said
    assert "<strong>Børne- og Ungdomsforvaltningen:</strong> har ikke svaret siden kl. 08.00 i dag" in said
    assert "<strong>Sundheds- og Omsorgsforvaltningen:</strong> har ikke svaret endnu" in said
    clock.move(timedelta(days=2))
    said = main_of(staff.look_up(IDA).text)
    assert "Socialforvaltningen:</strong> svarede den 2. november 2026 kl. 08.00" in said
    assert "har ikke svaret siden kl. 08.00 den 2. november 2026" in said


def test_a_number_that_can_be_nobodys_is_explained_and_not_logged(staff: Any, ctx: Context) -> None:
    for typed, said in (
        ("", "Skriv barnets CPR-nummer."),
        ("031116423", "Du har skrevet 9."),
        ("031116-42345", "Du har skrevet 11."),
        ("0000000000", "lutter nuller"),
        ("03111x4234", "Et CPR-nummer består af tal"),
        ("3113164234", "ikke en dato"),
        ("0311164AB4", "ikke et gyldigt erstatningsnummer"),
    ):
        answer = staff.look_up(typed)
        assert answer.status_code == 422
        assert said in answer.text
        assert 'aria-invalid="true"' in answer.text
        assert 'aria-describedby="cpr-hint cpr-problem"' in answer.text
        assert '<a href="#cpr">' in answer.text
        assert "<title>Fejl: " in answer.text
    assert entries(ctx) == []


@given(st.text(alphabet="0123456789AB-x ", min_size=1, max_size=13))
def test_whatever_cannot_be_a_number_has_its_own_words(typed: str) -> None:
    problem = words.number_problem(typed)
    try:
        parse(typed)
    except BadRecord as error:
        assert problem is not None
        length = "ten characters" in str(error)
        assert ("Du har skrevet" in problem[0]) == length or not typed.strip()
    else:
        assert problem is None


def test_purpose_is_asked_for_and_is_one_of_the_list(staff: Any, ctx: Context) -> None:
    for purpose in ("", "curiosity"):
        answer = staff.look_up(IDA, purpose=purpose)
        assert answer.status_code == 422
        assert '<a href="#purpose">' in answer.text
    assert entries(ctx) == []


def test_a_reason_too_long_is_refused_with_words(staff: Any) -> None:
    answer = staff.look_up(IDA, reason="x" * 1001)
    assert answer.status_code == 422
    assert "Begrundelsen er for lang" in answer.text


def test_what_was_typed_cannot_become_markup(staff: Any) -> None:
    answer = staff.look_up('"><b>', reason="</textarea><script>x</script>")
    assert "<script>" not in answer.text
    assert "<b>" not in answer.text


def test_when_the_log_cannot_be_written_nothing_is_shown(
    accepted: SimpleNamespace, staff: Any, ctx: Context, admin: Any
) -> None:
    name = ctx.database.app_url.database
    assert NAME in staff.look_up(IDA).text
    admin(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    admin(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
    first = staff.look_up(IDA)  # the writer finds its connection gone
    answer = staff.look_up(IDA)  # and this one cannot write
    for said in (first, answer):
        assert said.status_code == 503
        assert said.headers["retry-after"]
        assert NAME not in said.text
        assert "derfor viser vi ingenting" in said.text
        assert "70 10 20 30" in said.text
    admin(f"ALTER DATABASE {name} RESET default_transaction_read_only")
    admin(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
    staff.look_up(IDA)
    assert NAME in staff.look_up(IDA).text


def test_every_purpose_and_state_has_both_languages() -> None:
    assert words.PURPOSES_EN.keys() == PURPOSES.keys()
    for each in (*words.STATES.values(), *words.WAITS.values(), words.WAITS_ELSE, *words._DELIVERY_ELSE.values()):
        assert all(each)
        assert each[0] != each[1]


def test_the_page_speaks_english_too(accepted: SimpleNamespace, staff: Any) -> None:
    staff.get("/personale?sprog=en")
    answer = staff.look_up(IDA)
    assert '<html lang="en">' in answer.text
    assert "Coordinator:" in answer.text
    assert "3 November 2016" in answer.text
    assert "Svar" not in main_of(answer.text)


def test_guardians_cannot_look_up(accepted: SimpleNamespace, browser: Any, ctx: Context) -> None:
    browser.sign_in(f"guardian:{accepted.mother}")
    assert browser.get("/personale", follow_redirects=False).status_code == 303
    answer = browser.post("/personale", data={"cpr": IDA, "purpose": "case"}, follow_redirects=False)
    assert answer.status_code == 303
    with ctx.database.begin() as session:
        assert session.execute(text("SELECT count(*) FROM log_entry WHERE kind = 'lookup'")).scalar_one() == 0
