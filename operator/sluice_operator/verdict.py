"""The verdict on a run: Pass, Fail or Undecided, with reason and numbers. Pure.

The rule of this version: Fail when an exact one-sided binomial bound, at 0.1 % per look, lies beyond the limit; Pass
when the requests and the time that the step asks for are there and the point estimate is inside; else Undecided. No
theorem over many looks is claimed for it.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sluice_operator.evidence import Evidence, Tally
from sluice_operator.latency import bound_below
from sluice_operator.spec import Judge, Objective, Step
from sluice_operator.status import METRICS_UNAVAILABLE, ObjectiveVerdict, Result, Verdict

ALPHA_PER_LOOK = 0.001
CRASHES_TOLERATED = 1  # container terminations of the canary beyond stable's
SHARE_TOLERATED = 0.5  # a canary that finishes significantly less than half of its share misses requests
OVERDUE_TOLERATED = 20  # requests; more than that, and more than were finished, means that the canary hangs


@dataclass(frozen=True, slots=True)
class Question:
    """What a Pass needs now. Without a step (while watching) nothing does: only a Fail is looked for."""

    step: Step | None
    last: bool = False
    elapsed: float = 0.0  # seconds since the step's weight was seen live; 0 before


def judge(objectives: Sequence[Objective], evidence: Evidence, question: Question, crashes: int) -> Verdict:
    """The verdict on the canary. `crashes`: terminations of its containers beyond stable's in this run."""
    judged = tuple(_judge_one(objective, evidence, question) for objective in objectives)
    for failed in (_crashing(crashes), _missing(evidence, question)):
        if failed is not None:
            return Verdict(Result.FAIL, *failed, objectives=judged)
    for one in judged:
        if one.result is Result.FAIL:
            message = f"{one.name} {one.canary} is beyond its limit {one.limit} ({one.requests} counted)"
            return Verdict(Result.FAIL, one.reason, message, judged)
    open_points = list(_open_points(objectives, judged, evidence, question))
    if question.step is None or open_points:
        return Verdict(Result.UNDECIDED, "Collecting", "; ".join(open_points), judged)
    return Verdict(Result.PASS, "Passed", "all that this step asks for is there", judged)


def lost(message: str, before: Verdict | None, crashes: int) -> Verdict:
    """Nothing to see is not a failure: Undecided, with the last numbers kept in view. Crashes are seen all the same."""
    judged = before.objectives if before else ()
    if (crashed := _crashing(crashes)) is not None:
        return Verdict(Result.FAIL, *crashed, objectives=judged)
    return Verdict(Result.UNDECIDED, METRICS_UNAVAILABLE, message, judged)


def upper_tail(successes: int, trials: int, share: float) -> float:
    """P(X >= successes) for X ~ Binomial(trials, share), for successes/trials >= share.

    The terms of the tail fall at least geometrically there, so the sum ends early (Clopper and Pearson 1934: the exact
    bound lies beyond `share` just when this is below the level).
    """
    if successes <= 0:
        return 1.0
    term = math.exp(
        math.lgamma(trials + 1)
        - math.lgamma(successes + 1)
        - math.lgamma(trials - successes + 1)
        + successes * math.log(share)
        + (trials - successes) * math.log1p(-share)
    )
    total, odds = term, share / (1 - share)
    for k in range(successes, trials):
        term *= (trials - k) / (k + 1) * odds
        total += term
        if term <= total * 1e-12:
            break
    return min(total, 1.0)


@dataclass(frozen=True, slots=True)
class _Share:
    """Bad ones among all: what every objective of this version comes down to."""

    bad: int
    total: int

    def significantly_above(self, limit: float) -> bool:
        return self.bad > limit * self.total and upper_tail(self.bad, self.total, limit) <= ALPHA_PER_LOOK

    def inside(self, limit: float) -> bool:
        return self.total > 0 and self.bad <= limit * self.total


