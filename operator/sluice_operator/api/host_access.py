"""What a pod template asks for that reaches beyond its pod. Pure.

It is what the Pod Security Standard "baseline" names, and users that are root:
https://kubernetes.io/docs/concepts/security/pod-security-standards/
"""

from collections.abc import Iterator, Mapping
from typing import Any

_HOST_FIELDS = ("hostNetwork", "hostPID", "hostIPC")
_SAFE_CAPABILITIES = {"NET_BIND_SERVICE"}  # as in "restricted"
_SAFE_SYSCTLS = {
    "kernel.shm_rmid_forced",
    *(f"net.ipv4.ip_{name}" for name in ("local_port_range", "unprivileged_port_start", "local_reserved_ports")),
    *(f"net.ipv4.{name}" for name in ("tcp_syncookies", "ping_group_range", "tcp_fin_timeout")),
    *(f"net.ipv4.tcp_keepalive_{name}" for name in ("time", "intvl", "probes")),
}
_SELINUX_TYPES = ("", "container_t", "container_init_t", "container_kvm_t", "container_engine_t")
_APPARMOR = "container.apparmor.security.beta.kubernetes.io/"
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_HOOKS = ("postStart", "preStop")


def found(template: Mapping[str, Any]) -> Iterator[str]:
    """What of a pod template reaches beyond its pod, in words. Raises TypeError and the like where it is none."""
    spec = template.get("spec", {})
    yield from (field for field in _HOST_FIELDS if spec.get(field))
    for volume in spec.get("volumes", ()):
        if "hostPath" in volume:
            yield f"a hostPath (volume {volume.get('name')})"
    for sysctl in (spec.get("securityContext") or {}).get("sysctls") or ():
        if sysctl["name"] not in _SAFE_SYSCTLS:
            yield f"the sysctl {sysctl['name']}"
    for name, profile in template.get("metadata", {}).get("annotations", {}).items():
        if str(name).startswith(_APPARMOR) and profile == "unconfined":
            yield f"no confinement (annotation {name})"
    for container in containers(template):
        if (host := next(_hosts_of_probes(container), None)) is not None:
            yield f"requests of the node to {host} (a probe or hook of container {container['name']})"
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
    labels = context.get("seLinuxOptions") or {}
    if labels.get("user") or labels.get("role") or labels.get("type", "") not in _SELINUX_TYPES:
        yield f"an SELinux label of its own {where}"
    if (context.get("windowsOptions") or {}).get("hostProcess"):
        yield f"a process of its host {where}"
    if added := set((context.get("capabilities") or {}).get("add") or ()) - _SAFE_CAPABILITIES:
        yield f"the capability {sorted(added)[0]} {where}"


def containers(template: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """All containers of a pod template."""
    spec = template.get("spec", {})
    for kind in ("containers", "initContainers", "ephemeralContainers"):
        yield from spec.get(kind, ())


def _hosts_of_probes(container: Mapping[str, Any]) -> Iterator[str]:
    """Hosts that the kubelet would ask for a container, other than its own pod."""
    hooks = container.get("lifecycle") or {}
    for action in (*map(container.get, _PROBES), *map(hooks.get, _HOOKS)):
        for kind in ("httpGet", "tcpSocket"):
            if host := ((action or {}).get(kind) or {}).get("host"):
                yield str(host)
