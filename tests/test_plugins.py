"""Plugins: each sees its own section only, and one that is wrong stops the program with a message that says which.

The plugins here are real modules, written into a folder and named by entry points."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from textwrap import dedent

import pytest

from hub import plugins
from hub.errors import PluginError, SettingsError
from hub.plugins import load
from hub.settings import Settings

HEAD = """
import hub
from pydantic import BaseModel

class Section(BaseModel, extra="forbid"):
    secret: str = ""

class Source:
    administration = "SOF"
    reads = frozenset()
    def __init__(self, name, settings=None): self.name, self.settings = name, settings
    def presence(self, since): return iter(())
    def read(self, since, children): return iter(())
    def health(self): return hub.Health(True)
"""
GOOD = """
@hub.hookimpl
def settings_model(): return Section

@hub.hookimpl
def register_adapters(settings): return [Source(__name__, settings)]
"""
Write = Callable[..., EntryPoint]
numbers = itertools.count()


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes a plugin's module, and gives its entry point."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(name: str, source: str, *, head: str = HEAD, attribute: str = "") -> EntryPoint:
        module = f"example_plugin_{next(numbers)}_{name}"
        (tmp_path / f"{module}.py").write_text(head + dedent(source), encoding="utf-8")
        return EntryPoint(name, module + attribute, "tovholder")

    return write


def settings(tmp_path: Path, **sections: dict[str, object]) -> Settings:
    return Settings(file=tmp_path / "tovholder.toml", plugins=sections)


def test_the_installed_plugins_load_without_settings() -> None:
    names = [plugin.name for plugin in load(Settings()).loaded]
    assert {"sof_case", "buf_case", "suf_cura", "cpr_custody", "digital_post", "email", "simulator"} <= set(names)
    assert names == sorted(names)
    assert all(plugin.version and not plugin.configured for plugin in load(Settings()).loaded)


def test_a_configured_plugin_hands_over_its_adapter(tmp_path: Path, write: Write) -> None:
    found = load(settings(tmp_path, good={"secret": "s"}), [write("good", GOOD)])
    [adapter] = found.adapters.values()
    assert adapter.settings.secret == "s"
    assert found.sections[adapter.name] is adapter.settings
    assert found.loaded[0].configured


def test_a_plugin_without_a_section_is_loaded_and_not_asked(tmp_path: Path, write: Write) -> None:
    found = load(settings(tmp_path), [write("quiet", "@hub.hookimpl\ndef register_adapters(settings): 1 / 0")])
    assert (found.adapters, found.loaded[0].configured) == ({}, False)


def test_a_plugin_sees_its_own_section_only(tmp_path: Path, write: Write) -> None:
    """Also one that listens for everything it may be given."""
    nosy = GOOD + "seen = []\n@hub.hookimpl\ndef register_channels(settings): seen.append(settings); return []\n"
    first, second = write("first", nosy), write("second", nosy)
    load(settings(tmp_path, first={"secret": "a"}, second={"secret": "b"}), [first, second])
    assert [section.secret for section in first.load().seen] == ["a"]
    assert [section.secret for section in second.load().seen] == ["b"]


def test_no_hook_lets_a_plugin_see_all_settings(tmp_path: Path, write: Write) -> None:
    """pluggy passes only the arguments a specification names, and none names more than the own section."""
    point = write("nosy", "@hub.hookimpl\ndef register_adapters(settings, all_settings): return []")
    with pytest.raises(PluginError, match=r"nosy.*all_settings"):
        load(settings(tmp_path, nosy={}), [point])


def test_a_misspelt_hook_is_named(tmp_path: Path, write: Write) -> None:
    point = write("typo", "@hub.hookimpl\ndef register_adaptors(settings): return []")
    with pytest.raises(PluginError, match=r"unknown hook 'register_adaptors' in plugin .*typo.*hookspecs"):
        load(settings(tmp_path), [point])


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ("register_adapters", "register_adapters", "two plugins register the adapter 'same'"),
        ("register_channels", "register_channels", "two plugins register the channel 'same'"),
        ("register_mailers", "register_mailers", "two plugins register the mailer 'same'"),
    ],
)
def test_two_of_one_name_are_refused(tmp_path: Path, write: Write, first: str, second: str, said: str) -> None:
    channel = "\nSource.knows_keys = True\nSource.reaches = Source.send = Source.statuses = Source.health\n"
    points = [
        write(name, f"{channel}\n@hub.hookimpl\ndef {hook}(settings): return [Source('same')]")
        for name, hook in (("one", first), ("two", second))
    ]
    with pytest.raises(PluginError, match=said):
        load(settings(tmp_path, one={}, two={}), points)


def test_one_plugin_with_the_same_name_twice_is_refused(tmp_path: Path, write: Write) -> None:
    point = write("twice", "@hub.hookimpl\ndef register_adapters(settings): return [Source('a'), Source('a')]")
    with pytest.raises(PluginError, match="adapter 'a'"):
        load(settings(tmp_path, twice={}), [point])


def test_two_plugins_that_are_called_the_same_are_refused(tmp_path: Path, write: Write) -> None:
    with pytest.raises(PluginError, match="two installed plugins are called same"):
        load(settings(tmp_path), [write("same", GOOD), write("same", GOOD)])


def test_one_module_under_two_names_is_refused(tmp_path: Path, write: Write) -> None:
    point = write("one", GOOD)
    with pytest.raises(PluginError, match="one and two are the same module"):
        load(settings(tmp_path), [point, EntryPoint("two", point.value, "tovholder")])


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import nothing_of_that_name", "ModuleNotFoundError: No module named 'nothing_of_that_name'"),
        ("def broken(:", "SyntaxError"),
        ("1 / 0", "ZeroDivisionError"),
        ("raise SystemExit(0)", "SystemExit"),
        ("hub.nothing", "AttributeError"),
    ],
)
def test_a_failing_import_names_the_plugin_and_why(tmp_path: Path, write: Write, source: str, said: str) -> None:
    with pytest.raises(PluginError, match=r"the plugin broken .* fails to import") as caught:
        load(settings(tmp_path), [write("broken", source)])
    assert said in str(caught.value)


def test_an_entry_point_that_names_no_module_is_refused(tmp_path: Path, write: Write) -> None:
    with pytest.raises(PluginError, match="must name a module"):
        load(settings(tmp_path), [write("object", GOOD, attribute=":Section")])


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("@hub.hookimpl\ndef register_adapters(settings): raise KeyError('x')", "fails in register_adapters: KeyError"),
        ("@hub.hookimpl\ndef register_adapters(settings):\n yield Source('a')\n raise KeyError('x')", "KeyError"),
        ("@hub.hookimpl\ndef register_adapters(settings): return Source('alone')", "fails in register_adapters"),
        ("@hub.hookimpl\ndef register_adapters(settings): return [object()]", "no Adapter by hub/contract.py"),
        ("@hub.hookimpl\ndef register_adapters(settings): return [Source]", "no Adapter by hub/contract.py"),
        ("@hub.hookimpl\ndef register_adapters(settings): return [Source('')]", "without a name"),
        ("@hub.hookimpl\ndef register_adapters(settings): return [Source(None)]", "without a name"),
        ("@hub.hookimpl\ndef register_channels(settings): return [Source('a')]", "no Channel by hub/contract.py"),
        ("@hub.hookimpl\ndef settings_model(): raise KeyError('x')", "fails in settings_model: KeyError"),
        ("@hub.hookimpl\ndef settings_model(): return Section()", "something else than a pydantic model"),
        ("@hub.hookimpl\ndef settings_model(): return dict", "something else than a pydantic model"),
    ],
)
def test_a_plugin_that_does_not_keep_the_contract_is_named(
    tmp_path: Path, write: Write, source: str, said: str
) -> None:
    with pytest.raises(PluginError) as caught:
        load(settings(tmp_path, wrong={}), [write("wrong", source)])
    assert "wrong" in str(caught.value)
    assert said in str(caught.value)


def test_a_hook_that_returns_nothing_gives_nothing(tmp_path: Path, write: Write) -> None:
    point = write("shy", "@hub.hookimpl\ndef register_adapters(settings): pass")
    assert load(settings(tmp_path, shy={}), [point]).adapters == {}


def test_a_wrong_key_in_a_section_is_named_with_file_and_remedy(tmp_path: Path, write: Write) -> None:
    with pytest.raises(SettingsError) as caught:
        load(settings(tmp_path, good={"secrt": "hemmelig"}), [write("good", GOOD)])
    assert str(caught.value) == (
        f"{tmp_path / 'tovholder.toml'}: plugins.good.secrt: there is no such key: mend the spelling or delete the line"
    )


def test_a_wrong_value_in_a_section_is_not_repeated(tmp_path: Path, write: Write) -> None:
    with pytest.raises(SettingsError, match=r"plugins\.good\.secret") as caught:
        load(settings(tmp_path, good={"secret": ["hemmelig"]}), [write("good", GOOD)])
    assert "hemmelig" not in str(caught.value)


def test_a_section_of_no_installed_plugin_is_refused(tmp_path: Path, write: Write) -> None:
    with pytest.raises(SettingsError, match=r"tovholder\.toml: plugins\.sof: no plugin .* installed are: good"):
        load(settings(tmp_path, sof={}), [write("good", GOOD)])


def test_keys_for_a_plugin_that_takes_none_are_refused(tmp_path: Path, write: Write) -> None:
    point = write("plain", "@hub.hookimpl\ndef register_adapters(settings): return [Source('a', settings)]")
    with pytest.raises(SettingsError, match=r"^tovholder\.toml: plugins\.plain: this plugin takes no settings"):
        load(Settings(plugins={"plain": {"x": 1}}), [point])
    assert load(settings(tmp_path, plain={}), [point]).adapters["a"].settings is None


def test_what_the_plugins_group_is_called() -> None:
    assert {point.group for point in plugins.installed()} == {"tovholder"}
