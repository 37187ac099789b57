"""XML of every kind that should not be believed."""

from __future__ import annotations

import io
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub import TryAgain, xml_elements
from hub.reading.xml import RECORD_LIMIT

ROOT = "<all><r>1</r><r>2</r></all>"
DECLARED = '<?xml version="1.0" encoding="{}"?>'


def texts(data: bytes | str) -> list[str | None]:
    stream = io.BytesIO(data.encode() if isinstance(data, str) else data)
    return [element.text for element in xml_elements(stream, "r")]


@pytest.mark.parametrize(
    "data",
    [
        ROOT.encode(),
        b"\xef\xbb\xbf" + ROOT.encode(),
        ROOT.encode("utf-16"),
        b"\xfe\xff" + ROOT.encode("utf-16-be"),
        (DECLARED.format("ISO-8859-1") + ROOT).encode("latin-1"),
        (DECLARED.format("windows-1252") + ROOT).encode("cp1252"),
        (DECLARED.format("UTF-16") + ROOT).encode("utf-16"),
        ("<!-- <!DOCTYPE x> -->\n<?pi <!DOCTYPE ?>" + ROOT).encode(),
        (ROOT + "<!-- after -->").encode(),
    ],
)
def test_honest_xml_is_read(data: bytes) -> None:
    assert texts(data) == ["1", "2"]


def test_letters_are_read_in_the_encoding_that_is_declared() -> None:
    assert texts((DECLARED.format("windows-1252") + "<r>Åse “Ø”</r>").encode("cp1252")) == ["Åse “Ø”"]


def test_a_letter_split_between_two_pieces_is_one_letter() -> None:
    for before in range(32_750, 32_790):
        assert texts("<all>" + "x" * before + "<r>æøå</r></all>") == ["æøå"]


DOCTYPES = [
    '<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]><r>&x;</r>',
    '<!DOCTYPE r SYSTEM "http://127.0.0.1:9/x.dtd"><r>1</r>',
    '<!DOCTYPE r [<!ENTITY % x SYSTEM "file:///etc/passwd"> %x;]><r>1</r>',
    "<!DOCTYPE r ["
    + "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10 if n else "ha"}">' for n in range(10))
    + "]><r>&e9;</r>",
    f'<!DOCTYPE r [<!ENTITY x "{"a" * 50_000}">]><r>{"&x;" * 50_000}</r>',
    '<!DOCTYPE r [<!ATTLIST r a CDATA "default">]><r>1</r>',
    "<!-- c --><?pi x?>\n<!DOCTYPE r><r>1</r>",
    "<!DOCTYPE r [<!-- " + "x" * 200_000,
]


@pytest.mark.parametrize("text", DOCTYPES)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_document_type_is_refused_before_it_is_parsed(text: str, encoding: str) -> None:
    with pytest.raises(TryAgain, match="document type"):
        texts(text.encode(encoding))


def test_a_file_of_this_machine_is_never_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("<r>secret</r>")
    include = f'<all xmlns:xi="http://www.w3.org/2001/XInclude"><xi:include href="{tmp_path}/secret"/><r>1</r></all>'
    assert texts(include) == ["1"]


@pytest.mark.parametrize(
    "data",
    [
        ROOT.encode("utf-16-le"),
        ROOT.encode("utf-16-be"),
        ROOT.encode("utf-32"),
        (DECLARED.format("UTF-7") + ROOT).encode("ascii"),
        (DECLARED.format("IBM037") + ROOT).encode("ascii"),
        (DECLARED.format("utf-8") + ROOT).encode("utf-16-le"),
    ],
)
def test_an_encoding_in_which_a_document_type_could_hide_is_refused(data: bytes) -> None:
    with pytest.raises(TryAgain):
        texts(data)


@pytest.mark.parametrize(
    "data",
    [
        (DECLARED.format("utf-8") + "<all><r>1</r><r>Åse</r></all>").encode("cp1252"),
        b"<all><r>1</r><r>\xff\xfe</r></all>",
        b"<all><r>1</r><r>\0</r></all>",
        b"<all><r>1</r><r>&#0;</r></all>",
        b"<all><r>1</r><r>&x;</r></all>",
        b"<all><r>1</r><r>2</all>",
        b"<all><r>1</r><r>2",
        b"<all><r>1</r>" + b"<d>" * 10_000 + b"</d>" * 10_000 + b"</all>",
        b"<all><r>1</r><r>" + b"x" * 11_000_000 + b"</r></all>",
    ],
)
def test_what_came_before_the_fault_has_been_given(data: bytes) -> None:
    got: list[str | None] = []
    with pytest.raises(TryAgain, match="not well-formed"):
        got.extend(element.text for element in xml_elements(io.BytesIO(data), "r"))
    assert got in (["1"], [])  # the parser reads in pieces, and gives a piece up as a whole


@pytest.mark.parametrize("data", [b"", b"   ", b"not XML", b'{"json": 1}', b"<", b"\0" * 100, b"\x1f\x8b\x08"])
def test_what_is_no_xml_is_told(data: bytes) -> None:
    with pytest.raises(TryAgain):
        texts(data)


def test_much_that_is_no_record_is_not_kept() -> None:
    class Endless(io.RawIOBase):
        given = 0

        def read(self, size: int = -1) -> bytes:
            piece = b"<all>" if not self.given else b"<n>1234567</n>" * (size // 14)
            self.given += len(piece)
            return piece

    endless = Endless()
    with pytest.raises(TryAgain, match="no record ends within"):
        list(xml_elements(endless, "r"))
    assert endless.given < RECORD_LIMIT + 200_000


def test_one_record_has_a_largest_size() -> None:
    parts = "<p>" + "x" * 1_000_000 + "</p>"
    assert texts(f"<all><r>1</r><r>2{parts * 14}</r></all>")[0] == "1"
    with pytest.raises(TryAgain, match="no record ends within"):
        texts(f"<all><r>1</r><r>2{parts * 18}</r></all>")


def test_no_element_within_the_first_piece_is_no_document() -> None:
    with pytest.raises(TryAgain, match="no element begins"):
        texts("<!--" + "x" * 100_000 + "-->" + ROOT)


def test_errors_do_not_quote_the_document() -> None:
    for text in ("<r>&Hansen;</r>", "<r><Hansen></r>", "<r Hansen>", "<r><Hansen/><r a='Hansen' a='Hansen'/></r>"):
        with pytest.raises(TryAgain) as told:
            texts(text)
        assert "Hansen" not in str(told.value)


@given(st.binary(max_size=300), st.sampled_from([b"", b"<all><r>", b"\xff\xfe", b"<?xml version='1.0' ", b"<!"]))
def test_any_bytes_give_elements_or_our_own_error(data: bytes, begin: bytes) -> None:
    with suppress(TryAgain):
        texts(begin + data)
