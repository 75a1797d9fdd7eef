"""The alias, or stage, that a promotion moves: whether it is where it should be, and what is said if not. Pure."""

from msgspec.structs import replace

from sluice_operator.api.observation import Observation
from sluice_operator.api.run import Phase
from sluice_operator.api.spec import NameKind
from sluice_operator.api.status import Status

_NOT_MOVED = {NameKind.ALIAS: "AliasNotMoved", NameKind.STAGE: "StageNotMoved"}


def noted(seen: Observation, status: Status) -> Status:
    """It is done when the registry shows it, and no longer wanted when the spec does not ask for it any more."""
    alias, wanted = status.alias, seen.spec.model.on_promote
    if alias is None or alias.done:
        return status
    if not wanted.name:
        return replace(status, alias=None)
    if (alias.kind, alias.name) != (wanted.kind, wanted.name):  # corrected, perhaps because the registry refused it
        return replace(status, alias=replace(alias, kind=wanted.kind, name=wanted.name))
    return replace(status, alias=replace(alias, done=True)) if seen.alias_version == alias.version else status


def refused(seen: Observation, status: Status) -> tuple[str, str, str] | None:
    """Stalled: the promotion is over, and the registry does not move the alias."""
    alias = status.alias
    if alias is None or alias.done or not seen.alias_trouble or status.phase is not Phase.STABLE:
        return None
    named = f"the {alias.kind.lower()} {alias.name} of {alias.model}"
    what = f"{named} was not moved to version {alias.version}: {seen.alias_trouble}"
    remedy = f"let it be written, or take model.onPromote out of the spec of {seen.name}"
    return "True", _NOT_MOVED[alias.kind], f"{what}; it is tried again, at least every 5 minutes: {remedy}"
