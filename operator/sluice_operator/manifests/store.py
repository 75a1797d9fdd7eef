"""How a container reaches the store of prepared models. Pure.

Its address is in the ConfigMap with that of the registry, and its token in a Secret, which is not there where the store
asks for none. Neither is in a pod template: both can change, and proven pods are not replaced.
"""

from typing import Any

from sluice_operator.api import names
from sluice_operator.api.owner import Manifest, Owner
from sluice_operator.manifests import addresses

_VOLUME = "store"


def access(owner: Owner, container: Manifest) -> Manifest:
    """`container` with what it asks the store with."""
    mount = {"name": _VOLUME, "mountPath": names.STORE_DIR, "readOnly": True}
    env = [*container["env"], addresses.variable(owner, names.STORE_URL_KEY)]
    return {**container, "env": env, "volumeMounts": [*container["volumeMounts"], mount]}


def openness(owner: Owner) -> Manifest:
    """The variable that says whether a pod may give its model to others without a token. Without it none does."""
    return addresses.variable(owner, names.STORE_OPEN_KEY, optional=True)


def volume(owner: Owner) -> Manifest:
    """The token."""
    return {"name": _VOLUME, "secret": {"secretName": names.store_secret(owner.name), "optional": True}}


def is_asked_by(workload: Manifest) -> bool:
    """Whether the pods of a Deployment or Job ask the store."""
    template: dict[str, Any] = workload["spec"].get("template", {})
    return any(each["name"] == _VOLUME for each in template.get("spec", {}).get("volumes", ()))
