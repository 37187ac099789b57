"""Who may see what: the laws of the table, and the table of lookups written once more in another way."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hub.access import table
from hub.access.policy import (
    BASES,
    CONSENTS,
    LOOKUP,
    PURPOSES,
    REASON_AT_LEAST,
    RELATIONS,
    ROLES,
    RULES,
    SWITCHES,
    Decision,
    Question,
    decide,
)

REASON = "Ny skole, hvem ringer vi til?"
YES = frozenset({"accepted"})
EVERY_PURPOSE = sorted(set().union(*(rule.purposes for rule in RULES)))

some = {
    "roles": st.frozensets(st.sampled_from([*ROLES, "", "STAFF", "admin"])),
    "relations": st.frozensets(st.sampled_from(list(RELATIONS))),
    "consents": st.frozensets(st.sampled_from(list(CONSENTS))),
}
questions = st.builds(
    Question,
    purpose=st.sampled_from([*EVERY_PURPOSE, "", "curiosity"]),
    reason=st.none() | st.just(REASON) | st.text(max_size=12),
    blocked=st.booleans(),
    narrowed=st.booleans(),
    **some,
)
switches = st.frozensets(st.sampled_from(list(SWITCHES)))
few = settings(max_examples=300)


def ask(roles: str, relations: str, purpose: str = "case", reason: str | None = None, **more: Any) -> Question:
    return Question(frozenset(roles.split()), purpose, frozenset(relations.split()), YES, reason, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("question", "basis"),
    [
        (ask("staff", "case"), "case"),
        (ask("coordinator", "case", "contact"), "case"),
        (ask("coordinator", "coordinator"), "coordinator"),
        (ask("leader", "leads"), "leads"),
        (ask("staff", "case", reason=REASON), "case"),  # a case counts before a reason: nothing to review
        (ask("guardian", "custody", "own"), "custody"),
        (ask("guardian", "custody", "own", blocked=True), "custody"),
        (ask("young", "self", "own", blocked=True), "own"),
        (ask("staff", "office-task", "task"), "duty"),
        (ask("coordinator", "own-task", "task"), "duty"),
        (ask("staff", "known", "registration"), "registration"),
        (ask("coordinator", "offered", "registration"), "registration"),
        (ask("staff", "case", "notice"), "notice"),
        (ask("source", "told", "notice"), "ended"),
        (ask("source", "case", "journal"), "journal"),
        (ask("auditor", "", "log", blocked=True), "audit"),
        (ask("leader", "leads", "review"), "review"),
        (ask("operator", "", "health"), "operations"),
        (ask("leader", "", "forget"), "retention"),
        (ask("auditor", "", "forget"), "retention"),
        (ask("operator", "", "record", REASON), "operations"),
        (ask("system", "source", "presence"), "match"),
        (ask("system", "source", "cases"), "scheme"),
    ],
)
def test_who_may_see(question: Question, basis: str) -> None:
    assert decide(question) == Decision(True, basis)


def test_a_written_reason_is_enough_and_is_reviewed() -> None:
    assert decide(ask("staff", "", "coordination", REASON)) == Decision(True, "reason", review=True)


@pytest.mark.parametrize(
    ("question", "basis"),
    [
        (ask("staff", ""), "no-reason"),
        (ask("staff", "", reason=""), "no-reason"),
        (ask("staff", "", reason="fordi"), "no-reason"),
        (ask("staff", "", reason=" " * 50), "no-reason"),
        (ask("staff", "coordinator leads"), "no-reason"),  # the role is what makes one a coordinator
        (ask("staff", "elsewhere"), "no-reason"),
        (replace(ask("staff", "case", reason=REASON), consents=frozenset()), "no-assignment"),
        (replace(ask("staff", "case", reason=REASON), consents=frozenset({"health"})), "no-assignment"),
        (ask("staff", "health-case"), "no-reason"),
        (ask("staff", "case", "curiosity", REASON), "no-purpose"),
        (ask("staff", "case", reason=REASON, blocked=True), "blocked"),
        (ask("coordinator", "coordinator", reason=REASON, blocked=True), "blocked"),
        (ask("staff", "case", reason=REASON, narrowed=True), "narrowed"),
        (ask("guardian", "custody", "case", REASON), "no-purpose"),
        (ask("guardian", "case", "own"), "no-relation"),
        (ask("staff", "own-task", "task"), "no-relation"),
        (ask("staff", "case", "task", REASON), "no-relation"),
        (ask("coordinator", "own-task", "task", blocked=True), "blocked"),
        (ask("leader", "office-task", "task"), "no-purpose"),
        (ask("staff", "offered", "registration"), "no-relation"),
        (ask("staff", "known", "registration", blocked=True), "blocked"),
        (ask("auditor", "case", "case", REASON), "no-purpose"),
        (ask("operator", "case", "case", REASON), "no-purpose"),
        (ask("operator", "", "record", "fordi"), "no-reason"),
        (ask("system", "health", "presence"), "no-ground"),
        (ask("system", "health", "cases"), "no-consent"),
        (ask("", "case"), "no-role"),
    ],
)
def test_who_may_not(question: Question, basis: str) -> None:
    assert decide(question) == Decision(False, basis)


def test_a_reason_has_a_least_length_without_the_space_around_it() -> None:
    assert decide(ask("staff", "", reason="x" * REASON_AT_LEAST)).see
    assert not decide(ask("staff", "", reason=f"   {'x' * (REASON_AT_LEAST - 1)}   ")).see


@few
@given(questions, switches)
def test_nobody_is_shown_a_coordinator_by_another_way(question: Question, on: frozenset[str]) -> None:
    """The rows of lookups, written once more."""
    question = replace(question, purpose="contact")
    may = (
        bool(question.roles & {"staff", "coordinator", "leader"})
        and "accepted" in question.consents
        and not question.blocked
        and not question.narrowed
        and (
            "case" in question.relations
            or ("health-case" in question.relations and "health" in question.consents)
            or ("coordinator" in question.relations and "coordinator" in question.roles)
            or ("leads" in question.relations and "leader" in question.roles)
            or ("elsewhere" in question.relations and "one_authority" in on)
            or len((question.reason or "").strip()) >= REASON_AT_LEAST
        )
    )
    assert decide(question, on).see is may


class TestLaws:
    @few
    @given(questions, switches)
    def test_no_basis_nobody_sees(self, question: Question, on: frozenset[str]) -> None:
        """Whoever sees fulfils a row, and that row's basis and no other is what is logged."""
        decision = decide(question, on)
        given_by = [rule for rule in RULES if rule.basis == decision.basis and rule.roles & question.roles]
        assert decision.see is bool(given_by)
        assert not decision.review or (decision.see and question.reason)

    @few
    @given(questions, switches)
    def test_without_relation_or_reason_staff_and_families_see_nothing(self, question: Question, on: Any) -> None:
        stranger = replace(question, relations=frozenset(), reason=None)
        roles = stranger.roles & {"staff", "coordinator", "leader", "guardian", "young", "system"}
        of_nobody = question.purpose == "forget"
        assert of_nobody or not decide(replace(stranger, roles=roles), on).see

    @few
    @given(questions, switches)
    def test_no_yes_no_coordinator_to_see(self, question: Question, on: Any) -> None:
        for purpose in PURPOSES:
            none = replace(question, purpose=purpose, consents=question.consents - {"accepted"})
            assert not decide(none, on).see

    @few
    @given(questions, switches)
    def test_withdrawn_is_not_seen(self, question: Question, on: Any) -> None:
        """What took a consent is not given without it, whichever consent it was."""
        by_consent = {rule.basis for rule in RULES if rule.needs}
        decision = decide(replace(question, consents=frozenset()), on)
        assert not (decision.see and decision.basis in by_consent)

    @few
    @given(questions, switches)
    def test_a_block_beats_all_but_the_family_and_the_auditor(self, question: Question, on: Any) -> None:
        decision = decide(replace(question, blocked=True), on)
        if decision.see:
            assert question.roles & {"guardian", "young", "auditor"}
            assert decision.basis in ("custody", "own", "audit", "review")

    @few
    @given(questions, switches)
    def test_a_block_closes_neither_the_family_nor_the_log(self, question: Question, on: Any) -> None:
        for purpose in ("own", "log"):
            asked = replace(question, purpose=purpose)
            assert decide(replace(asked, blocked=True), on) == decide(replace(asked, blocked=False), on)

    @few
    @given(questions, switches, some["roles"], some["relations"], some["consents"], switches)
    def test_more_never_shows_less(
        self, question: Question, on: Any, roles: Any, relations: Any, consents: Any, turned: Any
    ) -> None:
        more = replace(
            question,
            roles=question.roles | roles,
            relations=question.relations | relations,
            consents=question.consents | consents,
            reason=question.reason if question.reason and len(question.reason.strip()) >= REASON_AT_LEAST else REASON,
            blocked=False,
            narrowed=False,
        )
        assert decide(question, on).see <= decide(more, on | turned).see

    @few
    @given(questions, switches)
    @example(ask("guardian", "custody", "own"), frozenset())
    def test_a_plugin_takes_away_and_gives_nothing(self, question: Question, on: Any) -> None:
        free, narrowed = (decide(replace(question, narrowed=said), on) for said in (False, True))
        assert narrowed == Decision(False, "narrowed")
        assert narrowed.see <= free.see

    @few
    @given(questions)
    def test_what_is_unsure_is_no_until_it_is_switched_on(self, question: Question) -> None:
        first = next((rule for rule in RULES if decide(question) == Decision(True, rule.basis, rule.review)), None)
        assert first is None or first.switch is None


