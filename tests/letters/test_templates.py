"""Templates are checked when they are read, and no value can become markup."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.cases import kinds
from hub.contract import State
from hub.errors import SettingsError
from hub.letters.content import (
    NEWS,
    ContentAnswer,
    ContentCase,
    ContentChange,
    ContentChild,
    ContentCoordinator,
    ContentLabel,
    ContentSilence,
    ContentTurn,
    LetterKind,
    News,
)
from hub.letters.templates import Templates
from hub.letters.tree import parse, to_html, to_text
from hub.letters.view import clean
from hub.letters.view import view as view_of
from hub.letters.words import product_folder, product_words

DANISH = product_words("da")
GOOD = """---
kind: receipt
language: da
subject: Brev fra kommunen
file_name: brev.pdf
fields: {coordinator: person}
action: {answer: Svar på et brev, date: Dato i et brev}
---
# Hej

{{ coordinator.name }}
"""


@pytest.fixture
def own(tmp_path: Path):
    """Makes Templates where the municipality's own folder has these files."""

    def make(**files: str) -> Templates:
        for name, text in files.items():
            (tmp_path / f"{name.replace('_', '.')}.md").write_text(text, encoding="utf-8")
        return Templates(tmp_path)

    return make


def test_every_kind_is_there_in_every_language(templates) -> None:
    found = {(template.about.kind, template.about.language) for template in templates}
    assert found == {(kind, language) for kind in LetterKind for language in templates.languages}


def test_a_missing_language_falls_back_to_danish(templates) -> None:
    assert templates.find(LetterKind.RECEIPT, "kl").about.language == "da"


def test_the_municipalitys_own_file_takes_the_place_of_the_products(own, templates, town) -> None:
    mine = own(receipt_da=GOOD)
    markdown, values = mine.find(LetterKind.RECEIPT, "da").write(town.letter("receipt"))
    assert to_text(parse(markdown, values)) == "Hej\n===\n\nMette Hansen"
    same = LetterKind.DEADLINES, "da"
    assert mine.find(*same).version == templates.find(*same).version
    assert mine.find(LetterKind.RECEIPT, "da").version != templates.find(LetterKind.RECEIPT, "da").version


def test_a_change_in_what_letters_share_is_a_new_version_of_all(tmp_path: Path, templates) -> None:
    shutil.copy(product_folder() / "parts.da.md", tmp_path)
    with (tmp_path / "parts.da.md").open("a", encoding="utf-8") as file:
        file.write("{% macro more() %}x{% endmacro %}")
    changed = Templates(tmp_path)
    for kind in LetterKind:
        assert changed.find(kind, "da").version != templates.find(kind, "da").version


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("coordinator: person}", "koordinator: person}", "koordinator"),
        ("coordinator: person}", "coordinator: date}", "coordinator is a person, not a date"),
        ("subject: Brev fra kommunen\n", "", "subject: this key is needed"),
        ("file_name: brev.pdf", "file_name: Brev om Søren.pdf", "file_name"),
        ("kind: receipt", "kind: deadlines", "call it deadlines.da.md"),
        ("kind: receipt", "kind: postcard", "kind"),
        ("fields:", "colour: red\nfields:", "colour: there is no such key"),
        ("action: {", "action: {other: x, ", "action.other"),
        ("---\n# Hej", "# Hej", "front matter"),
        ("{{ coordinator.name }}", "{{ coordinator.name ", "line"),
        ("# Hej", "# Hej \ue000", "U\\+E000"),
        ("subject: Brev", "subject: [", "not YAML"),
        ("fields:", "attachments: [kort.pdf]\nfields:", "attachments: a letter carries no other file; link to a page"),
    ],
)
def test_a_bad_template_is_refused_with_file_and_remedy(own, old: str, new: str, says: str) -> None:
    assert old in GOOD
    with pytest.raises(SettingsError, match=says) as refused:
        own(receipt_da=GOOD.replace(old, new))
    assert "receipt.da.md" in str(refused.value)


def test_a_folder_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="is not a folder"):
        Templates(tmp_path / "nowhere")


def test_a_field_that_the_kind_needs_must_be_filled(templates, town) -> None:
    with pytest.raises(ValueError, match="coordinator: a letter of kind receipt needs it"):
        templates.find(LetterKind.RECEIPT, "da").write(town.letter("receipt", coordinator=None))


def test_an_unknown_word_in_a_template_is_an_error_not_a_gap(own, town) -> None:
    mine = own(receipt_da=GOOD.replace("coordinator.name", "coordinator.nmae"))
    with pytest.raises(SettingsError, match="nmae"):
        mine.find(LetterKind.RECEIPT, "da").write(town.letter("receipt"))


def test_a_template_cannot_reach_into_the_program(own, town) -> None:
    mine = own(receipt_da=GOOD.replace("coordinator.name", "coordinator.__class__.__mro__"))
    with pytest.raises(SettingsError, match="receipt"):
        mine.find(LetterKind.RECEIPT, "da").write(town.letter("receipt"))


HOSTILE = (
    "# not a heading",
    "**not bold** _x_ `y`",
    "[click](javascript:alert(1))",
    "<script>alert(1)</script>",
    "a | b | c",
    "{{ coordinator.name }} {% raw %}",
    "#panic() $x$ #read(\"/etc/passwd\") @label <label>",
    "\\ & &amp; &#42;",
    "> - 1. --- ***",
    "\ue0000\ue001",
)  # fmt: skip


def shape(part: Any) -> Any:
    """The structure of a tree without its words."""
    if isinstance(part, str):
        return "words"
    if isinstance(part, dict):
        return {key: shape(value) if key in ("c", "items", "head", "rows") else value for key, value in part.items()}
    return [shape(child) for child in part]


