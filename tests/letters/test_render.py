"""The finished letter: PDF/UA-1 and PDF/A-2a, the same bytes each time, nothing lost, nothing told on the outside."""

from __future__ import annotations

import hashlib
import io
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfReader

from hub.contract import State
from hub.errors import GaveUp
from hub.letters import render as module
from hub.letters.content import (
    ContentAnswer,
    ContentCase,
    ContentChange,
    ContentChild,
    ContentCoordinator,
    ContentLabel,
    ContentTurn,
    LetterKind,
    News,
)
from hub.letters.gallery import in_the_window
from hub.letters.render import MOST_PAGES, MOST_PAGES_LARGE, Rendered, pictures, render
from hub.letters.templates import Templates
from hub.letters.words import product_folder

LANGUAGES = Templates().languages
EVERY = [
    (kind, maker, language)
    for kind in map(str, LetterKind)
    for maker in ("letter", "longest", "shortest")
    for language in LANGUAGES
]


@pytest.fixture(scope="session")
def letters(town, templates) -> dict[tuple[str, str, str], Rendered]:
    """Every kind in every language, rendered once."""
    return {
        (kind, maker, language): render(getattr(town, maker)(kind, language), templates)
        for kind, maker, language in EVERY
    }


def words_of(pdf: bytes) -> str:
    text = " ".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages)
    return " ".join(text.split())


def tags(pdf: bytes) -> list[str]:
    """The structure types of a tagged PDF, in reading order."""
    found: list[str] = []

    def walk(node: Any) -> None:
        node = node.get_object() if hasattr(node, "get_object") else node
        if isinstance(node, list):
            for child in node:
                walk(child)
        elif hasattr(node, "get"):
            if "/S" in node:
                found.append(str(node["/S"])[1:])
            if "/K" in node:
                walk(node["/K"])

    walk(PdfReader(io.BytesIO(pdf)).trailer["/Root"]["/StructTreeRoot"])
    return found


@pytest.mark.slow
@pytest.mark.parametrize("which", EVERY, ids="-".join)
def test_every_letter_is_an_accessible_archive_pdf_of_at_most_two_pages(which, letters) -> None:
    letter = letters[which]
    reader = PdfReader(io.BytesIO(letter.pdf))
    root = reader.trailer["/Root"]
    assert 1 <= len(reader.pages) == letter.pages <= MOST_PAGES
    assert root["/Lang"] == letter.language == which[2]
    assert root["/MarkInfo"]["/Marked"]
    assert root["/ViewerPreferences"]["/DisplayDocTitle"]
    metadata = root["/Metadata"].get_object().get_data().decode()
    assert "<pdfuaid:part>1<" in metadata
    assert "<pdfaid:part>2<" in metadata
    assert "<pdfaid:conformance>A<" in metadata
    assert reader.metadata is not None
    assert reader.metadata.title == letter.subject
    for page in reader.pages:
        for font in page["/Resources"]["/Font"].values():
            descendant = font["/DescendantFonts"][0]
            assert {"/FontFile2", "/FontFile3"} & descendant["/FontDescriptor"].keys(), "a font is not embedded"


def test_the_tree_is_tagged_for_what_it_is(letters) -> None:
    found = tags(letters["deadlines", "letter", "da"].pdf)
    assert found.count("H1") == 1
    assert found.index("H1") < found.index("H2")
    assert {"P", "L", "LI", "LBody", "Table", "THead", "TH", "TBody", "TD", "Link", "Strong"} <= set(found)
    assert found.count("TH") == 3
    assert not {"H3", "Figure", "BlockQuote"} & set(found)


