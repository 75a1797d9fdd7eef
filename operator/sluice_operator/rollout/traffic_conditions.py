"""The conditions about hosts, routes and weights: what the gateway does, and who else has a hand in it. Pure."""

from datetime import timedelta

from sluice_operator.api.observation import Observation
from sluice_operator.api.run import Phase
from sluice_operator.api.status import Status
from sluice_operator.rollout.condition_state import UNPROVEN_AFTER_SECONDS, ConditionState
from sluice_operator.rollout.contest import contested_by, named

_UNPROVEN_STALLS_AFTER = timedelta(minutes=2)


def traffic_verified(seen: Observation, status: Status) -> ConditionState:
    """TrafficVerified: whether the gateway does what was written."""
    weight = status.weight
    if seen.gateway_refusal is not None:
        return "False", seen.gateway_refusal.reason, seen.gateway_refusal.message
    if seen.swap is not None and not seen.swap.live:
        return "False", "SwapNotProven", seen.swap.detail
    if seen.host_trouble is not None:
        return "False", seen.host_trouble.reason, seen.host_trouble.message
    if seen.weight is not None and seen.weight.strangers:
        return "False", "HostAnsweredByAnother", seen.weight.detail
    if weight is None:
        return "Unknown", "NoCanaryRoute", ""
    if weight.verified_at is not None:
        return "True", str(weight.verification), f"weight {weight.live} is live"
    if (seen.now - weight.written_at).total_seconds() > UNPROVEN_AFTER_SECONDS:
        return "False", "WeightNotProven", _not_live(seen, weight.desired)
    return "Unknown", "Proving", f"weight {weight.desired} was written"


def withheld(seen: Observation, status: Status) -> ConditionState | None:
    """Stalled: the route of the spec is not granted, or would not be granted any more; or no gateway takes it.

    Only to whom a host is allowed is told who has it.
    """
    return _not_allowed(seen, status) or _host_taken(seen, status) or _not_accepted(seen)


def _not_accepted(seen: Observation) -> ConditionState | None:
    refusal = seen.gateway_refusal
    return None if refusal is None else ("True", refusal.reason, refusal.message)


def _not_allowed(seen: Observation, status: Status) -> ConditionState | None:
    if seen.route_refusal is None:
        return None
    kept = "it has no route"
    if status.route is not None:
        traffic = status.route.traffic
        kept = f"it keeps the host {traffic.place} with {traffic.gateway}"
    return "True", seen.route_refusal.reason, f"{seen.route_refusal.message}; {kept}"


def _host_taken(seen: Observation, status: Status) -> ConditionState | None:
    if not seen.host_taken:
        return None
    asked = seen.spec.traffic.place
    parts = "a path above or below it" if asked.prefix else "a path of it"
    had = f"{asked}, or {parts}, belongs to ModelDeployment {seen.host_taken}, which had it first"
    reached = "no route" if status.route is None else f"the host {status.route.traffic.place}, as before"
    return "True", "HostTaken", f"{had}; this one has {reached}: change one of the two"


def contested(seen: Observation, status: Status) -> ConditionState | None:
    """Stalled: somebody else writes the route again and again."""
    run, weight = status.run, status.weight
    if run is None or weight is None or status.phase not in (Phase.STEPPING, Phase.PROMOTING):
        return None
    if (writer := contested_by(run, seen.now)) is None:
        return None
    often = f"{named(writer.manager)} has written {writer.what} {writer.edits} times in this run, last at"
    stays = f"it is repaired each time, and weight {weight.desired} is not raised until the route was left alone for"
    remedy = "keep this writer from the object"
    when = f"{writer.last_at:%H:%M:%S} UTC"
    return "True", "RouteContested", f"{often} {when}: {stays} {run.rollout.progress_deadline}; {remedy}"


def unproven(seen: Observation, status: Status) -> ConditionState | None:
    """Stalled: a step waits for a weight that the gateway does not use."""
    weight = status.weight
    if weight is None or weight.verified_at is not None or status.phase not in (Phase.STEPPING, Phase.PROMOTING):
        return None
    if seen.host_trouble is not None and seen.host_trouble.by_another:
        return "True", seen.host_trouble.reason, f"{seen.host_trouble.message}; the step waits for that"
    if seen.now < weight.written_at + _UNPROVEN_STALLS_AFTER:
        return None
    return "True", "WeightNotProven", f"{_not_live(seen, weight.desired)}; the step waits for it"


def _not_live(seen: Observation, desired: int) -> str:
    detail = seen.weight.detail if seen.weight else "no ready pod to prove it with"
    return f"weight {desired} was written but is not live: {detail}"
