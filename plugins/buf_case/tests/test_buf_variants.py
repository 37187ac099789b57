"""Every variant of wsieksport v7, and who in it is a child: pupils with a number that says who they are, and nobody
else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import ValidationError
from tovholder_buf_case import BufAdapter, BufSettings
from tovholder_buf_case.settings import Variant
from tovholder_buf_case.wire import BPI, COMMON, WSI

import hub
from hub.clock import SetClock
from hub.demo.model import Town
from hub.demo.servers import buf
from hub.testing import Front
from hub.testing.front import running

Make = Callable[..., BufAdapter]
Text = Callable[..., str]
ALMA, BO, MOTHER = "0104149990", "0205139991", "0202829988"
REPLACEMENT = "6104149992"


def flat(pages: list[hub.Page]) -> list[hub.Record]:
    return [record for page in pages for record in page.records]


@pytest.fixture
def read(from_folder: Make, tmp_path: Path) -> Callable[..., list[hub.Record]]:
    """What presence gives of these exports; `children` asks for their cases instead."""

    def read(*exports: str, kinds: tuple[str, ...] = ("101001",), children: set[str] | None = None) -> list[hub.Record]:
        for number, text in enumerate(exports):
            (tmp_path / f"{number}.xml").write_text(text, encoding="utf-8")
        adapter = from_folder(tmp_path, kinds=list(kinds))
        return flat(list(adapter.presence(None) if children is None else adapter.read(None, children)))

    return read


def numbers(records: list[hub.Record]) -> list[str]:
    return [record.cpr for record in records if isinstance(record, hub.Presence | hub.CaseRecord)]


def told(records: list[hub.Record]) -> list[hub.Unreadable]:
    return [record for record in records if isinstance(record, hub.Unreadable)]


@pytest.mark.parametrize("variant", [buf.Variant.FULD, buf.Variant.MELLEM])
def test_variants_with_numbers_say_the_same(
    variant: buf.Variant, town: Town, from_folder: Make, cpr: dict[str, str], tmp_path: Path
) -> None:
    """Mellem has no phones; else nothing that the hub reads is different."""
    buf.save(town, town.start, tmp_path / "most")
    buf.save(town, town.start, tmp_path / "this", variant)
    most, this = from_folder(tmp_path / "most"), from_folder(tmp_path / "this")
    assert flat(list(this.presence(None))) == flat(list(most.presence(None)))
    assert len(numbers(flat(list(this.presence(None))))) == 4
    expected = flat(list(most.read(None, set(cpr.values()))))
    if variant is buf.Variant.MELLEM:
        expected = [
            replace(case, adviser=case.adviser and replace(case.adviser, phone=None))
            for case in expected
            if isinstance(case, hub.CaseRecord)
        ]
    assert flat(list(this.read(None, set(cpr.values())))) == expected


def test_lille_has_no_numbers_and_is_told(town: Town, from_folder: Make, tmp_path: Path) -> None:
    """It names children, and who bears that name nobody can tell."""
    buf.save(town, town.start, tmp_path, buf.Variant.LILLE)
    pages = list(from_folder(tmp_path).presence(None))
    assert numbers(flat(pages)) == []
    reasons = {record.position: record.reason for record in told(flat(pages))}
    for number in town.institutions:
        assert "no CPR numbers: export Mellem, Fuld or FuldMyndighed" in reasons[f"file {number}.xml"]
    assert not pages[-1].complete


def test_lille_beside_a_variant_with_numbers_does_no_harm(town: Town, from_folder: Make, tmp_path: Path) -> None:
    buf.save(town, town.start, tmp_path / "a", buf.Variant.MELLEM)
    buf.save(town, town.start, tmp_path / "b", buf.Variant.LILLE)
    pages = list(from_folder(tmp_path).presence(None))
    assert len(numbers(flat(pages))) == 4
    assert told(flat(pages)) == []
    assert pages[-1].complete


@pytest.fixture
def front(town: Town) -> Front:
    with running() as front:
        front.serve(buf.app(town, SetClock(town.start)))
        yield front


@pytest.mark.parametrize("variant", list(Variant))
def test_the_service_is_asked_for_the_variant_in_the_settings(variant: Variant, front: Front, town: Town) -> None:
    kinds = {"101001": {"name": "Specialskole"}}
    adapter = BufAdapter(BufSettings.model_validate({"url": front.url, "kinds": kinds, "variant": variant}))
    assert sorted(numbers(flat(list(adapter.presence(None))))) == [ALMA, BO]
    adapter.close()
    asked = [request.body.decode() for request in front.requests]
    assert f"hentDataAftaler{variant}" in asked[0]
    assert all(f"eksporterXml{variant}" in body for body in asked[1:])
    assert len(asked) == 1 + len(town.institutions)
    assert all(("inkluderKontaktpersoner>false" in body) == (variant is not Variant.MELLEM) for body in asked[1:])


def test_lille_cannot_be_asked_for() -> None:
    with pytest.raises(ValidationError, match="FuldMyndighed"):
        BufSettings.model_validate({"url": "https://example.dk", "variant": "Lille"})


@pytest.mark.parametrize("custody", ["true", "false", "1", "0"])
@pytest.mark.parametrize("variant", ["fullmyndighed", "full"])
def test_a_contact_person_is_no_child_and_no_guardian(
    custody: str, variant: str, read: Callable[..., list[hub.Record]], make_pupil: Text, make_export: Text
) -> None:
    """Custody comes from CPR. A contact person may have a child's number: an older sister, or a slip."""
    contact = (
        f'<e:ContactPerson relation="Andet" childCustody="{custody}" accessLevel="1"><e:Person protected="true">'
        "<c:FirstName>Søs</c:FirstName><c:FamilyName>Søster</c:FamilyName><c:UserId>soes1</c:UserId>"
        f"<c:CivilRegistrationNumber>{BO}</c:CivilRegistrationNumber></e:Person></e:ContactPerson>"
    )
    text = make_export("101001", make_pupil(ALMA, student=contact), variant=variant)
    for records in (read(text), read(text, children={ALMA, BO, MOTHER})):
        assert numbers(records) == [ALMA]
        assert len(records) == 1
        assert "Søs" not in repr(records)