def test_pdf_html_and_text_say_the_same_in_the_same_order(letters) -> None:
    letter = letters["deadlines", "letter", "da"]
    order = [
        "Nyt og datoer", "Kære Anne Birgitte", "Mette Hansen", "29. april 2027", "Det skal du gøre først",
        "Det er nyt", "Alle datoer", "12. maj 2027", "3. juni 2027", "Ingen dato", "ikke en afgørelse", "Venlig hilsen",
    ]  # fmt: skip
    for text in (words_of(letter.pdf).replace("\u00a0", " "), letter.text, letter.fragment):
        position = -1
        for part in order:
            position = text.find(part, position + 1)
            assert position >= 0, part


def test_sender_recipient_and_date_stand_first_in_pdf_and_page(letters) -> None:
    letter = letters["receipt", "letter", "da"]
    for text in (words_of(letter.pdf), letter.html[letter.html.index("<body>") :]):
        places = [
            text.index(part)
            for part in ("Havneby Kommune", "Anne Birgitte", "21. april 2027", "Du har fået en koordinator")
        ]
        assert places == sorted(places)


def test_the_same_content_gives_the_same_bytes(town, templates, letters) -> None:
    first = letters["deadlines", "letter", "da"]
    assert render(town.letter("deadlines"), templates) == first
    assert first.sha256 == hashlib.sha256(first.pdf).hexdigest()
    assert render(town.letter("deadlines", recipient_name="Bo"), templates).sha256 != first.sha256


def test_another_process_gives_the_same_bytes(town, letters) -> None:
    program = (
        "from hub.letters import samples\n"
        "from hub.letters.render import render\n"
        "from hub.letters.templates import Templates\n"
        "letter = render(samples.letter('introduction'), Templates())\n"
        "print(letter.sha256, letter.template_version)"
    )
    said = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parent, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    here = letters["introduction", "letter", "da"]
    assert said.stdout.split() == [here.sha256, here.template_version]


def test_threads_render_at_once_without_mixing_letters(town, templates) -> None:
    contents = [town.letter(recipient_name=f"Modtager {number}") for number in range(24)]
    alone = [render(content, templates).sha256 for content in contents]
    with ThreadPoolExecutor(4) as pool:
        assert [letter.sha256 for letter in pool.map(lambda content: render(content, templates), contents)] == alone


@pytest.mark.parametrize(
    "name",
    ["Nguyễn Thị Hồng Ánh", "Łukasz Żółć-Dąbrowski", "Þórður Ægisson Ðað", "Aqqaluk Kĸeist Nâja", "Иван Щукин",
     "محمد علي", "שלום כהן", "José\u0301 Ångström", "O’Brien – “Bo”"],
)  # fmt: skip
def test_a_name_in_another_alphabet_is_printed_as_it_is(name: str, town, templates) -> None:
    letter = render(town.letter(recipient_name=name), templates)
    assert letter.unprintable == 0
    assert name.split()[0][:2] in letter.text


@pytest.mark.parametrize(("name", "printed", "count"), [("李小龙 Hansen", "???", 6), ("Ａｎｎｅ 😀", "Anne ?", 10)])
def test_a_name_no_font_has_does_not_lose_the_letter(name: str, printed: str, count: int, town, templates) -> None:
    letter = render(town.letter(recipient_name=name), templates)
    assert letter.unprintable == count  # in the letterhead and in the greeting
    assert f"Kære {printed}" in words_of(letter.pdf)
    assert name in letter.text
    assert name in letter.html


def test_typst_in_a_value_stays_text(town, templates) -> None:
    value = '#panic("x") $x$ #read("/etc/passwd") @label \\ "quoted" *star*'
    case = ContentCase(value, value, adviser=value)
    content = town.letter(recipient_name=value, children=(ContentChild(ContentLabel(value), (case,)),))
    pdf = words_of(render(content, templates).pdf)
    assert "#panic" in pdf
    assert "*star*" in pdf
    assert "root:" not in pdf


HEADERS = "Bo\r\nBcc: all@example.com\r\n\r\n<script>alert(1)</script>"


