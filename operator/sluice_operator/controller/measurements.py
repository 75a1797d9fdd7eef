"""The measurements of the user's own queries in a run: each is taken once, and again only by a restarted operator."""

from dataclasses import dataclass, field

from sluice_operator.analysis import queries
from sluice_operator.api.spec import Objective
from sluice_operator.api.status import ObjectiveVerdict, Run
from sluice_operator.prometheus.reader import MetricsLostError, Reader


@dataclass
class Measurements:
    """Of one query, as (unix seconds, value), every interval since the run's first traffic."""

    taken: int = 0
    values: list[tuple[float, float]] = field(default_factory=list)

    async def judged(self, reader: Reader, objective: Objective, promql: str, run: Run, now: float) -> ObjectiveVerdict:
        """With those that are due by now. What is wrong with the query alone is told with it."""
        assert objective.query is not None
        assert run.traffic_started_at is not None
        since, step = run.traffic_started_at.timestamp(), objective.query.interval.total_seconds()
        in_step = run.step_started_at.timestamp() if run.step_started_at else since
        due = int((now - since) / step)
        try:
            if due > self.taken:
                first, last = since + (self.taken + 1) * step, since + due * step
                self.values += await reader.values(promql, first, last, step)
                self.taken = due
        except MetricsLostError as error:
            return queries.judged(objective, [], in_step, str(error))
        return queries.judged(objective, self.values, in_step)
