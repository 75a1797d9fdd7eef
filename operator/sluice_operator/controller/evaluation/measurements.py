"""Measurements of a user's own queries in a run. Each is taken once; a restarted operator takes them all again."""

from dataclasses import dataclass, field

from sluice_operator.analysis import queries
from sluice_operator.api.run import Run
from sluice_operator.api.spec import Objective
from sluice_operator.api.status import ObjectiveVerdict
from sluice_operator.prometheus.reader import POINTS, MetricsLostError, Reader


@dataclass
class Measurements:
    """Mutable: what one query has measured, once per interval since the first traffic of the run.

    `taken`: how many intervals were asked for. The values are not kept: a long run has a million of them.
    """

    taken: int = 0
    measured: queries.Measured = field(default_factory=queries.Measured)

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
            while self.taken < due:
                last = min(due, self.taken + POINTS)
                values = await reader.values(promql, since + (self.taken + 1) * step, since + last * step, step)
                self.measured, self.taken = self.measured.plus(objective.query, values), last
        except MetricsLostError as error:
            return queries.judged(objective, queries.Measured(), in_step, str(error))
        return queries.judged(objective, self.measured, in_step)
