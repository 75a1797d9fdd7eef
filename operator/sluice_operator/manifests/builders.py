"""Builders of whole manifests, each of which a person could `kubectl apply`. Pure, and without any policy."""

import base64
from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

from sluice_operator.api import names
from sluice_operator.api.owner import Manifest, Owner
from sluice_operator.api.revision import Revision
from sluice_operator.manifests import pod_templates

_ATTEMPT_SECONDS = 3600  # of a prepare Job; then it is made anew
_KEPT_SECONDS = 3600  # for which its log can be read afterwards
_RESTARTS = 1000  # that an attempt has no time for: the kubelet's pauses between them grow


def deployment(owner: Owner, revision: Revision, replicas: int) -> Manifest:
    """The Deployment of one revision, with that revision's settings. After its creation only `replicas` changes."""
    labels = {names.LABEL_OWNER: owner.name, names.LABEL_REVISION: revision.revision}
    pod_labels = {**names.labels(owner.name), names.LABEL_REVISION: revision.revision}
    manifest: Manifest = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": owner.metadata(names.workload(owner.name, revision.revision)),
        "spec": {
            "replicas": replicas,
            "revisionHistoryLimit": 0,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "selector": {"matchLabels": labels},
            "template": pod_templates.serving(owner, revision, pod_labels),
        },
    }
    manifest["metadata"]["labels"][names.LABEL_REVISION] = revision.revision
    frozen = msgspec.json.encode(replace(revision, ready_replicas=0, lost=None)).decode()
    manifest["metadata"]["annotations"] = {names.ANNOTATION_REVISION: frozen}
    return manifest


def disruption_budget(owner: Owner, revision: str) -> Manifest:
    """The PodDisruptionBudget of one revision: who empties nodes takes one of its pods at a time.

    It holds up nobody for ever: one pod may always be missing, and pods that are not ready may be taken at any time.
    """
    manifest: Manifest = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": owner.metadata(names.workload(owner.name, revision)),
        "spec": {
            "maxUnavailable": 1,
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
            "selector": {"matchLabels": {names.LABEL_OWNER: owner.name, names.LABEL_REVISION: revision}},
        },
    }
    manifest["metadata"]["labels"][names.LABEL_REVISION] = revision
    return manifest


def prepare_job(owner: Owner, revision: Revision, run: str) -> Manifest:
    """The Job that prepares the model of a revision, and puts it into the store. `run`: what it is prepared for.

    Its pod has no label that a Service or a Deployment selects. A container that ends with an error is started again in
    the same pod, as one that fetches is.
    """
    about = {names.LABEL_REVISION: revision.revision, names.LABEL_RUN: run}
    pod_labels = {
        "app.kubernetes.io/name": "sluice-prepare",
        "app.kubernetes.io/instance": owner.name,
        names.LABEL_MANAGED_BY: names.MANAGED_BY,
        names.LABEL_PREPARES: owner.name,
        names.LABEL_REVISION: revision.revision,
    }
    manifest: Manifest = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": owner.metadata(names.prepare_job(owner.name, revision.revision), **about),
        "spec": {
            "backoffLimit": _RESTARTS,
            "activeDeadlineSeconds": _ATTEMPT_SECONDS,
            "ttlSecondsAfterFinished": _KEPT_SECONDS,
            "template": pod_templates.preparing(owner, revision, pod_labels),
        },
    }
    return manifest


def role_service(owner: Owner, serving: str | None, stable: str | None = None) -> Manifest:
    """Service NAME, which selects the pods of `serving`, and says which revision is stable. Without one, no pods."""
    selector = {names.LABEL_OWNER: owner.name, names.LABEL_REVISION: serving or names.NO_REVISION}
    manifest = _service(owner, owner.name, selector)
    if stable is not None:
        manifest["metadata"]["annotations"] = {names.ANNOTATION_STABLE: stable}
    return manifest


def revision_service(owner: Owner, revision: str) -> Manifest:
    """The Service of one revision. Its selector never changes."""
    selector = {names.LABEL_OWNER: owner.name, names.LABEL_REVISION: revision}
    manifest = _service(owner, names.workload(owner.name, revision), selector)
    manifest["metadata"]["labels"][names.LABEL_REVISION] = revision
    return manifest


def _service(owner: Owner, name: str, selector: dict[str, str]) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": owner.metadata(name),
        "spec": {
            "selector": selector,
            "ports": [
                {"name": "http", "port": 80, "targetPort": "http"},
                {"name": "gateway", "port": names.PORT_GATEWAY, "targetPort": "gateway"},
            ],
        },
    }


def metrics_service(owner: Owner) -> Manifest:
    """The headless Service over all pods of all revisions, ready or not, which Prometheus scrapes."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": owner.metadata(names.metrics_service(owner.name), **{names.LABEL_SCRAPE: "true"}),
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": {names.LABEL_OWNER: owner.name},
            "ports": [{"name": "http", "port": names.PORT_HTTP, "targetPort": "http"}],
        },
    }


def feedback_secret(owner: Owner, key: str) -> Manifest:
    """The Secret with the key that signs prediction ids. It is created once, and `render` does not know it."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": owner.metadata(names.feedback_secret(owner.name)),
        "type": "Opaque",
        "stringData": {"key": key},
    }


def store_secret(owner: Owner) -> Manifest:
    """The Secret with the token for the store. It is created once, like that with the key."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": owner.metadata(names.store_secret(owner.name), **{names.LABEL_STORE_TOKEN: "true"}),
        "type": "Opaque",
        "stringData": {"token": owner.store_token},
    }


def run_record(owner: Owner, run: str, summary: Mapping[str, str], record: bytes | None = None) -> Manifest:
    """The ConfigMap with a run record. `summary`: what people can read without unpacking `record`, if there is one."""
    counts = {} if record is None else {"binaryData": {names.RECORD_KEY: base64.b64encode(record).decode()}}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": owner.metadata(names.run_record(owner.name, run), **{names.LABEL_RECORD: names.RUN_RECORD}),
        "immutable": True,
        "data": dict(summary),
        **counts,
    }
