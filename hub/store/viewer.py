"""Whose rows a page may read. The database knows by settings of the transaction, and its policies (row-level security,
0005_row_security.sql, 0008_staff_rows.sql and 0015_staff_letters.sql in hub/store/migrations/versions) show no others,
whatever the page asks for.

A second lock behind the first, which is what each query says itself. It keeps a forgotten condition from showing
somebody else's rows. It keeps out nobody who can send statements of their own: they may name any viewer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from sqlalchemy import Select, func, select

PAGE_ROLE = "tovholder_page"


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """Who looks, on which day (Danish): a guardian, or a young person (`child`), or staff. Row ids. Whom it does not
    name sees nothing."""

    day: date
    guardian: UUID | None = None
    child: UUID | None = None
    staff: UUID | None = None
    """A coordinator's row."""
    advises: frozenset[UUID] = frozenset()
    """An adviser's rows."""
    administration: str | None = None
    """Which staff sign in for."""
    team: bytes | None = None
    """The digest of their unit (hub.access.marked)."""
    roles: frozenset[str] = frozenset()
    """Which staff act in."""
    key: UUID | None = None
    """Under which their entries in the log are sealed."""
    entry: UUID | None = None
    """The lookup of their own that they came from."""

    def begins(self) -> Select[str]:
        """The statement that lets the rest of its transaction see what this viewer may see, and no longer than that."""
        said = {
            "day": self.day,
            "guardian": self.guardian,
            "child": self.child,
            "staff": self.staff,
            "advises": " ".join(sorted(map(str, self.advises))),
            "administration": self.administration,
            "team": self.team.hex() if self.team else None,
            "roles": " ".join(sorted(self.roles)),
            "key": self.key,
            "entry": self.entry,
        }
        settings = {f"tovholder.{name}": str(value or "") for name, value in said.items()} | {"role": PAGE_ROLE}
        return select(*(func.set_config(name, value, True) for name, value in settings.items()))
