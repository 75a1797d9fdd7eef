"""The Ingresses of a route: the certificate of its host, and the annotations that the user asks for."""

from __future__ import annotations

from typing import Any

from sluice_operator.api.owner import Manifest
from sluice_operator.api.status import Weight
from sluice_operator.routing.canary_share import CanaryShare
from sluice_operator.routing.nginx import NginxIngress
from tests.unit.sluice_operator.build import NOW, OWNER, a_spec


def ingresses(**ingress: Any) -> tuple[Manifest, Manifest]:
    """That of the route, and that of the canary."""
    asked = a_spec(traffic={"ingress": {"className": "nginx", "host": "iris.example.com", **ingress}}).traffic.ingress
    assert asked is not None
    route, canary = NginxIngress(asked).routes(OWNER, CanaryShare("abc", Weight(10, written_at=NOW)))
    assert [route] == list(NginxIngress(asked).routes(OWNER, None))
    return route, canary


def test_a_route_without_them_is_as_before() -> None:
    """So an upgrade of the operator writes nothing to Ingresses."""
    route, canary = ingresses()
    assert "annotations" not in route["metadata"]
    assert route["spec"].keys() == canary["spec"].keys() == {"ingressClassName", "rules"}


def test_the_host_has_its_certificate_on_both() -> None:
    """A controller takes each Ingress by itself. Without a name it is the gateway's own certificate."""
    for ingress in ingresses(tls={"secretName": "iris-tls"}):
        assert ingress["spec"]["tls"] == [{"hosts": ["iris.example.com"], "secretName": "iris-tls"}]
    for ingress in ingresses(tls={}):
        assert ingress["spec"]["tls"] == [{"hosts": ["iris.example.com"]}]


def test_annotations_are_those_of_the_route_alone() -> None:
    """With their names: so one that is taken out of the spec makes a difference, and is removed."""
    route, canary = ingresses(annotations={"cert-manager.io/issuer": "x", "a.example.com/b": "y"})
    assert route["metadata"]["annotations"] == {
        "cert-manager.io/issuer": "x",
        "a.example.com/b": "y",
        "sluice.dev/annotations": "a.example.com/b,cert-manager.io/issuer",
    }
    assert all(name.startswith("nginx.ingress.kubernetes.io/canary") for name in canary["metadata"]["annotations"])
    fewer, _ = ingresses(annotations={"a.example.com/b": "y"})
    assert fewer["metadata"]["annotations"] == {"a.example.com/b": "y", "sluice.dev/annotations": "a.example.com/b"}


def test_a_path_is_taken_off_by_annotations_of_the_route() -> None:
    """The canary has the same path, by which the gateway joins the two, and no annotations but its own."""
    route, canary = ingresses(path="/iris", annotations={"cert-manager.io/issuer": "x"})
    assert route["metadata"]["annotations"] == {
        "cert-manager.io/issuer": "x",
        "nginx.ingress.kubernetes.io/use-regex": "true",
        "nginx.ingress.kubernetes.io/rewrite-target": "/$2",
        "sluice.dev/annotations": (
            "cert-manager.io/issuer,nginx.ingress.kubernetes.io/rewrite-target,nginx.ingress.kubernetes.io/use-regex"
        ),
    }
    for ingress in (route, canary):
        (path,) = ingress["spec"]["rules"][0]["http"]["paths"]
        assert (path["path"], path["pathType"]) == ("/iris(/|$)(.*)", "ImplementationSpecific")
    assert all(name.startswith("nginx.ingress.kubernetes.io/canary") for name in canary["metadata"]["annotations"])


def test_the_url_in_status_is_that_of_callers() -> None:
    """Over TLS where the spec asks for it."""
    plain: dict[str, Any] = {"className": "nginx", "host": "iris.example.com"}
    tls = {**plain, "tls": {}}
    assert a_spec(traffic={"ingress": plain}).traffic.url == "http://iris.example.com/"
    assert a_spec(traffic={"ingress": tls}).traffic.url == "https://iris.example.com/"
    assert a_spec(traffic={"ingress": {**tls, "path": "/a/b"}}).traffic.url == "https://iris.example.com/a/b/"
