"""How a fetch can end. The operator treats the three differently: go on, give the version up, wait for another try."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from sluice_server.model.manifest import Manifest
from sluice_server.model.refusal import Refused


@dataclass(frozen=True, slots=True)
class Fetched:
    """The model is in its folder; the manifest says what it is."""

    manifest: Manifest


@dataclass(frozen=True, slots=True)
class Unavailable:
    """Something did not answer; trying again later may help."""

    reason: str
    message: str


Outcome: TypeAlias = Fetched | Refused | Unavailable
