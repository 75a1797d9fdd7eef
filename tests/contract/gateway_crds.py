"""The CRDs of the Gateway API, from the Go module of the version that the local cluster has."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable

from dev.api_server import ROOT

_MODULE = "sigs.k8s.io/gateway-api"
_WHERE = ROOT / "dev" / "cluster" / "go" / "gateway-api"


def files(names: Iterable[str]) -> list[str]:
    """The options of kubectl that name their files, such as that of `httproutes`."""
    subprocess.run(["go", "mod", "download", _MODULE], cwd=_WHERE, check=True)
    found = subprocess.check_output(["go", "list", "-m", "-f={{.Dir}}", _MODULE], cwd=_WHERE, text=True).strip()
    return [f"--filename={found}/config/crd/standard/gateway.networking.k8s.io_{name}.yaml" for name in names]
