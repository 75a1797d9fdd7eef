"""Measurements of a user's query: each once, in parts that Prometheus answers, and never kept as a list."""

from __future__ import annotations

import asyncio
import sys
from datetime import timedelta
from typing import Any

from sluice_operator.api.status import ObjectiveVerdict
from sluice_operator.controller.evaluation.measurements import Measurements
from sluice_operator.prometheus.reader import MetricsLostError
from tests.unit.sluice_operator.build import a_spec, stepping

OBJECTIVE = a_spec(
    objectives=[{"name": "q", "query": {"expr": "up", "max": "100", "interval": "1s", "failureLimit": 3}}]
).objectives[0]
RUN = stepping().status.run
assert RUN is not None
assert RUN.traffic_started_at is not None
BEGAN = RUN.traffic_started_at.timestamp()


class Reader:
    """Has a value for each second; may fail from some query on."""

    def __init__(self, fails_at: int = sys.maxsize) -> None:
        self.spans: list[tuple[float, float]] = []
        self.fails_at = fails_at

    async def values(self, _: str, since: float, until: float, step: float) -> list[tuple[float, float]]:
        if len(self.spans) >= self.fails_at:
            raise MetricsLostError("silent")
        self.spans.append((since - BEGAN, until - BEGAN))
        return [(since + number * step, 7.0) for number in range(int((until - since) / step) + 1)]


def judged(measurements: Measurements, reader: Any, after: timedelta) -> ObjectiveVerdict:
    assert RUN is not None
    return asyncio.run(measurements.judged(reader, OBJECTIVE, "up", RUN, BEGAN + after.total_seconds()))


def test_a_long_run_is_measured_in_parts() -> None:
    """Prometheus refuses more than 11,000 measurements per query. No time is asked for twice."""
    measurements, reader = Measurements(), Reader()
    assert judged(measurements, reader, timedelta(seconds=25_000)).requests == 25_000
    assert reader.spans == [(1, 10_000), (10_001, 20_000), (20_001, 25_000)]
    assert judged(measurements, reader, timedelta(seconds=25_001)).requests == 25_001
    assert reader.spans[3:] == [(25_001, 25_001)]


def test_what_was_measured_before_an_error_is_not_asked_for_again() -> None:
    """Until Prometheus answers again, this objective is undecided."""
    measurements = Measurements()
    assert judged(measurements, Reader(fails_at=1), timedelta(seconds=15_000)).needs == "silent"
    reader = Reader()
    assert judged(measurements, reader, timedelta(seconds=15_000)).requests == 15_000
    assert reader.spans == [(10_001, 15_000)]


def test_a_day_of_measurements_takes_no_memory() -> None:
    """Counts, and the last value with its time."""
    measurements = Measurements()
    judged(measurements, Reader(), timedelta(days=1))
    assert measurements.measured.number == 86_400
    assert not [name for name, value in vars(measurements).items() if isinstance(value, list | dict)]
