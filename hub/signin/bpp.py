"""OIO-BPP: the list of privileges that a Danish identity provider gives about a member of staff (OIO Basic Privilege
Profile 1.0 to 1.2, base64 of XML). Pure: text in, groups of privileges out.

Real lists differ from the profile, and each difference that has been seen is read: two namespaces of the root, children
with and without a namespace, `CvrNumberIdentifier` with a capital letter, and text in lines.
"""

from __future__ import annotations

import base64
import binascii
import io
import re
from dataclasses import dataclass

from lxml import etree

from hub.errors import BadRecord, TovholderError
from hub.reading import xml_elements, xml_name

NAMESPACES = (
    "http://itst.dk/oiosaml/basic_privilege_profile",
    "http://digst.dk/oiosaml/basic_privilege_profile",
)
MOST = 64 * 1024
"""Characters of base64 that are read. A list of a hundred roles is some 20,000."""
_SCOPE = re.compile(r"urn:dk:gov:saml:cvrnumberidentifier:(\d{8})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Group:
    """Privileges that hold together, under all of the constraints (name, value). The values of one constraint, with
    commas between, are alternatives."""

    privileges: tuple[str, ...]
    constraints: tuple[tuple[str, str], ...]


def parse(text: str, cvr: str) -> tuple[Group, ...]:
    """The groups whose scope is the municipality itself (`cvr`). A group for somebody else, or one in which something
    stands that is not of the profile, is left out: it might be a limit we do not know.

    Raises BadRecord, without what stands there, when it is no such list."""
    root = _root(text)
    namespace, _name = xml_name(root)
    groups = []
    for child in root.iterchildren(tag=etree.Element):
        if _local(child, namespace) == "PrivilegeGroup" and _is_ours(child, cvr):
            group = _group(child, namespace)
            if group is not None and group.privileges:
                groups.append(group)
    return tuple(groups)


def _root(text: str) -> etree._Element:
    if len(text) > MOST:
        raise BadRecord(f"a list of privileges of more than {MOST} characters is not read")
    try:
        document = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadRecord("the list of privileges is not base64") from error
    tags = [f"{{{namespace}}}PrivilegeList" for namespace in NAMESPACES]
    try:
        for element in xml_elements(io.BytesIO(document), *tags):
            if element.getparent() is not None:
                raise BadRecord("a list of privileges stands in something else")
            return element
    except BadRecord:
        raise
    except TovholderError as error:
        raise BadRecord(f"the list of privileges cannot be read: {error}") from error
    raise BadRecord("this is no OIO-BPP list of privileges")


def _local(element: etree._Element, root: str) -> str | None:
    """The name of an element of the profile: in the root's namespace, or in none."""
    namespace, name = xml_name(element)
    return name if namespace in ("", root) else None


def _is_ours(group: etree._Element, cvr: str) -> bool:
    found = _SCOPE.fullmatch(group.get("Scope", "").strip())
    return found is not None and found[1] == cvr and set(map(str, group.attrib)) == {"Scope"}


def _group(group: etree._Element, root: str) -> Group | None:
    privileges, constraints = [], []
    for child in group.iterchildren(tag=etree.Element):
        name, value = _local(child, root), _text(child)
        attributes = set(map(str, child.attrib))
        if not value:
            return None
        if name == "Privilege" and not attributes:
            privileges.append(value)
        elif name == "Constraint" and attributes == {"Name"} and child.get("Name", "").strip():
            constraints.append((child.get("Name", "").strip(), value))
        else:
            return None
    return Group(tuple(privileges), tuple(constraints))


def _text(element: etree._Element) -> str:
    """Its text; nothing when anything else stands in it: after a comment a parser's text would go on unseen."""
    return "" if len(element) else (element.text or "").strip()
