"""Custody, protection and Digital Post registration from CPR: SF1520 PersonBaseDataExtended, version 4."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel

import hub
from tovholder_cpr_custody.adapter import CprAdapter
from tovholder_cpr_custody.settings import CprSettings

__all__ = ["CprAdapter", "CprSettings", "register_adapters", "settings_model"]


@hub.hookimpl
def settings_model() -> type[BaseModel]:
    return CprSettings


@hub.hookimpl
def register_adapters(settings: CprSettings) -> Sequence[hub.Adapter]:
    return [CprAdapter(settings)]
