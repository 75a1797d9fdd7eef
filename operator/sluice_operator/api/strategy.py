"""The strategy of a run: which step it is at, and which weight and how many pods that step needs. Pure.

A canary has steps of rising weight; a blue-green run and an undo have none. Rules ask this value for the weight and the
pods of the present step. What judges, replays or shows a run reads `run.steps` and `run.step` as well: it needs the
other steps.
"""

import math
from dataclasses import dataclass

from sluice_operator.api.rollout_spec import Step


@dataclass(frozen=True, slots=True)
class CanarySteps:
    """Steps of rising weight, at least one, and the `position` of the present one, counted from 0."""

    steps: tuple[Step, ...]
    position: int = 0

    @property
    def step(self) -> Step:
        """The present step."""
        return self.steps[self.position]

    @property
    def weight(self) -> int:
        """Percent of the requests that the present step gives to the canary."""
        return self.step.weight

    @property
    def is_last(self) -> bool:
        """Whether the promotion comes after the present step."""
        return self.position + 1 == len(self.steps)

    def pods(self, stable_replicas: int) -> int:
        """Pods that the canary needs for the present weight, so that its pods get no more requests each than stable's.

        At most `stable_replicas`: that many pods are enough for all of the traffic after the promotion.
        """
        weight = self.weight
        return max(1, min(stable_replicas, math.ceil(stable_replicas * weight / (100 - weight))))

    def __str__(self) -> str:
        return f"step {self.position + 1} of {len(self.steps)}"
