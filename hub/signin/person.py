"""Who somebody is by their claims: a person with roles, each under its constraints. Pure.

Used for staff who sign in and for bearer tokens alike. What is not understood gives nothing: a constraint that nobody
has named takes its role away.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self
from uuid import UUID

from hub.access.log import Asker
from hub.errors import BadRecord, NotAllowed
from hub.settings import Role, Roles
from hub.signin import bpp

ORDER: tuple[Role, ...] = ("coordinator", "leader", "staff", "auditor", "operator", "source")
"""In which role somebody who has several acts, unless a page asks for another."""
NO_ROLE = "none"
_LONGEST = 200


@dataclass(frozen=True, slots=True)
class Constraint:
    """A limit of a role: `kind` is kle, sensitivity or unit, `values` are alternatives."""

    kind: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HeldRole:
    role: Role
    constraints: tuple[Constraint, ...] = ()


@dataclass(frozen=True, slots=True)
class Person:
    """A member of staff. `id` is a UUID, or what a system's token says; `person` is what is the same of them in both,
    where that is another."""

    id: str
    name: str
    administration: str | None
    unit: str | None
    roles: tuple[HeldRole, ...]
    person: str | None = None

    def asker(self, role: Role | None = None) -> Asker | None:
        """How the person asks and acts in a role, or in the first they have; None when they have it not."""
        held = [each for each in self.roles if role in (None, each.role)]
        for chosen in sorted(held, key=lambda each: ORDER.index(each.role)):
            leads = chosen.role != "leader" and any(each.role == "leader" for each in self.roles)
            return Asker(self.id, self.name, chosen.role, self.administration, self._unit(chosen), self.person, leads)
        return None

    def _unit(self, held: HeldRole) -> str | None:
        """A role for other units than the person's own is acted in as one of those."""
        allowed = [each.values for each in held.constraints if each.kind == "unit"]
        if all(self.unit in values for values in allowed):
            return self.unit
        return next(value for value in allowed[0] if all(value in values for values in allowed))

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        roles = tuple(
            HeldRole(each["role"], tuple(Constraint(c["kind"], tuple(c["values"])) for c in each["constraints"]))
            for each in stored["roles"]
        )
        who = stored.get("person")  # a sign-in from before this was asked has none
        return cls(stored["id"], stored["name"], stored["administration"], stored["unit"], roles, who)


def person(claims: Mapping[str, Any], how: Roles, cvr: str, *, uuid: bool = True) -> Person:
    """The person the claims are about; perhaps without a role. `cvr` is the municipality's own. `uuid`: whether the id
    must be one; a mail address is none in any case, since another may have it tomorrow.

    Raises NotAllowed, without any claim's value, when they do not say who it is."""
    names = how.claims
    id_, name = _text(claims, names.id), _text(claims, names.name)
    if id_ is None or name is None:
        raise NotAllowed(f"the claims {names.id} and {names.name} must say who it is")
    if uuid:
        try:
            id_ = str(UUID(id_.removeprefix("urn:uuid:")))
        except ValueError:
            raise NotAllowed(f"the claim {names.id} is not a UUID") from None
    elif "@" in id_:
        raise NotAllowed(f"the claim {names.id} is a mail address: it must be an id that stays with the person")
    who = _same_person(_text(claims, names.person or names.id))
    if who is None:
        raise NotAllowed(f"the claim {names.person} must say which person it is")
    administration = _text(claims, names.administration)
    return Person(
        id_,
        name,
        how.administrations.get(administration, administration) if administration is not None else None,
        _text(claims, names.unit),
        tuple(dict.fromkeys(_roles(claims, how, cvr))),
        who if who != id_ else None,
    )


def _same_person(value: str | None) -> str | None:
    """A UUID as it is written by most, so that it is the same however a provider writes it."""
    try:
        return str(UUID(value.removeprefix("urn:uuid:"))) if value is not None else None
    except ValueError:
        return value


def _text(claims: Mapping[str, Any], name: str) -> str | None:
    """A claim that is text, or missing. Raises NotAllowed when it is anything else."""
    value = claims.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip() or len(value) > _LONGEST:
        raise NotAllowed(f"the claim {name} is not text of 1 to {_LONGEST} characters")
    return value.strip()


def _roles(claims: Mapping[str, Any], how: Roles, cvr: str) -> Iterator[HeldRole]:
    given = {_same(privilege): role for role, privileges in how.roles.items() for privilege in privileges}
    for group in _groups(claims, how, cvr):
        constraints = _understood(group.constraints, how)
        if constraints is None:
            continue
        for privilege in group.privileges:
            role = given.get(_same(privilege))
            if role is not None:
                yield HeldRole(role, constraints)


def _same(privilege: str) -> str:
    """KOMBIT's ids are written with `_` where they have `-`, as the recipient has asked for."""
    return privilege.replace("_", "-")


def _groups(claims: Mapping[str, Any], how: Roles, cvr: str) -> tuple[bpp.Group, ...]:
    value = next((claims[name] for name in how.claims.privileges if claims.get(name) is not None), None)
    if value is None:
        raise NotAllowed(f"none of the claims {', '.join(how.claims.privileges)} is there")
    if how.privileges_are == "names":
        names = value.split() if isinstance(value, str) else value
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise NotAllowed("the claim with privileges is not a list of names")
        return (bpp.Group(tuple(names), ()),)
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, str):
        raise NotAllowed("the claim with privileges is not an OIO-BPP list in base64")
    try:
        return bpp.parse(value, cvr)
    except BadRecord as error:
        raise NotAllowed(str(error)) from error


def _understood(found: tuple[tuple[str, str], ...], how: Roles) -> tuple[Constraint, ...] | None:
    """The constraints as the hub knows them; None when one is not understood, or reaches nothing of what is here."""
    constraints = []
    for name, value in found:
        kind = how.constraints.get(name)
        values = tuple(part for part in (part.strip() for part in value.split(",")) if part)
        if kind is None or not values:
            return None
        if kind == "kle" and not any(_overlap(mine, ours) for mine in values for ours in how.kle):
            return None
        if kind == "sensitivity" and not set(values) & set(how.sensitivity):
            return None
        constraints.append(Constraint(kind, values))
    units = [set(each.values) for each in constraints if each.kind == "unit"]
    if units and not set.intersection(*units):
        return None
    return tuple(constraints)


def _overlap(one: str, other: str) -> bool:
    """Whether two KLE subjects have something in common: `27`, `27.*` and `27.18.04` have. What is no subject has with
    none."""
    mine, theirs = (subject.removesuffix(".*").split(".") for subject in (one, other))
    return all(part.isdecimal() for part in (*mine, *theirs)) and all(
        a == b for a, b in zip(mine, theirs, strict=False)
    )
