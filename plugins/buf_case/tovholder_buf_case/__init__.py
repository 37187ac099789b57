"""School and day care: pupils of special schools and special classes, read from STIL wsieksport v7.

What passes is that a pupil is enrolled and who the contact at the school is. Pupils of other institutions and
classes, parents, addresses and phone numbers stop here.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel

import hub
from tovholder_buf_case.adapter import BufAdapter
from tovholder_buf_case.settings import BufSettings

__all__ = ["BufAdapter", "BufSettings", "register_adapters", "settings_model"]


@hub.hookimpl
def settings_model() -> type[BaseModel]:
    return BufSettings


@hub.hookimpl
def register_adapters(settings: BufSettings) -> Sequence[hub.Adapter]:
    return [BufAdapter(settings)]
