"""What a canary gets of the requests, and the header by which a gateway shows that it obeys. Pure."""

import hashlib
from dataclasses import dataclass

from sluice_operator.api.status import Weight


@dataclass(frozen=True, slots=True)
class CanaryShare:
    """`weight` per cent of the requests go to the Service of the revision `canary`."""

    canary: str
    weight: Weight

    @property
    def probe_header(self) -> str:
        """Of a request for this share: `always` leads to the canary, `never` to stable."""
        return probe_header(self.weight)


def probe_header(weight: Weight) -> str:
    """A new name for each write of a weight. So a gateway that obeys the header has the weight that came with it."""
    identity = f"{weight.desired}/{weight.written_at.isoformat()}"
    return f"x-sluice-route-{hashlib.sha256(identity.encode()).hexdigest()[:10]}"
