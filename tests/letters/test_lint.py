"""Plain language. The counts are worked out by hand."""

from __future__ import annotations

import pytest

from hub.errors import SettingsError
from hub.letters.content import LetterKind
from hub.letters.lint import LIX_WANTED, lint, lint_letter, lint_outside
from hub.letters.plain import product_plain
from hub.letters.readability import prose, readability, sentences, words
from hub.letters.render import render
from hub.letters.templates import Templates
from hub.letters.tree import parse, slot

EASY = (
    "Kære Anne. Vi har modtaget din ansøgning om hjælp til Søren. Din koordinator er Mette Hansen. "
    "Ring til Mette på 12 34 56 78, hvis du har spørgsmål. Her kan du se, hvornår du får svar. "
    "Vi skriver til dig, hvis en dato ændrer sig. Du får svar på hjælpemidler senest d. 2. maj 2027. "
    "Er du uenig, kan du klage. Skriv til os inden 4 uger. Vi hjælper dig gerne med at skrive klagen."
)
OFFICIALESE = (
    "Under henvisning til Deres ansøgning af d. 3. marts 2027 vedr. dækning af nødvendige merudgifter efter "
    "servicelovens § 41 skal det hermed meddeles, at ansøgningen er taget under behandling, og at "
    "sagsbehandlingsfristen er fastsat til 12 uger, jf. retssikkerhedslovens § 3, stk. 2. Såfremt yderligere "
    "dokumentation måtte findes påkrævet, vil der blive fremsendt særskilt anmodning herom."
)


def rules(text: str, language: str = "da") -> set[str]:
    return {finding.rule for finding in lint(text, product_plain(language))}


def test_lix_of_an_easy_text() -> None:
    # 68 words in 10 sentences; 8 long: modtaget ansøgning koordinator spørgsmål hvornår skriver hjælpemidler hjælper.
    found = readability(EASY)
    assert (found.words, found.sentences, found.long_words, found.longest) == (68, 10, 8, 9)
    assert found.lix == pytest.approx(68 / 10 + 100 * 8 / 68)
    assert round(found.lix, 1) == 18.6


def test_lix_of_officialese() -> None:
    # Two sentences, not five: d., vedr., jf. and stk. end none.
    found = readability(OFFICIALESE)
    assert (found.words, found.sentences, found.long_words, found.longest) == (48, 2, 19, 35)
    assert round(found.lix, 1) == 63.6


def test_a_long_word_has_more_than_six_letters() -> None:
    assert readability("Dette er kortet.").long_words == 0  # six letters
    assert readability("Dette er kortene.").long_words == 1  # seven


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("Du får svar. Vi skriver.", 2),
        ("Du får svar d. 3. marts. Vi skriver.", 2),
        ("Du får svar inden 3. Vi skriver.", 2),
        ("Det koster 1.000 kr. om året.", 1),
        ("Ring f.eks. til Bo. Eller skriv!", 2),
        ("Ring til A. B. Hansen.", 1),
        ("Har du papirer, billeder osv. Send dem.", 2),
        ("Papirer, billeder osv. kan sendes.", 1),
        ("Hvad nu? Ring!", 2),
        ("Husk: Ring til os.", 2),
        ("Husk: papir og blyant.", 1),
        ("Ring nu; Vi svarer.", 2),
        ("Det er slut … Vi ses.", 1),
        ("Vi ses...\n\nDet er slut", 2),
        ("Han sagde: »Ring.« Vi ringede.", 3),
        ("Læs på https://havneby.example/a.b?c=d. Ring så.", 2),
        ("12. 13. 14.", 0),
        ("", 0),
    ],
)
def test_what_ends_a_sentence(text: str, count: int) -> None:
    assert readability(text).sentences == count


def test_numbers_and_addresses_are_not_words_and_a_hyphened_word_is_one() -> None:
    text = "Børne- og Ungdomsforvaltningen, 3. maj 2027, § 41, https://a.dk/b, bo@a.dk, 20-årig, e-mail"
    assert words(text) == ["Børne", "og", "Ungdomsforvaltningen", "maj", "årig", "e-mail"]


def test_sentences_know_where_they_begin() -> None:
    text = "Kære Bo\n\nDu får svar. Vi ses."
    assert list(sentences(text)) == [
        (0, "Kære Bo"),
        (9, "Du får svar."),
        (22, "Vi ses."),
    ]


def test_an_empty_text_has_no_lix() -> None:
    assert readability("").lix == 0
    assert readability("12 34").mean == 0


def test_officialese_is_found_with_what_to_write_instead() -> None:
    found = {finding.message.split("”")[0].strip("“"): finding.better for finding in lint(OFFICIALESE)}
    assert found["Såfremt"] == "hvis"
    assert found["merudgifter"] == "ekstra udgifter"
    assert found["fremsendt"] == "send"
    assert {"lix", "sentence", "law", "full-names", "passive", "officialese"} <= rules(OFFICIALESE)
    assert any(finding.rule == "lix" and finding.fails for finding in lint(OFFICIALESE))


def test_plain_text_has_no_findings() -> None:
    assert lint(EASY) == []


def test_the_old_polite_form_is_officialese_but_they_and_them_are_not() -> None:
    assert "officialese" in rules("Vi har fået Deres brev.")
    assert rules("De ringer til dem. Deres brev er her.") == set()


@pytest.mark.parametrize("short", ["SOF", "BUF", "SUF", "serviceloven", "servicelovens"])
def test_short_names_and_the_old_law_are_found(short: str) -> None:
    assert "full-names" in rules(f"Du får svar fra {short} i maj.")
    assert "full-names" in rules(f"Ask {short} in May.", "en")


