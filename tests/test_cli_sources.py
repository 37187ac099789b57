"""`tovholder sync` and `tovholder quarantine`, as a script or an operator runs them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from hub import Unreadable, vault
from hub.cases import guard, quarantine, sources
from hub.cli.from_sources import printable
from hub.clock import SystemClock
from hub.store.database import Database
from hub.store.tables import LogEntry
from tests.test_cli import Result, Run, at, one_line, run, spawn

__all__ = ["at", "run", "spawn"]

NUMBER = "0311164234"
"""Fictitious."""
SAG = """<ns2:Sag xmlns:ns2="urn:oio:sts:sagdok:sag:6"><broken/></ns2:Sag>"""


def said(result: Result) -> dict[str, Any]:
    """The one JSON object on standard output."""
    found = json.loads(result.stdout)
    assert isinstance(found, dict)
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A source that is a folder nobody has read before, with one file that is no case."""
    made = tmp_path / "cases"
    made.mkdir()
    (made / "one.xml").write_text(SAG)
    (tmp_path / "tovholder.toml").write_text(f"[plugins.sof_case]\nfolder = '{made}'\n")
    return made


class TestSync:
    def test_json_is_one_object_with_counts_by_source(self, run: Run, at: dict[str, str], folder: Path) -> None:
        result = run("sync", "--json", **at)
        assert result.returncode == 0, result.stderr
        (source,) = said(result)["sources"]
        assert said(result)["needs_a_person"] is False
        wanted = {"source", "read", "changed", "gone", "events", "quarantined", "reasons", "in_quarantine", "ignored"}
        assert wanted | {"held", "failure", "stale_since", "next_try_at", "unsure", "children"} <= source.keys()
        assert source["children"] == 0  # no family has said yes

    def test_without_anybody_to_ask_about_it_says_so(self, run: Run, at: dict[str, str], folder: Path) -> None:
        result = run("sync", **at)
        assert "--dry-run" in result.stderr

    def test_a_record_in_quarantine_needs_a_person(
        self, run: Run, at: dict[str, str], folder: Path, kept: list[Any]
    ) -> None:
        result = run("sync", "--json", **at)
        assert result.returncode == 3
        assert [source["in_quarantine"] for source in said(result)["sources"]] == [2]

    def test_so_does_a_source_that_is_held_and_accept_lets_it_go(
        self, run: Run, at: dict[str, str], folder: Path, database: Database
    ) -> None:
        now = SystemClock().now()
        with database.begin() as session:
            row = sources.state(session, "sof_case", sources.PRESENCE)
            row.known_rows = 10
            assert not guard.believe(row, 9, None, now, lambda: 10)
        result = run("sync", "--json", **at)
        assert result.returncode == 3
        assert "shows 1 of 10 known" in said(result)["sources"][0]["held"]
        (folder / "one.xml").unlink()
        result = run("sync", "--accept", "sof_case", "--json", **at)
        assert (result.returncode, said(result)["presences"][0]["held"]) == (0, None), result.stdout

    def test_nothing_is_accepted_that_is_not_held(self, run: Run, at: dict[str, str], folder: Path) -> None:
        result = run("sync", "--accept", "sof_case", **at)
        assert result.returncode == 1
        assert one_line(result) == "sof_case is not held: there is nothing to accept"

    def test_an_adapter_that_is_not_there_is_not_understood(self, run: Run, at: dict[str, str], folder: Path) -> None:
        result = run("sync", "sof_cas", **at)
        assert result.returncode == 2
        assert "sof_case" in result.stderr

    def test_children_go_with_a_dry_run_only(self, run: Run, folder: Path) -> None:
        """A sync asks about the children of the scheme, and no others."""
        assert run("sync", "--children", "-").returncode == 2


class TestDryRun:
    def test_needs_no_database_and_makes_none(self, run: Run, folder: Path, tmp_path: Path) -> None:
        result = run("sync", "--dry-run", "--json")
        assert result.returncode == 3
        (source,) = said(result)["sources"]
        assert source["source"] == "sof_case"
        assert source["presence"]["quarantined"] == 1
        assert sum(source["presence"]["reasons"].values()) == 1
        assert not (tmp_path / "data").exists()

    def test_in_words_names_the_reason(self, run: Run, folder: Path) -> None:
        result = run("sync", "--dry-run")
        assert result.returncode == 3
        assert "sof_case presence: 1 unreadable: " in result.stdout

    def test_of_a_source_without_fault_is_0(self, run: Run, folder: Path) -> None:
        (folder / "one.xml").unlink()
        result = run("sync", "--dry-run", "--json")
        assert result.returncode == 0, result.stdout
        assert said(result)["needs_a_person"] is False

    def test_a_line_that_is_no_number_is_refused_and_not_repeated(self, run: Run, folder: Path) -> None:
        result = run("sync", "--dry-run", "--children", "-", stdin="3113164234\n")
        assert result.returncode == 1
        assert "3113164234" not in result.stdout + result.stderr

    def test_numbers_are_read_from_standard_input(self, run: Run, folder: Path) -> None:
        (folder / "one.xml").unlink()
        result = run("sync", "--dry-run", "--children", "-", "--json", stdin=f"{NUMBER}\n\n")
        assert said(result)["sources"][0]["children"] == 1
        assert NUMBER not in result.stdout


