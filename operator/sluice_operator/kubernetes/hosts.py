"""Which hosts and paths an Ingress or an HTTPRoute is for, and which of others lead a place's requests elsewhere."""

import re
from collections.abc import AsyncIterator, Iterable, Iterator
from itertools import product

from sluice_operator.api import names
from sluice_operator.api.owner import Manifest, is_owned
from sluice_operator.api.place import BELOW, WHOLE_HOST, Place
from sluice_operator.kubernetes.port import LiveKube, ReadRefused

_PLAIN = re.compile(r"[^\[\](){}*+?|^$\\]*")  # text that a regular expression begins with


async def other_routes(kube: LiveKube, place: Place, uid: str) -> tuple[str, ...]:
    """Such as `Ingress namespace/name`: those for `place` that the object with this `uid` does not own.

    Those that the operator may not list are left out, as in an install for some namespaces.
    """
    others = [other for kind in ("Ingress", names.HTTP_ROUTE) async for other in _others(kube, kind, place, uid)]
    return tuple(sorted(others))


async def _others(kube: LiveKube, kind: str, place: Place, uid: str) -> AsyncIterator[str]:
    try:
        async for route in kube.each(kind, {}):
            if not is_owned(route, uid) and _is_for(route, place):
                yield f"{kind} {route['metadata']['namespace']}/{route['metadata']['name']}"
    except ReadRefused:
        return


def addresses(route: Manifest) -> Iterator[tuple[str, str]]:
    """The hosts with their paths, as they stand in an Ingress or an HTTPRoute. Without a path it is all of the host."""
    spec = route.get("spec") or {}
    rules: Iterable[Manifest] = spec.get("rules") or ()
    if route["kind"] == names.HTTP_ROUTE:
        matches: list[Manifest] = [match for rule in rules for match in (rule.get("matches") or [{}])]
        yield from product(spec.get("hostnames") or (), [_path(match.get("path") or {}, "value") for match in matches])
        return
    for rule in rules:
        paths: Iterable[Manifest] = (rule.get("http") or {}).get("paths") or ({},)
        yield from product([rule.get("host") or ""], [_path(path, "path") for path in paths])


def _path(match: Manifest, field: str) -> str:
    return match.get(field) or WHOLE_HOST


def _is_for(route: Manifest, place: Place) -> bool:
    """By its name, or by a wildcard in the place of its first label; and by its path."""
    hosts = {place.host, f"*.{place.host.partition('.')[2]}"}
    return any(host in hosts and _leads_to(path, place) for host, path in addresses(route))


def _leads_to(path: str, place: Place) -> bool:
    """Of a regular expression only its beginning is known: it may be for all that begins so."""
    text = path.removesuffix(BELOW)
    plain = _PLAIN.match(text)[0]  # type: ignore[index]  # it matches the empty text, too
    if plain == text:
        return place.overlaps(Place(place.host, text.rstrip("/") or WHOLE_HOST))
    return plain.startswith(place.path) or place.path.startswith(plain)
