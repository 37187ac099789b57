"""The settings: one TOML file and the environment, read once into one frozen object, refused with a reason.

The file is `tovholder.toml` in the current folder, or where `TOVHOLDER_SETTINGS` points. The environment wins over it:
`TOVHOLDER_DATA`, `TOVHOLDER_DATABASE_URL`, `TOVHOLDER_OWNER_DATABASE_URL`, `TOVHOLDER_KEYS`.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from hub.clock import Clock, FileClock, SystemClock
from hub.errors import SettingsError


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, ignored_types=(cached_property,))


class Administration(_Section):
    """An administration of the municipality. `name` is the full Danish name that families see."""

    name: str
    name_en: str | None = None


class Municipality(_Section):
    name: str = "Kommunen"
    cvr: str = Field(default="00000000", pattern=r"^\d{8}$")
    phone: str = ""
    """The line of help every answer carries, and where families call."""
    web: str = ""


class Coordination(_Section):
    """Caseload per coordinator: new families up to `target`, siblings of a family already there up to `limit`."""

    start: Literal["match", "adviser", "self"] = "match"
    """How offers start; follows the municipality's impact assessment (design: match, adviser or self)."""
    target: int = Field(default=20, ge=1, le=100)
    limit: int = Field(default=25, ge=1, le=100)
    answer_working_days: int = Field(default=10, ge=1, le=60)
    """How long a family has to answer an offer before the reminder (working days)."""

    @model_validator(mode="after")
    def siblings_fit(self) -> Self:
        if self.limit < self.target:
            raise ValueError(f"limit ({self.limit}) must not be lower than target ({self.target})")
        return self


class Letters(_Section):
    window_working_days: int = Field(default=3, ge=0, le=20)
    """How long events wait for each other before a letter leaves (working days)."""
    warn_working_days: tuple[int, ...] = (10, 3)
    """How long before a deadline the adviser and the letter remind (working days)."""
    folder: Path | None = None
    """The municipality's own templates; None uses those of the product."""
    channel: str = "digital_post"
    family_url: str | None = Field(default=None, pattern=r"^https://")
    """Where families answer and see the same as in the letter."""


class Rights(_Section):
    """What families ask for: that something is wrong, an objection, "we belong"."""

    answer_working_days: int = Field(default=10, ge=1, le=30)
    """How long whoever answers has (working days); never longer than the month of GDPR art. 12(3)."""
    administration: str | None = None
    """The administration that answers where it is about no administration's case and the child has no coordinator;
    None: any coordinator."""


class Worker(_Section):
    heartbeat_seconds: float = Field(default=30.0, ge=1, le=300)
    """So long without a sign of life, and a worker's jobs are taken up by another."""


class Api(_Section):
    """Who may call: bearer tokens (JWT, EdDSA or RS256) by `issuer` for `audience`, checked by the keys in `jwks`."""

    issuer: str = "tovholder"
    audience: str = "tovholder"
    jwks: Path | None = None


class Access(_Section):
    """The switches of docs/access.md: each is off until the municipality's lawyer turns it on."""

    one_authority: bool = False
    """Whether the administrations count as one authority: a case in one is then a basis in all."""
    health: frozenset[str] = frozenset({"SUF"})
    """Administrations whose cases are health data: these are read, and are a basis, with consent only."""
    health_presence: str = ""
    """The ground on which it is read that a child has something open there, before any consent. Without one it is not
    read at all."""
    health_consent: Literal["apart", "with_yes"] = "apart"
    """How families consent: apart from all else, or with their yes, whose text then has to ask for it."""

    @property
    def switches(self) -> frozenset[str]:
        """Those that are on, by the names of hub.access.policy."""
        on = {"one_authority": self.one_authority, "health_presence": bool(self.health_presence.strip())}
        return frozenset(name for name, is_on in on.items() if is_on)


class Demo(_Section):
    """Set by `tovholder demo` alone. `folder` holds the simulated clock and the demo sign-in's keys."""

    folder: Path


