"""Measures requests to the API server, MLflow, Prometheus and the gateway: how long they take, and how they fail.

The labels are a fixed set of words. What was asked, where, and what came back are not looked at, except for the status.
"""

import asyncio
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import aiohttp
import requests

from sluice_operator.telemetry.metrics import REQUEST_DURATION, REQUEST_ERRORS

_NOT_FOUND = 404  # an answer like any other: there is no such object, alias or version
_KINDS = {401: "refused", 403: "refused", 409: "conflict", 429: "throttled"}


@dataclass(slots=True)
class Call:
    """One request. `failed_as`: the kind of its error; empty if there is none."""

    failed_as: str = ""

    def answered(self, status: int) -> None:
        """The answer has this HTTP status."""
        if status >= 400 and status != _NOT_FOUND:
            self.failed_as = _KINDS.get(status, "server_error" if status >= 500 else "invalid")


@contextmanager
def measured(dependency: str, operation: str) -> Iterator[Call]:
    """Count one request to `dependency`. An exception is its error, and goes on."""
    call, began = Call(), time.perf_counter()
    try:
        yield call
    except BaseException as error:
        call.failed_as = call.failed_as or kind_of(error)
        raise
    finally:
        REQUEST_DURATION.labels(dependency, operation).observe(time.perf_counter() - began)
        if call.failed_as:
            REQUEST_ERRORS.labels(dependency, call.failed_as).inc()


def kind_of(error: BaseException) -> str:
    """Which kind of error a request ended with: one of `metrics.ERROR_KINDS`."""
    chain = list(_causes(error))
    if any(isinstance(cause, ssl.SSLError | requests.exceptions.SSLError) for cause in chain):
        return "tls"
    if any(isinstance(cause, TimeoutError | requests.Timeout) for cause in chain):
        return "timeout"
    return next((kind for cause in reversed(chain) if (kind := _kind_of_one(cause))), "other")


def _kind_of_one(error: BaseException) -> str:
    """The same for one exception of a chain; empty if it says nothing."""
    match error:
        case asyncio.CancelledError():
            return "cancelled"
        case requests.ConnectionError() | requests.exceptions.ChunkedEncodingError():
            return "connection"
        case aiohttp.ClientConnectionError() | aiohttp.ClientPayloadError():
            return "connection"
        case requests.RequestException() | aiohttp.ClientError() | ValueError():
            return "unusable"
        case OSError():
            return "connection"
        case _:
            return ""


def _causes(error: BaseException) -> Iterator[BaseException]:
    """`error` and what it came from."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        wrapped = cause.args[-1] if cause.args and isinstance(cause.args[-1], BaseException) else None
        cause = cause.__cause__ or cause.__context__ or wrapped
