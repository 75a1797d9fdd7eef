"""Which Ingresses and HTTPRoutes of others are named when somebody else answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from sluice_operator.api.place import BELOW, Place
from sluice_operator.kubernetes.hosts import other_routes
from tests.unit.sluice_operator.fakes import FakeKube, finish

PLACE = Place("models.example.com", "/iris")


def named(rule: dict[str, Any], place: Place = PLACE) -> bool:
    kube = FakeKube()
    metadata = {"namespace": "others", "name": "web", "uid": "web"}
    kube.put({"kind": "Ingress", "metadata": metadata, "spec": {"rules": [rule]}})
    return finish(other_routes(kube, place, "ours")) == ("Ingress others/web",)


def a_rule(path: str, host: str = "models.example.com") -> dict[str, Any]:
    return {"host": host, "http": {"paths": [{"path": path}]}}


@pytest.mark.parametrize(
    "path",
    ["/", "/iris", "/iris/", "/iris/v2", f"/iris{BELOW}", f"/iris/v2{BELOW}", "/ir[a-z]+", "/(.*)", "/iris/(.*)"],
)
def test_one_whose_path_may_get_the_same_requests_is(path: str) -> None:
    """Of a regular expression only the beginning is compared: it is better to name one too many."""
    assert named(a_rule(path))
    assert named(a_rule(path, "*.example.com")), "a wildcard is for the host, too"
    assert named(a_rule(path), Place("models.example.com")), "all of the host has that path"


@pytest.mark.parametrize("path", ["/rose", "/iris-2", f"/iris-2{BELOW}", f"/rose{BELOW}", "/rose/(.*)", "/v1.0/rose"])
def test_one_with_another_path_is_not(path: str) -> None:
    """That is how the other models of the host look."""
    assert not named(a_rule(path))
    assert not named(a_rule("/iris", "other.example.com"))


def test_a_rule_without_paths_is_for_all_of_its_host() -> None:
    """Its requests go to the default backend."""
    assert named({"host": "models.example.com"})


def an_http_route(*paths: str, hosts: Sequence[str] = ("models.example.com",)) -> dict[str, Any]:
    rules = [{"matches": [{"path": {"type": "PathPrefix", "value": path}} for path in paths]}] if paths else [{}]
    metadata = {"namespace": "others", "name": "web", "uid": "web"}
    return {"kind": "HTTPRoute", "metadata": metadata, "spec": {"hostnames": list(hosts), "rules": rules}}


@pytest.mark.parametrize(
    ("route", "is_named"),
    [
        (an_http_route(), True),
        (an_http_route("/"), True),
        (an_http_route("/rose", "/iris/v2"), True),
        (an_http_route("/", hosts=["*.example.com"]), True),
        (an_http_route("/rose", "/iris-2"), False),
        (an_http_route("/iris", hosts=["other.example.com"]), False),
    ],
)
def test_an_http_route_is_named_by_its_hosts_and_paths(route: dict[str, Any], is_named: bool) -> None:
    """Without a path it is for all of them."""
    kube = FakeKube()
    kube.put(route)
    assert finish(other_routes(kube, PLACE, "ours")) == (("HTTPRoute others/web",) if is_named else ())
