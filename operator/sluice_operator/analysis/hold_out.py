"""The gate before any traffic: do the models' own hold-outs show that the new one is good enough? Pure.

A hold-out has a size of its own and is looked at once, so exact binomial bounds decide, and waiting would show no more.
"""

from collections.abc import Sequence

from sluice_operator.api.observation import HoldOut, HoldOuts, Refusal, Rows, Unresolved
from sluice_operator.api.quantities import Share
from sluice_operator.api.spec import Confidence, Objective
from sluice_operator.api.status import Revision
from sluice_operator.evalues.holdout import at_least, at_most, chance_of_losses, drop_at_most, total_for


def asking(objectives: Sequence[Objective]) -> tuple[Objective, ...]:
    """Those that are decided here."""
    return tuple(one for one in objectives if one.of_training and not one.dry_run)


def whose(objectives: Sequence[Objective], canary: Revision, stable: Revision | None) -> tuple[Revision, ...]:
    """The revisions whose hold-outs must be known: the canary's, and stable's if it is compared.

    A model is not compared with itself, as when only the server's settings change: no hold-out would be large enough.
    """
    asked = [one.accuracy for one in asking(objectives) if one.accuracy is not None]
    if stable is None or stable.model.uri == canary.model.uri or all(one.max_drop is None for one in asked):
        return (canary,) if asked else ()
    return canary, stable


def refusal(objective: Objective, trained: HoldOuts, confidence: Confidence) -> Refusal | None:
    """Why `objective` refuses the model; None if it does not, or if nobody could be asked.

    `min` and `maxDrop` must both hold. Where nothing is compared, `maxDrop` asks for nothing.
    """
    assert objective.accuracy is not None
    least, most = objective.accuracy.min, objective.accuracy.max_drop
    found = _too_low(trained, least, confidence) if least is not None else None
    if found is None and most is not None:
        found = _too_far_below(trained, most, confidence)
    return Refusal(found.reason, f"{objective.name}: {found.message}") if found else None


def _too_low(trained: HoldOuts, least: Share, confidence: Confidence) -> Refusal | None:
    match trained.canary:
        case Unresolved(reason, message):
            return Refusal(reason, message)
        case HoldOut(_, correct, total):
            seen = f"{correct} of {total} of the hold-out are right"
            if at_most(correct, total, confidence.false_rollback) < least:
                return Refusal("TrainingAccuracyBelowLimit", f"{seen}, which is less than {least}")
            if (shown := at_least(correct, total, confidence.bad_promotion)) < least:
                hint = "evaluate on more examples, or ask for less"
                return Refusal("HoldOutTooSmall", f"{seen}, which shows only {shown:.3f} and not {least}: {hint}")
    return None


def _too_far_below(trained: HoldOuts, most: Share, confidence: Confidence) -> Refusal | None:
    match trained.canary, trained.stable:
        case Unresolved(reason, message), HoldOut() | Unresolved():
            return Refusal(reason, message)
        case HoldOut(rows=Unresolved(reason, message)), HoldOut() | Unresolved():
            return Refusal(reason, f"{message}: log it as `python -m sluice_trainer` does, or leave maxDrop out")
        case HoldOut(), Unresolved(reason, message) | HoldOut(rows=Unresolved(reason, message)):
            hint = "leave maxDrop out until a version that can be compared with is stable"
            return Refusal(reason, f"the stable version is no measure: {message}: {hint}")
        case HoldOut(rows=Rows() as ours) as canary, HoldOut(rows=Rows() as theirs) as stable:
            if (ours.digest, canary.total) == (theirs.digest, stable.total):
                return _drop(canary, stable, ours.right, theirs.right, most, confidence)
            which = f"{ours.digest} with {canary.total} rows, {theirs.digest} with {stable.total}"
            what = f"{canary.model} and {stable.model} were evaluated on different hold-outs ({which})"
            return Refusal("HoldOutsDiffer", f"{what}: evaluate both on the same rows, or leave maxDrop out")
    return None


def _drop(
    canary: HoldOut, stable: HoldOut, ours: int, theirs: int, most: Share, confidence: Confidence
) -> Refusal | None:
    """Both models on the same rows: those that only one of them got right decide."""
    lost, gained = (theirs & ~ours).bit_count(), (ours & ~theirs).bit_count()
    bound = drop_at_most(lost, gained, canary.total, confidence.bad_promotion)
    if bound < most:
        return None
    seen = (
        f"of the same {canary.total} rows of the hold-out {canary.model} got {gained} right that {stable.model} got"
        f" wrong and lost {lost}: a drop of {most} is not ruled out (at most {bound:.4f})"
    )
    if chance_of_losses(lost, gained) <= confidence.false_rollback:
        return Refusal("TrainingAccuracyWorseThanStable", f"{seen}, and it is worse")
    needed = total_for(most, confidence.bad_promotion)
    hint = f"evaluate both on more rows (at least {needed}), or allow more" if canary.total < needed else ""
    return Refusal("HoldOutTooSmall", f"{seen}: {hint or 'evaluate both on more rows, or allow more'}")
