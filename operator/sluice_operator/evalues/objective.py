"""All that a run knows about one objective, as e-processes."""

from dataclasses import dataclass

import numpy as np

from sluice_operator.evalues.arithmetic import Floats, log_mean
from sluice_operator.evalues.chain import BurstLaw, Pods
from sluice_operator.evalues.comparison import Comparison
from sluice_operator.evalues.counts import Counts
from sluice_operator.evalues.limits import LimitTest, log_below_limit
from sluice_operator.evalues.margins import DropMarginTest, RatioMarginTest

_MOST = 0.95  # share of bad requests that any margin ends at


@dataclass(frozen=True, slots=True)
class Margin:
    """What "worse" means for a promotion. It must be ruled out: a share of bad requests that is in every tick at least
    `ratio` times stable's (or stable's plus `drop`), and also at least `tolerance`. None leaves a half out."""

    ratio: float | None = None
    drop: float | None = None
    tolerance: float | None = None

    @property
    def weights(self) -> tuple[float, ...]:
        """Of its halves, the comparison first: it is the slower one where stable is near its limit itself."""
        halves = (self.ratio is not None or self.drop is not None, self.tolerance is not None)
        return (0.7, 0.3) if all(halves) else (1.0,) * sum(halves)

    def widened(self, factor: float) -> "Margin":
        """A margin `factor` times as wide; shares stay below 1."""
        return Margin(
            ratio=None if self.ratio is None else 1 + (self.ratio - 1) * factor,
            drop=None if self.drop is None else min(_MOST, self.drop * factor),
            tolerance=None if self.tolerance is None else min(_MOST, self.tolerance * factor),
        )

    def worse_than(self, past: Floats) -> Floats:
        """The share of bad requests that is worse than a share of the `past` by this margin."""
        if self.drop is not None:
            return np.minimum(past + self.drop, _MOST)
        return np.minimum(np.maximum(past * (self.ratio or 1.0), self.tolerance or 0.0), _MOST)


@dataclass(frozen=True, slots=True)
class Criterion:
    """An objective in numbers: shares of bad requests."""

    compared: bool  # with stable
    limit: float | None
    compares_judged: bool  # what is compared is what is judged
    margins: tuple[Margin, ...]  # one per step; the last is the objective's own
    watch_margin: Margin = Margin()  # between stable's past and a canary that serves alone


@dataclass(frozen=True, slots=True)
class ObjectiveBaseline:
    """What the record of the stable revision says before the run begins."""

    compared: BurstLaw  # shape (columns,)
    judged: BurstLaw  # shape ()
    requests: float = 0.0
    bad: float = 0.0


@dataclass(frozen=True, slots=True)
class ObjectiveCounts:
    """One arm in one tick: `judged` at the limit, of shape (runs,); `compared` in every column, (columns, runs)."""

    judged: Counts
    compared: Counts


@dataclass
class _Totals:
    requests: Floats | float = 0.0
    bad: Floats | float = 0.0

    def add(self, arm: Counts) -> None:
        self.requests, self.bad = self.requests + arm.requests, self.bad + arm.bad

    @property
    def share(self) -> Floats:
        return np.asarray((self.bad + 0.5) / (self.requests + 1.0))

    def log_below_limit(self, limit: float) -> Floats:
        requests, bad = np.asarray(self.requests), np.asarray(self.bad)
        return log_below_limit(np.full(requests.shape, limit), requests, bad)


@dataclass
class _MarginEvidence:
    """One margin's e-process: a weighted mean of its halves, because the null is their intersection."""

    margin: Margin
    worse: list[RatioMarginTest | DropMarginTest]

    def log_evalue(self, canary: _Totals) -> Floats:
        halves = [one.log_evalue for one in self.worse]
        if self.margin.tolerance is not None:
            halves.append(canary.log_below_limit(self.margin.tolerance))
        return log_mean(np.stack(np.broadcast_arrays(*halves)), 0, np.array(self.margin.weights))


