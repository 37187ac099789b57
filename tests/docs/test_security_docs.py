"""SECURITY.md names tests that are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`(tests/[\w/]+\.py)::([\w:]+)`", TEXT)


def named_in(path: Path) -> set[str]:
    """The tests of a file, by class and name."""
    found = set()
    for each in ast.parse(path.read_text(encoding="utf-8")).body:
        inside = each.body if isinstance(each, ast.ClassDef) else [each]
        before = f"{each.name}::" if isinstance(each, ast.ClassDef) else ""
        found |= {before + one.name for one in inside if isinstance(one, ast.FunctionDef)}
    return {name for name in found if name.rpartition(":")[2].startswith("test_")}


def test_every_test_it_names_is_there() -> None:
    assert NAMED
    assert [f"{file}::{name}" for file, name in NAMED if name not in named_in(ROOT / file)] == []


def test_every_attacker_has_all_columns_and_a_test() -> None:
    rows = [line.strip("|").split("|") for line in TEXT.splitlines() if line.startswith("| ")][2:]
    assert len(rows) >= 13
    for row in rows:
        assert len(row) == 5, row[0]
        assert all(cell.strip() for cell in row), row[0]
        assert "::test_" in row[4], row[0]


def test_the_files_it_leads_to_are_there_and_the_readme_leads_to_it() -> None:
    for target in re.findall(r"\]\(([\w./-]+)\)", TEXT):
        assert (ROOT / target).exists(), target
    assert "[SECURITY.md](SECURITY.md)" in (ROOT / "README.md").read_text(encoding="utf-8")