@pytest.mark.parametrize("kind", list(LetterKind))
def test_line_ends_in_a_name_make_no_header_and_no_markup(kind, town, templates) -> None:
    letter = render(town.letter(str(kind), recipient_name=HEADERS, interpreter=HEADERS), templates)
    for outside in (letter.subject, letter.file_name, *(action.label for action in letter.actions)):
        assert "\n" not in outside
        assert "Bcc" not in outside
    assert "\nBcc" not in letter.text
    assert "<script" not in letter.html


def test_one_letter_offers_for_one_child_and_tells_news_of_a_sibling(town, templates) -> None:
    offer = {
        "offers": (ContentLabel("Ida"),),
        "answer_by": date(2027, 5, 5),
        "answer_url": "https://havneby.example/svar",
    }
    siblings = (ContentChild(ContentLabel("Søren"), town.cases()),)
    for kind in LetterKind:
        letter = render(town.letter(str(kind), children=siblings, **offer), templates)
        assert "Ida" in letter.text, kind
        assert "5. maj 2027" in letter.text, kind
        assert "https://havneby.example/svar" in letter.text, kind
        assert "Fatima Rahmani" in letter.text, kind
        assert "genoptræning efter operation" in letter.text, kind
        assert letter.text.count("Venlig hilsen") == 1


SOREN = ContentLabel("Søren")
PARTS: dict[str, tuple[dict[str, Any], str]] = {
    "changed": ({"change": ContentChange("changed", "Bo Lund")}, "Bo Lund"),
    "substitute": ({"change": ContentChange("substitute", "Bo Lund", date(2027, 7, 31))}, "31. juli 2027"),
    "handed over": ({"change": ContentChange("handed_over", "Bo Lund")}, "Bo Lund har givet opgaven videre"),
    "back": ({"change": ContentChange("back")}, "Mette Hansen er din koordinator igen"),
    **{
        f"turns {age}": ({"turns": (ContentTurn(SOREN, age, date(2027, 5, 20)),)}, says)  # type: ignore[arg-type]
        for age, says in (
            ("15", "Søren fylder 15 år"), ("16", "Søren fylder 16 år"), ("17½", "Søren bliver 17½ år"),
            ("18", "Fra den 20. maj 2027 er Søren voksen"),
        )
    },
    **{
        what: ({"answers": (ContentAnswer(SOREN, what, "Socialforvaltningen", date(2027, 4, 20)),)}, says)  # type: ignore[arg-type]
        for what, says in (
            ("yes_withdrawn", "Du har sagt nej tak til en koordinator. Det gælder Søren."),
            ("consent_given", "Du har sagt ja til, at vi læser om sager hos Socialforvaltningen. Det gælder Søren."),
            ("consent_withdrawn", "Det, vi havde læst, er slettet"),
            ("closed", "Du har lukket for Socialforvaltningen. Det gælder Søren."),
            ("yes_given", "Du har sagt ja tak til en koordinator. Det gælder Søren."),
            ("no_given", "Du har sagt nej tak til en koordinator. Det gælder Søren. Det ændrer"),
            ("objected", "Du har gjort indsigelse. Det gælder Søren."),
            ("opened", "Du har åbnet igen for Socialforvaltningen. Det gælder Søren."),
        )
    },
    **{
        f"goodbye {why}": ({"goodbye": why}, says)
        for why, says in (
            ("closed", "ikke længere noget i gang hos to"), ("moved", "for dem, der bor her"),
            ("grown", "Søren er fyldt 18 år"), ("withdrawn", "Ja'et til en koordinator for Søren gælder ikke længere"),
        )
    },
    "interpreter": ({"interpreter": "arabisk"}, "Du kan få en tolk (arabisk)"),
}  # fmt: skip


