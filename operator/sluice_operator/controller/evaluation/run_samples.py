"""The samples of one run, on the way from Prometheus to the evidence."""

import statistics
from dataclasses import dataclass, field
from typing import Self

from sluice_operator.analysis import criteria
from sluice_operator.analysis.baseline import Baseline
from sluice_operator.analysis.run_evidence import RunEvidence, RunFindings
from sluice_operator.api.run import Run
from sluice_operator.controller.evaluation.measurements import Measurements
from sluice_operator.counting.counters import Counters
from sluice_operator.counting.intervals import Intervals
from sluice_operator.counting.ticks import ComparedRevisions, closed_ticks, last_scrape, next_close
from sluice_operator.evalues.chain import Pods
from sluice_operator.prometheus.poller import PolledRun, Poller
from sluice_operator.prometheus.reader import MetricsLostError
from sluice_operator.prometheus.selection import Selection

_GAPS_NEEDED = 3  # between scrapes, to tell how often Prometheus scrapes
_STORED_SECONDS = 0.5  # after which a scrape is answered, and is in Prometheus
_DISCOVERY_SECONDS = 30.0  # that Prometheus may need to find new pods; until then, no samples are normal


@dataclass(frozen=True, slots=True)
class Subject:
    """The run that is evaluated, the ModelDeployment that it belongs to, and the revisions that it compares."""

    namespace: str
    name: str
    run: Run
    revisions: ComparedRevisions

    def selection(self, *revisions: str, bounds: tuple[float, ...] | None) -> Selection:
        """The counters of `revisions`. `bounds`: of latency buckets, in seconds; None for all that there are."""
        return Selection(((self.namespace, self.name),), revisions, bounds)


@dataclass(eq=False)
class RunSamples:
    """Mutable: the evidence of one run, and how far its samples were added to it.

    `closed_until` (unix seconds): all ticks up to there are in the evidence.
    """

    evidence: RunEvidence
    poller: Poller
    polled: PolledRun
    closed_until: float
    measurements: dict[str, Measurements] = field(default_factory=dict)  # by name of a query objective

    @classmethod
    def begin(cls, subject: Subject, baseline: Baseline, poller: Poller, intervals: Intervals) -> Self:
        """Without samples yet. They begin with the first traffic of the run."""
        run, compared = subject.run, subject.revisions
        assert run.traffic_started_at is not None
        began = run.traffic_started_at.timestamp()
        revisions = [revision for revision in (compared.canary, compared.stable) if revision is not None]
        selection = subject.selection(*revisions, bounds=criteria.bounds(run.judged, baseline.bounds))
        return cls(
            RunEvidence(run.judged, len(run.steps), baseline, Pods(run.replicas, run.replicas), intervals.tick),
            poller,
            PolledRun(selection, fetched_until=began - intervals.scrape),
            closed_until=began,
        )

    def findings(self, subject: Subject, now: float, intervals: Intervals) -> RunFindings:
        """Add all ticks that are closed by `now` (unix seconds) to the evidence, and return what is known then."""
        run, counters = subject.run, self.polled.counters
        for tick in closed_ticks(counters, subject.revisions, self.closed_until, intervals.tick, intervals.stale_after):
            self.evidence.update(tick, run)
            self.closed_until = tick.end
        counters.forget(self.closed_until)
        end = self.closed_until + intervals.tick
        self.polled.expected = next_close(counters, subject.revisions, end, intervals) + _STORED_SECONDS
        return self.evidence.findings(run, now, intervals.overdue_after)

    def check_fresh(self, subject: Subject, now: float, intervals: Intervals) -> None:
        """Raises MetricsLostError if samples may be missing because of Prometheus, and not because of the canary."""
        revision, began = subject.revisions.canary, subject.run.traffic_started_at
        assert began is not None
        counters = self.polled.counters
        _check_interval(counters, intervals)
        newest_at = last_scrape(counters, revision)
        if newest_at is None and counters.without_pod:
            raise MetricsLostError(
                "the model servers' series have no label pod_uid: check the scrape job's relabelling"
            )
        if newest_at is None and now - began.timestamp() >= max(_DISCOVERY_SECONDS, intervals.stale_after):
            raise MetricsLostError(f"Prometheus has no series of revision {revision}: are its pods scraped?")
        if newest_at is not None and now - newest_at > intervals.stale_after:
            raise MetricsLostError(f"the newest sample of revision {revision} is {now - newest_at:.0f} s old")


def _check_interval(counters: Counters, intervals: Intervals) -> None:
    """Raises MetricsLostError if pods are scraped so seldom that each look would find their samples too old."""
    gaps = [gap for pod in counters.pods.values() for gap in pod.gaps]
    if len(gaps) < _GAPS_NEEDED:
        return
    measured = statistics.median(gaps)
    if measured > intervals.stale_after - intervals.scrape:
        scrapes = f"Prometheus scrapes the pods every {measured:.0f} s"
        setting = f"SLUICE_SCRAPE_INTERVAL says {intervals.scrape:g} s"
        raise MetricsLostError(f"{scrapes}, {setting}: set it to {measured:.0f}s, or have them scraped more often")
