"""Whose rows a page may read. The database knows by settings of the transaction, and its policies (row-level security,
hub/store/migrations/versions/0005_row_security.sql) show no others, whatever the page asks for.

A second lock behind the first, which is what each query says itself. It keeps a forgotten condition from showing
somebody else's rows. It keeps out nobody who can send statements of their own: they may name any viewer."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date
from uuid import UUID

from sqlalchemy import Select, func, select

PAGE_ROLE = "tovholder_page"


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """Who looks, on which day (Danish): a guardian, or a young person (`child`), or staff, by their row and by the
    administration they sign in for. Row ids. Whom it does not name sees nothing."""

    day: date
    guardian: UUID | None = None
    child: UUID | None = None
    staff: UUID | None = None
    administration: str | None = None

    def begins(self) -> Select[str]:
        """The statement that lets the rest of its transaction see what this viewer may see, and no longer than that."""
        said = {f"tovholder.{name}": str(value or "") for name, value in asdict(self).items()}
        said["role"] = PAGE_ROLE
        return select(*(func.set_config(name, value, True) for name, value in said.items()))
