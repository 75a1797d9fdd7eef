"""What rules ask of the phase that an object is in. Pure."""

from datetime import timedelta

from sluice_operator.api.observation import Observation
from sluice_operator.api.run import Phase, Run


def run_in(seen: Observation, *phases: Phase) -> Run | None:
    """The run, while the object is in one of `phases`; else None."""
    return seen.status.run if seen.status.phase in phases else None


def time_in_phase(seen: Observation) -> timedelta:
    """How long the object has been in its phase; 0 before it entered its first one."""
    began = seen.status.phase_started_at
    return timedelta(0) if began is None else seen.now - began
