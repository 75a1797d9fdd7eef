"""All that a run knows about one objective, as e-processes."""

from dataclasses import dataclass

import numpy as np

from sluice_operator.evalues.arm import Arm, Floats, log_mean
from sluice_operator.evalues.chain import BurstLaw, Pods
from sluice_operator.evalues.comparison import Comparison
from sluice_operator.evalues.limits import Beyond, log_inside
from sluice_operator.evalues.margins import DropMargin, RatioMargin

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

    def beyond(self, past: Floats) -> Floats:
        """The share of bad requests that is worse than a share of the `past` by this margin."""
        if self.drop is not None:
            return np.minimum(past + self.drop, _MOST)
        return np.minimum(np.maximum(past * (self.ratio or 1.0), self.tolerance or 0.0), _MOST)


@dataclass(frozen=True, slots=True)
class Criterion:
    """An objective in numbers: shares of bad requests."""

    compared: bool  # with stable
    limit: float | None
    one_share: bool  # what is compared is what is judged
    margins: tuple[Margin, ...]  # one per step; the last is the objective's own
    alone: Margin = Margin()  # that tells a canary without another arm beside it from stable's past


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

    @property
    def share(self) -> Floats:
        return np.asarray((self.bad + 0.5) / (self.requests + 1.0))

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


class ObjectiveEvidence:
    """E-processes of one objective over a run. `tick_seconds`: length of a tick."""

    def __init__(self, criterion: Criterion, known: Known, pods: Pods, tick_seconds: float) -> None:
        self.criterion = criterion
        self._pods, self._tick_seconds, self._law = pods, tick_seconds, known.judged
        self._canary, self._stable = _Totals(), _Totals(known.requests, known.bad)
        self._comparison = Comparison(known.compared, pods, tick_seconds)
        self._margins = [_MarginEvidence(one, self._processes(one)) for one in criterion.margins]
        self._beyond = None if criterion.limit is None else self._beyond_share(np.asarray(criterion.limit))
        # Beside the share that stable's record has on average, bursts and all.
        usual = criterion.compared and criterion.one_share and known.requests
        self._unusual = self._beyond_share(self._stable.share) if usual else None
        self._stable_unusual = self._beyond_share(self._stable.share, pods.reference) if usual else None
        self._watch: Beyond | None = None

    def _beyond_share(self, share: Floats, pods: int | None = None) -> Beyond:
        return Beyond(self._law, self._pods.suspected if pods is None else pods, self._tick_seconds, share)

    def _processes(self, margin: Margin) -> list[RatioMargin | DropMargin]:
        if margin.drop is not None:
            return [DropMargin(margin.drop)]
        if margin.ratio is not None:
            return [RatioMargin(self._law, self._pods, self._tick_seconds, margin.ratio)]
        return []

    def observe(self, canary: Counts, stable: Counts, *, proven: bool) -> None:
        """One tick. Only from when the weight is `proven` does it count in the canary's favour; before, time passes."""
        self._comparison.observe(canary.compared, stable.compared)
        for process, arm in (
            (self._beyond, canary.judged),
            (self._unusual, canary.judged),
            (self._stable_unusual, stable.judged),
        ):
            if process is not None:
                process.observe(arm)
        self._stable.add(stable.judged)
        favour = Arm(proven * canary.judged.requests, proven * canary.judged.bad)
        self._canary.add(favour)
        for margin in self._margins:
            for one in margin.worse:
                one.observe(favour, stable.judged)

    def watch(self, canary: Counts) -> None:
        """One tick in which the canary serves alone: it is held against what stable did until then."""
        if self._watch is None:
            self._watch = self._beyond_share(self.watched_share)
        self._watch.observe(canary.judged)

    @property
    def watched_share(self) -> Floats:
        """The share of bad requests that is worse than all that is known of stable, by a margin."""
        return self.criterion.alone.beyond(self._stable.share)

    @property
    def log_watched(self) -> Floats:
        """Against "alone, the canary is not worse than stable was by its margin"; 1 before it is watched."""
        return np.asarray(0.0) if self._watch is None else self._watch.log_evalue

    @property
    def calm(self) -> float:
        """The chance that nobody burst until now, by the law; of the column in which that is least likely."""
        return float(np.min(self._comparison.calm))

    @property
    def log_beside(self) -> Floats:
        """Against "no worse than stable at the same time"; the mean over the columns."""
        return log_mean(self._comparison.log_evalue, 0)

    @property
    def log_worse(self) -> Floats:
        """Against "no worse than stable, or than stable's record".

        Where arms hardly err between bursts, nothing in between speaks for the canary, and each of its bursts would
        count anew in a comparison. Beside the share that the record has on average, quiet time speaks for it.
        """
        return self.log_beside if self._unusual is None else np.minimum(self.log_beside, self._unusual.log_evalue)

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
    def log_to_blame(self) -> Floats:
        """Against "the canary keeps the limit, or is no worse than stable at the same time".

        So two arms that are alike are never blamed, whatever happens to both, and whenever it begins.
        """
        return np.minimum(self.log_beyond, self.log_beside)

    @property
    def log_stable_unusual(self) -> Floats | None:
        """Against "stable is as its record says"; None where the record's share is not compared with."""
        return None if self._stable_unusual is None else self._stable_unusual.log_evalue

    def log_cleared(self, step: int) -> Floats:
        """Against "the canary is worse than the margin of `step`"."""
        return self._margins[step].log_evalue(self._canary)
