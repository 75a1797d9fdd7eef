"""What the user adds to pods, where it ends up, and that nothing of Sluice gets lost."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from sluice_operator.api.owner import Manifest
from sluice_operator.api.revision import Revision
from sluice_operator.manifests import builders
from tests.unit.sluice_operator.build import OWNER, WITH_STORE, a_spec, revision

EVERYTHING: dict[str, Any] = {
    "imagePullSecrets": [{"name": "pull"}],
    "nodeSelector": {"pool": "inference"},
    "podLabels": {"team": "vision"},
    "podAnnotations": {"note": "x"},
    "envFrom": [{"configMapRef": {"name": "proxy"}}],
    "volumes": [{"name": "ca", "configMap": {"name": "ca"}}],
    "volumeMounts": [{"name": "ca", "mountPath": "/ca"}],
    "podTemplate": {
        "spec": {
            "priorityClassName": "high",
            "terminationGracePeriodSeconds": 60,
            "initContainers": [{"name": "wait", "image": "wait:1"}],
            "containers": [
                {"name": "shipper", "image": "shipper:1"},
                {"name": "server", "lifecycle": {"preStop": {"sleep": {"seconds": 1}}}},
            ],
        }
    },
}


def made(**server: Any) -> Revision:
    return revision(2, a_spec(**{f"server__{name}": value for name, value in server.items()}))


def deployed(made: Revision) -> Manifest:
    template: Manifest = builders.deployment(OWNER, made, 1)["spec"]["template"]
    return template


def by_name(containers: list[Manifest]) -> dict[str, Manifest]:
    return {container["name"]: container for container in containers}


def test_a_revision_without_settings_is_as_before() -> None:
    """In its name and in its pods: an upgrade of the operator starts no rollout and restarts no pod."""
    assert made().revision == revision(2).revision
    assert made().pod_template == {}


def test_each_setting_makes_a_new_revision() -> None:
    """It is rolled out and compared, like a new version."""
    names = {made(**{name: value}).revision for name, value in EVERYTHING.items()}
    assert len(names | {made().revision}) == len(EVERYTHING) + 1


def test_additions_are_merged_into_what_sluice_makes() -> None:
    """Containers and volumes by name; nothing that was there is gone."""
    before, after = deployed(made()), deployed(made(**EVERYTHING))
    own, spec = before["spec"], after["spec"]
    assert after["metadata"]["annotations"] == {"note": "x"}
    labels = after["metadata"]["labels"]
    assert labels.pop("team") == "vision"
    assert labels.keys() == before["metadata"]["labels"].keys()
    assert (spec["priorityClassName"], spec["terminationGracePeriodSeconds"]) == ("high", 60)
    assert (spec["nodeSelector"], spec["imagePullSecrets"]) == ({"pool": "inference"}, [{"name": "pull"}])
    assert spec["securityContext"] == own["securityContext"]
    assert [volume["name"] for volume in spec["volumes"]] == [*(volume["name"] for volume in own["volumes"]), "ca"]
    assert [each["name"] for each in spec["initContainers"]] == ["fetch", "wait"]
    assert [each["name"] for each in spec["containers"]] == ["server", "shipper"]
    for kind in ("initContainers", "containers"):
        for name, container in by_name(own[kind]).items():
            now = by_name(spec[kind])[name]
            assert now["volumeMounts"] == [*container["volumeMounts"], {"name": "ca", "mountPath": "/ca"}]
            changed = {"volumeMounts", "lifecycle", "envFrom"}
            assert {field: now[field] for field in now if field not in changed} == {
                field: container[field] for field in container if field not in changed
            } | ({"env": now["env"]} if "env" in now else {})
    assert by_name(spec["containers"])["server"]["envFrom"] == [{"configMapRef": {"name": "proxy"}}]
    assert "envFrom" not in by_name(spec["initContainers"])["fetch"]


def test_the_cluster_may_choose_the_user() -> None:
    """Root stays excluded, and the confinement stays."""
    context = deployed(made(securityContext={}))["spec"]["securityContext"]
    assert context == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    chosen = deployed(made(securityContext={"runAsUser": 1000650000}))["spec"]["securityContext"]
    assert chosen == context | {"runAsUser": 1000650000}


def test_the_job_gets_the_settings_and_no_sidecars() -> None:
    """A container that never ends would keep it from ending."""
    stored = replace(made(**EVERYTHING), from_store=True)
    template = builders.prepare_job(WITH_STORE, stored, "aaaaaaaaaa-1772366400")["spec"]["template"]
    assert [each["name"] for each in template["spec"]["containers"]] == ["prepare"]
    assert "initContainers" not in template["spec"]
    assert template["spec"]["nodeSelector"] == {"pool": "inference"}
    assert {"name": "ca", "mountPath": "/ca"} in template["spec"]["containers"][0]["volumeMounts"]
    assert template["metadata"]["labels"]["team"] == "vision"
