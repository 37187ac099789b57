"""By which channel a letter goes, and what happens when one cannot bring it.

| what is known | what happens |
|---|---|
| the channel says that it cannot reach the recipient | the next channel |
| it refuses the letter for good, and no try may have arrived | the next channel |
| it took the letter, and says that it failed; never that it was delivered | the next channel |
| it took the letter, told of it no more in time, and a person says that it did not arrive | the next channel |
| a try may have arrived, and the channel does not know keys | nothing is sent: a status or a person settles it |
| paper has come back from their address | no paper for them, until somebody has put the address right |
| the letter came back, or failed after it was delivered | a task for the coordinator |
| no channel is left | a task for the coordinator |

Digital Post or paper is the channel's own choice where it carries both (it asks who is exempt). E-mail and NemSMS carry
no letters: they say beside one that there is news (hub.letters.pointers).
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from hub.context import Context
from hub.contract import Channel
from hub.errors import SettingsError
from hub.store import tables

BEGUN = "begun"
"""The result of an attempt that is under way, or was broken off."""
MAY_HAVE_ARRIVED = (BEGUN, "unsure")
"""The results of attempts of which nobody knows whether the other side has the letter."""
LOST = "lost"
"""The result of an attempt that may have arrived, once it is known that it did not."""


def in_order(ctx: Context) -> tuple[Channel, ...]:
    """The channels of the settings, first choice first. Raises SettingsError when no plugin registers one of them."""
    found = []
    for name in ctx.settings.letters.in_order:
        channel = ctx.plugins.channels.get(name)
        if channel is None:
            raise SettingsError(f"letters.channels names {name!r}, and no configured plugin registers that channel")
        found.append(channel)
    return tuple(found)


def following(order: Sequence[str], channel: str | None) -> str | None:
    """The next channel after one, by name; None when there is none, or that one is no longer in the settings."""
    if channel not in order:
        return None
    place = order.index(channel) + 1
    return order[place] if place < len(order) else None


def paper_comes_back(session: Session, letter: tables.Letter) -> bool:
    """Whether paper has come back from the recipient's address, and nobody has put the address right since."""
    return session.execute(select(exists().where(tables.ReturnedMail.guardian_id == letter.guardian_id))).scalar_one()
