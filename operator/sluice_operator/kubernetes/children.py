"""The objects in the cluster that belong to one ModelDeployment, or have a name that it needs."""

from collections.abc import Iterable
from dataclasses import dataclass

from sluice_operator.api import names
from sluice_operator.api.owner import Manifest, Owner, Reference, is_or_becomes_owned, is_orphan, is_owned
from sluice_operator.api.status import Status
from sluice_operator.kubernetes.port import ReadRefused, Reads

OWNED_KINDS = ("Deployment", "Service", "Ingress")


@dataclass(frozen=True, slots=True)
class Children:
    """Whole manifests as they were read, each with the resourceVersion that makes a write to it conditional.

    `apply` compares them with what was rendered. They are Deployments, Services, Ingresses and perhaps the Secret; pods
    are not among them, those are summed up in `Workload`.
    """

    objects: dict[Reference, Manifest]
    foreign: tuple[str, ...]  # "kind name" of those that have a name of ours and another owner
    has_feedback_key: bool  # the Secret with the key that signs prediction ids exists, as far as is known
    unreadable: str = ""  # why that is not known

    def selected(self, owner: Owner) -> str:
        """The revision that Service NAME selects; empty if the Service is not there, or somebody else's."""
        service = self._role_service(owner)
        return str(service["spec"].get("selector", {}).get(names.LABEL_REVISION, "")) if service else ""

    def stable(self, owner: Owner) -> str:
        """The revision that Service NAME calls stable; empty if it does not say, as that of an older operator."""
        service = self._role_service(owner)
        annotations = service["metadata"].get("annotations") or {} if service else {}
        return str(annotations.get(names.ANNOTATION_STABLE, ""))

    def _role_service(self, owner: Owner) -> Manifest | None:
        service = self.objects.get(("Service", owner.name))
        return service if service is not None and is_or_becomes_owned(service, owner) else None


async def read(
    kube: Reads, namespace: str, name: str, uid: str, status: Status, routes: Iterable[Reference]
) -> Children:
    """Read everything that the ModelDeployment owns, and everything that has one of the names that it needs.

    `routes`: the objects that its router may write.
    """
    labelled = [
        manifest for kind in OWNED_KINDS for manifest in await kube.find(kind, namespace, {names.LABEL_OWNER: name})
    ]
    objects = {(manifest["kind"], manifest["metadata"]["name"]): manifest for manifest in labelled}
    has_key, unreadable = True, ""
    try:
        if (secret := await kube.get("Secret", namespace, names.feedback_secret(name))) is None:
            has_key = False
        else:
            objects["Secret", names.feedback_secret(name)] = {**secret, "kind": "Secret"}
    except ReadRefused as refused:  # a run must be judged all the same
        unreadable = f"Secret {names.feedback_secret(name)}: {refused}"
    for kind, needed in (*_fixed_names(name), *routes, *_workload_names(name, status)):
        if (kind, needed) not in objects and (unlabelled := await kube.get(kind, namespace, needed)) is not None:
            objects[kind, needed] = {**unlabelled, "kind": kind}
    foreign = tuple(
        f"{kind} {taken}"
        for (kind, taken), manifest in objects.items()
        if not is_owned(manifest, uid) and not is_orphan(manifest, name)
    )
    return Children(objects, foreign, has_key, unreadable)


def _fixed_names(name: str) -> tuple[Reference, ...]:
    return (
        ("Service", name),
        ("Service", names.metrics_service(name)),
        ("ConfigMap", names.registry_config(name)),
    )


def _workload_names(name: str, status: Status) -> list[Reference]:
    revisions = [revision for revision in (status.stable, status.canary, status.previous) if revision]
    return [
        (kind, names.workload(name, revision.revision)) for revision in revisions for kind in ("Deployment", "Service")
    ]
