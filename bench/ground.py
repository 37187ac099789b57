"""What a bench stands on: a PostgreSQL of its own in a temp folder, fresh databases, and nothing left afterwards."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

from sqlalchemy import create_engine, text

from hub.api.tokens import make_key
from hub.clock import Clock
from hub.context import Context
from hub.plugins import load
from hub.settings import Settings
from hub.store import embedded, keeper
from hub.store.database import APP_ROLE, Database
from hub.vault import load_keys, make_keys

_OWNER = "tovholder_admin"
_STOP_SECONDS = 30.0


class Ground:
    """A server with a migrated template. Made anew for each bench, so that none pays for another's rows."""

    def __init__(self) -> None:
        # Made by the embedded server, which knows whom it must belong to.
        self.folder = Path(tempfile.gettempdir()) / f"tovholder-bench-{uuid4().hex[:12]}"
        try:
            self._server = embedded.start(self.folder)
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise
        try:
            self.files = self.folder / "files"
            self.files.mkdir(mode=0o700)
            make_keys(self.files / "keys")
            self._admin("CREATE DATABASE template_bench")
            database = Database(self._settings("template_bench"))
            try:
                database.migrate()
                self._admin(f"ALTER ROLE {APP_ROLE} LOGIN")
            finally:
                database.close()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def settings(self, **more: Any) -> Settings:
        """The settings of a hub on a fresh database."""
        name = f"bench_{uuid4().hex}"
        self._admin(f"CREATE DATABASE {name} TEMPLATE template_bench")
        return self._settings(name, **more)

    def signing_key(self) -> tuple[Any, Path]:
        """A key that signs tokens, and the file that the settings' `api.jwks` names for it."""
        key, jwks = make_key(), self.files / f"jwks-{uuid4().hex}.json"
        jwks.write_text(json.dumps({"keys": [key.as_dict(private=False)]}), encoding="ascii")
        return key, jwks

    @contextmanager
    def context(self, settings: Settings, clock: Clock) -> Iterator[Context]:
        """A hub on the database of these settings, with the plugins they name, in this process."""
        database = Database(settings)
        try:
            yield Context(settings, clock, database, load_keys(settings.keys_folder, with_token=True), load(settings))
        finally:
            database.close()

    def drop(self, settings: Settings) -> None:
        self._admin(f"DROP DATABASE {str(settings.database_url).partition('?')[0].rpartition('/')[2]} WITH (FORCE)")

    def close(self) -> None:
        """Stop the server, wait until it is gone, and take its folder away."""
        socket = self._server.socket
        self._server.close()
        lock = os.open(self.folder / "pg.keeper", os.O_RDWR)
        try:
            until = time.monotonic() + _STOP_SECONDS
            while not keeper.try_lock(lock, fcntl.LOCK_EX) and time.monotonic() < until:
                time.sleep(0.02)
        finally:
            os.close(lock)
        shutil.rmtree(self.folder)
        if not socket.is_relative_to(self.folder):
            shutil.rmtree(socket, ignore_errors=True)

    def _settings(self, name: str, **more: Any) -> Settings:
        values = {
            "database_url": self._server.url(APP_ROLE, name),
            "owner_database_url": self._server.url(_OWNER, name),
            "data": self.folder,
            "keys": self.files / "keys",
            "municipality": {"name": "Tovby Kommune", "cvr": "12345678", "phone": "70 10 20 30"},
        }
        return Settings.model_validate(values | more)

    def _admin(self, statement: str) -> None:
        engine = create_engine(self._server.url(_OWNER, "postgres"), isolation_level="AUTOCOMMIT")
        try:
            with engine.connect() as connection:
                connection.execute(text(statement))
        finally:
            engine.dispose()
