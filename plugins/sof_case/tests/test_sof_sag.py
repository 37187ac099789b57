"""What of a Sag becomes a record, and what never does."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest
from lxml import etree
from tovholder_sof_case import SofAdapter

import hub

Adapting = Callable[..., SofAdapter]
CHANGED = datetime(2026, 2, 10, 11, 30, 0, 250_000, tzinfo=UTC)
EARLY, LATE = "2026-01-05T00:00:00.000+01:00", "2026-02-05T00:00:00.000+01:00"


def presence(adapter: SofAdapter) -> list[hub.Record]:
    return [record for page in adapter.presence(None) for record in page.records]


def cases(adapter: SofAdapter, *children: str) -> list[hub.Record]:
    return [record for page in adapter.read(None, set(children)) for record in page.records]


def ignored(adapter: SofAdapter) -> int:
    return sum(page.ignored for page in adapter.presence(None))


def test_open_case_is_one_presence(make: Any, adapter_of: Adapting) -> None:
    assert presence(adapter_of(make.sag())) == [
        hub.Presence(source_id=make.UUID, cpr=make.CHILD, state=hub.State.APPLIED, changed=CHANGED)
    ]


def test_case_is_index_data_only(make: Any, adapter_of: Adapting) -> None:
    owner = make.actor("Børnehandicap", kind="c5fc3b3b-5197-49ee-92e6-ae6ba1957174", role="ansvarlig")
    assert cases(adapter_of(make.sag(actors=owner + make.actor())), make.CHILD) == [
        hub.CaseRecord(
            source_id=make.UUID,
            cpr=make.CHILD,
            kind="32.18.04",
            state=hub.State.APPLIED,
            opened=date(2026, 1, 5),
            adviser=hub.StaffRecord("b0000000-0000-4000-8000-00000000000b", "Hans Hansen", unit="Børnehandicap"),
            changed=CHANGED,
        )
    ]


def test_only_cases_of_children_asked_for(make: Any, adapter_of: Adapting) -> None:
    assert cases(adapter_of(make.sag()), "0101149998") == []


@pytest.mark.parametrize(
    ("steps", "status", "state"),
    [
        (["Opstaaet"], "", "applied"),
        (["Opstaaet", "Oplyst"], "", "applied"),
        # KOMBIT's pattern AM-01: opened 12-05-2019, informed 22-06-2019, decided 05-08-2019 and on.
        (["Opstaaet", "Oplyst", "Afgjort"], "", "decided"),
        (["Opstaaet", "Oplyst", "Afgjort"], "Bevilget", "decided"),
        (["Opstaaet", "Oplyst", "Afgjort"], "Løbende", "open"),
        # KOMBIT's sample import: a closed case carries Opstaaet until the closing day, and Afsluttet for ever.
        (["Opstaaet", "Afsluttet"], "", "closed"),
    ],
)
def test_state_is_the_step_that_lasts(
    make: Any, adapter_of: Adapting, steps: list[str], status: str, state: str
) -> None:
    days = ["2019-05-12", "2019-06-22", "2019-08-05"]
    ends = [f"{day}T00:00:00.000+02:00" for day in days[1 : len(steps)]] + [None]
    written = [make.step(c, f"{d}T00:00:00.000+02:00", e) for c, d, e in zip(steps, days, ends, strict=False)]
    sag = make.sag(steps="".join(reversed(written)), index=make.index(status=status))
    (case,) = cases(adapter_of(sag), make.CHILD)
    assert isinstance(case, hub.CaseRecord)
    assert (case.state.value, case.opened) == (state, date(2019, 5, 12))
    assert case.closed == (date(2019, 6, 22) if state == "closed" else None)


def test_closed_case_is_gone_from_presence(make: Any, adapter_of: Adapting) -> None:
    steps = make.step("Opstaaet", EARLY, LATE) + make.step("Afsluttet", LATE)
    assert presence(adapter_of(make.sag(steps=steps))) == [hub.Gone(make.UUID, CHANGED)]


def test_case_opened_again_is_present(make: Any, adapter_of: Adapting) -> None:
    steps = make.step("Opstaaet", EARLY, LATE) + make.step("Afsluttet", EARLY, LATE) + make.step("Oplyst", LATE)
    (record,) = presence(adapter_of(make.sag(steps=steps)))
    assert isinstance(record, hub.Presence)


def test_latest_registration_counts(make: Any, adapter_of: Adapting) -> None:
    new = make.registration(time="2026-02-11T00:00:00Z", steps=make.step("Afgjort", LATE))
    old = make.registration(time="2026-02-10T00:00:00Z")
    for order in ((new, old), (old, new)):
        (record,) = presence(adapter_of(make.sag(*order)))
        assert record == hub.Presence(make.UUID, make.CHILD, hub.State.DECIDED, datetime(2026, 2, 11, tzinfo=UTC))


@pytest.mark.parametrize("prefix", ["urn:oio:cpr-nr:", "urn:oio:cpr:", "URN:OIO:CPR-NR:"])
def test_both_spellings_of_the_number(make: Any, adapter_of: Adapting, prefix: str) -> None:
    (record,) = presence(adapter_of(make.sag(parts=make.part(prefix + "040614-9991"))))
    assert isinstance(record, hub.Presence)
    assert record.cpr == "0406149991"


@pytest.mark.parametrize(
    "urn",
    [
        "urn:oio:cvr-nr:12345678",
        "urn:oio:cvr:12345678",
        "12345678",
        "urn:oio:pnr:1234567890",
        "urn:oio:fuldtnavn:Hans Hansen",
        "urn:oio:us:personid:1234567",
    ],
)
def test_case_not_about_a_numbered_person_says_nothing(make: Any, adapter_of: Adapting, urn: str) -> None:
    adapter = adapter_of(make.sag(parts=make.part(urn)))
    assert (presence(adapter), ignored(adapter)) == ([], 0)


def test_secondary_part_is_not_the_child(make: Any, adapter_of: Adapting) -> None:
    adapter = adapter_of(make.sag(parts=make.part(role="unknown")))
    assert (presence(adapter), cases(adapter, make.CHILD)) == ([], [])


def test_unknown_roles_are_ignored(make: Any, adapter_of: Adapting) -> None:
    sag = make.sag(
        actors=make.actor("Else Else", role="unknown") + make.actor(),
        classes=make.klasse("G01", role="unknown") + make.klasse(),
        parts=make.part("urn:oio:cpr-nr:0101149998", role="unknown") + make.part(),
    )
    (case,) = cases(adapter_of(sag), make.CHILD, "0101149998")
    assert isinstance(case, hub.CaseRecord)
    assert case.adviser is not None
    assert (case.cpr, case.kind, case.adviser.name) == (make.CHILD, "32.18.04", "Hans Hansen")


def test_roles_come_from_the_settings(make: Any, adapter_of: Adapting) -> None:
    roles = {"primaer_part": "11111111-1111-4111-8111-111111111111"}
    sag = make.sag(parts=make.part("urn:oio:cpr-nr:0101149998", role="unknown") + make.part())
    (record,) = presence(adapter_of(sag, roles=roles))
    assert isinstance(record, hub.Presence)
    assert record.cpr == "0101149998"


def test_relation_that_ended_does_not_hold(make: Any, adapter_of: Adapting) -> None:
    actors = make.actor("Gammel Rådgiver", until=LATE) + make.actor("Ny Rådgiver", since=LATE)
    (case,) = cases(adapter_of(make.sag(actors=actors)), make.CHILD)
    assert isinstance(case, hub.CaseRecord)
    assert case.adviser is not None
    assert case.adviser.name == "Ny Rådgiver"


@pytest.mark.parametrize(
    ("fields", "id_"),
    [
        # an URN where the case system does not use FK Organisation
        (
            {"reference": "<d:URNIdentifikator>urn:oio:kmd:sag:RACFID:WX-Y</d:URNIdentifikator>"},
            "urn:oio:kmd:sag:RACFID:WX-Y",
        ),
        # a team is not a member of staff
        ({"kind": "c5fc3b3b-5197-49ee-92e6-ae6ba1957174"}, None),
        # nobody is named: by UUID only, the hub would have nobody to name
        ({"name": ""}, None),
    ],
)
def test_adviser_by_reference_and_type(
    make: Any, adapter_of: Adapting, fields: dict[str, str], id_: str | None
) -> None:
    (case,) = cases(adapter_of(make.sag(actors=make.actor(**fields))), make.CHILD)
    assert isinstance(case, hub.CaseRecord)
    assert (case.adviser.source_id if case.adviser else None) == id_


def test_advisers_number_is_never_the_id(make: Any, adapter_of: Adapting) -> None:
    reference = "<d:URNIdentifikator>urn:oio:cpr-nr:0101809996</d:URNIdentifikator>"
    (case,) = cases(adapter_of(make.sag(actors=make.actor(reference=reference))), make.CHILD)
    assert isinstance(case, hub.CaseRecord)
    assert case.adviser is not None
    assert re.fullmatch(r"[0-9a-f-]{36}", case.adviser.source_id)


def test_unlisted_kind_leaves_only_a_count(make: Any, adapter_of: Adapting) -> None:
    # Broken in every other way: still nothing is kept of it, not even in quarantine.
    sag = make.sag(classes=make.klasse("27.27.20"), parts=make.part("urn:oio:cpr-nr:1"), steps="", index="")
    adapter = adapter_of(sag)
    assert (presence(adapter), cases(adapter, make.CHILD), ignored(adapter)) == ([], [], 1)


def test_no_kind_passes_when_the_list_is_empty(make: Any, adapter_of: Adapting) -> None:
    adapter = adapter_of(make.sag(), kinds={})
    assert (presence(adapter), ignored(adapter)) == ([], 1)


def test_case_that_left_the_list_is_gone(make: Any, adapter_of: Adapting) -> None:
    classes = make.klasse(until=LATE) + make.klasse("27.27.20", since=LATE)
    adapter = adapter_of(make.sag(classes=classes))
    assert (presence(adapter), ignored(adapter)) == ([hub.Gone(make.UUID, CHANGED)], 1)
    assert cases(adapter, make.CHILD) == [hub.Gone(make.UUID, CHANGED)]
    assert cases(adapter, "0101149998") == []


def test_case_that_moved_to_another_child_is_gone_for_the_first(make: Any, adapter_of: Adapting) -> None:
    parts = make.part("urn:oio:cpr-nr:0101149998", until=LATE) + make.part(since=LATE)
    adapter = adapter_of(make.sag(parts=parts))
    (record,) = cases(adapter, make.CHILD)
    assert isinstance(record, hub.CaseRecord)
    assert cases(adapter, "0101149998") == [hub.Gone(make.UUID, CHANGED)]


def _profile(make: Any, until: str | None = None) -> str:
    return f"<i:Sikkerhedsprofil>{make.virkning('g:', EARLY, until)}</i:Sikkerhedsprofil>"


@pytest.mark.parametrize("way", ["vip", "new level", "exempt", "exempt until later", "profile"])
def test_secret_case_is_never_told(make: Any, adapter_of: Adapting, way: str) -> None:
    fields = {
        "vip": {"index": make.index("VIP_SAGER")},
        "new level": {"index": make.index("KONGELIGT")},
        "exempt": {"properties": make.properties(exempt=True)},
        "exempt until later": {"properties": make.properties(exempt=True, until="2030-01-01T00:00:00Z")},
        "profile": {"own": _profile(make)},
    }[way]
    adapter = adapter_of(make.sag(**fields))
    assert presence(adapter) == [hub.Gone(make.UUID, CHANGED)]
    assert cases(adapter, make.CHILD) == [hub.Gone(make.UUID, CHANGED)]
    assert cases(adapter, "0101149998") == []


def test_exempt_case_passes_where_the_settings_say_so(make: Any, adapter_of: Adapting) -> None:
    """The exemption is about the public, not about the parties; and no title passes, neither the public one."""
    adapter = adapter_of(make.sag(properties=make.properties(exempt=True)), exempt_pass=True)
    (record,) = cases(adapter, make.CHILD)
    assert isinstance(record, hub.CaseRecord)
    assert "Hemmeligt" not in repr(record)
    assert "Merudgifter" not in repr(record)
    assert presence(adapter_of(make.sag(index=make.index("VIP_SAGER")), exempt_pass=True)) == [
        hub.Gone(make.UUID, CHANGED)
    ]


def test_levels_come_from_the_settings(make: Any, adapter_of: Adapting) -> None:
    adapter = adapter_of(make.sag(), levels=["IKKE_FORTROLIGE_DATA"])
    assert presence(adapter) == [hub.Gone(make.UUID, CHANGED)]
    with pytest.raises(ValueError, match="levels"):
        adapter_of(make.sag(), levels=["VIP_SAGER"])


def test_secrecy_that_ended_is_over(make: Any, adapter_of: Adapting) -> None:
    sag = make.sag(
        properties=make.properties(exempt=True, until=LATE) + make.properties(since=LATE), own=_profile(make, LATE)
    )
    (record,) = presence(adapter_of(sag))
    assert isinstance(record, hub.Presence)


@pytest.mark.parametrize("life", ["Slettet", "Passiveret"])
def test_deleted_case_is_gone(make: Any, adapter_of: Adapting, life: str) -> None:
    empty = make.registration(life=life, properties="", index="", steps="", classes="", parts="")
    adapter = adapter_of(make.sag(empty))
    assert presence(adapter) == [hub.Gone(make.UUID, CHANGED)]
    assert cases(adapter, "0101149998") == [hub.Gone(make.UUID, CHANGED)]


@pytest.mark.parametrize(
    ("reason", "fields"),
    [
        ("UUIDIdentifikator", {"uuid": "12"}),
        ("Primær klasse that holds", {"classes": ""}),
        ("not a KLE subject", {"classes": "32.18.4"}),
        ("Foelsomhed", {"index": ""}),
        ("Fremdrift that holds", {"steps": ""}),
        ("none of Opstaaet", {"steps": "Glemt"}),
        ("ten characters", {"parts": "urn:oio:cpr-nr:12345"}),
        ("a time is not", {"time": "i går"}),
    ],
)
def test_bad_case_is_alone_in_quarantine(make: Any, adapter_of: Adapting, reason: str, fields: dict[str, str]) -> None:
    if fields.get("classes"):
        fields = {"classes": make.klasse(fields["classes"])}
    if fields.get("steps"):
        fields = {"steps": make.step(fields["steps"], EARLY)}
    if fields.get("parts"):
        fields = {"parts": make.part(fields["parts"])}
    good = make.sag(uuid="22220000-0000-4000-8000-000000000002")
    before, bad, after = presence(adapter_of(good, make.sag(**fields), good.replace("2222", "3333")))
    assert isinstance(before, hub.Presence)
    assert isinstance(after, hub.Presence)
    assert isinstance(bad, hub.Unreadable)
    assert reason in bad.reason
    assert bad.position.startswith("a.xml line ")
    assert bad.position.endswith("case 2")
    assert bad.source_id == (None if "uuid" in fields else make.UUID)


def test_case_with_a_number_that_is_none_is_not_taken_for_gone(make: Any, adapter_of: Adapting) -> None:
    """The child's read is complete without the case: Unreadable says that it is there."""
    (bad,) = cases(adapter_of(make.sag(parts=make.part("urn:oio:cpr-nr:12345"))), make.CHILD)
    assert isinstance(bad, hub.Unreadable)
    assert bad.source_id == make.UUID


