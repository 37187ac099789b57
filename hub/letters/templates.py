"""The letters as files: Markdown with Jinja2 and a front matter, one file per kind and language, read once and checked.

A municipality may keep its own folder: a file there takes the place of the product's file with the same name, and what
has been published (hub.letters.versions) the place of both. What a template sees is in hub.letters.view. A language can
be written when there is a file with its words (hub.letters.words); a letter in another one falls back to Danish, and
says so in the language that was asked for.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import jinja2
import yaml
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from hub.errors import SettingsError
from hub.letters import words
from hub.letters.content import LetterContent, LetterKind, field_types
from hub.letters.tree import SLOT_CLOSE, SLOT_OPEN
from hub.letters.view import view
from hub.letters.words import Words, product_folder
from hub.settings import explain

FALL_BACK = "da"
NOT_YET = "not-yet.toml"
"""By language: that there is no letter in it yet."""
_NAME = re.compile(
    rf"(?:{'|'.join(LetterKind)}|parts)\.[a-z]{{2}}\.md|(?:words|plain)\.[a-z]{{2}}\.toml|{re.escape(NOT_YET)}"
)


class Actions(BaseModel):
    """Titles of entries in the recipient's calendar, neutral outside."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    answer: str = Field(min_length=1, max_length=256)
    date: str = Field(min_length=1, max_length=256)


class FrontMatter(BaseModel):
    """What a template says about itself. `subject`, `file_name` and `action` are neutral outside: they name no
    disability, child, kind of case or unit. `fields` are those of LetterContent that must be filled for this kind, and
    what the text takes each for (hub.letters.content.field_types). `urgent`: some of the news that opens it leaves at
    once; the check holds it against the table of kinds, which decides. `attachments`: none yet."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: LetterKind
    language: str = Field(pattern=r"^[a-z]{2}$")
    subject: str = Field(min_length=1, max_length=256)
    file_name: str = Field(pattern=r"^[a-z0-9-]+\.pdf$")
    urgent: bool = False
    fields: dict[str, str] = {}
    action: Actions
    attachments: tuple[str, ...] = ()

    @field_validator("attachments")
    @classmethod
    def _none_yet(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        if given:
            raise ValueError("a letter carries no other file; link to a page instead: [words](https://…)")
        return given


@dataclass(frozen=True, slots=True)
class Template:
    """One kind of letter in one language. `version` is a hash of everything that decides how it reads and looks."""

    about: FrontMatter
    version: str
    body: jinja2.Template
    words: Words

    def write(self, content: LetterContent, limit: int | None = None) -> tuple[str, list[str]]:
        """The letter as Markdown with slots, and the values of the slots. At most `limit` rows in each list of dates
        or news, the rest counted. Raises ValueError where a field that this kind needs is empty, SettingsError where
        the template goes wrong."""
        for name in self.about.fields:
            if not getattr(content, name):
                raise ValueError(f"{name}: a letter of kind {self.about.kind} needs it")
        values: list[str] = []
        try:
            return self.body.render(view(content, self.words, values, limit)), values
        except jinja2.TemplateError as error:
            raise SettingsError(f"the template {self.body.name} goes wrong: {error}") from error


@lru_cache(maxsize=2)
def languages(folder: Path | None) -> Mapping[str, str]:
    """The languages that letters can be written in, by code, each as it calls itself; the product's and the
    municipality's own, of `folder`. Read once. Raises SettingsError."""
    templates = Templates(folder)
    found = {one: templates.find(LetterKind.INTRODUCTION, one).words for one in templates.languages}
    return {one: its.name or one for one, its in found.items()}