@pytest.mark.parametrize(("count", "expected"), [(20, None), (21, False), (25, False), (26, True)])
def test_long_sentences_warn_then_fail(count: int, expected: bool | None) -> None:
    found = [finding for finding in lint("du " * count + ".") if finding.rule == "sentence"]
    assert [finding.fails for finding in found] == ([] if expected is None else [expected])


def test_lix_warns_above_35_and_fails_above_40() -> None:
    def lix(long: int) -> list[bool]:
        # Ten sentences of ten words: LIX = 10 + long words in a hundred.
        sentence = ["ord"] * 10
        text = ""
        for number in range(10):
            share = long // 10 + (number < long % 10)
            text += " ".join(["ordentlig"] * share + sentence[share:]) + ". "
        assert readability(text).lix == 10 + long
        return [finding.fails for finding in lint(text) if finding.rule == "lix"]

    assert lix(25) == []
    assert lix(26) == [False]
    assert lix(30) == [False]
    assert lix(31) == [True]


def test_findings_say_the_line() -> None:
    text = "Du får svar.\n\nDu får brev.\nRing såfremt du kan."
    (finding,) = lint(text)
    assert finding.line == 4
    assert finding.better == "hvis"


def test_english_is_not_measured_by_danish_words() -> None:
    assert rules("We will tell you the answer, samt a date.", "en") == set()


def test_prose_leaves_out_headings_tables_box_and_greeting() -> None:
    blocks = parse(
        "# Overskrift\n\nKære Bo\n\nDu får svar.\n\n> **Din koordinator.**\n\n- Ring nu.\n- tynd grød\n\n"
        "| A | B |\n|---|---|\n| Vi ses. | Ja. |\n\nVenlig hilsen\n"
    )
    assert prose(blocks) == "Du får svar.\n\nRing nu."


@pytest.mark.parametrize(
    "text", ["Brev om dit barn", "Din sag er slut", "Handicapkoordinator", "Nyt fra Socialforvaltningen", "Your child",
             "Svar om hjælp", "Specialskole", "Børnene"],
)  # fmt: skip
def test_what_tells_too_much_outside_is_found(text: str) -> None:
    assert lint_outside(text)


def test_a_letters_own_secrets_are_not_for_the_outside() -> None:
    assert lint_outside("Brev til Bo", private=["Bo"])
    assert not lint_outside("Boede du der?", private=["Bo", ""])
    assert "Bo" not in lint_outside("Brev til Bo", private=["Bo"])[0].message
    assert not lint_outside("Et tilbud til dig fra kommunen")
    assert not lint_outside("A person you know")


@pytest.mark.parametrize("kind", list(LetterKind))
@pytest.mark.parametrize("maker", ["letter", "longest", "shortest"])
@pytest.mark.parametrize("language", Templates().languages)
def test_every_letter_of_the_product_keeps_every_rule(kind, maker, language, town, templates) -> None:
    content = getattr(town, maker)(str(kind), language)
    rendered = render(content, templates)
    assert lint_letter(rendered, content) == []
    if language == "da":
        assert readability(prose(rendered.blocks)).lix <= LIX_WANTED
    assert readability(prose(rendered.blocks)).words > 30


def test_quoted_law_is_left_out_of_measuring_and_says_why() -> None:
    quoted = "lix-exempt: barnets lov, quoted\n\nKommunen yder såfremt § 41.\n\nDu får svar."
    blocks = parse(quoted)
    assert prose(blocks) == "Du får svar."
    assert blocks[0]["exempt"] == "barnets lov, quoted"
    assert len(blocks) == 2
    with pytest.raises(SettingsError, match="needs a reason"):
        parse("lix-exempt:\n\nKommunen yder.")


def test_no_value_can_keep_a_paragraph_from_being_measured() -> None:
    (block,) = parse(slot(0), ["lix-exempt: because"])
    assert "exempt" not in block


def test_a_field_that_was_not_there_is_seen_by_the_gap_it_left() -> None:
    assert "gap" in rules("Ring til os på .")
    assert "gap" not in rules("Ring til os. Skriv, hvis du vil.")


def test_long_paragraphs_warn_then_fail() -> None:
    def paragraph(words: int) -> list[bool]:
        text = "Du får svar nu. " * (words // 4)
        return [finding.fails for finding in lint(text) if finding.rule == "paragraph"]

    assert paragraph(68) == []
    assert paragraph(72) == [False]
    assert paragraph(112) == [True]


def test_a_bad_letter_breaks_the_rules_it_should(tmp_path, town) -> None:
    (tmp_path / "deadlines.da.md").write_text(
        "---\nkind: deadlines\nlanguage: da\nsubject: Din sag om {x}\nfile_name: brev-om-barn.pdf\n"
        "action: {answer: Svar, date: Frist for Søren}\n---\n# Hej\n\nDer er nyt.\n\nDer er mere nyt.\n\n"
        "{{ coordinator.name }} og {{ dates[0].date|date }} er her, såfremt du spørger.\n",
        encoding="utf-8",
    )
    content = town.letter("deadlines")
    found = lint_letter(render(content, Templates(tmp_path)), content)
    assert {finding.rule for finding in found} == {
        "sender",
        "coordinator",
        "next-date",
        "first-step",
        "outside",
        "officialese",
    }
    assert [finding.line for finding in found if finding.rule == "officialese"] == [8]
    # The subject, the file name, and the three dates in the calendar.
    assert sum(finding.rule == "outside" for finding in found) == 5
