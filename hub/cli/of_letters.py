"""The commands about letters: `lint` and `preview`, and the versions of their texts."""

from __future__ import annotations

import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer
from rich.markup import escape

from hub.cli.base import Json, context, operator, out, print_json, read_settings, table_of
from hub.clock import DENMARK
from hub.errors import SettingsError
from hub.letters import preview as previews
from hub.letters import versions as texts
from hub.letters.content import LetterKind, Reader
from hub.letters.lint_templates import lint_templates
from hub.letters.render import render
from hub.letters.templates import Templates, check_name, text_at

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
    if not path.exists():
        raise SettingsError(f"{path}: there is no such file or folder")
    check_name(path)
    text = text_at(path)
    # What a language shares or is measured by is tried with all its letters.
    return Templates(read_settings().letters.folder, {path.name: text}), path.name if path.suffix == ".md" else None


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
    content = previews.content_of(kind, language, case, reader, large_print=large_print)
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
    if templates.find(kind, language).about.urgent:
        out.print("urgent: some of the news that opens it leaves at once")


Since = Annotated[
    datetime | None, typer.Option("--from", help="From when letters are written so (Danish time); else from now on.")
]
VersionId = Annotated[UUID, typer.Argument(metavar="VERSION", help="As `versions` shows it.")]


@letters_app.command()
def draft(path: Annotated[Path, typer.Argument(exists=True, dir_okay=False)]) -> None:
    """Keep a text, to be approved by another person. Who drafts is the account of this machine that runs it."""
    with context(with_token=False) as ctx:
        out.print(str(texts.draft(ctx, operator(), path.name, text_at(path))))


@letters_app.command()
def versions(
    name: Annotated[str | None, typer.Argument(help="Of one file, such as overdue.da.md.")] = None,
    as_json: Json = False,
) -> None:
    """The texts that were drafted, newest first, by whom, and which letters are written with now."""
    if name is not None:
        check_name(Path(name))
    with context(with_token=False) as ctx:
        found = texts.versions(ctx, operator(), name)
    if as_json:
        print_json([asdict(one) for one in found])
    else:
        rows = [
            {
                "version": one.id,
                "name": one.name,
                "drafted": _by(one.drafted_at, one.drafted_by),
                "approved": _by(one.approved_at, one.approved_by),
                "published from": _by(one.since, one.published_by),
                "now": "current" if one.current else "",
            }
            for one in found
        ]
        table_of(rows, "Versions")


def _by(time: datetime | None, who: str | None) -> str:
    """When somebody took a step (Danish time), and who."""
    return f"{time.astimezone(DENMARK):%Y-%m-%d %H:%M}\n{who or 'somebody'}" if time else ""


@letters_app.command()
def diff(
    version: VersionId,
    against: Annotated[
        UUID | None, typer.Option(help="Another version; else what letters are written with now.")
    ] = None,
) -> None:
    """What a version changes."""
    with context(with_token=False) as ctx:
        sys.stdout.write(texts.diff(ctx, operator(), version, against))


@letters_app.command()
def approve(version: VersionId) -> None:
    """Say that a text is good: another person than who drafted it, and the check must pass."""
    with context(with_token=False) as ctx:
        texts.approve(ctx, operator(), version)
    out.print(f"{version} is approved; publish it")


@letters_app.command()
def publish(version: VersionId, since: Since = None) -> None:
    """Write letters with an approved text."""
    with context(with_token=False) as ctx:
        held = texts.publish(ctx, operator(), version, _utc(since))
    out.print(f"letters are written with {version} from {held.astimezone(DENMARK):%Y-%m-%d %H:%M}")


@letters_app.command()
def rollback(name: Annotated[str, typer.Argument(help="A file, such as overdue.da.md.")], since: Since = None) -> None:
    """Take back what is published of a file: the version before it holds again, or what was shipped."""
    check_name(Path(name))
    with context(with_token=False) as ctx:
        before = texts.roll_back(ctx, operator(), name, _utc(since))
    out.print(f"{name}: {before or 'what was shipped'} holds again")


def _utc(time: datetime | None) -> datetime | None:
    try:
        return time.replace(tzinfo=DENMARK).astimezone(UTC) if time else None
    except OverflowError as error:
        raise SettingsError(f"--from: {time} is no time that a clock can show; give a date of our own time") from error
