"""Which counters of which revisions are asked for, as a PromQL selector. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Self

BUCKETS = "ml_request_duration_seconds_bucket"
COUNTERS = (
    "ml_requests_started_total",
    "ml_requests_total",
    "ml_other_requests_total",
    "ml_feedback_total",
    "ml_feedback_correct_total",
    BUCKETS,
)


@dataclass(frozen=True, slots=True)
class Selection:
    """Counters of some revisions of some ModelDeployments, for requests that came through the gateway."""

    objects: tuple[tuple[str, str], ...]  # namespace and name of each
    revisions: tuple[str, ...]
    bounds: tuple[float, ...] | None = ()  # of latency buckets, in seconds; None for all that there are
    pods: tuple[str, ...] = ()  # their UIDs; none stands for all pods

    @classmethod
    def joined(cls, selections: Iterable[Self]) -> Self:
        """One selection that covers all of `selections`, and perhaps other combinations of their parts.

        They are selections of all pods.
        """
        joined = list(selections)
        return cls(
            tuple(chain.from_iterable(selection.objects for selection in joined)),
            tuple(chain.from_iterable(selection.revisions for selection in joined)),
            tuple(sorted({bound for selection in joined for bound in selection.bounds or ()})),
        )

    def promql(self, counters: Sequence[str] = COUNTERS) -> str:
        """An instant selector for `counters`. It also takes an empty `le`, because only histograms have that label."""
        pods = f',pod_uid=~"{"|".join(self.pods)}"' if self.pods else ""
        le = "" if self.bounds is None else f',le=~"{"|".join(["", "[+]Inf", *map(_escaped, self.bounds)])}"'
        namespaces, names = ("|".join(sorted(set(values))) for values in zip(*self.objects, strict=True))
        return (
            f'{{__name__=~"{"|".join(counters)}",namespace=~"{namespaces}",model_deployment=~"{names}",'
            f'revision=~"{"|".join(self.revisions)}",entry="gateway"{pods}{le}}}'
        )


def _escaped(bound: float) -> str:
    return str(bound).replace(".", "[.]")
