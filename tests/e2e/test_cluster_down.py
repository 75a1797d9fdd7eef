"""The cluster's own promise, on a third one beside the others: whatever was killed, `up` mends it and `down` leaves
nothing of it on this machine.
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
    """SIGKILL for one of the node's programs; its process id is the node's own."""
    must("node", "kill", "-9", must("node", "pidof", "-s", program).strip())


@dataclass(frozen=True)
class Traces:
    """What can be seen of the cluster on this machine; each part is empty when nothing is."""

    processes: frozenset[str]
    mounts: frozenset[str]
    routes: frozenset[str]
    links: frozenset[str]
    cgroups: frozenset[str]


def traces(namespaces: frozenset[str]) -> Traces:
    """`namespaces`: those that the node had for itself, as in /proc/PID/ns."""
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    return Traces(
        processes=frozenset(str(each) for each in processes() if namespaces_of(each) & namespaces or is_ours(each)),
        mounts=frozenset(each for each in mounts if f"/{NAME}/" in each or f"sluice-{NAME}" in each),
        routes=lines("ip", "route", "show", "table", "all", containing=(*NETWORKS, f"{NAME}-h")),
        links=lines("ip", "-oneline", "link", "show", containing=(f"{NAME}-h",)),
        cgroups=frozenset(str(each) for each in Path("/sys/fs/cgroup").glob(f"**/sluice-{NAME}")),
    )


def processes() -> list[Path]:
    return [each for each in Path("/proc").iterdir() if each.name.isdecimal() and int(each.name) != os.getpid()]


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
    return frozenset(each for each in printed if any(word in each for word in containing))


def sysctls() -> dict[str, str]:
    return {name: Path("/proc/sys", name).read_text() for name in SYSCTLS}


def node_namespaces() -> frozenset[str]:
    """The namespaces that the node has for itself."""
    inside = must("node", "sh", "-c", "readlink /proc/self/ns/*").split()
    return frozenset(inside) - namespaces_of(Path("/proc/self"))


@pytest.fixture
def ended_again() -> Iterator[None]:
    yield
    cluster_sh("down")


@pytest.mark.usefixtures("ended_again")
def test_up_mends_what_was_killed_and_down_leaves_nothing() -> None:
    """Containerd, etcd, kubelet: killed one by one, `up` mends each; killed all at once, `down` ends all."""
    if must("kubeconfig").strip().endswith("kind.conf"):
        pytest.skip("this promise is the native cluster's; with a container engine, kind ends what it started")
    before = sysctls()
    assert traces(frozenset()) == Traces(*[frozenset[str]()] * 5), "an earlier cluster of this name left something"
    must("up")
    for program in PROGRAMS:
        kill(program)
        must("up")
        assert "running" in must("status")
        must("node", "pidof", program)
    namespaces = node_namespaces()
    there = traces(namespaces)
    assert all((there.processes, there.routes, there.links, there.cgroups)), there
    for program in PROGRAMS:
        kill(program)
    must("down")
    assert traces(namespaces) == Traces(*[frozenset[str]()] * 5)
    assert sysctls() == before
    assert cluster_sh("status").returncode == 1