@pytest.mark.parametrize("protected", [True, False])
@pytest.mark.parametrize("number", [ALMA, None])
def test_nothing_tells_where_a_pupil_lives(
    protected: bool, number: str | None, read: Callable[..., list[hub.Record]], make_pupil: Text, make_export: Text
) -> None:
    """Also not the quarantine, and whether protected or not: the hub has no use for it."""
    secret = (
        "<c:EmailAddress>hemmelig@example.dk</c:EmailAddress><c:PhotoId>hemmelig-foto</c:PhotoId>"
        "<c:Address><c:StreetAddress>Hemmelig Allé 7</c:StreetAddress></c:Address>"
        + "".join(
            f'<c:{name}PhoneNumber protected="{str(protected).lower()}">99887766</c:{name}PhoneNumber>'
            for name in ("Home", "Work", "Mobile")
        )
        + '<x:Hideout xmlns:x="urn:new">Hemmelig Allé 7</x:Hideout>'
    )
    person = make_pupil(
        number, "u1", protected=protected, person=secret, student="<c:Location>Hemmelig fløj</c:Location>"
    )
    text = make_export("101001", person)
    for records in (read(text), read(text, children={ALMA})):
        assert len(records) == 1
        said = repr(records).casefold()
        assert "hemmelig" not in said
        assert "99887766" not in said
        assert "Efternavnsen".casefold() not in said


@pytest.mark.parametrize(
    ("kind", "number", "reason"),
    [
        ("CPR_VERIFIED", ALMA, None),
        ("CPR_UNVERIFIED", ALMA, None),  # as the school has it; the hub checks that it can be a number
        ("", ALMA, None),  # the type may be left out
        ("CPR_REPLACEMENT_ID", REPLACEMENT, None),  # given by an authority: its day is 60 higher
        ("CPR_REPLACEMENT_ID", ALMA, "no authority has given"),  # the school's own, and perhaps another child's
        ("CPR_REPLACEMENT_ID", "010414AB12", "no authority has given"),
        ("CPR_UNKNOWN_TYPE", ALMA, "what type of number"),
        ("CPR_FROM_THE_FUTURE", ALMA, "what type of number"),
        ("CPR_VERIFIED", None, "no CPR number"),
        ("CPR_VERIFIED", "", "no CPR number"),
    ],
)
def test_types_of_number(
    kind: str, number: str | None, reason: str | None,
    read: Callable[..., list[hub.Record]], make_pupil: Text, make_export: Text,
) -> None:  # fmt: skip
    text = make_export("101001", make_pupil(number, "u1", kind=kind))
    (record,) = read(text)
    if reason is None:
        assert isinstance(record, hub.Presence)
        assert record.cpr == number
    else:
        assert isinstance(record, hub.Unreadable)
        assert reason in record.reason
        assert record.position == "institution 101001, InstitutionPerson 1"
    # The same id with a readable number and without: what the hub knew of the pupil stays.
    (readable,) = read(make_export("101001", make_pupil(BO, "u1")))
    assert isinstance(readable, hub.Presence)
    assert record.source_id == readable.source_id


