"""Which counters are asked for, as PromQL. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Self

BUCKETS = "ml_request_duration_seconds_bucket"
COUNTERS = ("ml_requests_started_total", "ml_requests_total", "ml_feedback_total", "ml_feedback_correct_total", BUCKETS)


@dataclass(frozen=True, slots=True)
class Selection:
    """Counters of revisions of ModelDeployments, as the gateway's requests moved them."""

    objects: tuple[tuple[str, str], ...]  # namespace and name of each
    revisions: tuple[str, ...]
    bounds: tuple[float, ...] | None = ()  # of latency, in seconds; None for all that there are

    @classmethod
    def joined(cls, selections: Iterable[Self]) -> Self:
        """All of them in one, and perhaps a little more."""
        found = list(selections)
        return cls(
            tuple(chain.from_iterable(one.objects for one in found)),
            tuple(chain.from_iterable(one.revisions for one in found)),
            tuple(sorted({bound for one in found for bound in one.bounds or ()})),
        )

    def promql(self, counters: Sequence[str] = COUNTERS) -> str:
        """An instant selector. `le` is empty on what is no histogram."""
        le = "" if self.bounds is None else f',le=~"{"|".join(["", "[+]Inf", *map(_escaped, self.bounds)])}"'
        namespaces, names = ("|".join(sorted(set(each))) for each in zip(*self.objects, strict=True))
        return (
            f'{{__name__=~"{"|".join(counters)}",namespace=~"{namespaces}",model_deployment=~"{names}",'
            f'revision=~"{"|".join(self.revisions)}",entry="gateway"{le}}}'
        )


def _escaped(bound: float) -> str:
    return str(bound).replace(".", "[.]")
