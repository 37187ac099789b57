"""The context: all a use case needs, or a refusal that leaves nothing open."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from hub import context, vault
from hub.errors import SchemaError, SettingsError
from hub.settings import Settings
from hub.store.database import Database
from hub.vault import CannotOpen


@pytest.fixture
def at(database: Database, tmp_path: Path) -> Settings:
    vault.make_keys(tmp_path / "keys")
    return Settings(database_url=database.app_url.render_as_string(hide_password=False), keys=tmp_path / "keys")


def connections(database: Database) -> int:
    with database.engine.connect() as connection:
        name = {"name": database.app_url.database}
        found = connection.execute(
            text("SELECT count(*) FROM pg_stat_activity WHERE datname = :name AND pid <> pg_backend_pid()"), name
        )
        return int(found.scalar_one())


def test_the_token_key_is_held_only_where_it_is_asked_for(at: Settings) -> None:
    for with_token in (True, False):
        ctx = context.build(at, with_token=with_token)
        assert (ctx.keys.token is not None) is with_token
        if not with_token:
            with pytest.raises(CannotOpen):
                ctx.keys.lookup_token("0311164234")
        ctx.close()


def test_a_wrong_plugin_section_is_found_before_the_database_is_asked(at: Settings) -> None:
    wrong = at.model_copy(update={"plugins": {"nobody": {}}, "database_url": "postgresql://nobody@127.0.0.1:1/x"})
    with pytest.raises(SettingsError, match=r"plugins\.nobody"):
        context.build(wrong, with_token=False)


def test_a_refusal_leaves_no_connection_open(at: Settings, database: Database, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"ring\.json is missing"):
        context.build(at.model_copy(update={"keys": tmp_path / "none"}), with_token=False)
    with database.owner_engine() as engine, engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM alembic_version")
    with pytest.raises(SchemaError, match="tovholder migrate"):
        context.build(at, with_token=False)
    assert connections(database) == 0
