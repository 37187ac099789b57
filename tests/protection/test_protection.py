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
from hub.retention.rules import RULES
from hub.settings import Retention
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
                if entity != "table":  # of hub.retention.rows: whatever points at what goes
                    deleted.setdefault(names[entity], set()).add(path.name)
    assert {"presence", "case_index", "quarantine"} <= deleted.keys(), "the test looks in the wrong place"
    # A row of `bundle` is deleted only where nothing was put into it.
    kept = {name for name, table in TABLES.items() if table.deleted_by == "nothing"} - {"bundle"}
    assert kept & deleted.keys() == set()


def test_keys_of_persons_are_destroyed_by_the_rules_alone() -> None:
    found = {
        path.relative_to(ROOT / "hub").as_posix()
        for path in (ROOT / "hub").rglob("*.py")
        if "destroyed_at=" in path.read_text(encoding="utf-8")
    }
    assert found == {"retention/rest.py"}


RULED = {name: {rule.name for rule in RULES if name in rule.tables} for name in TABLES}
WITHOUT_RULE = {
    "source_state", "told", "quarantine", "presence", "sign_in", "asker_hour", "log_entry", "log_head", "sender",
    "program_fit", "letter_child",
}  # fmt: skip
"""Tables about nobody, those that say by themselves when they are emptied, and the log."""


def covered() -> set[str]:
    """Tables with a rule, and those whose rows hang on theirs."""
    found = {name for name, rules in RULED.items() if rules}
    while True:
        more = {
            name
            for name, table in Base.metadata.tables.items()
            if any(key.column.table.name in found for key in table.foreign_keys)
        }
        if more <= found:
            return found
        found |= more


def test_a_table_that_no_rule_empties_says_so() -> None:
    unruled = TABLES.keys() - covered() - WITHOUT_RULE
    unruled -= {name for name in unruled if TABLES[name].about.startswith("nobody")}
    assert {name for name in unruled if "not implemented" not in TABLES[name].kept} == set()


@pytest.mark.parametrize("name", sorted(name for name, rules in RULED.items() if rules - {"cases"}))
def test_the_page_names_the_rules_that_empty_a_table(name: str) -> None:
    said = TABLES[name].kept + TABLES[name].deleted_by
    for rule in RULED[name] - {"cases"}:
        assert f"`{rule}`" in said, f"{name}: say that {rule} does"


def test_nothing_is_kept_for_want_of_a_rule() -> None:
    assert "not implemented" not in page()


def test_rules_name_tables_and_settings_that_are_there() -> None:
    for rule in RULES:
        assert set(rule.tables) <= STORED.keys()
        assert rule.setting is None or hasattr(Retention(), rule.setting)
        assert rule.when(Retention())
    assert len({rule.name for rule in RULES}) == len(RULES)


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
