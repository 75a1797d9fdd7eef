"""Raw counter samples of a run's pods, and what they grew by between two moments. Pure.

Differences of raw samples, never `rate()` or `increase()`: those extrapolate, and a verdict must count what happened.
Series are told apart by pod, so restarts and pods that come and go need no special case.
"""

import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

Sample = tuple[float, float]  # unix time in seconds, value of the counter

_SKEW_SECONDS = 3.0  # that the clocks of two replicas of Prometheus may differ by
_MOST = 2.0**53  # beyond this, single requests are not told apart any more
_NO_NUMBER = -1.0  # in place of values that are none of requests


class Identity(NamedTuple):
    """What tells counters apart. Whatever else relabelling adds, such as a second job, it is the same counter."""

    name: str
    pod: str
    revision: str
    code: str
    le: str

    @classmethod
    def of(cls, labels: Mapping[str, str]) -> "Identity":
        """Where a label of the target clashes with one of the server's, Prometheus calls that one `exported_...`."""
        found = labels.get
        return cls(
            found("__name__", ""),
            found("pod_uid", ""),
            found("exported_revision") or found("revision", ""),
            found("exported_code") or found("code", ""),
            found("exported_le") or found("le", ""),
        )

    @property
    def is_countable(self) -> bool:
        """Whether it is somebody's, and a bucket of a histogram has a bound."""
        return bool(self.pod) and (not self.name.endswith("_bucket") or _is_bound(self.le))


@dataclass(slots=True)
class Counter:
    """One counter of one pod as a total that never falls: sample times, and the growth up to each."""

    times: list[float]
    totals: list[float]
    _raw: float

    @classmethod
    def begun(cls, at: float, value: float, *, from_zero: bool) -> "Counter":
        """Its first sample: growth if the counter was not there before, else a base, with an unknown past."""
        return cls([at], [value if from_zero else 0.0], value)

    def add(self, at: float, value: float) -> None:
        """The next sample; what is not newer is left out.

        A value that falls below half is a restart, which counts up from 0 again. One that falls by less, or at once,
        comes from another replica of Prometheus, whose clock is not quite the same, and is left out.
        """
        if at <= self.times[-1]:
            return
        if value < self._raw and (value >= self._raw / 2 or at - self.times[-1] <= _SKEW_SECONDS):
            return
        grown = value - self._raw if value >= self._raw else value
        self.times.append(at)
        self.totals.append(self.totals[-1] + grown)
        self._raw = value

    def at(self, moment: float) -> float:
        """The total of the last sample up to `moment`; 0 before the first one."""
        index = bisect_right(self.times, moment)
        return self.totals[index - 1] if index else 0.0

    def forget(self, moment: float) -> None:
        """Drop what `at` is not asked for any more: samples before the last one up to `moment`."""
        if (index := bisect_right(self.times, moment) - 1) > 0:
            del self.times[:index], self.totals[:index]


@dataclass(slots=True)
class Pod:
    """When a pod was scraped, in order. `first` stays when early scrapes are forgotten."""

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

    def see(self, times: set[float]) -> None:
        """Scrapes, known ones among them."""
        self.first = min(self.first, *times)
        self.scrapes = sorted(times.union(self.scrapes))

    def forget(self, moment: float) -> None:
        """Drop what `newest` is not asked for any more: scrapes before the last one up to `moment`."""
        del self.scrapes[: max(0, bisect_right(self.scrapes, moment) - 1)]


@dataclass(slots=True)
class Counters:
    """All counters of a run. `without_pod`: series were left out because they do not say whose they are."""

    pods: dict[str, Pod] = field(default_factory=dict)
    without_pod: bool = False
    _known: dict[Identity, Counter] = field(default_factory=dict)
    _unclear: set[Identity] = field(default_factory=set)  # there before they had a number, so not from 0

    def add(self, answer: Iterable[tuple[Mapping[str, str], Iterable[tuple[float, float | str]]]]) -> None:
        """Series as Prometheus gives them, in any order. What is not a number of requests is a missed scrape."""
        found: dict[Identity, list[Sample]] = {}
        for labels, samples in answer:
            identity = Identity.of(labels)
            self.without_pod |= not identity.pod
            if identity.is_countable:
                found.setdefault(identity, []).extend(_read(at, text) for at, text in samples)
        numbers = {identity: self._numbers(identity, sorted(samples)) for identity, samples in found.items()}
        told = {identity: samples for identity, samples in numbers.items() if samples}
        self._see(told)
        for identity, samples in told.items():
            counter = self._known.get(identity)
            if counter is None:
                first, value = samples[0]
                appeared = self.pods[identity.pod].first < first and identity not in self._unclear
                counter = self._known[identity] = Counter.begun(first, value, from_zero=appeared)
            for at, value in samples:
                counter.add(at, value)

    def _numbers(self, identity: Identity, samples: list[Sample]) -> list[Sample]:
        if samples and samples[0][1] == _NO_NUMBER and identity not in self._known:
            self._unclear.add(identity)
        return [one for one in samples if one[1] != _NO_NUMBER]

    def _see(self, found: Mapping[Identity, Sequence[Sample]]) -> None:
        times: dict[str, set[float]] = {}
        for identity, samples in found.items():
            times.setdefault(identity.pod, set()).update(at for at, _ in samples)
        for name, scraped in times.items():
            self.pods.setdefault(name, Pod(math.inf, [])).see(scraped)
        for identity in found:
            if identity.name == "ml_requests_total":  # tells whose pod it is; labels are counted by any pod
                self.pods[identity.pod].revision = identity.revision

    def grown(self, revision: str, since: float, until: float, pod: str = "") -> Iterator[tuple[Identity, float]]:
        """What each counter of `revision` (in one pod, if it is named) grew by after `since` and up to `until`."""
        for identity, counter in self._known.items():
            if identity.revision == revision and pod in ("", identity.pod):
                yield identity, counter.at(until) - counter.at(since)

    def forget(self, moment: float) -> None:
        """Keep what is needed for growth after `moment`."""
        for counter in self._known.values():
            counter.forget(moment)
        for pod in self.pods.values():
            pod.forget(moment)


def _read(at: float, text: float | str) -> Sample:
    try:
        value = float(text)
    except ValueError:
        value = _NO_NUMBER
    return float(at), value if 0 <= value <= _MOST else _NO_NUMBER


def _is_bound(text: str) -> bool:
    try:
        return not math.isnan(float(text))
    except ValueError:
        return False
