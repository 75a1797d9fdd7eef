"""The trials of all runs: fetches what is new of each, lets its ticks speak, and remembers nothing that cannot be read
from Prometheus again.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sluice_operator.analysis import baseline, criteria, queries
from sluice_operator.analysis.baseline import Baseline
from sluice_operator.analysis.decision import Stage
from sluice_operator.analysis.evaluation import EndedRun, Evaluation, QueryResults, query_results
from sluice_operator.analysis.run_evidence import Findings, RunEvidence
from sluice_operator.analysis.verdict import judge, lost
from sluice_operator.api.observation import Refusal
from sluice_operator.api.quantities import Number
from sluice_operator.api.spec import Objective, Prometheus
from sluice_operator.api.status import ObjectiveVerdict, Run, Status, Verdict
from sluice_operator.controller.measurements import Measurements
from sluice_operator.counting.counters import Counters
from sluice_operator.counting.intervals import Intervals
from sluice_operator.counting.ticks import ComparedRevisions, closed_ticks, newest
from sluice_operator.evalues.chain import Pods
from sluice_operator.prometheus.poller import PolledRun, Poller
from sluice_operator.prometheus.reader import MetricsLostError, Reader
from sluice_operator.prometheus.selection import BUCKETS, Selection
from sluice_operator.prometheus.servers import ServerRefusedError, Servers

_DISCOVERY_SECONDS = 30.0  # until Prometheus has found new pods, their silence says nothing
_RECORD_BIN_SECONDS, _RECENT_STEP_SECONDS = 15.0, 30.0


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose run it is."""

    namespace: str
    name: str
    run: Run
    arms: ComparedRevisions

    def selection(self, *revisions: str, bounds: tuple[float, ...] | None) -> Selection:
        return Selection(((self.namespace, self.name),), revisions, bounds)


@dataclass(eq=False)
class _Running:
    """One run's trial, and how far it is."""

    trial: RunEvidence
    feed: Poller
    followed: PolledRun
    closed_until: float
    measured: dict[str, Measurements] = field(default_factory=dict)  # by query

    def told(self, subject: Subject, now: float, intervals: Intervals) -> Findings:
        """What is known, with all ticks that are closed_ticks by now."""
        run, counters = subject.run, self.followed.counters
        for tick in closed_ticks(counters, subject.arms, self.closed_until, intervals.tick, intervals.stale_after):
            self.trial.update(tick, run)
            self.closed_until = tick.end
        counters.forget(self.closed_until)
        return self.trial.findings(run, now, intervals.overdue_after)


