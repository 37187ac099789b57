"""Is a letter plain, does it use full names, does it say nothing on the outside? Rules for running text and for a whole
letter; hub.letters.lint_templates runs them over the templates.

The limits are this project's policy (no Danish authority publishes one): LIX at most 35, sentences at most 20 words, 14
on average, paragraphs at most 70; over LIX 40, 25 or 110 words the letter fails. What a language is measured by stands
in its `plain.<language>.toml`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from hub.letters.content import LATE, LetterContent, LetterKind
from hub.letters.plain import Plain, product_plain, seen_from_outside
from hub.letters.readability import LONG_WORD, prose, readability, sentences, words
from hub.letters.render import Rendered, most_pages
from hub.letters.view import clean, coming_dates

LIX_WANTED, LIX_LIMIT = 35, 40
SENTENCE_WANTED, SENTENCE_LIMIT = 20, 25
PARAGRAPH_WANTED, PARAGRAPH_LIMIT = 70, 110
MEAN_WANTED = 14
PASSIVE_WANTED = 0.10
WORD_RULES = ("full-names", "law", "officialese")
FIRST_PARAGRAPHS = 2
"""How many paragraphs the first lines are, that name who writes, the coordinator and the next date."""
FIRST_STEP_WITHIN = 4
"""And by which paragraph the reader knows what to do."""

_SHORT_NAMES = re.compile(r"\b(SOF|BUF|SUF|SEL)\b|\b(servicelov\w*)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something to mend. `line` counts from 1 in the text that was read; `better` says what to write instead, where
    that is known. `fails`: the letter may not be published so; otherwise it is a wish. `about` is the text it was found
    in; it may hold a name, so it is not for logs."""

    line: int
    rule: str
    message: str
    better: str = ""
    fails: bool = True
    about: str = ""
    file: str = ""


def lint_words(text: str, by: Plain) -> Iterator[Finding]:
    """What is wrong with single words, wherever they stand."""

    def found(at: int, rule: str, message: str, better: str) -> Finding:
        begin, end = text.rfind("\n", 0, at) + 1, text.find("\n", at)
        return Finding(_line(text, at), rule, message, better, about=text[begin : end if end >= 0 else None])

    for short in _SHORT_NAMES.finditer(text):
        better = "barnets lov, where a law must be named" if short[2] else "the full name of the administration"
        yield found(short.start(), "full-names", f"{short[0]} says nothing to a family", better)
    for mark in re.finditer("§", text):
        yield found(mark.start(), "law", "a section of a law explains nothing", "say what it means")
    for word in by.is_officialese.finditer(text):
        yield found(word.start(), "officialese", f"“{word[0]}” is officialese", by.better(word))


def lint(text: str, by: Plain | None = None) -> list[Finding]:
    """What is wrong with running text, in Danish where no language is given."""
    by = by or product_plain("da")
    findings = list(lint_words(text, by))
    passive: list[Finding] = []
    total = 0
    for offset, sentence in sentences(text, by):
        total += 1
        count = len(words(sentence))
        if by.is_passive.search(sentence):
            better = "write who does it: vi sender, not: der sendes"
            passive.append(Finding(_line(text, offset), "passive", "does not say who does it", better, False, sentence))
        if count > SENTENCE_WANTED:
            message = f"the sentence has {count} words; {SENTENCE_WANTED} are enough"
            better, fails = _two_of(sentence), count > SENTENCE_LIMIT
            findings.append(Finding(_line(text, offset), "sentence", message, better, fails, sentence))
    if total and len(passive) / total > PASSIVE_WANTED:
        findings += passive
    for paragraph in re.finditer(r"(?:(?!\n[ \t]*\n).)+", text, re.DOTALL):
        if (count := len(words(paragraph[0]))) > PARAGRAPH_WANTED:
            message = f"the paragraph has {count} words; {PARAGRAPH_WANTED} are enough"
            better, fails = "make two of it, or a list", count > PARAGRAPH_LIMIT
            findings.append(Finding(_line(text, paragraph.start()), "paragraph", message, better, fails, paragraph[0]))
    for gap in re.finditer(r"\w +[.,:;!?](?!\w)|\*\*|\(\)", text):
        message = "a word is missing before the mark, or a mark is left over"
        findings.append(
            Finding(_line(text, gap.start()), "gap", message, "{% if … %} around what asks for the field", about=gap[0])
        )
    measured = readability(text, by)
    if by.lix and measured.lix > LIX_WANTED:
        message = f"LIX is {measured.lix:.1f}; at most {LIX_WANTED} is wanted"
        better = f"shorter sentences and words; instead of {', '.join(_long(text))}"
        findings.append(Finding(1, "lix", message, better, measured.lix > LIX_LIMIT))
    if measured.mean > MEAN_WANTED:
        message = f"{measured.mean:.1f} words per sentence; at most {MEAN_WANTED} are wanted"
        findings.append(Finding(1, "mean", message, "shorter sentences", fails=False))
    return sorted(findings, key=lambda finding: finding.line)


