"""The hooks a plugin may implement. Entry-point group: `tovholder`.

A plugin is a module (or package) whose functions are marked with `@hub.hookimpl`. pluggy passes only the arguments a
function names, so hooks can gain arguments later. A function with a misspelt name stops the program at start.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pluggy
from pydantic import BaseModel

from hub.contract import Adapter, Channel, Look, Mailer

PROJECT = "tovholder"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def settings_model() -> type[BaseModel]:  # type: ignore[empty-body]  # pluggy takes the signature alone
    """Called once at start. Return the pydantic model of the plugin's own section of the settings,
    `[plugins.NAME]`, where NAME is the plugin's entry-point name. The section is validated against it and handed to
    the other hooks; no plugin sees another's section. A plugin without this hook gets no settings. A plugin whose
    section is absent is loaded but not asked for adapters, channels or mailers."""


@hookspec
def register_adapters(settings: Any) -> Sequence[Adapter]:  # type: ignore[empty-body]  # pluggy takes the signature alone
    """Called once at start with the plugin's own validated settings. Return its adapters. Connect to nothing here:
    the source may be down and the hub must still start."""


@hookspec
def register_channels(settings: Any) -> Sequence[Channel]:  # type: ignore[empty-body]  # pluggy takes the signature alone
    """Called once at start with the plugin's own validated settings. Return its channels. Connect to nothing here."""


@hookspec
def register_mailers(settings: Any) -> Sequence[Mailer]:  # type: ignore[empty-body]  # pluggy takes the signature alone
    """Called once at start with the plugin's own validated settings. Return what carries e-mail. Connect to nothing
    here."""


@hookspec
def narrow_access(settings: Any, look: Look) -> bool:  # type: ignore[empty-body]  # pluggy takes the signature alone
    """Called before each lookup, in a thread, with the plugin's own validated settings. Return True to take the look
    away, False to leave it to the hub's own rules: a plugin can never give one. It is told who asks and for what, and
    nothing of the child. Whoever asks gets the same answer as about an unknown child; that your plugin said no stands
    in the log. An error, an answer that is no bool, and one that takes more than two seconds are no as well, and are
    told to the operator."""
