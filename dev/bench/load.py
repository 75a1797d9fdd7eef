"""`python -m dev.bench.load`: promotions and rollbacks under a high load; no request may fail or take the wrong way.

Versions are promoted and bad ones are rolled back in turn, on the local cluster. Meanwhile one ModelDeployment gets a
steady stream of predictions, and a label for each. All of these are requests through the gateway. Exit code 1 if a
promise was broken.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence

from dev.bench import namespaces, subject
from dev.bench.subject import Subject
from dev.demo import cluster, models, promises, tally
from dev.demo.cluster import Addresses, Kubectl
from dev.demo.models import Version
from dev.demo.promises import Promise
from dev.demo.status import Status

RUN_WITHIN = 300.0  # seconds from the change of the alias to the end of the run
AFTERWARDS = 5.0  # seconds of requests after each run
CLUSTER_PARTS = ("build", "up", "install")


class Load:
    """The rounds on one object, and the promises so far."""

    def __init__(self, tried: Subject) -> None:
        self.promises: list[Promise] = []
        self._tried = tried

    async def promotion(self, version: Version) -> None:
        """`version` takes over. From the moment when the status says that it serves alone, nothing else answers."""
        board = self._tried.board
        await self._tried.follow(version)
        await board.until(
            f"{version.uri} serves",
            lambda now: now.phase in ("Watching", "Stable") and _stable(now) == version.uri,
            RUN_WITHIN,
        )
        await self._only_answers(version, "promoted")

    async def rollback(self, bad: Version, stable: Version) -> None:
        """`bad` is rolled back. From the moment when the status says that weight 0 is live, only `stable` answers."""
        board = self._tried.board
        await self._tried.try_again(bad)
        await board.until("the bad version gets requests", _has_traffic, RUN_WITHIN)
        await board.until("weight 0 is live", _has_no_traffic, RUN_WITHIN)
        await self._only_answers(stable, f"{bad.uri} rolled back")

    async def _only_answers(self, version: Version, what: str) -> None:
        """Until the run has ended, and a little longer."""
        since = self._tried.stream.now
        await self._tried.board.until("the run has ended", lambda now: now.phase == "Stable", RUN_WITHIN)
        await asyncio.sleep(AFTERWARDS)
        promise = promises.only_answers_now(self._tried.stream.requests, since, version.version)
        self.promises.append(Promise(f"{what}: {promise.text}", promise.kept, promise.found))


async def run(options: argparse.Namespace, addresses: Addresses) -> list[Promise]:
    """All rounds. Prints what happens."""
    kubectl = Kubectl(addresses)
    async with namespaces.empty(kubectl, subject.NAMESPACE):
        versions = await models.train(kubectl)
        document = subject.manifest("load", {"watchAfterPromotion": "5s", "scaleDownDelay": "2s"})
        for objective in document["spec"]["objectives"]:
            if "latency" in objective:
                objective["latency"]["max"] = "5s"  # the machine also runs the client, and decides nothing
        limit = 2 * options.rounds * RUN_WITHIN
        async with subject.serving(addresses, document, versions.first, options.rate, limit) as tried:
            load = Load(tried)
            serves, other = versions.first, versions.better
            for number in range(1, options.rounds + 1):
                print(f"== round {number} of {options.rounds}", flush=True)
                await load.promotion(other)
                serves, other = other, serves
                await load.rollback(versions.bad, serves)
            seconds = tried.stream.now
        requests = tried.stream.requests
        print(f"{len(requests)} requests in {seconds:.0f} s: {len(requests) / seconds:.0f} per second")
        for totals in tally.totals(requests):
            print(f"version {totals.version}: p50 {1000 * totals.p50:.0f} ms, p95 {1000 * totals.p95:.0f} ms")
        return [*load.promises, promises.none_failed(requests)]


def _stable(status: Status) -> str:
    return status.stable.model.uri if status.stable else ""


def _has_traffic(status: Status) -> bool:
    return status.weight is not None and status.weight.live > 0


def _has_no_traffic(status: Status) -> bool:
    return status.weight is None or (status.weight.desired, status.weight.live) == (0, 0)


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m dev.bench.load", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--rounds", type=int, default=3, help="of one promotion and one rollback (default: %(default)s)"
    )
    parser.add_argument("--rate", type=float, default=160.0, help="predictions per second (default: %(default)s)")
    options = parser.parse_args(argv)
    for part in CLUSTER_PARTS:
        cluster.run_part(part)
    kept = asyncio.run(run(options, cluster.addresses()))
    for promise in kept:
        print(f"✓ {promise.text}" if promise.kept else f"✗ {promise.text}: {promise.found}")
    return 0 if all(promise.kept for promise in kept) else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