def _judge_one(objective: Objective, evidence: Evidence, question: Question) -> ObjectiveVerdict:
    limit, reason = _limit(objective), _reason(objective)
    against, favour = _bad_share(objective, evidence.against), _bad_share(objective, evidence.favour)
    if against.significantly_above(limit):
        result, shown = Result.FAIL, against
    elif favour.inside(limit) and question.step is not None and favour.total >= question.step.min_requests:
        result, shown = Result.PASS, favour
    else:
        result, shown = Result.UNDECIDED, favour if favour.total else against
    return ObjectiveVerdict(
        name=objective.name,
        result=result,
        reason=reason if result is Result.FAIL else "",
        canary=_shown(objective, shown),
        limit=_shown_limit(objective),
        requests=shown.total,
    )


def _bad_share(objective: Objective, counted: Tally) -> _Share:
    if objective.error_rate is not None:
        return _Share(counted.errors, counted.finished)
    if objective.latency is not None:
        bound = bound_below(objective.latency.max.total_seconds())
        total, fast = counted.within.get(math.inf), counted.within.get(bound)
        return _Share(0, 0) if total is None or fast is None else _Share(total - fast, total)
    return _Share(counted.labels - counted.correct, counted.labels)


def _limit(objective: Objective) -> float:
    if objective.error_rate is not None:
        return objective.error_rate.max
    if objective.latency is not None:
        return 1 - objective.latency.quantile
    assert objective.accuracy is not None
    return 1 - objective.accuracy.min


def _reason(objective: Objective) -> str:
    if objective.error_rate is not None:
        return "ErrorRateAboveLimit"
    return "LatencyAboveLimit" if objective.latency is not None else "AccuracyBelowLimit"


def _shown(objective: Objective, share: _Share) -> str:
    if share.total == 0:
        return ""
    if objective.accuracy is not None:
        return f"{1 - share.bad / share.total:.3f}"
    return f"{share.bad / share.total:.2%}"


def _shown_limit(objective: Objective) -> str:
    if objective.error_rate is not None:
        return f"at most {objective.error_rate.max} errors"
    if objective.latency is not None:
        bound = bound_below(objective.latency.max.total_seconds())
        return f"at most {1 - objective.latency.quantile:.1%} slower than {bound * 1000:g}ms"
    assert objective.accuracy is not None
    return f"at least {objective.accuracy.min}"


def _crashing(crashes: int) -> tuple[str, str] | None:
    if crashes <= CRASHES_TOLERATED:
        return None
    return "CanaryCrashing", f"containers of the canary ended {crashes} times more often than stable's in this run"


def _missing(evidence: Evidence, question: Question) -> tuple[str, str] | None:
    overdue, finished = evidence.overdue, evidence.against.finished
    if overdue > OVERDUE_TOLERATED and overdue > finished:
        return "RequestsMissing", f"the canary finished {finished} requests and does not answer {overdue} more"
    if question.step is None or question.elapsed == 0:
        return None
    total, share = evidence.canary_widest + evidence.stable_step, question.step.weight / 100 * SHARE_TOLERATED
    if not _Share(evidence.stable_step, total).significantly_above(1 - share):
        return None
    got = f"{evidence.canary_widest} of {total} requests at weight {question.step.weight}"
    return "RequestsMissing", f"the canary finished only {got}, while stable goes on answering"


def _open_points(
    objectives: Sequence[Objective], judged: Sequence[ObjectiveVerdict], evidence: Evidence, question: Question
) -> Iterator[str]:
    step = question.step
    if step is None:
        return
    if question.elapsed == 0:
        yield f"weight {step.weight} is not live yet"
        return
    if (needs := step.min_requests - evidence.step.finished) > 0:
        yield f"needs {needs} more requests"
    if question.elapsed < step.min_duration.total_seconds():
        yield f"needs {step.min_duration} at this weight"
    for objective, one in zip(objectives, judged, strict=True):
        needed = objective.needed is Judge.EVERY_STEP or (objective.needed is Judge.BEFORE_PROMOTION and question.last)
        if needed and one.result is not Result.PASS:
            counted = "labels" if objective.accuracy else "requests"
            yield f"{one.name} is undecided: {one.canary or 'nothing'} seen in {one.requests} {counted}, {one.limit}"
