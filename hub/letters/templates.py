"""The letters as files: Markdown with Jinja2 and a front matter, one file per kind and language, read once and checked.

A municipality may keep its own folder: a file there takes the place of the product's file with the same name. What a
template sees is LetterContent with every text replaced by a slot (hub.letters.tree), and some things worked out from
it (`view` below). Only the languages in `LANGUAGES` can be written; a letter in another one falls back to Danish.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import date
from enum import Enum
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jinja2
import yaml
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hub.contract import State
from hub.errors import SettingsError
from hub.letters.content import ContentCase, ContentLabel, LetterContent, LetterKind, News
from hub.letters.tree import SLOT_CLOSE, SLOT_OPEN, slot
from hub.settings import explain

LANGUAGES = ("da", "en")
FALL_BACK = "da"

_MONTHS = {
    "da": [
        "januar",
        "februar",
        "marts",
        "april",
        "maj",
        "juni",
        "juli",
        "august",
        "september",
        "oktober",
        "november",
        "december",
    ],
    "en": [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ],
}
_WEEKDAYS = {
    "da": ["mandag", "tirsdag", "onsdag", "torsdag", "fredag", "lørdag", "søndag"],
    "en": ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"],
}
_AND = {"da": "og", "en": "and"}
_BORN = {"da": "dit barn født i {}", "en": "your child born in {}"}

_ANSWERED = (State.DECIDED, State.CLOSED)


def long_date(day: date, language: str) -> str:
    """`12. maj 2027`, `12 May 2027`."""
    return f"{day.day}{'.' if language == 'da' else ''} {_MONTHS[language][day.month - 1]} {day.year}"


def weekday(day: date, language: str) -> str:
    """`onsdag`, `Wednesday`."""
    return _WEEKDAYS[language][day.weekday()]


def clean(value: str) -> str:
    """A text from a source as one line of printable characters: composed letters, no control or direction marks."""
    line = unicodedata.normalize("NFC", " ".join(value.split()))
    return line if line.isprintable() else "".join(char for char in line if char.isprintable())


class Actions(BaseModel):
    """Titles of entries in the recipient's calendar, neutral outside."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    answer: str = Field(min_length=1, max_length=256)
    date: str = Field(min_length=1, max_length=256)


class FrontMatter(BaseModel):
    """What a template says about itself. `subject`, `file_name` and `action` are neutral outside: they name no
    disability, child, kind of case or unit. `fields` are those of LetterContent that must be filled for this kind."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: LetterKind
    language: str
    subject: str = Field(min_length=1, max_length=256)
    file_name: str = Field(pattern=r"^[a-z0-9-]+\.pdf$")
    urgent: bool = False
    fields: tuple[str, ...] = ()
    action: Actions


@dataclass(frozen=True, slots=True)
class Template:
    """One kind of letter in one language. `version` is a hash of everything that decides how it reads and looks."""

    about: FrontMatter
    version: str
    body: jinja2.Template

    def write(self, content: LetterContent, limit: int | None = None) -> tuple[str, list[str]]:
        """The letter as Markdown with slots, and the values of the slots. At most `limit` rows in each list of dates
        or news, the rest counted. Raises ValueError where a field that this kind needs is empty, SettingsError where
        the template goes wrong."""
        for name in self.about.fields:
            if not getattr(content, name):
                raise ValueError(f"{name}: a letter of kind {self.about.kind} needs it")
        values: list[str] = []
        try:
            return self.body.render(view(content, self.about.language, values, limit)), values
        except jinja2.TemplateError as error:
            raise SettingsError(f"the template {self.body.name} goes wrong: {error}") from error


class Templates:
    """All templates, read and checked once. Raises SettingsError with file, key and remedy."""

    def __init__(self, folder: Path | None = None) -> None:
        """`folder` is the municipality's own; None uses the product's templates alone."""
        files = {path.name: path for path in sorted(product_folder().glob("*.md"))}
        if folder is not None:
            if not folder.is_dir():
                raise SettingsError(f"letters.folder: {folder} is not a folder; make it or remove the line")
            files |= {path.name: path for path in sorted(folder.glob("*.md"))}
        bodies: dict[str, str] = {}
        abouts: dict[str, FrontMatter] = {}
        for name, path in files.items():
            bodies[name], about = _read(path)
            if about is not None:
                abouts[name] = about
        environment = _environment(bodies)
        shared = "".join(bodies[name] for name in bodies if name not in abouts)
        layout = (Path(__file__).parent / "layout.typ").read_text(encoding="utf-8")
        self._found: dict[tuple[LetterKind, str], Template] = {}
        for name, about in abouts.items():
            version = hashlib.sha256("\0".join([about.model_dump_json(), bodies[name], shared, layout]).encode())
            try:
                body = environment.get_template(name)
            except jinja2.TemplateSyntaxError as error:
                raise SettingsError(f"{files[name]}: line {error.lineno} after the front matter: {error}") from error
            self._found[about.kind, about.language] = Template(about, version.hexdigest()[:16], body)
        missing = [kind for kind in LetterKind if (kind, FALL_BACK) not in self._found]
        if missing:
            raise SettingsError(f"no template {missing[0]}.{FALL_BACK}.md; add it to {folder or product_folder()}")

    def __iter__(self) -> Iterator[Template]:
        return iter(self._found.values())

    def find(self, kind: LetterKind, language: str) -> Template:
        """The template of a kind in a language; the Danish one where there is none in that language."""
        return self._found.get((kind, language)) or self._found[kind, FALL_BACK]


def product_folder() -> Path:
    """Where the product's own templates are: in the installed package, or beside it in a checkout."""
    package = Path(__file__).parent.parent
    packed = package / "_templates" / "letters"
    return packed if packed.is_dir() else package.parent / "templates" / "letters"