def blocks_with(value: str, templates: Templates, town) -> list[Any]:
    case = ContentCase(value, value, State.OPEN, value, value, deadline=date(2027, 5, 12), news=(News.OPENED,))
    letter = town.letter(
        recipient_name=value,
        coordinator=ContentCoordinator(value, "1", "a@b"),
        children=(ContentChild(ContentLabel(value), (case,)), ContentChild(ContentLabel(value), (case,))),
        change=ContentChange("changed", value),
        turns=tuple(ContentTurn(ContentLabel(value), age, date(2027, 5, 12)) for age in ("15", "16", "17½", "18")),
        answers=(ContentAnswer(ContentLabel(value), "closed", value, date(2027, 4, 1)),),
        silent=(ContentSilence(value, date(2027, 4, 1)),),
        interpreter=value,
        goodbye="grown",
    )
    return parse(*templates.find(LetterKind.DEADLINES, "da").write(letter))


@pytest.mark.parametrize("value", HOSTILE)
def test_a_value_never_becomes_markup(value: str, templates, town) -> None:
    blocks = blocks_with(value, templates, town)
    assert shape(blocks) == shape(blocks_with("x", templates, town))
    assert clean(value) in to_text(blocks)
    assert "<script" not in to_html(blocks)


@settings(max_examples=60, deadline=None)
@given(value=st.text(min_size=1, max_size=40).filter(lambda text: clean(text).strip()))
def test_no_text_at_all_changes_the_shape_of_a_letter(value: str, templates, town) -> None:
    assert shape(blocks_with(value, templates, town)) == shape(blocks_with("x", templates, town))


def test_a_value_becomes_one_line_of_printable_composed_letters() -> None:
    assert clean("  A\u030anne\n\tMarie\u202e \x00X ") == "Ånne Marie X"


@pytest.mark.parametrize("phone", ["", "se hjemmesiden", "+45 12 34 56 78"])
def test_a_phone_number_that_is_none_stays_as_words(phone: str) -> None:
    html = to_html(parse("[\ue0000\ue001](tel:\ue0000\ue001)", [phone]))
    assert html == ('<p><a href="tel:+4512345678">+45 12 34 56 78</a></p>' if "4" in phone else f"<p>{phone}</p>")


def test_a_link_elsewhere_in_a_template_is_an_error() -> None:
    with pytest.raises(SettingsError, match="must be https"):
        parse("[x](javascript:alert(1))")
    assert to_html(parse("[x](\ue0000\ue001)", ["javascript:alert(1)"])) == "<p>x</p>"


def rows(town, **values: Any) -> dict[str, Any]:
    case = ContentCase("Socialforvaltningen", "ledsagelse", **values)
    return view_of(town.letter(children=(ContentChild(ContentLabel("Søren"), (case,)),)), DANISH, [])


@pytest.mark.parametrize(
    ("state", "deadline", "what"),
    [
        (State.OPEN, date(2027, 4, 21), ["deadline"]),  # the day of the letter itself still counts
        (State.OPEN, date(2027, 4, 20), ["missed"]),
        (State.APPLIED, date(2027, 5, 1), ["deadline"]),
        (State.DECIDED, date(2027, 5, 1), []),  # answered: the deadline is over
        (State.CLOSED, date(2027, 5, 1), []),
    ],
)
def test_a_deadline_is_named_until_it_is_answered(town, state: State, deadline: date, what: list[str]) -> None:
    assert [row.what for row in rows(town, state=state, deadline=deadline)["dates"]] == what


def test_a_missed_deadline_is_never_the_next_date(town) -> None:
    seen = rows(town, deadline=date(2027, 4, 1), follow_up=date(2027, 6, 1))
    assert [row.what for row in seen["dates"]] == ["missed", "follow_up"]
    assert seen["next"].what == "follow_up"
    assert rows(town, deadline=date(2027, 5, 1), news=(News.DEADLINE_MISSED,))["next"] is None


def test_a_follow_up_that_has_been_is_not_named(town) -> None:
    assert rows(town, follow_up=date(2027, 4, 20))["dates"] == []


def test_a_case_without_date_is_listed_and_a_closed_one_is_not(town) -> None:
    assert len(rows(town)["undated"]) == 1
    assert rows(town, state=State.CLOSED)["undated"] == []


def test_dates_of_all_children_and_administrations_stand_in_one_order(town) -> None:
    seen = view_of(town.longest("deadlines"), DANISH, [])
    days = [row.date for row in seen["dates"]]
    assert days == sorted(days)
    assert len({row.child for row in seen["dates"]}) == 3


def test_news_stand_in_the_order_of_the_table_of_kinds(town) -> None:
    day = date(2027, 5, 12)
    cases = tuple(ContentCase("Socialforvaltningen", "ledsagelse", deadline=day, news=(code,)) for code in News)
    letter = town.letter(children=(ContentChild(ContentLabel("Søren"), cases),))
    told = [row.codes[0] for row in view_of(letter, DANISH, [])["news"]]
    assert told == list(dict.fromkeys(str(NEWS[code]) for code in kinds.KINDS if code in NEWS))


def test_what_is_left_out_is_counted(town) -> None:
    letter = town.longest("deadlines")
    whole, short = view_of(letter, DANISH, []), view_of(letter, DANISH, [], limit=3)
    assert len(short["dates"]) + len(short["undated"]) == 3
    assert short["more_dates"] == len(whole["dates"]) + len(whole["undated"]) - 3
    assert short["more_news"] == len(whole["news"]) - 3
    assert whole["more_dates"] == whole["more_news"] == 0
