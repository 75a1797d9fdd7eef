"""The objects in the cluster that belong to one ModelDeployment, or have a name that it needs."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sluice_operator.api import names
from sluice_operator.api.owner import Manifest, Owner, Reference, is_or_becomes_owned, is_orphan, is_owned
from sluice_operator.api.status import Status
from sluice_operator.kubernetes.port import ReadRefused, Reads

OWNED_KINDS = ("Deployment", "Service", "Ingress", names.HTTP_ROUTE)
JOB = "Job"  # owned too, where the operator has a store
BUDGET = "PodDisruptionBudget"  # owned too, for revisions with several pods


@dataclass(frozen=True, slots=True)
class Budgets:
    """Where PodDisruptionBudgets are read, and whether the object wants any.

    No decision depends on them. So they may come from a cache, in the looks too in which all else is read anew.
    """

    reads: Reads
    wanted: bool = True


@dataclass(frozen=True, slots=True)
class Children:
    """Whole manifests as they were read, each with the resourceVersion that makes a write to it conditional.

    `apply` compares them with what was rendered. They are Deployments, Services, Ingresses,
    HTTPRoutes, Jobs, PodDisruptionBudgets and perhaps the Secret; pods are not among them, those are summed up in
    `Workload`.
    """

    objects: dict[Reference, Manifest]
    foreign: tuple[str, ...]  # "kind name" of those that have a name of ours and another owner
    has_feedback_key: bool  # the Secret with the key that signs prediction ids exists, as far as is known
    has_store_token: bool = True  # likewise the one for the store, where it asks for a token
    unreadable: str = ""  # why that, or which Jobs or budgets there are, is not known
    knows_budgets: bool = True

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
    kube: Reads, owner: Owner, status: Status, routes: Iterable[Reference], budgets: Budgets | None = None
) -> Children:
    """Read everything that the ModelDeployment owns, and everything that has one of the names that it needs.

    `routes`: the objects that its router may write. `budgets`: without it, they are read like all else. Jobs are read
    where there is a store: only then there are any.
    """
    namespace, name, labels = owner.namespace, owner.name, {names.LABEL_OWNER: owner.name}
    labelled = [manifest for kind in OWNED_KINDS for manifest in await _find(kube, kind, namespace, labels)]
    jobs, no_jobs = await _jobs(kube, owner, status)
    limits, no_limits = await _budgets(budgets or Budgets(kube), owner, status, labelled)
    objects = {(manifest["kind"], manifest["metadata"]["name"]): manifest for manifest in (*labelled, *jobs, *limits)}
    secrets, no_secrets = await _secrets(kube, owner)
    objects |= {("Secret", secret): found for secret, found in secrets.items() if found is not None}
    missing = {secret for secret, found in secrets.items() if found is None}
    for kind, needed in (*_fixed_names(name), *routes, *_workload_names(name, status)):
        if (kind, needed) not in objects and (unlabelled := await kube.get(kind, namespace, needed)) is not None:
            objects[kind, needed] = {**unlabelled, "kind": kind}
    foreign = tuple(
        f"{kind} {taken}"
        for (kind, taken), manifest in objects.items()
        if not is_owned(manifest, owner.uid) and not is_orphan(manifest, name)
    )
    has_key, has_token = (secret(name) not in missing for secret in (names.feedback_secret, names.store_secret))
    return Children(objects, foreign, has_key, has_token, no_secrets or no_jobs or no_limits, not no_limits)


async def _find(kube: Reads, kind: str, namespace: str, labels: Mapping[str, str]) -> list[Manifest]:
    """Where HTTPRoutes are not known, or not to be read, there are none: to write one is refused with a reason."""
    try:
        return await kube.find(kind, namespace, labels)
    except ReadRefused:
        if kind != names.HTTP_ROUTE:
            raise
        return []


async def _jobs(kube: Reads, owner: Owner, status: Status) -> tuple[list[Manifest], str]:
    """Those of the object, where there is a store, and others with a name that is needed. And why they are not known.

    Without the right to read them, only a model that has yet to be prepared waits.
    """
    if not owner.store_url:
        return [], ""
    try:
        jobs = await kube.find(JOB, owner.namespace, {names.LABEL_OWNER: owner.name})
        for needed in _job_names(owner, status) - {job["metadata"]["name"] for job in jobs}:
            unlabelled = await kube.get(JOB, owner.namespace, needed)
            jobs = [*jobs, {**unlabelled, "kind": JOB}] if unlabelled is not None else jobs
    except ReadRefused as refused:  # a run must be judged all the same
        return [], f"Jobs: {refused}"
    return jobs, ""


async def _budgets(
    budgets: Budgets, owner: Owner, status: Status, labelled: Iterable[Manifest]
) -> tuple[list[Manifest], str]:
    """Those of the object, and others with a name that is needed. And why they are not known."""
    several = {manifest["metadata"]["name"] for manifest in labelled if _has_several_pods(manifest)}
    roles = {name for kind, name in _workload_names(owner.name, status) if kind == "Deployment"}
    needed = several & roles if budgets.wanted else set[str]()
    try:
        found = await budgets.reads.find(BUDGET, owner.namespace, {names.LABEL_OWNER: owner.name})
        for name in needed - {budget["metadata"]["name"] for budget in found}:
            unlabelled = await budgets.reads.get(BUDGET, owner.namespace, name)
            found = [*found, {**unlabelled, "kind": BUDGET}] if unlabelled is not None else found
    except ReadRefused as refused:  # without this right, pods are served and judged all the same
        return [], f"PodDisruptionBudgets: {refused}"
    return found, ""


def _has_several_pods(manifest: Manifest) -> bool:
    return manifest["kind"] == "Deployment" and int(manifest["spec"].get("replicas", 1)) >= names.PODS_OF_A_BUDGET


async def _secrets(kube: Reads, owner: Owner) -> tuple[dict[str, Manifest | None], str]:
    """Those that are made once, by name; None for one that is not there. And why others cannot be read."""
    found, unreadable = dict[str, Manifest | None](), ""
    for name in (names.feedback_secret(owner.name), *([names.store_secret(owner.name)] if owner.store_token else [])):
        try:
            secret = await kube.get("Secret", owner.namespace, name)
            found[name] = secret and {**secret, "kind": "Secret"}
        except ReadRefused as refused:  # a run must be judged all the same
            unreadable = f"Secret {name}: {refused}"
    return found, unreadable


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


def _job_names(owner: Owner, status: Status) -> set[str]:
    """Of the Jobs that prepare models: the canary's for the first time, and those that the store has lost."""
    roles = [role for role in (status.stable, status.canary, status.previous) if role is not None]
    return {
        names.prepare_job(owner.name, role.revision)
        for role in roles
        if role.lost or (role is status.canary and not role.is_prepared)
    }
