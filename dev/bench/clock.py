"""Which part of the operator spends its CPU time: functions of each part are timed at each call, in any thread."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from threading import Lock
from typing import Any

from sluice_operator.analysis.run_evidence import RunEvidence
from sluice_operator.api.run import Run
from sluice_operator.controller.evaluation import evaluate
from sluice_operator.counting import ticks
from sluice_operator.counting.counters import Counters
from sluice_operator.counting.ticks import Tick
from sluice_operator.prometheus.connection import Prometheus

PARTS: dict[str, tuple[tuple[Any, str], ...]] = {
    "counters": ((Counters, "add"), (Counters, "forget"), (ticks, "tally")),
    "e-values": ((RunEvidence, "update"),),
    "verdict": ((RunEvidence, "findings"), (evaluate, "judge")),
}
FETCHING = "fetching"


class Clock:
    """CPU seconds by part, the number of queries and of ticks, and the end (unix seconds) of each run's newest tick."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys((FETCHING, *PARTS), 0.0)
        self.queries = self.ticks = 0
        self.newest: dict[str, float] = {}
        self._lock = Lock()
        for part, functions in PARTS.items():
            for owner, name in functions:
                setattr(owner, name, self._timed(getattr(owner, name), part))
        RunEvidence.update = self._counted(RunEvidence.update)  # type: ignore[assignment,method-assign]

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        began = time.thread_time()
        try:
            yield
        finally:
            spent = time.thread_time() - began
            with self._lock:
                self.seconds[name] += spent

    def _timed(self, function: Callable[..., Any], part: str) -> Callable[..., Any]:
        def timed(*arguments: Any, **named: Any) -> Any:
            with self.part(part):
                return function(*arguments, **named)

        return timed

    def _counted(self, update: Callable[[RunEvidence, Tick, Run], None]) -> Callable[[RunEvidence, Tick, Run], None]:
        def counted(evidence: RunEvidence, tick: Tick, run: Run) -> None:
            update(evidence, tick, run)
            with self._lock:
                self.ticks += 1
                self.newest[run.id] = tick.end

        return counted


class Client:
    """A Prometheus client that counts and times its queries."""

    def __init__(self, client: Prometheus, clock: Clock) -> None:
        self._client, self._clock = client, clock

    def custom_query(self, query: str, params: dict[str, Any]) -> list[dict[str, Any]]:
        self._clock.queries += 1
        with self._clock.part(FETCHING):
            return self._client.custom_query(query, params)

    def custom_query_range(
        self, query: str, start_time: datetime, end_time: datetime, step: str
    ) -> list[dict[str, Any]]:
        self._clock.queries += 1
        with self._clock.part(FETCHING):
            return self._client.custom_query_range(query, start_time, end_time, step)
