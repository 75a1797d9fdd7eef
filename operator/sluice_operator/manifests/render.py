"""The phase table as code: `render(owner, spec, status)` says what the cluster should hold. Pure.

Children are a function of spec and status alone, so a crash between two writes and an edit from outside are repaired by
the next pass, without code of their own.
"""

from collections.abc import Iterator

from sluice_operator.api.owner import Manifest, Owner
from sluice_operator.api.spec import Spec, Traffic
from sluice_operator.api.status import Phase, Status
from sluice_operator.manifests import builders
from sluice_operator.rollout.roles import serves, sizes
from sluice_operator.routing.router import router_for


def render(owner: Owner, spec: Spec, status: Status) -> tuple[Manifest, ...]:
    """Everything that should exist, pods before the routes that lead to them."""
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
    """A change of the route waits until no run depends on the old one."""
    if status.run is None or status.phase in (Phase.PENDING, Phase.STABLE):
        return spec.traffic
    return status.run.traffic
