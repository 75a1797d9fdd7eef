"""Whether the gateway gets the route that the spec asks for. Pure."""

from sluice_operator.api.observation import Observation


def is_withheld(seen: Observation) -> bool:
    """Whether the route of the spec is not granted. What an operator served that noted no route keeps it."""
    not_allowed = seen.route_refusal is not None and seen.granted_at is None
    return bool(seen.host_taken) or not_allowed
