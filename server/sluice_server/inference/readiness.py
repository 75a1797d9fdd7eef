"""Whether the process is loading, ready, failed or draining. All endpoints ask this before they answer."""

from __future__ import annotations

from enum import Enum


class Phase(Enum):
    """Where the process is in its life."""

    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"
    DRAINING = "draining"


class Readiness:
    """Whether traffic should be sent here, and if not, why."""

    def __init__(self) -> None:
        self.phase = Phase.LOADING
        self.reason = "the model is being loaded"
        self.leaving = False  # another process answers, on new connections

    @property
    def ready(self) -> bool:
        return self.phase is Phase.READY

    @property
    def draining(self) -> bool:
        return self.phase is Phase.DRAINING

    @property
    def closing(self) -> bool:
        """Whether no further request should come on the connections that are open."""
        return self.draining or self.leaving

    def reached(self, phase: Phase, reason: str) -> None:
        """Moves on; a drain is never taken back."""
        if not self.draining:
            self.phase, self.reason = phase, reason
