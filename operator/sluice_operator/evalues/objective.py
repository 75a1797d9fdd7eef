"""All e-processes of one objective over a run: from the counts of each tick to e-values."""

from dataclasses import dataclass

import numpy as np

from sluice_operator.evalues.arithmetic import Floats, log_mean
from sluice_operator.evalues.chain import BurstLaw, Pods
from sluice_operator.evalues.comparison import Comparison
from sluice_operator.evalues.counts import Counts
from sluice_operator.evalues.limits import LimitTest, log_below_limit
from sluice_operator.evalues.margins import DropMarginTest, RatioMarginTest

# What is taken for the share of a stable that nothing was counted of, where the objective has no limit.
_MOST_BAD, _MOST_WRONG = 0.2, 0.5
_MAX_SHARE = 0.95  # upper limit for the share of bad requests that a margin gives


@dataclass(frozen=True, slots=True)
class Margin:
    """What "worse than stable" means for a promotion, which must rule it out.

    Worse is a share of bad requests that, in every tick, is at least `ratio` times stable's (or stable's plus `drop`),
    and also at least `tolerance`. None means that this half does not exist.
    """

    ratio: float | None = None
    drop: float | None = None
    tolerance: float | None = None

    @property
    def weights(self) -> tuple[float, ...]:
        """The weights of the halves that exist, the comparison first.

        The comparison weighs more, because only it decides where stable is near its limit: the other half does not
        grow there.
        """
        halves = (self.ratio is not None or self.drop is not None, self.tolerance is not None)
        return (0.7, 0.3) if all(halves) else (1.0,) * sum(halves)

    def widened(self, factor: float) -> "Margin":
        """A margin that is `factor` times as wide; shares stay below 1."""
        return Margin(
            ratio=None if self.ratio is None else 1 + (self.ratio - 1) * factor,
            drop=None if self.drop is None else min(_MAX_SHARE, self.drop * factor),
            tolerance=None if self.tolerance is None else min(_MAX_SHARE, self.tolerance * factor),
        )

    def worse_than(self, share: Floats) -> Floats:
        """The share of bad requests that is worse than `share` by this margin."""
        if self.drop is not None:
            return np.minimum(share + self.drop, _MAX_SHARE)
        return np.minimum(np.maximum(share * (self.ratio or 1.0), self.tolerance or 0.0), _MAX_SHARE)


@dataclass(frozen=True, slots=True)
class Criterion:
    """An objective in numbers: shares of bad requests."""

    compared: bool  # with stable at the same time
    limit: float | None
    compares_judged: bool  # the compared counts are the judged counts; not so for latency
    margins: tuple[Margin, ...]  # one per step; the last one is the objective's own
    watch_margin: Margin = Margin()  # in the watch, between what stable did before and the canary


@dataclass(frozen=True, slots=True)
class ObjectiveBaseline:
    """What the baseline says about one objective: the laws of its bursts and clumps, and how many requests were bad."""

    compared: BurstLaw  # of shape (columns,)
    judged: BurstLaw  # of shape ()
    requests: float = 0.0
    bad: float = 0.0


@dataclass(frozen=True, slots=True)
class ObjectiveCounts:
    """One revision in one tick: `judged` at the limit, of shape (runs,), and `compared`, of shape (columns, runs)."""

    judged: Counts
    compared: Counts


@dataclass
class _Totals:
    """Sums of the counts of one revision, of shape (runs,), or () before the first tick."""

    requests: Floats | float = 0.0
    bad: Floats | float = 0.0

    def add(self, counts: Counts) -> None:
        self.requests, self.bad = self.requests + counts.requests, self.bad + counts.bad

    def share(self, unknown: float = 0.5) -> Floats:
        """The share of bad requests, with one request added, so that it is never 0 or 1: of that, `unknown` is bad."""
        return np.asarray((self.bad + unknown) / (self.requests + 1.0))

    def log_below_limit(self, limit: float) -> Floats:
        requests, bad = np.asarray(self.requests), np.asarray(self.bad)
        return log_below_limit(np.full(requests.shape, limit), requests, bad)


@dataclass
class _MarginEvidence:
    """The e-process of one margin: a weighted mean over its halves, because the null is their intersection."""

    margin: Margin
    comparisons: list[RatioMarginTest | DropMarginTest]  # one, or none where the margin is only a tolerance

    def log_evalue(self, canary: _Totals) -> Floats:
        halves = [comparison.log_evalue for comparison in self.comparisons]
        if self.margin.tolerance is not None:
            halves.append(canary.log_below_limit(self.margin.tolerance))
        return log_mean(np.stack(np.broadcast_arrays(*halves)), 0, np.array(self.margin.weights))