@pytest.mark.parametrize("part", PARTS)
def test_what_is_filled_is_written_whatever_the_kind(part: str, town, templates) -> None:
    values, says = PARTS[part]
    for kind in LetterKind:
        # Not beside what another letter of this kind opens with.
        opening = {"change": ContentChange("changed")} if kind is LetterKind.COORDINATOR else {}
        letter = render(town.letter(str(kind), children=(ContentChild(SOREN),), **(opening | values)), templates)
        assert letter.text.count(says) == 1, kind


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("maker", ["letter", "shortest"])
@pytest.mark.parametrize("kind", list(LetterKind))
def test_a_young_reader_is_the_one_it_is_about(kind, maker, language, town, templates) -> None:
    content = getattr(town, maker)(str(kind), language, reader="young")
    letter = render(content, templates)
    assert "Søren" not in letter.text.replace("Sørensen", "")
    assert not re.search(
        r"\b(?:I|jer|jeres|dit barn|your child|the child)\b", letter.text.split("\n", 3)[3] if language == "da" else ""
    )
    assert "2016" not in letter.text


@pytest.mark.parametrize("kind", list(LetterKind))
def test_a_representative_is_nobodys_parent(kind, town, templates) -> None:
    letter = render(town.shortest(str(kind), reader="representative"), templates)
    assert not re.search(r"\bI\b|\bjer(?:es)?\b|\bdit barn\b|forældremyndig", letter.text)


@pytest.mark.parametrize(("what", "holds"), [("consent_withdrawn", True), ("objected", False)])
def test_an_objection_does_not_hold_before_somebody_has_read_it(what, holds: bool, town, templates) -> None:
    answer = ContentAnswer(SOREN, what, None, date(2027, 4, 20))
    text = render(town.letter("withdrawn", answers=(answer,)), templates).text
    assert ("Det gælder allerede" in text) == holds
    assert ("En medarbejder læser den og svarer" in text) != holds


@pytest.mark.parametrize("age", ["15", "16", "17½", "18"])
def test_a_child_without_a_first_name_is_named_by_year_of_birth_but_once(age, town, templates) -> None:
    nobody = ContentLabel(None, 2010)
    turn = ContentTurn(nobody, age, date(2027, 5, 20))
    text = render(town.letter("transition", turns=(turn,), children=()), templates).text.lower()
    _first_lines, section = text.split("det skal du gøre først")
    assert section.count("dit barn født i 2010") == 1
    assert "den unge" in section


@pytest.mark.parametrize(
    ("reader", "lasts", "says", "not_so"),
    [
        ("young", False, "Derfor stopper koordinatoren", "har du stadig"),
        ("young", True, "Derfor har du stadig din koordinator", "stopper"),
        ("guardian", False, "medmindre du har en fuldmagt", "stopper"),  # whether it does is the young person's to tell
        ("representative", False, "Gælder din fuldmagt også efter den dag?", "stopper"),
    ],
)
def test_at_18_the_coordinator_stops_unless_a_mandate_lasts(
    reader, lasts: bool, says: str, not_so: str, town, templates
) -> None:
    turn = ContentTurn(SOREN, "18", date(2027, 5, 20), lasts)
    text = render(town.letter("transition", reader=reader, turns=(turn,)), templates).text
    assert says in text
    assert not_so not in text


@pytest.mark.parametrize(
    ("language", "dear", "row"), [("da", "Kære forælder", "En åben sag"), ("en", "Dear parent", "An open case")]
)
def test_a_reader_without_name_and_a_case_off_the_list_are_named_plainly(
    language, dear: str, row: str, town, templates
) -> None:
    cases = (ContentCase("Socialforvaltningen"), ContentCase("Socialforvaltningen", news=(News.OPENED,)))
    content = town.letter(language=language, recipient_name=None, children=(ContentChild(SOREN, cases),))
    letter = render(content, templates)
    assert dear in letter.text.split("\n")
    assert row in letter.text
    assert placed(letter.pdf)[2][0] == ("Til dig" if language == "da" else "To you")


