"""The commands about letters: `letters lint`, `letters preview`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from hub.cli.base import Json, out, print_json, read_settings
from hub.errors import SettingsError
from hub.letters import preview as previews
from hub.letters.content import LetterKind, Reader
from hub.letters.lint_templates import lint_templates
from hub.letters.render import render
from hub.letters.templates import Templates

letters_app = typer.Typer(no_args_is_help=True, help="The letters: write, check and look at them.")


def add_to(app: typer.Typer) -> None:
    app.add_typer(letters_app, name="letters")


def templates_at(path: Path | None) -> tuple[Templates, str | None]:
    """The templates with a folder or one file put over them, and the file's name; those of the settings where no path
    is given."""
    if path is None:
        return Templates(read_settings().letters.folder), None
    if path.is_dir():
        return Templates(path), None
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SettingsError(f"{path}: there is no such file or folder") from None
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: is not UTF-8; save it as UTF-8") from error
    return Templates(read_settings().letters.folder, {path.name: text}), path.name


@letters_app.command()
def lint(
    path: Annotated[
        Path | None, typer.Argument(help="A folder of templates, or one; else those of the settings.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Are the letters plain? Each finding with file, line and a better wording; docs/letters.md has the rules.

    Exit code 1 when a letter may not be published so; wishes alone are 0."""
    templates, only = templates_at(path)
    findings = lint_templates(templates, only)
    fails = sum(finding.fails for finding in findings)
    if as_json:
        print_json([{key: value for key, value in asdict(finding).items() if key != "about"} for finding in findings])
    else:
        for one in findings:
            better = f" → {one.better}" if one.better else ""
            weight = "[bold red]fails[/]" if one.fails else "[yellow]wish[/]"
            said = escape(f"{one.file}:{one.line}: {one.rule}: {one.message}{better}")
            out.print(f"{weight} {said}", highlight=False, soft_wrap=True)
        out.print(f"{fails} to mend, {len(findings) - fails} wishes", highlight=False)
    raise typer.Exit(1 if fails else 0)


@letters_app.command()
def preview(
    kind: Annotated[LetterKind, typer.Argument(help="Which letter.")],
    out_file: Annotated[Path, typer.Option("--out", help="A file that ends in .pdf, .html or .txt.")],
    language: Annotated[str, typer.Option("--lang", help="Two letters, such as da or en.")] = "da",
    case: Annotated[
        str, typer.Option(help="ordinary, longest, shortest, or a JSON file with what it says.")
    ] = "ordinary",
    reader: Annotated[Reader, typer.Option(help="Who reads it.")] = "guardian",
    large_print: Annotated[bool, typer.Option("--large-print", help="In 16 points.")] = False,
    path: Annotated[
        Path | None, typer.Option("--templates", help="A folder of templates, or one; else those of the settings.")
    ] = None,
) -> None:
    """A letter as it would be sent, byte for byte. Nothing leaves, and no database is needed."""
    templates, _ = templates_at(path)
    content = previews.with_reader(previews.content_of(kind, language, case), reader, large_print=large_print)
    try:
        rendered = render(content, templates)
    except ValueError as error:
        raise SettingsError(str(error)) from error
    previews.save(rendered, out_file)
    out.print(
        f"{out_file}: {rendered.pages} pages, version {rendered.template_version}, SHA-256 {rendered.sha256}",
        soft_wrap=True,
    )
    if rendered.language != language:
        out.print(f"in {rendered.language}: there is no {kind}.{language}.md")
