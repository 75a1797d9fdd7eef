"""What the controllers of gateways say about an HTTPRoute, in its status: whether they take it at all. Pure.

None of it proves a weight, and all of it is written by others: so it is only told, and the probes decide.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from sluice_operator.api.foreign_text import in_one_line
from sluice_operator.api.observation import Refusal
from sluice_operator.api.owner import Manifest
from sluice_operator.api.traffic import HttpRoute, ParentRef

PATIENCE = timedelta(seconds=15)  # after a change: a controller may say at first that something is missing
_WRONG = {"Accepted": "False", "ResolvedRefs": "False", "PartiallyInvalid": "True"}  # statuses of conditions
_REMEDIES = {  # by the reasons of the Gateway API
    "NotAllowedByListeners": "; let allowedRoutes of a listener admit namespace {namespace}",
    "NoMatchingListenerHostname": "; give a listener this host, or the route another one",
    "NoMatchingParent": "; name a listener that is there",
}
_LONGEST = 300  # characters of a message


def refusal(live: Manifest, asked: HttpRoute, since: datetime, now: datetime) -> Refusal | None:
    """Why a Gateway does not take the route as it is now; None while nothing is known against it.

    `since`: when the route was first seen as it is.
    """
    return next((found for parent in asked.parent_refs if (found := _refused_by(parent, live, now - since))), None)


def _refused_by(parent: ParentRef, live: Manifest, waited: timedelta) -> Refusal | None:
    if waited <= PATIENCE:
        return None
    entries = [entry for entry in _entries(live) if _is_about(entry, parent, live["metadata"]["namespace"])]
    if not entries:
        return _unanswered(parent, live)
    said = [[*_current(entry, live)] for entry in entries]
    problems = [problem for conditions in said if (problem := _problem(conditions)) is not None]
    if not problems or any(_is_accepted(conditions) for conditions in said):  # one controller is enough
        return None
    return _as_told(parent, live, problems[0])


def _as_told(parent: ParentRef, live: Manifest, problem: Mapping[str, Any]) -> Refusal:
    reason, metadata = str(problem.get("reason", "")), live["metadata"]
    why = in_one_line(": ".join(filter(None, (reason, str(problem.get("message") or "")))), _LONGEST)
    told = f"({problem['type']} is {problem['status']}): {why}"
    remedy = _REMEDIES.get(reason, "").format(namespace=metadata["namespace"])
    return Refusal(
        "HTTPRouteNotAccepted", f"Gateway {parent} does not take HTTPRoute {metadata['name']} {told}{remedy}"
    )


def _problem(conditions: list[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    return next((each for each in conditions if _WRONG.get(str(each.get("type"))) == each.get("status")), None)


def _is_accepted(conditions: list[Mapping[str, Any]]) -> bool:
    accepted = any((each.get("type"), each.get("status")) == ("Accepted", "True") for each in conditions)
    return accepted and _problem(conditions) is None


def _unanswered(parent: ParentRef, live: Manifest) -> Refusal:
    what = f"no controller has looked at HTTPRoute {live['metadata']['name']} for Gateway {parent}"
    remedy = "is there a Gateway of this name, with this listener, and a controller for its class?"
    return Refusal("HTTPRouteNotAccepted", f"{what}: {remedy}")


def _entries(live: Manifest) -> Iterator[Mapping[str, Any]]:
    for entry in (live.get("status") or {}).get("parents") or ():
        if isinstance(entry, dict) and isinstance(entry.get("parentRef"), dict):
            yield entry


def _is_about(entry: Mapping[str, Any], parent: ParentRef, namespace: str) -> bool:
    reference = entry["parentRef"]
    if reference.get("kind", "Gateway") != "Gateway":
        return False
    here, asked = reference.get("namespace") or namespace, parent.namespace or namespace
    same_listener = not parent.section_name or reference.get("sectionName") == parent.section_name
    return (reference.get("name"), here) == (parent.name, asked) and same_listener


def _current(entry: Mapping[str, Any], live: Manifest) -> Iterator[Mapping[str, Any]]:
    """The conditions that are about the route as it is, and not as it was."""
    generation = live["metadata"].get("generation")
    for condition in entry.get("conditions") or ():
        if isinstance(condition, dict) and condition.get("observedGeneration") in (None, generation):
            yield condition