@pytest.mark.parametrize("rows", range(1, 10))
def test_no_page_holds_the_end_of_a_section_alone_or_a_list_without_what_it_begins_with(rows, town, templates) -> None:
    """However long the table before them is."""
    child = ContentChild(SOREN, town.cases()[:1] * rows)
    for kind, last in (("overdue", "Har du spørgsmål?"), ("receipt", "Hvad sker der nu?")):
        letter = render(town.letter(kind, children=(child,)), templates)
        pages = [page.extract_text() for page in PdfReader(io.BytesIO(letter.pdf)).pages]
        assert ["Venlig hilsen" in page for page in pages] == [last in page for page in pages]
        assert ["holde styr på" in page for page in pages] == [
            "hvem der arbejder med sagerne" in page for page in pages
        ]


@pytest.mark.slow
def test_a_last_section_too_long_for_a_page_is_parted(town, tmp_path: Path) -> None:
    text = (product_folder() / "goodbye.da.md").read_text(encoding="utf-8")
    long = text.replace("## Hvad sker der nu?", "## Hvad sker der nu?\n\n" + "Vi ringer til dig i morgen.\n\n" * 60)
    (tmp_path / "goodbye.da.md").write_text(long, encoding="utf-8")
    letter = render(town.shortest("goodbye"), Templates(tmp_path))
    assert words_of(letter.pdf).count("Vi ringer til dig i morgen.") == 60


def test_the_picture_of_the_envelopes_is_of_the_letter(town, templates) -> None:
    here, there = (
        in_the_window(pictures(town.letter("receipt", recipient_name=name), templates)[0]) for name in ("Bo Dam", "Eva")
    )
    assert here.startswith(b"\x89PNG")
    assert here != there


def test_large_print_is_set_in_16_points_and_may_take_more_pages(town, templates) -> None:
    long = render(town.longest("deadlines", large_print=True), templates)
    assert MOST_PAGES < long.pages <= MOST_PAGES_LARGE
    letter = render(town.letter(large_print=True), templates)
    sizes: set[float] = set()
    for page in PdfReader(io.BytesIO(letter.pdf)).pages:
        page.extract_text(visitor_text=lambda text, *_rest: sizes.add(round(_rest[-1], 1)) if text.strip() else None)
    assert min(sizes) >= 16, sizes
    assert letter.text == render(town.letter(), templates).text


MM = 72 / 25.4
EVER = (0, 120, 29, 79)
"""What a window can show, wherever the sheet slips to: from and to, mm from the left and from the top (layout.typ)."""
ALWAYS = (15, 100, 44, 59)


def placed(pdf: bytes) -> list[tuple[str, float, float]]:
    """The words of the first page and where each run begins: mm from the left, and of its base line from the top."""
    page = PdfReader(io.BytesIO(pdf)).pages[0]
    found: list[tuple[str, float, float]] = []

    def seen(text: str, cm: list[float], tm: list[float], _font: Any, _size: float) -> None:
        x, y = (tm[4] * cm[n] + tm[5] * cm[n + 2] + cm[n + 4] for n in (0, 1))
        if text.strip():
            found.append((text.strip(), x / MM, (float(page.mediabox.height) - y) / MM))

    page.extract_text(visitor_text=seen)
    return found


def inside(zone: tuple[int, int, int, int], x: float, y: float) -> bool:
    return zone[0] <= x <= zone[1] and zone[2] <= y <= zone[3]


@pytest.mark.slow
@pytest.mark.parametrize("large_print", [False, True])
@pytest.mark.parametrize("which", EVERY, ids="-".join)
def test_a_folded_letter_shows_name_and_room_for_an_address_and_no_more(which, large_print, town, templates) -> None:
    kind, maker, language = which
    letter = render(getattr(town, maker)(kind, language, large_print=large_print), templates)
    shown = [(text, x, y) for text, x, y in placed(letter.pdf) if inside(EVER, x, y)]
    assert " ".join(text for text, _, _ in shown).replace("\xa0", " ") == "Anne Birgitte Kjærsgaard Sørensen"
    assert all(inside(ALWAYS, x, y) for _, x, y in shown), shown
    # Type reaches up from its base line, by less than the gap that is left here.
    assert min(y for _, _, y in placed(letter.pdf) if y > EVER[3]) > EVER[3] + 5


