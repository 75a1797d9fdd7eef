"""The local cluster itself: whatever was killed, `up` repairs it, and `down` leaves nothing of it on this machine.

This is tested on a separate cluster, next to those that may run already.
"""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dev.demo.cluster import CLUSTER_SH

NAME, INDEX = "probe", 9
NETWORKS = tuple(f"10.{second}." for second in (f"201.{INDEX}", 96 + INDEX, 244 + INDEX))
NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "uts")
PROGRAMS = ("containerd", "etcd", "kubelet")
SYSCTLS = ("vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops")


def cluster_sh(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"SLUICE_CLUSTER": NAME, "SLUICE_INDEX": str(INDEX)}
    return subprocess.run([CLUSTER_SH, *arguments], env=environment, capture_output=True, text=True, check=False)


def must(*arguments: str) -> str:
    done = cluster_sh(*arguments)
    assert done.returncode == 0, f"cluster.sh {' '.join(arguments)}: {done.stdout}{done.stderr}"
    return done.stdout


def kill(program: str) -> None:
    """Kill a program of the node with SIGKILL. Its process id is the one inside the node."""
    must("node", "kill", "-9", must("node", "pidof", "-s", program).strip())


@dataclass(frozen=True)
class Traces:
    """All that is left of the cluster on this machine, by kind."""

    processes: frozenset[str]
    mounts: frozenset[str]
    routes: frozenset[str]
    links: frozenset[str]
    cgroups: frozenset[str]


def traces(namespaces: frozenset[str]) -> Traces:
    """`namespaces`: those that belong to the node, in the form of the links in /proc/PID/ns."""
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    return Traces(
        processes=frozenset(
            str(process) for process in processes() if namespaces_of(process) & namespaces or is_ours(process)
        ),
        mounts=frozenset(mount for mount in mounts if f"/{NAME}/" in mount or f"sluice-{NAME}" in mount),
        routes=lines("ip", "route", "show", "table", "all", containing=(*NETWORKS, f"{NAME}-h")),
        links=lines("ip", "-oneline", "link", "show", containing=(f"{NAME}-h",)),
        cgroups=frozenset(str(cgroup) for cgroup in Path("/sys/fs/cgroup").glob(f"**/sluice-{NAME}")),
    )


def processes() -> list[Path]:
    """All processes of this machine except this one, as folders in /proc."""
    folders = Path("/proc").iterdir()
    return [folder for folder in folders if folder.name.isdecimal() and int(folder.name) != os.getpid()]


def namespaces_of(process: Path) -> frozenset[str]:
    try:
        return frozenset(os.readlink(process / "ns" / kind) for kind in NAMESPACES)
    except OSError:  # it has ended
        return frozenset()


def is_ours(process: Path) -> bool:
    """Whether it is in the cluster's cgroup, or was started from the cluster's folders."""
    try:
        text = (process / "cgroup").read_text() + (process / "cmdline").read_text()
    except OSError:
        return False
    return f"sluice-{NAME}" in text or f"/clusters/{NAME}/" in text


def lines(*command: str, containing: tuple[str, ...]) -> frozenset[str]:
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return frozenset(line for line in printed if any(word in line for word in containing))


def sysctls() -> dict[str, str]:
    return {name: Path("/proc/sys", name).read_text() for name in SYSCTLS}


def node_namespaces() -> frozenset[str]:
    """The namespaces that belong to the node only."""
    inside = must("node", "sh", "-c", "readlink /proc/self/ns/*").split()
    return frozenset(inside) - namespaces_of(Path("/proc/self"))


@pytest.fixture
def ended_afterwards() -> Iterator[None]:
    yield
    cluster_sh("down")


@pytest.mark.usefixtures("ended_afterwards")
def test_up_repairs_what_was_killed_and_down_leaves_nothing() -> None:
    """If containerd, etcd or kubelet is killed, `up` starts it again. If all are killed, `down` still removes all."""
    if must("kubeconfig").strip().endswith("kind.conf"):
        pytest.skip("this is a promise of the native cluster; with a container engine, kind ends what it started")
    before = sysctls()
    assert traces(frozenset()) == Traces(*[frozenset[str]()] * 5), "an earlier cluster of this name left something"
    must("up")
    for program in PROGRAMS:
        kill(program)
        must("up")
        assert "running" in must("status")
        must("node", "pidof", program)
    namespaces = node_namespaces()
    running = traces(namespaces)
    assert all((running.processes, running.routes, running.links, running.cgroups)), running
    for program in PROGRAMS:
        kill(program)
    must("down")
    assert traces(namespaces) == Traces(*[frozenset[str]()] * 5)
    assert sysctls() == before
    assert cluster_sh("status").returncode == 1
