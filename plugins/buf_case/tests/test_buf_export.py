"""What is read from an export, by rule. The examples are made by hand after the schema; what they should give stands
here, worked out by hand."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from tovholder_buf_case import BufAdapter, BufSettings
from tovholder_buf_case.export import Contact, Export, Pupil
from tovholder_buf_case.settings import kind_of

import hub

Make = Callable[..., BufAdapter]
SPECIAL = ["101001", "group:specialklasse *"]
ALMA, BO, FINN, GERDA = "0104149990", "6705159992", "0909159991", "1010159994"


def presences(adapter: BufAdapter) -> list[hub.Record]:
    return [record for page in adapter.presence(None) for record in page.records]


def cases(adapter: BufAdapter, *children: str) -> dict[str, hub.CaseRecord]:
    records = [record for page in adapter.read(None, set(children)) for record in page.records]
    return {record.cpr: record for record in records if isinstance(record, hub.CaseRecord)}


@pytest.fixture
def adapter(from_folder: Make, examples: Path) -> BufAdapter:
    return from_folder(examples, kinds=SPECIAL)


def edited(folder: Path, examples: Path, *changes: tuple[str, str], name: str = "101001.xml") -> Path:
    text = (examples / name).read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return folder


def test_pupils_of_listed_institutions_and_groups_are_present(adapter: BufAdapter) -> None:
    found = {record.cpr: record.state for record in presences(adapter) if isinstance(record, hub.Presence)}
    assert found == {ALMA: hub.State.OPEN, BO: hub.State.OPEN, FINN: hub.State.OPEN}


def test_parents_employees_and_externals_never_become_a_child(adapter: BufAdapter) -> None:
    others = {"0202829988", "0303159993", "0505809981", "0606809984", "0707809987", "0808109996"}
    assert not others & {record.cpr for record in presences(adapter) if isinstance(record, hub.Presence)}
    assert cases(adapter, *others) == {}


def test_pupils_without_a_usable_number_go_to_quarantine(adapter: BufAdapter) -> None:
    found = [record for record in presences(adapter) if isinstance(record, hub.Unreadable)]
    assert [record.position for record in found] == [f"institution 101001, InstitutionPerson {n}" for n in (3, 4, 5)]
    reasons = [record.reason for record in found]
    assert "type of number" in reasons[0]
    assert "no CPR number" in reasons[1]
    assert "no Person" in reasons[2]


def test_quarantine_holds_nothing_of_parents_and_no_address(adapter: BufAdapter) -> None:
    raw = b"".join(record.raw for record in presences(adapter) if isinstance(record, hub.Unreadable)).decode()
    assert "cill1234" in raw
    for hidden in ("Faderlig", "0505809981", "Hemmelig", "ContactPerson"):
        assert hidden not in raw


def test_a_reason_says_nothing_about_the_person(adapter: BufAdapter) -> None:
    for record in presences(adapter):
        if isinstance(record, hub.Unreadable):
            said = record.position + record.reason
            assert not any(word in said for word in ("Cilla", "Dorte", "cill", "1212129999"))


def test_other_pupils_are_counted_and_leave_no_trace(adapter: BufAdapter) -> None:
    pages = list(adapter.presence(None))
    assert sum(page.ignored for page in pages) == 2  # Gerda and Hugo of the ordinary class
    assert GERDA not in repr(pages)


def test_an_empty_list_of_kinds_lets_nothing_pass(from_folder: Make, examples: Path) -> None:
    pages = list(from_folder(examples, kinds=[]).presence(None))
    assert [page.records for page in pages] == [()]
    assert pages[-1].complete
    assert pages[-1].ignored == 8


def test_source_id_is_the_enrolment_without_number_or_name(adapter: BufAdapter) -> None:
    ids = [record.source_id for record in presences(adapter) if isinstance(record, hub.Presence)]
    assert len(set(ids)) == 3
    for found in ids:
        assert found.partition(":")[0] in ("101001", "201001")
        assert not any(part in found for part in ("alma", "bopr", "finn", "0104149990"))


def test_source_id_stays_when_the_number_is_corrected(from_folder: Make, examples: Path, tmp_path: Path) -> None:
    def bo(adapter: BufAdapter, number: str) -> str:
        found = {record.cpr: record.source_id for record in presences(adapter) if isinstance(record, hub.Presence)}
        return found[number]

    changed = edited(tmp_path, examples, ("670515-9992", "0705159990"), ("CPR_REPLACEMENT_ID", "CPR_VERIFIED"))
    assert bo(from_folder(examples, kinds=SPECIAL), BO) == bo(from_folder(changed, kinds=["101001"]), "0705159990")


def test_case_says_kind_first_day_and_adviser(adapter: BufAdapter) -> None:
    found = cases(adapter, ALMA, FINN)
    assert found[ALMA].kind == "101001"
    assert found[ALMA].opened == date(2025, 8, 11)  # main group H1
    assert found[FINN].kind == "group:specialklasse *"
    assert found[FINN].opened == date(2026, 8, 1)
    assert found[FINN].adviser is not None
    assert found[FINN].adviser.name == "Inger Kontakt"


def test_opened_is_unknown_where_the_group_has_no_first_day(adapter: BufAdapter) -> None:
    assert cases(adapter, BO)[BO].opened is None


def test_read_gives_only_the_children_asked_for(adapter: BufAdapter) -> None:
    pages = list(adapter.read(None, {ALMA}))
    records = [record for page in pages for record in page.records]
    assert [record.cpr for record in records if isinstance(record, hub.CaseRecord)] == [ALMA]
    assert "bopr" not in repr(pages)


def test_read_tells_of_pupils_who_are_there_without_a_number(adapter: BufAdapter) -> None:
    """Else a child whose number the school has lost would be gone for the hub, with the case."""
    told = [record for page in adapter.read(None, {ALMA}) for record in page.records]
    present = [record for record in presences(adapter) if isinstance(record, hub.Unreadable)]
    assert [record for record in told if isinstance(record, hub.Unreadable)] == present
    assert [record.source_id is not None for record in present] == [True, True, False]


def test_adviser_is_the_contact_of_the_pupils_group(adapter: BufAdapter) -> None:
    """Ellen has Alma's team and goes before Hans of the whole school, though his occupation stands first."""
    adviser = cases(adapter, ALMA)[ALMA].adviser
    assert adviser == hub.StaffRecord(
        source_id="elle1234",  # her LocalPersonId looks like a CPR number
        name="Ellen Alias",
        email="ellen@skole.example.dk",
        phone="33660001",
        unit="Skolen ved Åen",
    )


