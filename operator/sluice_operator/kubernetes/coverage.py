"""Is an object in the cluster as its manifest asks for?"""

from typing import Any


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
