"""Make the demo's own folder and database anew: keys, settings, simulated clock, sign-in. Never touches a real one."""

from __future__ import annotations

import json
import os
import shutil
from datetime import datetime
from pathlib import Path
from typing import Any

import tomlkit
from joserfc.jwk import OKPKey
from sqlalchemy import create_engine, text

from hub.api.tokens import make_key
from hub.clock import FileClock
from hub.demo.kinds import LISTED_BUF, LISTED_SOF, LISTED_SUF, Listed
from hub.demo.model import Town
from hub.demo.servers import advis, sof
from hub.errors import NotAllowed
from hub.settings import Settings
from hub.settings import load as load_settings
from hub.store import embedded
from hub.store.database import DEMO_DATABASE, Database
from hub.vault import make_keys

TOWN = "town"


def fresh_folder(settings: Settings) -> Path:
    """The demo's folder, emptied. Raises NotAllowed when its name points elsewhere."""
    if (settings.data / TOWN).is_symlink():
        raise NotAllowed(f"{settings.data / TOWN} is a link: the demo would empty another folder; remove the link")
    folder = (settings.data / TOWN).resolve()
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True, mode=0o700)
    (folder / "digital_post").mkdir()
    return folder


def write_settings(folder: Path, settings: Settings, town: Town, urls: dict[str, str]) -> Settings:
    """`tovholder.toml` of the demo, as a municipality would write its own; and the settings it gives."""
    FileClock(folder / "clock").set(town.start)
    key = make_key()
    private(folder / "signing.json", json.dumps(key.as_dict(private=True)))
    (folder / "jwks.json").write_text(json.dumps({"keys": [key.as_dict(private=False)]}), encoding="ascii")
    make_keys(folder / "keys")
    values: dict[str, Any] = {
        "data": str(settings.data.resolve()),
        "keys": str(folder / "keys"),
        "municipality": {
            "name": "Tovby Kommune",
            "cvr": "12345678",
            "phone": "70 10 20 30",
            "web": "tovby.example/koordinator",
        },
        "administrations": {
            "SOF": {"name": "Socialforvaltningen", "name_en": "the Social Services Administration"},
            "BUF": {"name": "Børne- og Ungdomsforvaltningen", "name_en": "the Children and Youth Administration"},
            "SUF": {"name": "Sundheds- og Omsorgsforvaltningen", "name_en": "the Health and Care Administration"},
        },
        # What a lawyer would have to say first. The town's is: the yes asks for the consent too.
        "access": {"health_presence": "Tovby Kommunes egen hjemmel (opdigtet)", "health_consent": "with_yes"},
        "notices": {
            "webhooks": {"suf": {"administration": "SUF", "url": urls["suf"] + advis.PATH, "secrets": [advis.SECRET]}}
        },
        # Agreed with the three administrations: they write no more about what the hub tells.
        "letters": {"family_url": "https://tovby.example/familie", "agreements": {"*": town.start.date()}},
        "api": {"jwks": str(folder / "jwks.json")},
        "demo": {"folder": str(folder)},
        "plugins": {
            "sof_case": {"url": urls["sof"] + sof.PATH, "kinds": _kinds(LISTED_SOF)},
            "buf_case": {"url": urls["buf"], "kinds": _kinds(LISTED_BUF)},
            "suf_cura": {"administration": "SUF", "url": urls["suf"], "kinds": _kinds(LISTED_SUF)},
            "cpr_custody": {"url": urls["cpr"]},
            "digital_post": {
                "url": urls["digital_post"],
                "cvr": "12345678",
                "sender_name": "Tovby Kommune",
                "system_id": "tovholder",
                "print_type": 1001,
                "cpr_url": urls["cpr"],
            },
        },
    }
    if settings.database_url:
        values |= {"database_url": settings.database_url}
    if settings.owner_database_url:
        values |= {"owner_database_url": settings.owner_database_url}
    file = folder / "tovholder.toml"
    private(file, tomlkit.dumps(values))
    return load_settings({"TOVHOLDER_SETTINGS": str(file)})


def _kinds(listed: dict[str, Listed]) -> dict[str, dict[str, Any]]:
    return {
        code: {"name": kind.name, "name_en": kind.name_en} | ({"limit_weeks": kind.weeks} if kind.weeks else {})
        for code, kind in listed.items()
    }


def fresh_database(settings: Settings) -> Database:
    """An empty, migrated database: the demo's own on the embedded server, or the one that is named when it is empty.

    Raises NotAllowed when the named database holds anything."""
    if settings.database_url is None:
        with embedded.start(settings.data) as server:
            engine = create_engine(
                server.url("tovholder_admin", "postgres"), isolation_level="AUTOCOMMIT", hide_parameters=True
            )
            with engine.connect() as connection:
                connection.execute(text(f"DROP DATABASE IF EXISTS {DEMO_DATABASE} WITH (FORCE)"))
                connection.execute(text(f"CREATE DATABASE {DEMO_DATABASE}"))
            engine.dispose()
            database = Database(settings)
    else:
        database = Database(settings)
        with database.owner_engine() as engine, engine.connect() as connection:
            tables = connection.execute(text("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")).scalar_one()
        if tables:
            database.close()
            raise NotAllowed("the demo needs an empty database, and the one in TOVHOLDER_DATABASE_URL has tables in it")
    database.migrate()
    return database


def signing_key(folder: Path) -> OKPKey:
    """The demo's own token issuer's key."""
    return OKPKey.import_key(json.loads((folder / "signing.json").read_text(encoding="ascii")))


def private(file: Path, content: str) -> None:
    """Write a file that only its owner may read."""
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(content)


def at(day: datetime, hour: int, minute: int = 0) -> datetime:
    """A time of day (UTC) on the day of `day`."""
    return day.replace(hour=hour, minute=minute, second=0, microsecond=0)
