"""Objectives that are PromQL queries of the user's own: what was measured, and the plain rule that judges it. Pure.

There is no error rate for these, because nobody knows how their values vary. As in an analysis of Argo Rollouts, a run
fails when more than `failureLimit` measurements were outside the limit. A value that is not a number is left out.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Self

from sluice_operator.api.spec import Objective, Query
from sluice_operator.api.status import ObjectiveVerdict, Result

_PLAIN = " (a plain rule, without an error rate)"


@dataclass(frozen=True, slots=True)
class Measured:
    """What is known of one query in a run, however long that is. `last_at`: unix seconds, of the last number."""

    number: int = 0
    outside: int = 0  # of the limit
    last: float | None = None
    last_at: float = -math.inf

    def plus(self, query: Query, values: Iterable[tuple[float, float]]) -> Self:
        """With these measurements too: (unix seconds, value), in their order."""
        numbers = [(at, value) for at, value in values if math.isfinite(value)]
        if not numbers:
            return self
        outside = sum(not _is_inside(query, value) for _, value in numbers)
        last_at, last = numbers[-1]
        return replace(
            self, number=self.number + len(numbers), outside=self.outside + outside, last=last, last_at=last_at
        )


def rendered(query: Query, namespace: str, name: str, revision: str) -> str:
    """The PromQL of `query` for one revision."""
    expr = query.expr
    for key, value in (("namespace", namespace), ("name", name), ("revision", revision)):
        expr = expr.replace("{{ " + key + " }}", value).replace("{{" + key + "}}", value)
    return expr


def judged(objective: Objective, measured: Measured, since: float, trouble: str = "") -> ObjectiveVerdict:
    """The verdict on one query, from what was measured since the run's first traffic.

    A Pass needs a measurement after `since` (unix seconds), and the last one inside the limit. `trouble`: why there is
    no measurement.
    """
    query, last = objective.query, measured.last
    assert query is not None
    failed = measured.outside > query.failure_limit
    passed = last is not None and measured.last_at > since and _is_inside(query, last)
    outside = f"{measured.outside} of {measured.number} measurements outside the limit"
    return ObjectiveVerdict(
        name=objective.name,
        result=Result.FAIL if failed else Result.PASS if passed else Result.UNDECIDED,
        reason="QueryOutsideLimit" if failed else "",
        canary="" if last is None else f"{last:g}",
        limit=_limit(query),
        requests=measured.number,
        evidence=f"{outside}, {query.failure_limit} tolerated{_PLAIN}",
        needs="" if passed or failed else trouble or "needs a measurement inside the limit",
    )


def failure(measured: ObjectiveVerdict) -> str:
    """The message for a query that fails the run."""
    return f"{measured.name} {measured.canary}: {measured.evidence} ({measured.limit})"


def undecided(measured: ObjectiveVerdict) -> str:
    """The message for a query that still lacks a measurement inside the limit."""
    return f"{measured.name} is undecided: {measured.canary or 'nothing'} measured, {measured.limit}; {measured.needs}"


def _is_inside(query: Query, value: float) -> bool:
    high_enough = query.min is None or value >= query.min
    return high_enough and (query.max is None or value <= query.max)


def _limit(query: Query) -> str:
    lower = [] if query.min is None else [f"at least {query.min}"]
    upper = [] if query.max is None else [f"at most {query.max}"]
    return ", ".join([*lower, *upper])
