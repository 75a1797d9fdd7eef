"""A look at a run, and what is known when it was the last one. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from sluice_operator.analysis.run_evidence import Trial
from sluice_operator.api.spec import Objective
from sluice_operator.api.status import ObjectiveVerdict, Verdict

Measured = tuple[tuple[Objective, ObjectiveVerdict], ...]


class Look(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """`crashes`: terminations of the canary's containers beyond stable's."""

    verdict: Verdict
    at: datetime
    crashes: int = 0


@dataclass(frozen=True, slots=True)
class Ended:
    """A run's trial at its end. `patience`: seconds after which an unfinished request hangs."""

    trial: Trial
    last: Look
    patience: float


def measured(objectives: Sequence[Objective], verdict: Verdict) -> Measured:
    """What a verdict says of the queries among `objectives`, whose measurements are not kept."""
    said = {one.name: one for one in verdict.objectives}
    return tuple((one, said[one.name]) for one in objectives if one.query is not None and one.name in said)
