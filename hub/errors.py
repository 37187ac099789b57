"""The errors of the hub, cut by what the caller does next.

TovholderError
├── TryAgain        the same call may go well later
├── GaveUp          it will not go well: a person must look
├── NotAllowed      the caller may not do this, now or later
├── SettingsError   the settings are wrong: says file, key and remedy
├── PluginError     a plugin cannot be loaded or does not keep the contract
├── SchemaError     the database is not of this version: says which command helps
└── BadRecord       one record cannot be read; the rest of the run goes on

The docstring is the message where none is given. No message holds a CPR number or a name: give a position, a
token or an id instead.
"""

from __future__ import annotations

import inspect


class TovholderError(Exception):
    """Something went wrong in the hub."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or inspect.getdoc(type(self)) or type(self).__name__)


class TryAgain(TovholderError):
    """The other side did not answer as it should; the same call may go well later."""

    def __init__(self, message: str | None = None, *, after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.after_seconds = after_seconds
        """How long the other side asked us to wait (seconds), or None when it did not say."""


class GaveUp(TovholderError):
    """The other side refused for good; a person must look at it."""


class NotAllowed(TovholderError):
    """This is not allowed."""


class SettingsError(TovholderError):
    """The settings are wrong."""


class PluginError(TovholderError):
    """A plugin cannot be loaded."""


class SchemaError(TovholderError):
    """The database has another version than this program; run: tovholder migrate"""


class BadRecord(TovholderError):
    """This record cannot be read."""
