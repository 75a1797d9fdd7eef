"""What the chart renders, without a cluster: each variant of an install."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from dev import install_manifests
from dev.dashboards import __main__ as dashboards
from dev.helm import CHART, MONITORS, Helm
from tests.contract.chart_values import EVERYWHERE, MONITORING, OBJECT_STORE, SMALLEST, VARIANTS, chosen

Manifests = list[dict[str, Any]]


def find(manifests: Manifests, kind: str, name: str = "", namespace: str = "") -> dict[str, Any]:
    """The one manifest of a kind, with a name and a namespace if they are given."""
    [found] = [
        each
        for each in manifests
        if each["kind"] == kind
        and name in ("", each["metadata"]["name"])
        and namespace in ("", each["metadata"].get("namespace"))
    ]
    return found


def env(manifests: Manifests, name: str = "sluice-operator") -> dict[str, Any]:
    """The variables of a Deployment's container that are set one by one."""
    return {entry["name"]: entry for entry in pod(manifests, name)["containers"][0].get("env", [])}


def pod(manifests: Manifests, name: str = "sluice-operator") -> dict[str, Any]:
    spec: dict[str, Any] = find(manifests, "Deployment", name)["spec"]["template"]["spec"]
    return spec


def kinds(manifests: Manifests) -> list[str]:
    """Those that last: hooks and tests are gone after their work."""
    return sorted(each["kind"] for each in manifests if "helm.sh/hook" not in each["metadata"].get("annotations", {}))


def test_the_plain_manifests_are_what_the_chart_renders(helm: Helm) -> None:
    """`make manifests` writes them; an edit of one of the two alone would end here."""
    made = install_manifests.everything(helm)
    assert {path: path.read_text(encoding="utf-8") for path in made if path.exists()} == made


def test_the_smallest_install_has_two_replicas_for_the_whole_cluster(helm: Helm) -> None:
    """No store, no monitors, no policies; the images are those of the registry with the version of the chart."""
    manifests = helm.template(SMALLEST)
    deployment = find(manifests, "Deployment")
    assert deployment["spec"]["replicas"] == 2
    image = deployment["spec"]["template"]["spec"]["containers"][0]["image"]
    assert (
        image
        == f"registry.example/team/sluice-operator:{deployment['metadata']['labels']['app.kubernetes.io/version']}"
    )
    lasting = ["ClusterRole", "ClusterRoleBinding", "ConfigMap", "Deployment", "Role", "RoleBinding", "ServiceAccount"]
    assert kinds(manifests) == lasting


def test_some_namespaces_need_no_right_in_the_cluster(helm: Helm) -> None:
    """A Role in each, with the rules of the ClusterRole; the Lease is in the namespace of the operator."""
    manifests = helm.template({**chosen("namespaces"), "crds": {"upgrade": False}})
    assert {each["kind"] for each in manifests} & {"ClusterRole", "ClusterRoleBinding"} == set()
    everywhere = find(helm.template(SMALLEST), "ClusterRole", "sluice-operator")["rules"]
    for namespace in ("models", "others"):
        assert find(manifests, "Role", "sluice-operator", namespace)["rules"] == everywhere
        binding = find(manifests, "RoleBinding", "sluice-operator", namespace)
        assert binding["roleRef"]["kind"] == "Role"
        assert binding["subjects"] == [
            {"kind": "ServiceAccount", "name": "sluice-operator", "namespace": "sluice-system"}
        ]
    lease = find(manifests, "Role", "sluice-operator", "sluice-system")["rules"]
    assert {resource for rule in lease for resource in rule["resources"]} == {"leases"}
    assert find(manifests, "ConfigMap", "sluice-operator")["data"]["SLUICE_NAMESPACES"] == "models,others"


def test_an_operator_may_watch_the_namespace_that_it_is_in(helm: Helm) -> None:
    """One Role there has both: two of one name could not be installed."""
    role = find(helm.template(chosen("its own namespace")), "Role", "sluice-operator")
    resources = {resource for rule in role["rules"] for resource in rule["resources"]}
    assert {"leases", "modeldeployments"} <= resources


