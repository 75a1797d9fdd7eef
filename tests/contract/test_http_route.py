"""The HTTPRoute of a route on a real API server, which learns of the Gateway API only later."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

import pytest
from kubernetes.aio import client, config

from sluice_operator.api.owner import Manifest, Owner
from sluice_operator.api.status import Status, Weight
from sluice_operator.api.traffic import HttpRoute, ParentRef
from sluice_operator.controller.apply import apply
from sluice_operator.kubernetes import children
from sluice_operator.kubernetes.client import ApiServer
from sluice_operator.kubernetes.field_managers import last_other
from sluice_operator.kubernetes.port import NoSuchKind, WriteRefused
from sluice_operator.routing.canary_share import CanaryShare
from sluice_operator.routing.http_route import GatewayApi
from tests.contract import gateway_crds
from tests.contract.conftest import Kubectl, api_server_in
from tests.unit.sluice_operator.build import NOW

NAMESPACE = "models"
ROUTER = GatewayApi(HttpRoute((ParentRef("public", "infra"), ParentRef("inner")), "iris.example.com", "/teams/iris"))
OWNER = Owner(NAMESPACE, "iris", "00000000-0000-0000-0000-000000000001")
T = TypeVar("T")


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubectl]:
    """kubectl for an API server without the Gateway API."""
    with api_server_in(tmp_path_factory.mktemp("bare")) as cluster:
        cluster("create", "namespace", NAMESPACE)
        yield cluster


def asked(cluster: Kubectl, question: Callable[[ApiServer], Awaitable[T]]) -> T:
    async def answer() -> T:
        await config.load_kube_config(config_file=str(cluster.kubeconfig))
        async with client.ApiClient() as api:
            return await question(ApiServer(api))

    return asyncio.run(answer())


def written(cluster: Kubectl, share: CanaryShare | None) -> list[str]:
    """What the operator writes in one look."""

    async def write(kube: ApiServer) -> list[str]:
        owned = await children.read(kube, OWNER, Status(), ROUTER.objects(OWNER.name))
        return await apply(kube, OWNER, owned, tuple(ROUTER.routes(OWNER, share)))

    return asked(cluster, write)


def live(cluster: Kubectl) -> Manifest:
    shown = cluster("get", "httproute", "iris", f"--namespace={NAMESPACE}", "--show-managed-fields", "--output=json")
    found: Manifest = json.loads(shown)
    return found


def test_a_route_needs_its_crd_and_is_then_written_once(bare: Kubectl) -> None:
    """Without the Gateway API nothing else is disturbed, and the refusal says what to install."""

    async def listed(kube: ApiServer) -> list[Manifest]:
        return await kube.find("HTTPRoute", NAMESPACE, {})

    with pytest.raises(NoSuchKind):
        asked(bare, listed)
    with pytest.raises(WriteRefused, match="install the CRDs of the Gateway API"):
        written(bare, None)
    crds = gateway_crds.files(["httproutes"])
    bare("apply", "--server-side", *crds)
    bare("wait", "--for=condition=Established", *crds, "--timeout=30s")
    bare.eventually("get", "httproutes", f"--namespace={NAMESPACE}")
    assert written(bare, None)[-1] == "created HTTPRoute iris"
    assert written(bare, None) == [], "what the API server fills in is no difference"
    share = CanaryShare("abc", Weight(10, written_at=NOW))
    assert written(bare, share) == ["changed HTTPRoute iris"]
    assert written(bare, share) == []
    assert len(live(bare)["spec"]["rules"]) == 3
    change = json.dumps([{"op": "replace", "path": "/spec/rules/2/backendRefs/1/weight", "value": 90}])
    patch = ("patch", "httproute", "iris", f"--namespace={NAMESPACE}", "--type=json", "-p", change)
    bare(*patch, "--field-manager=jane")
    [wanted] = ROUTER.routes(OWNER, share)
    writer = last_other(live(bare), wanted)
    assert writer is not None
    assert writer.name == "jane"
    assert written(bare, share) == ["changed HTTPRoute iris (written by jane)"]
    more = json.dumps([{"op": "add", "path": "/spec/rules/2/timeouts", "value": {"request": "1ms"}}])
    bare(*patch[:-1], more, "--field-manager=jane")
    assert written(bare, share) == ["changed HTTPRoute iris (written by jane)"]
    assert "timeouts" not in live(bare)["spec"]["rules"][2]
    assert written(bare, share) == []
    assert written(bare, None) == ["changed HTTPRoute iris"]
    assert len(live(bare)["spec"]["rules"]) == 1
