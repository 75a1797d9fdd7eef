"""Which Ingresses of others lead a place's requests elsewhere."""

import re
from collections.abc import Iterable

from sluice_operator.api.owner import Manifest, is_owned
from sluice_operator.api.place import BELOW, WHOLE_HOST, Place
from sluice_operator.kubernetes.port import LiveKube, ReadRefused

_PLAIN = re.compile(r"[^\[\](){}*+?|^$\\]*")  # text that a regular expression begins with


async def other_ingresses(kube: LiveKube, place: Place, uid: str) -> tuple[str, ...]:
    """`namespace/name` of the Ingresses for `place` that the object with this `uid` does not own.

    Empty, too, if the operator may not list them, as in an install for some namespaces.
    """
    others = []
    try:
        async for ingress in kube.each("Ingress", {}):
            if not is_owned(ingress, uid) and _is_for(ingress, place):
                others.append(f"{ingress['metadata']['namespace']}/{ingress['metadata']['name']}")
    except ReadRefused:
        return ()
    return tuple(sorted(others))


def _is_for(ingress: Manifest, place: Place) -> bool:
    """By its name, or by a wildcard in the place of its first label; and by its path."""
    hosts = {place.host, f"*.{place.host.partition('.')[2]}"}
    rules = [rule for rule in ingress.get("spec", {}).get("rules") or () if rule.get("host") in hosts]
    return any(_leads_to(path, place) for rule in rules for path in _paths(rule))


def _paths(rule: Manifest) -> list[str]:
    """Without any, a rule is for all of its host."""
    paths: Iterable[Manifest] = (rule.get("http") or {}).get("paths") or ({},)
    return [path.get("path") or WHOLE_HOST for path in paths]


def _leads_to(path: str, place: Place) -> bool:
    """Of a regular expression only its beginning is known: it may be for all that begins so."""
    text = path.removesuffix(BELOW)
    plain = _PLAIN.match(text)[0]  # type: ignore[index]  # it matches the empty text, too
    if plain == text:
        return place.overlaps(Place(place.host, text.rstrip("/") or WHOLE_HOST))
    return plain.startswith(place.path) or place.path.startswith(plain)
