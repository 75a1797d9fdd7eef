"""The phase table as objects: what the cluster holds in each phase, as files that a person could `kubectl apply`."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from sluice_operator.api import names
from sluice_operator.api.observation import Observation
from sluice_operator.api.owner import Manifest
from sluice_operator.api.status import Phase, Status
from sluice_operator.manifests.builders import feedback_secret
from sluice_operator.manifests.render import render
from sluice_operator.rollout.decide import decide
from tests.unit.sluice_operator.build import (
    FAIL,
    LIVE,
    OWNER,
    a_look,
    a_spec,
    again,
    promoting,
    revision,
    rolling_back,
    stable_on,
    starting,
    stepping,
    swapped,
    watching,
)

GOLDEN = Path(__file__).parent / "golden"
ONE, TWO = revision(1).revision, revision(2).revision
PHASES: dict[str, Callable[[], Observation]] = {
    "first": lambda: again(a_look()),
    "stable": lambda: stable_on(1),
    "starting": starting,
    "stepping": stepping,
    "promoting": promoting,
    "swapped": swapped,
    "watching": watching,
    "rolling-back": rolling_back,
    "rolling-back-after-watching": lambda: again(watching(verdict=FAIL)),
    "stable-with-retiring-pods": lambda: again(rolling_back(weight=LIVE)),
}


def rendered(name: str) -> tuple[Manifest, ...]:
    seen = PHASES[name]()
    return render(OWNER, seen.spec, seen.status)


def by_name(manifests: tuple[Manifest, ...]) -> dict[tuple[str, str], Manifest]:
    return {(one["kind"], one["metadata"]["name"]): one for one in manifests}


@pytest.mark.parametrize("name", PHASES)
def test_each_phase_is_as_its_file_shows_it(name: str) -> None:
    """After a change that is meant: `REWRITE_GOLDEN=1 pytest tests/unit/controller`, and read the diff."""
    sent = json.loads(json.dumps(rendered(name)))
    file, text = GOLDEN / f"{name}.yaml", yaml.safe_dump_all(sent, sort_keys=False, width=120)
    if os.environ.get("REWRITE_GOLDEN"):
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")


def test_every_file_is_of_a_phase() -> None:
    """A phase that is gone leaves no file behind."""
    assert {file.stem for file in GOLDEN.glob("*.yaml")} == set(PHASES)


def test_before_the_first_revision_there_is_nothing() -> None:
    """A ModelDeployment whose URI does not resolve owns no object."""
    assert render(OWNER, a_spec(), Status()) == ()


@pytest.mark.parametrize("name", PHASES)
def test_everything_is_owned_and_labelled(name: str) -> None:
    """So that it is found, told apart from others' objects, and gone with its owner."""
    for manifest in rendered(name):
        metadata = manifest["metadata"]
        assert metadata["namespace"] == OWNER.namespace
        assert [(one["uid"], one["controller"]) for one in metadata["ownerReferences"]] == [(OWNER.uid, True)]
        assert names.labels(OWNER.name).items() <= metadata["labels"].items()


SELECTED = {
    "first": ONE,
    "stable": ONE,
    "starting": ONE,
    "stepping": ONE,
    "promoting": ONE,
    "swapped": TWO,
    "watching": TWO,
    "rolling-back": ONE,
    "rolling-back-after-watching": ONE,
    "stable-with-retiring-pods": ONE,
}


@pytest.mark.parametrize("name", PHASES)
def test_the_stable_service_follows_the_role(name: str) -> None:
    """Service NAME selects one revision in each phase: the one that has the role."""
    selector = by_name(rendered(name))["Service", "iris"]["spec"]["selector"]
    assert selector == {names.LABEL_OWNER: "iris", names.LABEL_REVISION: SELECTED[name]}


WEIGHTS = {"starting": "0", "stepping": "10", "promoting": "50", "swapped": "50", "rolling-back": "0"}


@pytest.mark.parametrize("name", PHASES)
def test_the_canary_route_carries_the_weight(name: str) -> None:
    """Where no canary can take traffic through the gateway, there is no such route."""
    route = by_name(rendered(name)).get(("Ingress", "iris-canary"))
    weight = route and route["metadata"]["annotations"]["nginx.ingress.kubernetes.io/canary-weight"]
    assert weight == WEIGHTS.get(name)