def test_a_pupil_without_user_id_is_known_by_student_number(
    read: Callable[..., list[hub.Record]], make_pupil: Text, make_export: Text
) -> None:
    def with_number(cpr: str | None, student_number: str) -> hub.Record:
        student = f"<c:StudentNumber>{student_number}</c:StudentNumber>"
        (record,) = read(make_export("101001", make_pupil(cpr, "", student=student)))
        return record

    first, corrected, lost, other = (with_number(*pair) for pair in ((ALMA, "17"), (BO, "17"), (None, "17"), (BO, "8")))
    assert isinstance(first, hub.Presence)
    assert isinstance(lost, hub.Unreadable)
    assert first.source_id == corrected.source_id == lost.source_id != other.source_id
    by_cpr = with_number(ALMA, ALMA)
    assert isinstance(by_cpr, hub.Unreadable), "a digest of a CPR number is no better than the number"
    assert by_cpr.source_id is None


@pytest.mark.parametrize("role", ["Barn", "Elev", "Studerende"])
@pytest.mark.parametrize("group", ["Hovedgruppe", "Årgang", "Retning", "Hold", "SFO", "Team", "Andet"])
def test_every_role_and_type_of_group_counts(
    role: str, group: str, read: Callable[..., list[hub.Record]], make_pupil: Text, make_export: Text
) -> None:
    text = make_export(
        "201001", make_pupil(ALMA, role=role, groups=("3A", "Special 1")), make_pupil(BO, role=role, groups=("3A",)),
        groups={"3A": "Hovedgruppe", "Special 1": group},
    )  # fmt: skip
    assert numbers(read(text, kinds=("group:Special*",))) == [ALMA]


def test_a_person_in_two_institutions_is_one_child_with_two_enrolments(
    read: Callable[..., list[hub.Record]], make_pupil: Text, make_export: Text
) -> None:
    exports = [make_export(number, make_pupil(ALMA, "u1")) for number in ("101001", "101002")]
    records = read(*exports, kinds=("101001", "101002"))
    assert numbers(records) == [ALMA, ALMA]
    assert len({record.source_id for record in records if isinstance(record, hub.Presence)}) == 2
    cases = read(*exports, kinds=("101001", "101002"), children={ALMA})
    assert [case.kind for case in cases if isinstance(case, hub.CaseRecord)] == ["101001", "101002"]


def test_a_saved_answer_is_read_like_an_export(
    read: Callable[..., list[hub.Record]], make_pupil: Text, make_export: Text
) -> None:
    soap = "http://www.w3.org/2003/05/soap-envelope"
    answer = (
        f'<s:Envelope xmlns:s="{soap}"><s:Header/><s:Body><w:eksporterXmlFuldResponse xmlns:w="{WSI}"><w:xml>'
        f"{make_export('101001', make_pupil(ALMA), variant='full')}</w:xml></w:eksporterXmlFuldResponse></s:Body>"
        "</s:Envelope>"
    )
    assert numbers(read(answer)) == [ALMA]
    fault = f'<s:Envelope xmlns:s="{soap}"><s:Body><s:Fault><s:Code/></s:Fault></s:Body></s:Envelope>'
    assert "a refusal" in told(read(fault))[0].reason


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('exportDateTime="2026-09-02T04:00:00Z"', "", "exportDateTime"),
        ("2026-09-02T04:00:00Z", "i går", "exportDateTime"),
        (">101001<", "><", "no number"),
        ("</e:Institution>",
         "</e:Institution><e:Institution><c:InstitutionNumber>2</c:InstitutionNumber></e:Institution>",
         "more than one institution"),
        ("<c:InstitutionNumber>101001</c:InstitutionNumber>", "", "neither"),
    ],
)  # fmt: skip
def test_an_export_that_does_not_say_what_it_is_is_told(
    old: str, new: str, reason: str, read: Callable[..., list[hub.Record]], make_pupil: Text, make_export: Text
) -> None:
    text = make_export("101001", make_pupil(ALMA))
    assert old in text
    records = read(text.replace(old, new))
    assert numbers(records) == []
    assert any(reason in record.reason for record in told(records))


def test_persons_before_the_institutions_number_are_nobodys(
    read: Callable[..., list[hub.Record]], make_pupil: Text
) -> None:
    text = (
        f'<e:UNILoginExportFull xmlns:e="{WSI}/full" xmlns:c="{COMMON}" xmlns:b="{BPI}" '
        f'exportDateTime="2026-09-02T04:00:00Z"><e:Institution>{make_pupil(ALMA)}'
        "<c:InstitutionNumber>101001</c:InstitutionNumber></e:Institution></e:UNILoginExportFull>"
    )
    records = read(text)
    assert numbers(records) == []
    assert told(records)[0].position == "institution 101001"