@pytest.fixture
def kept(at: dict[str, str], tmp_path: Path, database: Database) -> list[quarantine.Kept]:
    keys = vault.load_keys(tmp_path / "data" / "keys", with_token=False)
    records = [
        Unreadable("line 7", "no end tag", f"<sag>{NUMBER}\x1b[2J</sag>".encode(), "s1"),
        Unreadable("line 8", "a bad date", b"\xff\x00", "s2"),
    ]
    with database.begin() as session:
        quarantine.keep_all(session, keys, "sof_case", records, SystemClock().now(), sources.PRESENCE)
    with database.session() as session:
        return quarantine.find(session)


class TestQuarantine:
    def test_list_says_where_and_why_and_nothing_of_the_record(
        self, run: Run, at: dict[str, str], kept: list[quarantine.Kept]
    ) -> None:
        result = run("quarantine", "list", "--json", **at)
        assert result.returncode == 3
        assert [(row["position"], row["reason"], row["times"]) for row in said(result)["records"]] == [
            ("line 7", "no end tag", 1),
            ("line 8", "a bad date", 1),
        ]
        assert NUMBER not in result.stdout
        assert run("quarantine", "list", "--source", "other", **at).returncode == 0

    def test_in_words_nothing_is_cut_off_that_the_other_commands_want(
        self, run: Run, at: dict[str, str], kept: list[quarantine.Kept]
    ) -> None:
        shown = run("quarantine", "list", COLUMNS="60", **at).stdout
        for record in kept:
            assert f"{record.id}  {record.source}: {record.position}\n    {record.reason}" in shown

    def test_show_shows_one_when_the_look_is_written_down(
        self, run: Run, at: dict[str, str], kept: list[quarantine.Kept], database: Database
    ) -> None:
        result = run("quarantine", "show", str(kept[0].id), "--reason", "vendor asks about it", **at)
        assert result.returncode == 0, result.stderr
        assert result.stdout == f"<sag>{NUMBER}\\x1b[2J</sag>\n"
        with database.session() as session:
            (entry,) = session.execute(select(LogEntry)).scalars()
        assert (entry.kind, str(entry.id) in result.stderr) == ("record", True)

    def test_show_without_a_reason_shows_nothing(
        self, run: Run, at: dict[str, str], kept: list[quarantine.Kept], database: Database
    ) -> None:
        assert run("quarantine", "show", str(kept[0].id), **at).returncode == 2
        result = run("quarantine", "show", str(kept[0].id), "--reason", "why not", **at)
        assert result.returncode == 1
        assert NUMBER not in result.stdout + result.stderr
        with database.session() as session:
            assert session.execute(select(LogEntry)).all() == []

    def test_retry_asks_the_source_and_says_what_is_left(
        self, run: Run, at: dict[str, str], kept: list[quarantine.Kept], folder: Path
    ) -> None:
        """The folder has neither of the two any longer, so they are gone."""
        (folder / "one.xml").unlink()
        result = run("quarantine", "retry", str(kept[0].id), "--json", **at)
        assert result.returncode == 0, result.stdout
        assert [row["resolved_at"] is None for row in said(result)["records"]] == [False]
        assert run("quarantine", "list", **at).returncode == 0
        listed = said(run("quarantine", "list", "--resolved", "--json", **at))
        assert len(listed["records"]) == 2

    def test_retry_wants_to_know_what(self, run: Run, at: dict[str, str], folder: Path) -> None:
        assert run("quarantine", "retry", **at).returncode == 2


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("Æble\n\tpære".encode(), "Æble\n\tpære"),
        (b"\x1b]0;owned\x07", "\\x1b]0;owned\\x07"),
        (b"\xff\xfe", "\\xff\\xfe"),
        ("a\u202eb".encode(), "a\\u202eb"),
        (b"a\rb\x00", "a\\rb\\x00"),
    ],
)
def test_a_record_cannot_steer_the_terminal_it_is_shown_on(raw: bytes, shown: str) -> None:
    assert printable(raw) == shown
