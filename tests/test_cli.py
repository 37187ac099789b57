"""The command `tovholder`, as a person or a script runs it: exit codes, one-line messages, no number in sight."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import func, select

from hub import vault
from hub.cli import main
from hub.clock import FileClock
from hub.store import schema
from hub.store.database import Database
from hub.store.tables import LogEntry

NUMBER = "0311164234"
"""Fictitious."""


@dataclass(frozen=True)
class Result:
    returncode: int
    stdout: str
    stderr: str


Run = Callable[..., Result]


@pytest.fixture
def spawn(tmp_path: Path) -> Run:
    """Runs the command as its own process, in a folder of its own."""

    def spawn(*words: str, stdin: str = "", **environment: str) -> Result:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("TOVHOLDER_")}
        done = subprocess.run(
            [sys.executable, "-m", "hub.cli", *words],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            env=clean | {"TOVHOLDER_DATA": str(tmp_path / "data")} | environment,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    return spawn


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The same in this process, which spares the seconds that starting takes."""

    def run(*words: str, stdin: str = "", **environment: str) -> Result:
        monkeypatch.chdir(tmp_path)
        for name, value in ({"TOVHOLDER_DATA": str(tmp_path / "data")} | environment).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["tovholder", *words])
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return Result(int(ended.value.code or 0), said.out, said.err)

    return run


@pytest.fixture
def at(database: Database, tmp_path: Path) -> dict[str, str]:
    """The environment of a migrated database, with keys."""
    vault.make_keys(tmp_path / "data" / "keys")
    return {
        "TOVHOLDER_DATABASE_URL": database.app_url.set(drivername="postgresql").render_as_string(hide_password=False),
    }


def one_line(result: Result) -> str:
    """The message of a refusal: one line, on standard error, and nothing of Python's."""
    lines = result.stderr.splitlines()
    assert result.stdout == ""
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("tovholder: ")
    return lines[0].removeprefix("tovholder: ")


@pytest.mark.slow
def test_wrong_settings_exit_with_one_line_that_names_file_key_and_remedy(spawn: Run, tmp_path: Path) -> None:
    (tmp_path / "tovholder.toml").write_text("[letters]\nchanel = 'x'\n")
    result = spawn("plugins", "list")
    assert result.returncode == 1
    assert one_line(result) == (
        "tovholder.toml: letters.chanel: there is no such key: mend the spelling or delete the line"
    )


@pytest.mark.parametrize("command", ["serve", "worker"])
def test_nothing_is_served_without_a_number_to_call(run: Run, at: dict[str, str], command: str) -> None:
    result = run(command, **at)
    assert result.returncode == 1
    assert one_line(result) == (
        "municipality.phone is not set: every answer, page and letter gives a number to call. Write it in "
        'tovholder.toml, under [municipality]: phone = "70 10 20 30"'
    )


def test_a_long_message_with_brackets_stays_whole(run: Run, tmp_path: Path) -> None:
    """rich would break lines at 80 characters, and take [/x] for its own markup."""
    folder = tmp_path / "[red]a folder with a name that is long enough for one line of a terminal[/blue]"
    result = run("plugins", "list", TOVHOLDER_SETTINGS=str(folder / "none.toml"))
    assert result.returncode == 1
    assert one_line(result) == (
        f"TOVHOLDER_SETTINGS points to {folder / 'none.toml'}, which does not exist; make it or unset the variable"
    )


@pytest.mark.slow
def test_a_plugin_that_cannot_be_loaded_stops_the_program(spawn: Run, tmp_path: Path) -> None:
    """Installed as pip would: a module and its entry point."""
    site = tmp_path / "site"
    (site / "zz_broken-1.0.dist-info").mkdir(parents=True)
    (site / "zz_broken.py").write_text("import hub\n@hub.hookimpl\ndef register_adaptors(settings): pass\n")
    (site / "zz_broken-1.0.dist-info" / "METADATA").write_text("Name: zz-broken\nVersion: 1.0\n")
    (site / "zz_broken-1.0.dist-info" / "entry_points.txt").write_text("[tovholder]\nzz_broken = zz_broken\n")
    result = spawn("plugins", "list", PYTHONPATH=str(site))
    assert result.returncode == 1
    assert "unknown hook 'register_adaptors' in plugin" in one_line(result)


def test_plugins_list_names_what_is_installed_and_used(run: Run, tmp_path: Path) -> None:
    (tmp_path / "tovholder.toml").write_text("[plugins.sof_case]\nfolder = 'x'\n")
    result = run("plugins", "list", "--json")
    assert (result.returncode, result.stderr) == (0, "")
    found = json.loads(result.stdout)
    assert {row["name"]: row["configured"] for row in found["plugins"]} == {
        "buf_case": False,
        "cpr_custody": False,
        "digital_post": False,
        "email": False,
        "simulator": False,
        "sof_case": True,
        "suf_cura": False,
    }
    assert (found["adapters"], found["channels"]) == (["sof_case"], [])


def test_a_command_that_is_not_understood_is_exit_code_2(run: Run) -> None:
    assert run("plugins", "lst").returncode == 2
    assert run().returncode == 2


@pytest.mark.slow
def test_migrate_makes_schema_and_keys_once(spawn: Run, tmp_path: Path) -> None:
    """With no database named: the embedded one, from nothing."""
    first = spawn("migrate")
    assert first.returncode == 0, first.stderr
    assert f"schema empty → {schema.newest()}" in first.stdout
    assert "keys made in" in first.stdout
    ring = (tmp_path / "data" / "keys" / "ring.json").read_bytes()
    second = spawn("migrate")
    assert second.returncode == 0
    assert "nothing to do" in second.stdout
    assert "keys made" not in second.stdout
    assert (tmp_path / "data" / "keys" / "ring.json").read_bytes() == ring


