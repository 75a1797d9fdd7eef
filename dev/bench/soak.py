"""`python -m dev.bench.soak`: a ModelDeployment under load for long, its pods replaced one after the other meanwhile.

Predictions, and a label for each, go through the gateway of the local cluster. No request may fail, and the memory of a
pod may not grow for ever. Exit code 1 if a request failed.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence

from dev.bench import namespaces, subject
from dev.bench.server import usage
from dev.bench.subject import Subject
from dev.demo import cluster, models, promises, tally
from dev.demo.cluster import Addresses, Kubectl, process_of
from dev.demo.promises import Promise

READY_WITHIN = 180.0  # seconds for a new pod
CLUSTER_PARTS = ("build", "up", "install")
_MB = 2**20


class Pods:
    """The pods of the revision that serves."""

    def __init__(self, tried: Subject) -> None:
        stable = tried.board.status.stable
        assert stable is not None
        self._tried = tried
        self._deployment = f"{tried.name}-{stable.revision}"
        self._labels = f"sluice.dev/model-deployment={tried.name},sluice.dev/revision={stable.revision}"

    async def replace_oldest(self) -> float:
        """Delete the oldest pod. Returns the seconds until as many are available as before."""
        namespace, kubectl = ("-n", subject.NAMESPACE), self._tried.kubectl
        pods = await kubectl.items("pods", *namespace, "-l", self._labels)
        oldest = min(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))["metadata"]["name"]
        began = time.monotonic()
        await kubectl.text(*namespace, "delete", "pod", oldest, "--wait=false")
        await kubectl.text(*namespace, "wait", f"pod/{oldest}", "--for=delete", f"--timeout={READY_WITHIN:.0f}s")
        await kubectl.text(
            *namespace,
            *("wait", f"deployment/{self._deployment}"),
            f"--for=jsonpath={{.status.availableReplicas}}={len(pods)}",
            f"--timeout={READY_WITHIN:.0f}s",
        )
        return time.monotonic() - began

    async def memory(self) -> dict[str, float]:
        """MB that the server of each pod has in memory, by the pod's name."""
        found = {}
        for pod in await self._tried.kubectl.items("pods", "-n", subject.NAMESPACE, "-l", self._labels):
            for container in pod["status"].get("containerStatuses", ()):
                if "running" in container["state"]:
                    found[pod["metadata"]["name"]] = usage.resident_bytes(process_of(container["containerID"])) / _MB
        return found


async def soak(tried: Subject, options: argparse.Namespace) -> None:
    """Replace a pod every few seconds until the time is over. Prints what happens."""
    pods, seconds = Pods(tried), 60.0 * options.minutes
    while (left := seconds - tried.stream.now) > 0:
        await asyncio.sleep(min(options.every, left))
        replaced = await pods.replace_oldest() if left > options.every else 0.0
        requests = tried.stream.requests
        memory = ", ".join(f"{megabytes:.0f}" for megabytes in (await pods.memory()).values())
        print(
            f"{tried.stream.now:5.0f} s: {len(requests)} requests, {len(tally.failures(requests))} failed; "
            f"a pod replaced in {replaced:.0f} s; MB of the pods: {memory}",
            flush=True,
        )


async def run(options: argparse.Namespace, addresses: Addresses) -> Promise:
    """The whole soak."""
    kubectl = Kubectl(addresses)
    async with namespaces.empty(kubectl, subject.NAMESPACE):
        versions = await models.train(kubectl)
        document = subject.manifest("soak", {})
        limit = 60.0 * options.minutes + 2 * READY_WITHIN
        async with subject.serving(addresses, document, versions.first, options.rate, limit) as tried:
            await soak(tried, options)
        return promises.none_failed(tried.stream.requests)


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m dev.bench.soak", description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30.0, help="how long (default: %(default)s)")
    parser.add_argument("--rate", type=float, default=100.0, help="predictions per second (default: %(default)s)")
    parser.add_argument("--every", type=float, default=120.0, help="seconds between two pods (default: %(default)s)")
    options = parser.parse_args(argv)
    for part in CLUSTER_PARTS:
        cluster.run_part(part)
    promise = asyncio.run(run(options, cluster.addresses()))
    print(f"✓ {promise.text}" if promise.kept else f"✗ {promise.text}: {promise.found}")
    return 0 if promise.kept else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
