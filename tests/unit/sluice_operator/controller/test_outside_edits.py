"""Objects that others delete, edit, scale, disown or leave behind, in each phase."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from sluice_operator.api import names
from sluice_operator.api.owner import Manifest
from sluice_operator.api.run import Phase
from sluice_operator.api.status import Status
from sluice_operator.api.traffic import Ingress
from sluice_operator.controller.apply import apply
from sluice_operator.kubernetes.children import Children, read
from sluice_operator.manifests.render import render
from sluice_operator.routing.nginx import NginxIngress
from tests.unit.sluice_operator.build import (
    OWNER,
    condition,
    promoting,
    revision,
    rolling_back,
    stable_on,
    starting,
    stepping,
    watching,
)
from tests.unit.sluice_operator.fakes import FakeKube, Reference, finish
from tests.unit.sluice_operator.world import World

STABLE = f"iris-{revision(1).revision}"
KINDS = ("Deployment", "PodDisruptionBudget", "Service", "Ingress")
PHASES = {
    Phase.STABLE: lambda: stable_on(1),
    Phase.STARTING: starting,
    Phase.STEPPING: stepping,
    Phase.PROMOTING: promoting,
    Phase.WATCHING: watching,
    Phase.ROLLING_BACK: rolling_back,
}


def _cluster(phase: Phase) -> tuple[FakeKube, tuple[Manifest, ...]]:
    """The cluster as an object in `phase` has left it, and what was rendered for it."""
    seen = PHASES[phase]()
    rendered = render(OWNER, seen.spec, seen.status)
    kube = FakeKube()
    finish(apply(kube, OWNER, _children(kube), rendered))
    return kube, rendered


def _children(kube: FakeKube) -> Children:
    return finish(read(kube, OWNER, Status(), NginxIngress(Ingress("nginx", "iris.example.com")).objects(OWNER.name)))


def _repair(kube: FakeKube, rendered: tuple[Manifest, ...]) -> list[str]:
    return finish(apply(kube, OWNER, _children(kube), rendered))


def _references(phase: Phase) -> list[tuple[Phase, Reference]]:
    objects = [reference for reference in _cluster(phase)[0].objects if reference[0] != "Secret"]
    return [(phase, reference) for reference in objects]


def _content(manifest: Manifest) -> Manifest:
    return {field: value for field, value in manifest.items() if field != "metadata"}


EACH = [pair for phase in PHASES for pair in _references(phase)]


@pytest.mark.parametrize(("phase", "reference"), EACH)
def test_what_is_deleted_is_made_again(phase: Phase, reference: Reference) -> None:
    """Each kind, in each phase, with one write."""
    kube, rendered = _cluster(phase)
    before = kube.objects.pop(reference)
    assert _repair(kube, rendered) == [f"created {' '.join(reference)}"]
    assert _content(kube.objects[reference]) == _content(before)
    assert _repair(kube, rendered) == []


@pytest.mark.parametrize("field", ["labels", "ownerReferences"])
@pytest.mark.parametrize(("phase", "reference"), EACH)
def test_what_is_disowned_is_owned_again(phase: Phase, reference: Reference, field: str) -> None:
    """A removed label or owner reference comes back; nothing else of a Deployment is written."""
    kube, rendered = _cluster(phase)
    live = kube.objects[reference]
    before = copy.deepcopy(live)
    del live["metadata"][field]
    status = PHASES[phase]().status
    routes = NginxIngress(Ingress("nginx", "iris.example.com")).objects(OWNER.name)
    children = finish(read(kube, OWNER, status, routes))
    assert children.foreign == ()
    assert len(finish(apply(kube, OWNER, children, rendered))) == 1
    assert kube.objects[reference]["metadata"][field] == before["metadata"][field]
    assert _content(kube.objects[reference]) == _content(before)


@pytest.mark.parametrize("phase", [Phase.STABLE, Phase.STEPPING])
def test_orphans_of_an_object_of_this_name_are_adopted(phase: Phase) -> None:
    """After `--cascade=orphan` and another apply: no pod is replaced, and no name is taken, the Secret's neither."""
    kube, rendered = _cluster(phase)
    key = copy.deepcopy(kube.objects["Secret", "iris-feedback"]["stringData"])
    for live in kube.objects.values():
        live["metadata"].pop("ownerReferences")
    templates = {reference: copy.deepcopy(live["spec"]) for reference, live in kube.objects.items() if "spec" in live}
    assert _children(kube).foreign == ()
    written = _repair(kube, rendered)
    assert {line.split()[0] for line in written} == {"adopted"}
    assert {reference: live["spec"] for reference, live in kube.objects.items() if "spec" in live} == templates
    assert kube.objects["Secret", "iris-feedback"]["stringData"] == key
    assert _repair(kube, rendered) == []