def lint_outside(text: str, private: Iterable[str] = ()) -> list[Finding]:
    """What may not stand where others can see it: in a title, a file name, a notification, a calendar. `private` are
    the words of this letter that name a child, a kind of case, a unit or an adviser."""
    shown = re.sub(r"[-_.]", " ", text)
    said = [f"“{match[0]}” is seen from outside and tells what the letter is about" for match in _outside(shown)]
    # A private word is not repeated: a finding may be logged, and the word may be a name.
    said += ["it names somebody or something of the letter" for word in private if word and _stands_in(word, shown)]
    return [Finding(1, "outside", one, "neutral words, such as “Nyt til dig fra kommunen”", about=text) for one in said]


def _outside(text: str) -> Iterator[re.Match[str]]:
    return seen_from_outside().finditer(text)


def _stands_in(word: str, text: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text, re.IGNORECASE) is not None


def _two_of(sentence: str) -> str:
    """Where a long sentence may end sooner: at the comma nearest its middle."""
    commas = [match.start() for match in re.finditer(",(?= )", sentence)]
    if not commas:
        return "make two sentences of it"
    first = sentence[: min(commas, key=lambda at: abs(at - len(sentence) / 2))]
    return f"make two sentences of it, the first up to “… {' '.join(first.split()[-3:])}”"


def _long(text: str) -> list[str]:
    """The long words that there are most of."""
    found = Counter(word.lower() for word in words(text) if sum(map(str.isalpha, word)) > LONG_WORD)
    return [word for word, _ in found.most_common(3)]


def lint_letter(rendered: Rendered, content: LetterContent, by: Plain | None = None) -> list[Finding]:
    """All rules on a finished letter. `line` counts in `rendered.text`; `by` is the language's where it is not the
    product's own."""
    by = by or product_plain(rendered.language)
    text = prose(rendered.blocks)
    findings = [
        Finding(_line_in(rendered.text, text, one.line), one.rule, one.message, one.better, one.fails, one.about)
        for one in lint(text, by)
    ]
    paragraphs = text.split("\n\n")
    findings += _first_lines(rendered, content, paragraphs, by)
    if not by.is_you.search(text):
        findings.append(Finding(1, "you", "the letter does not speak to its reader", f"say {by.you[0]}"))
    most = most_pages(content)
    if rendered.pages > most:
        findings.append(Finding(1, "pages", f"the letter has {rendered.pages} pages", f"at most {most}"))
    outside = [rendered.subject, rendered.file_name, content.municipality.name]
    for part in (*outside, *(action.label for action in rendered.actions)):
        findings += lint_outside(part, _private(content))
    return findings


def _first_lines(rendered: Rendered, content: LetterContent, paragraphs: list[str], by: Plain) -> Iterator[Finding]:
    first = "\n".join(paragraphs[:FIRST_PARAGRAPHS])
    if clean(content.municipality.name) not in first:
        better = "{{ municipality.name }} in the first two paragraphs"
        yield Finding(1, "sender", "the first lines do not say who writes", better)
    if content.coordinator and clean(content.coordinator.name) not in first:
        better = "{{ parts.yours() }} in the first two paragraphs"
        yield Finding(1, "coordinator", "the first lines do not name the coordinator", better)
    dates = [content.answer_by] if content.kind is LetterKind.INTRODUCTION else coming_dates(content)[:1]
    if any(day and rendered.words.long_date(day) not in first for day in dates):
        better = "{{ parts.next_date() }} in the first two paragraphs"
        yield Finding(1, "next-date", "the first lines do not say the next date", better)
    late = [case.kind for child in content.children for case in child.cases if set(LATE).intersection(case.news)]
    if content.kind is LetterKind.OVERDUE and late and not any(kind and clean(kind) in first for kind in late):
        better = "{{ late[0].case.kind }} in the first two paragraphs"
        yield Finding(1, "late-case", "the first lines do not say which answer is late", better)
    if not by.is_first_step.search("\n".join(paragraphs[:FIRST_STEP_WITHIN])):
        better = f"a sentence that begins with {by.first_steps[0]} or {by.first_steps[-1]}"
        yield Finding(1, "first-step", "the first lines do not say what the reader is to do", better)


def _line(text: str, offset: int) -> int:
    return text.count("\n", 0, offset) + 1


def _line_in(text: str, part: str, line: int) -> int:
    """Where a line of the prose stands in the whole text."""
    wanted = part.split("\n")[line - 1][:40]
    for number, candidate in enumerate(text.split("\n"), 1):
        if wanted and wanted in candidate:
            return number
    return 1


def _private(content: LetterContent) -> Iterator[str]:
    yield content.recipient_name or ""
    for label in content.labels():
        yield label.first_name or ""
    for child in content.children:
        for case in child.cases:
            yield from (case.administration, case.kind, case.adviser or "")
