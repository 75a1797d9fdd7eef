"""The counts of one pod in bins of equal length, as arrays: hours of the past have too many bins for tallies. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from sluice_operator.counting.counters import Counters

Numbers = NDArray[np.float64]  # whole numbers, one for each bin
_Name = TypeVar("_Name", str, float)


@dataclass(frozen=True, slots=True)
class Bins:
    """As `Tally`, with one number for each bin. `number`: of bins, which follow each other from the bin `first` on."""

    number: int
    finished: Numbers
    errors: Numbers
    refused: Numbers
    labels: Numbers
    correct: Numbers
    within: Mapping[float, Numbers] = field(default_factory=dict)
    first: int = 0

    @classmethod
    def of_pod(cls, counters: Counters, pod_name: str, revision: str, edges: Sequence[float]) -> Self:
        """What a pod counted for `revision` in the bins between `edges` (unix seconds) in which it was scraped."""
        pod, moments = counters.pods[pod_name], np.asarray(edges, float)
        scraped = (pod.first <= moments[:-1]) & (moments[1:] <= pod.last)
        counts, within = dict[str, Numbers](), dict[float, Numbers]()
        for identity, counter in counters.of_pod(pod_name, revision):
            grown = np.diff(counter.at_each(moments))[scraped]
            if identity.name.endswith("_bucket"):
                _add(within, float(identity.le), grown)
                continue
            _add(counts, identity.name, grown)
            if identity.name == "ml_requests_total":
                _add(counts, {"4": "refused", "5": "errors"}.get(identity.code[:1], "others"), grown)
        nothing = np.zeros(int(scraped.sum()))
        return cls(
            nothing.size,
            finished=np.rint(counts.get("ml_requests_total", nothing)),
            errors=np.rint(counts.get("errors", nothing)),
            refused=np.rint(counts.get("refused", nothing)),
            labels=np.rint(counts.get("ml_feedback_total", nothing)),
            correct=np.rint(counts.get("ml_feedback_correct_total", nothing)),
            within={bound: np.rint(grown) for bound, grown in within.items()},
            first=int(scraped.argmax()),
        )

    def slower(self, bound: float) -> tuple[Numbers, Numbers]:
        """As `Tally.slower`: 0 where the histogram lacks that bound."""
        total, fast = self.within.get(math.inf), self.within.get(bound)
        if total is None or fast is None:
            return np.zeros(self.number), np.zeros(self.number)
        return total, np.maximum(0.0, total - fast)


def _add(sums: dict[_Name, Numbers], name: _Name, grown: Numbers) -> None:
    sums[name] = sums[name] + grown if name in sums else grown
