"""Evaluates runs: fetches what is new of each, has `analysis` judge it, and remembers nothing that cannot be read from
Prometheus again.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sluice_operator.analysis import criteria, queries
from sluice_operator.analysis.decision import Stage
from sluice_operator.analysis.evaluation import EndedRun, Evaluation, QueryResults, query_results
from sluice_operator.analysis.run_evidence import Findings, RunEvidence
from sluice_operator.analysis.verdict import judge, lost
from sluice_operator.api.observation import Refusal
from sluice_operator.api.quantities import Number
from sluice_operator.api.spec import Objective, Prometheus
from sluice_operator.api.status import ObjectiveVerdict, Status, Verdict
from sluice_operator.controller import stable_history
from sluice_operator.controller.measurements import Measurements
from sluice_operator.controller.run_samples import RunSamples, Subject
from sluice_operator.counting.intervals import Intervals
from sluice_operator.prometheus.poller import Poller
from sluice_operator.prometheus.reader import MetricsLostError, Reader
from sluice_operator.prometheus.selection import Selection
from sluice_operator.prometheus.servers import ServerRefusedError, Servers

Key = tuple[str, str]  # namespace and name of a ModelDeployment


class Evaluator:
    """Verdicts for runs, from what Prometheus knows of them.

    `reader`: of the operator's own. `servers`: for runs that name another; without them there are no such runs.
    """

    def __init__(self, reader: Reader, intervals: Intervals, servers: Servers | None = None) -> None:
        self._intervals = intervals
        self._own = Poller(reader, intervals)
        self._servers = servers
        self._samples: dict[Key, tuple[object, RunSamples]] = {}
        # The newest evaluation of each object: it holds until the next is due, as long as it is of the same stage.
        self._evaluations: dict[Key, tuple[object, Evaluation]] = {}

    def forget(self, namespace: str, name: str) -> None:
        """Drop what is kept of an object's run."""
        self._samples.pop((namespace, name), None)
        self._evaluations.pop((namespace, name), None)

    async def refusal(self, namespace: str, server: Prometheus | None) -> Refusal | None:
        """Why the Prometheus that an object names is not asked, if it is not."""
        try:
            await self._poller(namespace, server)
        except ServerRefusedError as error:
            return Refusal(error.reason, str(error))
        return None

    async def rate(
        self, namespace: str, name: str, revision: str, now: datetime, server: Prometheus | None = None
    ) -> float | None:
        """Gateway requests per second that `revision` answers; None while Prometheus does not say."""
        try:
            reader = (await self._poller(namespace, server)).reader
            return await reader.rate(Selection(((namespace, name),), (revision,)), now.timestamp())
        except MetricsLostError:
            return None

    async def latency_thresholds(
        self,
        key: Key,
        revision: str,
        objectives: Sequence[Objective],
        now: datetime,
        server: Prometheus | None = None,
    ) -> Mapping[str, Number]:
        """By latency objective without a limit: above how many seconds a request is slow. Raises MetricsLostError."""
        reader = (await self._poller(key[0], server)).reader
        stable = Selection((key,), (revision,), None)
        within = await stable_history.recent_latencies(reader, stable, now.timestamp(), self._intervals)
        return criteria.latency_thresholds(objectives, within)

    async def verdict(self, subject: Subject, current: Status, crashes: int, now: datetime) -> Verdict:
        """What is known now: at most one evaluation per evaluation interval while the run stays at its stage."""
        run, key = subject.run, (subject.namespace, subject.name)
        stage = (run.id, current.phase, run.step, run.step_started_at, run.traffic_started_at)
        of_stage, newest = self._evaluations.get(key, (None, None))
        if newest and of_stage == stage and now < newest.at + timedelta(seconds=self._intervals.evaluation):
            return newest.verdict
        try:
            samples = await self._samples_of(subject)
            findings = await self._findings(samples, subject, now.timestamp())
            queried = await _query_results(samples, subject, now.timestamp())
        except MetricsLostError as error:
            verdict = lost(str(error), current.verdict, crashes)
        else:
            verdict = judge(replace(findings, queries=queried), run.confidence, Stage.of(run, now), crashes)
        self._evaluations[key] = stage, Evaluation(verdict, now, crashes)
        return verdict

    async def ended(self, subject: Subject, current: Status) -> EndedRun | None:
        """A run that ended, from memory or from Prometheus again; None if there was nothing to count.

        Raises MetricsLostError.
        """
        run, key = subject.run, (subject.namespace, subject.name)
        known, evaluated = self._samples.get(key), self._evaluations.get(key)
        if known is not None and evaluated is not None and known[0] == (run.id, run.traffic_started_at):
            evidence, last = known[1].evidence, evaluated[1]
        else:
            evidence, last = await self._evaluated_again(subject, current)
        tallies = (tally for tick in evidence.ticks for tally in (tick.canary, tick.stable))
        if not any(tally.started or tally.labels for tally in tallies):
            return None
        return EndedRun(evidence, last, self._intervals.overdue_after)

    async def _evaluated_again(self, subject: Subject, current: Status) -> tuple[RunEvidence, Evaluation]:
        """The evidence as it was when the run ended, and the evaluation of that moment."""
        run, ended = subject.run, subject.run.ended_at
        assert ended is not None
        samples = await self._samples_of(subject)
        self.forget(subject.namespace, subject.name)
        await samples.poller.up_to(samples.polled, ended.timestamp())
        counted = await asyncio.to_thread(samples.findings, subject, ended.timestamp(), self._intervals)
        known = current.verdict
        findings = replace(counted, queries=query_results(run.objectives, known) if known is not None else ())
        verdict = judge(findings, run.confidence, Stage.of(run, ended), crashes=0)
        if known is not None and (known.result, known.reason) != (verdict.result, verdict.reason):
            verdict = known  # crashes, or metrics that were lost: not in the ticks
        return samples.evidence, Evaluation(verdict, ended)

    async def _poller(self, namespace: str, server: Prometheus | None) -> Poller:
        """The one that a run's samples come from. Raises ServerRefusedError."""
        if server is None:
            return self._own
        assert self._servers is not None
        return await self._servers.poller(namespace, server)

    async def _samples_of(self, subject: Subject) -> RunSamples:
        """Those in memory, or new ones that begin with the run's first traffic. Raises MetricsLostError."""
        run, key = subject.run, (subject.namespace, subject.name)
        poller = await self._poller(subject.namespace, run.prometheus)
        identity = (run.id, run.traffic_started_at)
        known = self._samples.get(key)
        if known is not None and known[0] == identity:
            samples = known[1]
            samples.poller = poller  # that of a server that was opened again
            return samples
        baseline = await stable_history.baseline_of(poller.reader, subject, self._intervals)
        samples = RunSamples.begin(subject, baseline, poller, self._intervals)
        self._samples[key] = (identity, samples)
        return samples

    async def _findings(self, samples: RunSamples, subject: Subject, now: float) -> Findings:
        """With what is new. Raises MetricsLostError."""
        poller, polled = samples.poller, samples.polled
        others = [other.polled for _, other in self._samples.values() if other.poller is poller]
        await poller.refresh(polled, others, now)
        samples.check_fresh(subject, now, self._intervals)
        polled.busy = True
        try:
            # In a thread: there are hours of ticks after a restart.
            return await asyncio.to_thread(samples.findings, subject, now, self._intervals)
        finally:
            polled.busy = False


async def _query_results(samples: RunSamples, subject: Subject, now: float) -> QueryResults:
    """What the run's queries say."""
    results = list[tuple[Objective, ObjectiveVerdict]]()
    for objective in subject.run.objectives:
        if objective.query is not None:
            promql = queries.rendered(objective.query, subject.namespace, subject.name, subject.revisions.canary)
            known = samples.measurements.setdefault(objective.name, Measurements())
            reader = samples.poller.reader
            results.append((objective, await known.judged(reader, objective, promql, subject.run, now)))
    return tuple(results)
