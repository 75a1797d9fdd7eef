"""How far a namespace may trust the files of a model, as the administrator has set it. Pure."""

from dataclasses import dataclass
from fnmatch import fnmatchcase

from sluice_operator.api.observation import Unresolved
from sluice_operator.api.spec import Trust

SETTING = "SLUICE_ALLOWED_TRUST"
_ORDER = tuple(Trust)  # from least to most


@dataclass(frozen=True, slots=True)
class TrustLimit:
    """Namespaces with a name like `namespace`, in which `*` stands for any text, may write `trust` and what is less."""

    namespace: str
    trust: Trust


def refusal(limits: tuple[TrustLimit, ...], namespace: str, trust: Trust) -> Unresolved | None:
    """Why an object in `namespace` may not have this `trust`; None if it may. Without limits everybody may."""
    allowed = [limit.trust for limit in limits if fnmatchcase(namespace, limit.namespace)]
    highest = max(allowed, key=_ORDER.index, default=Trust.DATA)
    if not limits or _ORDER.index(trust) <= _ORDER.index(highest):
        return None
    remedy = f"write trust: {highest}, or let the administrator add '{namespace}={trust}' to {SETTING}"
    return Unresolved("TrustNotAllowed", f"namespace {namespace} may not use trust: {trust}: {remedy}")
