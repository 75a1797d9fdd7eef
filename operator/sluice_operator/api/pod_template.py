"""What the user adds to the pods of a revision, as one partial pod template, and what may not be in it. Pure.

`server.podTemplate` is such a template; the fields of `server` beside it are the common parts of one by their own
names. What a container may do to its node is refused, unless the administrator allows it to the namespace.
"""

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import Any, TypeAlias

from sluice_operator.api import names
from sluice_operator.api.merge import merged
from sluice_operator.api.observation import Unresolved
from sluice_operator.api.spec import ServerSpec

Template: TypeAlias = Mapping[str, Any]  # {metadata: {labels, annotations}, spec: {...}} as in a Deployment

SETTING = "SLUICE_ALLOWED_HOST_ACCESS"
SERVER = "server"
OURS = (SERVER, "fetch", "prepare")  # the containers of Sluice; a template adds to those that a pod has
_ADDS = {"name", "volumeMounts", "securityContext", "lifecycle"}  # to a container of Sluice
_OWN_VOLUMES = {"model", "tmp", "feedback", "registry", "store"}
_OWN_FOLDERS = [PurePosixPath(folder) for folder in (names.MODEL_DIR, "/etc/sluice", "/tmp")]  # noqa: S108
_OWN_LABELS = ("sluice.dev/", "app.kubernetes.io/")
_HOST_FIELDS = ("hostNetwork", "hostPID", "hostIPC")
_SAFE_CAPABILITIES = {"NET_BIND_SERVICE"}  # as in the Pod Security Standard "restricted"


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


def refusal(allowed: Sequence[str], namespace: str, template: Template) -> Unresolved | None:
    """Why pods with this template are not made; None if they may be.

    `allowed`: patterns of the namespaces whose pods may reach their node.
    """
    try:
        fault = next(_faults(template), None)
        reaches = None if any(fnmatchcase(namespace, each) for each in allowed) else next(_host_access(template), None)
    except (AttributeError, TypeError, KeyError):
        form = "server.podTemplate is not the template of a pod: write it as in a Deployment"
        return Unresolved("PodTemplateInvalid", form)
    if fault is not None:
        return Unresolved("PodTemplateInvalid", fault)
    if reaches is not None:
        remedy = f"leave it out, or let the administrator add '{namespace}' to {SETTING}"
        return Unresolved("HostAccessNotAllowed", f"the pods would have {reaches}: {remedy}")
    return None


def _faults(template: Template) -> Iterator[str]:
    """What no administrator can allow, because Sluice would lose its pods or its measurements."""
    if unknown := set(template) - {"metadata", "spec"}:
        yield f"server.podTemplate has {sorted(unknown)[0]!r}: it has metadata and spec, as in a Deployment"
    for name in template.get("metadata", {}).get("labels", {}):
        if str(name).startswith(_OWN_LABELS):
            yield f"the label {name} is Sluice's own: choose another name"
    for volume in template.get("spec", {}).get("volumes", ()):
        if volume["name"] in _OWN_VOLUMES:
            yield f"the volume {volume['name']} is Sluice's own: choose another name"
    for container in _all_containers(template):
        if container["name"] in OURS:
            yield from _faults_of_ours(container)


def _faults_of_ours(container: Mapping[str, Any]) -> Iterator[str]:
    name = container["name"]
    if more := set(container) - _ADDS - ({"envFrom"} if name == SERVER else set()):
        yield (
            f"container {name}: {sorted(more)[0]} cannot be set in server.podTemplate;"
            " image, resources and env are fields of spec.server"
        )
    for mount in container.get("volumeMounts", ()):
        path = PurePosixPath(mount["mountPath"])
        if any(path == own or own in path.parents or path in own.parents for own in _OWN_FOLDERS):
            yield f"container {name}: {path} is a folder of Sluice: mount the volume elsewhere"


def _host_access(template: Template) -> Iterator[str]:
    """What reaches beyond the pod: the Pod Security Standard "baseline" names the same, and users other than root."""
    spec = template.get("spec", {})
    yield from (field for field in _HOST_FIELDS if spec.get(field))
    for volume in spec.get("volumes", ()):
        if "hostPath" in volume:
            yield f"a hostPath (volume {volume.get('name')})"
    for container in _all_containers(template):
        if any("hostPort" in port for port in container.get("ports", ())):
            yield f"a hostPort in container {container['name']}"
        yield from _privileges(container.get("securityContext") or {}, f"in container {container['name']}")
    yield from _privileges(spec.get("securityContext") or {}, "in its securityContext")


def _privileges(context: Mapping[str, Any], where: str) -> Iterator[str]:
    for field in ("privileged", "allowPrivilegeEscalation"):
        if context.get(field):
            yield f"{field}: true {where}"
    if context.get("runAsUser") == 0 or context.get("runAsNonRoot") is False:
        yield f"the rights of root {where}"
    profiles = [(context.get(kind) or {}).get("type") for kind in ("seccompProfile", "appArmorProfile")]
    if "Unconfined" in profiles or context.get("procMount") == "Unmasked":
        yield f"no confinement {where}"
    if (context.get("windowsOptions") or {}).get("hostProcess"):
        yield f"a process of its host {where}"
    if added := set((context.get("capabilities") or {}).get("add") or ()) - _SAFE_CAPABILITIES:
        yield f"the capability {sorted(added)[0]} {where}"


def _all_containers(template: Template) -> Iterator[Mapping[str, Any]]:
    spec = template.get("spec", {})
    for kind in ("containers", "initContainers", "ephemeralContainers"):
        yield from spec.get(kind, ())
