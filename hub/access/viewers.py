"""A member of staff as the database's second lock knows them: what their pages read, they read as themselves.

Who they are is read as the program; all else within `begin_as` has no rows but those they may see (hub.store.viewer).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.access import marked
from hub.access.askers import COORDINATORS, asker_key
from hub.access.log import Asker
from hub.clock import Clock, today
from hub.store.database import Database
from hub.store.tables import Staff
from hub.store.viewer import Viewer
from hub.vault import Keys


@contextmanager
def begin_as(
    database: Database,
    keys: Keys,
    clock: Clock,
    asker: Asker,
    entry: UUID | None = None,
    *,
    advises: Collection[UUID] = (),
) -> Iterator[Session]:
    """As `Database.begin`, for what a member of staff's page reads. `entry`: the lookup of their own that they came
    from; `advises`: their rows as the sources name advisers. They have a row and a key from here on."""
    with database.begin() as session:
        viewer = replace(_viewer(session, keys, clock, asker, entry), advises=frozenset(advises))
    with database.begin_as(viewer) as session:
        yield session


def _viewer(session: Session, keys: Keys, clock: Clock, asker: Asker, entry: UUID | None) -> Viewer:
    coordinates = select(Staff.id).where(
        Staff.source == COORDINATORS, Staff.reference == keys.refer(COORDINATORS, asker.id)
    )
    return Viewer(
        day=today(clock),
        staff=session.execute(coordinates).scalar_one_or_none(),
        administration=asker.administration,
        team=marked.team(keys, asker.administration, asker.unit),
        roles=asker.roles,
        key=asker_key(session, keys, asker)[0],
        entry=entry,
    )
