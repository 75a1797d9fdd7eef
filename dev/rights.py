"""`python -m dev.rights AUDIT_LOG`: which of their rights the accounts of Sluice have used, as a table.

The audit log of the local cluster has their requests to the API server; `cluster.sh env` names it. A right that nothing
needed in a run of all end-to-end tests is one too many, and a request without a right shows one too few.
"""

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import yaml

from dev.audit_log import Requests, Right, Use, read, requests
from dev.helm import NAMESPACE, Helm
from dev.install_manifests import VALUES
from dev.programs import find_program

RBAC = Path(__file__).resolve().parents[1] / "manifests" / "install" / "base" / "rbac.yaml"

Manifest = Mapping[str, Any]


@dataclass(frozen=True, order=True, slots=True)
class Grant:
    """A right that a role gives to an account (`namespace/name`).

    `namespace`: the only one that it is for; empty: all. `names`: of the only objects that it is for; empty: all.
    """

    account: str
    right: Right
    namespace: str = ""
    names: tuple[str, ...] = ()

    def covers(self, use: Use) -> bool:
        """Whether this is enough for the request."""
        is_right = (self.account, self.right) == (use.account, use.right)
        return is_right and self.namespace in ("", use.namespace) and (not self.names or use.name in self.names)

    def __str__(self) -> str:
        where = f" in namespace {self.namespace}" if self.namespace else ""
        return f"{self.account}: {self.right}{where}" + (f" ({', '.join(self.names)})" if self.names else "")


@dataclass(frozen=True, slots=True)
class Difference:
    """What roles allow, against what was asked. `missing`: what they do not allow, or what was never allowed."""

    missing: frozenset[Use]
    unused: frozenset[Grant]


def grants(manifests: Iterable[Manifest]) -> frozenset[Grant]:
    """What the roles among these manifests give to service accounts, by their bindings."""
    manifests = list(manifests)
    rules = {_id(each): each["rules"] for each in manifests if each["kind"] in ("Role", "ClusterRole")}
    bindings = [each for each in manifests if each["kind"] in ("RoleBinding", "ClusterRoleBinding")]
    return frozenset(grant for binding in bindings for grant in _given(binding, rules))


def difference(given: Iterable[Grant], asked: Requests) -> Difference:
    """A right is used by a request that was not refused and that it covers.

    One that is covered and was refused now and then came when the roles were not there: an operator that is taken away
    with them may be too late to give its Lease back.
    """
    given = list(given)
    allowed = [use for use in asked.made if asked.made[use] > asked.refused[use]]
    uncovered = {use for use in asked.made if not any(grant.covers(use) for grant in given)}
    unused = {grant for grant in given if not any(grant.covers(use) for use in allowed)}
    return Difference(frozenset(uncovered | (set(asked.refused) - set(allowed))), frozenset(unused))


def table(given: Iterable[Grant], asked: Requests) -> str:
    """A row for each right: how often it was used. The requests without a right come last."""
    given = sorted(given)
    counts = {str(grant): _count(grant, asked.made) for grant in given}
    missing = difference(given, asked).missing
    lacking: Counter[str] = Counter()
    for use in sorted(missing):
        lacking[f"**no right**: {use}"] += asked.made[use]
    rows = [f"| {right} | {count} |" for right, count in (counts | lacking).items()]
    return "\n".join(["| right | requests |", "| --- | --- |", *rows])


def _count(grant: Grant, made: Counter[Use]) -> int:
    return sum(number for use, number in made.items() if grant.covers(use))


def _id(role: Manifest) -> tuple[str, str, str]:
    return role["kind"], role["metadata"].get("namespace", ""), role["metadata"]["name"]


def _given(binding: Manifest, rules: Mapping[tuple[str, str, str], list[Manifest]]) -> Iterator[Grant]:
    reference, namespace = binding["roleRef"], binding["metadata"].get("namespace", "")
    home = namespace if reference["kind"] == "Role" else ""
    accounts = [
        f"{each['namespace']}/{each['name']}" for each in binding["subjects"] if each["kind"] == "ServiceAccount"
    ]
    for account, rule in product(accounts, rules[reference["kind"], home, reference["name"]]):
        for group, resource, verb in product(rule["apiGroups"], rule["resources"], rule["verbs"]):
            yield Grant(account, Right(group, resource, verb), namespace, tuple(rule.get("resourceNames", ())))


def of_manifests() -> frozenset[Grant]:
    """Of manifests/install/base, which the local cluster has."""
    return grants(yaml.safe_load_all(RBAC.read_text(encoding="utf-8")))


def of_chart(helm: Helm) -> frozenset[Grant]:
    """Of the chart: the same, and those of its Job for the CRD and of the pod of `helm test`."""
    return grants(helm.template(VALUES))


def is_sluices(account: str) -> bool:
    """Whether an account is one of an install, or one that the pods of models and the Jobs that prepare them have."""
    namespace, _, name = account.partition("/")
    return namespace == NAMESPACE or name == "default"


def main(arguments: list[str]) -> int:
    """Exit code 1 if there was a request without a right."""
    found = requests(read(Path(arguments[0]))).of(is_sluices)
    given = of_chart(Helm(find_program("helm")))
    print(table(given, found))
    return 1 if difference(given, found).missing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