def test_every_basis_has_words_and_every_word_a_use() -> None:
    found = {
        decide(Question(frozenset({role}), purpose, relations, consents, reason, blocked, narrowed), on).basis
        for role, purpose, relations, consents, reason, blocked, narrowed, on in product(
            [*ROLES, ""],
            [*EVERY_PURPOSE, "x"],
            [frozenset(), *(frozenset({relation}) for relation in RELATIONS)],
            [frozenset(), YES, YES | {"health"}],
            (None, REASON),
            (True, False),
            (True, False),
            [frozenset(), frozenset(SWITCHES)],
        )
    }
    assert found | {"unreadable", "pace"} == set(BASES)
    assert all(BASES.values())


def test_every_row_has_its_law_and_uses_words_that_are_explained() -> None:
    for rule in RULES:
        assert rule.law
        assert rule.roles <= ROLES.keys()
        assert rule.relation is None or rule.relation in RELATIONS
        assert rule.needs <= CONSENTS.keys()
        assert rule.switch is None or rule.switch in SWITCHES
        assert rule.purposes == LOOKUP or rule.purposes <= table._PURPOSES.keys()
    assert {rule.switch for rule in RULES} == {None, *SWITCHES}
    assert {role for rule in RULES for role in rule.roles} == set(ROLES)
    assert {rule.relation for rule in RULES} == {None, *RELATIONS}


def test_the_page_is_the_table() -> None:
    kept = Path(__file__).resolve().parents[2] / "docs" / "access.md"
    assert kept.read_text(encoding="utf-8") == table.page(), "run: python -m hub.access.table > docs/access.md"
