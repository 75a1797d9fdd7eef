"""The Job that prepares a model, and the pods that fetch it from the store: who gets which address and credentials."""

from __future__ import annotations

import json
from dataclasses import replace as replace_owner

import pytest
from msgspec.structs import replace

from sluice_operator.api import names
from sluice_operator.api.owner import Manifest
from sluice_operator.api.revision import Revision
from sluice_operator.manifests import addresses, builders, store
from tests.unit.sluice_operator.build import OWNER, WITH_STORE, a_spec, model, revision

RUN = "aaaaaaaaaa-1772366400"
SECRETS = {"credentialsSecret": "mlflow", "artifactSecret": "s3"}


def prepared(**registry: str) -> Revision:
    """Version 2, whose model is in the store. Its user has another store in mind for labels, which is not asked."""
    pinned, env = (
        replace(model(2), digest="sha256:aa"),
        [
            {"name": "SLUICE_STORE_URL", "value": "http://other"},
            {"name": "SLUICE_STORE_OPEN", "value": "true"},
        ],
    )
    spec = a_spec(model__registry=registry, server__env=env)
    return replace(revision(2, spec), from_store=True, model=pinned)


def pod_of(workload: Manifest) -> Manifest:
    pod: Manifest = workload["spec"]["template"]["spec"]
    return pod


def job(**registry: str) -> Manifest:
    return builders.prepare_job(WITH_STORE, prepared(**registry), RUN)


def test_the_job_asks_the_registry_as_a_pod_that_fetches_does() -> None:
    """The same image, resources, environment, credentials and rights; and the store in addition."""
    fetching = pod_of(builders.deployment(OWNER, replace(prepared(**SECRETS), from_store=False), 1))
    [fetch], [prepare] = fetching["initContainers"], pod_of(job(**SECRETS))["containers"]
    assert (prepare["name"], prepare["args"]) == ("prepare", ["prepare"])
    for field in ("image", "imagePullPolicy", "resources", "securityContext", "terminationMessagePolicy", "envFrom"):
        assert prepare[field] == fetch[field]
    added = [entry for entry in prepare["env"] if entry not in fetch["env"]]
    key = {"name": "iris-registry", "key": "SLUICE_STORE_URL"}
    assert added == [{"name": "SLUICE_STORE_URL", "valueFrom": {"configMapKeyRef": key}}]
    assert [entry for entry in fetch["env"] if entry not in prepare["env"]] == []
    assert pod_of(job())["securityContext"] == fetching["securityContext"]
    assert pod_of(job())["automountServiceAccountToken"] is False


def test_pods_of_a_prepared_revision_need_neither_the_registry_nor_its_credentials() -> None:
    """They start while MLflow is down, and whoever breaks into one finds no password of it."""
    pod = pod_of(builders.deployment(WITH_STORE, prepared(**SECRETS), 1))
    text = json.dumps(pod)
    assert "MLFLOW" not in text
    assert "secretKeyRef" not in text
    assert {volume["name"] for volume in pod["volumes"]} == {"model", "tmp", "feedback", "store"}
    [fetch] = pod["initContainers"]
    assert "envFrom" not in fetch
    [serve] = pod["containers"]
    for container in (fetch, serve):
        assert {"name": "SLUICE_MODEL_DIGEST", "value": "sha256:aa"} in container["env"]
    peers = f"http://iris-{prepared().revision}.models.svc"
    assert {"name": "SLUICE_PEER_URL", "value": peers} in fetch["env"], "while the store is down, too"


def test_what_asks_the_store_has_its_address_and_the_token() -> None:
    """The serving process, too: it has labels counted there. The token may be absent: a store can be open."""
    volume = {"name": "store", "secret": {"secretName": "iris-store", "optional": True}}
    mount = {"name": "store", "mountPath": "/etc/sluice/store", "readOnly": True}
    serving, preparing = pod_of(builders.deployment(WITH_STORE, prepared(), 1)), pod_of(job())
    for pod in (serving, preparing):
        assert volume in pod["volumes"]
    for container in (*serving["initContainers"], *serving["containers"], *preparing["containers"]):
        assert mount in container["volumeMounts"]
        assert [entry["name"] for entry in container["env"]].count("SLUICE_STORE_URL") == 1
    assert store.is_asked_by(job())
    assert not store.is_asked_by(builders.deployment(WITH_STORE, revision(1), 1))
    secret = builders.store_secret(WITH_STORE)
    assert (secret["metadata"]["name"], secret["stringData"]) == ("iris-store", {"token": "models.00ff"})
    assert "models.00ff" not in repr(WITH_STORE)


def test_no_service_and_no_deployment_selects_the_pod_of_the_job() -> None:
    """Kubernetes calls it ready while it runs: it would get requests, and be scraped."""
    labels = job()["spec"]["template"]["metadata"]["labels"].items()
    others = [
        builders.role_service(WITH_STORE, prepared().revision)["spec"]["selector"],
        builders.revision_service(WITH_STORE, prepared().revision)["spec"]["selector"],
        builders.metrics_service(WITH_STORE)["spec"]["selector"],
        builders.deployment(WITH_STORE, prepared(), 1)["spec"]["selector"]["matchLabels"],
    ]
    for selector in others:
        assert not selector.items() <= labels
    assert (names.LABEL_MANAGED_BY, names.MANAGED_BY) in labels, "the watch of pods tells of it"


def test_a_store_changes_no_pod_template_of_a_revision_that_was_made_without_one() -> None:
    """Nor does another address of it that of any revision."""
    for made, owners in (
        (revision(1), (OWNER, WITH_STORE)),
        (prepared(), (WITH_STORE, replace_owner(WITH_STORE, store_url="http://other:8090"))),
    ):
        before, after = (builders.deployment(owner, made, 2) for owner in owners)
        assert before == after


@pytest.mark.parametrize(("token", "is_open"), [("models.00ff", "false"), ("", "true")])
def test_the_address_of_the_store_is_beside_that_of_the_registry(token: str, is_open: str) -> None:
    """Pods read it when they start, and whether they may give their model without a token. Without a store neither."""
    assert addresses.config(replace_owner(WITH_STORE, store_token=token))["data"] == {
        "MLFLOW_TRACKING_URI": OWNER.tracking_uri,
        "SLUICE_STORE_URL": WITH_STORE.store_url,
        "SLUICE_STORE_OPEN": is_open,
    }
    assert "SLUICE_STORE_URL" not in addresses.config(OWNER)["data"]


def test_whether_the_store_is_open_is_said_by_the_operator_alone() -> None:
    """The user's variable of that name is left out. Where nobody says it, a pod gives its model to nobody."""
    [server] = pod_of(builders.deployment(WITH_STORE, prepared(), 1))["containers"]
    reference = {"name": "iris-registry", "key": "SLUICE_STORE_OPEN", "optional": True}
    said = [entry for entry in server["env"] if entry["name"] == "SLUICE_STORE_OPEN"]
    assert said == [{"name": "SLUICE_STORE_OPEN", "valueFrom": {"configMapKeyRef": reference}}]


def test_the_names_of_a_job_fit_into_labels() -> None:
    """Kubernetes writes the name of a Job into a label of its pods, which has 63 characters at most."""
    longest = "m" * 40  # the CRD allows no longer one
    assert len(names.prepare_job(longest, prepared().revision)) <= 63
