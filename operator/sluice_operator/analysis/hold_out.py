"""The gate before any traffic: whether the models' hold-outs show that the new model is good enough. Pure.

A hold-out has a fixed size and is judged once, so exact binomial bounds decide. Waiting would not add evidence.
"""

from collections.abc import Sequence

from sluice_operator.api.observation import Denied, HoldOut, HoldOuts, Refusal, Rows, Unreachable, Unresolved
from sluice_operator.api.quantities import Share
from sluice_operator.api.revision import Revision
from sluice_operator.api.spec import Confidence, Objective
from sluice_operator.evalues.hold_out import at_least, at_most, chance_of_losses, drop_at_most, total_for


def decided_by_hold_outs(objectives: Sequence[Objective]) -> tuple[Objective, ...]:
    """The objectives that hold-outs decide."""
    return tuple(objective for objective in objectives if objective.decided_by_hold_out and not objective.dry_run)


def revisions_to_read(
    objectives: Sequence[Objective], canary: Revision, stable: Revision | None
) -> tuple[Revision, ...]:
    """The revisions whose hold-outs must be known: the canary, and stable if an objective compares both.

    Where only the server's settings change, the model would be compared with itself. That is left out, because no
    hold-out would be large enough.
    """
    accuracies = [
        objective.accuracy for objective in decided_by_hold_outs(objectives) if objective.accuracy is not None
    ]
    compared = any(accuracy.max_drop is not None for accuracy in accuracies)
    if stable is None or stable.model.uri == canary.model.uri or not compared:
        return (canary,) if accuracies else ()
    return canary, stable


def unknown(objectives: Sequence[Objective], answers: HoldOuts | None) -> Unreachable | Denied | None:
    """Why a hold-out that `objectives` need is not known; None if none is missing."""
    if answers is None or not decided_by_hold_outs(objectives):
        return None
    silent = (answer for answer in (answers.canary, answers.stable) if isinstance(answer, Unreachable | Denied))
    return next(silent, None)


def refusal(objective: Objective, trained: HoldOuts, confidence: Confidence) -> Refusal | None:
    """Why `objective` refuses the model; None if it does not, or if the registry did not answer.

    `min` and `maxDrop` must both be kept. A first version has no stable one to compare with, so `maxDrop` does not
    refuse it.
    """
    assert objective.accuracy is not None
    least, most = objective.accuracy.min, objective.accuracy.max_drop
    refused = _too_low(trained, least, confidence) if least is not None else None
    if refused is None and most is not None:
        refused = _too_far_below(trained, most, confidence)
    return Refusal(refused.reason, f"{objective.name}: {refused.message}") if refused else None


def _too_low(trained: HoldOuts, least: Share, confidence: Confidence) -> Refusal | None:
    """Why the canary's hold-out does not show an accuracy of `least`."""
    match trained.canary:
        case Unresolved(reason, message):
            return Refusal(reason, message)
        case HoldOut(_, correct, total):
            counted = f"{correct} of {total} of the hold-out are right"
            if at_most(correct, total, confidence.false_rollback) < least:
                return Refusal("TrainingAccuracyBelowLimit", f"{counted}, which is less than {least}")
            if (shown := at_least(correct, total, confidence.bad_promotion)) < least:
                hint = "evaluate on more examples, or ask for less"
                return Refusal("HoldOutTooSmall", f"{counted}, which shows only {shown:.3f} and not {least}: {hint}")
    return None


def _too_far_below(trained: HoldOuts, most: Share, confidence: Confidence) -> Refusal | None:
    """Why the hold-outs do not show that the canary is less than `most` below stable."""
    match trained.canary, trained.stable:
        case Unresolved(reason, message), HoldOut() | Unresolved():
            return Refusal(reason, message)
        case HoldOut(rows=Unresolved(reason, message)), HoldOut() | Unresolved():
            return Refusal(reason, f"{message}: log it as `python -m sluice_trainer` does, or leave maxDrop out")
        case HoldOut(), Unresolved(reason, message) | HoldOut(rows=Unresolved(reason, message)):
            hint = "leave maxDrop out until a version that can be compared with is stable"
            return Refusal(reason, f"the stable version cannot be compared with: {message}: {hint}")
        case HoldOut(rows=Rows() as canary_rows) as canary, HoldOut(rows=Rows() as stable_rows) as stable:
            if (canary_rows.digest, canary.total) == (stable_rows.digest, stable.total):
                return _drop(canary, stable, canary_rows.right, stable_rows.right, most, confidence)
            which = f"{canary_rows.digest} with {canary.total} rows, {stable_rows.digest} with {stable.total}"
            what = f"{canary.model} and {stable.model} were evaluated on different hold-outs ({which})"
            return Refusal("HoldOutsDiffer", f"{what}: evaluate both on the same rows, or leave maxDrop out")
    return None


def _drop(
    canary: HoldOut, stable: HoldOut, canary_right: int, stable_right: int, most: Share, confidence: Confidence
) -> Refusal | None:
    """Both models on the same rows: the rows that only one of them got right decide.

    `canary_right` and `stable_right`: one bit per row.
    """
    lost, gained = (stable_right & ~canary_right).bit_count(), (canary_right & ~stable_right).bit_count()
    bound = drop_at_most(lost, gained, canary.total, confidence.bad_promotion)
    if bound < most:
        return None
    counted = (
        f"of the same {canary.total} rows of the hold-out {canary.model} got {gained} right that {stable.model} got"
        f" wrong and lost {lost}: a drop of {most} is not ruled out (at most {bound:.4f})"
    )
    if chance_of_losses(lost, gained) <= confidence.false_rollback:
        return Refusal("TrainingAccuracyWorseThanStable", f"{counted}, and it is worse")
    needed = total_for(most, confidence.bad_promotion)
    hint = f"evaluate both on more rows (at least {needed}), or allow more" if canary.total < needed else ""
    return Refusal("HoldOutTooSmall", f"{counted}: {hint or 'evaluate both on more rows, or allow more'}")