def test_before_migrate_the_command_that_helps_is_named(run: Run, cluster, admin) -> None:
    admin("CREATE DATABASE never_migrated")
    try:
        result = run("doctor", TOVHOLDER_DATABASE_URL=cluster.url("tovholder_app", "never_migrated"))
    finally:
        admin("DROP DATABASE never_migrated WITH (FORCE)")
    assert result.returncode == 1
    assert one_line(result) == "the database is empty; run: tovholder migrate"


def test_a_database_that_is_not_there_is_said_in_one_line(run: Run, tmp_path: Path) -> None:
    result = run("doctor", TOVHOLDER_DATABASE_URL="postgresql://nobody:hemmelig@127.0.0.1:1/x")
    assert result.returncode == 1
    assert one_line(result).startswith("the database does not answer")
    assert "hemmelig" not in result.stderr


def test_doctor_is_0_when_well_and_3_when_a_person_must_look(run: Run, at: dict[str, str], tmp_path: Path) -> None:
    phone = '[municipality]\nphone = "70 10 20 30"\n'
    (tmp_path / "tovholder.toml").write_text(phone)
    assert run("doctor", **at).returncode == 0
    (tmp_path / "tovholder.toml").write_text(phone + "[plugins.sof_case]\nfolder = 'not-there'\n")
    result = run("doctor", "--json", **at)
    assert result.returncode == 3
    assert [check["what"] for check in json.loads(result.stdout) if not check["ok"]] == ["sof_case"]


def test_missing_keys_are_said_in_one_line(run: Run, at: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "data" / "keys" / "ring.json").unlink()
    result = run("doctor", **at)
    assert result.returncode == 1
    assert "ring.json is missing; `tovholder migrate` makes keys once" in one_line(result)


LOOKUP = ("lookup", "--as", "s-1", "--purpose", "case")


@pytest.fixture
def demo(at: dict[str, str], tmp_path: Path, clock) -> Path:
    """Settings of a demo with one member of staff."""
    folder = tmp_path / "demo"
    folder.mkdir()
    FileClock(folder / "clock").set(clock.now())
    staff = [{"id": "s-1", "name": "Sanne Toft", "role": "staff", "administration": "SOF", "unit": None}]
    (folder / "personas.json").write_text(json.dumps({"staff": staff}))
    (tmp_path / "tovholder.toml").write_text(f"[municipality]\nphone = '70 10 20 30'\n[demo]\nfolder = '{folder}'\n")
    return folder


@pytest.mark.slow
def test_lookup_reads_the_number_from_standard_input(spawn: Run, at: dict[str, str], demo: Path) -> None:
    result = spawn(*LOOKUP, stdin=f"{NUMBER}\n", **at)
    assert result.returncode == 0, result.stderr
    answer = json.loads(result.stdout)
    assert (answer["coordinator"], answer["help"]) == (None, "Er du i tvivl, så ring til 70 10 20 30.")
    assert answer["entry"]
    assert NUMBER not in result.stdout + result.stderr


@pytest.mark.parametrize("words", [[NUMBER], ["031116-4234"], ["--cpr", NUMBER], [f"--cpr={NUMBER}"], ["--", NUMBER]])
def test_lookup_refuses_the_number_on_the_command_line_and_does_not_repeat_it(
    run: Run, at: dict[str, str], demo: Path, database: Database, words: list[str]
) -> None:
    result = run(*LOOKUP, *words, stdin=f"{NUMBER}\n", **at)
    assert result.returncode == 2
    assert result.stdout == ""
    for shown in (NUMBER, "031116-4234"):
        assert shown not in result.stderr
    with database.begin() as session:
        assert session.execute(select(func.count()).select_from(LogEntry)).scalar_one() == 0


def test_lookup_with_what_is_no_number_says_so_and_does_not_repeat_it(run: Run, at: dict[str, str], demo: Path) -> None:
    result = run(*LOOKUP, stdin="3113164234\n", **at)
    assert result.returncode == 1
    assert one_line(result) == "the first six digits of the CPR number are no date"


def test_lookup_with_a_misspelt_purpose_is_refused_and_not_answered(run: Run, at: dict[str, str], demo: Path) -> None:
    """An empty answer would read as "no coordinator"."""
    result = run("lookup", "--as", "s-1", "--purpose", "cse", stdin=f"{NUMBER}\n", **at)
    assert result.returncode == 2
    assert "case, contact, coordination" in result.stderr


def test_nobody_looks_up_as_a_member_of_staff_outside_the_demo(run: Run, at: dict[str, str]) -> None:
    result = run(*LOOKUP, stdin=f"{NUMBER}\n", **at)
    assert result.returncode == 1
    assert "exists in the demo only" in one_line(result)


def test_an_unknown_member_of_staff_is_refused(run: Run, at: dict[str, str], demo: Path) -> None:
    result = run("lookup", "--as", "s-9", "--purpose", "case", stdin=f"{NUMBER}\n", **at)
    assert result.returncode == 1
    assert one_line(result) == "there is no member of staff 's-9'; there are s-1"


def test_tokens_are_given_in_the_demo_only(run: Run, at: dict[str, str]) -> None:
    result = run("token", "--as", "s-1", **at)
    assert result.returncode == 1
    assert "exists in the demo only" in one_line(result)
