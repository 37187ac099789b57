"""Who somebody is by their claims, and which roles hold under which constraints."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.access.log import Asker
from hub.errors import NotAllowed
from hub.settings import Api, Roles
from hub.signin.person import ORDER, Constraint, HeldRole, Person, person
from tests.bpp_lists import CVR, bpp, group

ID = "7f3a1c52-0b0e-4d53-9e0e-2a51d35a9a10"
OIO, OLD = (
    "https://data.gov.dk/model/core/eid/privilegesIntermediate",
    "dk:gov:saml:attribute:Privileges_intermediate",
)
PREFIX = "http://tovholder.example/roles/usersystemrole"
HOW = Roles.model_validate(
    {
        "roles": {
            "staff": [f"{PREFIX}/lookup-staff/1"],
            "leader": [f"{PREFIX}/team-leader/1"],
            "auditor": [f"{PREFIX}/auditor/1"],
        },
        "administrations": {"Socialforvaltningen": "SOF"},
        "kle": ["27.*", "32.18.04"],
        "sensitivity": ["3"],
    }
)
STAFF, LEADER = f"{PREFIX}/lookup-staff/1", f"{PREFIX}/team-leader/1"


def claims(*groups: str, **more: Any) -> dict[str, Any]:
    return {"sub": ID, "name": "Sanne Toft", "administration": "SOF", "unit": "Nord", OIO: bpp(*groups)} | more


def who(*groups: str, **more: Any) -> Person:
    return person(claims(*groups, **more), HOW, CVR)


def test_a_person_has_the_roles_their_privileges_give() -> None:
    found = who(group(STAFF))
    assert found == Person(ID, "Sanne Toft", "SOF", "Nord", (HeldRole("staff"),))
    assert found.asker() == Asker(ID, "Sanne Toft", "staff", "SOF", "Nord")


def test_privileges_nobody_mapped_give_none() -> None:
    found = who(group("urn:other"))
    assert found.roles == ()
    assert found.asker() is None


def test_an_underscore_is_a_hyphen() -> None:
    assert who(group(STAFF.replace("-", "_"))).roles == (HeldRole("staff"),)


def test_the_older_name_of_the_attribute_is_read() -> None:
    old = {key: value for key, value in claims().items() if key != OIO} | {OLD: bpp(group(STAFF))}
    assert person(old, HOW, CVR).roles == (HeldRole("staff"),)


def test_a_list_of_one_value_is_that_value() -> None:
    assert person(claims() | {OIO: [bpp(group(STAFF))]}, HOW, CVR).roles == (HeldRole("staff"),)


def test_a_role_of_another_municipality_is_none_here() -> None:
    assert who(group(STAFF, scope="urn:dk:gov:saml:cvrNumberIdentifier:87654321")).roles == ()


def test_one_acts_in_the_first_role_unless_asked_for_another() -> None:
    found = who(group(f"{PREFIX}/auditor/1"), group(STAFF, LEADER))
    assert found.asker() == Asker(ID, "Sanne Toft", "leader", "SOF", "Nord")
    assert found.asker("auditor") == Asker(ID, "Sanne Toft", "auditor", "SOF", "Nord", leads=True)
    assert found.asker("operator") is None


@pytest.mark.parametrize(
    ("subject", "holds"),
    [
        ("27.*", True),
        ("27", True),
        ("27.18", True),
        ("27.18.04.*", True),
        ("32", True),
        ("32.18.*", True),
        ("32.18.04", True),
        ("25.*,27.*", True),
        ("25.*", False),
        ("2", False),
        ("270", False),
        ("32.19", False),
        ("32.18.05", False),
        ("*", False),
        ("", False),
        (",", False),
        ("27..*", False),
        (".", False),
    ],
)
def test_a_role_for_other_subjects_than_the_hubs_is_none(subject: str, holds: bool) -> None:
    assert bool(who(group(STAFF, KLE=subject)).roles) is holds


@pytest.mark.parametrize(("value", "holds"), [("3", True), ("1,3", True), ("2", False), ("33", False)])
def test_a_role_for_less_sensitive_data_is_none(value: str, holds: bool) -> None:
    assert bool(who(group(STAFF, foelsomhed=value)).roles) is holds


@pytest.mark.parametrize("constraint", ["KLE", "foelsomhed"])
def test_without_a_list_in_the_settings_a_constraint_takes_the_role_away(constraint: str) -> None:
    how = HOW.model_copy(update={"kle": (), "sensitivity": ()})
    assert person(claims(group(STAFF, **{constraint: "27.*"})), how, CVR).roles == ()


def test_a_constraint_nobody_knows_takes_the_role_away_and_no_other() -> None:
    assert who(group(STAFF, itsystem="x"), group(LEADER)).roles == (HeldRole("leader"),)


def test_constraints_are_kept_with_the_role() -> None:
    found = who(group(STAFF, KLE="27.*, 32.18", orgenhed="Nord,Syd"))
    assert found.roles == (
        HeldRole("staff", (Constraint("kle", ("27.*", "32.18")), Constraint("unit", ("Nord", "Syd")))),
    )
    assert Person.from_json(found.as_json()) == found


def test_a_role_for_another_unit_is_acted_in_as_that_unit() -> None:
    assert who(group(LEADER, orgenhed="Syd,Vest")).asker() == Asker(ID, "Sanne Toft", "leader", "SOF", "Syd")
    assert who(group(LEADER, orgenhed="Syd,Nord")).asker() == Asker(ID, "Sanne Toft", "leader", "SOF", "Nord")


def test_units_that_have_nothing_in_common_are_no_role() -> None:
    two = group(LEADER, orgenhed="Syd").replace(
        "</PrivilegeGroup>",
        '<Constraint Name="http://sts.kombit.dk/constraints/orgenhed/1">Nord</Constraint></PrivilegeGroup>',
    )
    assert who(two).roles == ()


@given(
    st.lists(st.sampled_from(["27.*", "25.*", "3", "1", "Nord", "x"]), min_size=1, max_size=3),
    st.dictionaries(st.sampled_from(["KLE", "foelsomhed", "orgenhed", "itsystem"]), st.just(""), max_size=4),
)
def test_a_constraint_more_never_gives_more(values: list[str], names: dict[str, str]) -> None:
    constraints = {name: ",".join(values) for name in names}
    without = who(group(STAFF, LEADER)).roles
    with_one = who(group(STAFF, LEADER, **constraints)).roles
    assert {held.role for held in with_one} <= {held.role for held in without}
    for left_out in constraints:
        fewer = {name: value for name, value in constraints.items() if name != left_out}
        assert {h.role for h in with_one} <= {h.role for h in who(group(STAFF, LEADER, **fewer)).roles}


@pytest.mark.parametrize(
    "change",
    [
        {"sub": "sanne.toft@kommune.example"},
        {"sub": "stoft"},
        {"sub": None},
        {"sub": 7},
        {"name": None},
        {"name": " "},
        {"name": "x" * 201},
        {"unit": ["Nord"]},
        {OIO: None},
        {OIO: 7},
        {OIO: ["a", "b"]},
        {OIO: "hello"},
    ],
)
def test_claims_that_do_not_say_who_are_refused_without_repeating_them(change: dict[str, Any]) -> None:
    with pytest.raises(NotAllowed) as caught:
        who(group(STAFF), **change)
    assert "sanne" not in str(caught.value).casefold()


@pytest.mark.parametrize("id_", [ID.upper(), f"urn:uuid:{ID}", ID.replace("-", "")])
def test_one_uuid_is_one_person_however_it_is_written(id_: str) -> None:
    assert who(group(STAFF), sub=id_).id == ID


def test_what_the_provider_calls_an_administration_becomes_its_code() -> None:
    assert who(group(STAFF), administration="Socialforvaltningen").administration == "SOF"
    assert who(group(STAFF), administration=None).administration is None


@pytest.mark.parametrize("privileges", ["staff auditor", ["staff", "auditor", "visitor"]])
def test_names_instead_of_a_list_of_privileges(privileges: Any) -> None:
    found = person({"sub": "s-1", "name": "Sanne Toft", "role": privileges}, Api(), "", uuid=False)
    assert [held.role for held in found.roles] == ["staff", "auditor"]


@pytest.mark.parametrize("privileges", [{"staff": 1}, ["staff", 1], 7, None])
def test_names_that_are_no_names_are_refused(privileges: Any) -> None:
    with pytest.raises(NotAllowed):
        person({"sub": "s-1", "name": "Sanne Toft", "role": privileges}, Api(), "", uuid=False)


def test_a_mail_address_is_nobodys_id() -> None:
    with pytest.raises(NotAllowed, match="mail address"):
        person({"sub": "s@kommune.example", "name": "S", "role": "staff"}, Api(), "", uuid=False)


def test_every_role_has_its_place_in_the_order() -> None:
    assert set(ORDER) == set(Api().roles)
