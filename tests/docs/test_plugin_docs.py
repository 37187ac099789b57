"""docs/plugins.md keeps its word: its code runs and passes the kit, and it tells of every hook as it is."""

from __future__ import annotations

import ast
import inspect
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from typer.testing import CliRunner

import hub
from hub import cli, hookspecs, plugins
from hub.settings import Settings
from hub.testing.adapter_setup import AdapterSetup

PAGE = Path(__file__).resolve().parents[2] / "docs" / "plugins.md"
BLOCK = re.compile(r"<!-- (file|run): (.+?) -->\n```\w+\n(.*?)```\n", re.DOTALL)


def blocks() -> dict[str, str]:
    """The blocks of code that say what they are, by name."""
    return {name: code for _, name, code in BLOCK.findall(PAGE.read_text(encoding="utf-8"))}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The files on the page, as a reader would save them."""
    for name, code in blocks().items():
        if name != "ten lines":
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(code, encoding="utf-8")
    return tmp_path


def hooks() -> dict[str, str]:
    """Each hook's signature, and its docstring on one line."""
    return {
        f"{name}{inspect.signature(hook)}".replace("'", ""): " ".join((hook.__doc__ or "").split())
        for name, hook in vars(hookspecs).items()
        if inspect.isfunction(hook) and hasattr(hook, f"{hookspecs.PROJECT}_spec")
    }


def test_ten_lines_are_few_and_make_an_adapter(monkeypatch: pytest.MonkeyPatch) -> None:
    code = blocks()["ten lines"]
    assert len([line for line in code.splitlines() if line.strip()]) <= 12
    module = ModuleType("ten_lines")
    exec(compile(code, str(PAGE), "exec"), vars(module))
    monkeypatch.setitem(sys.modules, "ten_lines", module)
    loaded = plugins.load(
        Settings.model_validate({"plugins": {"ten": {}}}), [EntryPoint("ten", "ten_lines", hookspecs.PROJECT)]
    )
    (page,) = loaded.adapters["waiting"].presence(None)
    assert page.complete
    assert isinstance(page.records[0], hub.Presence)


@pytest.mark.slow
def test_the_example_passes_the_kit(project: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", "tests"]
    environment = os.environ | {"PYTHONPATH": str(project)}
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) > 50
    assert "skipped" not in done.stdout


def test_the_example_is_found_by_its_entry_point_and_takes_its_settings(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(project))
    points = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]["entry-points"]
    found = [EntryPoint(name, value, group) for group, named in points.items() for name, value in named.items()]
    assert [point.group for point in found] == [hookspecs.PROJECT]
    settings = Settings.model_validate(tomllib.loads((project / "tovholder.toml").read_text(encoding="utf-8")))
    adapter: Any = plugins.load(settings, found).adapters["waiting"]
    assert adapter.administration in settings.administrations
    assert set(adapter.settings.kinds) == {"physio"}


def test_the_example_imports_of_the_hub_only_its_public_face(project: Path) -> None:
    tree = ast.parse((project / "tovholder_waiting/__init__.py").read_text(encoding="utf-8"))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name for name in imported if name.split(".")[0] == "hub"} == {"hub"}


def test_every_hook_is_told_of_as_it_is() -> None:
    told = re.findall(
        r"^### `(.+?)`\n\n(.+?)(?=\n\n|\n?\Z)", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    assert {signature: " ".join(text.split()) for signature, text in told} == hooks()


def test_every_name_on_the_page_is_there() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for name in set(re.findall(r"`?hub\.([A-Z]\w+|hookimpl)", page)):
        assert name in hub.__all__, f"hub.{name} is on the page and not in hub"
    more = page.partition("What only you know")[2].partition("\n\n")[0]
    for name in re.findall(r"`([a-z_]+)` \(", more):
        assert hasattr(AdapterSetup, name), f"the fixture {name} is on the page and not in the kit"


def test_every_command_on_the_page_is_there() -> None:
    commands = re.findall(r"^tovholder (\w+)(?: (list)\b)?", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(commands) >= 4
    for command in commands:
        result = CliRunner().invoke(cli.app, [*filter(None, command), "--help"])
        assert result.exit_code == 0, command


def test_links_lead_somewhere() -> None:
    page = PAGE.read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", page) + [
        f"../{path}" for path in re.findall(r"`((?:plugins|tests)/\S+\.py)`", page)
    ]
    assert links
    for link in links:
        assert (PAGE.parent / link).exists(), link