def test_adviser_of_the_whole_school_where_no_group_has_one(adapter: BufAdapter) -> None:
    adviser = cases(adapter, BO)[BO].adviser
    assert adviser is not None
    assert (adviser.source_id, adviser.name) == ("7c0d3a52-2a0e-4f4b-9a77-0d5f6ce40a11", "Hans Helskole")
    assert adviser.phone is None  # protected


def test_a_protected_employee_is_named_by_alias_or_not_at_all(
    from_folder: Make, examples: Path, tmp_path: Path
) -> None:
    names = "<c:FirstName>Ellen</c:FirstName>"
    person = '<fm:Person protected="false">\n        '
    ellen = (person + names, person.replace("false", "true") + names)
    alias = from_folder(edited(tmp_path / "alias", examples, ellen), kinds=["101001"])
    adviser = cases(alias, ALMA)[ALMA].adviser
    assert adviser is not None
    assert adviser.name == "Alias"
    no_alias = ("        <fm:AliasFamilyName>Alias</fm:AliasFamilyName>\n", "")
    unnamed = from_folder(edited(tmp_path / "none", examples, ellen, no_alias), kinds=["101001"])
    adviser = cases(unnamed, ALMA)[ALMA].adviser
    assert adviser is not None
    assert adviser.name == "Hans Helskole"


def test_no_adviser_without_a_listed_occupation(from_folder: Make, examples: Path) -> None:
    adapter = from_folder(examples, kinds=SPECIAL, contact_occupations=("Tovholder",))
    assert cases(adapter, ALMA)[ALMA].adviser is None


def test_a_role_on_the_list_makes_a_contact_too(from_folder: Make, examples: Path) -> None:
    adviser = cases(from_folder(examples, kinds=SPECIAL, contact_occupations=("lærer",)), ALMA)[ALMA].adviser
    assert adviser is not None
    assert adviser.name == "Lars Lærer"


def test_where_a_child_stays_stands_only_in_the_unit(adapter: BufAdapter) -> None:
    case = cases(adapter, ALMA)[ALMA]
    assert repr(case).count("Skolen ved Åen") == 1
    assert case.adviser is not None
    assert case.adviser.unit == "Skolen ved Åen"


