"""All that a run knows about one objective, as e-processes."""

from dataclasses import dataclass, field

import numpy as np

from sluice_operator.evalues.arm import Arm, Floats, log_mean
from sluice_operator.evalues.chain import BurstLaw, Pods
from sluice_operator.evalues.comparison import Comparison
from sluice_operator.evalues.limits import Beyond, log_inside
from sluice_operator.evalues.margins import DropMargin, RatioMargin


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


@dataclass(frozen=True, slots=True)
class Criterion:
    """An objective in numbers: shares of bad requests."""

    compared: bool  # with stable
    limit: float | None
    margins: tuple[Margin, ...]  # one per step; the last is the objective's own


@dataclass(frozen=True, slots=True)
class Known:
    """What the record of the stable revision says before the run begins."""

    compared: BurstLaw  # shape (columns,)
    judged: BurstLaw  # shape ()
    requests: float = 0.0
    bad: float = 0.0


@dataclass(frozen=True, slots=True)
class Counts:
    """One arm in one tick: `judged` at the limit, of shape (runs,); `compared` in every column, (columns, runs)."""

    judged: Arm
    compared: Arm


@dataclass
class _Totals:
    requests: Floats | float = 0.0
    bad: Floats | float = 0.0

    def add(self, arm: Arm) -> None:
        self.requests, self.bad = self.requests + arm.requests, self.bad + arm.bad

    def log_inside(self, limit: float) -> Floats:
        requests, bad = np.asarray(self.requests), np.asarray(self.bad)
        return log_inside(np.full(requests.shape, limit), requests, bad)


@dataclass
class _MarginEvidence:
    """One margin's e-process: a weighted mean of its halves, because the null is their intersection."""

    margin: Margin
    worse: list[RatioMargin | DropMargin]

    def log_evalue(self, canary: _Totals) -> Floats:
        halves = [one.log_evalue for one in self.worse]
        if self.margin.tolerance is not None:
            halves.append(canary.log_inside(self.margin.tolerance))
        return log_mean(np.stack(np.broadcast_arrays(*halves)), 0, np.array(self.margin.weights))


@dataclass
class ObjectiveEvidence:
    """E-processes of one objective over a run. `tick_seconds`: length of a tick."""

    criterion: Criterion
    known: Known
    pods: Pods
    tick_seconds: float
    _canary: _Totals = field(init=False, default_factory=_Totals)

    def __post_init__(self) -> None:
        self._comparison = Comparison(self.known.compared, self.pods, self.tick_seconds)
        self._beyond = self._beyond_share(self.criterion.limit, self.pods.suspected)
        self._stable_beyond = self._beyond_share(self.criterion.limit, self.pods.reference)
        self._unusual = self._beyond_share(self._usual_share(), self.pods.suspected)
        self._stable_unusual = self._beyond_share(self._usual_share(), self.pods.reference)
        self._margins = [_MarginEvidence(one, self._processes(one)) for one in self.criterion.margins]
        self._stable = _Totals(self.known.requests, self.known.bad)

    def _beyond_share(self, share: float | None, pods: int) -> Beyond | None:
        return None if share is None else Beyond(self.known.judged, pods, self.tick_seconds, np.asarray(share))

    def _usual_share(self) -> float | None:
        """Of bad requests in stable's record, bursts and all. None where several columns are compared."""
        if not self.criterion.compared or self.known.compared.any_start.size > 1 or not self.known.requests:
            return None
        return (self.known.bad + 0.5) / (self.known.requests + 1)

    def _processes(self, margin: Margin) -> list[RatioMargin | DropMargin]:
        if margin.drop is not None:
            return [DropMargin(margin.drop)]
        if margin.ratio is not None:
            return [RatioMargin(self.known.judged, self.pods, self.tick_seconds, margin.ratio)]
        return []

    def observe(self, canary: Counts, stable: Counts, *, proven: bool) -> None:
        """One tick. Only from when the weight is `proven` does it count in the canary's favour; before, time passes."""
        if self.criterion.compared:
            self._comparison.observe(canary.compared, stable.compared)
        if self._unusual is not None and self._stable_unusual is not None:
            self._unusual.observe(canary.judged)
            self._stable_unusual.observe(stable.judged)
        if self._beyond is not None and self._stable_beyond is not None:
            self._beyond.observe(canary.judged)
            self._stable_beyond.observe(stable.judged)
        self._stable.add(stable.judged)
        favour = Arm(proven * canary.judged.requests, proven * canary.judged.bad)
        self._canary.add(favour)
        for margin in self._margins:
            for process in margin.worse:
                process.observe(favour, stable.judged)

    @property
    def log_worse(self) -> Floats:
        """Against "no worse than stable, or than stable's record"; the mean over the columns.

        Where arms hardly err between bursts, nothing in between speaks for the canary, and each of its bursts would
        count anew in a comparison. Beside the share that the record has on average, quiet time speaks for it.
        """
        worse = log_mean(self._comparison.log_evalue, 0)
        return worse if self._unusual is None else np.minimum(worse, self._unusual.log_evalue)

    @property
    def worst_column(self) -> Floats:
        """The one in which the comparison shows most, by run."""
        return np.asarray(np.argmax(self._comparison.log_evalue, axis=0), float)

    @property
    def log_beyond(self) -> Floats:
        """Against "the canary keeps the limit"."""
        assert self._beyond is not None
        return self._beyond.log_evalue

    @property
    def log_stable_beyond(self) -> Floats:
        """Against "stable keeps the limit", in this run."""
        assert self._stable_beyond is not None
        return self._stable_beyond.log_evalue

    @property
    def log_stable_unusual(self) -> Floats | None:
        """Against "stable is as its record says"; None where the record's share is not compared with."""
        return None if self._stable_unusual is None else self._stable_unusual.log_evalue

    @property
    def log_stable_inside(self) -> Floats:
        """Against "stable does not keep the limit". Without it a canary beyond the limit is not to blame.

        Stable's record counts, which says nothing about today: while the run speaks against stable, it is at most 1.
        """
        assert self.criterion.limit is not None
        inside = self._stable.log_inside(self.criterion.limit)
        return np.where(self.log_stable_beyond > 0, np.minimum(inside, 0.0), inside)

    def log_cleared(self, step: int) -> Floats:
        """Against "the canary is worse than the margin of `step`"."""
        return self._margins[step].log_evalue(self._canary)
