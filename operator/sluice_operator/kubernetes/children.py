"""What the cluster holds of one ModelDeployment, read once."""

from dataclasses import dataclass

from sluice_operator.api import names
from sluice_operator.api.owner import Manifest, is_owned
from sluice_operator.api.status import Status
from sluice_operator.kubernetes.port import Kube

OWNED_KINDS = ("Deployment", "Service", "Ingress")
Reference = tuple[str, str]  # kind, name


@dataclass(frozen=True, slots=True)
class Children:
    """Objects as they were read, each with the resourceVersion that guards a write to it."""

    objects: dict[Reference, Manifest]
    foreign: tuple[str, ...]  # objects with our names that somebody else made
    has_feedback_key: bool


async def read(kube: Kube, namespace: str, name: str, uid: str, status: Status) -> Children:
    """Read everything that the object owns, and everything that bears one of the names it needs."""
    found = [item for kind in OWNED_KINDS for item in await kube.find(kind, namespace, {names.LABEL_OWNER: name})]
    objects = {(item["kind"], item["metadata"]["name"]): item for item in found}
    for kind, needed in (*_fixed_names(name), *_workload_names(name, status)):
        if (kind, needed) not in objects and (other := await kube.get(kind, namespace, needed)) is not None:
            objects[kind, needed] = {**other, "kind": kind}
    foreign = tuple(f"{kind} {bears}" for (kind, bears), item in objects.items() if not is_owned(item, uid))
    has_key = ("Secret", names.feedback_secret(name)) in objects
    return Children(objects, foreign, has_key)


def _fixed_names(name: str) -> tuple[Reference, ...]:
    return (
        ("Service", name),
        ("Service", names.metrics_service(name)),
        ("Ingress", name),
        ("Ingress", names.canary_ingress(name)),
        ("Secret", names.feedback_secret(name)),
    )


def _workload_names(name: str, status: Status) -> list[Reference]:
    revisions = [one for one in (status.stable, status.canary, status.previous) if one]
    return [(kind, names.workload(name, one.revision)) for one in revisions for kind in ("Deployment", "Service")]
