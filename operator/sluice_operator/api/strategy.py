"""How a run goes through the steps of its strategy: which one it is at, and what that step needs. Pure.

A canary is the one strategy there is. Whoever needs a weight or a number of pods asks this value, and knows no list of
steps.
"""

import math
from dataclasses import dataclass

from sluice_operator.api.spec import Step


@dataclass(frozen=True, slots=True)
class CanarySteps:
    """Steps of rising weight, and the `position` of the present one, from 0. At least one step."""

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
        """Whether a promotion follows."""
        return self.position + 1 == len(self.steps)

    def pods(self, stable_replicas: int) -> int:
        """Pods that the canary needs for the present weight, which `stable_replicas` pods share with it.

        Never more than stable has: as many carry all of the traffic after the promotion.
        """
        weight = self.weight
        return max(1, min(stable_replicas, math.ceil(stable_replicas * weight / (100 - weight))))

    def __str__(self) -> str:
        return f"step {self.position + 1} of {len(self.steps)}"
