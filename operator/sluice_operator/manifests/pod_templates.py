"""The pods of a revision: one that serves, and one that prepares the model. Pure.

Each container runs the model server's image as a user without rights, on a read-only file system.
"""

from collections.abc import Mapping, Sequence

from sluice_operator.api import names
from sluice_operator.api.owner import Manifest, Owner
from sluice_operator.api.revision import Revision
from sluice_operator.api.spec import Trust
from sluice_operator.manifests import registry, store, user_template

# Variables by which Python, the linker or OpenSSL would run files of a folder, such as that of the model: without trust
# Code, these files are data.
_LEADS_TO_CODE = frozenset(
    {"PYTHONEXECUTABLE", "PYTHONHOME", "PYTHONPATH", "PYTHONPLATLIBDIR", "PYTHONPYCACHEPREFIX", "PYTHONUSERBASE"}
    | {"PATH", "GCONV_PATH", "LD_AUDIT", "LD_LIBRARY_PATH", "LD_PRELOAD"}
    | {"OPENSSL_CONF", "OPENSSL_ENGINES", "OPENSSL_MODULES"}
)
DRAIN_SECONDS = 10  # for which a pod still takes requests after its SIGTERM
_FINISH_SECONDS = 20  # that it then has for the requests it has begun


def serving(owner: Owner, revision: Revision, labels: Mapping[str, str]) -> Manifest:
    """The template of a pod that fetches the model and answers predictions, with these labels.

    For the store it needs no registry and no credentials.
    """
    feedback = {"name": "feedback", "secret": {"secretName": names.feedback_secret(owner.name)}}
    access = [store.volume(owner)] if revision.from_store else registry.volumes(revision)
    containers = {"initContainers": [_fetch(owner, revision)], "containers": [_serve(owner, revision)]}
    pod = _pod({"terminationGracePeriodSeconds": DRAIN_SECONDS + _FINISH_SECONDS}, containers, [feedback, *access])
    return user_template.applied(revision.pod_template, labels, pod, sidecars=True)


def preparing(owner: Owner, revision: Revision, labels: Mapping[str, str]) -> Manifest:
    """The template of a pod that brings the model from the registry into the store."""
    containers = {"containers": [_prepare(owner, revision)]}
    pod = _pod({"restartPolicy": "OnFailure"}, containers, [*registry.volumes(revision), store.volume(owner)])
    # A sidecar would keep its Job from ending.
    return user_template.applied(revision.pod_template, labels, pod, sidecars=False)


def _pod(lifetime: Manifest, containers: Manifest, volumes: Sequence[Manifest]) -> Manifest:
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        **lifetime,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "runAsGroup": 10001,
            "fsGroup": 10001,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        **containers,
        "volumes": [
            {"name": "model", "emptyDir": {}},
            {"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}},
            *volumes,
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
    env = _env(_model(owner, revision))
    container = _container("fetch", "fetch", revision)
    if revision.from_store:
        peers = f"http://{names.workload(owner.name, revision.revision)}.{owner.namespace}.svc"
        stored = _env({names.DIGEST_KEY: revision.model.digest, "SLUICE_PEER_URL": peers})
        return store.access(owner, {**container, "env": [*env, *stored]})
    return {**container, **registry.access(owner, revision, env, container["volumeMounts"])}


def _prepare(owner: Owner, revision: Revision) -> Manifest:
    container = _container("prepare", "prepare", revision)
    env = _env(_model(owner, revision))
    return store.access(owner, {**container, **registry.access(owner, revision, env, container["volumeMounts"])})


def _model(owner: Owner, revision: Revision) -> dict[str, str]:
    return {
        "SLUICE_MODEL_URI": revision.model.uri,
        "SLUICE_MODEL_DIR": names.MODEL_DIR,
        "SLUICE_TRUST": revision.trust,
        "SLUICE_TRUSTED_TYPES": ",".join(owner.trusted_types),
    }


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
    from_store = (names.STORE_URL_KEY, names.STORE_OPEN_KEY) if revision.from_store else ()
    if revision.from_store:
        env[names.DIGEST_KEY] = revision.model.digest
    own = {*env, names.DIGEST_KEY, *from_store}
    without = own if revision.trust is Trust.CODE else {*own, *_LEADS_TO_CODE}
    serve = {
        **container,
        "env": [*_env(env), *(entry for entry in revision.env if entry["name"] not in without)],
        "ports": [
            {"name": "http", "containerPort": names.PORT_HTTP},
            {"name": "gateway", "containerPort": names.PORT_GATEWAY},
        ],
        **_probes(),
        "volumeMounts": [*container["volumeMounts"], feedback],
    }
    if not revision.from_store:
        return serve
    return store.access(owner, {**serve, "env": [*serve["env"], store.openness(owner)]})


def _probes() -> Manifest:
    ready, live = ({"httpGet": {"path": f"/health/{what}", "port": "http"}} for what in ("ready", "live"))
    return {
        "readinessProbe": {**ready, "periodSeconds": 2, "timeoutSeconds": 5},
        "startupProbe": {**live, "periodSeconds": 1, "timeoutSeconds": 5, "failureThreshold": 300},
        "livenessProbe": {**live, "periodSeconds": 10, "timeoutSeconds": 10, "failureThreshold": 6},
    }


def _env(values: dict[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in values.items()]