def _read(path: Path) -> tuple[str, FrontMatter | None]:
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: is not UTF-8; save it as UTF-8") from error
    if SLOT_OPEN in text or SLOT_CLOSE in text:
        raise SettingsError(f"{path}: holds U+E000 or U+E001, which the renderer uses; remove the character")
    if path.name.startswith("parts."):
        return text, None
    _, fence, rest = text.partition("---\n")
    head, closing, body = rest.partition("\n---\n")
    if not text.startswith("---\n") or not fence or not closing:
        raise SettingsError(f"{path}: must begin with a front matter between two lines of ---")
    try:
        about = FrontMatter.model_validate(yaml.safe_load(head))
    except yaml.YAMLError as error:
        raise SettingsError(f"{path}: the front matter is not YAML: {error}") from error
    except ValidationError as error:
        raise SettingsError(explain(error, path, "")) from error
    if path.name != f"{about.kind}.{about.language}.md":
        raise SettingsError(f"{path}: is {about.kind} in {about.language}; call it {about.kind}.{about.language}.md")
    if about.language not in LANGUAGES:
        raise SettingsError(f"{path}: language: must be one of {', '.join(LANGUAGES)}")
    unknown = set(about.fields) - {part.name for part in fields(LetterContent)}
    if unknown:
        raise SettingsError(f"{path}: fields: a letter has no {sorted(unknown)[0]}; mend the spelling")
    return body, about


def _environment(bodies: Mapping[str, str]) -> jinja2.Environment:
    # autoescape stays off: a value is a slot until the tree is built, so there is nothing in it to escape.
    environment = ImmutableSandboxedEnvironment(
        loader=jinja2.DictLoader(bodies),
        undefined=jinja2.StrictUndefined,
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["da"] = lambda day: long_date(day, "da")
    environment.filters["en"] = lambda day: long_date(day, "en")
    environment.filters["ugedag"] = lambda day: weekday(day, "da")
    environment.filters["weekday"] = lambda day: weekday(day, "en")
    return environment


def view(content: LetterContent, language: str, values: list[str], limit: int | None = None) -> dict[str, Any]:
    """What a template sees: the fields of LetterContent, and `offered` and `names` (the children of the offer, and
    those in the scheme, joined), `several` (more than one child in the scheme), `dates` (rows of date, what, child,
    case, oldest first; what is deadline, missed or follow_up), `undated` (rows of child, case), `next` (the first date
    to come or None), `follow_ups`, `news` (rows of codes, child, case), `more_dates` and `more_news` (how many rows
    `limit` left out). Texts are put into `values`, and a slot for each stands in their place."""

    def hide(value: Any) -> Any:
        if value is None or isinstance(value, Enum | bool | date | int):
            return value
        if isinstance(value, str):
            values.append(clean(value))
            return slot(len(values) - 1)
        if isinstance(value, ContentLabel):
            return hide(value.first_name) if value.first_name else _BORN[language].format(value.birth_year)
        if is_dataclass(value):
            return SimpleNamespace(**{part.name: hide(getattr(value, part.name)) for part in fields(value)})
        return [hide(part) for part in value]

    seen: dict[str, Any] = {part.name: hide(getattr(content, part.name)) for part in fields(content)}
    dates: list[SimpleNamespace] = []
    undated: list[SimpleNamespace] = []
    news: list[SimpleNamespace] = []
    for child, hidden_child in zip(content.children, seen["children"], strict=True):
        for case, hidden in zip(child.cases, hidden_child.cases, strict=True):
            row = {"child": hidden_child.label, "case": hidden}
            found = _dates(case, content.written)
            dates += [SimpleNamespace(date=day, what=what, **row) for day, what in found]
            if not found and case.state is not State.CLOSED:
                undated.append(SimpleNamespace(**row))
            if case.news:
                news.append(SimpleNamespace(codes=[str(code) for code in case.news], **row))
    dates.sort(key=lambda row: row.date)
    coming = [row for row in dates if row.what != "missed"]
    cases = len(dates) + len(undated)
    if limit is not None:
        dates, undated = dates[:limit], undated[: max(0, limit - len(dates))]
    seen |= {
        "offered": _joined(seen["offers"], language),
        "names": _joined([child.label for child in seen["children"]], language),
        "several": len(content.children) > 1,
        "dates": dates,
        "undated": undated,
        "next": coming[0] if coming else None,
        "follow_ups": [row for row in coming if row.what == "follow_up"],
        "news": news[:limit],
        "more_dates": cases - len(dates) - len(undated),
        "more_news": len(news) - len(news[:limit]),
    }
    return seen


def coming_dates(content: LetterContent) -> list[date]:
    """The dates from the day of the letter on that the letter names, each once, earliest first."""
    found = {
        day
        for child in content.children
        for case in child.cases
        for day, what in _dates(case, content.written)
        if what != "missed"
    }
    return sorted(found)


def _dates(case: ContentCase, written: date) -> list[tuple[date, str]]:
    """The dates of a case that the family needs: an unanswered deadline, and a follow-up that is still to come."""
    found = []
    if case.deadline and case.state not in _ANSWERED:
        missed = case.deadline < written or News.DEADLINE_MISSED in case.news
        found.append((case.deadline, "missed" if missed else "deadline"))
    if case.follow_up and case.state is not State.CLOSED and case.follow_up >= written:
        found.append((case.follow_up, "follow_up"))
    return found


def _joined(words: list[str], language: str) -> str:
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {_AND[language]} {words[-1]}"
