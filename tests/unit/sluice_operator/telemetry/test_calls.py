"""Requests to what the operator depends on: counted with the kind of their error."""

import asyncio
import json
import ssl

import aiohttp
import httpx
import pytest
import requests

from sluice_operator.kubernetes.port import NoAnswer
from sluice_operator.prometheus.session import AnswerError
from sluice_operator.telemetry.calls import MeasuredClient, kind_of, measured
from sluice_operator.telemetry.metrics import DEPENDENCIES, ERROR_KINDS, REGISTRY


def errors(dependency: str, kind: str) -> float:
    count = REGISTRY.get_sample_value("sluice_request_errors_total", {"dependency": dependency, "kind": kind})
    assert count is not None, "a series that begins with its first error is no increase"
    return count


def requests_to(dependency: str, operation: str) -> float:
    labels = {"dependency": dependency, "operation": operation}
    return REGISTRY.get_sample_value("sluice_request_duration_seconds_count", labels) or 0.0


def wrapped(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (TimeoutError(), "timeout"),
        (httpx.ReadTimeout("slow"), "timeout"),
        (requests.ReadTimeout("slow"), "timeout"),
        (wrapped(httpx.ConnectError("tls"), ssl.SSLCertVerificationError()), "tls"),
        (requests.exceptions.SSLError("tls"), "tls"),
        (requests.ConnectionError(ssl.SSLError()), "tls"),
        (httpx.ConnectError("refused"), "connection"),
        (requests.ConnectionError("refused"), "connection"),
        (ConnectionResetError(), "connection"),
        (asyncio.CancelledError(), "cancelled"),
        (json.JSONDecodeError("no JSON", "", 0), "unusable"),
        (requests.JSONDecodeError("no JSON", "", 0), "unusable"),
        (AnswerError("it is longer than 32 MB"), "unusable"),
        (wrapped(NoAnswer("no answer"), aiohttp.ClientOSError("reset")), "connection"),
        (wrapped(NoAnswer("no answer"), aiohttp.ServerDisconnectedError()), "connection"),
        (wrapped(NoAnswer("no JSON"), json.JSONDecodeError("no JSON", "", 0)), "unusable"),
        (RuntimeError("a bug"), "other"),
    ],
)
def test_an_exception_has_one_kind(error: BaseException, kind: str) -> None:
    """The kind says where to look: a network, a certificate, or the server."""
    assert kind_of(error) == kind
    assert kind in ERROR_KINDS


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, "refused"),
        (403, "refused"),
        (409, "conflict"),
        (422, "invalid"),
        (429, "throttled"),
        (503, "server_error"),
    ],
)
@pytest.mark.parametrize("dependency", DEPENDENCIES)
def test_an_error_status_has_one_kind(dependency: str, status: int, kind: str) -> None:
    """The request has an answer, and is counted once."""
    before, asked = errors(dependency, kind), requests_to(dependency, "get")
    with measured(dependency, "get") as call:
        call.answered(status)
    assert errors(dependency, kind) == before + 1
    assert requests_to(dependency, "get") == asked + 1


@pytest.mark.parametrize("status", [200, 201, 302, 404])
def test_an_answer_that_is_none_of_these_is_no_error(status: int) -> None:
    """404 is how an alias or an object that does not exist is answered."""
    before = {kind: errors("mlflow", kind) for kind in ERROR_KINDS}
    with measured("mlflow", "get") as call:
        call.answered(status)
    assert {kind: errors("mlflow", kind) for kind in ERROR_KINDS} == before


def test_the_client_counts_answers_and_broken_connections() -> None:
    """One count for each request, with the kind of its error."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/broken":
            raise httpx.ConnectError("refused")
        return httpx.Response(503)

    async def ask(path: str) -> None:
        async with MeasuredClient("gateway", transport=httpx.MockTransport(answer)) as client:
            await client.get(f"http://gateway{path}")

    before = errors("gateway", "server_error"), errors("gateway", "connection")
    asyncio.run(ask("/busy"))
    with pytest.raises(httpx.ConnectError):
        asyncio.run(ask("/broken"))
    assert (errors("gateway", "server_error"), errors("gateway", "connection")) == (before[0] + 1, before[1] + 1)
