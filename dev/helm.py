"""Helm with the chart of this checkout, for tests and for what is made from the chart.

The program is the one that `dev/cluster/cluster.sh build` builds. It keeps nothing in the user's folders.
"""

import os
import re
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from dev.api_server import ROOT

CHART = ROOT / "chart"
NAMESPACE = "sluice-system"
MONITOR_KINDS = ("ServiceMonitor", "PodMonitor", "PrometheusRule")
MONITORS = tuple(f"--api-versions=monitoring.coreos.com/v1/{kind}" for kind in MONITOR_KINDS)
_SOURCE = re.compile(r"^# Source: sluice/templates/(\S+)\n", re.MULTILINE)

Values = Mapping[str, Any]


class HelmError(Exception):
    """Helm failed. The text is what it printed."""


@dataclass(frozen=True, slots=True)
class Helm:
    """Helm as the user of a kubeconfig; without one it can only render."""

    program: str
    kubeconfig: Path | None = None

    def __call__(self, *arguments: str, values: Values | None = None) -> str:
        """What a command prints. Raises HelmError. With `values`, the command ends with the chart."""
        given = [] if values is None else [str(CHART), "--values=-"]
        with tempfile.TemporaryDirectory() as folder:
            places = {f"HELM_{kind}_HOME": f"{folder}/{kind}" for kind in ("CACHE", "CONFIG", "DATA")}
            kubeconfig = str(self.kubeconfig) if self.kubeconfig else f"{folder}/no-kubeconfig"
            done = subprocess.run(
                [self.program, *arguments, *given],
                input=yaml.safe_dump(dict(values)) if values is not None else None,
                env={**os.environ, **places, "KUBECONFIG": kubeconfig},
                capture_output=True,
                text=True,
                check=False,
            )
        if done.returncode != 0:
            raise HelmError(done.stderr)
        return done.stdout

    def template(
        self, values: Values, *arguments: str, release: str = "sluice", namespace: str = NAMESPACE
    ) -> list[dict[str, Any]]:
        """The manifests of an install, hooks and tests too, without a cluster. Raises HelmError."""
        text = self("template", release, f"--namespace={namespace}", *arguments, values=values)
        return [manifest for manifest in yaml.safe_load_all(text) if manifest]

    def files(self, values: Values, *arguments: str, release: str = "sluice") -> dict[str, str]:
        """The same without hooks and tests, as the text that each template makes."""
        named = f"--namespace={NAMESPACE}"
        text = self("template", release, named, "--no-hooks", *arguments, values=values)
        found: dict[str, list[str]] = defaultdict(list)
        for document in re.split(r"^---\n", text, flags=re.MULTILINE):
            if source := _SOURCE.match(document):
                found[source[1]].append(document[source.end() :].strip("\n") + "\n")
        return {name: "---\n".join(documents) for name, documents in found.items()}
