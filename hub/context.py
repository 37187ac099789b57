"""What a use case needs, built in one place and passed on: settings, time, keys, database, plugins."""

from __future__ import annotations

from dataclasses import dataclass

from hub import plugins as plugin_loader
from hub.clock import Clock
from hub.plugins import Plugins
from hub.settings import Settings
from hub.store.database import Database
from hub.vault import Keys, load_keys


@dataclass(frozen=True, slots=True)
class Context:
    settings: Settings
    clock: Clock
    database: Database
    keys: Keys
    plugins: Plugins

    def close(self) -> None:
        self.database.close()


def build(settings: Settings, *, with_token: bool) -> Context:
    """Everything a command works with. `with_token` only for the processes that match or look up.

    Raises PluginError, SettingsError, SchemaError, TryAgain, each with what to do."""
    loaded = plugin_loader.load(settings)
    database = Database(settings)
    try:
        database.check()
        return Context(
            settings, settings.clock, database, load_keys(settings.keys_folder, with_token=with_token), loaded
        )
    except BaseException:
        database.close()
        raise
