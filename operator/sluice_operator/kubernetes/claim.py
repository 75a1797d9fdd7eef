"""One claim to a namespace: the ConfigMap that says whose it is, and what an operator does that reads it. Pure."""

from dataclasses import dataclass, field
from enum import Enum, auto

from sluice_operator.api import names
from sluice_operator.api.foreign_text import in_one_line
from sluice_operator.api.owner import Manifest

TAKEN_AFTER = 30.0  # seconds without an answer
ASK_AGAIN = 60.0  # seconds between two questions to the same operator
_LONGEST = 320  # characters that the namespace and the name of a Lease can have together


@dataclass(frozen=True, slots=True)
class Claim:
    """`operator` has the namespace, and `asked_by` wants to know whether it is still there. Both name a Lease."""

    namespace: str
    operator: str
    asked_by: str = ""
    version: str = ""
    live: Manifest = field(default_factory=dict)  # as it was read

    @classmethod
    def read(cls, manifest: Manifest) -> "Claim":
        """Whoever may write ConfigMaps may have written this one, and its names are shown."""
        metadata, data = manifest["metadata"], manifest.get("data") or {}
        operator, asked_by = (in_one_line(str(data.get(key, "")), _LONGEST) for key in ("operator", "askedBy"))
        return cls(metadata["namespace"], operator, asked_by, metadata["resourceVersion"], manifest)

    def of(self, operator: str) -> Manifest:
        """The claim as `operator`'s, if it is still as it was read."""
        return Claim(self.namespace, operator, version=self.version).manifest()

    def asked(self, by: str) -> Manifest:
        """The claim with a question, if it is still as it was read."""
        return Claim(self.namespace, self.operator, by, self.version).manifest()

    def manifest(self) -> Manifest:
        metadata = {"namespace": self.namespace, "name": names.CLAIM, "labels": names.CLAIM_LABELS}
        if self.version:
            metadata["resourceVersion"] = self.version
        data = {"operator": self.operator, "askedBy": self.asked_by}
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


class Step(Enum):
    """What to do about a claim."""

    HOLD = auto()
    ANSWER = auto()
    ASK = auto()
    TAKE = auto()
    WAIT = auto()


def step(claim: Claim, me: str, unchanged_for: float, asked_ago: float) -> Step:
    """`unchanged_for`, `asked_ago`: seconds since the claim became as it is, and since `me` has asked the last time."""
    if claim.operator == me:
        return Step.ANSWER if claim.asked_by else Step.HOLD
    if claim.asked_by == me:
        return Step.TAKE if unchanged_for >= TAKEN_AFTER else Step.WAIT
    if claim.asked_by:  # a third one, which may be gone as well
        return Step.ASK if unchanged_for >= ASK_AGAIN else Step.WAIT
    return Step.ASK if asked_ago >= ASK_AGAIN else Step.WAIT
