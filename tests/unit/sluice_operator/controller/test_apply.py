"""Writes are guarded by what was read, ordered by what they lead to, and left out where nothing differs."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_operator.api.observation import Observation
from sluice_operator.api.owner import Manifest
from sluice_operator.api.status import Status
from sluice_operator.controller.apply import apply, covers
from sluice_operator.kubernetes.children import Children, read
from sluice_operator.kubernetes.port import Conflict, WriteRefused
from sluice_operator.manifests.render import render
from tests.unit.sluice_operator.build import LIVE, OWNER, again, revision, rolling_back, starting, stepping
from tests.unit.sluice_operator.fakes import FakeKube, Reference, finish

CANARY_ROUTE: Reference = ("Ingress", "iris-canary")


def taken(kube: FakeKube) -> Children:
    return finish(read(kube, OWNER.namespace, OWNER.name, OWNER.uid, Status()))


def applied(kube: FakeKube, children: Children, seen: Observation) -> list[str]:
    return finish(apply(kube, OWNER, children, render(OWNER, seen.spec, seen.status)))


def holding(seen: Observation) -> FakeKube:
    """A cluster in which all that `seen` asks for was made."""
    kube = FakeKube()
    applied(kube, taken(kube), seen)
    return kube


def test_everything_is_made_once() -> None:
    """And nothing is written again while it is as it should be."""
    kube = FakeKube()
    two = revision(2).revision
    made = applied(kube, taken(kube), stepping())
    assert made[3:5] == [f"created Deployment iris-{two}", f"created Service iris-{two}"]
    assert [line for line in made if "iris-canary" in line] == made[-1:]
    assert applied(kube, taken(kube), stepping()) == []


def test_only_what_differs_is_written() -> None:
    """A weight is one write."""
    assert applied(holding(starting()), taken(holding(starting())), starting()) == []
    kube = holding(starting())
    assert applied(kube, taken(kube), stepping()) == ["changed Ingress iris-canary"]


@pytest.mark.parametrize("reference", [CANARY_ROUTE, ("Deployment", f"iris-{revision(1).revision}")])
def test_a_write_over_what_somebody_else_wrote_meanwhile_is_refused(reference: Reference) -> None:
    """Each write carries the version that was read, so a stalled operator brings back nothing."""
    kube = holding(stepping())
    if reference[0] == "Deployment":
        kube.objects[reference]["spec"]["replicas"] = 7
    children = taken(kube)
    kube.touch(reference)
    before = dict(kube.objects)
    with pytest.raises(Conflict):
        applied(kube, children, rolling_back())
    assert kube.objects[reference] == before[reference]


def test_an_object_that_came_into_being_meanwhile_is_not_written_over() -> None:
    """What was absent may only be created."""
    kube = FakeKube()
    nothing = taken(kube)
    theirs = {"kind": "Service", "metadata": {"name": "iris", "namespace": "models"}, "spec": {"theirs": True}}
    kube.put(theirs)
    with pytest.raises(Conflict):
        applied(kube, nothing, stepping())
    assert kube.objects["Service", "iris"]["spec"] == {"theirs": True}


def test_what_somebody_else_owns_is_passed_over() -> None:
    """It is neither written nor deleted, and holds nothing else up."""
    kube = FakeKube()
    theirs = {"kind": "Ingress", "metadata": {"name": "iris-canary", "namespace": "models"}, "spec": {"theirs": True}}
    kube.put(theirs)
    before = kube.objects[CANARY_ROUTE]
    assert len(applied(kube, taken(kube), stepping())) == 8
    applied(kube, taken(kube), again(rolling_back(weight=LIVE)))
    assert kube.objects[CANARY_ROUTE] == before


def test_a_deletion_of_what_somebody_else_wrote_meanwhile_is_refused() -> None:
    """It may be another object of that name by now."""
    kube = holding(rolling_back())
    children = taken(kube)
    kube.touch(CANARY_ROUTE)
    with pytest.raises(Conflict):
        applied(kube, children, again(rolling_back(weight=LIVE)))
    assert CANARY_ROUTE in kube.objects


def test_routes_go_before_the_pods_that_they_lead_to() -> None:
    """A gateway never has a route into nothing."""
    kube = holding(rolling_back())
    ended = again(again(rolling_back(weight=LIVE)), after=60)
    two = revision(2).revision
    assert applied(kube, taken(kube), again(ended)) == [
        "deleted Ingress iris-canary",
        f"deleted Service iris-{two}",
        f"deleted Deployment iris-{two}",
    ]


def test_what_is_going_already_is_not_deleted_again() -> None:
    """A deletion takes its time."""
    kube = holding(rolling_back())
    kube.objects[CANARY_ROUTE]["metadata"]["deletionTimestamp"] = "2026-03-01T12:00:00Z"
    assert applied(kube, taken(kube), again(rolling_back(weight=LIVE))) == []


VALUES: Any = st.recursive(
    st.none() | st.integers(0, 3) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=1), inner, max_size=3),
    max_leaves=8,
)


@given(VALUES)
def test_a_value_covers_itself(value: Any) -> None:
    """What was written and read back is not written again."""
    assert covers(value, value)


@given(st.dictionaries(st.text("abc", max_size=1), VALUES), st.text("xyz", min_size=1), VALUES)
def test_what_others_add_does_not_matter(wanted: dict[str, Any], key: str, added: Any) -> None:
    """Defaults of the API server and annotations of a gateway are no drift."""
    assert covers({**wanted, key: added}, wanted)
    assert not covers(wanted, {**wanted, key: added})


@pytest.mark.parametrize(
    ("live", "wanted"),
    [({"a": 1}, {"a": 2}), ({"a": [1]}, {"a": [1, 2]}), ({"a": [1, 2]}, {"a": [1]}), ({"a": 1}, {"a": {}}), ([], {})],
)
def test_what_differs_is_not_covered(live: Any, wanted: Any) -> None:
    """Another value, a shorter or longer list, another shape."""
    assert not covers(live, wanted)


def test_a_write_that_fails_does_not_keep_the_others_back() -> None:
    """A pod that the API server refuses must not delay weight 0; the refusal is told, not the lost race."""

    class Picky(FakeKube):
        async def create(self, manifest: Manifest) -> None:
            if manifest["kind"] == "Deployment":
                raise WriteRefused("exceeded quota")
            await super().create(manifest)

    kube = Picky()
    with pytest.raises(WriteRefused, match="exceeded quota"):
        applied(kube, taken(kube), stepping())
    assert CANARY_ROUTE in kube.objects


def test_an_addition_to_a_selector_is_repaired() -> None:
    """A label that no pod has takes all traffic away."""
    kube = holding(stepping())
    kube.objects["Service", "iris"]["spec"]["selector"]["nobody"] = "here"
    assert applied(kube, taken(kube), stepping()) == ["changed Service iris"]