def test_a_long_name_stays_within_what_is_always_seen(town, templates) -> None:
    name = "Anne Birgitte Margrethe Alexandrine Kjærsgaard-Vestergaard Thorlacius-Ussing Sørensen"
    letter = render(town.letter("receipt", recipient_name=name), templates)
    shown = [(text, x, y) for text, x, y in placed(letter.pdf) if inside(EVER, x, y)]
    assert len(shown) > 1
    assert all(inside(ALWAYS, x, y) for _, x, y in shown), shown


def test_pictures_are_of_the_same_letter(town, templates) -> None:
    content = town.longest("deadlines")
    pages = pictures(content, templates, ppi=20)
    assert len(pages) == render(content, templates).pages
    assert all(page.startswith(b"\x89PNG") for page in pages)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_kind_of_news_is_told_in_words_of_its_own(language: str, town, templates) -> None:
    def told(code: News) -> str:
        case = ContentCase(
            "Socialforvaltningen", "ledsagelse", State.OPEN, "Jens Åge", "33 17 00 01", None, date(2027, 5, 12),
            date(2027, 5, 20), (code,),
        )  # fmt: skip
        text = render(
            town.letter(language=language, children=(ContentChild(ContentLabel("Bo"), (case,)),)), templates
        ).text
        found = re.search(r"^- Socialforvaltningen, „?ledsagelse”?: (.+)$", text, re.MULTILINE)
        assert found, code
        return found[1]

    sentences = [told(code) for code in News]
    assert len(set(sentences)) == len(News)
    for code, sentence in zip(News, sentences, strict=True):
        if code.startswith("deadline"):
            assert re.search(r"12\.? (maja?|May) 2027", sentence), code
        if code == News.ADVISER_CHANGED:
            assert "Jens Åge" in sentence
            assert "33 17 00 01" in sentence


def test_a_silent_source_is_told_as_silence(letters) -> None:
    for kind in map(str, LetterKind):
        text = letters[kind, "longest", "da"].text
        assert "Sundheds- og Omsorgsforvaltningen har ikke svaret os siden 19. april 2027" in text


def test_an_offer_says_what_the_coordinator_cannot_do_and_names_no_case(town, templates) -> None:
    text = render(town.letter("introduction"), templates).text
    assert "bestemmer ikke, hvilken hjælp I får" in text
    assert "mindst to af kommunens forvaltninger" in text
    assert "hver jeres brev" in text
    assert "Socialforvaltningen" not in text


def test_a_reminder_is_the_last_one(town, templates) -> None:
    first = render(town.letter("introduction"), templates).text
    reminder = render(town.letter("introduction", reminder=True), templates).text
    assert "skriver vi én gang til" in first
    assert "har ikke fået svar" in reminder
    assert "skriver vi ikke igen" in reminder


def test_a_letter_with_far_too_much_still_fits_and_counts_the_rest(town, templates) -> None:
    children = tuple(ContentChild(ContentLabel(f"Barn{number}"), town.every_news()) for number in range(8))
    letter = render(town.letter(children=children), templates)
    assert letter.pages == MOST_PAGES
    assert "som ikke kan stå her. Ring til Mette Hansen på 30 40 50 60." in letter.text
    assert "Der er nyt i " in letter.text


def test_a_template_too_long_for_two_pages_is_given_up_with_the_reason(tmp_path: Path, town) -> None:
    long = "---\nkind: receipt\nlanguage: da\nsubject: S\nfile_name: s.pdf\naction: {answer: a, date: d}\n---\n# H\n\n"
    (tmp_path / "receipt.da.md").write_text(long + "Vi skriver meget. " * 1500, encoding="utf-8")
    with pytest.raises(GaveUp, match=r"pages, 2 are allowed: shorten the template receipt"):
        render(town.letter("receipt"), Templates(tmp_path))


