"""A worker that writes letters all day does not grow: Typst and Jinja remember what they have made, up to a point."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import sys
from dataclasses import replace
from hub.letters import samples
from hub.letters.content import LetterKind
from hub.letters.render import render
from hub.letters.templates import Templates

templates, kinds = Templates(), list(LetterKind)
first, last = int(sys.argv[1]), int(sys.argv[2])

def held():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 2**20

for number in range(last):
    content = samples.letter(kinds[number % len(kinds)], "da" if number % 3 else "en")
    render(replace(content, recipient_name=f"Modtager {number}"), templates)
    if number + 1 in (first, last):
        print(round(held(), 1))
"""


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux how much the process holds")
def test_memory_is_flat_over_ten_thousand_letters() -> None:
    """After the first thousand it is what it stays, within a tenth."""
    said = subprocess.run(
        [sys.executable, "-c", PROGRAM, "1000", "10000"], capture_output=True, text=True, check=True
    ).stdout
    before, after = map(float, said.split())
    assert after < before * 1.1, f"{before} MB after 1,000 letters, {after} MB after 10,000"
