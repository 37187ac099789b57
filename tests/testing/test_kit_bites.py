"""The conformance kit bites: adapters and channels that break the contract in one way each fail in the tests meant for
that, and in no others; those that keep it pass.

The broken ones are in broken_adapters.py and broken_channels.py, run by a pytest of their own.
"""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from types import ModuleType
from typing import Any
from xml.etree import ElementTree

import pytest

HERE = Path(__file__).parent
# The first test waits for all broken plugins to have been through what is meant for them.
pytestmark = [pytest.mark.timeout(600), pytest.mark.slow]
FILES = ("broken_adapters", "broken_channels")


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, HERE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look for their module here.
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def broken() -> dict[str, set[str]]:
    """Each broken plugin's name, and the tests that are meant to see it."""
    found: list[Any] = []
    for name in FILES:
        module = load(name)
        found += [*module.BROKEN, *getattr(module, "BROKEN_FOLDERS", ())]
    return {one.__name__: set(one.meant.split()) for one in found}


BROKEN = broken()


def run(folder: Path, only: str | None = None) -> tuple[dict[str, set[str]], dict[str, set[str]]]:
    """Run the kit over the broken plugins; gives the tests that failed, and those that ran, by plugin."""
    report = folder / "report.xml"
    files = [str(HERE / f"{name}.py") for name in FILES]
    chosen = [] if only is None else ["-k", only]
    command = [sys.executable, "-m", "pytest", "-q", "-n0", "--tb=no", f"--junitxml={report}", *chosen, *files]
    done = subprocess.run(command, capture_output=True, text=True, cwd=HERE.parents[1], check=False)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    failed, ran = defaultdict[str, set[str]](set), defaultdict[str, set[str]](set)
    for case in ElementTree.parse(report).iter("testcase"):
        test, _, parameters = case.attrib["name"].partition("[")
        plugin = next(iter({*BROKEN, "Good", "GoodFolder", "GoodChannel"} & set(re.split(r"[-\]]", parameters))))
        assert case.find("skipped") is None, f"{test} was skipped for {plugin}"
        ran[plugin].add(test)
        if case.find("failure") is not None or case.find("error") is not None:
            failed[plugin].add(test)
    return failed, ran


@pytest.fixture(scope="module")
def meant(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, set[str]], dict[str, set[str]]]:
    """The good plugins in all tests, the broken ones in those meant for them."""
    own = [f"({name} and ({' or '.join(sorted(tests))}))" for name, tests in BROKEN.items()]
    return run(tmp_path_factory.mktemp("meant"), " or ".join(["Good", *own]))


@pytest.mark.parametrize("good", ["Good", "GoodFolder", "GoodChannel"])
def test_what_keeps_the_contract_passes(meant: Any, good: str) -> None:
    failed, ran = meant
    assert len(ran[good]) > 20
    assert failed[good] == set()


@pytest.mark.parametrize("name", BROKEN)
def test_what_breaks_the_contract_fails(meant: Any, name: str) -> None:
    failed, _ = meant
    assert failed[name] == BROKEN[name]


def test_every_test_of_the_kit_has_bitten() -> None:
    kit = {
        name
        for file in FILES
        for base in vars(load(file))["KIT"].__mro__
        for name in vars(base)
        if name.startswith("test_")
    }
    assert kit == set().union(*BROKEN.values())


@pytest.mark.long
@pytest.mark.timeout(900)
def test_each_breach_fails_nowhere_else(tmp_path: Path) -> None:
    failed, ran = run(tmp_path)
    assert {name: failed[name] for name in BROKEN} == BROKEN
    assert set(BROKEN) <= set(ran)
