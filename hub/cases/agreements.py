"""Letter agreements: whether the source or the hub writes to the family about a piece of news.

Where the settings say nothing, the source sends what it has always sent (receipts, deadlines, decisions), and the hub
only lists it in its next letter. So nobody gets a letter twice on the day the hub is turned on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from hub.cases.kinds import KINDS
from hub.settings import EVERY, Sends, Settings


def hub_sends(settings: Settings, kind: str, source: str | None, day: date) -> bool:
    """Whether the hub makes a letter for news of this kind on a day (Danish date). News that no source has is the hub's
    own."""
    by_source = KINDS[kind].by_source
    if by_source is None or source is None:
        return True
    said = next(_said(settings.letters.agreements, kind, source), None)
    if said is None:
        return not by_source
    return said != "source" and said <= day


def _said(agreements: Mapping[str, Any], kind: str, source: str) -> Iterator[Sends]:
    """What was agreed, the most particular first: of the source and kind, of the source, of the kind, of all."""
    for about in (agreements.get(source), agreements.get(EVERY)):
        if isinstance(about, Mapping):
            yield from (about[key] for key in (kind, EVERY) if key in about)
        elif about is not None:
            yield about