def test_a_pdf_without_its_marks_is_not_handed_on(letters) -> None:
    pdf = letters["receipt", "letter", "da"].pdf
    assert module._checked(pdf, "da") == 2
    for marker in (b"<pdfuaid:part>1<", b"<pdfaid:part>2<", b"/StructTreeRoot", b"/Lang(da)"):
        with pytest.raises(GaveUp, match="is missing"):
            module._checked(pdf.replace(marker, b"x"), "da")
    with pytest.raises(GaveUp, match="Lang"):
        module._checked(pdf, "en")


@pytest.mark.parametrize(
    ("language", "says", "told_in"),
    [("uk", "Цей лист написано данською", "uk"), ("ar", "هذه الرسالة", "ar"), ("kl", "This letter is in Danish", "en")],
)
def test_a_missing_language_falls_back_and_says_so(language, says, told_in, town, templates) -> None:
    letter = render(replace(town.letter("receipt"), language=language), templates)
    assert letter.language == "da"
    assert '<html lang="da">' in letter.html
    assert letter.unprintable == 0
    assert letter.text.startswith(says)
    # The voice of a screen reader changes with the language, in the page and in the PDF.
    assert f'<p lang="{told_in}" dir="auto">{says}' in letter.html
    assert b"/Lang(%s)" % told_in.encode() in letter.pdf


def test_a_letter_in_the_readers_own_language_says_nothing_of_it(town, templates) -> None:
    for language in templates.languages:
        assert "in Danish" not in render(town.letter("receipt", language), templates).text


class Checker(HTMLParser):
    """Collects tags and checks that each is closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("which", EVERY, ids="-".join)
def test_the_html_is_a_whole_page_with_language_title_and_headings_in_order(which, letters) -> None:
    letter = letters[which]
    checker = Checker()
    checker.feed(letter.html)
    checker.close()
    assert not checker.open
    assert ("html", {"lang": which[2]}) in checker.seen
    assert f"<title>{letter.subject}</title>" in letter.html
    headings = [tag for tag, _ in checker.seen if re.fullmatch("h[1-6]", tag)]
    assert headings[0] == "h1"
    assert headings.count("h1") == 1
    assert set(headings[1:]) <= {"h2"}
    assert all(attrs.get("scope") == "col" for tag, attrs in checker.seen if tag == "th")
    assert not {"script", "img", "iframe"} & {tag for tag, _ in checker.seen}
    for _, attrs in checker.seen:
        assert str(attrs.get("href", "https:")).startswith(("https:", "tel:", "mailto:"))


def test_the_calendar_gets_each_date_to_come_once(town, templates) -> None:
    case = ContentCase("Socialforvaltningen", "ledsagelse", deadline=date(2027, 5, 12))
    gone = ContentCase("Socialforvaltningen", "ledsagelse", deadline=date(2027, 4, 1))
    letter = render(town.letter(children=(ContentChild(ContentLabel("Bo"), (case, case, gone)),)), templates)
    (action,) = letter.actions
    assert action.starts == datetime(2027, 5, 11, 22, tzinfo=UTC)  # midnight in Denmark, summer time
    assert action.ends == datetime(2027, 5, 12, 21, 59, tzinfo=UTC)
    (answer,) = render(town.letter("introduction"), templates).actions
    assert answer.url == "https://havneby.example/svar"
    assert answer.code == "SELVBETJENING"


def test_contact_details_that_are_none_do_not_lose_the_letter(town, templates) -> None:
    odd = ContentCoordinator("Mette Hansen", "ring via omstillingen", "ingen mail")
    letter = render(town.letter("receipt", coordinator=odd), templates)
    assert "ring via omstillingen" in letter.text
    assert "tel:" not in letter.html
    assert "mailto:" not in letter.html
