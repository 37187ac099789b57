"""One lookup decided: what is known of the child, in which relations the asker stands to it, what the policy says,
and the entry that says so.

Refused, unknown, no coordinator and closed cost the same work: three keys and two records are opened for each, those of
nobody where there are none.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import structlog

from hub.access.asked import Coordinator, Request
from hub.access.askers import COORDINATORS, PersonKeyPair
from hub.access.log import Asker, SealedEntry, seal_entry
from hub.access.policy import Consent, Decision, Question, Relation, decide
from hub.settings import Settings
from hub.vault import CannotOpen, Keys, new_key, seal_json, unseal_json

log = structlog.get_logger()

INPUTS = """
SELECT asked.token, found.*
FROM (SELECT t.token, coalesce(own.id, former.child_id) AS id
      FROM unnest(%(tokens)b::bytea[]) AS t (token)
      LEFT JOIN child own ON own.token = t.token
      LEFT JOIN former_number former ON former.token = t.token) asked
LEFT JOIN LATERAL (
    SELECT c.id, c.key_id, k.version, k.wrapped, a.since,
           s.reference AS staff_reference, s.administration AS staff_administration, s.sealed AS staff_sealed,
           s.key_id AS staff_key, sk.version AS staff_version, sk.wrapped AS staff_wrapped,
           u.reference AS sub_reference, u.sealed AS sub_sealed, u.key_id AS sub_key, uk.version AS sub_version,
           uk.wrapped AS sub_wrapped,
           ARRAY(SELECT DISTINCT administration FROM case_index WHERE child_id = c.id AND is_open) AS administrations,
           ARRAY(SELECT administration FROM block WHERE child_id = c.id AND lifted_at IS NULL) AS blocked,
           ARRAY(SELECT administration FROM consent WHERE child_id = c.id AND withdrawn_at IS NULL
                 AND since <= %(now)s AND (until IS NULL OR until > %(now)s)) AS consented
    FROM child c
    JOIN person_key k ON k.id = c.key_id AND k.wrapped IS NOT NULL
    LEFT JOIN assignment a ON a.child_id = c.id AND a.until IS NULL
    LEFT JOIN coordinator co ON co.staff_id = a.coordinator_id
    LEFT JOIN staff s ON s.id = co.staff_id
    LEFT JOIN person_key sk ON sk.id = s.key_id
    LEFT JOIN staff u ON u.id = co.substitute_id AND co.away
    LEFT JOIN person_key uk ON uk.id = u.key_id
    WHERE c.id = coalesce(asked.id, %(decoy)s::uuid)
    OFFSET 0
) found ON asked.id IS NOT NULL
"""
"""What is known of each child asked about, one row each: read once the log's head is held. For a number that is not
known the same rows are read of another child, `decoy`, and none of it is given: a row of nothing but the token. So the
database has as much to do for the one as for the other, and its time does not tell which it was. (OFFSET 0 keeps the
condition of the join from being looked at first.)"""

DECOY = "SELECT child_id FROM assignment WHERE until IS NULL LIMIT 1"
"""Some child with a coordinator; where there is none, nothing is read in its place."""


@dataclass(frozen=True, slots=True)
class Decided:
    entry: SealedEntry
    coordinator: Coordinator | None
    review: bool
    """Whether a leader has to look at it."""


@dataclass(frozen=True, slots=True)
class _Record:
    """A sealed record of a member of staff with its wrapped key."""

    key_id: UUID
    version: int
    wrapped: bytes
    sealed: bytes


class Decider:
    """Decides lookups. Made once per process."""

    def __init__(self, keys: Keys, settings: Settings) -> None:
        self._keys, self._access = keys, settings.access
        self._administrations = frozenset(settings.administrations)
        key_id, key = uuid4(), new_key()
        nobody = {"name": "N" * 20, "email": "n" * 24, "phone": "0" * 8, "unit": None}
        self._nobody = _Record(key_id, *keys.ring.wrap(key, str(key_id)), seal_json(key, nobody, f"staff:{key_id}"))

    def decide(
        self,
        request: Request,
        child: Any,
        now: datetime,
        asker_key: PersonKeyPair,
        day_key: PersonKeyPair,
        narrowed: tuple[str, ...] = (),
        *,
        too_many: bool = False,
    ) -> Decided:
        """See or not, and the entry, sealed. `child` is a row of INPUTS, None when there is none; `narrowed` are the
        plugins that say no; `too_many`: the asker has looked up so many children that this is refused for it."""
        asker, subject_key, coordinator = request.asker, day_key, None
        try:
            if child is None:
                self._unwrap(self._nobody.key_id, self._nobody.version, self._nobody.wrapped)
            else:
                subject_key = (child.key_id, self._unwrap(child.key_id, child.version, child.wrapped))
            shown, unit = self._card(child)
            decision = decide(self._question(request, child, unit, bool(narrowed)), self._access.switches)
            if too_many:
                decision = Decision(see=False, basis="pace")
            if decision.see:
                coordinator = shown
        except CannotOpen:
            # One damaged record must not take the answers of a whole batch with it.
            log.warning("lookup: a sealed record does not open", child=str(child.id))
            decision = Decision(see=False, basis="unreadable")
        subject: dict[str, Any] = {
            "purpose": request.purpose,
            "reason": request.reason,
            "case": request.case,
            "see": decision.see,
            "basis": decision.basis,
            "shown": ["coordinator"] if decision.see else [],
        }
        if narrowed:
            subject["narrowed"] = list(narrowed)
        entry = seal_entry(
            at=now,
            kind="lookup",
            child_id=child.id if child is not None else None,
            asker=asker,
            asker_key=asker_key,
            subject=subject,
            subject_key=subject_key,
        )
        return Decided(entry, coordinator, decision.review)

    def _question(self, request: Request, child: Any, unit: str | None, narrowed: bool) -> Question:
        asker, roles = request.asker, request.asker.roles
        if child is None:
            return Question(roles, request.purpose, reason=request.reason, narrowed=narrowed)
        relations = self._relations(asker, child, unit)
        blocked = self._blocked(asker, child, "coordinator" in relations)
        consents = self._consents(asker, child)
        return Question(roles, request.purpose, relations, consents, request.reason, blocked, narrowed)

    def _relations(self, asker: Asker, child: Any, unit: str | None) -> Set[Relation]:
        found: set[Relation] = set()
        own, health = asker.administration, self._access.health
        if own is not None and own in child.administrations:
            found.add("health-case" if own in health else "case")
        if any(each != own and (each not in health or each in child.consented) for each in child.administrations):
            found.add("elsewhere")
        if self._keys.refer(COORDINATORS, asker.id) in (child.staff_reference, child.sub_reference):
            found.add("coordinator")
        if unit and unit == asker.unit and own is not None and own == child.staff_administration:
            found.add("leads")
        return found

    def _consents(self, asker: Asker, child: Any) -> Set[Consent]:
        if child.staff_wrapped is None:
            return frozenset()
        return frozenset({"accepted", "health"} if asker.administration in child.consented else {"accepted"})

    def _blocked(self, asker: Asker, child: Any, coordinates: bool) -> bool:
        """Whether the family has closed for the asker's administration. Of one that is not in the settings nobody knows
        which it is: it is closed as soon as any is, save for the child's own coordinator."""
        unknown = asker.administration not in self._administrations and not coordinates
        return asker.administration in child.blocked or (unknown and bool(child.blocked))

    def _unwrap(self, key_id: UUID, version: int, wrapped: bytes) -> bytes:
        return self._keys.ring.unwrap(version, wrapped, str(key_id))

    def _card(self, child: Any) -> tuple[Coordinator | None, str | None]:
        """The child's coordinator, and the unit they work in; nobody's records are opened where there is none."""
        assigned = child is not None and child.staff_wrapped is not None
        away = assigned and child.sub_wrapped is not None
        staff = self._open(
            _Record(child.staff_key, child.staff_version, child.staff_wrapped, child.staff_sealed)
            if assigned
            else self._nobody
        )
        substitute = self._open(
            _Record(child.sub_key, child.sub_version, child.sub_wrapped, child.sub_sealed) if away else self._nobody
        )
        if not assigned:
            return None, None
        coordinator = Coordinator(
            staff["name"],
            staff.get("phone"),
            staff.get("email"),
            child.since,
            substitute["name"] if away else None,
        )
        return coordinator, staff.get("unit")

    def _open(self, record: _Record) -> dict[str, Any]:
        key = self._unwrap(record.key_id, record.version, record.wrapped)
        fields: dict[str, Any] = unseal_json(key, record.sealed, f"staff:{record.key_id}")
        return fields
