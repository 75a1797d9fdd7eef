"""What the user may add to pods, and what nobody may."""

from __future__ import annotations

from typing import Any

import pytest

from sluice_operator.api import pod_template
from sluice_operator.api.merge import merged
from sluice_operator.api.spec import ServerSpec
from tests.unit.sluice_operator.build import a_spec


def a_server(**server: Any) -> ServerSpec:
    return a_spec(server={"replicas": 1, **server}).server


def template(**server: Any) -> dict[str, Any]:
    return pod_template.of(a_server(**server))


def test_a_spec_without_settings_adds_nothing() -> None:
    """So revisions keep the names that they had before there were any."""
    assert template() == template(nodeSelector={}, tolerations=[], podTemplate={}) == {}


def test_fields_are_parts_of_one_template() -> None:
    """Each where a pod has it; variables where the model is served, and volumes in each container of Sluice."""
    asked = a_server(
        imagePullSecrets=[{"name": "pull"}],
        serviceAccountName="models",
        nodeSelector={"gpu": "yes"},
        tolerations=[{"key": "gpu", "operator": "Exists"}],
        podLabels={"team": "a"},
        podAnnotations={"sidecar.istio.io/inject": "true"},
        securityContext={},
        envFrom=[{"secretRef": {"name": "login"}}],
        volumes=[{"name": "ca", "configMap": {"name": "ca"}}],
        volumeMounts=[{"name": "ca", "mountPath": "/ca"}],
    )
    mounts = {"volumeMounts": [{"name": "ca", "mountPath": "/ca"}]}
    assert pod_template.of(asked) == {
        "metadata": {"labels": {"team": "a"}, "annotations": {"sidecar.istio.io/inject": "true"}},
        "spec": {
            "imagePullSecrets": [{"name": "pull"}],
            "serviceAccountName": "models",
            "nodeSelector": {"gpu": "yes"},
            "tolerations": [{"key": "gpu", "operator": "Exists"}],
            "securityContext": {},
            "volumes": [{"name": "ca", "configMap": {"name": "ca"}}],
            "containers": [
                {"name": "server", "envFrom": [{"secretRef": {"name": "login"}}], **mounts},
                {"name": "fetch", **mounts},
                {"name": "prepare", **mounts},
            ],
        },
    }
    assert pod_template.refusal((), "models", asked) is None


def test_the_template_wins_over_the_fields() -> None:
    """It is what has no field of its own, so somebody who writes both means it."""
    made = template(
        nodeSelector={"a": "1"}, podTemplate={"spec": {"nodeSelector": {"a": "2"}, "priorityClassName": "p"}}
    )
    assert made == {"spec": {"nodeSelector": {"a": "2"}, "priorityClassName": "p"}}


NO_POD = "server.podTemplate, or volumes and volumeMounts beside it, are not those of a pod"


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"replicas": 3}, "server.podTemplate has 'replicas'"),
        ({"metadata": {"labels": {"sluice.dev/revision": "x"}}}, "the label sluice.dev/revision is Sluice's own"),
        ({"spec": {"volumes": [{"name": "model", "emptyDir": {}}]}}, "the volume model is Sluice's own"),
        ({"spec": {"containers": [{"name": "server", "image": "mine"}]}}, "container server: image cannot be set"),
        ({"spec": {"containers": [{"name": "fetch", "envFrom": []}]}}, "container fetch: envFrom cannot be set"),
        *(
            (
                {"spec": {"containers": [{"name": "server", "volumeMounts": [{"name": "v", "mountPath": path}]}]}},
                f"container server: {says} is a folder of Sluice",
            )
            for path, says in (
                ("/model", "/model"),
                ("/model/x/", "/model/x"),
                ("/", "/"),
                ("/etc/sluice/a", "/etc/sluice/a"),
                ("/x/../model", "/model"),
                ("//model", "/model"),
                ("model", "/model"),
                ("/x/../etc/sluice/store", "/etc/sluice/store"),
            )
        ),
        ({"spec": {"containers": "server"}}, NO_POD),
        ({"spec": {"containers": [{"image": "x"}]}}, NO_POD),
        ({"metadata": {"labels": ["a"]}, "spec": ["x"]}, NO_POD),
        ({"spec": {"volumes": [{"emptyDir": {}}]}}, NO_POD),
        ({"spec": {"containers": [{"name": "server", "volumeMounts": [{"name": "v"}]}]}}, NO_POD),
        *(
            (
                {"spec": {"containers": [{"name": "server", field: value}]}},
                f"container server: null in {field} would take away what Sluice sets there",
            )
            for field, value in (
                ("securityContext", None),
                ("securityContext", {"readOnlyRootFilesystem": None}),
                ("volumeMounts", None),
                ("lifecycle", {"preStop": None}),
            )
        ),
    ],
)
def test_what_sluice_needs_is_nobodys_to_change(asked: dict[str, Any], says: str) -> None:
    """Not even an administrator can allow it, and the sentence says what to do instead."""
    refused = pod_template.refusal(("*",), "models", a_server(podTemplate=asked))
    assert refused is not None
    assert refused.reason == "PodTemplateInvalid"
    assert refused.message.startswith(says)


