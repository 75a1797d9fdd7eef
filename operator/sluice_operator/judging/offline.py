"""The gate before any traffic: does the model's own hold-out show that it is good enough? Pure.

A hold-out has a size of its own and is looked at once, so exact binomial bounds decide, and waiting would show no more.
"""

from sluice_operator.evalues.holdout import at_least, at_most
from sluice_operator.observed import HoldOut, Refusal, Unreachable, Unresolved
from sluice_operator.spec import Confidence, Objective


def refusal(
    objective: Objective, trained: HoldOut | Unresolved | Unreachable | None, confidence: Confidence
) -> Refusal | None:
    """Why `objective` refuses the model; None if it does not, or if nobody could be asked."""
    assert objective.accuracy is not None
    assert objective.accuracy.min is not None
    least, name = objective.accuracy.min, objective.name
    match trained:
        case Unresolved(reason, message):
            return Refusal(reason, f"{name}: {message}")
        case HoldOut(correct, total):
            seen = f"{name}: {correct} of {total} of the hold-out are right"
            if at_most(correct, total, confidence.false_rollback) < least:
                return Refusal("TrainingAccuracyBelowLimit", f"{seen}, which is less than {least}")
            if (shown := at_least(correct, total, confidence.bad_promotion)) < least:
                hint = "evaluate on more examples, or ask for less"
                return Refusal("HoldOutTooSmall", f"{seen}, which shows only {shown:.3f} and not {least}: {hint}")
    return None
