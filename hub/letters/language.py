"""Plain language: is a letter easy to read, does it use full names, does it say nothing on the outside?

LIX = words per sentence + 100 x long words / words (Björnsson 1968, Danish 1971): a long word has more than six
letters; full stop, question and exclamation mark end a sentence, colon and semicolon where they part two; the dot of
an abbreviation or a date does not. Numbers and addresses are not words; headings, tables and fragments are left out.
LIX only points: it is measured best on 200 words or more. The limits are this project's policy (no Danish authority
publishes one): LIX at most 35, sentences at most 20 words, 14 on average; over 40 or 25 the letter fails.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from hub.letters.content import LetterContent, LetterKind
from hub.letters.render import MOST_PAGES, Rendered
from hub.letters.tree import Block, plain
from hub.letters.view import coming_dates

LIX_WANTED, LIX_LIMIT = 35, 40
SENTENCE_WANTED, SENTENCE_LIMIT = 20, 25
MEAN_WANTED = 14
PASSIVE_WANTED = 0.10

_WORD = re.compile(r"[^\W\d_]+(?:[-’'][^\W\d_]+)*")
_ADDRESS = re.compile(r"(?:https?://|[^\s@]+@|\b[\w-]+(?:\.[\w-]+)*\.\w{2,}/)(?:\S*[^\s.,;:!?)])?", re.IGNORECASE)
_END = re.compile(r"[.!?]+[»«”\")]*(?=\s|$)|[:;](?=\s+[»«“\"]?[A-ZÆØÅ])")
_ABBREVIATIONS = frozenset(
    {
        "a.hensyn", "adr", "afd", "afs", "alm", "ang", "bekg", "bilag", "bl", "bl.a", "ca", "d", "d.d",
        "d.v.s", "dr", "dvs", "e.g", "e.l", "eks", "ekskl", "el", "evt", "f", "f.eks", "ff", "fhv", "fmd",
        "fx", "gl", "henh", "hhv", "hr", "i.e", "i.h.t", "iht", "incl", "inkl", "jf", "jfr", "jr", "kap",
        "kl", "kr", "lb", "lov", "maks", "mdr", "mht", "mia", "min", "mio", "mr", "mrs", "ms", "no", "nr",
        "obl", "opr", "oprdl", "p.g.a", "pct", "pga", "pkt", "pr", "prof", "red", "s", "sek", "skt", "sml",
        "st", "stk", "str", "t.o.m", "tlf", "udg", "vedr", "vejl", "vha", "vol", "årg"
    }
)  # fmt: skip
_MAY_END = frozenset({"osv", "mv", "m.v", "m.m", "mm", "o.l", "ol", "etc", "o.a"})
"""Abbreviations that do end a sentence where a capital letter follows."""

_OFFICIALESE: tuple[tuple[str, str], ...] = (
    (r"fremsend\w*", "send"),
    (r"tilsend\w*", "send"),
    (r"fremsætte\w*", "sige, bede om"),
    (r"såfremt", "hvis"),
    (r"i (?:det )?tilfælde af,? at", "hvis"),
    (r"vedr(?:\.|ørende)", "om"),
    (r"angående", "om"),
    (r"i henhold til|jf\.|jævnfør|iht\.", "efter"),
    (r"under henvisning til", "du har skrevet om"),
    (r"hermed|herved", "(slet ordet)"),
    (r"hoslagt|vedlagt er", "sammen med brevet får du"),
    (r"nærværende|pågældende|ovennævnte|ovenstående|nedenstående", "denne, den"),
    (r"merudgift\w*", "ekstra udgifter"),
    (r"dækningsberettiget|berettiget", "har ret til"),
    (r"meddel\w*", "sige, skrive, fortælle"),
    (r"anmod\w*", "bede om"),
    (r"påkrævet|fornøden\w*", "nødvendig"),
    (r"foranledning\w*|foranledige\w*", "grund, sørge for"),
    (r"iværksæt\w*", "begynde, sætte i gang"),
    (r"foretag\w*", "gøre"),
    (r"endvidere|ydermere|tillige", "også"),
    (r"samt", "og"),
    (r"således", "sådan"),
    (r"idet", "fordi"),
    (r"imidlertid", "men"),
    (r"eventuel\w*|evt\.", "måske"),
    (r"forinden", "før"),
    (r"efterfølgende", "bagefter, så"),
    (r"i forbindelse med", "ved, om, når"),
    (r"med henblik på", "for at"),
    (r"på baggrund af", "på grund af, efter"),
    (r"vurderes|skønnes", "vi mener"),
    (r"bevilg\w*", "give, få"),
    (r"afslå\w*|imødekomme\w*", "sige nej, sige ja"),
    (r"sagsbehandlingsfrist\w*", "den dato, du skal have svar"),
    (r"partshør\w*", "du kan sige din mening, før vi beslutter"),
    (r"aktindsigt\w*", "se papirerne i sagen"),
    (r"frist\w*", "senest den, dato"),
    (r"indsats\w*", "hjælp"),
    (r"foranstaltning\w*", "hjælp"),
    (r"ydelse\w*", "hjælp, penge"),
    (r"borgeren?", "du"),
    (r"(?<=[a-zæøå,] )(?-i:De|Deres|Dem)", "du, din, dig"),
    (r"særskilt", "for sig, i et andet brev"),
    (r"snarest muligt|hurtigst muligt", "så snart vi kan (eller en dato)"),
    (r"rette henvendelse|henvendelse", "ring eller skriv"),
    (r"opmærksom på, at", "husk, at"),
    (r"forpligtet til", "skal"),
)
_OFFICIALESE_FOUND = re.compile(
    "|".join(rf"(?P<w{number}>(?<!\w)(?:{pattern})(?!\w))" for number, (pattern, _) in enumerate(_OFFICIALESE)),
    re.IGNORECASE,
)
_SHORT_NAMES = re.compile(r"\b(SOF|BUF|SUF|SEL)\b|\b(servicelov\w*)", re.IGNORECASE)
_PASSIVE = re.compile(
    r"\b(?:bliver|blev|blive|blevet)\s+(?:\w+\s+){0,2}?\w{3,}(?:et|dt|gt|st)\b"
    r"|\b(?:be|an|ind|ud|frem|til|ned|op|af|for|over|under)?(?:meddel|send|behandl|yd|bevilg|oplys|anmod|henvis|vurder|betal"
    r"|giv|foretag|skønn|afgør|træff|fastsætt|modtag|kontakt|anvend|registrer|orienter)es\b",
    re.IGNORECASE,
)
_NOT_OUTSIDE = re.compile(
    r"handicap|funktionsneds|diagnos|autis|\badhd\b|barn|børn|\bsøn|datter|special|social|sundhed|omsorg|forvaltning|skole"
    r"|\bsag(?:en|er|erne)?\b|sagsbehand|afgørelse|ansøg|hjælp|støtte|tabt|udgift|aflastning|disab|\bchild|\bson\b"
    r"|daughter|school|health|\bcare\b|administration|\bcases?\b|\bhelp|support",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something to mend. `line` counts from 1 in the text that was read; `better` says what to write instead, where
    that is known. `fails`: the letter may not be published so; otherwise it is a wish."""

    line: int
    rule: str
    message: str
    better: str = ""
    fails: bool = True


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


