"""docs/data-protection.md says what is stored: each field, and nothing that is not there."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import LargeBinary

from hub.protection.__main__ import page
from hub.protection.record import FORMS, GROUNDS, RISKS, TABLES
from hub.store.tables import Base

ROOT = Path(__file__).resolve().parents[2]
STORED = {name: {column.name: column for column in table.columns} for name, table in Base.metadata.tables.items()}


def test_every_stored_field_has_a_row_and_every_row_a_field() -> None:
    said = {(name, column) for name, table in TABLES.items() for column in table.columns}
    stored = {(name, column) for name, columns in STORED.items() for column in columns}
    assert stored - said == set(), "say in hub/protection/fields.toml what these hold of a person"
    assert said - stored == set(), "these rows name no field"


@pytest.mark.parametrize("name", sorted(TABLES))
def test_every_table_says_why_on_what_ground_for_whom_how_long_and_what_deletes_it(name: str) -> None:
    table = TABLES[name]
    assert table.grounds
    assert set(table.grounds) <= GROUNDS.keys()
    for column, (form, what) in table.columns.items():
        assert what
        assert form in FORMS
        sealed = form in ("sealed", "token", "key")
        assert sealed == isinstance(STORED[name][column].type, LargeBinary), f"{name}.{column} is not {form}"


def test_what_is_said_to_be_kept_for_ever_is_deleted_nowhere_in_the_program() -> None:
    """A table whose row says that nothing deletes it: no code does. When some begins to, the row must say so."""
    names = {mapper.class_.__name__: mapper.class_.__tablename__ for mapper in Base.registry.mappers}
    deleted: dict[str, set[str]] = {}
    for path in (ROOT / "hub").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", None) == "delete" and node.args:
                entity = ast.unparse(node.args[0]).removeprefix("tables.")
                deleted.setdefault(names[entity], set()).add(path.name)
    assert {"presence", "case_index", "quarantine"} <= deleted.keys(), "the test looks in the wrong place"
    # A row of `bundle` is deleted only where nothing was put into it.
    kept = {name for name, table in TABLES.items() if table.deleted_by == "nothing"} - {"bundle"}
    assert kept & deleted.keys() == set()


def test_no_key_of_a_person_is_destroyed_by_the_program_yet() -> None:
    """The page says so, and asks for a rule; when there is one, it must name it."""
    for path in (ROOT / "hub").rglob("*.py"):
        assert "destroyed_at=" not in path.read_text(encoding="utf-8"), path


@pytest.mark.parametrize("risk", RISKS, ids=lambda risk: risk.what)
def test_every_risk_names_measures_and_tests_that_are_there(risk: object) -> None:
    assert risk.tests  # type: ignore[attr-defined]
    for test in risk.tests:  # type: ignore[attr-defined]
        assert_there(test)


def assert_there(test: str) -> None:
    """`file`, `file::function`, `file::Class` or `file::Class::function`."""
    file, *names = test.split("::")
    body = ast.parse((ROOT / file).read_text(encoding="utf-8")).body
    for name in names:
        found = [node for node in body if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name]
        assert found, f"there is no {test}"
        body = found[0].body


def test_the_page_is_what_the_tables_say() -> None:
    """`python -m hub.protection > docs/data-protection.md` makes it so."""
    assert (ROOT / "docs" / "data-protection.md").read_text(encoding="utf-8") == page()
    done = subprocess.run([sys.executable, "-m", "hub.protection"], capture_output=True, check=True, cwd=ROOT)
    assert done.stdout.decode() == page()
