"""Evaluates runs: fetches new samples of each run and has `analysis` evaluate them.

All that is kept in memory can be read from Prometheus again, so a restart changes no verdict.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from sluice_operator.analysis import criteria, queries, wording
from sluice_operator.analysis.confinement import ConfinementError
from sluice_operator.analysis.evaluation import (
    EndedRun,
    Evaluation,
    QueryResults,
    evaluate,
    query_results,
    without_metrics,
)
from sluice_operator.analysis.run_evidence import RunEvidence, RunFindings
from sluice_operator.analysis.verdict import Judgement, Part, judge
from sluice_operator.api.observation import Crashes, Refusal
from sluice_operator.api.owner import Key
from sluice_operator.api.quantities import Number
from sluice_operator.api.run import Run
from sluice_operator.api.spec import Objective, Prometheus
from sluice_operator.api.status import ObjectiveVerdict, Status, Verdict
from sluice_operator.controller.evaluation import stable_history
from sluice_operator.controller.evaluation.measurements import Measurements
from sluice_operator.controller.evaluation.run_samples import RunSamples, Subject
from sluice_operator.controller.evaluation.user_queries import UserQueries
from sluice_operator.controller.scheduling.namespace_limit import NamespaceLimit
from sluice_operator.counting.intervals import Intervals
from sluice_operator.prometheus.poller import Poller
from sluice_operator.prometheus.reader import MetricsLostError, Reader
from sluice_operator.prometheus.selection import Selection
from sluice_operator.prometheus.servers import ServerRefusedError, Servers
from sluice_operator.telemetry.object_series import Evidence
from sluice_operator.telemetry.stages import in_stage

_CONFINED = UserQueries()
_QUERIES_AT_ONCE = 2  # of the users of one namespace


class Evaluator:
    """Verdicts for runs, from their samples in Prometheus.

    `reader`: of the operator's own Prometheus. `servers`: those that runs may name instead; None if no run names one.
    `report`: is told the evidence of each evaluation. `wake`: is called with an object when its run should have a new
    tick.
    """

    def __init__(
        self,
        reader: Reader,
        intervals: Intervals,
        servers: Servers | None = None,
        report: Callable[[str, str, Iterable[Evidence]], None] = lambda *_: None,
        user_queries: UserQueries = _CONFINED,
        wake: Callable[[Key], None] = lambda key: None,
    ) -> None:
        self._user_queries = user_queries
        self._user_turns = NamespaceLimit(_QUERIES_AT_ONCE)
        self._intervals = intervals
        self._report = report
        self._wake = wake
        self._own = Poller(reader, intervals)
        self._servers = servers
        self._samples: dict[Key, tuple[object, RunSamples]] = {}  # with the identity of the run
        # The newest evaluation, with the part of its run. It is used until the next one is due or the part changes.
        self._evaluations: dict[Key, tuple[object, Evaluation]] = {}

    def forget(self, namespace: str, name: str) -> None:
        """Drop the samples and the evaluation of an object's run."""
        self._samples.pop((namespace, name), None)
        self._evaluations.pop((namespace, name), None)

    @in_stage("evidence")
    async def refusal(
        self, key: Key, server: Prometheus | None, objectives: Sequence[Objective] = ()
    ) -> Refusal | None:
        """Why the Prometheus that an object names may not be asked, or not by its queries; None if it may."""
        try:
            await self._poller(key[0], server)
        except ServerRefusedError as error:
            return Refusal(error.reason, str(error))
        return self._user_queries.refusal(objectives, key, server)

    @in_stage("evidence")
    async def rate(
        self, namespace: str, name: str, revision: str, now: datetime, server: Prometheus | None = None
    ) -> float | None:
        """Requests per second that `revision` answers through the gateway; None if Prometheus gives no answer."""
        try:
            reader = (await self._poller(namespace, server)).reader
            return await reader.rate(Selection(((namespace, name),), (revision,)), now.timestamp())
        except MetricsLostError:
            return None

    @in_stage("evidence")
    async def latency_thresholds(
        self,
        key: Key,
        revision: str,
        objectives: Sequence[Objective],
        now: datetime,
        server: Prometheus | None = None,
    ) -> Mapping[str, Number]:
        """By name of a latency objective without a limit: above how many seconds a request is slow.

        `revision`: the stable one, whose latencies decide that. Raises MetricsLostError.
        """
        reader = (await self._poller(key[0], server)).reader
        stable = Selection((key,), (revision,), None)
        within = await stable_history.recent_latencies(reader, stable, now.timestamp(), self._intervals)
        return criteria.latency_thresholds(objectives, within)

    @in_stage("evidence")
    async def verdict(self, subject: Subject, current: Status, crashes: Crashes, now: datetime) -> Verdict:
        """The verdict at `now`. While the part of the run stays the same, there is one evaluation per interval, and
        another one when a new tick should be there.

        `crashes`: of the canary's model servers, more than of stable's.
        """
        run, key = subject.run, (subject.namespace, subject.name)
        part = (run.id, current.phase, run.step, run.step_started_at, run.traffic_started_at)
        evaluated_part, newest = self._evaluations.get(key, (None, None))
        if newest and evaluated_part == part and now < self._next_evaluation(key, newest.at):
            return newest.verdict
        try:
            samples = await self._samples_of(subject)
            findings = await self._findings(samples, subject, now.timestamp())
            results = await self._query_results(samples, subject, now.timestamp())
        except MetricsLostError as error:
            verdict = without_metrics(str(error), current.verdict, crashes)
        else:
            judgement = judge(replace(findings, queries=results), run.confidence, Part.of(run, now), crashes)
            self._report(*key, _evidence(judgement))
            verdict = wording.verdict(judgement, run.confidence)
        self._evaluations[key] = part, Evaluation(verdict, now, crashes.more, crashes.last)
        return verdict

    async def ended(self, subject: Subject, current: Status) -> EndedRun | None:
        """The evidence of a run that has ended, from memory or from Prometheus again; None if nothing was counted.

        Raises MetricsLostError.
        """
        run, key = subject.run, (subject.namespace, subject.name)
        identity, samples = self._samples.get(key, (None, None))
        _, evaluation = self._evaluations.get(key, (None, None))
        if samples is not None and evaluation is not None and identity == _identity(run):
            evidence = samples.evidence
        else:
            evidence, evaluation = await self._evaluated_again(subject, current)
        tallies = (tally for tick in evidence.ticks for tally in (tick.canary, tick.stable))
        if not any(tally.started or tally.labels for tally in tallies):
            return None
        return EndedRun(evidence, evaluation, self._intervals.overdue_after)

    async def _evaluated_again(self, subject: Subject, current: Status) -> tuple[RunEvidence, Evaluation]:
        """The evidence as it was when the run ended, and the evaluation at that time."""
        run, ended = subject.run, subject.run.ended_at
        assert ended is not None
        samples = await self._samples_of(subject)
        self.forget(subject.namespace, subject.name)
        await samples.poller.up_to(samples.polled, ended.timestamp())
        counted = await asyncio.to_thread(samples.findings, subject, ended.timestamp(), self._intervals)
        last = current.verdict  # of the run, in status
        findings = replace(counted, queries=query_results(run.objectives, last) if last is not None else ())
        verdict = evaluate(findings, run.confidence, Part.of(run, ended))
        if last is not None and (last.result, last.reason) != (verdict.result, verdict.reason):
            verdict = last  # because of crashes or missing metrics, which are not in the ticks
        return samples.evidence, Evaluation(verdict, ended)

    async def _query_results(self, samples: RunSamples, subject: Subject, now: float) -> QueryResults:
        """The verdicts on the run's query objectives. `now`: unix seconds. One that may not be sent is undecided."""
        results = list[tuple[Objective, ObjectiveVerdict]]()
        key, run = (subject.namespace, subject.name), subject.run
        for objective in run.objectives:
            if objective.query is None:
                continue
            measurements = samples.measurements.setdefault(objective.name, Measurements())
            try:
                promql = self._user_queries.promql(objective.query, key, subject.revisions.canary, run.prometheus)
                async with self._user_turns.turn(subject.namespace):
                    verdict = await measurements.judged(samples.poller.reader, objective, promql, run, now)
            except ConfinementError as error:
                verdict = queries.judged(objective, queries.Measured(), now, f"the query is not sent: {error}")
            results.append((objective, verdict))
        return tuple(results)

    async def _poller(self, namespace: str, server: Prometheus | None) -> Poller:
        """The poller for the samples of a run that names `server`. Raises ServerRefusedError."""
        if server is None:
            return self._own
        assert self._servers is not None
        return await self._servers.poller(namespace, server)

    async def _samples_of(self, subject: Subject) -> RunSamples:
        """The samples in memory, or new ones that begin with the first traffic of the run. Raises MetricsLostError."""
        run, key = subject.run, (subject.namespace, subject.name)
        poller = await self._poller(subject.namespace, run.prometheus)
        identity, samples = self._samples.get(key, (None, None))
        if samples is not None and identity == _identity(run):
            samples.poller = poller  # a new one, if `servers` has forgotten the one before
            return samples
        baseline = await stable_history.baseline_of(poller.reader, subject, self._intervals)
        samples = RunSamples.begin(subject, baseline, poller, self._intervals)
        self._samples[key] = (_identity(run), samples)
        return samples

    def _next_evaluation(self, key: Key, newest: datetime) -> datetime:
        """An interval after the newest one, or when the next tick should be there."""
        due = newest + timedelta(seconds=self._intervals.evaluation)
        _, samples = self._samples.get(key, (None, None))
        if samples is None or not newest.timestamp() < samples.polled.expected < due.timestamp():
            return due
        return datetime.fromtimestamp(samples.polled.expected, UTC)

    async def _findings(self, samples: RunSamples, subject: Subject, now: float) -> RunFindings:
        """Fetch new samples, and return what is known then. `now`: unix seconds. Raises MetricsLostError."""
        poller, polled = samples.poller, samples.polled
        others = [other.polled for _, other in self._samples.values() if other.poller is poller]
        await poller.refresh(polled, others, now)
        samples.check_fresh(subject, now, self._intervals)
        polled.busy, before = True, polled.expected
        try:
            # In a thread, because after a restart there are hours of ticks.
            findings = await asyncio.to_thread(samples.findings, subject, now, self._intervals)
        finally:
            polled.busy = False
        if before != polled.expected > now:
            key = subject.namespace, subject.name
            asyncio.get_running_loop().call_later(polled.expected - now, self._wake, key)
        return findings


def _evidence(judgement: Judgement) -> Iterator[Evidence]:
    """The evidence against each objective, and in a step also that in its favour."""
    for objective in judgement.objectives:
        name = objective.finding.objective.name
        yield Evidence(name, "worse", *objective.against)
        if objective.in_favour is not None:
            yield Evidence(name, "not_worse", *objective.in_favour)


def _identity(run: Run) -> object:
    """Equal for two states of the same run. A run whose first traffic comes later begins anew."""
    return run.id, run.traffic_started_at
