"""Cases of the social administration, read from Sags- og Dokumentindekset (KOMBIT SF1470 v6): over SOAP, or from a
folder of `Sag` XML.

Only index data pass: kind (KLE), state, dates, adviser. Titles, descriptions and all other case content stay here.
Cases of kinds that are not on the list of the settings, VIP cases, cases exempt from public access and cases with a
security profile are never passed on.
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
