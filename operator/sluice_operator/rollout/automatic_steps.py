"""The steps of a canary whose spec has none. Pure.

A regression is found after some number of canary requests, not after some time. So the first weight follows from how
many requests there are, and evidence alone decides when the next one comes.
"""

from sluice_operator.api.quantities import Duration
from sluice_operator.api.rollout_spec import Rollout, Step

_FIRST_RATE = 10.0  # canary requests per second that the first weight aims at
_FIRST = (1, 25)  # least and most percent of the first weight
_LATER = (5, 10, 25, 50)
_RISE = 1.5  # a later weight that is at most this many times the first one is left out
_MIN_REQUESTS = 100
_MIN_DURATION = Duration.parse("10s")


def steps_of(rollout: Rollout, rate: float) -> tuple[Step, ...]:
    """Those that a run has on a service that answers `rate` requests per second; none if all move at once."""
    return () if rollout.blue_green is not None else rollout.canary.steps or steps_for(rate)


def steps_for(rate: float) -> tuple[Step, ...]:
    """Steps for a service that answers `rate` requests per second."""
    least, most = _FIRST
    first = most if rate <= 0 else max(least, min(most, round(100 * _FIRST_RATE / rate)))
    weights = (first, *(weight for weight in _LATER if weight > _RISE * first))
    return tuple(Step(weight=weight, min_requests=_MIN_REQUESTS, min_duration=_MIN_DURATION) for weight in weights)
