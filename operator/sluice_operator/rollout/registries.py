"""How a revision reaches its registry: a connection, which follows the spec and the operator's settings. Pure."""

from msgspec.structs import replace

from sluice_operator.api.observation import Observation
from sluice_operator.api.revision import Revision
from sluice_operator.api.status import Status
from sluice_operator.rollout import revisions


def with_registry(seen: Observation, status: Status) -> Status:
    """`status` with the connections of today. They are not part of a revision.

    A status of 0.1.0 has the operator's address of that time; without it the revision follows the operator's setting.
    """
    registry = seen.spec.model.registry
    old = {made.tracking_uri for made in _revisions(status) if made.tracking_uri and revisions.follows_operator(made)}

    def connected(made: Revision | None) -> Revision | None:
        if made is None:
            return None
        address = "" if made.tracking_uri in old and revisions.follows_operator(made) else made.tracking_uri
        if address != registry.tracking_uri:
            return replace(made, tracking_uri=address)
        return replace(
            made,
            tracking_uri=address,
            credentials_secret=registry.credentials_secret,
            artifact_secret=registry.artifact_secret,
        )

    alias = status.alias
    if alias is not None and alias.tracking_uri in old:
        alias = replace(alias, tracking_uri="")
    return replace(
        status,
        stable=connected(status.stable),
        canary=connected(status.canary),
        previous=connected(status.previous),
        former=tuple(filter(None, map(connected, status.former))),
        retiring=tuple(
            replace(entry, revision=made) for entry in status.retiring if (made := connected(entry.revision))
        ),
        alias=alias,
    )


def _revisions(status: Status) -> tuple[Revision, ...]:
    roles = (status.stable, status.canary, status.previous)
    return (*filter(None, roles), *status.former, *(entry.revision for entry in status.retiring))
