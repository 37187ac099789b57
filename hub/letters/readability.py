"""How easy a text is to read: sentences, words, LIX.

LIX = words per sentence + 100 x long words / words (Björnsson 1968, Danish 1971): a long word has more than six
letters; full stop, question and exclamation mark end a sentence, colon and semicolon where they part two; the dot of
an abbreviation or a date does not. Numbers and addresses are not words; headings, tables and fragments are left out.
LIX only points: it is measured best on 200 words or more. Made by hand: the general library (textstat 0.7.13) takes the
dots of "d.", "vedr." and "stk." for ends of sentences, and gives 46.0 where a count by hand gives 63.6.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hub.letters.plain import Plain, product_plain
from hub.letters.tree import Block, plain

_WORD = re.compile(r"[^\W\d_]+(?:[-’'][^\W\d_]+)*")
_ADDRESS = re.compile(r"(?:https?://|[^\s@]+@|\b[\w-]+(?:\.[\w-]+)*\.\w{2,}/)(?:\S*[^\s.,;:!?)])?", re.IGNORECASE)
_END = re.compile(r"[.!?]+[»«”\")]*(?=\s|$)|[:;](?=\s+[»«“\"]?[A-ZÆØÅ])")


LONG_WORD = 6
"""Letters; a word with more is long."""


@dataclass(frozen=True, slots=True)
class Readability:
    words: int
    sentences: int
    long_words: int
    longest: int
    """Words in the longest sentence."""

    @property
    def mean(self) -> float:
        """Words per sentence."""
        return self.words / self.sentences if self.sentences else 0.0

    @property
    def lix(self) -> float:
        return self.mean + 100 * self.long_words / self.words if self.words else 0.0


def sentences(text: str, by: Plain | None = None) -> Iterator[tuple[int, str]]:
    """Each sentence with where it begins in the text. An empty line ends a sentence too. `by` is the language, Danish
    where none is given."""
    by = by or product_plain("da")
    for paragraph in re.finditer(r"(?:(?!\n[ \t]*\n).)+", text, re.DOTALL):
        begin = paragraph.start()
        for end in _END.finditer(text, paragraph.start(), paragraph.end()):
            if _ends_sentence(text[begin : end.start()], end[0], text[end.end() : end.end() + 9], by):
                yield _trimmed(text, begin, end.end())
                begin = end.end()
        if _WORD.search(text, begin, paragraph.end()):
            yield _trimmed(text, begin, paragraph.end())


def _trimmed(text: str, begin: int, end: int) -> tuple[int, str]:
    sentence = text[begin:end].lstrip()
    return end - len(sentence), sentence


def _ends_sentence(before: str, mark: str, after: str, by: Plain) -> bool:
    if not mark.startswith(".") or mark.startswith(".."):
        return True
    token = re.search(r"[^\s(«“\"]*$", before)
    last = token[0].lower() if token else ""
    following = after.lstrip()
    goes_on = bool(following) and not (following[0].isupper() or following[0] in '«“"(-–')
    if last.rstrip(".") in by.may_end:
        return not goes_on
    if last in by.abbreviations or (len(last) == 1 and last.isalpha() and last != "i"):
        return not following
    return not (last.isdigit() and goes_on)


def words(text: str) -> list[str]:
    """The words of a text: no numbers, no web or mail addresses. A hyphened word is one."""
    return _WORD.findall(_ADDRESS.sub(" ", text))


def readability(text: str, by: Plain | None = None) -> Readability:
    """LIX and its parts, of running text."""
    counts = [count for _, sentence in sentences(_ADDRESS.sub("adresse", text), by) if (count := len(words(sentence)))]
    found = words(text)
    long_words = sum(sum(map(str.isalpha, word)) > LONG_WORD for word in found)
    return Readability(len(found), len(counts), long_words, max(counts, default=0))


def prose(blocks: Sequence[Block]) -> str:
    """The running text of a letter: paragraphs and list items that are sentences, without headings, tables, the
    coordinator's box, greetings, and what is exempt from measuring. Paragraphs are parted by an empty line."""
    return "\n\n".join(_prose(blocks))


def _prose(blocks: Sequence[Block]) -> Iterator[str]:
    for block in blocks:
        if "exempt" in block or "lang" in block:
            continue
        if block["t"] == "p" and (found := plain(block["c"]).strip())[-1:] in (".", "!", "?", ":"):
            yield found
        elif block["t"] in ("ul", "ol"):
            for item in block["items"]:
                yield from _prose(item)
