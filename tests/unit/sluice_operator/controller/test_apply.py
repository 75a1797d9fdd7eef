"""Writes are conditional on what was read, come in the right order, and are left out if nothing differs."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_operator.api.observation import Observation
from sluice_operator.api.owner import Manifest
from sluice_operator.api.status import Status
from sluice_operator.api.traffic import HttpRoute, Ingress, ParentRef
from sluice_operator.controller.apply import apply
from sluice_operator.kubernetes.children import Budgets, Children, read
from sluice_operator.kubernetes.coverage import covers
from sluice_operator.kubernetes.port import Conflict, ReadRefused, WriteRefused
from sluice_operator.manifests.render import render
from sluice_operator.routing.http_route import GatewayApi
from sluice_operator.routing.nginx import NginxIngress
from tests.unit.sluice_operator import canary_routes
from tests.unit.sluice_operator.build import (
    LIVE,
    OWNER,
    a_spec,
    again,
    revision,
    rolling_back,
    stable_on,
    starting,
    stepping,
)
from tests.unit.sluice_operator.fakes import FakeKube, Reference, finish

CANARY_ROUTE: Reference = ("Ingress", "iris-canary")


def read_children(kube: FakeKube) -> Children:
    return finish(read(kube, OWNER, Status(), NginxIngress(Ingress("nginx", "iris.example.com")).objects(OWNER.name)))


def write(kube: FakeKube, children: Children, seen: Observation) -> list[str]:
    return finish(apply(kube, OWNER, children, render(OWNER, seen.spec, seen.status)))


def cluster_with(seen: Observation) -> FakeKube:
    """A cluster with all objects that the status of `seen` asks for."""
    kube = FakeKube()
    write(kube, read_children(kube), seen)
    return kube


def test_everything_is_created_once() -> None:
    """A second pass writes nothing."""
    kube = FakeKube()
    two = revision(2).revision
    created = write(kube, read_children(kube), stepping())
    assert created[5:7] == [f"created Deployment iris-{two}", f"created Service iris-{two}"]
    assert [line for line in created if "iris-canary" in line] == created[-1:]
    assert write(kube, read_children(kube), stepping()) == []


def test_only_what_differs_is_written() -> None:
    """A new weight is one write."""
    assert write(cluster_with(starting()), read_children(cluster_with(starting())), starting()) == []
    kube = cluster_with(starting())
    assert write(kube, read_children(kube), stepping()) == ["changed Ingress iris-canary"]


@pytest.mark.parametrize("reference", [CANARY_ROUTE, ("Deployment", f"iris-{revision(1).revision}")])
def test_an_object_that_was_changed_since_it_was_read_is_not_written(reference: Reference) -> None:
    """Each write has the version that was read, so a stalled operator cannot bring back an old weight."""
    kube = cluster_with(stepping())
    if reference[0] == "Deployment":
        kube.objects[reference]["spec"]["replicas"] = 7
    children = read_children(kube)
    kube.touch(reference)
    before = dict(kube.objects)
    with pytest.raises(Conflict):
        write(kube, children, rolling_back())
    assert kube.objects[reference] == before[reference]


def test_an_object_that_was_created_since_the_read_is_not_overwritten() -> None:
    """An object that did not exist may only be created."""
    kube = FakeKube()
    nothing = read_children(kube)
    theirs = {"kind": "Service", "metadata": {"name": "iris", "namespace": "models"}, "spec": {"theirs": True}}
    kube.put(theirs)
    with pytest.raises(Conflict):
        write(kube, nothing, stepping())
    assert kube.objects["Service", "iris"]["spec"] == {"theirs": True}


def test_an_object_of_another_owner_is_left_alone() -> None:
    """It is neither written nor deleted, and all other objects are written."""
    kube = FakeKube()
    theirs = {"kind": "Ingress", "metadata": {"name": "iris-canary", "namespace": "models"}, "spec": {"theirs": True}}
    kube.put(theirs)
    before = kube.objects[CANARY_ROUTE]
    assert len(write(kube, read_children(kube), stepping())) == 10
    write(kube, read_children(kube), again(rolling_back(weight=LIVE)))
    assert kube.objects[CANARY_ROUTE] == before


def test_an_object_that_was_changed_since_it_was_read_is_not_deleted() -> None:
    """It may be another object with the same name by now."""
    kube = cluster_with(rolling_back())
    children = read_children(kube)
    kube.touch(CANARY_ROUTE)
    with pytest.raises(Conflict):
        write(kube, children, again(rolling_back(weight=LIVE)))
    assert CANARY_ROUTE in kube.objects


def test_routes_are_deleted_before_the_pods_that_they_lead_to() -> None:
    """The gateway never has a route without pods."""
    kube = cluster_with(rolling_back())
    ended = again(again(rolling_back(weight=LIVE)), after=60)
    two = revision(2).revision
    assert write(kube, read_children(kube), again(ended)) == [
        "deleted Ingress iris-canary",
        f"deleted Service iris-{two}",
        f"deleted Deployment iris-{two}",
    ]


@pytest.mark.parametrize("asked", [canary_routes.HTTP_ROUTE, canary_routes.INGRESS], ids=["to httpRoute", "to ingress"])
def test_a_route_stays_until_the_one_of_another_kind_is_there(asked: dict[str, Any]) -> None:
    """The API server may refuse the new one, as where it knows no HTTPRoutes: then callers still have the old one."""
    [before] = {"httpRoute", "ingress"} - asked.keys()
    old = {"ingress": canary_routes.INGRESS, "httpRoute": canary_routes.HTTP_ROUTE}[before]
    kube, wanted = (
        cluster_with(again(stable_on(1, spec=a_spec(traffic=old)))),
        again(stable_on(1, spec=a_spec(traffic=asked))),
    )
    routes = [reference for reference in kube.objects if reference[0] in ("Ingress", "HTTPRoute")]

    def refuse(verb: str, manifest: Manifest) -> None:
        if verb == "create" and manifest["kind"] in ("Ingress", "HTTPRoute"):
            raise WriteRefused("no such kind")

    kube.before_write = refuse
    with pytest.raises(WriteRefused):
        write(kube, read_children(kube), wanted)
    assert [reference for reference in kube.objects if reference[0] in ("Ingress", "HTTPRoute")] == routes
    kube.before_write = lambda verb, manifest: None
    created, deleted = write(kube, read_children(kube), wanted)
    assert (created.split()[0], deleted.split()[0]) == ("created", "deleted")


def test_a_route_stays_while_somebody_else_has_the_name_of_the_new_one() -> None:
    """The condition NameTaken says what to do; callers are not cut off meanwhile."""
    kube = cluster_with(stable_on(1))
    theirs = {"kind": "HTTPRoute", "metadata": {"name": "iris", "namespace": "models"}, "spec": {"theirs": True}}
    kube.put(theirs)
    wanted = again(stable_on(1, spec=a_spec(traffic=canary_routes.HTTP_ROUTE)))
    router = GatewayApi(HttpRoute((ParentRef("public"),), "iris.example.com"))
    children = finish(read(kube, OWNER, Status(), router.objects(OWNER.name)))
    assert write(kube, children, wanted) == []
    assert ("Ingress", "iris") in kube.objects


def test_what_somebody_adds_inside_of_an_http_route_is_taken_out() -> None:
    """A match or a filter more means another route. What the API server adds by itself comes again: it stays."""
    kube = cluster_with(again(stable_on(1, spec=a_spec(traffic=canary_routes.HTTP_ROUTE))))
    wanted = again(stable_on(1, spec=a_spec(traffic=canary_routes.HTTP_ROUTE)))
    live = kube.objects["HTTPRoute", "iris"]
    live["spec"]["rules"][0] |= {"timeouts": {"request": "1ms"}}
    assert write(kube, read_children(kube), wanted) == []
    editor = {"manager": "kubectl-edit", "operation": "Update", "time": "2026-03-01T12:00:00Z"}
    live["metadata"]["managedFields"] = [{**editor, "fieldsV1": {"f:spec": {"f:rules": {}}}}]
    assert write(kube, read_children(kube), wanted) == ["changed HTTPRoute iris (written by kubectl-edit)"]


@pytest.mark.parametrize(("generation", "is_written"), [(1, True), (2, False)])
def test_a_status_that_the_gateway_writes_is_no_lost_race(generation: int, is_written: bool) -> None:
    """Gateways write the status of an HTTPRoute whenever they like; a weight does not wait for that."""
    kube = cluster_with(again(stable_on(1, spec=a_spec(traffic=canary_routes.HTTP_ROUTE))))
    route = kube.objects["HTTPRoute", "iris"]
    moved = {**route["spec"], "hostnames": ["other.example.com"]}
    kube.put({**route, "metadata": {**route["metadata"], "generation": 1, "uid": "1"}, "spec": moved})
    children = read_children(kube)
    live = kube.objects["HTTPRoute", "iris"]
    kube.put({**live, "metadata": {**live["metadata"], "generation": generation}, "status": {"parents": []}})
    with nullcontext() if is_written else pytest.raises(Conflict):
        assert write(kube, children, again(stable_on(1, spec=a_spec(traffic=canary_routes.HTTP_ROUTE))))
    hosts = kube.objects["HTTPRoute", "iris"]["spec"]["hostnames"]
    assert hosts == (["iris.example.com"] if is_written else ["other.example.com"])


def test_an_object_that_is_being_deleted_is_not_deleted_again() -> None:
    """A deletion takes some time."""
    kube = cluster_with(rolling_back())
    kube.objects[CANARY_ROUTE]["metadata"]["deletionTimestamp"] = "2026-03-01T12:00:00Z"
    assert write(kube, read_children(kube), again(rolling_back(weight=LIVE))) == []


VALUES: Any = st.recursive(
    st.none() | st.integers(0, 3) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=1), inner, max_size=3),
    max_leaves=8,
)


@given(VALUES)
def test_a_value_covers_itself(value: Any) -> None:
    """An object that was written and read back is not written again."""
    assert covers(value, value)


@given(st.dictionaries(st.text("abc", max_size=1), VALUES), st.text("xyz", min_size=1), VALUES)
def test_fields_that_others_add_do_not_matter(wanted: dict[str, Any], key: str, added: Any) -> None:
    """Defaults of the API server and annotations of a gateway are not drift; a missing field is."""
    assert covers({**wanted, key: added}, wanted)
    assert not covers(wanted, {**wanted, key: added})


@pytest.mark.parametrize(
    ("live", "wanted"),
    [({"a": 1}, {"a": 2}), ({"a": [1]}, {"a": [1, 2]}), ({"a": [1, 2]}, {"a": [1]}), ({"a": 1}, {"a": {}}), ([], {})],
)
def test_a_different_value_is_not_covered(live: Any, wanted: Any) -> None:
    """Another value, a shorter or longer list, another type."""
    assert not covers(live, wanted)


def test_all_writes_are_tried_although_one_fails() -> None:
    """A Deployment that the API server refuses must not delay weight 0. The refusal is raised, not the lost race."""

    class WithQuota(FakeKube):
        async def create(self, manifest: Manifest) -> None:
            if manifest["kind"] == "Deployment":
                raise WriteRefused("exceeded quota")
            await super().create(manifest)

    kube = WithQuota()
    with pytest.raises(WriteRefused, match="exceeded quota"):
        write(kube, read_children(kube), stepping())
    assert CANARY_ROUTE in kube.objects


def test_no_pods_are_deleted_while_a_service_may_still_lead_to_them() -> None:
    """The write of Service NAME lost a race. Routes go all the same."""
    kube = cluster_with(rolling_back())
    ended = again(again(rolling_back(weight=LIVE)), after=60)
    two, service = revision(2).revision, kube.objects["Service", "iris"]
    kube.put({**service, "spec": {**service["spec"], "selector": {"sluice.dev/revision": two}}})
    children = read_children(kube)
    kube.touch(("Service", "iris"))
    with pytest.raises(Conflict):
        write(kube, children, again(ended))
    assert CANARY_ROUTE not in kube.objects
    assert ("Deployment", f"iris-{two}") in kube.objects


def test_a_label_that_was_added_to_a_selector_is_removed() -> None:
    """A selector with a label that no pod has selects no pod."""
    kube = cluster_with(stepping())
    kube.objects["Service", "iris"]["spec"]["selector"]["nobody"] = "here"
    assert write(kube, read_children(kube), stepping()) == ["changed Service iris"]


BUDGET = ("PodDisruptionBudget", f"iris-{revision(1).revision}")


def test_a_budget_goes_when_one_pod_is_left() -> None:
    """In the pass that takes the other one away."""
    kube = cluster_with(stable_on(1))
    assert BUDGET in kube.objects
    smaller = stable_on(1, spec=a_spec(server={"replicas": 1}))
    assert write(kube, read_children(kube), smaller) == [
        f"scaled iris-{revision(1).revision} to 1",
        f"deleted {' '.join(BUDGET)}",
    ]


def test_budgets_are_read_from_what_watches_have_told() -> None:
    """One that is not there is asked for where it should be, and nowhere else."""

    class Told(FakeKube):
        async def get(self, kind: str, namespace: str, name: str) -> Manifest | None:
            raise AssertionError(f"asked for {kind} {name}")

    kube, told = cluster_with(stable_on(1)), Told()
    told.objects = kube.objects
    seen, routes = stable_on(1), NginxIngress(Ingress("nginx", "iris.example.com")).objects(OWNER.name)
    assert write(kube, finish(read(kube, OWNER, seen.status, routes, Budgets(told))), seen) == []
    del kube.objects[BUDGET]
    with pytest.raises(AssertionError, match="asked for PodDisruptionBudget"):
        finish(read(kube, OWNER, seen.status, routes, Budgets(told)))
    assert BUDGET not in finish(read(kube, OWNER, seen.status, routes, Budgets(told, wanted=False))).objects


def test_without_the_right_to_budgets_all_else_is_written() -> None:
    """As after an upgrade of the image alone: the condition says what is missing."""

    class Forbidden(FakeKube):
        async def find(self, kind: str, namespace: str, labels: Mapping[str, str]) -> list[Manifest]:
            if kind == BUDGET[0]:
                raise ReadRefused("poddisruptionbudgets.policy is forbidden")
            return await super().find(kind, namespace, labels)

    kube = Forbidden()
    children = read_children(kube)
    assert children.unreadable == "PodDisruptionBudgets: poddisruptionbudgets.policy is forbidden"
    assert len(write(kube, children, stepping())) == 10
    assert {kind for kind, _ in kube.objects} == {"ConfigMap", "Deployment", "Ingress", "Secret", "Service"}
