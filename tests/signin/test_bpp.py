"""OIO-BPP lists: every way they are written is read; what is not understood gives nothing; nothing hostile hurts."""

from __future__ import annotations

import base64
import textwrap
import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.errors import BadRecord
from hub.signin.bpp import MOST, Group, parse
from tests.bpp_lists import CVR, DIGST, ITST, bpp, group

END = "</PrivilegeGroup>"
READ = "http://tovholder.example/roles/usersystemrole/read/1"
ONE = (Group((READ,), ()),)


def coded(text: str | bytes) -> str:
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


@pytest.mark.parametrize("namespace", [ITST, DIGST])
def test_both_namespaces_of_the_root_are_read(namespace: str) -> None:
    assert parse(bpp(group(READ), namespace=namespace), CVR) == ONE


def test_children_with_the_roots_namespace_are_read_too() -> None:
    qualified = group(READ, KLE="25.*").replace("<", "<bpp:").replace("<bpp:/", "</bpp:")
    assert parse(bpp(qualified), CVR) == parse(bpp(group(READ, KLE="25.*")), CVR)


def test_children_under_a_default_namespace_are_read() -> None:
    text = f'<PrivilegeList xmlns="{DIGST}">{group(READ)}</PrivilegeList>'
    assert parse(coded(text), CVR) == ONE


def test_a_scope_with_a_capital_letter_is_the_same() -> None:
    assert parse(bpp(group(READ, scope=f"urn:dk:gov:saml:CvrNumberIdentifier:{CVR}")), CVR) == ONE


def test_base64_and_values_in_lines_are_read() -> None:
    wrapped = "\n".join(textwrap.wrap(bpp(group(f"\n    {READ}\n  ")), 64))
    assert parse(wrapped, CVR) == ONE


def test_constraints_belong_to_all_privileges_of_their_group_in_any_order() -> None:
    first = group(READ, "b", KLE="25.*,27.18", foelsomhed="3")
    parts = first.replace(f"<Privilege>{READ}</Privilege><Privilege>b</Privilege>", "").replace(
        "</PrivilegeGroup>", f"<Privilege>{READ}</Privilege><Privilege>b</Privilege></PrivilegeGroup>"
    )
    name = "http://sts.kombit.dk/constraints/{}/1".format
    expected = Group((READ, "b"), ((name("KLE"), "25.*,27.18"), (name("foelsomhed"), "3")))
    assert parse(bpp(first, group("c")), CVR) == (expected, Group(("c",), ()))
    assert parse(bpp(parts), CVR) == (expected,)


@pytest.mark.parametrize(
    "scope",
    [
        "urn:dk:gov:saml:cvrNumberIdentifier:87654321",
        "urn:dk:gov:saml:cvrNumberIdentifier:123456789",
        "urn:dk:gov:saml:cvrNumberIdentifier:1234567",
        f"x:urn:dk:gov:saml:cvrNumberIdentifier:{CVR}",
        f"urn:dk:gov:saml:cvrNumberIdentifier:{CVR} {CVR}",
        f"urn:dk:gov:saml:seNumberIdentifier:{CVR}",
        f"urn:dk:gov:saml:productionUnitIdentifier:{CVR}",
        CVR,
        "",
        "*",
    ],
)
def test_what_is_for_another_than_the_municipality_is_left_out(scope: str) -> None:
    assert parse(bpp(group(READ, scope=scope), group("b")), CVR) == (Group(("b",), ()),)


@pytest.mark.parametrize(
    "odd",
    [
        group(READ).replace("</PrivilegeGroup>", "<Denied>x</Denied></PrivilegeGroup>"),
        group(READ).replace(END, '<x:Constraint xmlns:x="urn:x" Name="a">b</x:Constraint>' + END),
        group(READ).replace("<Privilege>", '<Privilege until="2020-01-01">'),
        group(READ).replace("<PrivilegeGroup", '<PrivilegeGroup Until="2020-01-01"'),
        group(READ, KLE=""),
        group(READ, KLE="25.*").replace(' Name="http://sts.kombit.dk/constraints/KLE/1"', ""),
        group(READ, KLE="25.*").replace("25.*", "25<!-- -->.*"),
        group(READ).replace("read", "re<!-- no -->ad"),
        group(READ).replace("read", "re<?no?>ad"),
        group(READ).replace(READ, f"<b>{READ}</b>"),
        group(READ).replace(READ, ""),
        group(),
    ],
)  # fmt: skip
def test_a_group_with_something_nobody_knows_gives_nothing(odd: str) -> None:
    """It may be a limit. The others are not touched by it."""
    assert parse(bpp(odd, group("b")), CVR) == (Group(("b",), ()),)


def test_elements_beside_the_groups_are_passed_over() -> None:
    assert parse(bpp("<Issued>2026</Issued>", "<!-- hello -->", group(READ)), CVR) == ONE


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not base64!",
        "é",
        "abc",
        coded(""),
        coded("hello"),
        coded("<PrivilegeList>" + group(READ) + "</PrivilegeList>"),
        coded(f'<b:PrivilegeList xmlns:b="urn:other">{group(READ)}</b:PrivilegeList>'),
        coded(f'<x><b:PrivilegeList xmlns:b="{ITST}">{group(READ)}</b:PrivilegeList></x>'),
        coded(f'<b:PrivilegeList xmlns:b="{ITST}">{group(READ)}'),
        coded(f'<b:PrivilegeList xmlns:b="{ITST}">{group(READ)}'.encode("utf-16")),
        coded('<?xml version="1.0" encoding="UTF-7"?>+ADw-x/+AD4-'),
        coded(f'<!DOCTYPE x [<!ENTITY a "b">]><b:PrivilegeList xmlns:b="{ITST}">{group("&a;")}</b:PrivilegeList>'),
        coded(
            f'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><b:PrivilegeList xmlns:b="{ITST}">'
            f"{group('&a;')}</b:PrivilegeList>"
        ),
        coded(f'<b:PrivilegeList xmlns:b="{ITST}">' + "<a>" * 400 + "</a>" * 400 + "</b:PrivilegeList>"),
        bpp(*[group(READ)] * 1000),
        "A" * (MOST + 1),
    ],
)
def test_what_is_no_list_is_refused_and_not_repeated(text: str) -> None:
    began = time.monotonic()
    with pytest.raises(BadRecord) as caught:
        parse(text, CVR)
    assert time.monotonic() - began < 2
    assert "passwd" not in str(caught.value)
    assert READ not in str(caught.value)


@given(st.binary(max_size=300))
def test_no_bytes_break_it(data: bytes) -> None:
    with suppress(BadRecord):
        assert parse(coded(data), CVR) == ()


NAMES = st.text("abc:/_-1", min_size=1, max_size=12)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([CVR, "87654321"]),
            st.lists(NAMES, min_size=1, max_size=3),
            st.dictionaries(st.sampled_from(["KLE", "foelsomhed", "orgenhed", "x"]), NAMES, max_size=3),
        ),
        max_size=6,
    ),
    st.sampled_from([ITST, DIGST]),
)
def test_what_is_written_is_what_is_read(groups: list[tuple[str, list[str], dict[str, str]]], namespace: str) -> None:
    written = [group(*p, scope=f"urn:dk:gov:saml:cvrNumberIdentifier:{cvr}", **c) for cvr, p, c in groups]
    expected = tuple(
        Group(tuple(p), tuple((f"http://sts.kombit.dk/constraints/{n}/1", v) for n, v in c.items()))
        for cvr, p, c in groups
        if cvr == CVR
    )
    assert parse(bpp(*written, namespace=namespace), CVR) == expected
