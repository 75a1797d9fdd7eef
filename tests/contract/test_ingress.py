"""The Ingress of a route on a real API server: what is taken out of the spec is gone, and a controller's own stays."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pytest
from kubernetes.aio import client, config

from sluice_operator.api import traffic
from sluice_operator.api.owner import Owner
from sluice_operator.api.status import Status
from sluice_operator.controller.apply import apply
from sluice_operator.kubernetes import children
from sluice_operator.kubernetes.client import ApiServer
from sluice_operator.routing.router import router_for

if TYPE_CHECKING:
    from tests.contract.conftest import Kubectl

NAMESPACE, HOST = "ingresses", "tls.example.com"


@pytest.fixture(scope="module")
def namespace(kubectl: Kubectl) -> None:
    kubectl("create", "namespace", NAMESPACE)


def written(kubectl: Kubectl, owner: Owner, ingress: Mapping[str, Any]) -> tuple[list[str], dict[str, Any]]:
    """What the operator writes for this route in two looks, and the Ingress after that."""
    router = router_for(traffic.of({"traffic": {"ingress": {"className": "nginx", "host": HOST, **ingress}}}))

    async def write() -> list[str]:
        await config.load_kube_config(config_file=str(kubectl.kubeconfig))
        async with client.ApiClient() as api:
            kube = ApiServer(api)
            changes: list[str] = []
            for _ in range(2):
                owned = await children.read(kube, owner, Status(), router.objects(owner.name))
                changes += await apply(kube, owner, owned, tuple(router.routes(owner, None)))
            return changes

    changes = asyncio.run(write())
    live = json.loads(kubectl("get", "ingress", owner.name, f"--namespace={NAMESPACE}", "--output=json"))
    return changes, live


@pytest.mark.usefixtures("namespace")
def test_certificate_and_annotations_come_and_go(kubectl: Kubectl, iris: dict[str, Any]) -> None:
    """A second look writes nothing; an annotation of somebody else stays."""
    iris["metadata"] |= {"name": "tls", "namespace": NAMESPACE}
    iris["spec"]["traffic"]["ingress"]["host"] = HOST
    kubectl("create", "--filename=-", stdin=json.dumps(iris))
    uid = kubectl("get", "modeldeployment", "tls", f"--namespace={NAMESPACE}", "--output=jsonpath={.metadata.uid}")
    owner = Owner(NAMESPACE, "tls", uid)
    both = {"cert-manager.io/issuer": "x", "example.com/b": "y"}
    _, live = written(kubectl, owner, {"tls": {"secretName": "tls"}, "annotations": both})
    assert live["spec"]["tls"] == [{"hosts": [HOST], "secretName": "tls"}]
    assert both.items() <= live["metadata"]["annotations"].items()
    assert written(kubectl, owner, {"tls": {"secretName": "tls"}, "annotations": both})[0] == []
    kubectl("annotate", "ingress", "tls", f"--namespace={NAMESPACE}", "example.com/theirs=1")
    changes, live = written(kubectl, owner, {"annotations": {"example.com/b": "y"}})
    assert changes[0] == "changed Ingress tls: took out what is asked for no more"
    assert "tls" not in live["spec"]
    names = live["metadata"]["annotations"].keys()
    assert names == {"example.com/b", "example.com/theirs", "sluice.dev/annotations"}
    _, live = written(kubectl, owner, {})
    assert live["metadata"]["annotations"].keys() == {"example.com/theirs"}