class ObjectiveEProcesses:
    """E-processes of one objective over a run. `tick_seconds`: length of a tick."""

    def __init__(self, criterion: Criterion, known: ObjectiveBaseline, pods: Pods, tick_seconds: float) -> None:
        self.criterion = criterion
        self._pods, self._tick_seconds, self._law = pods, tick_seconds, known.judged
        self._canary, self._stable = _Totals(), _Totals(known.requests, known.bad)
        self._comparison = Comparison(known.compared, pods, tick_seconds)
        self._margins = [_MarginEvidence(one, self._processes(one)) for one in criterion.margins]
        self._over_limit = None if criterion.limit is None else self._limit_test(np.asarray(criterion.limit))
        # Beside the share that stable's record has on average, bursts and all.
        usual = criterion.compared and criterion.compares_judged and known.requests
        self._unusual = self._limit_test(self._stable.share) if usual else None
        self._stable_unusual = self._limit_test(self._stable.share, pods.reference) if usual else None
        self._watch: LimitTest | None = None

    def _limit_test(self, share: Floats, pods: int | None = None) -> LimitTest:
        return LimitTest(self._law, self._pods.suspected if pods is None else pods, self._tick_seconds, share)

    def _processes(self, margin: Margin) -> list[RatioMarginTest | DropMarginTest]:
        if margin.drop is not None:
            return [DropMarginTest(margin.drop)]
        if margin.ratio is not None:
            return [RatioMarginTest(self._law, self._pods, self._tick_seconds, margin.ratio)]
        return []

    def update(self, canary: ObjectiveCounts, stable: ObjectiveCounts, *, proven: bool) -> None:
        """One tick. Only from when the weight is `proven` does it count in the canary's favour; before, time passes."""
        self._comparison.update(canary.compared, stable.compared)
        for process, arm in (
            (self._over_limit, canary.judged),
            (self._unusual, canary.judged),
            (self._stable_unusual, stable.judged),
        ):
            if process is not None:
                process.update(arm)
        self._stable.add(stable.judged)
        favour = Counts(proven * canary.judged.requests, proven * canary.judged.bad)
        self._canary.add(favour)
        for margin in self._margins:
            for one in margin.worse:
                one.update(favour, stable.judged)

    def update_watch(self, canary: ObjectiveCounts) -> None:
        """One tick in which the canary serves alone: it is held against what stable did until then."""
        if self._watch is None:
            self._watch = self._limit_test(self.watch_limit)
        self._watch.update(canary.judged)

    @property
    def watch_limit(self) -> Floats:
        """The share of bad requests that is worse than all that is known of stable, by a margin."""
        return self.criterion.watch_margin.worse_than(self._stable.share)

    @property
    def log_worse_than_baseline(self) -> Floats:
        """Against "alone, the canary is not worse than stable was by its margin"; 1 before it is watched."""
        return np.asarray(0.0) if self._watch is None else self._watch.log_evalue

    @property
    def no_burst_chance(self) -> float:
        """The chance that nobody burst until now, by the law; of the column in which that is least likely."""
        return float(np.min(self._comparison.no_burst_chance))

    @property
    def log_worse_now(self) -> Floats:
        """Against "no worse than stable at the same time"; the mean over the columns."""
        return log_mean(self._comparison.log_evalue, 0)

    @property
    def log_worse(self) -> Floats:
        """Against "no worse than stable, or than stable's record".

        Where arms hardly err between bursts, nothing in between speaks for the canary, and each of its bursts would
        count anew in a comparison. Beside the share that the record has on average, quiet time speaks for it.
        """
        return self.log_worse_now if self._unusual is None else np.minimum(self.log_worse_now, self._unusual.log_evalue)

    @property
    def worst_column(self) -> Floats:
        """The one in which the comparison shows most, by run."""
        return np.asarray(np.argmax(self._comparison.log_evalue, axis=0), float)

    @property
    def log_over_limit(self) -> Floats:
        """Against "the canary keeps the limit"."""
        assert self._over_limit is not None
        return self._over_limit.log_evalue

    @property
    def log_over_limit_and_worse(self) -> Floats:
        """Against "the canary keeps the limit, or is no worse than stable at the same time".

        So two arms that are alike are never blamed, whatever happens to both, and whenever it begins.
        """
        return np.minimum(self.log_over_limit, self.log_worse_now)

    @property
    def log_stable_worse(self) -> Floats | None:
        """Against "stable is as its record says"; None where the record's share is not compared with."""
        return None if self._stable_unusual is None else self._stable_unusual.log_evalue

    def log_non_inferior(self, step: int) -> Floats:
        """Against "the canary is worse than the margin of `step`"."""
        return self._margins[step].log_evalue(self._canary)
