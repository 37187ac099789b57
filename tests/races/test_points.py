"""The points at which the crash runs kill, and these tests stand still, are there."""

from __future__ import annotations

import re
from pathlib import Path

from hub import faults


def test_every_named_point_is_in_the_program_and_no_other():
    hub = Path(faults.__file__).parent
    found = {name for file in hub.rglob("*.py") for name in re.findall(r'faults\.point\("([^"]+)"\)', file.read_text())}
    assert found == set(faults.POINTS)
