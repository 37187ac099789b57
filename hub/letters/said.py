"""What a letter says, as a digest that another copy of the database comes to as well.

Rows' ids are made anew when a source is read again after a restore; tokens and references are not, since they are
digests under keys that are kept apart. So the same news to the same guardian has the same digest before and after, and
what a letter told after the backup was made is not told again (hub.recovery).
"""

from __future__ import annotations

import hmac
import json

from hub.cases import kinds
from hub.store.tables import Case, Child, Event, Guardian
from hub.vault import Keys


def said(keys: Keys, event: Event, guardian: Guardian, child: Child, case: Case | None, value: str | None) -> bytes:
    """Keyed digest (16 bytes) of news and whom it is for. `value` is what of the news may change without being other
    news: the new deadline, the adviser's name, …: told again when it is another."""
    about = [case.source, case.reference.hex()] if case is not None else []
    what = json.dumps([guardian.token.hex(), child.token.hex(), event.kind, *about, value])
    return hmac.digest(keys.reference, f"said:{what}".encode(), "sha256")[:16]


DEADLINES = tuple(code for code in kinds.KINDS if code.startswith("deadline_"))
