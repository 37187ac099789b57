"""The settings: one TOML file and the environment, read once into one frozen object, refused with a reason.

The file is `tovholder.toml` in the current folder, or where `TOVHOLDER_SETTINGS` points. The environment wins over it:
`TOVHOLDER_DATA`, `TOVHOLDER_DATABASE_URL`, `TOVHOLDER_OWNER_DATABASE_URL`, `TOVHOLDER_KEYS`.
"""

from __future__ import annotations

import base64
import binascii
import os
import tomllib
from collections.abc import Mapping
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from hub.clock import Clock, FileClock, SystemClock
from hub.errors import SettingsError

Role = Literal["staff", "coordinator", "leader", "auditor", "operator", "source"]
"""What members of staff may be; and `source`, an administration's own system with a token."""
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


def safe_address(url: str) -> str:
    """An https address; http on this machine alone."""
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("must be an address of ASCII letters, without spaces")
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise ValueError("must be an https address (http only for this machine itself)")
    if not parts.hostname or parts.query or parts.fragment or parts.username is not None:
        raise ValueError("must be an address without user, query or fragment")
    return url


def _file_or_address(value: Path | str | None) -> Path | str | None:
    if isinstance(value, str) and value.startswith(("http:", "https:")):
        return safe_address(value)
    return Path(value) if isinstance(value, str) else value


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
    """Of the line of help that every answer carries, and where families call. Without one `tovholder serve` and
    `tovholder worker` do not start."""
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


Sends = Literal["source"] | date
"""Who sends letters about something: the source, or the hub from a date on."""
EVERY = "*"
"""In agreements: every source, every kind."""
SourceNews = Literal[
    "applied",
    "case_opened",
    "decided",
    "case_closed",
    "adviser_changed",
    "deadline_set",
    "deadline_moved",
    "deadline_postponed",
    "deadline_near",
    "deadline_at_hand",
    "deadline_unkept",
    "deadline_passed",
    "*",
]
"""The kinds of event a source could write about itself (docs/events.md), and all of them."""


class Letters(_Section):
    window_working_days: int = Field(default=3, ge=0, le=20)
    """How long events wait for each other before a letter leaves (working days)."""
    warn_working_days: tuple[int, ...] = (10, 3)
    """How long before a deadline the adviser and the letter remind (working days)."""
    most_a_week: int = Field(default=2, ge=1, le=20)
    """So many letters does one person get in seven days at most, unless something is urgent or the law does not let it
    wait."""
    agreements: dict[str, Sends | dict[SourceNews, Sends]] = {}
    """Who writes about what, by source: "source", or the date from which the hub does; for all kinds of news, or kind
    by kind. `*` stands for every source, and for every kind (docs/events.md)."""
    folder: Path | None = None
    """The municipality's own templates; None uses those of the product."""
    channel: str = "digital_post"
    """The one channel, where `channels` names none."""
    channels: tuple[str, ...] = ()
    """The channels letters go by, first choice first: a letter that one cannot bring goes by the next."""
    trial: Path | None = None
    """A file of numbers, one a line: while it is named, letters go to these and to nobody else."""
    family_url: str | None = Field(default=None, pattern=r"^https://")
    """Where families answer and see the same as in the letter."""

    @model_validator(mode="after")
    def one_way_to_say_it(self) -> Self:
        if self.channels and "channel" in self.model_fields_set:
            raise ValueError("give channels or channel, not both")
        if len(set(self.channels)) < len(self.channels):
            raise ValueError("channels names one twice")
        return self

    @property
    def in_order(self) -> tuple[str, ...]:
        return self.channels or (self.channel,)


class Rights(_Section):
    """What families ask for: that something is wrong, an objection, "we belong"."""

    answer_working_days: int = Field(default=10, ge=1, le=30)
    """How long whoever answers has (working days); never longer than the month of GDPR art. 12(3)."""
    administration: str | None = None
    """The administration that answers where it is about no administration's case and the child has no coordinator;
    None: any coordinator."""


NoticeKind = Literal["assigned", "substitute", "back", "handed_over", "ended"]
"""What a notice to staff can be about (hub.notices.kinds)."""


