"""The hooks a plugin may implement. Entry-point group: `tovholder`.

A plugin is a module (or package) whose functions are marked with `@hub.hookimpl`. pluggy passes only the arguments a
function names, so hooks can gain arguments later. A function with a misspelt name stops the program at start.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pluggy
from pydantic import BaseModel

from hub.contract import Adapter, Channel

PROJECT = "tovholder"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def settings_model() -> type[BaseModel]:  # type: ignore[empty-body]  # pluggy takes the signature alone
    """Called once at start. Return the pydantic model of the plugin's own section of the settings,
    `[plugins.NAME]`, where NAME is the plugin's entry-point name. The section is validated against it and handed to
    the other hooks; no plugin sees another's section. A plugin without this hook gets no settings. A plugin whose
    section is absent is loaded but not asked for adapters or channels."""


@hookspec
def register_adapters(settings: Any) -> Sequence[Adapter]:  # type: ignore[empty-body]  # pluggy takes the signature alone
    """Called once at start with the plugin's own validated settings. Return its adapters. Connect to nothing here:
    the source may be down and the hub must still start."""


@hookspec
def register_channels(settings: Any) -> Sequence[Channel]:  # type: ignore[empty-body]  # pluggy takes the signature alone
    """Called once at start with the plugin's own validated settings. Return its channels. Connect to nothing here."""
