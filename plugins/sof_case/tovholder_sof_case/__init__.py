"""Cases of the social administration: from Sags- og Dokumentindekset (KOMBIT SF1470 v6) over SOAP, from DUBU over HTTP,
or from a folder of Sager, exports of DUBU and FFB reports. README.md says how each is set up.

Only index data pass: kind (KLE), state, dates, adviser. Titles, descriptions and all other case content stay here, and
so do cases of kinds that are not on the list of the settings, and those that are marked as not to be told.
"""

from __future__ import annotations

import hub
from tovholder_sof_case.adapter import SofAdapter
from tovholder_sof_case.settings import SofSettings

__all__ = ["SofAdapter", "SofSettings", "register_adapters", "settings_model"]


@hub.hookimpl
def settings_model() -> type[SofSettings]:
    return SofSettings


@hub.hookimpl
def register_adapters(settings: SofSettings) -> list[hub.Adapter]:
    return [SofAdapter(settings)]
