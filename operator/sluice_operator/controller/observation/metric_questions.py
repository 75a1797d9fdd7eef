"""What Prometheus is asked for a decision, and when: whether it may be asked, stable's traffic, and the verdict."""

from collections.abc import Callable, Mapping
from datetime import datetime

from sluice_operator.analysis import criteria
from sluice_operator.api.observation import Proof, Refusal
from sluice_operator.api.owner import Key
from sluice_operator.api.quantities import Number
from sluice_operator.api.run import BEFORE_TRAFFIC, JUDGED, Phase
from sluice_operator.api.status import Status, Verdict
from sluice_operator.controller.evaluation.evaluate import Evaluator
from sluice_operator.controller.evaluation.patient import PatientEvaluator
from sluice_operator.controller.evaluation.run_samples import Subject
from sluice_operator.controller.observation.proofs import Workloads
from sluice_operator.controller.scheduling.patience import Patience
from sluice_operator.counting.ticks import ComparedRevisions
from sluice_operator.prometheus.reader import MetricsLostError
from sluice_operator.rollout import crashes


class MetricQuestions:
    """One method answers one question. An answer that takes longer than `Patience` allows comes with a later look."""

    def __init__(self, evaluator: Evaluator, clock: Callable[[], datetime], wake: Callable[[Key], None]) -> None:
        self._evaluator, self._verdicts, self._clock = evaluator, PatientEvaluator(evaluator), clock
        self._rates = Patience[float | None](wake)
        self._thresholds = Patience[Mapping[str, Number] | None](wake)

    def forget(self, key: Key) -> None:
        """Drop what is known of an object that is gone."""
        self._evaluator.forget(*key)
        for asking in (self._rates, self._thresholds):
            asking.forget(key)

    async def refusal(self, key: Key, current: Status) -> Refusal | None:
        """May the Prometheus be asked that the run names? Asked already in Starting, before there is any traffic."""
        if current.run is None or current.phase not in (*BEFORE_TRAFFIC, *JUDGED):
            return None
        run = current.run
        return await self._evaluator.refusal(key, run.prometheus, run.objectives)

    async def rate(self, key: Key, current: Status) -> float | None:
        """How many requests per second does stable get? Asked in Starting, if the run has no steps (yet)."""
        run, stable, now = current.run, current.stable, self._clock()
        if current.phase is not Phase.STARTING or run is None or run.steps or run.returning or stable is None:
            return None
        revision, server = stable.revision, run.prometheus
        return await self._rates.answer(
            key, (revision, server), lambda: self._evaluator.rate(*key, revision, now, server)
        )

    async def latency_thresholds(self, key: Key, current: Status, smoke: Proof | None) -> Mapping[str, Number] | None:
        """Above how many seconds is a request slow? Asked for latency objectives without a limit, once smoke passes."""
        run, stable, now = current.run, current.stable, self._clock()
        if smoke is None or not smoke.live or run is None or stable is None:
            return {}
        if not criteria.without_limit(run.objectives):
            return {}
        revision, objectives, server = stable.revision, run.objectives, run.prometheus

        async def ask() -> Mapping[str, Number] | None:
            try:
                return await self._evaluator.latency_thresholds(key, revision, objectives, now, server)
            except MetricsLostError:
                return None

        return await self._thresholds.answer(key, (revision, objectives, server), ask)

    async def verdict(self, key: Key, current: Status, workloads: Workloads) -> Verdict | None:
        """What does the evidence say? Asked while the run is judged; at all other times its samples are dropped."""
        run = current.run
        if current.phase not in JUDGED or run is None or run.traffic_started_at is None:
            self._evaluator.forget(*key)
            return None
        watching = current.phase is Phase.WATCHING  # then the canary has become stable
        canary, stable = (current.stable, current.previous) if watching else (current.canary, current.stable)
        if canary is None:
            return None
        revisions = ComparedRevisions(canary.revision, stable.revision if stable else None)
        subject = Subject(*key, run, revisions)
        failed = crashes.compared(crashes.noted(run, workloads))
        return await self._verdicts.verdict(subject, current, failed, self._clock())
