"""The OpenAPI document is what the server does: requests that are made from it, and others, have documented answers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from requests import Request
from schemathesis import checks
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.unit.sluice_server.visits import save_visits

if TYPE_CHECKING:
    from tests.unit.sluice_server.conftest import Client, Start

CHECKS = [
    checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
FLOWER = {"name": "x", "shape": [1, 4], "datatype": "FP64", "data": [5.1, 3.5, 1.4, 0.2]}
VISIT = {"city": "ulm", "visits": 1, "member": True, "since": "2025-01-31"}


@dataclass(frozen=True)
class Described:
    """A server, its document, and tensors that it answers: no schema says how many values a shape needs."""

    client: Client
    tensors: list[dict[str, Any]]

    def schema(self) -> Any:
        return schemathesis.openapi.from_dict(self.client.get("/openapi.json", "cluster").json())

    def ask(self, case: Any) -> int:
        """The status of an answer, which is as the document says."""
        made = Request(**case.as_transport_kwargs(base_url="http://pod:8080")).prepare()
        headers = dict(made.headers)
        answer = self.client.request(
            str(made.method), made.path_url, "cluster", content=made.body or b"", headers=headers
        )
        case.validate_response(answer, checks=CHECKS)
        return answer.status_code


@pytest.fixture(params=["numbers", "every type"])
def described(request: pytest.FixtureRequest, start: Start, tmp_path: Path) -> Described:
    """A forest of four numbers; and a model that takes every type of column, one of which may be absent."""
    if request.param == "numbers":
        return Described(start(), [FLOWER])
    types = {"city": "BYTES", "visits": "INT64", "member": "BOOL", "since": "BYTES"}
    tensors = [{"name": name, "shape": [1], "datatype": types[name], "data": [value]} for name, value in VISIT.items()]
    return Described(start(model_dir=save_visits(tmp_path / "visits")), tensors)


def test_what_is_answered_is_what_the_document_says(described: Described) -> None:
    """For each operation, with requests that are made from it: no 5xx; status, type and body are those described."""
    answered = set()
    for found in described.schema().get_all_operations():
        operation = found.ok()

        @settings(max_examples=40, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy())
        def ask(case: Any) -> None:
            answered.add((case.operation.path, described.ask(case)))

        ask()
    paths = {path for path, _ in answered}
    assert {"/predict", "/invocations", "/feedback", "/v2/models/iris/infer", "/v2/models/{model}", "/health"} <= paths
    assert {("/predict", 200), ("/invocations", 200)} <= answered, "some requests from the document are answered"
    assert described.client.value("ml_requests_total", "cluster", code="500") == 0


def test_answers_to_tensors_are_as_the_document_says(described: Described) -> None:
    """Of a request that is answered."""
    for path in ("/v2/models/iris/infer", "/v2/models/iris/versions/3/infer"):
        case = described.schema()[path]["POST"].Case(body={"inputs": described.tensors}, media_type="application/json")
        assert described.ask(case) == 200


def test_the_example_of_the_document_is_answered(described: Described) -> None:
    """Whoever opens /docs can send it as it is."""
    operation = described.schema()["/predict"]["POST"]
    example = described.client.get("/openapi.json").json()["paths"]["/predict"]["post"]["requestBody"]["content"]
    case = operation.Case(body=example["application/json"]["example"], media_type="application/json")
    assert described.ask(case) == 200
