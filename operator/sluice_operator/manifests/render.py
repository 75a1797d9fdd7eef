"""All objects that a ModelDeployment should own, from its spec and status. Pure.

Nothing else is looked at. So the next reconcile repairs whatever a crash between two writes left undone, and every edit
from outside, without any special code.
"""

from collections.abc import Iterator

from sluice_operator.api.owner import Manifest, Owner
from sluice_operator.api.spec import Spec, Traffic
from sluice_operator.api.status import Phase, Status
from sluice_operator.manifests import builders
from sluice_operator.rollout.roles import serves, sizes
from sluice_operator.routing.router import router_for


def render(owner: Owner, spec: Spec, status: Status) -> tuple[Manifest, ...]:
    """All manifests that should exist, Deployments before the routes that lead to their pods."""
    if status.stable is None and status.canary is None:
        return ()
    return (*_workloads(owner, spec, status), *_routes(owner, _traffic(spec, status), status))


def _workloads(owner: Owner, spec: Spec, status: Status) -> Iterator[Manifest]:
    for revision, replicas in sizes(spec, status):
        yield builders.deployment(owner, revision, replicas)
        yield builders.revision_service(owner, revision.revision)
    yield builders.metrics_service(owner)
    serving = serves(status)
    yield builders.role_service(owner, serving.revision if serving else None)


def _routes(owner: Owner, traffic: Traffic, status: Status) -> Iterator[Manifest]:
    router = router_for(traffic)
    yield from router.routes(owner, traffic)
    if status.canary is not None and status.weight is not None:
        yield from router.split(owner, traffic, status.canary.revision, status.weight)


def _traffic(spec: Spec, status: Status) -> Traffic:
    """The traffic section that holds now. A change of it in the spec waits until the run has ended."""
    if status.run is None or status.phase in (Phase.PENDING, Phase.STABLE):
        return spec.traffic
    return status.run.traffic
