"""The ModelDeployment as the owner of other objects, and the metadata that each of those gets from it."""

from dataclasses import dataclass, field
from typing import Any

from sluice_operator.api import names

Manifest = dict[str, Any]
Key = tuple[str, str]  # namespace and name of a ModelDeployment
Reference = tuple[str, str]  # kind and name of an object


@dataclass(frozen=True, slots=True)
class Owner:
    """The ModelDeployment that an object belongs to."""

    namespace: str
    name: str
    uid: str
    trusted_types: tuple[str, ...] = ()  # the operator's setting of that name, for its pods
    tracking_uri: str = ""  # likewise
    store_url: str = ""  # likewise; empty: there is no store
    store_token: str = field(default="", repr=False)  # that its pods show to the store; empty: it asks for none

    def metadata(self, name: str, **labels: str) -> Manifest:
        """The metadata of an owned object. `labels` are added to those that every owned object has."""
        reference = {
            "apiVersion": names.API_VERSION,
            "kind": names.KIND,
            "name": self.name,
            "uid": self.uid,
            "controller": True,
            "blockOwnerDeletion": True,
        }
        return {
            "name": name,
            "namespace": self.namespace,
            "labels": {**names.labels(self.name), **labels},
            "ownerReferences": [reference],
        }


def is_orphan(manifest: Manifest, name: str) -> bool:
    """Whether the object says that it is the ModelDeployment's of this name, and has no owner.

    `kubectl delete --cascade=orphan` leaves such objects, and so does somebody who removes an owner reference.
    """
    metadata = manifest["metadata"]
    labels = metadata.get("labels") or {}
    if any(reference.get("controller") for reference in metadata.get("ownerReferences") or ()):
        return False
    return labels.get(names.LABEL_OWNER) == name and labels.get(names.LABEL_MANAGED_BY) == names.MANAGED_BY


def is_owned(manifest: Manifest, uid: str) -> bool:
    """Whether the ModelDeployment with this `uid` is the controlling owner of the object."""
    owners = manifest["metadata"].get("ownerReferences", ())
    return any(reference.get("controller") and reference["uid"] == uid for reference in owners)


def is_or_becomes_owned(manifest: Manifest, owner: Owner) -> bool:
    """Whether the object is one of `owner`, or one that it adopts: left behind by an object of the same name."""
    return is_owned(manifest, owner.uid) or is_orphan(manifest, owner.name)
