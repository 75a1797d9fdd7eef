"""How a fetch can end. The operator treats the three differently: go on, give the version up, wait for another try."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from sluice_server.model.manifest import Manifest
from sluice_server.model.refusal import Refused


@dataclass(frozen=True, slots=True)
class Fetched:
    """The model is in its folder; the manifest says what it is. `prepared`: digest of the folder in the store."""

    manifest: Manifest
    prepared: str = ""

    @property
    def digest(self) -> str:
        """What the model is known by: the digest of its folder in the store, else that of its files."""
        return self.prepared or self.manifest.digest


@dataclass(frozen=True, slots=True)
class Unavailable:
    """Something did not answer; trying again later may help."""

    reason: str
    message: str


Outcome: TypeAlias = Fetched | Refused | Unavailable
