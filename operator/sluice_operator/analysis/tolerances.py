"""Whether the accuracies of two revisions are counted alike: a predicted number is right within a tolerance.

It is a setting of the model server, so it may come with a new version. Two accuracies that were counted with two
tolerances differ for that reason alone, and no verdict about the models follows from them. Only the servers know which
one they have, wherever it comes from: a value, a ConfigMap, a Secret. A server that does not say has none.
"""

from collections.abc import Sequence

from sluice_operator.api.names import TOLERANCE_KEY
from sluice_operator.api.observation import Refusal, Signatures
from sluice_operator.api.revision import Revision
from sluice_operator.api.signature import Signature, Tolerance
from sluice_operator.api.spec import Objective, Source
from sluice_operator.api.status import TOLERANCE_CHANGED


def refusal(
    objectives: Sequence[Objective], seen: Signatures | None, canary: Revision, stable: Revision
) -> Refusal | None:
    """Why the canary's accuracy cannot be compared with stable's; None if it can, or if nothing compares it.

    `seen` is None before both servers have said how they count, and where stable has no pod that could.
    """
    compared = [objective.name for objective in objectives if _compares(objective)]
    if seen is None or not compared:
        return None
    before, now = _of(seen.stable), _of(seen.canary)
    if before == now:
        return None
    return Refusal(
        TOLERANCE_CHANGED,
        f"{canary.model.uri} has {_in_words(now)}, and {stable.model.uri} has {_in_words(before)}: objective "
        f"{compared[0]} cannot compare accuracies that are counted in two ways; roll the tolerance out with "
        "accuracy.min in the place of maxDrop, or without the objective: that edit tries this version again. Write "
        "maxDrop again when stable has the tolerance",
    )


def _compares(objective: Objective) -> bool:
    accuracy = objective.accuracy
    by_labels = accuracy is not None and accuracy.source is Source.FEEDBACK and accuracy.max_drop is not None
    return by_labels and not objective.dry_run


def _of(signature: Signature | None) -> Tolerance | None:
    return None if signature is None else signature.predictions.tolerance


def _in_words(tolerance: Tolerance | None) -> str:
    """As it is written in the setting."""
    if tolerance is None:
        return f"no {TOLERANCE_KEY}"
    number = f"{tolerance.by * 100:.15g} %" if tolerance.relative else f"{tolerance.by:.15g}"
    return f"{TOLERANCE_KEY} {number}"
