"""The public samples of MeMo and of receipts, each with what it must be, worked out by hand from what it says.

`standards` (in conftest) finds their folder, or skips."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from lxml import etree
from tovholder_digital_post import DigitalPostSettings, memo, receipts
from tovholder_digital_post.channel import kombi_request

import hub
from hub import DeliveryStatus
from hub.demo.model import Town
from hub.demo.servers import digital_post_order as order
from hub.demo.servers import digital_post_rules as rules

M = f"{{{memo.MEMO}}}"
KEY = "8c2ea15d-61fb-4ba9-9366-42f8b194c114"
EXAMPLES = [f"{version}/{name}" for version in ("1.1", "1.2") for name in (
    "MeMo_Full_Example", "MeMo_Minimum_Example", "MeMo_NemSMS", "MeMo_with_attachment",
)]  # fmt: skip
TABLES = {"1.1": order.MEMO_1_1, "1.2": order.MEMO_1_2}


@pytest.fixture(scope="session")
def schemas(standards: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[etree.XMLSchema]]:
    """By version; of 1.1 there are two, of which one lacks the files that it shares with 1.2."""
    other = tmp_path_factory.mktemp("memo") / "xsd"
    shutil.copytree(standards / "memo/xsd-1.2", other, copy_function=shutil.copyfile)
    shutil.copyfile(standards / "memo/xsd-1.1-mortenm12/MeMo_core.xsd", other / "MeMo_core.xsd")
    folders = {"1.1": [standards / "memo/xsd-1.1", other], "1.2": [standards / "memo/xsd-1.2"]}
    return {
        version: [etree.XMLSchema(etree.parse(folder / "MeMo_core.xsd")) for folder in found]
        for version, found in folders.items()
    }


@pytest.fixture
def example(standards: Path) -> Callable[[str], etree._Element]:
    def read(name: str) -> etree._Element:
        version, _, file = name.partition("/")
        return etree.parse(standards / f"memo/examples-{version}/{file}.xml").getroot()

    return read


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_valid_in_its_own_version_only(
    example: Callable[[str], etree._Element], schemas: dict[str, list[etree.XMLSchema]], name: str
) -> None:
    message = example(name)
    for version, found in schemas.items():
        for schema in found:
            assert schema.validate(message) is (version == name[:3])


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_towns_table_of_the_order_takes_every_example(example: Callable[[str], etree._Element], name: str) -> None:
    order.check(example(name), TABLES[name[:3]])


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_keeps_the_rules_beyond_the_schema(example: Callable[[str], etree._Element], name: str) -> None:
    """All but one: the full example of 1.1 is older than the rule that Action addresses begin with https://."""
    if name == "1.1/MeMo_Full_Example":
        with pytest.raises(hub.BadRecord, match="does not start with https://"):
            memo.check(example(name))
    else:
        memo.check(example(name))


@pytest.mark.parametrize(
    ("name", "verdict"),
    [
        # A real Action to http://; a PDF that is a few letters in base64; an SMS has no body; texts, no PDF.
        ("1.1/MeMo_Full_Example", "action.url.not.allowed"),
        ("1.1/MeMo_Minimum_Example", "file.invalid"),
        ("1.1/MeMo_NemSMS", "memo.invalid"),
        ("1.1/MeMo_with_attachment", "taken"),
        ("1.2/MeMo_Full_Example", "file.invalid"),
        ("1.2/MeMo_Minimum_Example", "file.invalid"),
        ("1.2/MeMo_NemSMS", "memo.invalid"),
        ("1.2/MeMo_with_attachment", "taken"),
    ],
)
def test_what_the_town_says_of_an_example(
    example: Callable[[str], etree._Element], town: Town, name: str, verdict: str
) -> None:
    message = example(name)
    recipient = message.find(f"{M}MessageHeader/{M}Recipient/{M}recipientID")
    assert recipient is not None
    recipient.text = "0107729995"
    uuid = message.findtext(f"{M}MessageHeader/{M}messageUUID") or ""
    sent = rules.read_message(etree.tostring(message), uuid)
    if verdict == "taken":
        rules.check(sent, town.people)
        return
    with pytest.raises(rules.RefusedError) as caught:
        rules.check(sent, town.people)
    assert caught.value.code == verdict


