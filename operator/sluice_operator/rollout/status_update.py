"""What an observation adds to status before any rule looks at it: things seen, not things decided."""

from dataclasses import replace as replace_seen
from datetime import datetime

from msgspec.structs import replace

from sluice_operator.api import names
from sluice_operator.api.observation import Denied, NotAnswered, Observation, Proof, Resolved, Unreachable, Unresolved
from sluice_operator.api.revision import Revision
from sluice_operator.api.run import JUDGED, Failure, Phase
from sluice_operator.api.status import VERSION, Result, Route, Status, Verification, Weight
from sluice_operator.rollout import aliases, clocks, contest, crashes, lost_models, rejections, revisions
from sluice_operator.rollout.granted_route import is_withheld
from sluice_operator.rollout.preparation import as_made
from sluice_operator.rollout.registries import with_registry
from sluice_operator.rollout.roles import serves
from sluice_operator.rollout.transitions import in_doubt, now_live

_STALE = Proof(False, "the route is written anew just now")


def with_observations(seen: Observation) -> Observation:
    """`seen` with its status brought up to date with what was seen, and the revision that it asks for."""
    status = _shared_host(seen, _edited_route(seen, _route(seen, seen.status)))
    seen = _without_stale_proofs(seen, status)
    for note in _NOTES:
        status = note(seen, status)
    status = aliases.noted(seen, status)
    url = status.route.traffic.url if status.route else ""
    status = replace(status, version=VERSION, observed_generation=seen.generation, url=url)
    desired = _desired(seen)
    status = _named_first(_retry_token(seen, status, desired), desired)
    return replace_seen(seen, status=status, desired=desired)


def _without_stale_proofs(seen: Observation, status: Status) -> Observation:
    """What the gateway did with the route before proves nothing about this one, and no more about a repaired weight."""
    weight, swap, smoke = (proof and _STALE for proof in (seen.weight, seen.swap, seen.smoke))
    if status.route != seen.status.route:
        return replace_seen(seen, weight=weight, swap=swap, smoke=smoke)
    return seen if status.weight == seen.status.weight else replace_seen(seen, weight=weight)


def _desired(seen: Observation) -> Revision | None:
    """What the spec asks for. The registry is not needed to go back to a version that is pinned in status."""
    match seen.resolution:
        case Resolved(model):
            return revisions.make(seen.spec, model, seen.defaults)
        case Unreachable() | NotAnswered() | Denied():
            status = seen.status
            kept = (status.stable, status.canary, status.previous, *(entry.revision for entry in status.retiring))
            pinned = (revision.model for revision in kept if revision and revision.model.uri == seen.spec.model.uri)
            asked = (revisions.make(seen.spec, model, seen.defaults) for model in pinned)
            names = {revision.revision for revision in kept if revision}
            return next((revision for revision in asked if revision.revision in names), None)
        case Unresolved():
            return None


def _route(seen: Observation, status: Status) -> Status:
    """The route of the spec is granted unless another object has its host, or it is not allowed; the last one stays.

    Of one that goes, or that moves, no weight is known.
    """
    asked, route = seen.spec.traffic, status.route
    if route is not None and seen.route_taken:  # two were granted in the same moment, and the other one was first
        return replace(_written_anew(status, seen.now, seen.now), route=None)
    if is_withheld(seen) or (route is not None and route.traffic == asked):
        return status
    same_place = route is not None and route.traffic.place == asked.place
    since = route.since if route is not None and same_place else seen.granted_at or seen.now
    moved = status if route is None else _written_anew(status, seen.now, seen.now)
    return replace(moved, route=Route(traffic=asked, since=since))


def _written_anew(status: Status, since: datetime, now: datetime) -> Status:
    """The same weight is written once more: until that is proven, and from `since`, no weight is known."""
    run, weight = status.run, status.weight
    if run is None or weight is None:
        return status
    written = Weight(desired=weight.desired, live=weight.live, written_at=now)
    return replace(status, run=in_doubt(run, since), weight=written)


def _edited_route(seen: Observation, status: Status) -> Status:
    """A repair is a new write: until it is proven, and from the last look before the edit, no weight is known."""
    run, weight, edits = status.run, status.weight, seen.route_edits
    if run is None or weight is None or not edits:
        return status
    since = min(edit.since or weight.verified_at or seen.now for edit in edits)
    contested = replace(status, run=contest.with_edits(run, edits, seen.now))
    return _written_anew(contested, since, seen.now)


def _shared_host(seen: Observation, status: Status) -> Status:
    """While somebody else answers some of the callers, nobody knows which share the canary gets."""
    run, weight, trouble = status.run, status.weight, seen.host_trouble
    if run is None or weight is None or weight.verified_at is None or trouble is None or not trouble.by_another:
        return status
    if status.phase not in (Phase.STEPPING, Phase.PROMOTING):
        return status
    unknown = replace(weight, verified_at=None, verification=None)
    return replace(status, run=in_doubt(run, trouble.since or weight.verified_at), weight=unknown)


