"""From content to a finished letter: HTML, plain text and PDF of one tree.

The PDF is set by Typst (no other program or system font takes part) as PDF/UA-1 and PDF/A-2a, and is checked for that
before it is handed on. The same content and templates give the same bytes, on any day and any machine with the same
version of typst. Safe to call from several threads at once; each keeps a compiler of its own.
"""

from __future__ import annotations

import atexit
import hashlib
import importlib.util
import json
import os
import re
import shutil
import tempfile
import threading
import unicodedata
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from functools import cache, lru_cache
from html import escape
from pathlib import Path

import typst

from hub.clock import DENMARK
from hub.contract import Action
from hub.errors import GaveUp, SettingsError
from hub.letters.content import LetterContent
from hub.letters.templates import Template, Templates
from hub.letters.tree import Block, parse, to_html, to_text
from hub.letters.view import clean, coming_dates
from hub.letters.words import Words

# Typst divides even one page among all cores, and workers that do so at once get in each other's way.
os.environ.setdefault("RAYON_NUM_THREADS", "1")

MOST_PAGES = 2
MOST_PAGES_LARGE = 6
"""In large print; how many pages that may be is our own choice: three sheets, printed on both sides."""
_FITS: tuple[tuple[bool, int | None], ...] = ((False, None), (True, None), (True, 16), (True, 12), (True, 8), (True, 5))
"""How a long letter is made to fit, tried in order: compact type, then fewer rows with the rest counted."""

_MARKERS = (
    b"<pdfuaid:part>1</pdfuaid:part>",
    b"<pdfaid:part>2</pdfaid:part>",
    b"<pdfaid:conformance>A</pdfaid:conformance>",
    b"/StructTreeRoot",
    b"/MarkInfo<</Marked true",
    b"/DisplayDocTitle true",
)
_LAYOUT = Path(__file__).parent / "layout.typ"
_FACES = ("Regular", "It", "Bold", "BoldIt")
_SHORT_SECTION = 700
"""Characters: half a page of large print."""
_KEPT_TOGETHER = re.compile(
    r"(?<=\d) (?=\d\d)|(?<=\d\.) (?=[a-z]{3})|(?<=\d) (?=[^\W\d_]+ \d{4})|(?<=[a-z]) (?=\d{4}\b)"
)
"""Spaces inside a telephone number or a date, where a line must not break."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A finished letter. `subject`, `file_name` and the actions' labels are neutral outside."""

    subject: str
    language: str
    """The language it is written in; another than the content asked for where there is no template in that one."""
    file_name: str
    html: str
    """The letter as a whole HTML page."""
    fragment: str
    """The same without letterhead and page around it, for showing inside another page."""
    text: str
    pdf: bytes
    pages: int
    sha256: str
    """SHA-256 of the PDF, hexadecimal."""
    template_version: str
    actions: tuple[Action, ...]
    words: Words
    blocks: tuple[Block, ...]
    """The tree that HTML, text and PDF are made of (hub.letters.tree), for the plain-language check."""
    unprintable: int = 0
    """How many characters no font of ours has: `?` in the PDF, right in HTML and text. A person should look."""


def render(content: LetterContent, templates: Templates) -> Rendered:
    """Write and set a letter. Raises ValueError where the content lacks what the kind needs, GaveUp where it cannot be
    set on two pages or the PDF is not what it must be, SettingsError for a template that goes wrong."""
    fitted = _fitted(content, templates)
    template, blocks, pdf = fitted.template, fitted.blocks, fitted.pdf
    fragment = to_html(blocks)
    return Rendered(
        subject=template.about.subject,
        language=template.about.language,
        file_name=template.about.file_name,
        html=_html_page(content, template, fragment),
        fragment=fragment,
        text=to_text(blocks) + "\n",
        pdf=pdf,
        pages=fitted.pages,
        sha256=hashlib.sha256(pdf).hexdigest(),
        template_version=template.version,
        actions=actions(content, template),
        words=template.words,
        blocks=tuple(blocks),
        unprintable=fitted.unprintable,
    )


def pictures(content: LetterContent, templates: Templates, ppi: float = 100) -> list[bytes]:
    """The pages of the same letter as PNG, for people who look through many. Raises as `render` does."""
    made = _compiler().compile(sys_inputs={"d": _fitted(content, templates).page}, format="png", ppi=ppi)
    return [made] if isinstance(made, bytes) else list(made or ())


@dataclass(frozen=True, slots=True)
class _Fitted:
    template: Template
    blocks: list[Block]
    page: str
    pdf: bytes
    pages: int
    unprintable: int


