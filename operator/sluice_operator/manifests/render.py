"""All objects that a ModelDeployment should own, from its spec and status. Pure.

Nothing else is looked at. So the next reconcile repairs whatever a crash between two writes left undone, and every edit
from outside, without any special code.
"""

from collections.abc import Iterator

from sluice_operator.api import names
from sluice_operator.api.owner import Manifest, Owner
from sluice_operator.api.spec import Spec
from sluice_operator.api.status import Status
from sluice_operator.manifests import addresses, builders
from sluice_operator.rollout import preparation
from sluice_operator.rollout.roles import serves, sizes
from sluice_operator.routing.canary_share import CanaryShare
from sluice_operator.routing.router import router_for


def render(owner: Owner, spec: Spec, status: Status) -> tuple[Manifest, ...]:
    """All manifests that should exist, Deployments before the routes that lead to their pods."""
    if status.stable is None and status.canary is None:
        return ()
    return (*_workloads(owner, spec, status), *routes(owner, status))


def _workloads(owner: Owner, spec: Spec, status: Status) -> Iterator[Manifest]:
    yield addresses.config(owner)
    for revision, run in preparation.jobs(status):
        yield builders.prepare_job(owner, revision, run)
    for revision, replicas in sizes(spec, status):
        if revision.is_prepared:
            yield builders.deployment(owner, revision, replicas)
            if replicas >= names.PODS_OF_A_BUDGET and spec.server.pod_disruption_budget:
                yield builders.disruption_budget(owner, revision.revision)
        yield builders.revision_service(owner, revision.revision)
    yield builders.metrics_service(owner)
    serving = serves(status)
    stable = status.stable.revision if status.stable else None
    yield builders.role_service(owner, serving.revision if serving else None, stable)


def canary_service(owner: Owner, status: Status) -> Iterator[Manifest]:
    """The Service that the canary's share of the requests is led to, while there is one."""
    if (given := share(status)) is not None:
        yield builders.revision_service(owner, given.canary)


def routes(owner: Owner, status: Status) -> Iterator[Manifest]:
    """Only the route that was granted: what the spec asks for may be somebody else's host."""
    if status.route is None:
        return
    yield from router_for(status.route.traffic).routes(owner, share(status))


def share(status: Status) -> CanaryShare | None:
    """What the canary gets; None while there is no canary that could get requests."""
    if status.canary is None or status.weight is None:
        return None
    return CanaryShare(status.canary.revision, status.weight)