def test_one_of_several_operators_is_chosen_by_labels(helm: Helm) -> None:
    """It may list namespaces, and has names and a Lease of its own."""
    manifests = helm.template(chosen("labels"), release="sluice-a")
    settings = find(manifests, "ConfigMap", "sluice-operator-a")["data"]
    assert settings["SLUICE_NAMESPACE_SELECTOR"] == "sluice.dev/shard=a,tier=gold"
    assert settings["SLUICE_LEASE_NAME"] == "sluice-leader-a"
    assert {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["list"]} in find(
        manifests, "ClusterRole", "sluice-operator-a"
    )["rules"]


@pytest.mark.parametrize("variant", ["store on a volume", "service monitors", "network policies"])
def test_two_releases_in_one_namespace_share_no_object_and_no_pod(helm: Helm, variant: str) -> None:
    """Neither by name, nor by what a Service, a monitor, a policy or a constraint selects."""
    first, second = (helm.template(chosen(variant), *MONITORS, release=release) for release in ("sluice", "sluice-a"))
    names = [{(each["kind"], each["metadata"]["name"]) for each in manifests} for manifests in (first, second)]
    assert names[0] & names[1] == set()
    pods = {
        each["metadata"]["name"]: each["spec"]["template"]["metadata"]["labels"]
        for each in first
        if each["kind"] == "Deployment"
    }
    for selector in selectors(second):
        assert not any(selector.items() <= labels.items() for labels in pods.values()), selector


def selectors(manifest: Any) -> list[dict[str, str]]:
    """All label selectors of pods of the chart, wherever they are."""
    if isinstance(manifest, list):
        return [found for each in manifest for found in selectors(each)]
    if not isinstance(manifest, dict):
        return []
    own = [
        value
        for key, value in manifest.items()
        if key in ("matchLabels", "selector") and isinstance(value, dict) and "app.kubernetes.io/name" in value
    ]
    return own + [found for each in manifest.values() for found in selectors(each)]


def test_a_changed_setting_restarts_the_operator(helm: Helm) -> None:
    """It reads its settings once."""

    def annotation(**settings: str) -> str:
        template = find(helm.template({**SMALLEST, "settings": settings}), "Deployment")["spec"]["template"]
        return str(template["metadata"]["annotations"]["sluice.dev/settings"])

    assert annotation() == annotation() != annotation(SLUICE_LOG_LEVEL="debug")


def test_a_large_number_stays_a_number(helm: Helm) -> None:
    """Helm reads numbers of a file as floating ones: 7776000 would be 7.776e+06."""
    settings = {"SLUICE_STORE_MODEL_MAX_AGE": 7776000}
    manifests = helm.template({**SMALLEST, "store": {"enabled": True, "settings": settings}})
    assert env(manifests, "sluice-store")["SLUICE_STORE_MODEL_MAX_AGE"]["value"] == "7776000"


