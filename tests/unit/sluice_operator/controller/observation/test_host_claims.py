"""Which object has a host: known without a list of all objects in each reconcile, and right after missed events."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from sluice_operator.api.allowed_routes import Allowed, AllowedRoutes
from sluice_operator.api.place import Place
from sluice_operator.controller.observation.host_claims import HostClaims, granted_before_noted, served_since
from sluice_operator.kubernetes.children import Children
from tests.unit.sluice_operator.build import OWNER
from tests.unit.sluice_operator.fakes import FakeKube, finish

HOST = "iris.example.com"


def an_object(
    name: str,
    hour: int = 12,
    host: str = HOST,
    uid: str = "",
    status: dict[str, Any] | None = None,
    path: str = "/",
) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "models", "creationTimestamp": f"2026-03-01T{hour:02}:00:00Z"}
    return {
        "kind": "ModelDeployment",
        "metadata": {**metadata, "uid": uid or name},
        "spec": {"traffic": {"ingress": {"className": "nginx", "host": host, "path": path}}},
        "status": status or {},
    }


def a_rule(host: str, path: str = "/") -> dict[str, Any]:
    return {"host": host, "http": {"paths": [{"path": path}]}}


def granted(hour: int, host: str = HOST, minute: int = 0, path: str = "/") -> dict[str, Any]:
    """The status of an object that got `host` at that time."""
    since = f"2026-03-02T{hour:02}:{minute:02}:00.5Z"
    ingress = {"className": "n", "host": host, "path": path}
    return {"phase": "Stable", "route": {"traffic": {"ingress": ingress}, "since": since}}


WITHOUT_ROUTE = {"phase": "Stable", "url": f"http://{HOST}/"}  # as operators before `status.route` wrote it


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


def holder(hosts: HostClaims, body: dict[str, Any], host: str = HOST, path: str = "/") -> str:
    return finish(hosts.holder(body, Place(host, path)))


def test_of_those_that_ask_the_oldest_object_gets_the_host() -> None:
    """Of objects from the same second it is the one whose uid sorts first, so that exactly one object has the host."""
    everyone = [an_object("c", 13), an_object("d", 10, "d.example.com"), an_object("b"), an_object("a")]
    hosts = HostClaims(Counting(*everyone), AllowedRoutes())
    asked = [(body, body["spec"]["traffic"]["ingress"]["host"]) for body in everyone]
    assert [holder(hosts, body, host) for body, host in asked] == ["models/a", "", "models/a", ""]


def test_who_may_not_use_a_host_does_not_keep_it_from_others() -> None:
    """Not by asking for it first, nor by having had it: then it keeps it until somebody asks who may have it."""
    squatter, entitled = an_object("squatter"), an_object("entitled", 13)
    squatter["metadata"]["namespace"] = "others"
    allowed = AllowedRoutes(hosts=(Allowed("models", HOST),))
    everybody = HostClaims(Counting(squatter, entitled), AllowedRoutes())
    assert holder(everybody, entitled) == "others/squatter", "without such a setting"
    assert holder(HostClaims(Counting(squatter, entitled), allowed), entitled) == ""
    for served in (granted(9), WITHOUT_ROUTE):
        squatter["status"] = served
        hosts = HostClaims(Counting(squatter, entitled), allowed)
        assert [holder(hosts, entitled), holder(hosts, squatter)] == ["", "models/entitled"]
        assert holder(HostClaims(Counting(squatter), allowed), squatter) == ""


def test_workers_that_begin_together_share_one_list() -> None:
    """Of a thousand objects it is megabytes: one for each worker kept a starting operator from renewing its Lease."""

    class Slow(Counting):
        async def find(self, kind: str, namespace: str, labels: Mapping[str, str]) -> list[dict[str, Any]]:
            listed = await super().find(kind, namespace, labels)
            await asyncio.sleep(0)
            return listed

    bodies = [an_object(str(number), host=f"{number}.example.com") for number in range(8)]
    kube = Slow(*bodies)
    hosts = HostClaims(kube, AllowedRoutes())

    async def together() -> None:
        await asyncio.gather(
            *(hosts.holder(body, Place(f"{number}.example.com")) for number, body in enumerate(bodies))
        )

    asyncio.run(together())
    assert kube.lists == 1


def test_all_objects_are_listed_only_once() -> None:
    """The watch reports later ones."""
    mine = an_object("mine", 13)
    kube = Counting(mine)
    hosts = HostClaims(kube, AllowedRoutes())
    assert holder(hosts, mine) == ""
    first = an_object("first")
    kube.put(first)
    hosts.see(first)
    assert [holder(hosts, mine) for _ in range(9)] == ["models/first"] * 9
    assert kube.lists == 1


def test_a_host_that_its_object_gave_up_is_free() -> None:
    """By a change of its host, by a later object with the same name, or by its deletion."""
    mine, first = an_object("mine", 13), an_object("first")
    kube = Counting(mine, first)
    hosts = HostClaims(kube, AllowedRoutes())
    assert holder(hosts, mine) == "models/first"
    for changed in (an_object("first", host="first.example.com"), an_object("first", 14, uid="second life")):
        kube.put(changed)
        hosts.see(changed)
        assert holder(hosts, mine) == ""
    hosts.forget("models", "first")
    hosts.forget("models", "first")
    assert holder(hosts, mine) == ""


def test_a_missed_event_does_not_keep_a_host_taken() -> None:
    """The object that seems to have the host is read again."""
    mine, first, second = an_object("mine", 13), an_object("first", 11), an_object("second", 12)
    kube = Counting(mine, first, second)
    hosts = HostClaims(kube, AllowedRoutes())
    assert holder(hosts, mine) == "models/first"
    del kube.objects["ModelDeployment", "first"]
    assert holder(hosts, mine) == "models/second"
    kube.put(an_object("second", 12, "second.example.com"))
    assert holder(hosts, mine) == ""


def test_an_older_object_cannot_take_a_host_that_was_granted() -> None:
    """It is the first claim that counts, and not the age of the object: the older one asks for the host today."""
    old, young = an_object("old", 10), an_object("young", 14, status=granted(9))
    hosts = HostClaims(Counting(old, young), AllowedRoutes())
    assert [holder(hosts, old), holder(hosts, young)] == ["models/young", ""]


def test_a_host_that_was_granted_just_now_is_not_granted_again() -> None:
    """Before a host is granted, all who ask for it are read again: the watch may not have told yet."""
    old, young = an_object("old", 10), an_object("young", 14)
    kube = Counting(old, young)
    hosts = HostClaims(kube, AllowedRoutes())
    assert holder(hosts, young) == "models/old"
    kube.put(an_object("young", 14, status=granted(9)))
    assert holder(hosts, old) == "models/young"


def test_of_two_that_were_granted_the_same_host_the_first_has_it() -> None:
    """Two operators may have decided in the same moment. Each of the two objects sees the same one."""
    first, second = an_object("z", 14, status=granted(9)), an_object("a", 10, status=granted(9, minute=1))
    hosts = HostClaims(Counting(first, second), AllowedRoutes())
    assert [holder(hosts, first), holder(hosts, second)] == ["", "models/z"]


def test_an_object_keeps_the_host_that_it_has_while_it_asks_for_another() -> None:
    """Nobody gets the first one before the second was granted."""
    moving = an_object("moving", 13, "taken.example.com", status=granted(9))
    other, third = an_object("other", 14, "taken.example.com", status=granted(8, "taken.example.com")), an_object("c")
    hosts = HostClaims(Counting(moving, other, third), AllowedRoutes())
    assert holder(hosts, moving, "taken.example.com") == "models/other"
    assert [holder(hosts, moving), holder(hosts, third)] == ["", "models/moving"]


def test_after_an_upgrade_the_order_is_what_it_was() -> None:
    """Objects that an operator without `status.route` served have had their hosts since they were created."""
    first, second = an_object("z", 10, status=WITHOUT_ROUTE), an_object("a", 11, status=WITHOUT_ROUTE)
    late = an_object("late", 9)
    hosts = HostClaims(Counting(first, second, late), AllowedRoutes())
    assert [holder(hosts, body) for body in (first, second, late)] == ["", "models/z", "models/z"]
    assert [granted_before_noted(body) is not None for body in (first, late)] == [True, False]
    upgraded = an_object("z", 10, status={**granted(9), "url": f"http://{HOST}/"})
    assert granted_before_noted(upgraded) is None, "it was noted"


def test_an_object_that_lost_its_route_asks_again() -> None:
    """Otherwise it would take it back from the first one."""
    lost, first = an_object("lost", 10, status={"phase": "Stable"}), an_object("first", 12, status=granted(9))
    hosts = HostClaims(Counting(lost, first), AllowedRoutes())
    assert [holder(hosts, lost), holder(hosts, first)] == ["models/first", ""]


def test_an_object_whose_status_was_lost_keeps_the_host_that_it_serves() -> None:
    """Its own Ingress says since when, and an older object that waits for the host does not get it now."""
    waiting, lost = an_object("waiting", 10), an_object("lost", 12)
    metadata = {**OWNER.metadata("iris"), "creationTimestamp": "2026-03-01T13:00:00Z"}
    ingress = {"kind": "Ingress", "metadata": metadata, "spec": {"rules": [a_rule(HOST)]}}
    since = served_since(Children({("Ingress", "iris"): ingress}, (), True), OWNER, Place(HOST))
    assert since == datetime(2026, 3, 1, 13, tzinfo=UTC)
    hosts = HostClaims(Counting(waiting, lost), AllowedRoutes())
    rules = [{"matches": [{"path": {"type": "PathPrefix", "value": "/"}}]}]
    route = {"kind": "HTTPRoute", "metadata": metadata, "spec": {"hostnames": [HOST], "rules": rules}}
    assert served_since(Children({("HTTPRoute", "iris"): route}, (), True), OWNER, Place(HOST)) == since
    assert finish(hosts.holder(lost, Place(HOST))) == "models/waiting", "its claim of that moment is the younger one"
    assert finish(hosts.holder(lost, Place(HOST), since)) == ""


def test_only_its_own_ingress_with_that_host_speaks_for_an_object() -> None:
    """Not one of somebody else, and not one for the host before."""
    ours, theirs = OWNER.metadata("iris"), replace(OWNER, uid="other").metadata("iris")
    for metadata, host in ((ours, "other.example.com"), (theirs, HOST)):
        ingress = {"kind": "Ingress", "metadata": metadata, "spec": {"rules": [a_rule(host)]}}
        assert served_since(Children({("Ingress", "iris"): ingress}, (), True), OWNER, Place(HOST)) is None
    assert served_since(Children({}, (), True), OWNER, Place(HOST)) is None


def test_nothing_that_a_namespace_can_make_takes_a_host_from_a_noted_route() -> None:
    """An Ingress from long ago, a status as older operators wrote it, or a route since before the object was there."""
    victim = an_object("victim", 13, status=granted(9))
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    forged = granted(9)
    forged["route"]["since"] = "1970-01-01T00:00:00Z"
    younger = an_object("x", 14)
    younger["metadata"]["creationTimestamp"] = "2026-03-03T00:00:00Z"
    for status in ({}, WITHOUT_ROUTE, forged):
        younger["status"] = status
        hosts = HostClaims(Counting(victim, younger), AllowedRoutes())
        assert finish(hosts.holder(younger, Place(HOST), long_ago)) == "models/victim"
        assert holder(hosts, victim) == ""


def test_what_an_older_operator_served_precedes_what_an_ingress_shows() -> None:
    """In the first minutes after an upgrade no route is noted yet."""
    served, shown = an_object("served", 13, status=WITHOUT_ROUTE), an_object("shown", 12)
    hosts = HostClaims(Counting(served, shown), AllowedRoutes())
    assert finish(hosts.holder(shown, Place(HOST), datetime(2020, 1, 1, tzinfo=UTC))) == "models/served"


def test_a_route_without_a_time_zone_is_no_route() -> None:
    """It could not be compared with those of others: each pass of each of these objects ended with an error."""
    mine, odd = an_object("mine", 13, status=granted(9)), an_object("odd", 10, status=granted(8))
    odd["status"]["route"]["since"] = "2020-01-01T00:00:00"
    hosts = HostClaims(Counting(mine, odd), AllowedRoutes())
    assert [holder(hosts, mine), holder(hosts, odd)] == ["", "models/mine"]


def test_a_list_of_classes_does_not_give_a_host_to_others() -> None:
    """The route was granted, and only its IngressClass is not allowed any more."""
    first, second = an_object("first", 13, status=granted(9)), an_object("second", 10)
    allowed = AllowedRoutes(ingress_classes=(Allowed("*", "nginx"),))
    hosts = HostClaims(Counting(first, second), allowed)
    assert [holder(hosts, first), holder(hosts, second)] == ["", "models/first"]


def test_those_with_the_same_host_are_told_when_it_changes_hands() -> None:
    """So a route that is no longer allowed ends when somebody asks who may have it. Else a thousand would wake each."""
    hosts = HostClaims(Counting(), AllowedRoutes(hosts=(Allowed("others", HOST), Allowed("*", "free.example.com"))))
    had, entitled = an_object("had", 13, status=granted(9)), an_object("entitled", 14)
    entitled["metadata"]["namespace"] = "others"
    assert hosts.see(had) == set()
    assert hosts.see(entitled) == {("models", "had")}
    assert hosts.see(entitled) == set(), "nothing is different"
    later = an_object("later", 15)
    later["metadata"]["namespace"] = "others"
    assert hosts.see(later) == set(), "the host stays where it is"
    entitled["spec"] = an_object("entitled", 14, "free.example.com")["spec"]
    assert hosts.see(entitled) == {("models", "had"), ("others", "later")}


def below(name: str, path: str, hour: int = 12, granted_at: int = 0) -> dict[str, Any]:
    """An object that asks for a path of the host, and has it since that hour, if any."""
    return an_object(name, hour, path=path, status=granted(granted_at, path=path) if granted_at else None)


def who_waits(*bodies: dict[str, Any]) -> dict[str, str]:
    """For whom each of the objects waits, by name."""
    hosts = HostClaims(Counting(*bodies), AllowedRoutes())
    asked = {body["metadata"]["name"]: body for body in bodies}
    paths = {name: body["spec"]["traffic"]["ingress"]["path"] for name, body in asked.items()}
    return {name: holder(hosts, body, path=paths[name]).rpartition("/")[2] for name, body in asked.items()}


def test_models_with_different_paths_share_a_host() -> None:
    """Also if one path begins with the letters of the other."""
    assert who_waits(below("a", "/iris", 10), below("b", "/iris-2", 11), below("c", "/a/b", 12)) == dict.fromkeys(
        "abc", ""
    )


def test_a_path_above_or_below_is_the_same_place() -> None:
    """A request for the lower one would be one for both. What is free in between is not kept for those that wait."""
    had = below("had", "/a/b", 14, granted_at=9)
    assert who_waits(
        had, below("whole", "/"), below("above", "/a"), below("under", "/a/b/c"), below("beside", "/a/c")
    ) == {
        "had": "",
        "whole": "had",
        "above": "had",
        "under": "had",
        "beside": "",
    }


def test_who_must_wait_keeps_nobody_else_from_a_path() -> None:
    """An older object asks for all of the host and cannot have it: the other paths are free."""
    whole, had, young = below("whole", "/", 8), below("had", "/a", 14, granted_at=9), below("young", "/b", 15)
    assert who_waits(whole, had, young) == {"whole": "had", "had": "", "young": ""}


def test_who_moves_up_does_not_wait_for_itself() -> None:
    """It has a path of the host and asks for all of it: only others can be in its way."""
    moving = an_object("moving", 13, status=granted(9, path="/a"))
    assert who_waits(moving) == {"moving": ""}
    assert who_waits(moving, below("other", "/b", 10)) == {"moving": "other", "other": ""}


def test_those_below_are_told_when_all_of_the_host_changes_hands() -> None:
    """And the other way round."""
    hosts = HostClaims(Counting(), AllowedRoutes())
    whole, first, second = an_object("whole", 9, status=granted(9)), below("first", "/a"), below("second", "/b", 13)
    assert [hosts.see(body) for body in (whole, first, second)] == [set(), set(), set()]
    assert hosts.see(an_object("whole", 9, "free.example.com")) == {("models", "first"), ("models", "second")}
    assert hosts.see(an_object("whole", 9)) == {("models", "first"), ("models", "second")}


def test_an_ingress_speaks_for_its_path_alone() -> None:
    """Of an object whose status was lost, too."""
    metadata = {**OWNER.metadata("iris"), "creationTimestamp": "2026-03-01T13:00:00Z"}
    ingress = {"kind": "Ingress", "metadata": metadata, "spec": {"rules": [a_rule(HOST, Place(HOST, "/a").in_ingress)]}}
    owned = Children({("Ingress", "iris"): ingress}, (), True)
    since = {path: served_since(owned, OWNER, Place(HOST, path)) is not None for path in ("/", "/a", "/a/b")}
    assert since == {"/": False, "/a": True, "/a/b": False}


def test_many_that_wait_for_the_same_place_are_told_at_once() -> None:
    """Each of them waits for the same one. To try them all against each other would never end."""
    waiting = [below(f"w{number}", "/", 10) for number in range(300)]
    hosts = HostClaims(Counting(below("had", "/a", 14, granted_at=9), *waiting), AllowedRoutes())
    late = below("late", "/b", 15)
    assert holder(hosts, late, path="/b") == ""


@pytest.mark.parametrize("unknown", [{}, {"tcpRoute": {"host": HOST}}, None])
def test_an_object_with_another_kind_of_route_stops_nobody(unknown: Any) -> None:
    """It is for another version of the operator; everybody else's question is answered."""
    later, asking = an_object("later", 9), an_object("asking", 10)
    later["spec"]["traffic"] = unknown
    hosts = HostClaims(Counting(later, asking), AllowedRoutes())
    assert finish(hosts.holder(asking, Place(HOST))) == ""
    assert hosts.see(later) == set()
