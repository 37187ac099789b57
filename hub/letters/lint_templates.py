"""All templates, written with made-up content from the shortest to the longest, and what is wrong with them: each
finding with the file and the line to mend."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from hub.errors import GaveUp
from hub.letters import plain, samples
from hub.letters.content import LetterContent, LetterKind
from hub.letters.lint import Finding, lint_letter, lint_words
from hub.letters.plain import Plain
from hub.letters.render import render
from hub.letters.templates import Template, Templates

_JINJA = re.compile(r"\{[%{#].*?[%}#]\}")
_FRAGMENT = 8
"""So many letters of a line must be found again, for the line to be the one a finding is about."""


def lint_templates(templates: Templates, only: str | None = None) -> list[Finding]:
    """What is wrong, worst first within each file; of one file alone where `only` names it. One finding per line and
    rule."""
    found: dict[tuple[str, int, str], Finding] = {}
    for template in templates:
        if only is not None and only not in _files(template):
            continue
        by = measure(templates, template.about.language)
        for finding in (*_source(templates, template, by), *_letters(templates, template, by)):
            place = (finding.file, finding.line, finding.rule)
            if (only is None or finding.file == only) and (place not in found or finding.fails > found[place].fails):
                found[place] = finding
    return sorted(found.values(), key=lambda one: (one.file, one.line, one.rule))


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


def _source(templates: Templates, template: Template, by: Plain) -> Iterator[Finding]:
    """Single words, in every branch of the file and of what its language's letters share."""
    for name in _files(template):
        lines = templates.texts.get(name, "").split("\n")
        exempt = False
        for number, line in enumerate(lines, 1):
            exempt = line.startswith("lix-exempt:") or (exempt and bool(line.strip()))
            if not exempt and not line.startswith(("{#", "#")):
                for finding in lint_words(_JINJA.sub(" ", line), by):
                    yield replace(finding, line=number, file=name)


def _letters(templates: Templates, template: Template, by: Plain) -> Iterator[Finding]:
    own = _files(template)[0]
    for content in readings(template.about.kind, template.about.language):
        try:
            rendered = render(content, templates)
        except GaveUp as error:
            yield Finding(1, "pages", str(error), "shorter", file=own)
            continue
        for finding in lint_letter(rendered, content, by):
            file, line = where(templates, template, finding.about)
            yield replace(finding, file=file, line=line)


def _files(template: Template) -> tuple[str, str]:
    return f"{template.about.kind}.{template.about.language}.md", f"parts.{template.about.language}.md"


def where(templates: Templates, template: Template, text: str) -> tuple[str, int]:
    """The file and the line that a text of a finished letter was written by: the line with the longest words of its
    own that stand in the text. The first line of the letter's own file where there is none."""
    own, _ = _files(template)
    best = (0, own, _body(templates.texts[own]))
    for name in _files(template):
        for number, line in enumerate(templates.texts.get(name, "").split("\n"), 1):
            bare = _JINJA.sub("\0", line).replace("*", "")
            fragments = [part.strip() for part in re.split(r"\0|^- ", bare) if part.strip()]
            longest = max((min(len(part), len(text)) for part in fragments if part in text or text in part), default=0)
            if longest >= _FRAGMENT and longest > best[0]:
                best = (longest, name, number)
    return best[1], best[2]


def _body(text: str) -> int:
    """The first line after the front matter."""
    return text[: text.index("\n---\n") + 5].count("\n") + 1 if "\n---\n" in text else 1