def _fitted(content: LetterContent, templates: Templates) -> _Fitted:
    """The letter in the largest type and with the most rows that fit."""
    template = templates.find(content.kind, content.language)
    language = template.about.language
    most = most_pages(content)
    first = [] if language == content.language else [_not_yet(*templates.not_yet(content.language))]
    for compact, limit in _FITS:
        blocks = first + parse(*template.write(content, limit))
        page = _page(content, template, blocks, compact=compact)
        pdf, unprintable = _pdf(page)
        pages = _checked(pdf, language)
        if pages <= most:
            return _Fitted(template, blocks, page, pdf, pages, unprintable)
    raise GaveUp(f"the letter takes {pages} pages, {most} are allowed: shorten the template {content.kind}")


def most_pages(content: LetterContent) -> int:
    return MOST_PAGES_LARGE if content.large_print else MOST_PAGES


def _not_yet(language: str, sentence: str) -> Block:
    """What stands on top of a letter in another language than the reader's own."""
    return {"t": "p", "lang": language, "c": [sentence]}


def written(content: LetterContent, templates: Templates) -> tuple[str, str, str]:
    """A letter's subject, the language it is written in, and its text, without setting it on paper."""
    template = templates.find(content.kind, content.language)
    blocks = parse(*template.write(content))
    return template.about.subject, template.about.language, to_text(blocks) + "\n"


def actions(content: LetterContent, template: Template) -> tuple[Action, ...]:
    """What the recipient's calendar gets: the day to answer by, and each date to come, once."""
    labels = template.about.action
    found = []
    if content.answer_by:
        code = "SELVBETJENING" if content.answer_url else "INFORMATION"
        found.append(Action(labels.answer, code, *_whole_day(content.answer_by), url=content.answer_url))
    found += [Action(labels.date, "INFORMATION", *_whole_day(day)) for day in coming_dates(content)]
    return tuple(found)


def _whole_day(day: date) -> tuple[datetime, datetime]:
    """First and last minute of a Danish day, in UTC."""
    return (
        datetime.combine(day, time(0, 0), DENMARK).astimezone(UTC),
        datetime.combine(day, time(23, 59), DENMARK).astimezone(UTC),
    )


def _letterhead(content: LetterContent, words: Words) -> tuple[str, list[str]]:
    sender = content.municipality
    contact = [f"{words.phone} {clean(sender.phone)}"] if sender.phone else []
    return clean(sender.name), contact + ([clean(sender.web)] if sender.web else [])


def _page(content: LetterContent, template: Template, blocks: list[Block], *, compact: bool) -> str:
    """What layout.typ reads, as JSON."""
    words = template.words
    sender, contact = _letterhead(content, words)
    written = content.written
    page = json.dumps(
        {
            "language": template.about.language,
            "title": template.about.subject,
            "written": [written.year, written.month, written.day],
            "date": words.long_date(written),
            "sender": sender,
            "contact": contact,
            "recipient": clean(content.recipient_name or words.unnamed.envelope),
            "page-words": words.page,
            "size": 16 if content.large_print else 10 if compact else 11,
            "blocks": blocks,
            "together": _together(blocks),
        },
        ensure_ascii=False,
        separators=(",", ":"),
    )
    return _KEPT_TOGETHER.sub("\u00a0", page)


def _together(blocks: list[Block]) -> int:
    """How many of the last blocks stand on one page: the last section where it is short, else the last paragraphs."""
    heads = [number for number, block in enumerate(blocks) if block["t"] == "h" and number > 0]
    section = blocks[heads[-1] :] if heads else []
    if section and len(to_text(section)) <= _SHORT_SECTION:
        return len(section)
    return 2 if all(block["t"] == "p" for block in blocks[-2:]) and len(blocks) > 2 else 0


def _pdf(page: str) -> tuple[bytes, int]:
    """The PDF, and how many characters had to be replaced because no font has them."""
    try:
        return _compile(page), 0
    except typst.TypstError as error:
        if "could not be displayed" not in error.message:
            raise _failed(error) from None
    replaced: dict[str, str | int | None] = {
        char: _substitute(char) for char in set(page) if not char.isascii() and not _printable(char)
    }
    try:
        return _compile(page.translate(str.maketrans(replaced))), sum(page.count(char) for char in replaced)
    except typst.TypstError as error:
        raise _failed(error) from None


def _failed(error: typst.TypstError) -> GaveUp:
    # What stands in quotes may be the letter's own words; and so may the rest of the chain, which is why it is cut.
    reason = re.sub(r'"[^"]*"', "…", error.message)
    return GaveUp(f"the PDF could not be set: {reason}")


