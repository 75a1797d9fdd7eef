"""The ModelDeployment as the owner of other objects, and what each of those carries for it."""

from dataclasses import dataclass
from typing import Any

from sluice_operator.api import names

Manifest = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Owner:
    """The ModelDeployment that everything belongs to, and what the operator adds to its pods."""

    namespace: str
    name: str
    uid: str
    trusted_types: tuple[str, ...] = ()

    def metadata(self, name: str, **labels: str) -> Manifest:
        """Metadata of an owned object; `labels` are added to those that all of them have."""
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


def is_owned(manifest: Manifest, uid: str) -> bool:
    """Whether the ModelDeployment with this uid controls the object."""
    owners = manifest["metadata"].get("ownerReferences", ())
    return any(reference.get("controller") and reference["uid"] == uid for reference in owners)
