"""What the registry knows about how a model was made; found once, when the model is fetched.

Only what does not change for a version: an alias moves, so it is not here.
"""

from __future__ import annotations

import msgspec

# What trainers call it, the score on data that the model has not seen first.
ACCURACY_NAMES = (
    "accuracy",
    "test_accuracy",
    "eval_accuracy",
    "val_accuracy",
    "validation_accuracy",
    "accuracy_score",
    "training_accuracy_score",
)
TRAINING_SECONDS = "training_seconds"  # what a trainer calls how long it took


class Origin(msgspec.Struct, frozen=True):
    """The run that logged the model, the git commit of its code, and its metrics; empty where nothing is known."""

    run_id: str = ""
    git_commit: str = ""
    metrics: dict[str, float] = {}

    @property
    def accuracy(self) -> float | None:
        """The accuracy that the training run has measured, as a share; None if it has not."""
        shares = (self.metrics[name] for name in ACCURACY_NAMES if name in self.metrics)
        return next((share for share in shares if 0.0 <= share <= 1.0), None)

    @property
    def training_seconds(self) -> float | None:
        """How long the training took; None if its run does not say."""
        return self.metrics.get(TRAINING_SECONDS)
