"""The ConfigMap with the operator's addresses of registry and store, from which containers read them. Pure.

They are read when a container starts. So they can change without a new pod template, and proven pods are not replaced.
"""

from sluice_operator.api import names
from sluice_operator.api.owner import Manifest, Owner


def config(owner: Owner) -> Manifest:
    """The ConfigMap with the addresses of the operator's registry, for revisions that name no other one, and its store.

    Without a store its keys are left out and not deleted: pods of revisions in the last one still ask there.
    """
    is_open = "false" if owner.store_token else "true"
    store = {names.STORE_URL_KEY: owner.store_url, names.STORE_OPEN_KEY: is_open} if owner.store_url else {}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": owner.metadata(names.registry_config(owner.name)),
        "data": {names.TRACKING_URI_KEY: owner.tracking_uri, **store},
    }


def variable(owner: Owner, key: str, *, optional: bool = False) -> Manifest:
    """The variable `key`, with its value in that ConfigMap. No container starts without it unless it is `optional`."""
    reference = {"name": names.registry_config(owner.name), "key": key, **({"optional": True} if optional else {})}
    return {"name": key, "valueFrom": {"configMapKeyRef": reference}}
