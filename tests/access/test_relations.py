"""In which relation an asker stands to a child, as a lookup finds it: coordinator, substitute, leader, case."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hub import StaffRecord
from hub.access.log import Asker
from hub.coordination.staff import add_coordinator
from hub.store import tables
from tests.access.lookups import BUF_STAFF, REASON, SOF_STAFF, shown

COORDINATOR = Asker("k-1", "Mette Holm Østergård", "coordinator", None, "Koordinatorerne")
"""Signed in with the id that stands in the list of coordinators."""


def basis(town: Any, *more: Any) -> str:
    town.ask(town.request(*more))
    found: str = town.open(town.log()[-1], "subject")["basis"]
    return found


def test_a_coordinator_sees_their_own_families_without_a_case_or_a_reason(town: Any) -> None:
    own, other = town.child(case_in=None), town.child(case_in=None)
    assert basis(town, own, COORDINATOR) == "coordinator"
    assert basis(town, other, COORDINATOR) == "no-reason"
    assert basis(town, own, replace(COORDINATOR, role="staff")) == "no-reason"
    assert basis(town, own, replace(COORDINATOR, role="staff coordinator")) == "coordinator"


def test_a_substitute_is_the_coordinator_while_they_stand_in(ctx: Any, town: Any) -> None:
    child = town.child(case_in=None)
    other = Asker("k-9", "Per Dam", "coordinator")
    with ctx.database.begin() as session:
        substitute = add_coordinator(ctx, session, StaffRecord("k-9", "Per Dam"))
        session.get_one(tables.Coordinator, child.coordinator).substitute_id = substitute
    assert basis(town, child, other) == "no-reason"
    with ctx.database.begin() as session:
        session.get_one(tables.Coordinator, child.coordinator).away = True
    assert basis(town, child, other) == "coordinator"


@pytest.mark.parametrize(
    ("leader", "said"),
    [
        (Asker("l-1", "Lis Bro", "leader", "SOF", "Koordinatorerne"), "leads"),
        (Asker("l-1", "Lis Bro", "staff", "SOF", "Koordinatorerne"), "no-reason"),
        (Asker("l-1", "Lis Bro", "leader", "BUF", "Koordinatorerne"), "no-reason"),
        (Asker("l-1", "Lis Bro", "leader", "SOF", "Team Nord"), "no-reason"),
        (Asker("l-1", "Lis Bro", "leader", "SOF", None), "no-reason"),
        (Asker("l-1", "Lis Bro", "leader", None, "Koordinatorerne"), "no-reason"),
    ],
)
def test_a_leader_sees_the_families_of_the_own_team(ctx: Any, town: Any, leader: Asker, said: str) -> None:
    child = town.child(case_in=None)
    record = StaffRecord("k-1", "Mette Holm", unit="Koordinatorerne")
    with ctx.database.begin() as session:
        assert add_coordinator(ctx, session, record, "SOF") == child.coordinator
    assert basis(town, child, leader) == said


def test_a_case_elsewhere_is_a_basis_only_where_the_municipality_is_one_authority(ctx: Any, town: Any) -> None:
    child = town.child(case_in="SOF")
    assert basis(town, child, BUF_STAFF) == "no-reason"
    access = ctx.settings.access.model_copy(update={"one_authority": True})
    town.ctx = replace(ctx, settings=ctx.settings.model_copy(update={"access": access}))
    assert basis(town, child, BUF_STAFF) == "one-authority"


def test_a_case_of_health_is_a_basis_with_consent_only(ctx: Any, town: Any) -> None:
    """Also one that stands there still, such as by a slip in the settings."""
    child = town.child(case_in="SUF")
    nurse = replace(SOF_STAFF, administration="SUF")
    assert basis(town, child, nurse) == "case"  # the yes holds the consent, by these settings
    with ctx.database.begin() as session:
        session.query(tables.Consent).update({"withdrawn_at": ctx.clock.now()})
    assert basis(town, child, nurse) == "no-reason"
    [found] = town.ask(town.request(child, nurse, reason=REASON))
    assert shown(found)
