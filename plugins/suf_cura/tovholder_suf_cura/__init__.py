"""Courses of health and care (Cura): FHIR R4 delivery reports by KL's Gateway guide."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel

import hub
from tovholder_suf_cura.adapter import SufAdapter
from tovholder_suf_cura.settings import SufSettings

__all__ = ["SufAdapter", "SufSettings", "register_adapters", "settings_model"]


@hub.hookimpl
def settings_model() -> type[BaseModel]:
    return SufSettings


@hub.hookimpl
def register_adapters(settings: SufSettings) -> Sequence[hub.Adapter]:
    return [SufAdapter(settings)]
