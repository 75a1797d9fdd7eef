"""No password and no text of a query leaves the operator by its metrics or traces, wherever it is in a status."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
import requests
from aiohttp import web
from msgspec.structs import replace
from prometheus_client import CollectorRegistry, generate_latest

from sluice_operator.api.status import Condition, Result, Status, Verdict
from sluice_operator.http_client import Request
from sluice_operator.telemetry import metrics
from sluice_operator.telemetry.calls import measured
from sluice_operator.telemetry.object_series import Rollouts
from sluice_operator.telemetry.tracing import Tracing
from tests.unit.sluice_operator.build import NOW, OWNER, a_spec, rolling_back
from tests.unit.sluice_operator.loopback import client_of
from tests.unit.sluice_operator.telemetry.runs import Collector, listened, roll_out, serving

SECRET = "s3cret-canary"
EXPR = f'sum(sales{{key="{SECRET}"}})'
QUERY = {"name": "revenue", "query": {"expr": EXPR, "min": "10", "interval": "1m", "failureLimit": 0}}


def with_secrets(status: Status) -> Status:
    """`status` with the canary in each place where people or other servers could write it."""
    run = status.run
    assert run is not None
    assert status.canary is not None
    sentence = f"MLflow at http://user:{SECRET}@mlflow gave no answer"
    return replace(
        status,
        message=sentence,
        canary=replace(
            status.canary, tracking_uri=f"http://user:{SECRET}@mlflow", env=({"name": "A", "value": SECRET},)
        ),
        run=replace(run, message=sentence, objectives=a_spec(objectives=[QUERY]).objectives),
        verdict=Verdict(Result.FAIL, "QueryOutsideLimit", f"sum(sales{{key={SECRET}}}) is 3"),
        conditions=(Condition("Stalled", "True", "RegistryUnreachable", sentence, NOW),),
    )


def exported(rollouts: Rollouts) -> str:
    registry = CollectorRegistry()
    registry.register(rollouts)
    return generate_latest(registry).decode() + generate_latest(metrics.REGISTRY).decode()


def test_a_status_full_of_secrets_is_exported_without_them() -> None:
    """Only names, reasons, numbers and times are."""
    rollouts, collector, status = Rollouts(), Collector(), with_secrets(rolling_back().status)
    for listener in (rollouts, Tracing(collector.sent.append)):
        listener.saw(OWNER, Status(), status, NOW + timedelta(seconds=1))
    text = exported(rollouts)
    assert 'reason="RegistryUnreachable"' in text
    assert collector.sent
    assert SECRET in repr(status)
    assert SECRET not in text + repr(collector.sent)


def test_a_whole_run_with_a_secret_in_its_query_shows_it_nowhere() -> None:
    """In the metrics at any time, and in the trace."""
    world, rollouts, collector = serving(), Rollouts(), Collector()
    world.edit_spec(objectives=[QUERY])
    listened(world, rollouts, Tracing(collector.sent.append))
    roll_out(world)
    assert collector.sent
    assert SECRET not in exported(rollouts) + repr(collector.sent)


@pytest.mark.anyio
async def test_a_request_with_secrets_is_counted_without_them() -> None:
    """Neither its URL, its headers, its body nor the text of its error becomes a label."""
    async with client_of(lambda _: web.Response(status=500, text=SECRET)) as client:
        url = f"http://user:{SECRET}@mlflow/{SECRET}?token={SECRET}"
        deadline = asyncio.get_running_loop().time() + 10
        request = Request("POST", url, 10, deadline, {"X-Token": SECRET}, SECRET.encode(), max_bytes=100)
        answer = await client.ask(request)
    assert (answer.status, answer.body) == (500, SECRET.encode())
    with pytest.raises(requests.ConnectionError), measured("prometheus", "query"):
        raise requests.ConnectionError(f"http://user:{SECRET}@prometheus/api/v1/query?query={SECRET}")
    assert SECRET not in exported(Rollouts())


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
