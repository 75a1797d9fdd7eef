"""Raw counter samples of a run's pods, and how much each counter grew between two moments. Pure.

Growth is a difference of raw samples. Prometheus's `rate()` and `increase()` extrapolate, but a verdict must count what
happened. Each counter belongs to one pod, so restarts and pods that come and go need no special case.
"""

import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Sample = tuple[float, float]  # unix time in seconds, value of the counter

_SKEW_SECONDS = 3.0  # the clocks of two replicas of Prometheus differ by at most this
_GONE_SECONDS = 3600.0  # without a scrape, after which a pod is forgotten
_LARGEST = 2.0**53  # larger floats cannot count single requests
_NOT_A_COUNT = -1.0  # stands for a value that cannot be a number of requests


_SCRAPES_KEPT = 4  # of each pod, at least


class Identity(NamedTuple):
    """What distinguishes one counter from another. Other labels, such as a second scrape job, do not matter."""

    name: str
    pod: str
    revision: str
    code: str
    le: str

    @classmethod
    def of(cls, labels: Mapping[str, str]) -> "Identity":
        """The identity of a series.

        Where the scrape job sets a label that the model server sets too, Prometheus renames the model server's label to
        `exported_...`. The model server's label is the right one.
        """
        label = labels.get
        return cls(
            label("__name__", ""),
            label("pod_uid", ""),
            label("exported_revision") or label("revision", ""),
            label("exported_code") or label("code", ""),
            label("exported_le") or label("le", ""),
        )

    @property
    def is_countable(self) -> bool:
        """Whether the pod is known and, for a bucket of a histogram, the bound."""
        return bool(self.pod) and (not self.name.endswith("_bucket") or _is_bound(self.le))


@dataclass(slots=True)
class Counter:
    """Mutable: one counter of one pod, as a total that never falls. `totals` has the growth up to each of `times`."""

    times: list[float]
    totals: list[float]
    _last_value: float

    @classmethod
    def starting(cls, at: float, value: float, *, from_zero: bool) -> "Counter":
        """A counter with its first sample. With `from_zero` that value is growth, else it is the base of later growth,
        because nobody knows when it was counted."""
        return cls([at], [value if from_zero else 0.0], value)

    def add(self, at: float, value: float) -> None:
        """Add the next sample; one that is not newer than the last is ignored.

        A value that falls below half of the last one is a restart, which counts up from 0 again. A value that falls by
        less, or within the clock skew, comes from another replica of Prometheus, and is ignored. What was counted while
        the pod was not scraped for very long is no growth: nobody knows when it was counted.
        """
        if at <= self.times[-1]:
            return
        if value < self._last_value and (value >= self._last_value / 2 or at - self.times[-1] <= _SKEW_SECONDS):
            return
        growth = value - self._last_value if value >= self._last_value else value
        if at - self.times[-1] > _GONE_SECONDS:
            growth = 0.0
        self.times.append(at)
        self.totals.append(self.totals[-1] + growth)
        self._last_value = value

    def at(self, moment: float) -> float:
        """The total of the last sample up to `moment`; 0 before the first one."""
        index = bisect_right(self.times, moment)
        return self.totals[index - 1] if index else 0.0

    def at_each(self, moments: NDArray[np.float64]) -> NDArray[np.float64]:
        """As `at`, for many moments at once."""
        return np.array([0.0, *self.totals])[np.searchsorted(self.times, moments, side="right")]

    def forget(self, moment: float) -> None:
        """Drop the samples before the last one up to `moment`: `at` is called for later moments only."""
        if (index := bisect_right(self.times, moment) - 1) > 0:
            del self.times[:index], self.totals[:index]


@dataclass(slots=True)
class Pod:
    """Mutable: when a pod was scraped, in order. `first` stays when early scrapes are forgotten."""

    first: float
    scrapes: list[float]
    revision: str = ""

    @property
    def last(self) -> float:
        return self.scrapes[-1]

    def newest(self, moment: float) -> float:
        """The last scrape up to `moment`; minus infinity before the first one."""
        index = bisect_right(self.scrapes, moment)
        return self.scrapes[index - 1] if index else -math.inf

    def add_scrapes(self, times: set[float]) -> None:
        """Add scrapes. Some of them may be there already."""
        self.first = min(self.first, *times)
        self.scrapes = sorted(times.union(self.scrapes))

    @property
    def gaps(self) -> list[float]:
        """Seconds between the scrapes that are kept."""
        return [later - earlier for earlier, later in pairwise(self.scrapes)]

    def forget(self, moment: float) -> None:
        """Drop the scrapes before the last one up to `moment`: `newest` is called for later moments only.

        The newest few stay, so that the time between scrapes can be measured.
        """
        del self.scrapes[: max(0, min(bisect_right(self.scrapes, moment) - 1, len(self.scrapes) - _SCRAPES_KEPT))]


