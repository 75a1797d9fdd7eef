"""The objects of each phase, as files that a person could `kubectl apply`."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace as replace_owner
from pathlib import Path
from typing import Any

import pytest
import yaml

from sluice_operator.api import names
from sluice_operator.api.observation import Observation
from sluice_operator.api.owner import Manifest
from sluice_operator.api.run import Phase
from sluice_operator.api.spec import Spec
from sluice_operator.api.status import Status
from sluice_operator.manifests.builders import feedback_secret
from sluice_operator.manifests.render import render
from tests.unit.sluice_operator.build import (
    DEFAULTS_WITH_STORE,
    FAIL,
    LIVE,
    OWNER,
    WITH_STORE,
    a_spec,
    again,
    an_observation,
    pods,
    promoting,
    resolved,
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
    "first": lambda: again(an_observation()),
    "stable": lambda: stable_on(1),
    "starting": starting,
    "preparing": lambda: again(stable_on(1, resolution=resolved(2), defaults=DEFAULTS_WITH_STORE)),
    "stepping": stepping,
    "promoting": promoting,
    "failover": lambda: again(stepping(workloads=pods((revision(2), 1)))),
    "swapped": swapped,
    "watching": watching,
    "rolling-back": rolling_back,
    "rolling-back-after-watching": lambda: again(watching(verdict=FAIL)),
    "stable-with-retiring-pods": lambda: again(rolling_back(weight=LIVE)),
}


def rendered(name: str) -> tuple[Manifest, ...]:
    seen = PHASES[name]()
    return render(WITH_STORE if name == "preparing" else OWNER, seen.spec, seen.status)


def by_name(manifests: tuple[Manifest, ...]) -> dict[tuple[str, str], Manifest]:
    return {(manifest["kind"], manifest["metadata"]["name"]): manifest for manifest in manifests}


@pytest.mark.parametrize("name", PHASES)
def test_each_phase_has_the_objects_of_its_file(name: str) -> None:
    """After an intended change: `REWRITE_GOLDEN=1 pytest tests/unit/sluice_operator/manifests`, and read the diff."""
    sent = json.loads(json.dumps(rendered(name)))
    file, text = GOLDEN / f"{name}.yaml", yaml.safe_dump_all(sent, sort_keys=False, width=120)
    if os.environ.get("REWRITE_GOLDEN"):
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")


def test_each_file_belongs_to_a_phase() -> None:
    """A phase that was removed leaves no file behind."""
    assert {file.stem for file in GOLDEN.glob("*.yaml")} == set(PHASES)


def test_before_the_first_revision_there_are_no_objects() -> None:
    """A ModelDeployment whose URI does not resolve owns no object."""
    assert render(OWNER, a_spec(), Status()) == ()


@pytest.mark.parametrize("name", PHASES)
def test_each_object_has_its_owner_and_labels(name: str) -> None:
    """By these it is found, distinguished from objects of others, and deleted with its owner."""
    for manifest in rendered(name):
        metadata = manifest["metadata"]
        assert metadata["namespace"] == OWNER.namespace
        assert [(reference["uid"], reference["controller"]) for reference in metadata["ownerReferences"]] == [
            (OWNER.uid, True)
        ]
        assert names.labels(OWNER.name).items() <= metadata["labels"].items()


SELECTED = {
    "first": ONE,
    "stable": ONE,
    "starting": ONE,
    "preparing": ONE,
    "stepping": ONE,
    "promoting": ONE,
    "failover": TWO,
    "swapped": TWO,
    "watching": TWO,
    "rolling-back": ONE,
    "rolling-back-after-watching": ONE,
    "stable-with-retiring-pods": ONE,
}


@pytest.mark.parametrize("name", PHASES)
def test_service_name_selects_the_revision_that_serves(name: str) -> None:
    """One revision in each phase."""
    selector = by_name(rendered(name))["Service", "iris"]["spec"]["selector"]
    assert selector == {names.LABEL_OWNER: "iris", names.LABEL_REVISION: SELECTED[name]}


WEIGHTS = {
    "starting": "0",
    "preparing": "0",
    "stepping": "10",
    "promoting": "50",
    "failover": "10",
    "swapped": "50",
    "rolling-back": "0",
}


@pytest.mark.parametrize("name", PHASES)
def test_the_canary_route_has_the_weight(name: str) -> None:
    """In phases without a canary in the gateway there is no such route."""
    route = by_name(rendered(name)).get(("Ingress", "iris-canary"))
    weight = route and route["metadata"]["annotations"]["nginx.ingress.kubernetes.io/canary-weight"]
    assert weight == WEIGHTS.get(name)


SIZES = {
    "first": {ONE: 2},
    "stable": {ONE: 2},
    "starting": {ONE: 2, TWO: 1},
    "preparing": {ONE: 2},
    "stepping": {ONE: 2, TWO: 1},
    "promoting": {ONE: 2, TWO: 2},
    "failover": {ONE: 2, TWO: 2},
    "swapped": {ONE: 2, TWO: 2},
    "watching": {ONE: 2, TWO: 2},
    "rolling-back": {ONE: 2, TWO: 1},
    "rolling-back-after-watching": {ONE: 2, TWO: 2},
    "stable-with-retiring-pods": {ONE: 2, TWO: 1},
}


@pytest.mark.parametrize("name", PHASES)
def test_only_a_canary_has_fewer_pods(name: str) -> None:
    """And only before it takes over. Each revision with pods has its own Service."""
    objects = by_name(rendered(name))
    sizes = {
        manifest["metadata"]["labels"][names.LABEL_REVISION]: manifest["spec"]["replicas"]
        for (kind, _), manifest in objects.items()
        if kind == "Deployment"
    }
    assert sizes == SIZES[name]
    assert all(("Service", f"iris-{revision_name}") in objects for revision_name in sizes)


@pytest.mark.parametrize("name", PHASES)
def test_each_revision_with_several_pods_has_a_budget(name: str) -> None:
    """For its pods alone. One may be missing, so a drained node waits for no more than a pod that starts elsewhere."""
    budgets = {
        manifest["spec"]["selector"]["matchLabels"][names.LABEL_REVISION]: manifest["spec"]["maxUnavailable"]
        for (kind, _), manifest in by_name(rendered(name)).items()
        if kind == "PodDisruptionBudget"
    }
    assert budgets == {revision_name: 1 for revision_name, pods in SIZES[name].items() if pods > 1}


@pytest.mark.parametrize("server", [{"replicas": 1}, {"replicas": 2, "podDisruptionBudget": False}])
def test_there_is_no_budget_for_a_single_pod_or_against_the_spec(server: dict[str, Any]) -> None:
    """A pod that two budgets are for is not evicted at all: who has one of his own says so."""
    kinds = {manifest["kind"] for manifest in render(OWNER, a_spec(server=server), stable_on(1).status)}
    assert "Deployment" in kinds
    assert "PodDisruptionBudget" not in kinds


def test_deployments_come_before_the_routes_to_their_pods() -> None:
    """Objects are written in this order."""
    kinds = [manifest["kind"] for manifest in rendered("stepping")]
    assert kinds == [
        "ConfigMap",
        "Deployment",
        "PodDisruptionBudget",
        "Service",
        "Deployment",
        "Service",
        "Service",
        "Service",
        "Ingress",
        "Ingress",
    ]


def test_a_promotion_does_not_change_pods() -> None:
    """The pod template of a revision is the same in each phase, so its pods are never restarted."""
    templates = {
        str(manifest["spec"]["template"])
        for name in PHASES
        for manifest in rendered(name)
        if manifest["kind"] == "Deployment" and manifest["metadata"]["labels"][names.LABEL_REVISION] == TWO
    }
    assert len(templates) == 1


def test_each_write_of_a_weight_has_a_new_probe_header() -> None:
    """So a gateway that obeys it has the new weight, too. That holds also for two writes of the same weight."""

    def header(seen: Observation) -> Any:
        route = by_name(render(OWNER, seen.spec, seen.status))["Ingress", "iris-canary"]
        return route["metadata"]["annotations"]["nginx.ingress.kubernetes.io/canary-by-header"]

    weights = [starting(), stepping(), promoting(), again(starting(), resolution=stable_on(1).resolution)]
    later = again(stepping(spec=a_spec(objectives=[])))
    assert len({header(seen) for seen in (*weights, later)}) == 5 - 1  # a withdrawn start writes no new weight


def test_the_user_s_environment_and_resources_are_in_the_pods() -> None:
    """The environment comes last, and resources are those of both containers."""
    custom = a_spec(server__env=[{"name": "LOG_LEVEL", "value": "debug"}], server__resources={"limits": {"cpu": "2"}})
    status = again(an_observation(spec=custom)).status
    pod = pod_of(custom, status)
    assert pod["containers"][0]["env"][-1] == {"name": "LOG_LEVEL", "value": "debug"}
    assert [container["resources"] for container in (*pod["initContainers"], *pod["containers"])] == [
        {"limits": {"cpu": "2"}}
    ] * 2


def test_the_feedback_key_is_not_rendered() -> None:
    """It is created once, so no later reconcile can change it."""
    assert all(manifest["kind"] != "Secret" for name in PHASES for manifest in rendered(name))
    secret = feedback_secret(OWNER, "k" * 64)
    assert (secret["metadata"]["name"], secret["stringData"]) == ("iris-feedback", {"key": "k" * 64})


def test_each_phase_has_a_file() -> None:
    """Only Pending has none, because it has no objects."""
    assert {build().status.phase for build in PHASES.values()} == set(Phase) - {Phase.PENDING}


def pod_of(spec: Spec, status: Status) -> Manifest:
    deployment = next(manifest for manifest in render(OWNER, spec, status) if manifest["kind"] == "Deployment")
    pod: Manifest = deployment["spec"]["template"]["spec"]
    return pod


def fetch_of(**registry: str) -> Manifest:
    """The fetch container of a first revision, whose spec names this registry."""
    spec = a_spec(model__registry=registry)
    fetch: Manifest = pod_of(spec, again(an_observation(spec=spec)).status)["initContainers"][0]
    return fetch


def test_another_address_of_the_registry_changes_no_pod_template() -> None:
    """Pods read it from a ConfigMap when they start: proven pods stay, and new ones ask the right server."""
    moved = replace_owner(OWNER, tracking_uri="http://mlflow-2:5000")
    seen = stable_on(1)
    (before, old), (after, new) = (
        (
            [manifest for manifest in render(owner, seen.spec, seen.status) if manifest["kind"] != "ConfigMap"],
            [manifest["data"] for manifest in render(owner, seen.spec, seen.status) if manifest["kind"] == "ConfigMap"],
        )
        for owner in (OWNER, moved)
    )
    assert before == after
    assert (old, new) == (
        [{"MLFLOW_TRACKING_URI": OWNER.tracking_uri}],
        [{"MLFLOW_TRACKING_URI": "http://mlflow-2:5000"}],
    )


def test_a_registry_that_the_user_names_is_in_the_pod_template() -> None:
    """Another one is another revision."""
    address = {"name": "MLFLOW_TRACKING_URI", "value": "http://other:5000"}
    assert address in fetch_of(trackingURI="http://other:5000")["env"]


def test_credentials_are_passed_by_reference_to_the_fetch_container_alone() -> None:
    """The serving process has no use for them. A key that is absent is left out: basic or token."""
    registry = {"credentialsSecret": "mlflow", "artifactSecret": "s3"}
    spec = a_spec(model__registry=registry)
    pod = pod_of(spec, again(an_observation(spec=spec)).status)
    fetch, server = pod["initContainers"][0], pod["containers"][0]
    assert [entry for entry in fetch["env"] if "secretKeyRef" in entry.get("valueFrom", {})] == [
        {"name": name, "valueFrom": {"secretKeyRef": {"name": "mlflow", "key": key, "optional": True}}}
        for name, key in (
            ("MLFLOW_TRACKING_USERNAME", "username"),
            ("MLFLOW_TRACKING_PASSWORD", "password"),
            ("MLFLOW_TRACKING_TOKEN", "token"),
        )
    ]
    assert fetch["envFrom"] == [{"secretRef": {"name": "s3"}}]
    assert {"name": "registry", "mountPath": "/etc/sluice/registry", "readOnly": True} in fetch["volumeMounts"]
    assert "mlflow" not in json.dumps(server)
    assert "envFrom" not in server
    assert not any(mount["name"] == "registry" for mount in server["volumeMounts"])


def test_without_credentials_a_pod_names_no_secret_but_its_own() -> None:
    """The operator's own credentials never go to a pod."""
    assert "envFrom" not in fetch_of()
    assert "secretKeyRef" not in json.dumps(fetch_of())


def test_what_the_operator_sets_is_not_set_by_a_user() -> None:
    """An object that was stored before the CRD refused this runs all the same, without that variable."""
    entry = {"name": "SLUICE_TRUSTED_TYPES", "value": "os.system"}
    custom = a_spec(server__env=[entry, {"name": "THREADS", "value": "2"}])
    server = pod_of(custom, again(an_observation(spec=custom)).status)["containers"][0]
    assert entry not in server["env"]
    assert {"name": "THREADS", "value": "2"} in server["env"]


@pytest.mark.parametrize("trust", ["Data", "TrustedTypes", "Code"])
@pytest.mark.parametrize("name", ["PYTHONPATH", "LD_PRELOAD"])
def test_no_variable_makes_code_of_a_model_s_files_without_trust(trust: str, name: str) -> None:
    """Python imports what is in a folder of PYTHONPATH before anything of the server runs."""
    entry = {"name": name, "value": "/model/files"}
    custom = a_spec(model__trust=trust, server__env=[entry])
    server = pod_of(custom, again(an_observation(spec=custom)).status)["containers"][0]
    assert (entry in server["env"]) == (trust == "Code")
