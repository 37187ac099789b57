"""Writes docs/data-protection.md to standard output."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from hub.protection.record import BESIDE, FAMILIES, FORMS, GROUNDS, RISKS, STAFF, TABLES
from hub.retention.rules import RULES
from hub.settings import Retention

_BEGINNING = """\
# Data protection

Written by `python -m hub.protection > docs/data-protection.md` from the tables in `hub/protection/`. Tests fail when a
stored field has no row, a row names no field, or this page is not what the tables say. **Open** means what it says:
nobody has decided. The municipality is the controller; its lawyer and its data protection officer have the last word on
every legal ground named here.

## Record of processing (GDPR art. 30)
"""


_RETENTION = """
### When it is forgotten

Every night a job goes through these rules (`hub/retention/rules.py`; times are those of `[retention]` in the settings,
here as they are until a municipality sets its own). Each that has taken something has an entry in the access log: which
rule and how many, nothing personal. Nothing is forgotten on the first night after the clock has jumped by a week or
more, nor in a restored copy before it has been reconciled.
"""


def page() -> str:
    """The whole page."""
    return "\n".join(_lines()) + "\n"


def _rules() -> Iterator[str]:
    yield "| rule | what goes | when | ground | who must have agreed |\n|---|---|---|---|---|"
    for rule in RULES:
        when = rule.when(Retention()) + (f" (`{rule.setting}`)" if rule.setting else "")
        yield f"| `{rule.name}` | {rule.what} | {when} | {rule.law} | {rule.agreed} |"


def _lines() -> Iterator[str]:
    yield _BEGINNING
    yield from (f"- **{form}**: {text}" for form, text in FORMS.items())
    for name, table in TABLES.items():
        yield f"\n### `{name}`\n"
        yield f"- About: {table.about}"
        yield f"- Purpose: {table.purpose}"
        yield f"- Ground: {'; '.join(GROUNDS[ground] for ground in table.grounds)}"
        yield f"- Recipients: {table.recipients}"
        yield f"- Kept: {table.kept}"
        yield f"- Deleted by: {table.deleted_by}"
        yield "\n| column | form | what |\n|---|---|---|"
        yield from (f"| `{column}` | {form} | {what} |" for column, (form, what) in table.columns.items())
    yield "\n### Beside the tables\n\n| where | what | kept |\n|---|---|---|"
    yield from (f"| {one.where} | {one.what} | {one.kept} |" for one in BESIDE)
    yield _RETENTION
    yield from _rules()
    yield "\nWhere the municipality's machines and channels are, and by which contracts, is the municipality's to add."
    yield "\n## Impact assessment (GDPR art. 35)"
    for number, risk in enumerate(RISKS, 1):
        yield f"\n### {number}. {risk.what}\n"
        yield f"- Whom it hurts: {risk.whom}"
        yield f"- What is done: {risk.measures}"
        yield f"- Shown by: {', '.join(f'`{test}`' for test in risk.tests)}"
        yield f"- What is left: {risk.left or 'nothing known'}"
    yield "\n## Information texts (GDPR art. 13 and 14)"
    yield f"\n### Til familier\n\n{FAMILIES.strip()}"
    yield f"\n### Til medarbejdere\n\n{STAFF.strip()}"


if __name__ == "__main__":
    sys.stdout.write(page())
