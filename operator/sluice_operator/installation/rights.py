"""Whether the operator's account may do what the operator does; a test compares the list with the manifests."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from sluice_operator.api.owner import Manifest
from sluice_operator.installation.outcome import CheckError
from sluice_operator.settings import Settings

Right: TypeAlias = tuple[str, str, str]  # API group, resource with its subresource, verb

_SEEN = ("get", "list", "watch")
_NEEDED: Mapping[tuple[str, str], Sequence[str]] = {
    ("sluice.dev", "modeldeployments"): _SEEN,
    ("sluice.dev", "modeldeployments/status"): ("update",),
    ("sluice.dev", "modeldeployments/finalizers"): ("update",),
    ("apps", "deployments"): (*_SEEN, "create", "patch", "delete"),
    ("apps", "deployments/scale"): ("patch",),
    ("batch", "jobs"): (*_SEEN, "create", "delete"),
    ("", "services"): (*_SEEN, "create", "patch", "delete"),
    ("policy", "poddisruptionbudgets"): (*_SEEN, "create", "patch", "delete"),
    ("networking.k8s.io", "ingresses"): (*_SEEN, "create", "patch", "delete"),
    ("gateway.networking.k8s.io", "httproutes"): (*_SEEN, "create", "patch", "delete"),
    ("", "secrets"): ("get", "create"),
    ("", "configmaps"): ("get", "list", "create", "patch", "delete"),
    ("", "pods"): ("list", "watch"),
    ("discovery.k8s.io", "endpointslices"): ("list",),
    ("events.k8s.io", "events"): ("create",),
}
NEEDED: frozenset[Right] = frozenset(
    (group, resource, verb) for (group, resource), verbs in _NEEDED.items() for verb in verbs
)


class Asked(Protocol):
    """The API server, asked what the account that asks may do in a namespace."""

    async def own_rules(self, namespace: str) -> list[Manifest]: ...


async def rights_are_granted(server: Asked, settings: Settings) -> str:
    """In each namespace that is named, or in one of all. Raises CheckError."""
    for namespace in settings.namespaces or ("default",):
        if lacking := sorted(NEEDED - set(granted(await server.own_rules(namespace)))):
            group, resource, verb = lacking[0]
            more = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
            raise CheckError(
                f"the operator may not {verb} {resource}{f'.{group}' if group else ''} in namespace {namespace}{more}:"
                " apply the roles of this version (manifests/install/base/rbac.yaml, or helm upgrade)"
            )
    return f"the operator may do all that it does ({len(NEEDED)} rights)"


def granted(rules: Iterable[Mapping[str, Any]]) -> Iterable[Right]:
    """The rights that rules give; `*` stands for all that are needed. Rules for single names give none."""
    for rule in rules:
        if rule.get("resourceNames"):
            continue
        for group, resource, verb in NEEDED:
            asked = (group, rule.get("apiGroups")), (resource, rule.get("resources")), (verb, rule.get("verbs"))
            if all(name in (given or ()) or "*" in (given or ()) for name, given in asked):
                yield group, resource, verb
