"""What the operator's account lacks, and that the list is that of the manifests."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dev import rights as manifests
from sluice_operator.installation.outcome import CheckError
from sluice_operator.installation.rights import NEEDED, rights_are_granted
from sluice_operator.settings import Settings

SETTINGS = Settings("image", "http://mlflow", "http://prometheus", "http://gateway")
ALL = [{"apiGroups": [group], "resources": [resource], "verbs": [verb]} for group, resource, verb in sorted(NEEDED)]


class Server:
    """Gives the same rules in each namespace; `asked`: which these were."""

    def __init__(self, rules: list[dict[str, Any]]) -> None:
        self.rules, self.asked = rules, list[str]()

    async def own_rules(self, namespace: str) -> list[dict[str, Any]]:
        self.asked.append(namespace)
        return self.rules


def test_the_rights_are_those_of_the_manifests() -> None:
    """Those for the Lease are in a Role of their own, which the check of the Lease needs itself."""
    rights = (grant.right for grant in manifests.of_manifests())
    granted = {(right.group, right.resource, right.verb) for right in rights}
    assert {right for right in granted if right[1] != "leases"} == NEEDED


@pytest.mark.parametrize(
    "rules", [ALL, [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}], [{"verbs": ["get"]}, *ALL]]
)
def test_an_account_with_all_of_them_is_well(rules: list[dict[str, Any]]) -> None:
    """An administrator, too."""
    server = Server(rules)
    assert "may do all that it does" in asyncio.run(rights_are_granted(server, SETTINGS))
    assert server.asked == ["default"]


def test_what_is_lacking_is_named() -> None:
    """With the namespace. A rule for single names gives nothing for all of them."""
    rules = [rule for rule in ALL if rule["resources"] != ["ingresses"]]
    rules += [{**rule, "resourceNames": ["one"]} for rule in ALL if rule["resources"] == ["ingresses"]]
    settings = Settings("image", "http://mlflow", "http://prometheus", "http://gateway", namespaces=("models",))
    with pytest.raises(CheckError) as raised:
        asyncio.run(rights_are_granted(Server(rules), settings))
    assert str(raised.value) == (
        "the operator may not create ingresses.networking.k8s.io in namespace models and 5 more: apply the roles of"
        " this version (manifests/install/base/rbac.yaml, or helm upgrade)"
    )