@lru_cache(maxsize=4096)
def _printable(char: str) -> bool:
    """Whether our fonts have this character, asked of Typst itself."""
    empty = {"language": "da", "title": "-", "written": [2000, 1, 1], "date": "", "sender": "", "contact": []}
    rest = {"recipient": char, "page-words": ["", ""], "size": 11, "blocks": [], "together": 0}
    try:
        _compile(json.dumps(empty | rest, ensure_ascii=False))
    except typst.TypstError:
        return False
    return True


def _substitute(char: str) -> str:
    """The closest that can be printed: a plain letter for a wide or decorated one, else a question mark."""
    plain = "".join(part for part in unicodedata.normalize("NFKD", char) if part.isascii() and part.isalnum())
    return plain or "?"


def _compile(page: str) -> bytes:
    made = _compiler().compile(sys_inputs={"d": page}, format="pdf", pdf_standards=["ua-1", "a-2a"])
    if not isinstance(made, bytes):
        raise TypeError("typst gave no PDF")
    return made


_mine = threading.local()


def _compiler() -> typst.Compiler:
    """This thread's compiler: making one costs as much as a letter."""
    found: typst.Compiler | None = getattr(_mine, "compiler", None)
    if found is None:
        found = _mine.compiler = typst.Compiler(
            str(_LAYOUT), root=_LAYOUT.parent, font_paths=[str(_font_folder())], ignore_system_fonts=True
        )
    return found


@cache
def _font_folder() -> Path:
    """A folder with just the faces we use. The package holds each face twice (OpenType and TrueType), and Typst takes
    the one the file system happens to list first: then two machines would not make the same bytes."""
    package = importlib.util.find_spec("font_source_sans_pro")
    if package is None or package.origin is None:
        raise SettingsError("the letters' font is missing; install the package font-source-sans-pro")
    folder = Path(tempfile.mkdtemp(prefix="tovholder-fonts-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for face in _FACES:
        file = Path(package.origin).parent / "files" / f"SourceSansPro-{face}.ttf"
        shutil.copyfile(file, folder / file.name)
    return folder


def _checked(pdf: bytes, language: str) -> int:
    """The number of pages of a PDF that says it is PDF/UA-1 and PDF/A-2a, in that language. Typst refuses to write the
    marks where the document does not keep the rules; this sees that we asked for them. Raises GaveUp."""
    missing = [marker for marker in (*_MARKERS, b"/Lang(%s)" % language.encode()) if marker not in pdf]
    pages = re.search(rb"<xmpTPg:NPages>(\d+)</xmpTPg:NPages>", pdf)
    if missing or pages is None:
        lacks = (missing or [b"the number of pages"])[0].decode()
        raise GaveUp(f"the PDF is not PDF/UA-1 and PDF/A-2a: {lacks} is missing; check the version of typst")
    return int(pages[1])


_STYLE = """\
body{margin:0 auto;padding:1.5rem;max-width:42rem;color:#1c2833;background:#fff;line-height:1.55;
font:1.0625rem/1.55 "Source Sans Pro","Source Sans 3","Segoe UI",system-ui,sans-serif}
header{border-bottom:2px solid #0b4a5f;margin-bottom:1.5rem;padding-bottom:.5rem}
header p{margin:0}.sender{font-size:1.25rem;font-weight:700;color:#0b4a5f}
.to{display:flex;flex-wrap:wrap;justify-content:space-between;gap:.25rem 2rem;margin:0 0 1.5rem}
h1,h2,h3{color:#0b4a5f;line-height:1.25}h1{font-size:1.75rem}h2{font-size:1.2rem;margin-top:1.8em}
a{color:#0b4a5f}li{margin:.35em 0}
.box{background:#eef4f6;border-left:4px solid #0b4a5f;padding:.25rem 1rem;margin:1.2rem 0}
table{border-collapse:collapse;width:100%;margin:1rem 0}
th,td{text-align:left;vertical-align:top;padding:.5rem;border-top:1px solid #b8c7cd;border-bottom:1px solid #b8c7cd}
th{background:#eef4f6;color:#0b4a5f}td:first-child{min-width:6.5rem}
@media(max-width:34rem){th,td{padding:.4rem .25rem;overflow-wrap:anywhere;hyphens:auto}td:first-child{min-width:0}}"""


def _html_page(content: LetterContent, template: Template, fragment: str) -> str:
    language = template.about.language
    sender, contact = _letterhead(content, template.words)
    return f"""<!doctype html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(template.about.subject)}</title>
<style>
{_STYLE}
</style>
</head>
<body>
<header>
<p class="sender">{escape(sender)}</p>
<p>{escape(" · ".join(contact))}</p>
</header>
<main>
<p class="to"><span>{escape(clean(content.recipient_name or template.words.unnamed.envelope))}</span>
<time datetime="{content.written.isoformat()}">{template.words.long_date(content.written)}</time></p>
<article>
{fragment}
</article>
</main>
</body>
</html>
"""
