"""Which object has a host: known without a list of all objects in each reconcile, and right after missed events."""

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
    """Counts how often all objects were listed."""

    def __init__(self, *objects: dict[str, Any]) -> None:
        super().__init__()
        self.lists = 0
        for manifest in objects:
            self.put(manifest)

    def put(self, manifest: dict[str, Any]) -> None:
        self.objects[manifest["kind"], manifest["metadata"]["name"]] = manifest

    async def find(self, kind: str, namespace: str, labels: Mapping[str, str]) -> list[dict[str, Any]]:
        self.lists += 1
        return await super().find(kind, namespace, labels)


def older(hosts: HostClaims, body: dict[str, Any]) -> str:
    return finish(hosts.older(body))


def test_the_oldest_object_has_the_host() -> None:
    """Of objects from the same second it is the one whose uid sorts first, so that exactly one object has the host."""
    everyone = [an_object("c", 13), an_object("d", 10, "d.example.com"), an_object("b"), an_object("a")]
    hosts = HostClaims(Counting(*everyone))
    assert [older(hosts, body) for body in everyone] == ["models/a", "", "models/a", ""]


def test_all_objects_are_listed_only_once() -> None:
    """The watch reports later ones."""
    mine = an_object("mine", 13)
    kube = Counting(mine)
    hosts = HostClaims(kube)
    assert older(hosts, mine) == ""
    first = an_object("first")
    kube.put(first)
    hosts.see(first)
    assert [older(hosts, mine) for _ in range(9)] == ["models/first"] * 9
    assert kube.lists == 1


def test_a_host_that_its_object_gave_up_is_free() -> None:
    """By a change of its host, by a later object with the same name, or by its deletion."""
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


def test_a_missed_event_does_not_keep_a_host_taken() -> None:
    """The object that seems to have the host is read again."""
    mine, first, second = an_object("mine", 13), an_object("first", 11), an_object("second", 12)
    kube = Counting(mine, first, second)
    hosts = HostClaims(kube)
    assert older(hosts, mine) == "models/first"
    del kube.objects["ModelDeployment", "first"]
    assert older(hosts, mine) == "models/second"
    kube.put(an_object("second", 12, "second.example.com"))
    assert older(hosts, mine) == ""
