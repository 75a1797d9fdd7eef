"""Whose edit it was: `managedFields` as a real API server writes them."""

from __future__ import annotations

import json
from typing import Any

from sluice_operator.api.status import Weight
from sluice_operator.api.traffic import Ingress
from sluice_operator.kubernetes.field_managers import last_other
from sluice_operator.routing.canary_share import CanaryShare
from sluice_operator.routing.nginx import NginxIngress
from tests.contract.conftest import Kubectl
from tests.unit.sluice_operator.build import NOW, OWNER

WEIGHT = "nginx.ingress.kubernetes.io/canary-weight"


def test_the_writer_of_a_weight_is_named_as_the_api_server_knows_it(kubectl: Kubectl) -> None:
    """By its field manager, until our next write takes the field back; and a removed annotation has a name too."""
    share = CanaryShare("canary", Weight(desired=10, written_at=NOW))
    [_, wanted] = NginxIngress(Ingress("nginx", "iris.example.com")).routes(OWNER, share)

    def write() -> None:
        kubectl(
            "apply", "--server-side", "--force-conflicts", "--field-manager=sluice", "-f-", stdin=json.dumps(wanted)
        )

    def live() -> dict[str, Any]:
        shown = kubectl("get", "ingress", "iris-canary", "-n", "models", "--show-managed-fields", "-o", "json")
        manifest: dict[str, Any] = json.loads(shown)
        return manifest

    def writer() -> str:
        other = last_other(live(), wanted)
        return other.name if other else ""

    write()
    assert writer() == ""
    kubectl("annotate", "ingress", "iris-canary", "-n", "models", "--overwrite", f"{WEIGHT}=60")
    assert writer() == "kubectl-annotate"
    write()
    patch = json.dumps({"metadata": {"annotations": {WEIGHT: "70"}}})
    kubectl("patch", "ingress", "iris-canary", "-n", "models", "--field-manager=argocd-controller", "-p", patch)
    assert writer() == "argocd-controller"
    write()
    kubectl("annotate", "ingress", "iris-canary", "-n", "models", f"{WEIGHT}-")
    assert writer() in ("kubectl-annotate", "argocd-controller", "")
    write()
    assert live()["metadata"]["annotations"][WEIGHT] == "10"
