"""What a language's letters are measured by: one file per language, `plain.<language>.toml` beside the templates."""

from __future__ import annotations

import re
from functools import cache, cached_property
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict

from hub.errors import SettingsError
from hub.letters.words import product_folder, read_as


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"is no regular expression: {error}") from error
    return text


Pattern = Annotated[str, AfterValidator(_pattern)]


def _any(patterns: tuple[str, ...], flags: re.RegexFlag = re.IGNORECASE) -> re.Pattern[str]:
    """Any of them as whole words; nothing where there are none."""
    return re.compile(rf"(?<!\w)(?:{'|'.join(patterns)})(?!\w)" if patterns else r"(?!)", flags)


class Plain(BaseModel):
    """The comments in the product's Danish file say what each is for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    lix: bool
    abbreviations: frozenset[str] = frozenset()
    may_end: frozenset[str] = frozenset()
    you: tuple[str, ...]
    first_steps: tuple[str, ...]
    passive: tuple[Pattern, ...] = ()
    outside: tuple[Pattern, ...]
    officialese: dict[Pattern, str] = {}

    @cached_property
    def is_passive(self) -> re.Pattern[str]:
        return _any(self.passive)

    @cached_property
    def is_you(self) -> re.Pattern[str]:
        # As they are written: Danish `I` is the reader, `i` is where something lies. At the start of a sentence all
        # begin with a capital.
        return _any(
            (*map(re.escape, self.you), *(re.escape(word[:1].upper() + word[1:]) for word in self.you)), re.NOFLAG
        )

    @cached_property
    def is_first_step(self) -> re.Pattern[str]:
        return re.compile(rf"(?:^|(?<=[.!?:]) )\s*(?:{'|'.join(map(re.escape, self.first_steps))})(?!\w)", re.MULTILINE)

    @cached_property
    def is_officialese(self) -> re.Pattern[str]:
        """The group's name says which: w and its number."""
        named = [rf"(?P<w{number}>(?<!\w)(?:{word})(?!\w))" for number, word in enumerate(self.officialese)]
        return re.compile("|".join(named) or r"(?!)", re.IGNORECASE)

    def better(self, found: re.Match[str]) -> str:
        """What to write instead of a word that `is_officialese` found."""
        return list(self.officialese.values())[int(str(found.lastgroup)[1:])]


def read(path: Path, text: str | None = None) -> Plain:
    """What stands in a file, or in `text` as if it stood there. Raises SettingsError with file, key and remedy."""
    return read_as(Plain, path, text)


@cache
def product_plain(language: str) -> Plain:
    """What the product measures a language by. Raises SettingsError where there is nothing."""
    path = product_folder() / f"plain.{language}.toml"
    if not path.exists():
        raise SettingsError(f"there is no {path.name} among the product's templates")
    return read(path)


@cache
def seen_from_outside() -> re.Pattern[str]:
    """The words of every language that may not stand where others can see them: a title in one language may hold a
    word of another."""
    files = sorted(product_folder().glob("plain.*.toml"))
    return _any(tuple(word for file in files for word in product_plain(file.name.split(".")[1]).outside))
