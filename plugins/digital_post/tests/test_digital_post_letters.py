"""Every letter of the hub as a MeMo message of both versions, by the official schemas."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from lxml import etree
from tovholder_digital_post import DigitalPostSettings, memo
from tovholder_digital_post.channel import kombi_request

import hub
from hub.letters import samples
from hub.letters.content import LetterKind
from hub.letters.render import render
from hub.letters.templates import Templates

pytestmark = pytest.mark.slow

KEY = "8c2ea15d-61fb-4ba9-9366-42f8b194c114"
TEMPLATES = Templates()


@pytest.mark.parametrize("language", TEMPLATES.languages)
@pytest.mark.parametrize("kind", list(LetterKind))
def test_every_letter_is_a_valid_message(
    kind: LetterKind, language: str, letter: hub.Letter, settings: DigitalPostSettings, standards: Path
) -> None:
    schemas = {
        version: etree.XMLSchema(etree.parse(standards / f"memo/xsd-{version}/MeMo_core.xsd"))
        for version in ("1.1", "1.2")
    }
    for case in samples.CASES.values():
        written = render(case(kind, language), TEMPLATES)
        ready = replace(
            letter,
            title=written.subject,
            language=written.language,
            pdf=written.pdf,
            html=written.html,
            file_name=written.file_name,
            actions=written.actions,
        )
        for version, schema in schemas.items():
            ours = settings.model_copy(update={"memo_version": version})
            message = etree.fromstring(kombi_request(ready, KEY, "digital", ours)).find(f"{{{memo.MEMO}}}Message")
            schema.assertValid(message)