@dataclass(slots=True)
class Counters:
    """Mutable: all counters of a run. `without_pod`: some series were left out, because they do not name a pod."""

    pods: dict[str, Pod] = field(default_factory=dict)
    without_pod: bool = False
    _known: dict[str, dict[Identity, Counter]] = field(default_factory=dict)  # by pod
    _began_without_count: set[Identity] = field(default_factory=set)  # their first number is a base, not growth

    def add(self, answer: Iterable[tuple[Mapping[str, str], Iterable[tuple[float, float | str]]]]) -> None:
        """Add series as Prometheus returns them, in any order: labels, and samples of (unix seconds, value).

        A value that is not a number of requests counts as a missed scrape.
        """
        answered: dict[Identity, list[Sample]] = {}
        for labels, samples in answer:
            identity = Identity.of(labels)
            self.without_pod |= not identity.pod
            if identity.is_countable:
                answered.setdefault(identity, []).extend(_read(at, value) for at, value in samples)
        counts = {identity: self._counts(identity, sorted(samples)) for identity, samples in answered.items()}
        new_samples = {identity: samples for identity, samples in counts.items() if samples}
        self._add_scrapes(new_samples)
        for identity, samples in new_samples.items():
            self._add_samples(identity, samples)

    def _counts(self, identity: Identity, samples: list[Sample]) -> list[Sample]:
        """The samples that have a number of requests."""
        if samples and samples[0][1] == _NOT_A_COUNT and identity not in self._known.get(identity.pod, {}):
            self._began_without_count.add(identity)
        return [(at, value) for at, value in samples if value != _NOT_A_COUNT]

    def _add_scrapes(self, new_samples: Mapping[Identity, Sequence[Sample]]) -> None:
        scrapes: dict[str, set[float]] = {}
        for identity, samples in new_samples.items():
            scrapes.setdefault(identity.pod, set()).update(at for at, _ in samples)
        for pod_name, times in scrapes.items():
            self.pods.setdefault(pod_name, Pod(math.inf, [])).add_scrapes(times)
        for identity in new_samples:
            # Any pod may count labels for any revision, so only this counter shows which revision a pod has.
            if identity.name == "ml_requests_total":
                self.pods[identity.pod].revision = identity.revision

    def _add_samples(self, identity: Identity, samples: Sequence[Sample]) -> None:
        of_pod = self._known.setdefault(identity.pod, {})
        counter = of_pod.get(identity)
        if counter is None:
            first, value = samples[0]
            # A counter that appears in a pod that was scraped before began at 0.
            appeared = self.pods[identity.pod].first < first and identity not in self._began_without_count
            counter = of_pod[identity] = Counter.starting(first, value, from_zero=appeared)
        for at, value in samples:
            counter.add(at, value)

    def grown(self, revision: str, since: float, until: float, pod: str = "") -> Iterator[tuple[Identity, float]]:
        """How much each counter of `revision` grew after `since` and up to `until` (unix seconds).

        In all of its pods, or in the one that `pod` names.
        """
        for pod_name in (pod,) if pod else self._known:
            for identity, counter in self.of_pod(pod_name, revision):
                yield identity, counter.at(until) - counter.at(since)

    def of_pod(self, pod: str, revision: str) -> Iterator[tuple[Identity, Counter]]:
        """The counters that `pod` has for `revision`."""
        for identity, counter in self._known.get(pod, {}).items():
            if identity.revision == revision:
                yield identity, counter

    def forget(self, moment: float) -> None:
        """Keep only what growth after `moment` needs. Pods that were gone long before are forgotten."""
        for gone in [name for name, pod in self.pods.items() if pod.last <= moment - _GONE_SECONDS]:
            del self.pods[gone]
            self._known.pop(gone, None)
        self._began_without_count = {counter for counter in self._began_without_count if counter.pod in self.pods}
        for of_pod in self._known.values():
            for counter in of_pod.values():
                counter.forget(moment)
        for pod in self.pods.values():
            pod.forget(moment)


def _read(at: float, text: float | str) -> Sample:
    try:
        value = float(text)
    except ValueError:
        value = _NOT_A_COUNT
    return float(at), value if 0 <= value <= _LARGEST else _NOT_A_COUNT


def _is_bound(text: str) -> bool:
    try:
        return not math.isnan(float(text))
    except ValueError:
        return False