def test_adoption_is_told_once_and_stalls_nothing() -> None:
    """By the whole loop, with one Event."""
    world = World()
    world.calm_down(20)
    for live in world.kube.objects.values():
        live["metadata"].pop("ownerReferences", None)
    world.kube.events.clear()
    world.calm_down(3)
    assert world.kube.events == ["DriftRepaired"]
    assert condition(world.status, "Stalled")[:2] == ("False", "Progressing")
    owned = [live["metadata"].get("ownerReferences") for (kind, _), live in world.kube.objects.items() if kind in KINDS]
    assert all(owned)


def test_what_another_object_owns_or_nobody_labelled_is_not_adopted() -> None:
    """Its name is taken, and nothing of it is written."""
    kube, rendered = _cluster(Phase.STABLE)
    other = [{"kind": "Other", "name": "x", "uid": "7", "controller": True}]
    kube.objects["Service", "iris"]["metadata"]["ownerReferences"] = other
    metadata = kube.objects["Ingress", "iris"]["metadata"]
    metadata["labels"], metadata["ownerReferences"] = {names.LABEL_OWNER: "iris"}, []
    assert set(_children(kube).foreign) == {"Service iris", "Ingress iris"}
    assert _repair(kube, rendered) == []


def test_a_second_owner_is_left_alone() -> None:
    """Somebody may add an owner reference of his own; writing against it would never end."""
    kube, rendered = _cluster(Phase.STABLE)
    kube.objects["Service", "iris"]["metadata"]["ownerReferences"].insert(0, {"kind": "Other", "name": "x", "uid": "7"})
    assert _repair(kube, rendered) == []


def _scaled(kube: FakeKube, replicas: int, manager: str) -> None:
    live = kube.objects["Deployment", STABLE]
    live["spec"]["replicas"] = replicas
    entry = {"manager": manager, "time": "2026-03-01T13:00:00Z", "subresource": "scale"}
    live["metadata"]["managedFields"] = [{**entry, "fieldsV1": {"f:spec": {"f:replicas": {}}}}]


@pytest.mark.parametrize(
    ("replicas", "manager", "written"),
    [
        (5, "kube-controller-manager", []),  # an HPA
        (5, "sluice", [f"scaled {STABLE} to 2"]),
        (1, "kube-controller-manager", [f"scaled {STABLE} to 2 (written by kube-controller-manager)"]),
    ],
)
def test_more_pods_are_left_to_whoever_wants_them(replicas: int, manager: str, written: list[str]) -> None:
    """Fewer than the phase needs are not."""
    kube, rendered = _cluster(Phase.STABLE)
    _scaled(kube, replicas, manager)
    assert _repair(kube, rendered) == written


def test_the_one_who_edited_is_named() -> None:
    """As the API server knows him."""
    kube, rendered = _cluster(Phase.STEPPING)
    service: dict[str, Any] = kube.objects["Service", "iris"]
    service["spec"]["selector"][names.LABEL_REVISION] = "other"
    service["metadata"]["managedFields"] = [
        {"manager": "sluice", "time": "2026-03-01T12:00:00Z"},
        {"manager": "kubectl-edit", "time": "2026-03-01T12:30:00Z"},
        {"manager": "gateway", "time": "2026-03-01T12:40:00Z", "subresource": "status"},
    ]
    assert _repair(kube, rendered) == ["changed Service iris (written by kubectl-edit)"]
