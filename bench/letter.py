"""Letters without a database: writing, setting and checking one, against setting the same page and no more."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import date, timedelta
from itertools import count

import typst

from bench.measure import Result, alternate
from hub.contract import State
from hub.demo.names import DANISH
from hub.letters import render as letters
from hub.letters.content import (
    ContentCase,
    ContentChild,
    ContentCoordinator,
    ContentLabel,
    ContentMunicipality,
    LetterContent,
    LetterKind,
    News,
)
from hub.letters.templates import Templates
from hub.letters.tree import parse

WRITTEN = date(2026, 11, 2)
_ADMINISTRATIONS = ("Socialforvaltningen", "Børne- og Ungdomsforvaltningen", "Sundheds- og Omsorgsforvaltningen")
_KINDS = ("dækning af merudgifter", "plads på specialskole", "genoptræning", "aflastning i hjemmet")


def run(runs: int, tell: Callable[[str], None], *, tiny: bool = False) -> Result:
    """`hub` (letters.render: from content to a PDF that is checked, with HTML and text) against Typst alone."""
    each = 6 if tiny else 120
    result = Result("letter", "Compose, render and check a letter", "letters", {"letters in a run": each})
    templates = Templates()
    number = count()
    bare = _bare()

    def hub_side() -> float:
        batch = [content(next(number)) for _ in range(each)]
        start = time.perf_counter()
        for one in batch:
            letters.render(one, templates)
        return each / (time.perf_counter() - start)

    def typst_side() -> float:
        # Pages of other letters than the hub just set: Typst remembers what it has set a short while ago.
        pages = [page(content(next(number)), templates) for _ in range(each)]
        start = time.perf_counter()
        for one in pages:
            bare(one)
        return each / (time.perf_counter() - start)

    tell("warming up")
    hub_side()
    typst_side()
    result.sides = alternate(runs, {"hub": hub_side, "Typst alone": typst_side}, tell)
    result.compare("hub", "Typst alone", reach=0.6)
    return result


def content(n: int) -> LetterContent:
    """A letter such as the town gets; different for every `n`. The kinds take turns."""
    kind = (LetterKind.INTRODUCTION, LetterKind.RECEIPT, LetterKind.DEADLINES)[n % 3]
    first, last = DANISH.female[n % len(DANISH.female)], DANISH.last[n // 7 % len(DANISH.last)]
    child = ContentLabel(DANISH.male[n // 3 % len(DANISH.male)])
    offered = kind is LetterKind.INTRODUCTION
    return LetterContent(
        kind=kind,
        language="da",
        written=WRITTEN,
        recipient_name=f"{first} Nr{n} {last}",
        municipality=ContentMunicipality("Tovby Kommune", "70 10 20 30", "tovby.example/koordinator"),
        coordinator=ContentCoordinator("Mette Holm", "12 34 00 01", "mette.holm@tovby.example"),
        offers=(child,) if offered else (),
        answer_by=WRITTEN + timedelta(days=14) if offered else None,
        answer_url="https://tovby.example/familie" if offered else None,
        children=() if offered else (ContentChild(child, _cases(n)),),
        family_url="https://tovby.example/familie",
    )


def _cases(n: int) -> tuple[ContentCase, ...]:
    """Three cases in three administrations: one with a deadline near, one with a follow-up, one new."""
    near, later = WRITTEN + timedelta(days=10 + n % 5), WRITTEN + timedelta(days=40 + n % 9)
    adviser = f"{DANISH.male[n % 11]} {DANISH.last[n % 13]}"
    return (
        ContentCase(_ADMINISTRATIONS[0], _KINDS[0], State.OPEN, adviser, "12 34 00 77", deadline=near,
                    news=(News.DEADLINE_NEAR,)),
        ContentCase(_ADMINISTRATIONS[1], _KINDS[1], State.DECIDED, adviser, None, follow_up=later,
                    news=(News.ADVISER_CHANGED,)),
        ContentCase(_ADMINISTRATIONS[n % 3], _KINDS[2 + n % 2], State.APPLIED, None, deadline=later,
                    news=(News.OPENED,)),
    )  # fmt: skip


def page(content: LetterContent, templates: Templates) -> str:
    """What Typst gets for a letter, as the hub gives it at the first try."""
    template = templates.find(content.kind, content.language)
    return letters._page(content, template, parse(*template.write(content)), compact=False)


def _bare() -> Callable[[str], None]:
    """A compiler that is used again and again, with the hub's layout and the marks of both standards."""
    compiler = typst.Compiler(
        str(letters._LAYOUT),
        root=letters._LAYOUT.parent,
        font_paths=[str(letters._font_folder())],
        ignore_system_fonts=True,
    )

    def compile_one(page: str) -> None:
        compiler.compile(sys_inputs={"d": page}, format="pdf", pdf_standards=["ua-1", "a-2a"])

    return compile_one
