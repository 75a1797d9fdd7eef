"""The programs of the local cluster that contract tests start by themselves."""

import subprocess
from pathlib import Path

from dev.api_server import ROOT

FOLDER = "source dev/cluster/config.sh; source dev/cluster/binaries.sh; binaries"


def program(group: str, name: str = "") -> str:
    """The path of a program of a group of dev/cluster/go; most have the name of their group."""
    folder = subprocess.check_output(["bash", "-euc", f"{FOLDER} {group}"], cwd=ROOT, text=True).strip()
    path = Path(folder) / (name or group)
    assert path.exists(), f"{path.name} is not built; build it once with: dev/cluster/cluster.sh build"
    return str(path)