SIZES = {
    "first": {ONE: 2},
    "stable": {ONE: 2},
    "starting": {ONE: 2, TWO: 1},
    "stepping": {ONE: 2, TWO: 1},
    "promoting": {ONE: 2, TWO: 2},
    "swapped": {ONE: 2, TWO: 2},
    "watching": {ONE: 2, TWO: 2},
    "rolling-back": {ONE: 2, TWO: 1},
    "rolling-back-after-watching": {ONE: 2, TWO: 2},
    "stable-with-retiring-pods": {ONE: 2, TWO: 1},
}


@pytest.mark.parametrize("name", PHASES)
def test_stable_keeps_all_of_its_pods(name: str) -> None:
    """Only a canary is smaller, and only before it takes over; every revision with pods has its own Service."""
    objects = by_name(rendered(name))
    sizes = {
        manifest["metadata"]["labels"][names.LABEL_REVISION]: manifest["spec"]["replicas"]
        for (kind, _), manifest in objects.items()
        if kind == "Deployment"
    }
    assert sizes == SIZES[name]
    assert all(("Service", f"iris-{one}") in objects for one in sizes)


def test_pods_come_before_the_routes_that_lead_to_them() -> None:
    """Objects are written in this order."""
    kinds = [manifest["kind"] for manifest in rendered("stepping")]
    assert kinds == [
        "Deployment",
        "Service",
        "Deployment",
        "Service",
        "Service",
        "Service",
        "Ingress",
        "Ingress",
    ]


def test_a_promotion_changes_no_pod() -> None:
    """The template of a revision's pods is the same in every phase, so proven pods are never restarted."""
    templates = {
        str(manifest["spec"]["template"])
        for name in PHASES
        for manifest in rendered(name)
        if manifest["kind"] == "Deployment" and manifest["metadata"]["labels"][names.LABEL_REVISION] == TWO
    }
    assert len(templates) == 1


def test_each_write_of_a_weight_has_its_own_probe_header() -> None:
    """A gateway that routes by the new name has the new weight too; two writes of one weight are told apart as well."""

    def header(seen: Observation) -> Any:
        route = by_name(render(OWNER, seen.spec, seen.status))["Ingress", "iris-canary"]
        return route["metadata"]["annotations"]["nginx.ingress.kubernetes.io/canary-by-header"]

    weights = [starting(), stepping(), promoting(), again(starting(), resolution=stable_on(1).resolution)]
    later = again(stepping(spec=a_spec(objectives=[])))
    assert len({header(seen) for seen in (*weights, later)}) == 5 - 1  # a withdrawn start writes no new weight


def test_a_route_that_changes_in_mid_run_waits_for_its_end() -> None:
    """No run is judged on two routes."""
    moved = a_spec(traffic={"ingress": {"className": "nginx", "host": "moved.example.com"}})

    def hosts(seen: Observation) -> set[str]:
        status = decide(seen)
        return {one["spec"]["rules"][0]["host"] for one in render(OWNER, seen.spec, status) if one["kind"] == "Ingress"}

    assert hosts(stepping(spec=moved)) == {"iris.example.com"}
    assert hosts(stable_on(1, spec=moved)) == {"moved.example.com"}


def test_what_a_user_sets_reaches_the_server() -> None:
    """The user's environment comes last, resources apply to both containers."""
    custom = a_spec(server__env=[{"name": "LOG_LEVEL", "value": "debug"}], server__resources={"limits": {"cpu": "2"}})
    status = again(a_look(spec=custom)).status
    pod = next(iter(render(OWNER, custom, status)))["spec"]["template"]["spec"]
    assert pod["containers"][0]["env"][-1] == {"name": "LOG_LEVEL", "value": "debug"}
    assert [one["resources"] for one in (*pod["initContainers"], *pod["containers"])] == [{"limits": {"cpu": "2"}}] * 2


def test_the_feedback_key_is_made_apart() -> None:
    """It is created once and never rendered, so no pass can change it."""
    assert all(manifest["kind"] != "Secret" for name in PHASES for manifest in rendered(name))
    secret = feedback_secret(OWNER, "k" * 64)
    assert (secret["metadata"]["name"], secret["stringData"]) == ("iris-feedback", {"key": "k" * 64})


def test_all_phases_are_here() -> None:
    """The table has a row for every phase with objects."""
    assert {build().status.phase for build in PHASES.values()} == set(Phase) - {Phase.PENDING}