class Evaluator:
    """Verdicts for runs, from what Prometheus knows of them.

    `reader`: of the operator's own. `sources`: for runs that name another; without them there are no such runs.
    """

    def __init__(self, reader: Reader, intervals: Intervals, sources: Servers | None = None) -> None:
        self._intervals = intervals
        self._own = Poller(reader, intervals)
        self._sources = sources
        self._kept: dict[tuple[str, str], tuple[object, _Running]] = {}
        # The newest look at each object: it holds until the next is due, as long as it answers the same question.
        self._looks: dict[tuple[str, str], tuple[object, Evaluation]] = {}

    def forget(self, namespace: str, name: str) -> None:
        """Drop what is kept of an object's run."""
        self._kept.pop((namespace, name), None)
        self._looks.pop((namespace, name), None)

    async def refusal(self, namespace: str, named: Prometheus | None) -> Refusal | None:
        """Why the Prometheus that an object names is not asked, if it is not."""
        try:
            await self._feed(namespace, named)
        except ServerRefusedError as error:
            return Refusal(error.reason, str(error))
        return None

    async def rate(
        self, namespace: str, name: str, revision: str, now: datetime, named: Prometheus | None = None
    ) -> float | None:
        """Gateway requests per second that `revision` answers; None while Prometheus does not say."""
        try:
            reader = (await self._feed(namespace, named)).reader
            return await reader.rate(Selection(((namespace, name),), (revision,)), now.timestamp())
        except MetricsLostError:
            return None

    async def latency_thresholds(
        self,
        key: tuple[str, str],
        revision: str,
        objectives: Sequence[Objective],
        now: datetime,
        named: Prometheus | None = None,
    ) -> Mapping[str, Number]:
        """By latency objective without a limit: above how many seconds a request is slow. Raises MetricsLostError."""
        reader = (await self._feed(key[0], named)).reader
        within = await self._recent(reader, Selection((key,), (revision,), None), now.timestamp())
        return criteria.latency_thresholds(objectives, within)

    async def verdict(self, subject: Subject, current: Status, crashes: int, now: datetime) -> Verdict:
        """What is known now. Looks at most once per evaluation interval while the question stays the same."""
        run, key = subject.run, (subject.namespace, subject.name)
        question = (run.id, current.phase, run.step, run.step_started_at, run.traffic_started_at)
        answered, look = self._looks.get(key, (None, None))
        if look and answered == question and now < look.at + timedelta(seconds=self._intervals.evaluation):
            return look.verdict
        try:
            feed = await self._feed(subject.namespace, run.prometheus)
            findings = await self._findings(feed, subject, now.timestamp())
            values = await self._measured(feed, subject, now.timestamp())
        except MetricsLostError as error:
            verdict = lost(str(error), current.verdict, crashes)
        else:
            findings = replace(findings, queries=values)
            verdict = judge(findings, run.confidence, Stage.of(run, now), crashes)
        self._looks[key] = question, Evaluation(verdict, now, crashes)
        return verdict

    async def ended(self, subject: Subject, current: Status) -> EndedRun | None:
        """A run that ended, from memory or from Prometheus again; None if there was nothing to count.

        Raises MetricsLostError.
        """
        run, key = subject.run, (subject.namespace, subject.name)
        known, looked = self._kept.get(key), self._looks.get(key)
        if known is not None and looked is not None and known[0] == (run.id, run.traffic_started_at):
            trial, last = known[1].trial, looked[1]
        else:
            trial, last = await self._looked_again(subject, current)
        if not any(arm.started or arm.labels for tick in trial.ticks for arm in (tick.canary, tick.stable)):
            return None
        return EndedRun(trial, last, self._intervals.overdue_after)

    async def _looked_again(self, subject: Subject, current: Status) -> tuple[RunEvidence, Evaluation]:
        """The trial as it was when the run ended, and the look that was taken then."""
        run, ended = subject.run, subject.run.ended_at
        assert ended is not None
        feed = await self._feed(subject.namespace, run.prometheus)
        kept = await self._trial_of(feed, subject)
        self.forget(subject.namespace, subject.name)
        await feed.up_to(kept.followed, ended.timestamp())
        counts = await asyncio.to_thread(kept.told, subject, ended.timestamp(), self._intervals)
        known = current.verdict
        findings = replace(counts, queries=query_results(run.objectives, known) if known is not None else ())
        verdict = judge(findings, run.confidence, Stage.of(run, ended), crashes=0)
        if known is not None and (known.result, known.reason) != (verdict.result, verdict.reason):
            verdict = known  # crashes, or metrics that were lost: not in the ticks
        return kept.trial, Evaluation(verdict, ended)

    async def _feed(self, namespace: str, named: Prometheus | None) -> Poller:
        """The one that a run's samples come from. Raises ServerRefusedError."""
        if named is None:
            return self._own
        assert self._sources is not None
        return await self._sources.feed(namespace, named)

    async def _measured(self, feed: Poller, subject: Subject, now: float) -> QueryResults:
        """What the run's queries say."""
        kept, found = await self._trial_of(feed, subject), list[tuple[Objective, ObjectiveVerdict]]()
        for objective in subject.run.objectives:
            if objective.query is not None:
                promql = queries.rendered(objective.query, subject.namespace, subject.name, subject.arms.canary)
                known = kept.measured.setdefault(objective.name, Measurements())
                found.append((objective, await known.judged(feed.reader, objective, promql, subject.run, now)))
        return tuple(found)

    async def _findings(self, feed: Poller, subject: Subject, now: float) -> Findings:
        kept = await self._trial_of(feed, subject)
        followed = kept.followed
        await feed.refresh(followed, [one.followed for _, one in self._kept.values() if one.feed is feed], now)
        self._check_seen(followed.counters, subject, now)
        followed.busy = True
        try:
            return await asyncio.to_thread(kept.told, subject, now, self._intervals)  # hours of ticks after a restart
        finally:
            followed.busy = False

    async def _trial_of(self, feed: Poller, subject: Subject) -> _Running:
        """The run's trial: the one in memory, or a new one that begins with the run's first traffic."""
        run, key = subject.run, (subject.namespace, subject.name)
        identity = (run.id, run.traffic_started_at)
        known = self._kept.get(key)
        if known is not None and known[0] == identity:
            return known[1]
        assert run.traffic_started_at is not None
        began = run.traffic_started_at.timestamp()
        past = await self._record(feed.reader, subject)
        revisions = [one for one in (subject.arms.canary, subject.arms.stable) if one is not None]
        pods = Pods(run.replicas, run.replicas)
        kept = _Running(
            trial=RunEvidence(run.judged, len(run.steps), past, pods, self._intervals.tick),
            feed=feed,
            followed=PolledRun(
                subject.selection(*revisions, bounds=criteria.bounds(run.judged, past.bounds)),
                asked_until=began - self._intervals.scrape,
            ),
            closed_until=began,
        )
        self._kept[key] = (identity, kept)
        return kept

    async def _record(self, reader: Reader, subject: Subject) -> Baseline:
        """What stable did in the hours before the run began."""
        run, stable = subject.run, subject.arms.stable
        if stable is None:
            return baseline.learn(run.judged, baseline.comparison_bounds(run.judged, {}), Counters(), "", ())
        until = run.started_at.timestamp()
        within = await self._recent(reader, subject.selection(stable, bounds=None), until)
        chosen = baseline.comparison_bounds(run.judged, within)
        bin_seconds = max(_RECORD_BIN_SECONDS, self._intervals.scrape)
        since = until - baseline.LOOKBACK_SECONDS
        selection = subject.selection(stable, bounds=criteria.bounds(run.judged, chosen))
        counters = Counters()
        counters.add(await reader.grid(selection, since, until, bin_seconds))
        edges = [since + index * bin_seconds for index in range(int(baseline.LOOKBACK_SECONDS / bin_seconds) + 1)]
        learned = await asyncio.to_thread(baseline.learn, run.judged, chosen, counters, stable, edges)
        return replace(learned, nearly_all_within=baseline.nearly_all_within(within))

    async def _recent(self, reader: Reader, stable: Selection, until: float) -> Mapping[float, float]:
        """Stable's requests within every bound of its histogram, lately."""
        counters, step = Counters(), max(_RECENT_STEP_SECONDS, self._intervals.scrape)
        counters.add(await reader.grid(stable, until - baseline.RECENT_SECONDS, until, step, (BUCKETS,)))
        return baseline.recent_latencies(counters, stable.revisions[0], until)

    def _check_seen(self, counters: Counters, subject: Subject, now: float) -> None:
        """Raises MetricsLostError where silence may be Prometheus's, not the canary's."""
        revision, began = subject.arms.canary, subject.run.traffic_started_at
        assert began is not None
        seen = newest(counters, revision)
        if seen is None and counters.without_pod:
            raise MetricsLostError(
                "the model servers' series have no label pod_uid: check the scrape job's relabelling"
            )
        if seen is None and now - began.timestamp() >= max(_DISCOVERY_SECONDS, self._intervals.stale_after):
            raise MetricsLostError(f"Prometheus has no series of revision {revision}: are its pods scraped?")
        if seen is not None and now - seen > self._intervals.stale_after:
            raise MetricsLostError(f"the newest sample of revision {revision} is {now - seen:.0f} s old")
