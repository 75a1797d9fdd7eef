"""What the controllers of gateways say about an HTTPRoute, in its status: whether they take it at all. Pure.

None of it proves a weight, and all of it is written by others: so it is only told, and the probes decide.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from sluice_operator.api.foreign_text import in_one_line
from sluice_operator.api.observation import Refusal
from sluice_operator.api.owner import Manifest
from sluice_operator.api.traffic import HttpRoute, ParentRef

_ASKED_OF_A_ROUTE = ("Accepted", "ResolvedRefs")  # conditions that must be True
_PATIENCE = timedelta(seconds=15)  # for the first word of a controller
_LONGEST = 300  # characters of a message


def refusal(live: Manifest | None, asked: HttpRoute, now: datetime) -> Refusal | None:
    """Why a Gateway does not take the route as it is now; None while nothing is known against it."""
    if live is None:
        return None
    return next((found for parent in asked.parent_refs if (found := _refused_by(parent, live, now))), None)


def _refused_by(parent: ParentRef, live: Manifest, now: datetime) -> Refusal | None:
    entries = [entry for entry in _entries(live) if _is_about(entry, parent, live["metadata"]["namespace"])]
    if not entries:
        created = datetime.fromisoformat(live["metadata"]["creationTimestamp"])
        return _unanswered(parent, live) if now > created + _PATIENCE else None
    for condition in (condition for entry in entries for condition in _current(entry, live)):
        if condition.get("type") in _ASKED_OF_A_ROUTE and condition.get("status") == "False":
            why = in_one_line(f"{condition.get('reason', '')}: {condition.get('message', '')}", _LONGEST)
            what = f"Gateway {parent} does not take HTTPRoute {live['metadata']['name']} ({condition['type']} is False)"
            return Refusal("HTTPRouteNotAccepted", f"{what}: {why}")
    return None


def _unanswered(parent: ParentRef, live: Manifest) -> Refusal:
    what = f"no controller has looked at HTTPRoute {live['metadata']['name']} for Gateway {parent}"
    remedy = "is there a Gateway of this name, with this listener, and a controller for its class?"
    return Refusal("HTTPRouteNotAccepted", f"{what}: {remedy}")


def _entries(live: Manifest) -> Iterator[dict[str, Any]]:
    for entry in (live.get("status") or {}).get("parents") or ():
        if isinstance(entry, dict) and isinstance(entry.get("parentRef"), dict):
            yield entry


def _is_about(entry: dict[str, Any], parent: ParentRef, namespace: str) -> bool:
    reference = entry["parentRef"]
    here, asked = reference.get("namespace") or namespace, parent.namespace or namespace
    same_listener = not parent.section_name or reference.get("sectionName") == parent.section_name
    return (reference.get("name"), here) == (parent.name, asked) and same_listener


def _current(entry: dict[str, Any], live: Manifest) -> Iterator[dict[str, Any]]:
    """The conditions that are about the route as it is, and not as it was."""
    generation = live["metadata"].get("generation")
    for condition in entry.get("conditions") or ():
        if isinstance(condition, dict) and condition.get("observedGeneration") in (None, generation):
            yield condition
