"""The route of a canary as it is written, for each kind of gateway: what it says, and an edit of somebody else."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING

from sluice_operator.api import names

if TYPE_CHECKING:
    from sluice_operator.api.owner import Manifest
    from tests.unit.sluice_operator.fakes import Reference

INGRESS = {"ingress": {"className": "nginx", "host": "iris.example.com"}}
HTTP_ROUTE = {"httpRoute": {"parentRefs": [{"name": "public"}], "host": "iris.example.com"}}
_CANARY = "nginx.ingress.kubernetes.io/canary"
_PLAIN = -1  # the rule without a header


def of(objects: Mapping[Reference, Manifest]) -> Manifest | None:
    """The object of model `iris` with the canary's weight, if there is one."""
    found = objects.get(("Ingress", "iris-canary")) or objects.get((names.HTTP_ROUTE, "iris"))
    return found if found is not None and weight(found) is not None else None


def weight(manifest: Manifest) -> int | None:
    """What the canary gets by this object; None if it leads to no canary."""
    if manifest["kind"] == "Ingress":
        annotated = manifest["metadata"].get("annotations", {}).get(f"{_CANARY}-weight")
        return None if annotated is None else int(annotated)
    if manifest["kind"] == names.HTTP_ROUTE and len(backends := manifest["spec"]["rules"][_PLAIN]["backendRefs"]) == 2:
        return int(backends[1]["weight"])
    return None


def header(manifest: Manifest) -> str:
    """The name of the probe header that it obeys."""
    if manifest["kind"] == "Ingress":
        return str(manifest["metadata"]["annotations"][f"{_CANARY}-by-header"])
    return str(manifest["spec"]["rules"][0]["matches"][0]["headers"][0]["name"])


def edited(manifest: Manifest, share: int) -> Manifest:
    """The object with another weight."""
    changed = copy.deepcopy(manifest)
    if changed["kind"] == "Ingress":
        changed["metadata"]["annotations"][f"{_CANARY}-weight"] = str(share)
        return changed
    stable, canary = changed["spec"]["rules"][_PLAIN]["backendRefs"]
    stable["weight"], canary["weight"] = 100 - share, share
    return changed