def test_a_store_on_a_volume_is_one_pod_whose_data_outlive_it(helm: Helm) -> None:
    """And an uninstall: models, labels and run records are not made anew."""
    manifests = helm.template(chosen("store on a volume"))
    spec = find(manifests, "Deployment", "sluice-store")["spec"]
    assert (spec["replicas"], spec["strategy"]["type"]) == (1, "Recreate")
    claim = find(manifests, "PersistentVolumeClaim", "sluice-store")
    assert claim["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    assert env(manifests)["SLUICE_STORE_URL"]["value"] == "http://sluice-store.sluice-system.svc:8090"
    key = env(manifests)["SLUICE_STORE_KEY"]["valueFrom"]["secretKeyRef"]["name"]
    assert key in [volume.get("secret", {}).get("secretName") for volume in pod(manifests, "sluice-store")["volumes"]]


def test_a_store_with_postgresql_and_s3_has_no_volume_and_several_pods(helm: Helm) -> None:
    """Both passwords are in Secrets."""
    manifests = helm.template(chosen("store with an object store"))
    assert "PersistentVolumeClaim" not in kinds(manifests)
    spec = find(manifests, "Deployment", "sluice-store")["spec"]
    assert (spec["replicas"], spec["strategy"]["type"]) == (3, "RollingUpdate")
    assert {volume["name"] for volume in pod(manifests, "sluice-store")["volumes"]} == {"key", "tmp"}
    variables = env(manifests, "sluice-store")
    assert variables["SLUICE_STORE_FILES_URL"]["value"] == "s3://models/sluice"
    assert variables["SLUICE_STORE_DATABASE_URL"]["valueFrom"]["secretKeyRef"] == {
        "name": "store-database",
        "key": "url",
    }
    assert pod(manifests, "sluice-store")["containers"][0]["envFrom"] == OBJECT_STORE["envFrom"]


def test_a_claim_of_yours_is_used_and_not_made(helm: Helm) -> None:
    """So it may be a restored one."""
    manifests = helm.template(chosen("store on a claim of yours"))
    assert "PersistentVolumeClaim" not in kinds(manifests)
    claims = [
        volume["persistentVolumeClaim"]["claimName"]
        for volume in pod(manifests, "sluice-store")["volumes"]
        if volume["name"] == "data"
    ]
    assert claims == ["models"]


def test_the_monitor_of_the_models_gives_the_labels_that_runs_are_read_by(helm: Helm) -> None:
    """At the interval that the operator takes for granted, in the namespaces that it watches."""
    values = {**chosen("service monitors"), "watch": {"namespaces": ["models"]}}
    manifests = helm.template(values, *MONITORS)
    monitor = find(manifests, "ServiceMonitor", "sluice-models")
    [endpoint] = monitor["spec"]["endpoints"]
    assert {rule["targetLabel"] for rule in endpoint["relabelings"]} == {
        "namespace",
        "pod",
        "pod_uid",
        "model_deployment",
    }
    assert endpoint["interval"] == find(manifests, "ConfigMap", "sluice-operator")["data"]["SLUICE_SCRAPE_INTERVAL"]
    assert monitor["spec"]["namespaceSelector"] == {"matchNames": ["models"]}
    assert all(
        each["metadata"]["labels"]["release"] == "prometheus" for each in manifests if each["kind"].endswith("Monitor")
    )


def test_the_rules_are_those_of_the_project(helm: Helm) -> None:
    """As PrometheusRules with the labels that they are selected by, or as files, each as it is."""
    files = {path.name: path.read_text(encoding="utf-8") for path in install_manifests.RULES.iterdir()}
    rules = [each for each in helm.template(chosen("service monitors"), *MONITORS) if each["kind"] == "PrometheusRule"]
    assert [rule["spec"] for rule in rules] == [yaml.safe_load(files[name]) for name in sorted(files)]
    assert {rule["metadata"]["labels"]["release"] for rule in rules} == {"prometheus"}
    plain = find(helm.template(chosen("annotations")), "ConfigMap", "sluice-alerts")
    assert (plain["data"], plain["metadata"]["namespace"]) == (files, "others")


def test_the_dashboards_are_those_of_the_project(helm: Helm) -> None:
    """Each in a ConfigMap of its own, with the label that the sidecar of Grafana looks for, or another one."""

    def found(**dashboards: Any) -> list[dict[str, Any]]:
        manifests = helm.template({**SMALLEST, "dashboards": {"enabled": True, **dashboards}})
        return [each for each in manifests if each["metadata"]["name"].startswith("sluice-dashboard-")]

    boards = found()
    assert [each["data"] for each in boards] == [{path.name: text} for path, text in sorted(dashboards.files())]
    assert {each["metadata"]["labels"]["grafana_dashboard"] for each in boards} == {"1"}
    assert {each["metadata"]["annotations"]["grafana_folder"] for each in boards} == {"Sluice"}
    [labels] = {
        tuple(sorted(each["metadata"]["labels"].items()))
        for each in found(labels={"grafana_dashboard": None, "board": "yes"}, namespace="monitoring")
        if each["metadata"]["namespace"] == "monitoring"
    }
    assert ("board", "yes") in labels
    assert "grafana_dashboard" not in dict(labels)


def test_annotations_name_the_port_that_has_metrics(helm: Helm) -> None:
    """Of the operator and of the store."""
    manifests = helm.template(chosen("annotations"))
    for name, port in (("sluice-operator", "metrics"), ("sluice-store", "http")):
        template = find(manifests, "Deployment", name)["spec"]["template"]
        ports = {each["name"]: str(each["containerPort"]) for each in template["spec"]["containers"][0]["ports"]}
        assert template["metadata"]["annotations"]["prometheus.io/port"] == ports[port]


def test_the_store_on_a_volume_reaches_nobody(helm: Helm) -> None:
    """And is reached by the operator, `helm test`, pods of models, and those that prepare or retrain them."""
    policy = find(helm.template(chosen("network policies")), "NetworkPolicy", "sluice-store")["spec"]
    assert (policy["policyTypes"], policy["egress"]) == (["Ingress", "Egress"], [])
    [rule] = policy["ingress"]
    keys = {
        expression["key"] for peer in rule["from"] for expression in peer["podSelector"].get("matchExpressions", ())
    }
    assert keys == {"sluice.dev/model-deployment", "sluice.dev/prepares", "sluice.dev/retrains"}
    names = {peer["podSelector"].get("matchLabels", {}).get("app.kubernetes.io/name") for peer in rule["from"]}
    assert names == {None, "sluice-operator", "sluice-test"}


def test_policies_are_as_narrow_as_they_are_told(helm: Helm) -> None:
    """The operator keeps DNS and the store, the store DNS; only the namespaces that are watched reach it."""
    manifests = helm.template(chosen("strict network policies"))
    for name in ("sluice-operator", "sluice-store"):
        policy = find(manifests, "NetworkPolicy", name)["spec"]
        ports = [port["port"] for rule in policy["egress"] for port in rule.get("ports", ())]
        assert ports == ([53, 53, "http"] if name == "sluice-operator" else [53, 53])
    [rule] = find(manifests, "NetworkPolicy", "sluice-store")["spec"]["ingress"]
    selected = [peer["namespaceSelector"] for peer in rule["from"] if "matchExpressions" in peer.get("podSelector", {})]
    assert {tuple(selector["matchExpressions"][0]["values"]) for selector in selected} == {("models",)}
    [scrapes] = find(manifests, "NetworkPolicy", "sluice-operator")["spec"]["ingress"]
    assert scrapes["from"] == chosen("strict network policies")["networkPolicies"]["metricsFrom"]


@pytest.mark.parametrize("variant", VARIANTS)
def test_each_variant_is_rendered_without_a_word_of_helm(helm: Helm, variant: str) -> None:
    """`<no value>` and `%!` are what a mistake in a template leaves."""
    text = helm("template", "sluice", "--namespace=sluice-system", *MONITORS, values=chosen(variant))
    assert "<no value>" not in text
    assert "%!" not in text
    assert [line for line in text.splitlines() if line != line.rstrip() and not line.startswith("    ")] == []


def test_the_chart_can_be_a_part_of_another_one(helm: Helm, tmp_path: Path) -> None:
    """Helm gives such a part `global` values, and its CRD and its settings are still found."""
    shutil.copytree(CHART, tmp_path / "charts" / "sluice")
    (tmp_path / "Chart.yaml").write_text("{apiVersion: v2, name: platform, version: 1.0.0}", encoding="utf-8")
    values = tmp_path / "values.yaml"
    values.write_text(yaml.safe_dump({"sluice": SMALLEST, "global": {"team": "ml"}}), encoding="utf-8")
    text = helm("template", "sluice", str(tmp_path), "--namespace=sluice-system", f"--values={values}")
    assert list(yaml.safe_load_all(text)) == helm.template(SMALLEST)


def test_helm_finds_nothing_to_mend(helm: Helm) -> None:
    """`helm lint --strict`."""
    assert "0 chart(s) failed" in helm("lint", "--strict", values=SMALLEST)


def test_the_web_page_has_no_right_and_no_token(helm: Helm) -> None:
    """It asks with the token of each viewer; all that it has is the authority of the API server's certificate."""
    manifests = helm.template(chosen("web page"))
    spec = pod(manifests, "sluice-web")
    assert (spec["serviceAccountName"], spec["automountServiceAccountToken"]) == ("sluice-web", False)
    assert find(manifests, "ServiceAccount", "sluice-web")["automountServiceAccountToken"] is False
    bound = [subject["name"] for each in manifests for subject in each.get("subjects", [])]
    assert "sluice-operator" in bound
    assert "sluice-web" not in bound
    assert [volume.get("configMap", {}).get("name") for volume in spec["volumes"]] == ["kube-root-ca.crt", None]
    assert "envFrom" not in spec["containers"][0]


def test_the_web_page_begins_with_the_namespaces_of_the_install(helm: Helm) -> None:
    """And only the gateway reaches it, where a policy says so."""
    manifests = helm.template(chosen("web page with network policies"))
    arguments = pod(manifests, "sluice-web")["containers"][0]["args"]
    assert arguments[1:] == ["--namespace=models", "--namespace=others"]
    policy = find(manifests, "NetworkPolicy", "sluice-web")["spec"]
    assert policy["ingress"] == [{"ports": [{"port": "http"}], "from": MONITORING}]
    assert policy["egress"][1:] == EVERYWHERE
