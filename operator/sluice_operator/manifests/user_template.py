"""The template of a pod: what Sluice makes, and what the user adds to it (`api.pod_template`). Pure."""

from collections.abc import Mapping
from typing import Any

from sluice_operator.api.merge import merged
from sluice_operator.api.owner import Manifest
from sluice_operator.api.pod_template import OURS

_KINDS = ("initContainers", "containers")
_WHATEVER_THE_USER = ("runAsNonRoot", "seccompProfile")  # of a securityContext


def applied(template: Mapping[str, Any], labels: Mapping[str, str], pod: Manifest, *, sidecars: bool) -> Manifest:
    """The `pod` with these labels and with what `template` adds.

    The additions to containers of Sluice are under `containers`, whichever kind these are in this pod. `sidecars`:
    whether it gets containers of the user's own, too. A securityContext of the user's takes the place of the image's
    user and groups: some clusters choose them.
    """
    added = dict(template.get("spec", {}))
    if "securityContext" in added:
        pod = {**pod, "securityContext": {name: pod["securityContext"][name] for name in _WHATEVER_THE_USER}}
    theirs = {kind: added.pop(kind, ()) for kind in _KINDS}
    to_ours = {container["name"]: container for container in theirs["containers"]}
    for kind in _KINDS:
        ours = [merged(container, to_ours.get(container["name"], {})) for container in pod.get(kind, ())]
        own = [container for container in theirs[kind] if container["name"] not in OURS] if sidecars else []
        if ours or own:
            pod = {**pod, kind: [*ours, *own]}
    return {
        "metadata": merged({"labels": dict(labels)}, template.get("metadata", {})),
        "spec": merged(pod, added),
    }
