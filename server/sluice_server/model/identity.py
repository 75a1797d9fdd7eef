"""Which model a process serves, as metrics, headers, logs and prediction ids name it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Identity:
    """Name and version in the registry, and the revision of the rollout that the pod belongs to."""

    model: str
    version: str
    revision: str
