"""Ten letters to look at, as PDF and PNG: `python -m hub.letters.gallery FOLDER` (`make letters`). Nobody is real."""

from __future__ import annotations

import shutil
import sys
import tempfile
from dataclasses import replace
from datetime import date
from pathlib import Path

import typst

from hub.letters import samples
from hub.letters.content import ContentLabel, ContentTurn, LetterContent
from hub.letters.render import pictures, render
from hub.letters.templates import Templates

_ENVELOPES = Path(__file__).parent / "envelopes.typ"

_SOREN = ContentLabel("Søren")
LETTERS: dict[str, LetterContent] = {
    "01-offer": samples.letter("introduction"),
    "02-offer-in-english": samples.letter("introduction", "en"),
    "03-receipt": samples.letter("receipt"),
    "04-longest": samples.longest("deadlines"),
    "05-shortest": samples.shortest("deadlines"),
    "06-late-answer": samples.letter("overdue"),
    "07-young-reader-turns-15": samples.letter(
        "transition",
        reader="young",
        recipient_name="Søren Sørensen",
        turns=(ContentTurn(_SOREN, "15", date(2027, 5, 20)),),
    ),
    "08-large-print": samples.letter("coordinator", large_print=True),
    "09-polish": samples.letter("deadlines", "pl", recipient_name="Łucja Żółkowska-Dąbrowska", interpreter="polski"),
    "10-arabic-not-yet": replace(samples.letter("receipt"), language="ar", recipient_name="فاطمة الزهراء علي"),
}
"""By file name: the two ends of length, languages, readers, print."""
PRINTED = "03-receipt"
"""Of which a picture shows what can be read through the window of an envelope."""


def make(folder: Path, templates: Templates) -> list[Path]:
    """Write the letters; the files, a PDF and a PNG for each page."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for name, content in LETTERS.items():
        made.append(folder / f"{name}.pdf")
        made[-1].write_bytes(render(content, templates).pdf)
        for number, picture in enumerate(pictures(content, templates), 1):
            made.append(folder / f"{name}-{number}.png")
            made[-1].write_bytes(picture)
    made.append(folder / f"{PRINTED}-in-the-window.png")
    made[-1].write_bytes(in_the_window((folder / f"{PRINTED}-1.png").read_bytes()))
    return made


def in_the_window(page: bytes) -> bytes:
    """A letter's first page (PNG) through the windows of the envelopes, as far up and down as it can slip, as PNG."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "page.png").write_bytes(page)
        drawing = Path(folder) / _ENVELOPES.name
        shutil.copyfile(_ENVELOPES, drawing)
        return bytes(typst.compile(str(drawing), root=folder, format="png", ppi=80))


if __name__ == "__main__":
    for path in make(Path(sys.argv[1]), Templates()):
        sys.stdout.write(f"{path}\n")
