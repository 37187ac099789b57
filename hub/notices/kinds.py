"""What a notice can be about, in words for staff."""

from __future__ import annotations

from typing import Literal, get_args

Kind = Literal["assigned", "substitute", "back", "handed_over", "ended"]
KINDS: tuple[Kind, ...] = get_args(Kind)

WORDS: dict[Kind, tuple[str, str]] = {
    "assigned": ("Barnet har fået en koordinator", "The child has a coordinator"),
    "substitute": ("Koordinatoren er væk og har en stedfortræder", "The coordinator is away and has a substitute"),
    "back": ("Koordinatoren er tilbage", "The coordinator is back"),
    "handed_over": ("Barnet har fået en ny koordinator", "The child has another coordinator"),
    "ended": ("Barnet har ikke længere en koordinator", "The child has no coordinator any more"),
}
"""Danish, English."""


def event_type(kind: str) -> str:
    """The `type` of the CloudEvent."""
    return f"tovholder.coordinator.{kind}"