def test_nothing_of_parents_leaves_the_adapter(adapter: BufAdapter) -> None:
    out = repr([*adapter.presence(None), *adapter.read(None, {ALMA, BO, FINN})])
    for hidden in ("Moder", "mor@", "Hemmelig", "2000000", "0202829988", "Søskende", "0303159993", "Efternavn"):
        assert hidden not in out


def export_with(contacts: list[Contact]) -> Export:
    made = Export()
    for contact in contacts:
        made.add(contact)
    return made


@given(
    groups=st.lists(st.sampled_from("ABC"), unique=True, max_size=3),
    contacts=st.lists(
        st.tuples(st.integers(0, 1), st.sets(st.sampled_from("ABCD"), max_size=2), st.integers(0, 99)),
        max_size=5,
        unique_by=lambda contact: contact[2],
    ),
)
def test_the_nearest_contact_is_chosen_whatever_the_order(
    groups: list[str], contacts: list[tuple[int, set[str], int]]
) -> None:
    pupil = Pupil("x", "x", "101001", tuple(groups), None, "")
    made = [
        Contact(rank, f"u{number:02}", frozenset(own), hub.StaffRecord(f"u{number:02}", "N"))
        for rank, own, number in contacts
    ]
    chosen = export_with(made).adviser(pupil)
    assert chosen == export_with(made[::-1]).adviser(pupil)
    by_id = {contact.user_id: contact for contact in made}
    for group in groups:  # main group first
        here = [contact for contact in made if group in contact.groups]
        if here:
            assert chosen is not None
            best = min((contact.rank, contact.user_id) for contact in here)
            assert (by_id[chosen.source_id].rank, chosen.source_id) == best
            return
    assert (chosen is None) == all(contact.groups for contact in made)


@pytest.mark.parametrize(
    ("kinds", "number", "groups", "expected"),
    [
        (["101001"], "101001", [], "101001"),
        (["101001"], "201001", ["101001"], None),  # a group's name is no institution number
        (["group:Special*", "201001"], "201001", ["Specialklasse 1"], "201001"),  # the institution goes first
        (["group:Special*"], "201001", ["SPECIALKLASSE 1"], "group:Special*"),  # case does not matter
        (["group:S?", "group:S*"], "201001", ["Specialhold", "S1"], "group:S?"),  # order of the settings
        (["group:Special*"], "201001", ["3. special"], None),  # the whole name must fit
        ([], "101001", ["Specialklasse 1"], None),
    ],
)
def test_kind_of_a_pupil(kinds: list[str], number: str, groups: list[str], expected: str | None) -> None:
    assert kind_of(kinds, number, groups) == expected


@pytest.mark.parametrize("key", ["group:", "group:  ", "Skolen ved Åen", "10100", "1010011"])
def test_a_key_that_is_no_kind_is_refused_with_a_remedy(key: str, tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="write an institution number of six characters"):
        BufSettings(folder=tmp_path, kinds={key: hub.Kind(name="Specialskole")})


def test_a_pupil_in_a_past_special_class_is_ignored(adapter: BufAdapter) -> None:
    assert cases(adapter, GERDA) == {}


def test_two_pupils_with_one_user_id_are_not_mixed_up(from_folder: Make, examples: Path, tmp_path: Path) -> None:
    adapter = from_folder(edited(tmp_path, examples, ("bopr1234", "alma1234")), kinds=["101001"])
    found = presences(adapter)
    assert [record.cpr for record in found if isinstance(record, hub.Presence)] == [ALMA]
    assert any("same UserId" in record.reason for record in found if isinstance(record, hub.Unreadable))


def test_the_same_pupil_twice_counts_once(from_folder: Make, examples: Path, tmp_path: Path) -> None:
    same = (("bopr1234", "alma1234"), ("670515-9992", ALMA))
    adapter = from_folder(edited(tmp_path, examples, *same), kinds=["101001"])
    assert [record.cpr for record in presences(adapter) if isinstance(record, hub.Presence)] == [ALMA]


def test_a_group_with_an_impossible_date_spoils_its_own_cases_only(
    from_folder: Make, examples: Path, tmp_path: Path
) -> None:
    adapter = from_folder(edited(tmp_path, examples, ("2025-08-11", "2025-13-11")), kinds=["101001"])
    found = [record for page in adapter.read(None, {ALMA, BO}) for record in page.records]
    assert isinstance(found[0], hub.Unreadable)
    assert "FromDate" in found[0].reason
    assert isinstance(found[1], hub.CaseRecord)
    assert len([record for record in presences(adapter) if isinstance(record, hub.Presence)]) == 2
