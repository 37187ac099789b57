"""Lists of privileges, as identity providers write them. All made up."""

from __future__ import annotations

import base64

ITST, DIGST = (f"http://{host}/oiosaml/basic_privilege_profile" for host in ("itst.dk", "digst.dk"))
CVR = "12345678"


def group(*privileges: str, scope: str = f"urn:dk:gov:saml:cvrNumberIdentifier:{CVR}", **constraints: str) -> str:
    """A group; constraints by the last part of their KOMBIT name."""
    inside = "".join(f"<Privilege>{privilege}</Privilege>" for privilege in privileges)
    inside += "".join(
        f'<Constraint Name="http://sts.kombit.dk/constraints/{name}/1">{value}</Constraint>'
        for name, value in constraints.items()
    )
    return f'<PrivilegeGroup Scope="{scope}">{inside}</PrivilegeGroup>'


def bpp(*groups: str, namespace: str = ITST, declared: str = '<?xml version="1.0" encoding="UTF-8"?>') -> str:
    text = f'{declared}<bpp:PrivilegeList xmlns:bpp="{namespace}">{"".join(groups)}</bpp:PrivilegeList>'
    return base64.b64encode(text.encode()).decode()
