"""How the letters score, as a table in docs/letters.md: `python -m hub.letters.scores` writes it there, and a test
keeps it true, so that whoever changes a letter sees what became of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from hub.letters import samples
from hub.letters.content import LetterKind
from hub.letters.lint_templates import measure
from hub.letters.readability import prose, readability
from hub.letters.render import render
from hub.letters.templates import Templates

BEGIN, END = "<!-- scores: python -m hub.letters.scores -->\n", "<!-- end of scores -->\n"
_HEAD = (
    "| letter | language | content | LIX | words | words per sentence | longest sentence | pages |\n"
    + "|---" * 8
    + "|\n"
)


def table(templates: Templates) -> str:
    """Every kind in every language, with the shortest and the longest content."""
    return _HEAD + "".join(_rows(templates))


def _rows(templates: Templates) -> Iterator[str]:
    for kind in LetterKind:
        for language in templates.languages:
            for case in ("shortest", "longest"):
                letter = render(samples.CASES[case](kind, language), templates)
                by = measure(templates, language)
                found = readability(prose(letter.blocks), by)
                lix = f"{found.lix:.1f}" if by.lix else "–"
                numbers = f"{lix} | {found.words} | {found.mean:.1f} | {found.longest} | {letter.pages}"
                yield f"| {kind} | {language} | {case} | {numbers} |\n"


def put_into(text: str, templates: Templates) -> str:
    """The page with its table made anew."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + table(templates) + END + after


if __name__ == "__main__":
    page = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/letters.md")
    page.write_text(put_into(page.read_text(encoding="utf-8"), Templates()), encoding="utf-8")