class Settings(_Section):
    file: Path | None = None
    data: Path = Path("data")
    database_url: str | None = Field(default=None, repr=False)  # may hold a password
    owner_database_url: str | None = Field(default=None, repr=False)
    keys: Path | None = None
    journal: Path | None = None
    """A folder on another disk than the database's, where what a restore needs to know is kept (docs/operations.md)."""
    municipality: Municipality = Municipality()
    administrations: dict[str, Administration] = {}
    coordination: Coordination = Coordination()
    letters: Letters = Letters()
    rights: Rights = Rights()
    worker: Worker = Worker()
    api: Api = Api()
    access: Access = Access()
    demo: Demo | None = None
    plugins: dict[str, dict[str, Any]] = {}

    @field_validator("database_url", "owner_database_url")
    @classmethod
    def names_postgresql(cls, url: str | None) -> str | None:
        try:
            fits = url is None or make_url(url).get_backend_name() == "postgresql"
        except (ArgumentError, ValueError):
            fits = False
        if not fits:
            raise ValueError("must look like postgresql://user@host:5432/database")
        return url

    @model_validator(mode="after")
    def somebody_answers(self) -> Self:
        code = self.rights.administration
        if code is not None and code not in self.administrations:
            raise ValueError(f"rights.administration is {code!r}, which is none of the administrations")
        return self

    @property
    def keys_folder(self) -> Path:
        return self.keys or self.data / "keys"

    @cached_property
    def clock(self) -> Clock:
        return FileClock(self.demo.folder / "clock") if self.demo else SystemClock()

    def administration_name(self, code: str, language: str = "da") -> str:
        """The full name of an administration, for families; the code itself where the settings name none."""
        found = self.administrations.get(code)
        if found is None:
            return code
        return (found.name_en or found.name) if language == "en" else found.name


_FROM_ENVIRONMENT = {
    "TOVHOLDER_DATA": "data",
    "TOVHOLDER_DATABASE_URL": "database_url",
    "TOVHOLDER_OWNER_DATABASE_URL": "owner_database_url",
    "TOVHOLDER_KEYS": "keys",
}


def load(environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings. Raises SettingsError, with file, key and remedy."""
    environment = os.environ if environment is None else environment
    named = environment.get("TOVHOLDER_SETTINGS")
    file = Path(named or "tovholder.toml")
    values: dict[str, Any] = {}
    if file.exists():
        try:
            values = tomllib.loads(file.read_text(encoding="utf-8-sig"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SettingsError(f"{file} is not valid TOML: {error}") from error
        except OSError as error:
            raise SettingsError(f"{file} cannot be read: {error.strerror}") from error
        if "file" in values:
            raise SettingsError(f"{file}: file: there is no such key: mend the spelling or delete the line")
        values["file"] = file
    elif named:
        raise SettingsError(f"TOVHOLDER_SETTINGS points to {file}, which does not exist; make it or unset the variable")
    given = {key: variable for variable, key in _FROM_ENVIRONMENT.items() if environment.get(variable)}
    values |= {key: environment[variable] for key, variable in given.items()}
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise SettingsError(explain(error, file, "", given)) from error


def explain(
    error: ValidationError, file: Path | None, prefix: str, environment: Mapping[str, str] | None = None
) -> str:
    """A validation error as lines that name the file (or the variable, for a key that `environment` says came from
    one), the key and the remedy."""
    lines = []
    for problem in error.errors(include_url=False, include_input=False):
        key = ".".join(part for part in [prefix, *(str(p) for p in problem["loc"])] if part)
        remedy = {
            "extra_forbidden": "there is no such key: mend the spelling or delete the line",
            "missing": "this key is needed: add it",
        }.get(problem["type"], problem["msg"].removeprefix("Value error, "))
        place = (environment or {}).get(key) or f"{file or 'tovholder.toml'}: {key or 'the section'}"
        lines.append(f"{place}: {remedy}")
    return "\n".join(lines)
