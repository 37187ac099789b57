"""Templates are measured as files, and each finding says where to mend them."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.errors import SettingsError
from hub.letters import plain
from hub.letters.lint_templates import lint_templates, where
from hub.letters.scores import put_into
from hub.letters.templates import Templates
from hub.letters.words import product_folder

PAGE = Path(__file__).parents[2] / "docs" / "letters.md"


@pytest.fixture
def changed(tmp_path: Path):
    """Templates where one of the product's files has something instead."""

    def make(name: str, old: str, new: str) -> Templates:
        text = (product_folder() / name).read_text(encoding="utf-8")
        assert old in text
        (tmp_path / name).write_text(text.replace(old, new), encoding="utf-8")
        return Templates(tmp_path)

    return make


def line_of(templates: Templates, name: str, words: str) -> int:
    return next(number for number, line in enumerate(templates.texts[name].split("\n"), 1) if words in line)


def test_the_products_own_letters_have_no_findings(templates) -> None:
    assert lint_templates(templates) == []


@pytest.mark.slow
def test_a_finding_names_the_file_and_the_line_it_was_written_in(changed) -> None:
    mine = changed(
        "overdue.da.md", "Mangler der en dato, skriver vi", "Såfremt der mangler en dato, meddeler vi det, så"
    )
    found = [one for one in lint_templates(mine, "overdue.da.md") if one.rule == "officialese"]
    assert {one.line for one in found} == {line_of(mine, "overdue.da.md", "Såfremt")}
    assert found[0].better == "hvis"


@pytest.mark.slow
def test_what_letters_share_is_mended_where_it_stands(changed) -> None:
    mine = changed(
        "parts.da.md",
        "Det er stadig forvaltningerne, der svarer dig og træffer afgørelser.",
        "Det er stadig forvaltningerne, der svarer dig og træffer afgørelser, og de gør det hver for sig og til hver "
        "sin tid, så du kan få svar på mange dage og ikke på én.",
    )
    found = lint_templates(mine, "parts.da.md")
    assert {(one.file, one.line, one.rule) for one in found} == {
        ("parts.da.md", line_of(mine, "parts.da.md", "hver for sig"), "sentence")
    }
    assert found[0].fails


@pytest.mark.slow
def test_a_branch_that_no_sample_takes_is_read_all_the_same(changed) -> None:
    mine = changed("receipt.da.md", "## Hvad sker der nu?", "{% if reminder %}\nDette sker hermed.\n{% endif %}\n## Nu")
    (found,) = lint_templates(mine, "receipt.da.md")
    assert (found.rule, found.line) == ("officialese", line_of(mine, "receipt.da.md", "hermed"))


@pytest.mark.slow
def test_one_file_alone_can_be_asked_about(changed) -> None:
    mine = changed("overdue.da.md", "til tiden", "rettidigt, såfremt")
    assert lint_templates(mine, "receipt.da.md") == []
    assert {one.file for one in lint_templates(mine, "overdue.da.md")} == {"overdue.da.md"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ("subject: Nyt til dig fra kommunen", "subject: Din koordinator", "outside"),
        ("{{ municipality.name }} har fået et ja til tilbuddet. ", "", "sender"),
        ("**{{ coordinator.name }}** er nu din koordinator. ", "", "coordinator"),
        ("{{ parts.next_date() }}", "", "next-date"),
        ("har fået et ja", "har fået et ja, jf. serviceloven", "full-names"),
        ("Du skal ikke gøre noget.", "Du får § 41.", "law"),
        ("fields:", "urgent: true\nfields:", "urgent"),
    ],
)
def test_each_rule_is_kept_by_the_product_and_broken_by_a_change(old: str, new: str, rule: str, changed) -> None:
    assert rule in {one.rule for one in lint_templates(changed("receipt.da.md", old, new), "receipt.da.md")}