class Webhook(_Section):
    """Where an administration's system takes its notices."""

    administration: str
    url: Annotated[str, AfterValidator(safe_address)]
    secrets: tuple[SecretStr, ...] = Field(min_length=1, max_length=2)
    """`whsec_` and base64 of 24 to 64 bytes. Two while one is being replaced: each signs."""
    kinds: tuple[NoticeKind, ...] = get_args(NoticeKind)

    @field_validator("secrets")
    @classmethod
    def can_sign(cls, secrets: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        for secret in secrets:
            prefix, key = secret.get_secret_value()[:6], secret.get_secret_value()[6:]
            try:
                size = len(base64.b64decode(key, validate=True))
            except (binascii.Error, ValueError):
                size = 0
            if prefix != "whsec_" or not 24 <= size <= 64:
                raise ValueError("each must be whsec_ and the base64 of 24 to 64 random bytes")
        return secrets


class Notices(_Section):
    """Notices to staff, and journalising (docs/notices.md)."""

    webhooks: dict[Annotated[str, Field(pattern=r"^[a-z0-9_-]{1,40}$")], Webhook] = {}
    keep_days: int = Field(default=90, ge=7, le=3650)
    """How long what has been told, and what has been journalised, can be read again."""
    journal_working_days: int = Field(default=3, ge=1, le=60)
    """How long a case system has to acknowledge its part of a letter, before that is the administration's task (working
    days)."""


class Worker(_Section):
    heartbeat_seconds: float = Field(default=30.0, ge=1, le=300)
    """So long without a sign of life, and a worker's jobs are taken up by another."""


class Claims(_Section):
    """What the claims are called that say who somebody is."""

    id: str = "sub"
    """A UUID that stays with the person; never a mail address."""
    person: str | None = None
    """What is the same of a person at the pages and in tokens, where the ids are not: then it must be there, and both
    count as one person. None: the id. A UUID may be written in any way."""
    name: str = "name"
    administration: str = "administration"
    unit: str = "unit"
    privileges: tuple[str, ...] = (
        "https://data.gov.dk/model/core/eid/privilegesIntermediate",
        "dk:gov:saml:attribute:Privileges_intermediate",
    )
    """The first of them that is there counts."""


class Roles(_Section):
    """How claims become a person with roles."""

    claims: Claims = Claims()
    privileges_are: Literal["bpp", "names"] = "bpp"
    """`bpp`: an OIO-BPP list in base64; `names`: a list of names, or names with spaces between."""
    roles: dict[Role, tuple[str, ...]] = {}
    """The privileges that give each role. A `-` and a `_` are the same in them."""
    administrations: dict[str, str] = {}
    """What the claim calls an administration, and its code here; a claim that is a code already needs none."""
    constraints: dict[str, Literal["kle", "sensitivity", "unit"]] = {
        "http://sts.kombit.dk/constraints/KLE/1": "kle",
        "http://sts.kombit.dk/constraints/foelsomhed/1": "sensitivity",
        "http://sts.kombit.dk/constraints/orgenhed/1": "unit",
        "urn:dk:kombit:KLE": "kle",
        "urn:dk:kombit:sensitivity": "sensitivity",
    }
    """Constraints that are understood. Any other takes the role away."""
    kle: tuple[str, ...] = ()
    """The subjects (KLE) that the hub is about here. A role for other subjects alone is none; without this list no role
    with such a constraint counts."""
    sensitivity: tuple[str, ...] = ()
    """The values of a sensitivity constraint that reach as far as a child's disability."""


class Provider(_Section):
    """A provider of sign-in by OpenID Connect, found by `issuer`."""

    issuer: Annotated[str, AfterValidator(safe_address)]
    client_id: str
    client_secret: str | None = Field(default=None, repr=False)
    client_key: Path | None = None
    """A private key (JWK or PEM) for private_key_jwt, instead of a secret."""
    client_auth: Literal["basic", "post"] = "basic"
    """How the secret is given."""
    scopes: tuple[str, ...] = ("openid", "profile")
    acr: tuple[str, ...] = ()
    """Levels of assurance to ask for, and of which the ID token must name one."""
    userinfo: bool = False
    """Whether claims that are not in the ID token stand in what the UserInfo endpoint says."""

    @model_validator(mode="after")
    def one_proof(self) -> Self:
        if (self.client_secret is None) == (self.client_key is None):
            raise ValueError("give either client_secret or client_key, and not both")
        if "openid" not in self.scopes:
            raise ValueError("scopes must hold openid")
        return self


class StaffProvider(Provider, Roles):
    """Who signs staff in, and what their claims mean."""


class FamilyProvider(Provider):
    """Who signs guardians and young people in."""

    cpr: tuple[str, ...] = ("dk.cpr", "cpr")
    """The claims in which the CPR number may stand: the first that is there counts."""


class SignIn(_Section):
    url: Annotated[str, AfterValidator(safe_address)] | None = None
    """The address of these pages, as browsers see it: providers send people back to it."""
    staff: StaffProvider | None = None
    family: FamilyProvider | None = None
    hours: float = Field(default=8.0, gt=0, le=24)
    """How long a sign-in lasts at most."""
    idle_minutes: float = Field(default=30.0, gt=0, le=480)
    """How long it lasts when nothing is done."""

    @model_validator(mode="after")
    def has_an_address(self) -> Self:
        if self.url is None and (self.staff or self.family):
            raise ValueError("url is needed: the address of these pages, as browsers see it")
        return self


class Api(Roles):
    """Who may call: bearer tokens (JWT) by `issuer` for `audience`, checked by the key set in `jwks`: a file, or an
    https address that is asked again when a key is new."""

    issuer: str = "tovholder"
    audience: str = "tovholder"
    jwks: Annotated[Path | str | None, AfterValidator(_file_or_address)] = None
    claims: Claims = Claims(privileges=("role",))
    privileges_are: Literal["bpp", "names"] = "names"
    roles: dict[Role, tuple[str, ...]] = {role: (role,) for role in get_args(Role)}


class Access(_Section):
    """The switches of docs/access.md, each off until the municipality's lawyer turns it on; and the pace of lookups."""

    one_authority: bool = False
    """Whether the administrations count as one authority: a case in one is then a basis in all."""
    health: frozenset[str] = frozenset({"SUF"})
    """Administrations whose cases are health data: these are read, and are a basis, with consent only."""
    health_presence: str = ""
    """The ground on which it is read that a child has something open there, before any consent. Without one it is not
    read at all."""
    health_consent: Literal["apart", "with_yes"] = "apart"
    """How families consent: apart from all else, or with their yes, whose text then has to ask for it."""
    young_accepts: bool = True
    """Whether the yes of a young person from 15 is enough by itself. Off: a guardian says yes. Their no ends the offer,
    and their withdrawal the scheme, in either case (docs/ages-and-custody.md)."""
    children_an_hour: int = Field(default=100, ge=1, le=100_000)
    """So many different children may one person look up in an hour. More needs a written reason and is told to the
    auditor; twice as many is refused."""
    review_working_days: int = Field(default=5, ge=1, le=30)
    """How long a leader has to look at what was looked up with a written reason (working days). Then it is late, and
    the auditor's; what is the auditor's from the beginning is late after as long."""

    @property
    def switches(self) -> frozenset[str]:
        """Those that are on, by the names of hub.access.policy."""
        on = {"one_authority": self.one_authority, "health_presence": bool(self.health_presence.strip())}
        return frozenset(name for name, is_on in on.items() if is_on)


class Retention(_Section):
    """How long things are kept (hub.retention.rules says what, docs/data-protection.md by which law). The defaults are
    for a municipality to change before it begins."""

    number_days: int = Field(default=90, ge=1, le=3650)
    """So long after a family's part has ended number, name and custody are kept: for what is still to be put right."""
    left_days: int = Field(default=30, ge=1, le=365)
    """So long a child is kept who left the target group and was never written to."""
    custody_days: int = Field(default=365, ge=1, le=3650)
    """So long custody is kept that has ended."""
    task_days: int = Field(default=730, ge=560, le=7300)
    """So long tasks are kept that are done; longer than any step lasts that is told once, or it would be told again."""
    adviser_days: int = Field(default=30, ge=1, le=3650)
    """So long staff of a source are kept whom no case names any more."""
    case_years: int = Field(default=5, ge=1, le=100)
    """So long the whole case of a child is kept after its end: answers, events, letters. A no is remembered as long."""
    log_years: int = Field(default=5, ge=1, le=100)
    """So long it can be read who looked and why. Afterwards the entries stand there as proof and open no more."""
    archive: str = ""
    """The archive decision by which whole cases may be destroyed. Without one none is, however old."""
    backup_days: int | None = Field(default=None, ge=1, le=3650)
    """So long you keep backups: files of the journal that are older go. None: they are kept."""


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
    notices: Notices = Notices()
    worker: Worker = Worker()
    mailer: str | None = None
    """The plugin that carries e-mail, by its name (`email` comes with Tovholder). None: no e-mail leaves."""
    signin: SignIn = SignIn()
    api: Api = Api()
    access: Access = Access()
    retention: Retention = Retention()
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
        for name, hook in self.notices.webhooks.items():
            if hook.administration not in self.administrations:
                raise ValueError(
                    f"notices.webhooks.{name}.administration is {hook.administration!r}, which is none of the "
                    "administrations"
                )
        return self

    @property
    def no_help(self) -> str | None:
        """Why people would be left without a number to call, and what to do; None where there is one."""
        if self.municipality.phone.strip():
            return None
        return (
            "municipality.phone is not set: every answer, page and letter gives a number to call. Write it in "
            f'{self.file or "tovholder.toml"}, under [municipality]: phone = "70 10 20 30"'
        )

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
