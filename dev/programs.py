"""The programs that `dev/cluster/cluster.sh build` builds, for what uses them without a cluster."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

_CLUSTER = Path(__file__).parent / "cluster" / "cluster.sh"


def find_program(name: str) -> str:
    """The path of a program. Raises FileNotFoundError with the command that builds it."""
    return find_programs([name])[name]


def find_programs(names: Sequence[str], folders: str | None = None) -> dict[str, str]:
    """The path of each program, by name. Raises FileNotFoundError with the command that builds them.

    `folders`: a search path; without it, the programs are those of the local cluster and of its tests.
    """
    path = folders or subprocess.check_output([_CLUSTER, "bin"], text=True).strip()
    found = {name: shutil.which(name, path=path) for name in names}
    if missing := [name for name, program in found.items() if program is None]:
        raise FileNotFoundError(f"{', '.join(missing)} not found in {path}; build once with: {_CLUSTER} build")
    return {name: program for name, program in found.items() if program}
