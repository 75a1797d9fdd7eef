"""Is an object in the cluster as its manifest asks for?"""

from collections.abc import Mapping
from typing import Any

from sluice_operator.api import names
from sluice_operator.api.owner import Manifest
from sluice_operator.kubernetes.field_managers import editor_of

# Lists of `spec` that have one owner, and whose items would mean something else with one field more.
_WHOLE: Mapping[str, tuple[str, ...]] = {names.HTTP_ROUTE: ("parentRefs", "hostnames", "rules")}


def is_as_asked(live: Manifest, wanted: Manifest) -> bool:
    """Whether `live` has everything that `wanted` has, and nobody else has added to a list that must stay as it is.

    What the API server adds by itself stays: it has no other writer, and would come again after each write.
    """
    return covers(live, wanted) and not any(
        live["spec"][field] != wanted["spec"][field] and editor_of(live, "spec", field)
        for field in _WHOLE.get(wanted["kind"], ())
    )


def covers(live: Any, wanted: Any) -> bool:
    """Whether `live` has everything that `wanted` has. Fields that the API server or others added do not matter.

    Lists must have the same length.
    """
    match wanted:
        case dict():
            return isinstance(live, dict) and all(
                name in live and _covers_field(name, live[name], value) for name, value in wanted.items()
            )
        case list():
            return isinstance(live, list) and len(live) == len(wanted) and all(map(covers, live, wanted))
        case _:
            return bool(live == wanted)


def _covers_field(name: str, live: Any, wanted: Any) -> bool:
    """As `covers`, but a selector must be equal: with one more label it selects other pods, or none.

    Others may be owners too, because a write of ours cannot remove them.
    """
    if name == "ownerReferences":
        return all(any(covers(each, reference) for each in live) for reference in wanted)
    return bool(live == wanted) if name == "selector" else covers(live, wanted)
