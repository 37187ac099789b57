"""A letter before it is sent: the very bytes that would be, from made-up content or from a file. Nothing leaves, and no
database is asked."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from hub.errors import SettingsError
from hub.letters import samples
from hub.letters.content import LetterContent, LetterKind, Reader
from hub.letters.render import Rendered
from hub.letters.templates import text_at
from hub.settings import explain

FORMS = (".pdf", ".html", ".txt")
_content = TypeAdapter(LetterContent)


def content_of(kind: LetterKind, language: str, case: str, reader: Reader, *, large_print: bool) -> LetterContent:
    """Made-up content (`ordinary`, `longest`, `shortest`) for a reader, or what stands in a JSON file with the fields
    of LetterContent; what is asked for here wins over the file's. Raises SettingsError with file, field and remedy."""
    if case in samples.CASES:
        try:
            content = samples.CASES[case](kind, language)
            if reader == "young":
                content = samples.to_young(content)
            return replace(content, reader=reader, large_print=large_print)
        except ValueError as error:
            raise SettingsError(f"--lang: {error}") from error
    path = Path(case)
    if not path.exists():
        raise SettingsError(f"--case: {case} is neither a file nor one of {', '.join(samples.CASES)}")
    try:
        given = json.loads(text_at(path))
    except json.JSONDecodeError as error:
        raise SettingsError(f"{path}: is not JSON: {error}") from error
    if not isinstance(given, dict):
        raise SettingsError(f"{path}: must hold one object with the fields of a letter")
    unknown = sorted(set(given) - set(LetterContent.__dataclass_fields__))
    if unknown:
        raise SettingsError(f"{path}: {unknown[0]}: a letter has no such field; mend the spelling or delete it")
    try:
        wanted = {"kind": kind, "language": language, "reader": reader, "large_print": large_print}
        return _content.validate_python(given | wanted, strict=False)
    except ValidationError as error:
        raise SettingsError(explain(error, path, "")) from error


def save(rendered: Rendered, out: Path) -> None:
    """Write the form that the file's name asks for. Raises SettingsError for another than `FORMS`, and where the file
    cannot be written."""
    if out.suffix not in FORMS:
        raise SettingsError(f"--out: {out.name} must end in {', '.join(FORMS)}")
    text = rendered.html if out.suffix == ".html" else rendered.text
    try:
        out.write_bytes(rendered.pdf if out.suffix == ".pdf" else text.encode())
    except OSError as error:
        raise SettingsError(f"--out: {out} cannot be written: {error.strerror}") from error
