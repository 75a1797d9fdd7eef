"""Observations of a blue-green rollout, whose requests all move at once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sluice_operator.api.observation import Observation
from sluice_operator.api.spec import Spec
from tests.unit.sluice_operator.build import (
    LIVE,
    NOW,
    REPLICAS,
    ROLLOUT,
    a_spec,
    again,
    an_observation,
    both_ready,
    resolved,
)


def blue_green(**pause: Any) -> Spec:
    return a_spec(rollout={**ROLLOUT, "canary": {}, "blueGreen": pause})


def starting(spec: Spec, **changes: Any) -> Observation:
    """Version 1 serves, and version 2 has just been started beside it."""
    first = an_observation(spec=spec, now=NOW - timedelta(hours=1), workloads=both_ready(REPLICAS, 0))
    return again(again(again(first)), after=3600, resolution=resolved(2), **changes)


def answering(spec: Spec, **changes: Any) -> Observation:
    """All pods of version 2 are ready, and a request that was meant for it was answered."""
    return again(
        starting(spec),
        **{"workloads": both_ready(REPLICAS, REPLICAS), "weight": LIVE, "smoke": LIVE, "rate": 5.0, **changes},
    )
