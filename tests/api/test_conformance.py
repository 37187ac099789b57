"""The API as its own description has it: whatever is sent, by whomever, is answered by a documented status and body,
and nothing makes it break. Schemathesis makes the requests, good and bad, from the description alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from uuid import UUID

import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from schemathesis.checks import (
    content_type_conformance,
    negative_data_rejection,
    not_a_server_error,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from schemathesis.config import SchemathesisConfig
from schemathesis.generation import GenerationMode

from hub.context import Context
from hub.settings import Access
from hub.web.app import build
from tests.api.conftest import IDA, SANNE

CHECKS = [
    content_type_conformance,
    negative_data_rejection,
    not_a_server_error,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
]
"""Not that all good data is taken: a number must be one that can be somebody's, which no pattern says."""
KNOWN = {"cpr": IDA, "cprs": [IDA, "0909094999"]}
ROLES = ("staff", "coordinator", "leader", "auditor", "operator", "source", "system", "")
"""What a token may say; the last is a token without a role."""


@pytest.fixture
def callers(bearer: Callable[..., dict[str, str]]) -> dict[str, dict[str, str]]:
    """The header of everybody who may call, and of some who may not."""
    good = {f"a token for {role or 'no role'}": bearer(replace(SANNE, role=role)) for role in ROLES}
    return good | {"nobody": {}, "a wrong token": {"Authorization": "Bearer x"}}


@pytest.fixture
def client(ctx: Context, ida: UUID) -> Iterator[TestClient]:
    """The whole application; of so many requests none is refused for being one too many."""
    access = Access(children_an_hour=10_000)
    with TestClient(build(replace(ctx, settings=ctx.settings.model_copy(update={"access": access})))) as client:
        yield client


def about_ida(case: schemathesis.Case) -> None:
    """Chance never finds a child the hub knows."""
    if isinstance(case.body, dict):
        case.body |= {field: known for field, known in KNOWN.items() if field in case.body}


@pytest.mark.parametrize("examples", [6, pytest.param(40, marks=[pytest.mark.slow, pytest.mark.timeout(600)])])
def test_whatever_is_sent_by_whomever_is_answered_as_described(
    client: TestClient, callers: dict[str, dict[str, str]], examples: int
) -> None:
    described = schemathesis.openapi.from_dict(client.get("/api/v1/openapi.json").json(), config=SchemathesisConfig())
    answered: set[int] = set()
    seen: set[tuple[str, bool]] = set()
    for found in described.get_all_operations():
        for mode in GenerationMode:

            @settings(max_examples=examples, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
            @given(found.ok().as_strategy(generation_mode=mode), st.booleans())
            def sent(case: schemathesis.Case, known: bool) -> None:
                if known and case.meta.generation.mode is GenerationMode.POSITIVE:
                    about_ida(case)
                for who, header in callers.items():
                    note(f"as {who}")
                    told = case.as_transport_kwargs(headers=header)
                    answer = client.request(**told)
                    case.validate_response(answer, checks=CHECKS, headers=header, transport_kwargs=told)
                    answered.add(answer.status_code)
                    seen.add((who, "Mette Holm" in answer.text))

            sent()
    assert answered >= {200, 401, 422}, "what is sent is taken, refused and wrong"
    assert {who for who, found in seen if found} == {
        f"a token for {role}" for role in ("staff", "coordinator", "leader")
    }


@pytest.mark.parametrize("query", ["?=false", "?aftr=1", f"?after=1&{IDA}=", "?cpr="])
@pytest.mark.parametrize("path", ["notices", "journal", "templates", "lookups"])
def test_a_parameter_that_is_not_known_is_refused_and_not_repeated(
    client: TestClient, bearer: Callable[..., dict[str, str]], path: str, query: str
) -> None:
    method, body = ("POST", {"cpr": IDA, "purpose": "case"}) if path == "lookups" else ("GET", None)
    role = {"templates": "operator", "lookups": "staff"}.get(path, "source")
    header = bearer(replace(SANNE, role=role))
    answer = client.request(method, f"/api/v1/{path}{query}", json=body, headers=header)
    takes = "only after" if path in ("notices", "journal") else "none"
    assert answer.status_code == 422
    assert answer.json() == {"detail": f"query: there is a parameter that is not known here; this takes {takes}"}
    assert client.request(method, f"/api/v1/{path}?", json=body, headers=header).status_code == 200
