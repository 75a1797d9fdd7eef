"""Who has a host: known without reading every object at every look, and never from a lost event."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sluice_operator.controller.host_claims import HostClaims
from tests.unit.sluice_operator.fakes import FakeKube, finish

HOST = "iris.example.com"


def an_object(name: str, hour: int = 12, host: str = HOST, uid: str = "") -> dict[str, Any]:
    metadata = {"name": name, "namespace": "models", "creationTimestamp": f"2026-03-01T{hour}:00:00Z"}
    return {
        "kind": "ModelDeployment",
        "metadata": {**metadata, "uid": uid or name},
        "spec": {"traffic": {"ingress": {"host": host}}},
    }


class Counting(FakeKube):
    """Knows how often all objects were read."""

    def __init__(self, *objects: dict[str, Any]) -> None:
        super().__init__()
        self.lists = 0
        for one in objects:
            self.put(one)

    def put(self, manifest: dict[str, Any]) -> None:
        self.objects[manifest["kind"], manifest["metadata"]["name"]] = manifest

    async def find(self, kind: str, namespace: str, labels: Mapping[str, str]) -> list[dict[str, Any]]:
        self.lists += 1
        return await super().find(kind, namespace, labels)


def older(hosts: HostClaims, body: dict[str, Any]) -> str:
    return finish(hosts.older(body))


def test_the_oldest_object_has_the_host() -> None:
    """Of those created in the same second the one whose uid sorts first, so that exactly one of them has it."""
    everyone = [an_object("c", 13), an_object("d", 10, "d.example.com"), an_object("b"), an_object("a")]
    hosts = HostClaims(Counting(*everyone))
    assert [older(hosts, one) for one in everyone] == ["models/a", "", "models/a", ""]


def test_all_objects_are_listed_once() -> None:
    """Later ones are told by the watch."""
    mine = an_object("mine", 13)
    kube = Counting(mine)
    hosts = HostClaims(kube)
    assert older(hosts, mine) == ""
    first = an_object("first")
    kube.put(first)
    hosts.see(first)
    assert [older(hosts, mine) for _ in range(9)] == ["models/first"] * 9
    assert kube.lists == 1


def test_a_host_that_was_given_up_is_free() -> None:
    """By deletion, by another host, or by an object of the same name that came later."""
    mine, first = an_object("mine", 13), an_object("first")
    hosts = HostClaims(Counting(mine, first))
    assert older(hosts, mine) == "models/first"
    hosts.see(an_object("first", host="first.example.com"))
    assert older(hosts, mine) == ""
    hosts.see(an_object("first", 14, uid="second life"))
    assert older(hosts, mine) == ""
    hosts.forget("models", "first")
    hosts.forget("models", "first")
    assert older(hosts, mine) == ""


def test_a_lost_event_keeps_no_host_taken() -> None:
    """What the watch did not tell is seen when it matters."""
    mine, first, second = an_object("mine", 13), an_object("first", 11), an_object("second", 12)
    kube = Counting(mine, first, second)
    hosts = HostClaims(kube)
    assert older(hosts, mine) == "models/first"
    del kube.objects["ModelDeployment", "first"]
    assert older(hosts, mine) == "models/second"
    kube.put(an_object("second", 12, "second.example.com"))
    assert older(hosts, mine) == ""
