"""Who may see a child's coordinator: the table, written once more in another way."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.access.policy import BASES, PURPOSES, REASON_AT_LEAST, Decision, Question, decide

ROLES = ("staff", "coordinator", "leader", "auditor", "operator", "guardian", "system", "", "STAFF")
REASON = "Ny skole, hvem ringer vi til?"


@pytest.mark.parametrize(
    ("question", "basis"),
    [
        # A case of one's own administration is enough
        (Question("staff", "case", "case", None, assigned=True), "case"),
        (Question("coordinator", "case", "contact", None, assigned=True), "case"),
        # so is a written reason, and it says so in the log
        (Question("staff", "none", "coordination", REASON, assigned=True), "reason"),
        # a case counts before a reason: nothing to review
        (Question("staff", "case", "case", REASON, assigned=True), "case"),
    ],
)
def test_who_may_see(question: Question, basis: str) -> None:
    assert decide(question) == Decision(True, basis)


@pytest.mark.parametrize(
    ("question", "basis"),
    [
        (Question("staff", "none", "case", None, assigned=True), "no-reason"),
        (Question("staff", "none", "case", "", assigned=True), "no-reason"),
        (Question("staff", "none", "case", "fordi", assigned=True), "no-reason"),
        (Question("staff", "none", "case", " " * 50, assigned=True), "no-reason"),
        (Question("staff", "case", "case", REASON, assigned=False), "no-assignment"),
        (Question("staff", "case", "curiosity", REASON, assigned=True), "no-purpose"),
        (Question("guardian", "case", "case", REASON, assigned=True), "no-role"),
        (Question("auditor", "case", "case", REASON, assigned=True), "no-role"),
    ],
)
def test_who_may_not(question: Question, basis: str) -> None:
    assert decide(question) == Decision(False, basis)


def test_a_reason_has_a_least_length_without_the_space_around_it() -> None:
    just, short = "x" * REASON_AT_LEAST, f"   {'x' * (REASON_AT_LEAST - 1)}   "
    assert decide(Question("staff", "none", "case", just, assigned=True)).see
    assert not decide(Question("staff", "none", "case", short, assigned=True)).see


@given(
    st.sampled_from(ROLES) | st.text(max_size=12),
    st.sampled_from(["case", "none"]),
    st.sampled_from([*PURPOSES, ""]) | st.text(max_size=12),
    st.none() | st.text(max_size=30),
    st.booleans(),
)
def test_nobody_sees_by_another_way(role: str, relation: str, purpose: str, reason: str | None, assigned: bool) -> None:
    decision = decide(Question(role, relation, purpose, reason, assigned=assigned))
    may = (
        role in {"staff", "coordinator"}
        and purpose in PURPOSES
        and assigned
        and (relation == "case" or len((reason or "").strip()) >= REASON_AT_LEAST)
    )
    assert decision.see is may
    assert decision.see is (decision.basis in ("case", "reason"))


def test_every_basis_has_words_for_families() -> None:
    questions = product(ROLES, ("case", "none"), ("case", "x"), (None, REASON), (True, False))
    given_bases = {decide(Question(r, n, p, w, assigned=a)).basis for r, n, p, w, a in questions}
    assert given_bases | {"unreadable"} == set(BASES)
    assert all(BASES.values())
