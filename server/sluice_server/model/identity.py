"""Which model a process serves, as metrics, headers, logs and prediction ids name it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Identity:
    """Name and version in the registry, and the revision of the rollout that the pod belongs to.

    `uri`: what names the model where it has no name in a registry.
    """

    model: str
    version: str
    revision: str
    uri: str = ""

    @property
    def source(self) -> str:
        """Where the model is from, in the words of health, metadata and logs: `registry:iris/v3`, else its URI."""
        return f"registry:{self.model}/v{self.version}" if self.model and self.version else self.uri