def _pods(seen: Observation, status: Status) -> Status:
    def with_pods(revision: Revision | None) -> Revision | None:
        if revision is None:
            return None
        pods = seen.workload(revision)
        return replace(as_made(revision, pods), ready_replicas=pods.ready, edited_by=pods.edited_by)

    return replace(
        status,
        stable=with_pods(status.stable),
        canary=with_pods(status.canary),
        previous=with_pods(status.previous),
    )


def _store(seen: Observation, status: Status) -> Status:
    """Where the store was taken away before it had the model, the pods fetch it from the registry."""
    canary = status.canary
    if canary is None or canary.is_prepared or canary.lost or seen.defaults.from_store:
        return status
    return replace(status, canary=replace(canary, from_store=False))


def _scale(seen: Observation, status: Status) -> Status:
    """What the scale subresource shows, and the pods that somebody else gives to what serves or may serve again."""
    serving = serves(status)
    selector = names.LABEL_OWNER + f"={seen.name}"
    if serving is not None:
        selector += f",{names.LABEL_REVISION}={serving.revision}"
    scaled = (seen.workload(revision).scaled_to for revision in (status.stable, status.previous) if revision)
    others = max(scaled, default=0)
    return replace(
        status,
        replicas=seen.workload(serving).pods,
        selector=selector,
        scaled_to=others if others > seen.spec.server.replicas else 0,
    )


def _connections(seen: Observation, status: Status) -> Status:
    """A Prometheus that has moved is asked at its new address; that changes nothing of what the run is judged by."""
    return replace(status, run=replace(status.run, prometheus=seen.spec.prometheus)) if status.run else status


def _crashes(seen: Observation, status: Status) -> Status:
    return replace(status, run=crashes.noted(status.run, seen.workloads)) if status.run else status


def _live_weight(seen: Observation, status: Status) -> Status:
    weight, run = status.weight, status.run
    if weight is None or run is None or weight.verified_at:
        return status
    if weight.desired == 0 and seen.workload(status.canary).ready == 0:  # nobody there who could take traffic
        assumed = replace(weight, live=0, verified_at=seen.now, verification=Verification.ASSUMED)
        return replace(status, weight=assumed) if status.phase is not Phase.STARTING else status
    if seen.weight is None or not seen.weight.live:
        return status
    status = replace(
        status,
        weight=replace(weight, live=weight.desired, verified_at=seen.now, verification=Verification.PROVEN),
    )
    strategy = run.strategy if status.phase in (Phase.STEPPING, Phase.PROMOTING) else None
    if strategy is None or weight.desired != strategy.weight:
        return status
    run = replace(run, step_started_at=seen.now, first_live_at=run.first_live_at or seen.now)
    return replace(status, run=now_live(run, weight.desired, seen.now))


def _verdict(seen: Observation, status: Status) -> Status:
    """A Fail stays in the run until it acts: a silence of Prometheus afterwards is no better verdict."""
    run, known = status.run, (seen.verdict, status.verdict)
    fails = next((verdict for verdict in known if verdict is not None and verdict.result is Result.FAIL), None)
    if run is not None and fails is not None and status.phase in (*JUDGED, Phase.FAILOVER):
        status = replace(status, run=replace(run, failed=Failure(fails.reason, fails.message)))
    return replace(status, verdict=seen.verdict) if seen.verdict else status


def _retired(seen: Observation, status: Status) -> Status:
    return replace(status, retiring=tuple(entry for entry in status.retiring if entry.until > seen.now))


def _retry_token(seen: Observation, status: Status, desired: Revision | None) -> Status:
    """Another token forgets that the revision which the spec names was rejected, or given up for some time."""
    token = seen.spec.rollout.retry_token
    if desired is None or token == status.retry_token:
        return status
    return replace(rejections.forgotten(status, desired.revision), retry_token=token)


def _named_first(status: Status, desired: Revision | None) -> Status:
    """What a person retries without naming it is what the spec names: `abandoned`, or the first of `rejected`."""
    if desired is None:
        return status
    rejected, abandoned = rejections.with_first(status.rejected, desired.revision), status.abandoned
    if rejected and rejected[0].revision == desired.revision != (abandoned and abandoned.revision):
        abandoned = None
    return replace(status, rejected=rejected, abandoned=abandoned)


_NOTES = (
    clocks.without_times_to_come,
    with_registry,
    _pods,
    lost_models.noted,
    _store,
    _scale,
    _connections,
    _crashes,
    clocks.without_unseen_time,
    clocks.without_time_on_hold,
    _live_weight,
    _verdict,
    _retired,
)