CHANGES: list[dict[str, Any]] = [{}, {"contact": None, "html": "", "actions": (), "language": "en"}]


@pytest.mark.parametrize("version", ["1.1", "1.2"])
@pytest.mark.parametrize("change", CHANGES)
def test_what_we_write_is_valid_in_its_version_as_in_every_schema(
    letter: hub.Letter,
    settings: DigitalPostSettings,
    schemas: dict[str, list[etree.XMLSchema]],
    version: str,
    change: dict[str, Any],
) -> None:
    ours = settings.model_copy(update={"memo_version": version})
    body = kombi_request(replace(letter, **change), KEY, "digital", ours)
    message = etree.fromstring(body).find(f"{M}Message")
    assert message is not None
    for schema in schemas[version]:
        schema.assertValid(message)
    expected = {"memoVersion": "1.1", "memoSchVersion": "1.1.0"} if version == "1.1" else {"memoVersion": "1.2"}
    assert dict(message.attrib) == expected
    for needed in ("mandatory", "legalNotification"):
        assert message.findtext(f"{M}MessageHeader/{M}{needed}") == "false"


SUCCESS = hub.Status(
    key="8853363b-43ec-4d0a-a54d-65447f9447ed",
    status=DeliveryStatus.DELIVERED,
    time=datetime(2023, 2, 13, 11, 22, 5, 154000, UTC),
    route="digital",
)
FAILURE = hub.Status(
    key="33ca98c5-d2ce-43e7-be3a-d5cfde9f6394",
    status=DeliveryStatus.FAILED,
    time=datetime(2023, 2, 13, 12, 4, 12, 845000, UTC),
    route="digital",
    reason="memo.invalid: element mandatory is not allowed where it stands",
)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("PostStatusBeskedModtag.success.xml", SUCCESS),
        ("PostStatusBeskedModtag.error.xml", FAILURE),
        ("PKO_PostStatus.success.decoded.xml", SUCCESS),
        ("PKO_PostStatus.error.decoded.xml", FAILURE),
    ],
)
def test_a_real_receipt_and_what_is_in_it(standards: Path, name: str, expected: hub.Status) -> None:
    assert receipts.read((standards / "sf1601/receipts" / name).read_bytes(), "1") == expected


def test_what_is_in_a_real_receipt_is_the_decoded_one(standards: Path) -> None:
    folder = standards / "sf1601/receipts"
    for kind in ("success", "error"):
        envelope = etree.parse(folder / f"PostStatusBeskedModtag.{kind}.xml")
        inside = base64.b64decode(envelope.findtext(".//{*}Base64") or "")
        assert inside.strip() == (folder / f"PKO_PostStatus.{kind}.decoded.xml").read_bytes().strip()


@pytest.mark.parametrize("kind", ["success", "error"])
def test_a_real_receipt_cut_anywhere_is_told(standards: Path, kind: str) -> None:
    whole = (standards / f"sf1601/receipts/PostStatusBeskedModtag.{kind}.xml").read_bytes().rstrip()
    for cut in range(0, len(whole) - 1, 7):
        assert isinstance(receipts.read(whole[:cut], "1"), hub.Unreadable)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("externTestBesked.xml", type(None)),  # an envelope about something else than post
        ("vaerdiliste_opret.xml", hub.Unreadable),  # no envelopes: calls about lists of values
        ("vaerdiliste_slet.xml", hub.Unreadable),
        ("vaerdiliste_list.xml", hub.Unreadable),
        ("vaerdiliste_tilfoejvaerdier.xml", hub.Unreadable),
    ],
)
def test_another_message_of_beskedfordeler_is_no_receipt(standards: Path, name: str, kind: type) -> None:
    raw = (standards / "sf1601/beskedkuvert-xsd/example_messages" / name).read_bytes()
    assert type(receipts.read(raw, "1")) is kind
