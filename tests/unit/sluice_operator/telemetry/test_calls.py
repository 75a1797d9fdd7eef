"""Requests to what the operator depends on: counted with the kind of their error."""

import asyncio
import json
import ssl

import aiohttp
import pytest
import requests
from aiohttp import web
from aiohttp.web_request import BaseRequest

from sluice_operator.http_client import HttpError, Request
from sluice_operator.kubernetes.port import NoAnswer
from sluice_operator.prometheus.session import AnswerError
from sluice_operator.telemetry.calls import kind_of, measured
from sluice_operator.telemetry.metrics import DEPENDENCIES, ERROR_KINDS, REGISTRY
from tests.unit.sluice_operator.loopback import Asked, client_of


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
        (aiohttp.SocketTimeoutError("slow"), "timeout"),
        (requests.ReadTimeout("slow"), "timeout"),
        (wrapped(aiohttp.ClientOSError("tls"), ssl.SSLCertVerificationError()), "tls"),
        (requests.exceptions.SSLError("tls"), "tls"),
        (requests.ConnectionError(ssl.SSLError()), "tls"),
        (aiohttp.ClientOSError("refused"), "connection"),
        (aiohttp.ClientPayloadError("broken off"), "connection"),
        (aiohttp.ClientError("no HTTP"), "unusable"),
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

    def answer(asked: Asked) -> web.StreamResponse:
        return web.Response(status=503) if asked.path == "/busy" else Broken()

    async def ask(path: str) -> None:
        async with client_of(answer, dependency="gateway") as client:
            await client.ask(Request("GET", f"http://gateway{path}", 10, asyncio.get_running_loop().time() + 10))

    before = errors("gateway", "server_error"), errors("gateway", "connection")
    asyncio.run(ask("/busy"))
    with pytest.raises(HttpError):
        asyncio.run(ask("/broken"))
    assert (errors("gateway", "server_error"), errors("gateway", "connection")) == (before[0] + 1, before[1] + 1)


class Broken(web.Response):
    """The connection is closed in place of an answer."""

    async def prepare(self, request: BaseRequest) -> None:
        assert request.transport is not None
        request.transport.close()