def sentences(text: str) -> Iterator[tuple[int, str]]:
    """Each sentence with where it begins in the text. An empty line ends a sentence too."""
    for paragraph in re.finditer(r"(?:(?!\n[ \t]*\n).)+", text, re.DOTALL):
        begin = paragraph.start()
        for end in _END.finditer(text, paragraph.start(), paragraph.end()):
            if _ends_sentence(text[begin : end.start()], end[0], text[end.end() : end.end() + 9]):
                yield _trimmed(text, begin, end.end())
                begin = end.end()
        if _WORD.search(text, begin, paragraph.end()):
            yield _trimmed(text, begin, paragraph.end())


def _trimmed(text: str, begin: int, end: int) -> tuple[int, str]:
    sentence = text[begin:end].lstrip()
    return end - len(sentence), sentence


def _ends_sentence(before: str, mark: str, after: str) -> bool:
    if not mark.startswith(".") or mark.startswith(".."):
        return True
    token = re.search(r"[^\s(«“\"]*$", before)
    last = token[0].lower() if token else ""
    following = after.lstrip()
    goes_on = bool(following) and not (following[0].isupper() or following[0] in '«“"(-–')
    if last.rstrip(".") in _MAY_END:
        return not goes_on
    if last in _ABBREVIATIONS or (len(last) == 1 and last.isalpha() and last != "i"):
        return not following
    return not (last.isdigit() and goes_on)


def words(text: str) -> list[str]:
    """The words of a text: no numbers, no web or mail addresses. A hyphened word is one."""
    return _WORD.findall(_ADDRESS.sub(" ", text))


def readability(text: str) -> Readability:
    """LIX and its parts, of running text."""
    counts = [count for _, sentence in sentences(_ADDRESS.sub("adresse", text)) if (count := len(words(sentence)))]
    found = words(text)
    long_words = sum(sum(map(str.isalpha, word)) > 6 for word in found)
    return Readability(len(found), len(counts), long_words, max(counts, default=0))


def prose(blocks: Sequence[Block]) -> str:
    """The running text of a letter: paragraphs and list items that are sentences, without headings, tables, the
    coordinator's box and greetings. Paragraphs are parted by an empty line."""
    return "\n\n".join(_prose(blocks))