class Templates:
    """All templates, read and checked once. Raises SettingsError with file, key and remedy."""

    def __init__(self, folder: Path | None = None, published: Mapping[str, str] | None = None) -> None:
        """`folder` is the municipality's own; None uses the product's templates alone. `published` are texts by file
        name, which win over both."""
        files = _files(product_folder())
        if folder is not None:
            if not folder.is_dir():
                raise SettingsError(f"letters.folder: {folder} is not a folder; make it or remove the line")
            files |= _files(folder)
        texts = {name: _text(path) for name, path in files.items()}
        for name, text in (published or {}).items():
            check_name(Path(name))
            files[name], texts[name] = Path(name), text
        self.files: Mapping[str, Path] = files
        self.texts: Mapping[str, str] = texts
        """The text of each file that is used, by its name."""
        self._found: dict[tuple[LetterKind, str], Template] = {}
        for name, text in texts.items():
            if name.startswith("words."):
                language = name.split(".")[1]
                self._read(language, files, words.read(files[name], text))
        self.languages = tuple(
            sorted({language for _, language in self._found}, key=lambda one: (one != FALL_BACK, one))
        )
        self._not_yet = _not_yet(files[NOT_YET], texts[NOT_YET])
        missing = [kind for kind in LetterKind if (kind, FALL_BACK) not in self._found]
        if missing:
            raise SettingsError(f"no template {missing[0]}.{FALL_BACK}.md; add it to {folder or product_folder()}")
        alone = [name for name in texts if name.endswith(".md") and f"words.{name.split('.')[1]}.toml" not in texts]
        if alone:
            raise SettingsError(f"{files[alone[0]]}: there is no words.{alone[0].split('.')[1]}.toml; add it beside it")

    def _read(self, language: str, files: Mapping[str, Path], its_words: Words) -> None:
        """All there is in one language."""
        bodies: dict[str, str] = {}
        abouts: dict[str, FrontMatter] = {}
        for name, text in self.texts.items():
            if name.endswith(f".{language}.md"):
                bodies[name], about = _parted(files[name], text)
                if about is not None:
                    abouts[name] = about
        environment = _environment(bodies, its_words)
        shared = "".join(bodies[name] for name in bodies if name not in abouts) + its_words.model_dump_json()
        layout = (Path(__file__).parent / "layout.typ").read_text(encoding="utf-8")
        for name, about in abouts.items():
            version = hashlib.sha256("\0".join([about.model_dump_json(), bodies[name], shared, layout]).encode())
            try:
                body = environment.get_template(name)
            except jinja2.TemplateSyntaxError as error:
                raise SettingsError(f"{files[name]}: line {error.lineno} after the front matter: {error}") from error
            self._found[about.kind, language] = Template(about, version.hexdigest()[:16], body, its_words)

    def __iter__(self) -> Iterator[Template]:
        return iter(self._found.values())

    def find(self, kind: LetterKind, language: str) -> Template:
        """The template of a kind in a language; the Danish one where there is none in that language."""
        return self._found.get((kind, language)) or self._found[kind, FALL_BACK]

    def not_yet(self, language: str) -> tuple[str, str]:
        """A language and a sentence in it, which say that the letter comes in Danish: English where we know no words
        of the language asked for."""
        return (language, self._not_yet[language]) if language in self._not_yet else ("en", self._not_yet["en"])


def _files(folder: Path) -> dict[str, Path]:
    found = {path.name: path for path in sorted(folder.iterdir()) if path.suffix in (".md", ".toml")}
    for path in found.values():
        check_name(path)
    return found


def check_name(path: Path) -> None:
    """Raises SettingsError where no text of a letter is called so."""
    if not _NAME.fullmatch(path.name):
        kinds = ", ".join(LetterKind)
        raise SettingsError(
            f"{path}: a letter's text is called like overdue.da.md (its kind, one of {kinds}; then its language), "
            f"parts.da.md, words.da.toml or plain.da.toml; give it such a name, or keep it in another folder"
        )


def text_at(path: Path) -> str:
    """What stands in a file. Raises SettingsError where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: is not UTF-8; save it as UTF-8") from error
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from error


def _text(path: Path) -> str:
    text = text_at(path)
    if SLOT_OPEN in text or SLOT_CLOSE in text:
        raise SettingsError(f"{path}: holds U+E000 or U+E001, which the renderer uses; remove the character")
    return text


def _not_yet(path: Path, text: str) -> dict[str, str]:
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: is not TOML: {error}") from error
    if not all(isinstance(sentence, str) for sentence in found.values()) or "en" not in found:
        raise SettingsError(f"{path}: give each language one sentence, and English one")
    return found


def _parted(path: Path, text: str) -> tuple[str, FrontMatter | None]:
    """The body, and the front matter where it is a letter and no shared part."""
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
    types = field_types()
    for name, wanted in about.fields.items():
        if name not in types:
            raise SettingsError(f"{path}: fields: a letter has no {name}; mend the spelling")
        if types[name] != wanted:
            raise SettingsError(
                f"{path}: fields: {name} is a {types[name]}, not a {wanted}; mend what the text does with it"
            )
    return body, about


def _environment(bodies: Mapping[str, str], its_words: Words) -> jinja2.Environment:
    # autoescape stays off: a value is a slot until the tree is built, so there is nothing in it to escape.
    environment = ImmutableSandboxedEnvironment(
        loader=jinja2.DictLoader(bodies),
        undefined=jinja2.StrictUndefined,
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["date"] = its_words.long_date
    environment.filters["weekday"] = its_words.weekday
    # The first letter of a sentence; a name is a slot here, and stays as it is written.
    environment.filters["start"] = lambda words: words[:1].upper() + words[1:]
    return environment
