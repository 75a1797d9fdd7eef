"""What the user adds to the pods of a revision, as one partial pod template, and what may not be in it. Pure.

`server.podTemplate` is such a template; the fields of `server` beside it are the common parts of one by their own
names. What a container may do to its node is refused, unless the administrator allows it to the namespace.
"""

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import Any, TypeAlias

from sluice_operator.api import host_access, names
from sluice_operator.api.foreign_text import in_one_line
from sluice_operator.api.merge import merged
from sluice_operator.api.observation import Unresolved
from sluice_operator.api.spec import ServerSpec

Template: TypeAlias = Mapping[str, Any]  # {metadata: {labels, annotations}, spec: {...}} as in a Deployment

SETTING = "SLUICE_ALLOWED_HOST_ACCESS"
SERVER = "server"
OURS = (SERVER, "fetch", "prepare")  # the containers of Sluice; a template adds to those that a pod has
LEFT_OUT = "sluice.dev/left-out"  # in a template: it and fields beside it were not read, and this says why
_ADDS = {"name", "volumeMounts", "securityContext", "lifecycle"}  # to a container of Sluice
_OWN_VOLUMES = {"model", "tmp", "feedback", "registry", "store"}
_OWN_FOLDERS = [PurePosixPath(folder) for folder in (names.MODEL_DIR, "/etc/sluice", "/tmp")]  # noqa: S108
_OWN_LABELS = ("sluice.dev/", "app.kubernetes.io/")


def of(server: ServerSpec) -> dict[str, Any]:
    """The template that `server` asks for; empty if it asks for nothing. `podTemplate` wins over the other fields."""
    spec = {
        "imagePullSecrets": list(server.image_pull_secrets),
        "serviceAccountName": server.service_account_name,
        "nodeSelector": server.node_selector,
        "tolerations": list(server.tolerations),
        "affinity": server.affinity,
        "topologySpreadConstraints": list(server.topology_spread_constraints),
        "volumes": list(server.volumes),
        "containers": _containers(server),
    }
    metadata = {"labels": server.pod_labels, "annotations": server.pod_annotations}
    template = {"metadata": _filled(metadata), "spec": _filled(spec)}
    if server.security_context is not None:
        template["spec"]["securityContext"] = server.security_context
    return merged(_filled(template), server.pod_template)


def _containers(server: ServerSpec) -> list[dict[str, Any]]:
    """What is added to the containers of Sluice: variables where the model is served, files where it is read."""
    mounts = {"volumeMounts": list(server.volume_mounts)}
    added = {SERVER: {"envFrom": list(server.env_from), **mounts}, "fetch": mounts, "prepare": mounts}
    return [{"name": name, **filled} for name, parts in added.items() if (filled := _filled(parts))]


def _filled(parts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: part for name, part in parts.items() if part}


def refusal(allowed: Sequence[str], namespace: str, server: ServerSpec) -> Unresolved | None:
    """Why pods with the template of `server` are not made; None if they may be.

    `allowed`: patterns of the namespaces whose pods may reach their node.
    """
    try:
        template = of(server)
        fault = next(_faults(template), None)
        reaches = next(host_access.found(template), None)
    except (AttributeError, TypeError, KeyError):
        form = "server.podTemplate, or volumes and volumeMounts beside it, are not those of a pod"
        return Unresolved("PodTemplateInvalid", f"{form}: write them as in a Deployment")
    if fault is not None:
        return Unresolved("PodTemplateInvalid", fault)
    if reaches is not None and not any(fnmatchcase(namespace, each) for each in allowed):
        remedy = f"leave it out, or let the administrator add '{namespace}' to {SETTING}"
        return Unresolved("HostAccessNotAllowed", f"the pods would have {reaches}: {remedy}")
    return None


def _faults(template: Template) -> Iterator[str]:
    """What no administrator can allow, because Sluice would lose its pods or its measurements."""
    if LEFT_OUT in template:
        yield f"server.podTemplate and the fields beside it {in_one_line(str(template[LEFT_OUT]))}"
    if unknown := set(template) - {"metadata", "spec"}:
        yield f"server.podTemplate has {sorted(unknown)[0]!r}: it has metadata and spec, as in a Deployment"
    for name in template.get("metadata", {}).get("labels", {}):
        if str(name).startswith(_OWN_LABELS):
            yield f"the label {name} is Sluice's own: choose another name"
    for volume in template.get("spec", {}).get("volumes", ()):
        if volume["name"] in _OWN_VOLUMES:
            yield f"the volume {volume['name']} is Sluice's own: choose another name"
    for container in host_access.containers(template):
        if container["name"] in OURS:
            yield from _faults_of_ours(container)


def _faults_of_ours(container: Mapping[str, Any]) -> Iterator[str]:
    name = container["name"]
    if more := set(container) - _ADDS - ({"envFrom"} if name == SERVER else set()):
        yield (
            f"container {name}: {sorted(more)[0]} cannot be set in server.podTemplate;"
            " image, resources and env are fields of spec.server"
        )
    if removed := next((field for field, part in container.items() if _has_null(part)), None):
        yield f"container {name}: null in {removed} would take away what Sluice sets there: leave it out"
    for mount in container.get("volumeMounts", ()):
        path = PurePosixPath(posixpath.normpath(f"/{mount['mountPath'].lstrip('/')}"))
        if any(path == own or own in path.parents or path in own.parents for own in _OWN_FOLDERS):
            yield f"container {name}: {path} is a folder of Sluice: mount the volume elsewhere"


def _has_null(part: Any) -> bool:
    """Whether None is in a part at any depth: where it is merged, it removes a field."""
    if isinstance(part, Mapping):
        return any(map(_has_null, part.values()))
    return any(map(_has_null, part)) if isinstance(part, list) else part is None
