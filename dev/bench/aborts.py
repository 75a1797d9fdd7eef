"""`python -m dev.bench.aborts`: how long it takes from an abort until no request goes to the canary any more.

A canary with half of the requests is aborted, again and again, on several ModelDeployments of the local cluster.
"""

import argparse
import asyncio
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from dev.bench import namespaces, subject
from dev.bench.subject import Subject
from dev.demo import cluster, models
from dev.demo.cluster import Addresses, Kubectl
from dev.demo.models import Versions
from dev.demo.status import Status
from dev.demo.steering import is_paused

RATE = 20.0  # predictions per second and object
WITHIN = 180.0  # seconds for each stage of an attempt
CLUSTER_PARTS = ("build", "up", "install")


@dataclass(frozen=True, slots=True)
class Abort:
    """Seconds from when the annotation was asked for: to weight 0 in the status, to its proof in the status, and to the
    start of the last request that the canary answered."""

    written: float
    live: float
    last_request: float


async def abort(tried: Subject, versions: Versions) -> Abort:
    """Start a canary, wait until it has its weight, and abort it."""
    await tried.try_again(versions.better)
    running = await tried.board.until("it is paused at its step", is_paused, WITHIN)
    assert running.canary is not None
    tried.stream.requests.clear()
    asked = tried.stream.now
    await tried.ask("abort", running)
    await tried.board.until("weight 0 is written", lambda now: _weight(now) == 0, WITHIN)
    written = tried.stream.now
    await tried.board.until("weight 0 is live", lambda now: now.weight is None or now.weight.live == 0, WITHIN)
    live = tried.stream.now
    await tried.board.until("the run has ended", lambda now: now.phase == "Stable", WITHIN)
    canary = running.canary.revision
    last = max((request.at for request in tried.stream.requests if request.revision == canary), default=asked)
    return Abort(written - asked, live - asked, last - asked)


async def run(options: argparse.Namespace, addresses: Addresses) -> list[Abort]:
    kubectl, aborts = Kubectl(addresses), list[Abort]()
    attempts = iter(range(options.count))

    async def lane(number: int, versions: Versions) -> None:
        steps = [{"weight": 50, "minRequests": 1, "minDuration": "1s", "pause": {}}]
        document = subject.manifest(f"abort-{number}", {"canary": {"steps": steps}, "scaleDownDelay": "1s"})
        document["spec"]["server"]["replicas"] = 1
        document["spec"]["objectives"] = [{"name": "errors", "errorRate": {"max": "30%"}}]
        async with subject.serving(addresses, document, versions.first, RATE, options.count * WITHIN) as tried:
            for _ in attempts:
                aborts.append(await abort(tried, versions))
                print(f"{len(aborts)} of {options.count}: {aborts[-1]}", flush=True)

    async with namespaces.empty(kubectl, subject.NAMESPACE):
        versions = await models.train(kubectl)
        async with asyncio.TaskGroup() as lanes:
            for number in range(options.lanes):
                lanes.create_task(lane(number, versions))
    return aborts


def table(aborts: Sequence[Abort]) -> str:
    """Median, 95th percentile and maximum of each figure, in seconds."""
    columns = {
        "weight 0 written": [abort.written for abort in aborts],
        "weight 0 proven live": [abort.live for abort in aborts],
        "last request to the canary": [abort.last_request for abort in aborts],
    }
    rows = [
        f"| {name} | {' | '.join(f'{value:.2f}' for value in _figures(values))} |" for name, values in columns.items()
    ]
    return "\n".join(["| seconds from the command | p50 | p95 | max |", "| --- | --- | --- | --- |", *rows])


def _figures(values: Sequence[float]) -> tuple[float, float, float]:
    return statistics.median(values), statistics.quantiles(values, n=20, method="inclusive")[-1], max(values)


def _weight(status: Status) -> int:
    return status.weight.desired if status.weight is not None else 0


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m dev.bench.aborts", description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=50, help="aborts (default: %(default)s)")
    parser.add_argument("--lanes", type=int, default=5, help="ModelDeployments at the same time (default: %(default)s)")
    options = parser.parse_args(argv)
    for part in CLUSTER_PARTS:
        cluster.run_part(part)
    print(table(asyncio.run(run(options, cluster.addresses()))))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
