"""`python -m dev.install_manifests`: makes from the chart the plain manifests, and the page about its values.

`manifests/install` is for `kubectl apply -k`. Its files are what the chart renders, so the two cannot differ: a test
makes them again and compares. Addresses and images are those of an overlay, and are left out.
"""

from pathlib import Path
from typing import Any

import yaml

from dev.api_server import ROOT
from dev.chart_values import page
from dev.helm import CHART, MONITORS, Helm, Values
from dev.programs import find_program

INSTALL = ROOT / "manifests" / "install"
CRD = ROOT / "crds" / "modeldeployments.yaml"
RULES, DASHBOARDS = ROOT / "manifests" / "alerts", ROOT / "manifests" / "dashboards"
_OF_AN_OVERLAY = "set-by-an-overlay.invalid"  # a line with this is left out
_HEAD = "# Made from chart/ by `make manifests`: change it there.\n"
VALUES = {
    "images": {"operator": "sluice-operator", "store": "sluice-store", "server": f"{_OF_AN_OVERLAY}/server"},
    **{name: {"url": f"http://{_OF_AN_OVERLAY}"} for name in ("mlflow", "prometheus")},
    "gateway": {"address": f"http://{_OF_AN_OVERLAY}"},
}
_STORE = {"store": {"enabled": True}}
_SHARD = {"sluice.dev/shard": "a"}

Files = dict[str, str]  # texts by their names


def everything(helm: Helm) -> dict[Path, str]:
    """The text of each file that is made."""
    base, with_store = _rendered(helm, {}), _rendered(helm, _STORE)
    monitors = _rendered(helm, {**_STORE, "monitoring": {"kind": "ServiceMonitor"}}, *MONITORS)
    rules = _rendered(helm, {"alerts": {"kind": "PrometheusRule"}}, *MONITORS)
    policies = _rendered(helm, {**_STORE, "networkPolicies": {"enabled": True}})
    web = _rendered(helm, {"web": {"enabled": True}, "networkPolicies": {"enabled": True}})
    users = _rendered(helm, {"userRoles": {"enabled": True}})
    folders = {
        "base": _operator(base),
        "namespaced": _operator(_rendered(helm, {"watch": {"namespaces": ["models"]}}, release="sluice-models")),
        "sharded": _operator(_rendered(helm, {"watch": {"namespaceLabels": _SHARD}}, release="sluice-a")),
        "store": {"store.yaml": with_store["store.yaml"], "operator.yaml": _added_env(base, with_store)},
        "service-monitors": {"monitors.yaml": monitors["monitors.yaml"]},
        "prometheus-rules": {"prometheus-rules.yaml": rules["alerts.yaml"]},
        "network-policies": {"network-policies.yaml": policies["network-policies.yaml"]},
        "web": {"web.yaml": web["web.yaml"]},
        "user-roles": {"user-roles.yaml": users["user-roles.yaml"]},
    }
    made = {INSTALL / folder / name: _HEAD + text for folder, files in folders.items() for name, text in files.items()}
    return {**made, ROOT / "docs" / "chart-values.md": page()}


def copies() -> dict[Path, str]:
    """The files that the chart has as they are, because Helm reads nothing that is not below the chart."""
    copied = {"crds": [CRD], "alerts": sorted(RULES.glob("*.yaml")), "dashboards": sorted(DASHBOARDS.glob("*.json"))}
    return {
        CHART / name / file.name: file.read_text(encoding="utf-8") for name, files in copied.items() for file in files
    }


def _rendered(helm: Helm, values: Values, *arguments: str, release: str = "sluice") -> Files:
    """What each template makes, without the lines that an overlay adds."""
    made = helm.files({**VALUES, **values}, *arguments, release=release)
    return {name: _without_overlay(text) for name, text in made.items()}


def _without_overlay(text: str) -> str:
    return "".join(line for line in text.splitlines(keepends=True) if _OF_AN_OVERLAY not in line)


def _operator(rendered: Files) -> Files:
    """Kustomize makes the ConfigMap itself, so that its name changes with its content."""
    settings = yaml.safe_load(rendered["settings.yaml"])["data"]
    others = {name: text for name, text in rendered.items() if name != "settings.yaml"}
    return {**others, "settings/settings.env": "".join(f"{name}={value}\n" for name, value in settings.items())}


def _added_env(without: Files, with_store: Files) -> str:
    """The patch that gives the operator the variables that it has with a store."""
    before, path = _env(without), "/spec/template/spec/containers/0/env/-"
    patch = [{"op": "add", "path": path, "value": entry} for entry in _env(with_store) if entry not in before]
    return yaml.safe_dump(patch, sort_keys=False)


def _env(files: Files) -> list[Any]:
    deployment = yaml.safe_load(files["deployment.yaml"])
    return list(deployment["spec"]["template"]["spec"]["containers"][0]["env"])


def main() -> None:
    _write(copies())  # which the chart renders
    _write(everything(Helm(find_program("helm"))))


def _write(files: dict[Path, str]) -> None:
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