class ObjectiveEProcesses:
    """The e-processes of one objective over a run. A tick has `tick_seconds`. All e-values have the shape (runs,).

    They count in clumps, because requests of one clump are bad together: counts are divided. Shares are of requests.
    """

    def __init__(self, criterion: Criterion, baseline: ObjectiveBaseline, pods: Pods, tick_seconds: float) -> None:
        self.criterion = criterion
        self._pods, self._tick_seconds, self._law = pods, tick_seconds, baseline.judged
        self._judged_divisor, self._compared_divisor = baseline.judged.divisor, baseline.compared.divisor[..., None]
        self._canary, self._stable = _Totals(), _Totals(baseline.requests, baseline.bad)
        self._comparison = Comparison(baseline.compared, pods, tick_seconds)
        self._margins = [_MarginEvidence(margin, self._comparisons(margin)) for margin in criterion.margins]
        self._over_limit = None if criterion.limit is None else self._limit_test(np.asarray(criterion.limit))
        # The limit of these two is the share of bad requests in the baseline, bursts included.
        has_baseline = criterion.compared and criterion.compares_judged and baseline.requests
        self._over_baseline = self._limit_test(self._stable.share()) if has_baseline else None
        self._stable_over_baseline = self._limit_test(self._stable.share(), pods.reference) if has_baseline else None
        self._watch: LimitTest | None = None

    def _limit_test(self, share: Floats, pods: int | None = None) -> LimitTest:
        return LimitTest(self._law, self._pods.suspected if pods is None else pods, self._tick_seconds, share)

    def _comparisons(self, margin: Margin) -> list[RatioMarginTest | DropMarginTest]:
        if margin.drop is not None:
            return [DropMarginTest(margin.drop)]
        if margin.ratio is not None:
            return [RatioMarginTest(self._law, self._pods, self._tick_seconds, margin.ratio)]
        return []

    def update(self, canary: ObjectiveCounts, stable: ObjectiveCounts, *, proven: bool) -> None:
        """The next tick. The canary's counts are evidence in its favour only when the weight is `proven`.

        Before that, the tests in its favour get a tick in which the canary has no request.
        """
        self._comparison.update(*(counts.compared.in_clumps(self._compared_divisor) for counts in (canary, stable)))
        of_canary, of_stable = (counts.judged.in_clumps(self._judged_divisor) for counts in (canary, stable))
        for limit_test, counts in (
            (self._over_limit, of_canary),
            (self._over_baseline, of_canary),
            (self._stable_over_baseline, of_stable),
        ):
            if limit_test is not None:
                limit_test.update(counts)
        self._stable.add(stable.judged)
        in_favour = Counts(proven * of_canary.requests, proven * of_canary.bad)
        self._canary.add(in_favour)
        for margin in self._margins:
            for comparison in margin.comparisons:
                comparison.update(in_favour, of_stable)

    def update_watch(self, canary: ObjectiveCounts) -> None:
        """The next tick of the watch: the canary is compared with what stable did until the watch began."""
        if self._watch is None:
            self._watch = self._limit_test(self.watch_limit)
        self._watch.update(canary.judged.in_clumps(self._judged_divisor))

    @property
    def watch_limit(self) -> Floats:
        """The share of bad requests that is worse by the watch margin than stable's, over the baseline and the run.

        Of a stable without a past, the limit is taken for its share. Without a limit it is what is taken for the most.
        """
        margin, limit = self.criterion.watch_margin, self.criterion.limit
        most = _MOST_WRONG if margin.drop is not None else _MOST_BAD
        return margin.worse_than(self._stable.share(most if limit is None else limit))

    @property
    def log_worse_in_watch(self) -> Floats:
        """Against "in the watch, the canary's share is at most `watch_limit`"; before the watch 0, an e-value of 1."""
        return np.asarray(0.0) if self._watch is None else self._watch.log_evalue

    @property
    def no_burst_probability(self) -> float:
        """The probability of the burst law that no pod has burst until now; the smallest one of all columns."""
        return float(np.min(self._comparison.no_burst_probability))

    @property
    def log_worse_now(self) -> Floats:
        """Against "no worse than stable at the same time"; the mean over the columns."""
        return log_mean(self._comparison.log_evalue, 0)

    @property
    def log_worse(self) -> Floats:
        """Against "no worse than stable at the same time, or no worse than the baseline".

        The second half is needed where revisions have few bad requests between bursts. There, quiet time is no evidence
        for the canary in a comparison, and each further burst counts against it. Compared with the mean share of the
        baseline, quiet time is evidence for the canary.
        """
        if self._over_baseline is None:
            return self.log_worse_now
        return np.minimum(self.log_worse_now, self._over_baseline.log_evalue)

    @property
    def worst_column(self) -> Floats:
        """The index of the column with the most evidence against the canary in the comparison, by run."""
        return np.asarray(np.argmax(self._comparison.log_evalue, axis=0), float)

    @property
    def log_over_limit(self) -> Floats:
        """Against "the canary keeps the limit"."""
        assert self._over_limit is not None
        return self._over_limit.log_evalue

    @property
    def log_stable_worse(self) -> Floats | None:
        """Against "stable is no worse than its baseline"; None for an objective without this comparison."""
        return None if self._stable_over_baseline is None else self._stable_over_baseline.log_evalue

    def log_non_inferior(self, step: int) -> Floats:
        """Against "the canary is worse than the margin of `step`"."""
        return self._margins[step].log_evalue(self._canary)
