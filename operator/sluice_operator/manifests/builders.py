"""Builders of whole manifests, each of which a person could `kubectl apply`. Pure, and without any policy."""

import base64
from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

from sluice_operator.api import names
from sluice_operator.api.owner import Manifest, Owner
from sluice_operator.api.revision import Revision
from sluice_operator.manifests import registry

DRAIN_SECONDS = 10  # for which a pod still takes requests after its SIGTERM
_FINISH_SECONDS = 20  # that it then has for the requests it has begun


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
            "template": {"metadata": {"labels": pod_labels}, "spec": _pod(owner, revision)},
        },
    }
    manifest["metadata"]["labels"][names.LABEL_REVISION] = revision.revision
    frozen = msgspec.json.encode(replace(revision, ready_replicas=0)).decode()
    manifest["metadata"]["annotations"] = {names.ANNOTATION_REVISION: frozen}
    return manifest


def _pod(owner: Owner, revision: Revision) -> Manifest:
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": DRAIN_SECONDS + _FINISH_SECONDS,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "runAsGroup": 10001,
            "fsGroup": 10001,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "initContainers": [_fetch(owner, revision)],
        "containers": [_serve(owner, revision)],
        "volumes": [
            {"name": "model", "emptyDir": {}},
            {"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}},
            {"name": "feedback", "secret": {"secretName": names.feedback_secret(owner.name)}},
            *registry.volumes(revision),
        ],
    }


def _container(name: str, command: str, revision: Revision) -> Manifest:
    return {
        "name": name,
        "image": revision.image,
        "imagePullPolicy": "IfNotPresent",
        "args": [command],
        "resources": revision.resources,
        "terminationMessagePolicy": "File",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "model", "mountPath": names.MODEL_DIR},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - an emptyDir of this pod
        ],
    }


def _fetch(owner: Owner, revision: Revision) -> Manifest:
    env = {
        "SLUICE_MODEL_URI": revision.model.uri,
        "SLUICE_MODEL_DIR": names.MODEL_DIR,
        "SLUICE_TRUST": revision.trust,
        "SLUICE_TRUSTED_TYPES": ",".join(owner.trusted_types),
    }
    container = _container("fetch", "fetch", revision)
    return {**container, **registry.access(owner, revision, _env(env), container["volumeMounts"])}


def _serve(owner: Owner, revision: Revision) -> Manifest:
    container = _container("server", "serve", revision)
    feedback = {"name": "feedback", "mountPath": names.FEEDBACK_DIR, "readOnly": True}
    env = {
        "SLUICE_MODEL_DEPLOYMENT": owner.name,
        "SLUICE_REVISION": revision.revision,
        "SLUICE_MODEL_NAME": revision.model.name,
        "SLUICE_MODEL_VERSION": revision.model.version,
        "SLUICE_MODEL_URI": revision.model.uri,
        "SLUICE_MODEL_DIR": names.MODEL_DIR,
        "SLUICE_TRUSTED_TYPES": ",".join(owner.trusted_types),
        "SLUICE_FEEDBACK_KEY_FILE": f"{names.FEEDBACK_DIR}/key",
        "SLUICE_DRAIN_DELAY": str(DRAIN_SECONDS),
    }
    return {
        **container,
        "env": [*_env(env), *(entry for entry in revision.env if entry["name"] not in env)],
        "ports": [
            {"name": "http", "containerPort": names.PORT_HTTP},
            {"name": "gateway", "containerPort": names.PORT_GATEWAY},
        ],
        "readinessProbe": {
            "httpGet": {"path": "/health/ready", "port": "http"},
            "periodSeconds": 2,
            "timeoutSeconds": 5,
        },
        "startupProbe": {
            "httpGet": {"path": "/health/live", "port": "http"},
            "periodSeconds": 1,
            "timeoutSeconds": 5,
            "failureThreshold": 300,
        },
        "livenessProbe": {
            "httpGet": {"path": "/health/live", "port": "http"},
            "periodSeconds": 10,
            "timeoutSeconds": 10,
            "failureThreshold": 6,
        },
        "volumeMounts": [*container["volumeMounts"], feedback],
    }


def _env(values: dict[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in values.items()]


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
