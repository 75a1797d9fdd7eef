"""Which revision serves, and how many pods each one has, as a function of spec and status. Pure."""

from sluice_operator.api.spec import Spec
from sluice_operator.api.status import Phase, Revision, Status


def serves(status: Status) -> Revision | None:
    """The revision that Service NAME selects."""
    swapped = status.run is not None and status.run.swapped and status.phase is Phase.PROMOTING
    return status.canary if status.stable is None or swapped else status.stable


def sizes(spec: Spec, status: Status) -> list[tuple[Revision, int]]:
    """Revisions that have pods, each with its number of replicas."""
    full = spec.server.replicas
    active = [(revision, full) for revision in (status.stable, status.previous) if revision]
    if status.canary is not None:
        active.append((status.canary, _canary(status, full)))
    names = {revision.revision for revision, _ in active}
    return active + [(old.revision, old.replicas) for old in status.retiring if old.revision.revision not in names]


def _canary(status: Status, full: int) -> int:
    """Pods of the canary.

    All, if it has no route (there is no stable, or it is rolled back out of the watch) or is being promoted. Else what
    its step needs; one before the steps are chosen.
    """
    run = status.run
    if status.weight is None or run is None or status.phase is Phase.PROMOTING:
        return full
    return run.strategy.pods(full) if run.steps else 1
