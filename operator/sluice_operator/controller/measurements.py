"""Measurements of a user's own queries in a run. Each is taken once; a restarted operator takes them all again."""

from dataclasses import dataclass, field

from sluice_operator.analysis import queries
from sluice_operator.api.run import Run
from sluice_operator.api.spec import Objective
from sluice_operator.api.status import ObjectiveVerdict
from sluice_operator.prometheus.reader import MetricsLostError, Reader


@dataclass
class Measurements:
    """Mutable: the measurements of one query, one per interval since the first traffic of the run.

    `taken`: how many intervals were asked for. `values`: (unix seconds, value), only where the query had a result.
    """

    taken: int = 0
    values: list[tuple[float, float]] = field(default_factory=list)

    async def judged(self, reader: Reader, objective: Objective, promql: str, run: Run, now: float) -> ObjectiveVerdict:
        """The verdict at `now` (unix seconds), after the measurements that are due were taken.

        An error of this query makes this objective undecided; other objectives are judged all the same.
        """
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
