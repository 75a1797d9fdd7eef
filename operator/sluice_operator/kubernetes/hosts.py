"""Which Ingresses of others lead a host's requests elsewhere."""

from sluice_operator.api.owner import Manifest, is_owned
from sluice_operator.kubernetes.port import Kube, ReadRefused


async def other_ingresses(kube: Kube, host: str, uid: str) -> tuple[str, ...]:
    """`namespace/name` of the Ingresses for `host` that the object with this `uid` does not own.

    Empty, too, if the operator may not list them, as in an install for some namespaces.
    """
    try:
        everything = await kube.find("Ingress", "", {})
    except ReadRefused:
        return ()
    others = [ingress["metadata"] for ingress in everything if not is_owned(ingress, uid) and _is_for(ingress, host)]
    return tuple(sorted(f"{metadata['namespace']}/{metadata['name']}" for metadata in others))


def _is_for(ingress: Manifest, host: str) -> bool:
    """By its name, or by a wildcard in the place of its first label."""
    names = {host, f"*.{host.partition('.')[2]}"}
    return any(rule.get("host") in names for rule in ingress.get("spec", {}).get("rules") or ())
