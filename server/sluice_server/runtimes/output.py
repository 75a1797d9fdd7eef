"""What a model says about some rows; a value that can be cut into the answers of single requests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from numpy.typing import NDArray

Values: TypeAlias = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """Values, probabilities (rows x classes) and class indexes; the last two are None where a model has none."""

    values: Values
    probabilities: Values | None
    classes: Values | None

    def slice(self, start: int, stop: int) -> Answer:
        """The answer for the rows from `start` up to `stop`."""
        return Answer(
            self.values[start:stop],
            None if self.probabilities is None else self.probabilities[start:stop],
            None if self.classes is None else self.classes[start:stop],
        )
