"""All templates, written with made-up content from the shortest to the longest, and what is wrong with them: each
finding with the file and the line to mend."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from hub.cases.kinds import KINDS
from hub.errors import GaveUp
from hub.letters import plain, samples
from hub.letters.content import LetterContent, LetterKind
from hub.letters.lint import WORD_RULES, Finding, lint_letter, lint_words
from hub.letters.plain import Plain
from hub.letters.render import render
from hub.letters.templates import Template, Templates

_JINJA = re.compile(r"\{[%{#].*?[%}#]\}")
_FRAGMENT = 8
"""So many letters of a line must be found again, for the line to be the one a finding is about."""


def lint_templates(templates: Templates, only: str | None = None) -> list[Finding]:
    """What is wrong, in the order of the lines of each file; of one file alone where `only` names it. What several of
    the letters it is tried with show is one finding."""
    found: dict[tuple[str, int, str, str], Finding] = {}
    for template in templates:
        if only is not None and only not in _files(template):
            continue
        by = measure(templates, template.about.language)
        for finding in (
            *_about(templates, template),
            *_source(templates, template, by),
            *_letters(templates, template, by),
        ):
            # What it was found in changes with the letter, and so do the numbers of a message.
            place = (finding.file, finding.line, finding.rule, finding.about or re.sub(r"\d", "", finding.message))
            if (only is None or finding.file == only) and (place not in found or finding.fails > found[place].fails):
                found[place] = finding
    return sorted(found.values(), key=lambda one: (one.file, one.line, one.rule, one.message))


def measure(templates: Templates, language: str) -> Plain:
    """What a language is measured by. Raises SettingsError where there is no file for it."""
    name = f"plain.{language}.toml"
    if name in templates.texts:
        return plain.read(templates.files[name], templates.texts[name])
    return plain.product_plain(language)


def readings(kind: LetterKind, language: str) -> Iterator[LetterContent]:
    """The letters that a template is tried with."""
    yield samples.letter(kind, language)
    yield samples.longest(kind, language)
    yield samples.shortest(kind, language)
    yield samples.letter(kind, language, reader="young", interpreter="arabisk")
    yield samples.shortest(kind, language, reader="representative")
    yield samples.letter(kind, language, large_print=True)


def _about(templates: Templates, template: Template) -> Iterator[Finding]:
    """What the front matter says, against the table of kinds."""
    about, own = template.about, _files(template)[0]
    at_once = [kind.code for kind in KINDS.values() if kind.letter == about.kind and kind.urgent]
    if about.urgent == bool(at_once):
        return
    says = [number for number, line in enumerate(templates.texts[own].split("\n"), 1) if line.startswith("urgent:")]
    message = (
        "none of the news that opens it leaves at once" if about.urgent else f"{', '.join(at_once)} leaves at once"
    )
    better = f"urgent: {str(bool(at_once)).lower()}; what leaves at once stands in docs/events.md"
    yield Finding(says[0] if says else 1, "urgent", message, better, file=own)


def _source(templates: Templates, template: Template, by: Plain) -> Iterator[Finding]:
    """Single words, in every branch of the file and of what its language's letters share."""
    for name in _files(template):
        lines = templates.texts.get(name, "").split("\n")
        exempt = False
        for number, line in enumerate(lines, 1):
            exempt = line.startswith("lix-exempt:") or (exempt and bool(line.strip()))
            if not exempt and not line.startswith(("{#", "#")):
                for finding in lint_words(_JINJA.sub(" ", line), by):
                    yield replace(finding, line=number, file=name, about="")


def _letters(templates: Templates, template: Template, by: Plain) -> Iterator[Finding]:
    own = _files(template)[0]
    for content in readings(template.about.kind, template.about.language):
        try:
            rendered = render(content, templates)
        except GaveUp as error:
            yield Finding(1, "pages", str(error), "shorter", file=own)
            continue
        for finding in lint_letter(rendered, content, by):
            file, line, words = where(templates, template, finding.about)
            about = "" if finding.rule in WORD_RULES else words
            yield replace(finding, file=file, line=line, about=about)


def _files(template: Template) -> tuple[str, str]:
    return f"{template.about.kind}.{template.about.language}.md", f"parts.{template.about.language}.md"


def where(templates: Templates, template: Template, text: str) -> tuple[str, int, str]:
    """The file and the line that a text of a finished letter was written by: the line with the longest words of its
    own that stand in the text, and these words. The first line of the letter's own file where there is none."""
    own, _ = _files(template)
    best = (0, own, _body(templates.texts[own]), "")
    for name in _files(template):
        for number, line in enumerate(templates.texts.get(name, "").split("\n"), 1):
            bare = _JINJA.sub("\0", line).replace("*", "")
            fragments = [part.strip() for part in re.split(r"\0|^- |(?<=[.!?:]) ", bare) if part.strip()]
            found = (
                (len(both), both) for part in fragments if (both := min(part, text, key=len)) in part and both in text
            )
            longest, part = max(found, default=(0, ""))
            if longest >= _FRAGMENT and longest > best[0]:
                best = (longest, name, number, part)
    return best[1:]


def _body(text: str) -> int:
    """The first line after the front matter."""
    return text[: text.index("\n---\n") + 5].count("\n") + 1 if "\n---\n" in text else 1
