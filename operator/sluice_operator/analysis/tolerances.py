"""Whether the accuracies of two revisions were counted alike: a predicted number is right within a tolerance.

It is a setting of the model server, so it may come with a new version. Two accuracies that were counted with two
tolerances differ for that reason alone, and no verdict about the models follows from them.
"""

from collections.abc import Sequence

from sluice_operator.api.names import TOLERANCE_KEY
from sluice_operator.api.observation import Refusal
from sluice_operator.api.revision import Revision
from sluice_operator.api.spec import Objective, Source

TOLERANCE_CHANGED = "ToleranceChanged"


def refusal(objectives: Sequence[Objective], canary: Revision, stable: Revision) -> Refusal | None:
    """Why the canary's accuracy cannot be compared with stable's; None if it can, or if nothing compares it."""
    compared = [objective.name for objective in objectives if _compares(objective)]
    before, now = _of(stable), _of(canary)
    if not compared or before == now:
        return None
    return Refusal(
        TOLERANCE_CHANGED,
        f"{canary.model.uri} comes with {TOLERANCE_KEY} {now}, and {stable.model.uri} has {before}: objective "
        f"{compared[0]} cannot compare accuracies that are counted in two ways; roll the tolerance out without "
        "accuracy.maxDrop (min may stay), and write maxDrop again when stable has it",
    )


def _compares(objective: Objective) -> bool:
    accuracy = objective.accuracy
    by_labels = accuracy is not None and accuracy.source is Source.FEEDBACK and accuracy.max_drop is not None
    return by_labels and not objective.dry_run


def _of(revision: Revision) -> str:
    """The tolerance of a revision in words."""
    for entry in revision.env:
        if entry["name"] == TOLERANCE_KEY:
            return str(entry.get("value", "")).strip() or ("from elsewhere" if entry.get("valueFrom") else "unset")
    return "unset"
