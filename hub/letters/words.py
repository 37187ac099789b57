"""The words of a language that the program itself puts into letters: months, "and", "page". One file per language,
`words.<language>.toml` beside the templates; which files there are is which languages can be written."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from datetime import date
from functools import cache
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hub.errors import SettingsError
from hub.settings import explain

File = TypeVar("File", bound=BaseModel)
Word = Annotated[str, Field(min_length=1)]


class ChildWords(BaseModel):
    """How a child without a known first name is named, by who reads; `{year}` is the year of birth. `again`: one who is
    growing up, where they have just been named."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    guardian: Word
    representative: Word
    young: Word
    again: Word = "den unge"


class Unnamed(BaseModel):
    """How a letter greets whose name the hub does not know, by who reads; and what stands on the envelope then."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    guardian: Word = "forælder"
    representative: Word = "dig"
    young: Word = "dig"
    envelope: Word = "Til dig"


class Words(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    months: Annotated[tuple[Word, ...], Field(min_length=12, max_length=12)]
    weekdays: Annotated[tuple[Word, ...], Field(min_length=7, max_length=7)]
    """From Monday."""
    day: Annotated[str, Field(pattern=r"\{day\}.*\{month\}.*\{year\}")]
    and_: Annotated[str, Field(alias="and", min_length=1)]
    page: tuple[Word, Word]
    """Before and between the numbers at the foot of a page."""
    phone: Word
    name: Word | None = None
    """What the language calls itself, for whoever chooses it."""
    child: ChildWords
    unnamed: Unnamed = Unnamed()
    case: Word = "en sag"
    """A case of which the list of kinds has no name. As the names of kinds, Danish where the file says nothing."""

    def long_date(self, day: date) -> str:
        """`12. maj 2027`, `12 May 2027`."""
        return self.day.format(day=day.day, month=self.months[day.month - 1], year=day.year)

    def weekday(self, day: date) -> str:
        """`onsdag`, `Wednesday`."""
        return self.weekdays[day.weekday()]

    def joined(self, words: Sequence[str]) -> str:
        """`Ida`, `Ida og Bo`, `Ida, Bo og Eva`."""
        if len(words) < 2:
            return "".join(words)
        return f"{', '.join(words[:-1])} {self.and_} {words[-1]}"


def product_folder() -> Path:
    """Where the product's own templates are: in the installed package, or beside it in a checkout."""
    package = Path(__file__).parent.parent
    packed = package / "_templates" / "letters"
    return packed if packed.is_dir() else package.parent / "templates" / "letters"


def read(path: Path, text: str | None = None) -> Words:
    """The words in a file, or in `text` as if it stood there. Raises SettingsError with file, key and remedy."""
    return read_as(Words, path, text)


def read_as(model: type[File], path: Path, text: str | None = None) -> File:
    """A language's file, checked. Raises SettingsError with file, key and remedy."""
    try:
        return model.model_validate(tomllib.loads(path.read_text(encoding="utf-8") if text is None else text))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: is not TOML in UTF-8: {error}") from error
    except ValidationError as error:
        raise SettingsError(explain(error, path, "")) from error


@cache
def product_words(language: str) -> Words:
    """The product's words of a language. Raises SettingsError where it has none."""
    path = product_folder() / f"words.{language}.toml"
    if not path.exists():
        raise SettingsError(f"there is no {path.name} among the product's templates")
    return read(path)


def long_date(day: date, language: str) -> str:
    return product_words(language).long_date(day)


def weekday(day: date, language: str) -> str:
    return product_words(language).weekday(day)