@pytest.mark.slow
def test_what_is_urgent_is_what_the_table_of_kinds_says(changed) -> None:
    (found,) = lint_templates(changed("overdue.da.md", "urgent: true", "urgent: false"), "overdue.da.md")
    assert (found.rule, found.line, found.fails) == ("urgent", 6, True)
    assert found.message == "deadline_unkept leaves at once"
    assert found.better.startswith("urgent: true;")


@pytest.mark.slow
def test_a_late_letter_says_first_which_answer_is_late(changed) -> None:
    mine = changed(
        "overdue.da.md", "{% if late|length == 1 %} om **{{ late[0].case.kind }}**", "{% if late|length == 1 %}"
    )
    (found,) = lint_templates(mine, "overdue.da.md")
    assert (found.rule, found.better) == ("late-case", "{{ late[0].case.kind }} in the first two paragraphs")


@pytest.mark.slow
def test_every_finding_of_a_line_is_told(changed) -> None:
    long = "Her er en sætning nummer {} med så mange ord i sig, at den bliver ved og ved og ved og ved uden at slutte."
    mine = changed(
        "receipt.da.md", "Så stopper vi med det samme.", f"{long.format('et')} {long.format('to')} Hermed samt."
    )
    line = line_of(mine, "receipt.da.md", "nummer")
    found = [one for one in lint_templates(mine, "receipt.da.md") if one.line == line]
    assert [one.rule for one in found] == ["officialese", "officialese", "sentence", "sentence"]
    assert found[2].better == "make two sentences of it, the first up to “… ord i sig”"


@pytest.mark.slow
def test_a_sentence_among_others_and_around_a_field_is_found_in_its_line(changed) -> None:
    long = "Det gælder {{ names }} og alt det andet, som du har skrevet om i det brev, du har sendt os i den her måned."
    mine = changed("receipt.da.md", "Så stopper vi med det samme.", f"Så stopper vi straks. {long} Vi ringer.")
    assert {(one.rule, one.line) for one in lint_templates(mine, "receipt.da.md")} == {
        ("sentence", line_of(mine, "receipt.da.md", "den her måned"))
    }


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("subject: Nyt til dig fra kommunen", "subject: Din koordinator"),
        ("file_name: brev-fra-kommunen.pdf", "file_name: din-koordinator.pdf"),
        ("  date: Dato i et brev fra kommunen", "  date: Ring til din koordinator"),
    ],
)
def test_what_is_seen_from_outside_is_found_in_its_line(old: str, new: str, changed) -> None:
    mine = changed("receipt.da.md", old, new)
    (found,) = lint_templates(mine, "receipt.da.md")
    assert (found.rule, found.line) == ("outside", line_of(mine, "receipt.da.md", new))
    assert "“koordinator”" in found.message


@pytest.mark.slow
def test_what_is_in_no_line_is_said_of_the_letters_first(templates) -> None:
    template = templates.find("goodbye", "da")
    file, line, _ = where(templates, template, "")
    assert file == "goodbye.da.md"
    assert templates.texts[file].split("\n")[line - 2] == "---"


@pytest.mark.slow
def test_a_municipality_can_add_words_to_the_list(tmp_path: Path) -> None:
    text = (product_folder() / "plain.da.toml").read_text(encoding="utf-8")
    (tmp_path / "plain.da.toml").write_text(text + "\n'overblik' = \"liste\"\n", encoding="utf-8")
    assert {one.better for one in lint_templates(Templates(tmp_path), "deadlines.da.md")} == {"liste"}
    (tmp_path / "plain.da.toml").write_text(text + "\n'over(blik' = \"liste\"\n", encoding="utf-8")
    with pytest.raises(SettingsError, match="no regular expression"):
        lint_templates(Templates(tmp_path), "deadlines.da.md")


@pytest.mark.slow
def test_a_language_without_a_measure_is_refused_with_the_files_name() -> None:
    with pytest.raises(SettingsError, match=r"plain\.kl\.toml"):
        plain.product_plain("kl")


@pytest.mark.slow
def test_the_table_of_scores_is_true(templates) -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert put_into(page, templates) == page, "python -m hub.letters.scores"
