"""Load plugins, check them, hand out their adapters, channels and mailers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Any

import pluggy
from pydantic import BaseModel, ValidationError

from hub import hookspecs
from hub.contract import Adapter, Channel, Look, Mailer
from hub.errors import PluginError, SettingsError
from hub.reading.settings import Kind, SourceSettings
from hub.settings import EVERY, Settings, explain

Narrower = Callable[[Look], bool]
"""Says whether a look is taken away."""


@dataclass(frozen=True, slots=True)
class Plugin:
    name: str
    version: str
    configured: bool
    """Whether the settings have a section for it; without one it is loaded but not used."""


@dataclass(frozen=True, slots=True)
class Plugins:
    loaded: tuple[Plugin, ...]
    adapters: Mapping[str, Adapter]
    channels: Mapping[str, Channel]
    sections: Mapping[str, Any]
    """Each adapter's own validated section, by adapter name: where the hub finds names and limits of kinds."""
    narrowers: Mapping[str, Narrower] = field(default_factory=dict)
    """What takes looks away, by plugin name."""
    mailers: Mapping[str, Mailer] = field(default_factory=dict)

    def kind(self, source: str, code: str) -> Kind | None:
        """A kind of case as its source's list has it; None for one that is not on the list (any more): it is not
        told."""
        section = self.sections.get(source)
        return section.kinds.get(code) if isinstance(section, SourceSettings) else None


def installed() -> list[EntryPoint]:
    return sorted(entry_points(group=hookspecs.PROJECT), key=lambda point: point.name)


def load(settings: Settings, found: Iterable[EntryPoint] | None = None) -> Plugins:
    """All installed plugins, each with its own section of the settings only.

    Raises PluginError (fails to import, misspelt hook, two with one name, not an Adapter) or SettingsError."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    points = list(installed() if found is None else found)
    for point in points:
        _register(manager, point)
    try:
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise PluginError(f"{error}; see hub/hookspecs.py for the hooks there are") from error
    unknown = sorted(set(settings.plugins) - {point.name for point in points})
    if unknown:
        raise SettingsError(
            f"{settings.file or 'tovholder.toml'}: plugins.{unknown[0]}: no plugin of that name is installed; "
            f"installed are: {', '.join(point.name for point in points) or 'none'}"
        )
    adapters: dict[str, Adapter] = {}
    channels: dict[str, Channel] = {}
    mailers: dict[str, Mailer] = {}
    sections: dict[str, Any] = {}
    narrowers: dict[str, Narrower] = {}
    for point in points:
        if point.name not in settings.plugins:
            continue
        section = _section(manager, point.name, settings)
        for adapter in _ask(manager, point.name, "register_adapters", section):
            _add(adapters, adapter, Adapter, point.name)
            sections[adapter.name] = section
        for channel in _ask(manager, point.name, "register_channels", section):
            _add(channels, channel, Channel, point.name)
        for mailer in _ask(manager, point.name, "register_mailers", section):
            _add(mailers, mailer, Mailer, point.name)
        hook = _only(manager, point.name, "narrow_access")
        if hook.get_hookimpls():
            narrowers[point.name] = partial(_narrows, hook, section)
    unknown = sorted(settings.letters.agreements.keys() - adapters.keys() - {EVERY})
    if unknown:
        raise SettingsError(
            f"{settings.file or 'tovholder.toml'}: letters.agreements.{unknown[0]}: no configured plugin registers "
            f"an adapter of that name; there are: {', '.join(sorted(adapters)) or 'none'}"
        )
    loaded = tuple(
        Plugin(point.name, point.dist.version if point.dist else "", point.name in settings.plugins) for point in points
    )
    return Plugins(loaded, adapters, channels, sections, narrowers, mailers)


def _narrows(hook: pluggy.HookCaller, section: Any, look: Look) -> bool:
    """Raises what the plugin raises, and PluginError when it does not say yes or no."""
    [said] = hook(settings=section, look=look) or [None]
    if not isinstance(said, bool):
        raise PluginError("narrow_access gives neither True nor False")
    return said


def _register(manager: pluggy.PluginManager, point: EntryPoint) -> None:
    if manager.get_plugin(point.name) is not None:
        raise PluginError(f"two installed plugins are called {point.name}; uninstall one of them")
    module = _import(point)
    other = manager.get_name(module)
    if other is not None:
        raise PluginError(f"the plugins {other} and {point.name} are the same module ({point.value})")
    try:
        manager.register(module, name=point.name)
    except pluggy.PluginValidationError as error:
        said = " ".join(str(error).split())
        raise PluginError(f"the plugin {point.name}: {said}; see hub/hookspecs.py for the hooks there are") from error


def _import(point: EntryPoint) -> ModuleType:
    try:
        module = point.load()
    except (Exception, SystemExit) as error:
        raise PluginError(
            f"the plugin {point.name} ({point.value}) fails to import: {type(error).__name__}: {error}"
        ) from error
    if not isinstance(module, ModuleType):
        raise PluginError(f"the plugin {point.name} must name a module, and {point.value} is none")
    return module


def _only(manager: pluggy.PluginManager, name: str, hook: str) -> pluggy.HookCaller:
    """The hook of one plugin, so that it sees its own settings and no other's."""
    others = [plugin for other, plugin in manager.list_name_plugin() if other != name]
    return manager.subset_hook_caller(hook, remove_plugins=others)


@contextmanager
def _blamed(name: str, hook: str) -> Iterator[None]:
    try:
        yield
    except SettingsError:
        raise
    except Exception as error:
        raise PluginError(f"the plugin {name} fails in {hook}: {type(error).__name__}: {error}") from error


def _ask(manager: pluggy.PluginManager, name: str, hook: str, section: Any) -> list[Any]:
    with _blamed(name, hook):
        return [thing for answer in _only(manager, name, hook)(settings=section) for thing in answer]


def _section(manager: pluggy.PluginManager, name: str, settings: Settings) -> Any:
    with _blamed(name, "settings_model"):
        models = _only(manager, name, "settings_model")()
    given = settings.plugins[name]
    if not models:
        if given:
            raise SettingsError(
                f"{settings.file or 'tovholder.toml'}: plugins.{name}: this plugin takes no settings; delete the keys"
            )
        return None
    if not (isinstance(models[0], type) and issubclass(models[0], BaseModel)):
        raise PluginError(f"the plugin {name} gives something else than a pydantic model in settings_model")
    try:
        return models[0].model_validate(given)
    except ValidationError as error:
        raise SettingsError(explain(error, settings.file, f"plugins.{name}")) from error


def _add(known: dict[str, Any], thing: Any, protocol: type, plugin: str) -> None:
    if isinstance(thing, type) or not isinstance(thing, protocol):
        raise PluginError(f"the plugin {plugin} registers something that is no {protocol.__name__} by hub/contract.py")
    name = getattr(thing, "name", None)
    if not isinstance(name, str) or not name:
        raise PluginError(f"the plugin {plugin} registers a {protocol.__name__} without a name")
    if name in known:
        raise PluginError(
            f"two plugins register the {protocol.__name__.lower()} {name!r}; each needs a name of its own"
        )
    known[name] = thing