def _prose(blocks: Sequence[Block]) -> Iterator[str]:
    for block in blocks:
        if block["t"] == "p" and (found := plain(block["c"]).strip())[-1:] in (".", "!", "?", ":"):
            yield found
        elif block["t"] in ("ul", "ol"):
            for item in block["items"]:
                yield from _prose(item)


def lint(text: str, language: str = "da") -> list[Finding]:
    """What is wrong with running text. LIX and the word list are for Danish; the rest is for every language."""
    findings = []

    def line(offset: int) -> int:
        return text.count("\n", 0, offset) + 1

    passive = total = 0
    for offset, sentence in sentences(text):
        total += 1
        count = len(words(sentence))
        passive += bool(_PASSIVE.search(sentence))
        if count > SENTENCE_WANTED:
            message = f"the sentence has {count} words; {SENTENCE_WANTED} are enough"
            findings.append(
                Finding(line(offset), "sentence", message, "make two sentences of it", fails=count > SENTENCE_LIMIT)
            )
    for short in _SHORT_NAMES.finditer(text):
        better = "barnets lov, where a law must be named" if short[2] else "the full name of the administration"
        findings.append(Finding(line(short.start()), "full-names", f"{short[0]} says nothing to a family", better))
    for mark in re.finditer("§", text):
        findings.append(Finding(line(mark.start()), "law", "a section of a law explains nothing", "say what it means"))
    if language != "da":
        return findings
    measured = readability(text)
    if measured.lix > LIX_WANTED:
        message = f"LIX is {measured.lix:.1f}; at most {LIX_WANTED} is wanted"
        findings.append(Finding(1, "lix", message, "shorter sentences and words", fails=measured.lix > LIX_LIMIT))
    if measured.mean > MEAN_WANTED:
        message = f"{measured.mean:.1f} words per sentence; at most {MEAN_WANTED} are wanted"
        findings.append(Finding(1, "mean", message, "shorter sentences", fails=False))
    if total and passive / total > PASSIVE_WANTED:
        message = f"{passive} of {total} sentences do not say who does it"
        findings.append(Finding(1, "passive", message, "write who does it: vi sender, not: der sendes", fails=False))
    for found in _OFFICIALESE_FOUND.finditer(text):
        better = _OFFICIALESE[int(str(found.lastgroup)[1:])][1]
        findings.append(Finding(line(found.start()), "officialese", f"“{found[0]}” is officialese", better))
    return sorted(findings, key=lambda finding: finding.line)


def lint_outside(text: str, private: Iterable[str] = ()) -> list[Finding]:
    """What may not stand where others can see it: in a title, a file name, a notification, a calendar. `private` are
    the words of this letter that name a child, a kind of case, a unit or an adviser."""
    found = [match[0] for match in _NOT_OUTSIDE.finditer(text)]
    found += [word for word in private if word and re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text, re.IGNORECASE)]
    # The word itself is not repeated: a finding may be logged, and the word may be a name.
    return [
        Finding(1, "outside", "a word seen from outside tells what the letter is about", "only neutral words")
        for _ in found
    ]


def lint_letter(rendered: Rendered, content: LetterContent) -> list[Finding]:
    """All rules on a finished letter. `line` counts in `rendered.text`."""
    text = prose(rendered.blocks)
    findings = []
    for finding in lint(text, rendered.language):
        findings.append(
            Finding(
                _line_in(rendered.text, text, finding.line),
                finding.rule,
                finding.message,
                finding.better,
                finding.fails,
            )
        )
    first = "\n".join(text.split("\n\n")[:2])
    if content.coordinator and content.coordinator.name not in first:
        findings.append(Finding(1, "coordinator", "the first lines do not name the coordinator", "begin with the name"))
    dates = [content.answer_by] if content.kind is LetterKind.INTRODUCTION else coming_dates(content)[:1]
    if any(day and rendered.words.long_date(day) not in first for day in dates):
        findings.append(Finding(1, "next-date", "the first lines do not say the next date", "begin with the date"))
    if rendered.pages > MOST_PAGES:
        findings.append(Finding(1, "pages", f"the letter has {rendered.pages} pages", f"at most {MOST_PAGES}"))
    outside = [rendered.subject, rendered.file_name.replace("-", " "), *(action.label for action in rendered.actions)]
    for part in outside:
        findings += lint_outside(part, _private(content))
    return findings


def _line_in(text: str, part: str, line: int) -> int:
    """Where a line of the prose stands in the whole text."""
    wanted = part.split("\n")[line - 1][:40]
    for number, candidate in enumerate(text.split("\n"), 1):
        if wanted and wanted in candidate:
            return number
    return 1


def _private(content: LetterContent) -> Iterator[str]:
    yield content.recipient_name
    for label in (*content.offers, *(child.label for child in content.children)):
        yield label.first_name or ""
    for child in content.children:
        for case in child.cases:
            yield from (case.administration, case.kind, case.adviser or "")
