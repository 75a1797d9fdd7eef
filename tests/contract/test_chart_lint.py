"""Each variant of the chart before strict eyes: the API server, Pod Security, kubeconform, kube-score."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from dev.helm import MONITOR_KINDS, MONITORS, Helm
from dev.programs import find_program
from tests.contract import json_schemas
from tests.contract.chart_values import VARIANTS, chosen
from tests.contract.conftest import Kubectl, api_server_in

RETRAINING = Path(__file__).parents[2] / "manifests" / "retraining" / "iris.yaml"
PODS = {"Deployment", "Job", "Pod"}
NOT_ASKED = {  # of kube-score, and why
    "container-image-pull-policy": "IfNotPresent: a tag of a release is never changed",
    "container-resources": "no limit for CPU, which would only slow it down; the others are tested here",
    "container-ephemeral-storage-request-and-limit": "the file system is read-only but for /tmp, which has a limit",
    "deployment-has-poddisruptionbudget": "the next operator takes over, and models serve without one",
    "deployment-has-host-podantiaffinity": "a topologySpreadConstraint does it",
    "pod-networkpolicy": "networkPolicies.enabled, which nobody is forced to",
}


class Strict(NamedTuple):
    """kubectl for a server whose namespaces enforce `restricted`, and the JSON schemas of what it knows."""

    cluster: Kubectl
    schemas: Path


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Strict]:
    """Knows monitors and rules by name alone: their fields are checked by the types of the Prometheus Operator."""
    folder, schemas = tmp_path_factory.mktemp("strict"), tmp_path_factory.mktemp("schemas")
    with api_server_in(folder) as cluster:
        for kind in MONITOR_KINDS:
            cluster("create", "--filename=-", stdin=json.dumps(any_monitor(kind)))
        for namespace in ("sluice-system", "models", "others"):
            cluster("create", "namespace", namespace)
            cluster("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
        for kind in MONITOR_KINDS:
            cluster.eventually("get", kind, "--namespace=models")
        for account in ("sluice-operator", "sluice-crds", "sluice-test", "sluice-web", "default"):
            cluster("create", "serviceaccount", account, "--namespace=sluice-system")
        json_schemas.write(json.loads(cluster("get", "--raw=/openapi/v2")), schemas)
        yield Strict(cluster, schemas)


def any_monitor(kind: str) -> dict[str, Any]:
    """A CRD that takes any fields."""
    plural = f"{kind.lower()}s"
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.monitoring.coreos.com"},
        "spec": {
            "group": "monitoring.coreos.com",
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
        },
    }


@pytest.fixture(params=VARIANTS)
def manifests(request: pytest.FixtureRequest, helm: Helm) -> list[dict[str, Any]]:
    """All objects of a variant, those of hooks and tests as well."""
    return helm.template(chosen(request.param), *MONITORS)


def pods(manifests: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for each in manifests:
        if each["kind"] in PODS:
            spec = each["spec"] if each["kind"] == "Pod" else each["spec"]["template"]["spec"]
            yield {**spec, "containers": spec["containers"]}


def test_the_api_server_takes_each_object(strict: Strict, manifests: list[dict[str, Any]]) -> None:
    """Unknown fields are errors."""
    strict.cluster(
        "apply", "--dry-run=server", "--validate=strict", "--filename=-", stdin=yaml.safe_dump_all(manifests)
    )


def test_each_pod_is_allowed_in_a_restricted_namespace(strict: Strict, manifests: list[dict[str, Any]]) -> None:
    """Of the operator, the store, the Job for the CRD and `helm test`; each on a read-only file system."""
    for spec in pods(manifests):
        metadata = {"name": "pod", "namespace": "sluice-system"}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
        strict.cluster("create", "--dry-run=server", "--filename=-", stdin=json.dumps(pod))
        [container] = spec["containers"]
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
        assert "memory" in container["resources"]["limits"]


def test_the_cron_jobs_of_the_trainer_are_allowed_there_too(strict: Strict) -> None:
    """As they are in manifests/retraining: on a read-only file system, and with no field that is unknown."""
    strict.cluster("apply", "--dry-run=server", "--validate=strict", f"--filename={RETRAINING}")
    for cron_job in yaml.safe_load_all(RETRAINING.read_text(encoding="utf-8")):
        spec = cron_job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
        metadata = {"name": "pod", "namespace": "sluice-system"}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
        strict.cluster("create", "--dry-run=server", "--filename=-", stdin=json.dumps(pod))
        assert spec["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True


def test_kubeconform_finds_nothing(strict: Strict, manifests: list[dict[str, Any]]) -> None:
    """With `-strict`, and a schema for each kind."""
    where = f"{strict.schemas}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json"
    run([find_program("kubeconform"), "-strict", "-summary", "-verbose", "-schema-location", where, "-"], manifests)


def test_the_prometheus_operator_knows_each_field_of_monitors_and_rules(helm: Helm) -> None:
    """Read by its own types, in which a misspelt field is an error."""
    monitors = [each for each in helm.template(chosen("service monitors"), *MONITORS) if each["kind"] in MONITOR_KINDS]
    assert run([find_program("monitors")], monitors) == "5\n"


def test_kube_score_finds_nothing(manifests: list[dict[str, Any]]) -> None:
    """Except what is not asked for, with its reason."""
    ignored = [part for name in NOT_ASKED for part in ("--ignore-test", name)]
    run([find_program("kube-score"), "score", *ignored, "-"], manifests)


def run(command: list[str], manifests: list[dict[str, Any]]) -> str:
    """What a program prints about manifests. Fails with it if there is something to mend."""
    done = subprocess.run(command, input=yaml.safe_dump_all(manifests), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
