"""The HTTPRoute of a route: one object, whose rules lead to stable, to the canary and back."""

from __future__ import annotations

from typing import Any

import pytest

from sluice_operator.api.owner import Manifest
from sluice_operator.api.status import Weight
from sluice_operator.routing.canary_share import CanaryShare
from sluice_operator.routing.http_route import GatewayApi
from sluice_operator.routing.router import router_for
from tests.unit.sluice_operator.build import NOW, OWNER, a_spec

PARENT = {"name": "public", "namespace": "infra"}


def the_route(share: CanaryShare | None = None, **section: Any) -> Manifest:
    asked = {"parentRefs": [PARENT], "host": "iris.example.com", **section}
    [route] = router_for(a_spec(traffic={"httpRoute": asked}).traffic).routes(OWNER, share)
    return route


def weights(rule: Manifest) -> dict[str, int]:
    return {backend["name"]: backend["weight"] for backend in rule["backendRefs"]}


def test_without_a_canary_all_requests_of_the_host_go_to_stable() -> None:
    """Through the Gateways that the spec names."""
    route = the_route(parentRefs=[PARENT, {"name": "inner", "sectionName": "https"}])
    assert route["spec"]["hostnames"] == ["iris.example.com"]
    assert [
        (parent["name"], parent.get("namespace"), parent.get("sectionName")) for parent in route["spec"]["parentRefs"]
    ] == [
        ("public", "infra", None),
        ("inner", None, "https"),
    ]
    [rule] = route["spec"]["rules"]
    assert weights(rule) == {"iris": 100}
    assert "filters" not in rule


@pytest.mark.parametrize("desired", [0, 1, 50, 99, 100])
def test_header_and_weights_are_written_together(desired: int) -> None:
    """The header decides before the weights do: its rules match more."""
    share = CanaryShare("abc", Weight(desired, written_at=NOW))
    always, never, plain = the_route(share)["spec"]["rules"]
    for rule, value, backend in ((always, "always", "iris-abc"), (never, "never", "iris")):
        [match] = rule["matches"]
        assert match["headers"] == [{"type": "Exact", "name": share.probe_header, "value": value}]
        assert weights(rule) == {backend: 100}
    assert weights(plain) == {"iris": 100 - desired, "iris-abc": desired}
    assert plain["matches"] == [{"path": {"type": "PathPrefix", "value": "/"}}]


def test_a_path_is_taken_off_by_each_rule() -> None:
    """The model server knows nothing of it."""
    for rule in the_route(CanaryShare("abc", Weight(10, written_at=NOW)), path="/teams/iris")["spec"]["rules"]:
        assert rule["matches"][0]["path"]["value"] == "/teams/iris"
        [rewrite] = rule["filters"]
        assert rewrite["urlRewrite"]["path"] == {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}


def test_callers_are_told_where_the_model_answers() -> None:
    """Only the user knows what the listener speaks."""
    section = {"parentRefs": [PARENT], "host": "iris.example.com", "path": "/a"}
    assert a_spec(traffic={"httpRoute": section}).traffic.url == "http://iris.example.com/a/"
    assert a_spec(traffic={"httpRoute": {**section, "https": True}}).traffic.url == "https://iris.example.com/a/"


def test_its_object_is_the_one_that_it_writes() -> None:
    """And no other kind: a foreign Ingress with the same name is nobody's trouble."""
    traffic = a_spec(traffic={"httpRoute": {"parentRefs": [PARENT], "host": "iris.example.com"}}).traffic
    router = router_for(traffic)
    assert isinstance(router, GatewayApi)
    assert router.objects("iris") == (("HTTPRoute", "iris"),)
