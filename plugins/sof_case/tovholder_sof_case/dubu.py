"""A case of DUBU, as its OData service and exports tell of it.

No schema of DUBU is published. The names are those that public integrations of municipalities use (`Sag` with `status`,
`primaerPerson`, `primaerBehandler`, `foerstkommendeFrist`) and the columns of their exports.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

import hub
from tovholder_sof_case.entry import DENMARK, Standing, bare_number, case_id, one_line
from tovholder_sof_case.settings import SofSettings, word

_ADVISERS = uuid.UUID("9c1b3f6e-4a52-4a1e-8f38-2d4d6f0f7a55")
"""Namespace of the ids made from an adviser's mail address or name."""


class DubuCase:
    """One object of `odata/Sag`."""

    gone = False

    def __init__(self, fields: Any, settings: SofSettings) -> None:
        self._fields = fields
        self._settings = settings

    @property
    def number(self) -> str | None:
        """Of the primaerPerson; the case of an unborn child, or of a company, has none."""
        return bare_number(self._text("primaerPerson", "cprnr"))

    @property
    def words(self) -> Sequence[str]:
        kind = self._at("sagstype")
        if isinstance(kind, Mapping):
            kind = kind.get("brugervendtNoegle") or kind.get("navn")
        return (kind,) if isinstance(kind, str) else ()

    @property
    def hidden(self) -> bool:
        """Sensitive (`isSensitive`), or about coercion (`tvang`). What does not say is no case we may tell of."""
        marks = [self._at(name) for name in ("isSensitive", "tvang")]
        if not all(isinstance(mark, bool) for mark in marks):
            raise hub.BadRecord("the case does not say whether it is sensitive (isSensitive) or about coercion (tvang)")
        return any(marks)

    def source_id(self, kind: str | None) -> str:
        number = self._at("sagsnummer")
        return case_id(str(number) if isinstance(number, str | int) and not isinstance(number, bool) else "")

    def standing(self) -> Standing:
        """The next deadline is passed on as the case's own: which kind of deadline it is, DUBU does not say."""
        status = self._text("status", "brugervendtNoegle")
        if status is None:
            raise hub.BadRecord("the case has no status")
        state = self._settings.state_of(status)
        deadline = None if state is hub.State.CLOSED else _day(self._text("foerstkommendeFrist", "fristDato"))
        return Standing(state, deadline=deadline, adviser=self._adviser())

    def skeleton(self) -> bytes:
        kept: dict[str, Any] = {name: self._at(name) for name in ("isSensitive", "tvang")}
        kept["status"] = self._at("status", "brugervendtNoegle")
        plain = {name: value for name, value in kept.items() if isinstance(value, bool | None)}
        status = kept["status"]
        return json.dumps(plain | ({"status": status[:40]} if isinstance(status, str) else {})).encode()

    def _adviser(self) -> hub.StaffRecord | None:
        name = one_line(self._text("primaerBehandler", "navn") or "")
        if not name:
            return None
        email = one_line(self._text("primaerBehandler", "email") or "") or None
        return hub.StaffRecord(str(uuid.uuid5(_ADVISERS, word(email or name))), name, email=email)

    def _at(self, *path: str) -> Any:
        """What stands there; None for nothing."""
        value = self._fields
        for name in path:
            if value is None:
                return None
            if not isinstance(value, Mapping):
                raise hub.BadRecord("the case is not as DUBU writes it: something else stands where an object should")
            value = value.get(name)
        return value

    def _text(self, *path: str) -> str | None:
        value = self._at(*path)
        if value is not None and not isinstance(value, str):
            raise hub.BadRecord(f"{path[-1]} is no text")
        return value


def _day(text: str | None) -> date | None:
    """The Danish date of a DateTimeOffset, a time without a zone, or a date."""
    if text is None or not text.strip():
        return None
    try:
        found = datetime.fromisoformat(text.strip())
        return (found.astimezone(DENMARK) if found.tzinfo else found).date()
    except (ValueError, OverflowError) as error:
        raise hub.BadRecord("fristDato is no time of the form YYYY-MM-DDThh:mm:ssZ") from error


def cases_in(answer: Any) -> list[Any]:
    """The objects of an answer of `odata/Sag`, which has them in `value`. Raises TryAgain for another answer."""
    found = answer.get("value") if isinstance(answer, Mapping) else None
    if not isinstance(found, list):
        raise hub.TryAgain("not an answer of DUBU's odata/Sag: it has no list `value`")
    return found
