"""Who asks in the tests of lookups, and what was shown."""

from __future__ import annotations

from hub.access.log import Asker, Disclosure
from hub.access.lookup import Answer

SOF_STAFF = Asker("s-1", "Sanne Toft", "staff", "SOF", "Handicap, team Nord")
BUF_STAFF = Asker("s-2", "Bo Falk", "staff", "BUF")
UNKNOWN = "0909094999"
REASON = "Skolen kan ikke få fat i forældrene"


def shown(disclosure: Disclosure[Answer]) -> bool:
    return disclosure.value.coordinator is not None
