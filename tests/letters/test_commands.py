"""`tovholder letters lint` and `preview`: what a communication officer runs. No database, nothing leaves."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from hub.cli import app
from hub.errors import SettingsError
from hub.letters import samples
from hub.letters.content import LetterKind
from hub.letters.preview import content_of
from hub.letters.render import render
from hub.letters.words import product_folder


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TOVHOLDER_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")

    def command(*arguments: str) -> Result:
        return CliRunner().invoke(app, ["letters", *arguments])

    return command


def own(folder: Path, name: str, old: str, new: str) -> Path:
    file = folder / name
    file.write_text((product_folder() / name).read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    return file


def test_the_preview_is_the_very_bytes_that_would_be_sent(run, tmp_path: Path, templates) -> None:
    result = run("preview", "overdue", "--out", "a.pdf", "--case", "longest")
    assert result.exit_code == 0, result.output
    pdf = (tmp_path / "a.pdf").read_bytes()
    assert pdf == render(samples.longest("overdue"), templates).pdf
    assert hashlib.sha256(pdf).hexdigest() in result.output


def test_the_form_follows_the_files_name(run, tmp_path: Path) -> None:
    assert run("preview", "receipt", "--lang", "en", "--out", "a.html").exit_code == 0
    assert (tmp_path / "a.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert (
        run("preview", "receipt", "--lang", "en", "--out", "a.txt", "--reader", "young", "--large-print").exit_code == 0
    )
    assert "You have a coordinator" in (tmp_path / "a.txt").read_text(encoding="utf-8")
    refused = run("preview", "receipt", "--out", "a.doc")
    assert isinstance(refused.exception, SettingsError)
    assert ".pdf, .html, .txt" in str(refused.exception)


@pytest.mark.parametrize(
    ("words", "says"), [(["--lang", "dansk", "--out", "a.pdf"], "--lang"), (["--out", "nowhere/a.pdf"], "No such file")]
)
def test_what_cannot_be_written_is_said(run, words: list[str], says: str) -> None:
    refused = run("preview", "receipt", *words)
    assert isinstance(refused.exception, SettingsError)
    assert says in str(refused.exception)


def test_a_preview_of_ones_own_content_and_template(run, tmp_path: Path) -> None:
    content = {
        "written": "2027-04-21",
        "recipient_name": "Bo {{ x }}",
        "municipality": {"name": "Havneby Kommune"},
        "children": [{"label": {"first_name": "Ida"}, "cases": [
            {"administration": "Socialforvaltningen", "kind": "ledsagelse", "deadline": "2027-05-12",
             "news": ["deadline_moved"]}
        ]}],
    }  # fmt: skip
    (tmp_path / "case.json").write_text(json.dumps(content), encoding="utf-8")
    mine = own(tmp_path, "overdue.da.md", "# Et svar er forsinket", "# Du må vente lidt endnu")
    result = run("preview", "overdue", "--case", "case.json", "--templates", str(mine), "--out", "a.txt")
    assert result.exit_code == 0, result.output
    text = (tmp_path / "a.txt").read_text(encoding="utf-8")
    assert text.startswith("Du må vente lidt endnu")
    assert "Kære Bo {{ x }}" in text
    assert "12. maj 2027" in text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "is not JSON"),
        ("[]", "one object"),
        ('{"writen": "2027-04-21"}', "writen: a letter has no such field"),
        ('{"written": "2027-13-01"}', "written"),
        ('{"written": "2027-04-01", "recipient_name": "", "municipality": {"name": "H"}}', "recipient_name"),
    ],
)
def test_content_that_cannot_be_read_is_refused_with_file_and_field(run, tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "case.json").write_text(text, encoding="utf-8")
    refused = run("preview", "goodbye", "--case", "case.json", "--out", "a.pdf")
    assert isinstance(refused.exception, SettingsError)
    assert "case.json" in str(refused.exception)
    assert says in str(refused.exception)
    assert not (tmp_path / "a.pdf").exists()


def test_what_the_kind_needs_is_asked_for(run, tmp_path: Path) -> None:
    given = {"written": "2027-04-21", "recipient_name": "Bo", "municipality": {"name": "H"}}
    (tmp_path / "case.json").write_text(json.dumps(given), encoding="utf-8")
    refused = run("preview", "transition", "--case", "case.json", "--out", "a.pdf")
    assert isinstance(refused.exception, SettingsError)
    assert "turns: a letter of kind transition needs it" in str(refused.exception)


@pytest.mark.slow
def test_lint_ends_well_for_the_product_and_badly_for_a_letter_that_fails(run, tmp_path: Path) -> None:
    assert run("lint").exit_code == 0
    bad = own(tmp_path, "goodbye.da.md", "skriver for at sige", "skriver hermed for at sige")
    result = run("lint", str(bad))
    assert result.exit_code == 1
    line = bad.read_text(encoding="utf-8").split("hermed")[0].count("\n") + 1
    assert f"goodbye.da.md:{line}: officialese: “hermed” is officialese → (slet ordet)" in result.output
    found = json.loads(run("lint", str(tmp_path), "--json").output)
    assert {(one["file"], one["rule"], one["fails"]) for one in found} == {("goodbye.da.md", "officialese", True)}


def test_a_wish_alone_ends_well(run, tmp_path: Path) -> None:
    long = "skriver for at sige farvel og tak for den gode tid, vi har haft med dig og din familie. "
    wish = own(tmp_path, "goodbye.da.md", "skriver for at sige farvel og tak. ", long)
    result = run("lint", str(wish))
    assert result.exit_code == 0, result.output
    assert "wish" in result.output


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["lint", "nowhere.da.md"], "no such file"),
        (["lint", "farvel.md"], "farvel.md: a letter's text is called like overdue.da.md"),
        (["lint", "latin.da.md"], "a letter's text is called like"),
        (["lint", "goodbye.da.md"], "goodbye.da.md: is not UTF-8"),
        (["lint", "own"], "own/farvel.md: a letter's text is called like"),
        (["lint", "folder"], "folder/goodbye.da.md: cannot be read"),
        (["preview", "goodbye", "--templates", "farvel.md", "--out", "a.pdf"], "a letter's text is called like"),
        (["preview", "goodbye", "--case", "own", "--out", "a.pdf"], "own: cannot be read"),
        (["preview", "goodbye", "--case", "goodbye.da.md", "--out", "a.pdf"], "is not UTF-8"),
        (["preview", "goodbye", "--out", "own"], "must end in .pdf"),
        (["preview", "goodbye", "--out", "a.pdf/b.pdf"], "cannot be written"),
        (["versions", "farvel.md"], "a letter's text is called like"),
        (["rollback", "farvel"], "a letter's text is called like"),
    ],
)
def test_wrong_files_are_refused_in_words(run, tmp_path: Path, words: list[str], says: str) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "folder" / "goodbye.da.md").mkdir(parents=True)
    for name in ("farvel.md", "latin.da.md", "own/farvel.md"):
        (tmp_path / name).write_text("# Farvel", encoding="utf-8")
    (tmp_path / "goodbye.da.md").write_bytes("# Farvel og på gensyn".encode("latin-1"))
    refused = run(*words)
    assert isinstance(refused.exception, SettingsError), refused.output
    assert says in str(refused.exception)


def test_any_kind_and_length_is_previewed_to_a_young_reader(run, tmp_path: Path, templates) -> None:
    for kind in LetterKind:
        for case in samples.CASES:
            text, _ = templates.find(kind, "da").write(content_of(kind, "da", case, "young", large_print=False))
            assert "du" in text
    result = run("preview", "overdue", "--case", "longest", "--reader", "young", "--out", "a.txt")
    assert result.exit_code == 0, result.output
    assert "urgent: some of the news that opens it leaves at once" in result.output
    told = (tmp_path / "a.txt").read_text(encoding="utf-8")
    assert "Kære Søren Sørensen" in told
    assert "Karla" not in told