SIDECAR = {"name": "sidecar", "image": "x"}


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"hostNetwork": True}, "hostNetwork"),
        ({"hostPID": True}, "hostPID"),
        ({"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}, "a hostPath (volume v)"),
        ({"containers": [{**SIDECAR, "ports": [{"hostPort": 80}]}]}, "a hostPort in container sidecar"),
        (
            {"initContainers": [{**SIDECAR, "securityContext": {"privileged": True}}]},
            "privileged: true in container sidecar",
        ),
        (
            {"containers": [{"name": "server", "securityContext": {"runAsUser": 0}}]},
            "the rights of root in container server",
        ),
        ({"securityContext": {"runAsNonRoot": False}}, "the rights of root in its securityContext"),
        ({"securityContext": {"seccompProfile": {"type": "Unconfined"}}}, "no confinement in its securityContext"),
        (
            {"containers": [{**SIDECAR, "securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}}}]},
            "the capability SYS_ADMIN in container sidecar",
        ),
        ({"securityContext": {"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}}, "the sysctl kernel.msgmax"),
        (
            {"containers": [{**SIDECAR, "securityContext": {"seLinuxOptions": {"type": "spc_t"}}}]},
            "an SELinux label of its own in container sidecar",
        ),
        (
            {"containers": [{"name": "server", "lifecycle": {"postStart": {"httpGet": {"host": "10.0.0.1"}}}}]},
            "requests of the node to 10.0.0.1 (a probe or hook of container server)",
        ),
    ],
)
def test_host_access_is_for_the_administrator_to_allow(spec: dict[str, Any], says: str) -> None:
    """By namespace; the sentence says how."""
    asked = {"spec": spec}
    refused = pod_template.refusal(("team-*",), "models", a_server(podTemplate=asked))
    assert refused is not None
    assert refused.reason == "HostAccessNotAllowed"
    assert refused.message == (
        f"the pods would have {says}: leave it out, or let the administrator add 'models' to SLUICE_ALLOWED_HOST_ACCESS"
    )
    assert pod_template.refusal(("team-*",), "team-a", a_server(podTemplate=asked)) is None


def test_an_annotation_can_take_confinement_away() -> None:
    """As it was written before pods had a field for it."""
    name = "container.apparmor.security.beta.kubernetes.io/server"
    refused = pod_template.refusal((), "models", a_server(podAnnotations={name: "unconfined"}))
    assert refused is not None
    assert refused.message.startswith(f"the pods would have no confinement (annotation {name})")
    assert pod_template.refusal((), "models", a_server(podAnnotations={name: "runtime/default"})) is None


def test_what_is_safe_is_nobodys_to_ask_for() -> None:
    """Limits of connections, and probes of the pod itself."""
    probe = {"name": "sidecar", "image": "x", "livenessProbe": {"httpGet": {"port": 1}}}
    spec = {"securityContext": {"sysctls": [{"name": "net.ipv4.tcp_keepalive_time", "value": "9"}]}}
    assert pod_template.refusal((), "models", a_server(podTemplate={"spec": {**spec, "containers": [probe]}})) is None


def test_merging_knows_named_things_and_removes_with_null() -> None:
    """And changes neither of the two."""
    base = {"a": 1, "volumes": [{"name": "x", "emptyDir": {}}, {"name": "y"}], "list": [1, 2], "map": {"p": 1, "q": 2}}
    more = {"a": None, "volumes": [{"name": "y", "secret": {}}, {"name": "z"}], "list": [3], "map": {"q": 3}}
    before = str(base), str(more)
    assert merged(base, more) == {
        "volumes": [{"name": "x", "emptyDir": {}}, {"name": "y", "secret": {}}, {"name": "z"}],
        "list": [3],
        "map": {"p": 1, "q": 3},
    }
    assert (str(base), str(more)) == before