def test_case_without_registration_is_unreadable(make: Any, adapter_of: Adapting) -> None:
    sag = re.sub("<Registrering>.*</Registrering>", "", make.sag())
    (bad,) = presence(adapter_of(sag))
    assert isinstance(bad, hub.Unreadable)
    assert "Registrering" in bad.reason


def test_quarantine_holds_no_text_name_or_number(make: Any, adapter_of: Adapting) -> None:
    sag = make.sag(
        steps="", actors=make.actor(), parts=make.part() + make.part("urn:oio:cpr-nr:0506809992", role="unknown")
    )
    (bad,) = presence(adapter_of(sag))
    assert isinstance(bad, hub.Unreadable)
    assert etree.fromstring(bad.raw).findtext(".//{*}SagsklasseLokalUdvidelse/{*}BrugervendtNoegle") == "32.18.04"
    assert make.UUID.encode() in bad.raw
    kept = bad.raw + f"{bad.reason} {bad.position}".encode()
    for secret in (make.CHILD, "0506809992", "Asta", "Hansen", "Merudgifter", "Diagnosen", "2025-77"):
        assert secret.encode() not in kept


def test_quarantine_of_a_case_of_unknown_kind_holds_nothing(make: Any, adapter_of: Adapting) -> None:
    (bad,) = presence(adapter_of(make.sag(classes="")))
    assert isinstance(bad, hub.Unreadable)
    assert bad.raw == b""


def test_all_that_passes_is_free_of_case_content(make: Any, adapter_of: Adapting) -> None:
    adapter = adapter_of(make.sag(actors=make.actor()))
    told = repr(list(adapter.presence(None))) + repr(list(adapter.read(None, {make.CHILD})))
    for secret in ("Asta", "Merudgifter", "Diagnosen", "2025-77"):
        assert secret not in told
