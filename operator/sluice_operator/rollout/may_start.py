"""Which revision may start a run: none that was rejected, and none that still waits after an abandoned run. Pure."""

from sluice_operator.api.observation import Observation
from sluice_operator.api.revision import Revision
from sluice_operator.api.status import SIGNATURE_CHANGED
from sluice_operator.rollout import revisions


def is_rejected(seen: Observation, revision: Revision) -> bool:
    """Whether `revision` failed before under today's objectives, or under ones that are not known.

    In a spec that nobody has edited since, objectives that read otherwise are still the same: a CRD has other defaults.
    A changed signature is no failure any more where the spec allows it.
    """
    today = revisions.objectives_hash(seen.spec.objectives)
    allowed = {SIGNATURE_CHANGED} if seen.spec.model.allow_signature_change else set()
    return any(
        entry.objectives_hash in ("", today) or entry.generation == seen.generation
        for entry in seen.status.rejected
        if entry.revision == revision.revision and entry.reason not in allowed
    )


def is_resting(seen: Observation, revision: Revision) -> bool:
    """Whether the last run of `revision` was abandoned, and it is too early to try it again."""
    abandoned = seen.status.abandoned
    if abandoned is None or abandoned.revision != revision.revision:
        return False
    if abandoned.generation != seen.generation and abandoned.terms_hash != revisions.terms_hash(seen.spec):
        return False
    return abandoned.retry_at is None or seen.now < abandoned.retry_at


def waits_its_time(seen: Observation, revision: Revision) -> bool:
    """Whether `revision` rests after its last run was abandoned. Nobody rests while no revision has ready pods."""
    roles = (seen.status.stable, seen.status.canary, seen.status.previous)
    return is_resting(seen, revision) and any(seen.workload(role).ready > 0 for role in roles)


def newer_revision(seen: Observation) -> Revision | None:
    """What the spec asks for, if it has no role yet and may be tried: not rejected, not resting, not suspended."""
    status, wanted = seen.status, seen.desired
    known = [role.revision for role in (status.stable, status.canary, status.previous) if role is not None]
    if wanted is None or wanted.revision in known or seen.spec.suspend:
        return None
    return None if is_rejected(seen, wanted) or waits_its_time(seen, wanted) else wanted
