"""How a container reaches the registry and its store of files. Pure.

Credentials are in Secrets of the object's namespace and only named here.
"""

from typing import Any

from sluice_operator.api import names
from sluice_operator.api.owner import Manifest, Owner
from sluice_operator.api.revision import Revision
from sluice_operator.manifests import addresses

_LOGIN = {
    "MLFLOW_TRACKING_USERNAME": "username",
    "MLFLOW_TRACKING_PASSWORD": "password",
    "MLFLOW_TRACKING_TOKEN": "token",
}
_VOLUME = "registry"


def access(owner: Owner, revision: Revision, env: list[Manifest], mounts: list[Manifest]) -> Manifest:
    """Fields of a container that asks the registry.

    Secrets and keys are optional here: the operator says which one is missing.
    """
    secret = revision.credentials_secret
    fields: dict[str, Any] = {"env": [*env, _address(owner, revision)]}
    if secret:
        fields["env"] += [
            {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key, "optional": True}}}
            for name, key in _LOGIN.items()
        ]
        mount = {"name": _VOLUME, "mountPath": names.REGISTRY_DIR, "readOnly": True}
        fields["volumeMounts"] = [*mounts, mount]
    if revision.artifact_secret:
        fields["envFrom"] = [{"secretRef": {"name": revision.artifact_secret}}]
    return fields


def volumes(revision: Revision) -> list[Manifest]:
    """The authority of the registry's certificate, where its Secret has one."""
    if not revision.credentials_secret:
        return []
    items = [{"key": "ca.crt", "path": "ca.crt"}]
    source = {"secretName": revision.credentials_secret, "items": items, "optional": True}
    return [{"name": _VOLUME, "secret": source}]


def _address(owner: Owner, revision: Revision) -> Manifest:
    if revision.tracking_uri:
        return {"name": names.TRACKING_URI_KEY, "value": revision.tracking_uri}
    return addresses.variable(owner, names.TRACKING_URI_KEY)
